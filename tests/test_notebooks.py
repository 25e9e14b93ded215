"""The notebooks: complete as they are saved, and they run. Two in the suite, the others with -m slow."""

import ast
import re

import nbformat
import pytest
from conftest import REPOSITORY
from nbclient import NotebookClient

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
QUICK = ("01_inputs", "02_one_experiment")


def code(path):
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


def plain(source):
    """A cell as Python, without the commands of IPython."""
    return re.sub(r"^( *)%.*", r"\1pass", source, flags=re.M)


def test_there_are_four():
    assert [path.stem[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_saved_with_its_outputs_and_defines_nothing(path):
    cells = code(path)
    assert cells[0].source.startswith("import sys\n")
    assert 'if "google.colab" in sys.modules:' in cells[0].source
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))  # run once, from top to end
    shown = [output for cell in cells for output in cell.outputs]
    assert any("image/svg+xml" in output.get("data", {}) for output in shown)
    assert {output.output_type for output in shown} <= {"stream", "display_data", "execute_result"}
    assert not any(output.get("name") == "stderr" for output in shown)
    for cell in cells:
        kinds = {type(node) for node in ast.walk(ast.parse(plain(cell.source)))}
        assert not kinds & {ast.FunctionDef, ast.ClassDef, ast.Lambda}
    text = path.read_text()
    assert not re.search(r"/(home|root|work|tmp|Users)/", text)


def runs(path, folder):
    notebook = nbformat.read(path, 4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


@pytest.mark.filterwarnings("default")  # of the kernel's own packages
@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * (path.stem not in QUICK)) for path in NOTEBOOKS],
)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    shown = runs(path, tmp_path)
    saved = [output for cell in code(path) for output in cell.outputs]
    assert [output.output_type for output in shown] == [output.output_type for output in saved]
    assert [set(output.get("data", {})) for output in shown] == [set(output.get("data", {})) for output in saved]
