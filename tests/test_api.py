"""House rules as tests."""

import ast
import inspect
from pathlib import Path

import pytest
from conftest import REPOSITORY

from merjax import losses, metrics
from merjax.ops import augment, flow, rank_pool

SOURCES = sorted((REPOSITORY / "merjax").rglob("*.py"))
FUNCTIONS = [
    pytest.param(function, id=f"{module.__name__}.{name}")
    for module in (augment, flow, rank_pool, losses, metrics)
    for name, function in inspect.getmembers(module, inspect.isfunction)
    if function.__module__ == module.__name__
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_public_function_is_documented_typed_and_takes_its_key_first(function):
    assert inspect.getdoc(function)
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty
    for position, parameter in enumerate(signature.parameters.values()):
        assert parameter.annotation is not inspect.Parameter.empty, parameter
        if parameter.name == "key":
            assert position == 0


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_files_stay_small_and_have_names(path: Path):
    assert len(path.read_text().splitlines()) <= 400
    assert path.stem not in {"utils", "helpers", "misc", "base"}
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_data_readers_import_no_jax():
    for path in (REPOSITORY / "merjax" / "data").glob("*.py"):
        names = {
            name.name.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import)
            for name in node.names
        }
        assert "jax" not in names, path
