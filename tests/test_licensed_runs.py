"""Runs of the experiments on licensed data, on miniature trees in place of the data."""

import json
import subprocess
import sys

import pytest
from conftest import REPOSITORY

from merjax.data.known import KNOWN
from merjax.data.trees import TREES

AFN = ["--config.model.afn.width=4", "--config.model.afn.blocks=(1,)", "--config.model.afn.stem=small"]


def run(config, root, workdir, *changes):
    command = [sys.executable, str(REPOSITORY / "run.py"), f"--config=configs/{config}.py", f"--workdir={workdir}"]
    command += [f"--config.data.root={root}", "--config.train.epochs=2", "--config.train.batch=4", *changes]
    command += ["--config.report.gallery=1"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    scores = json.loads((workdir / "scores.json").read_text())
    (account,) = (note for note in scores["notes"] if " read: " in note)
    assert account in done.stdout.splitlines()[:10]
    assert (workdir / "report.html").read_text().count(account) == 1
    return scores


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("casme2", 5),
        pytest.param("samm", 5, marks=pytest.mark.slow),
        pytest.param("smic", 3, marks=pytest.mark.slow),
        pytest.param("mmew", 7, marks=pytest.mark.slow),
    ],
)
def test_an_experiment_runs_on_ones_own_copy_of_the_data(tmp_path, name, classes):
    tree = TREES[name](tmp_path / name, subjects=3, clips=15, faults=(), size=32)
    first = {"smic": "smic_hs"}.get(name, name)
    micro = [sample for sample in tree.samples if sample.kind == "micro" and sample.dataset == first]
    before = sorted(str(path) for path in tree.root.rglob("*"))
    scores = run(f"afn_{name}", tree.root, tmp_path / "run", f"--config.data.{name}.size=32", *AFN)
    outside = sum(sample.emotion in ("Disgust", "Fear", "Sadness") for sample in micro) if name == "samm" else 0
    assert scores["whole"]["n"] == len(micro) - outside
    assert scores["whole"]["subjects"] == 3
    assert len(scores["classes"]) == classes
    assert list(scores["databases"]) == [first]
    assert any(note.startswith(KNOWN[first].title) and "release" in note for note in scores["notes"])
    assert before == sorted(str(path) for path in tree.root.rglob("*"))


def test_the_composite_runs_on_the_three_data_sets_side_by_side(tmp_path):
    root = tmp_path / "data"
    for name in ("casme2", "samm", "smic"):
        TREES[name](root / name, subjects=2, clips=10, faults=(), size=32)
    small = ["--config.data.megc2019.size=32", "--config.flow.name=dis"]
    scores = run("ststnet_cde", root, tmp_path / "run", *small)
    assert set(scores["databases"]) == {"casme2", "samm", "smic_hs"}
    assert scores["whole"]["subjects"] == 6
    assert scores["classes"] == ["negative", "positive", "surprise"]


@pytest.fixture(scope="module")
def casme2_and_samm(tmp_path_factory):
    """The two data sets of MEGC 2018 side by side."""
    root = tmp_path_factory.mktemp("megc2018")
    for name in ("casme2", "samm"):
        TREES[name](root / name, subjects=2, clips=10, faults=(), size=32)
    return root


@pytest.mark.parametrize(
    ("config", "changes", "protocol", "tested"),
    [
        ("ststnet_megc2018", {}, "leave one subject out over 4 subjects", {"casme2", "samm"}),
        ("ststnet_hde2018", {}, "leave one database out over 2 databases", {"casme2", "samm"}),
        pytest.param(
            "ststnet_hde2018",
            {"name": "holdout", "holdout.train": "casme2", "holdout.test": "samm"},
            "trained on casme2, tested on samm",
            {"samm"},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_tasks_of_megc_2018_run(casme2_and_samm, tmp_path, config, changes, protocol, tested):
    asked = [f"--config.protocol.{name}={value}" for name, value in changes.items()]
    small = ["--config.data.megc2018.size=32", "--config.flow.name=dis"]
    scores = run(config, casme2_and_samm, tmp_path / "run", *small, *asked)
    assert scores["classes"] == ["I", "II", "III", "IV", "V"]
    assert scores["protocol"] == protocol
    assert set(scores["databases"]) == tested
    assert "CASME II: release cropped, labels of sheet CASME2-ObjectiveClasses.xlsx." in scores["notes"]
    assert ("mean_of_databases" in scores) == protocol.startswith("leave one database out")
    predictions = (tmp_path / "run" / "predictions.csv").read_text().splitlines()[1:]
    assert {line.split(",")[1] for line in predictions} == tested
    assert len(predictions) == scores["whole"]["n"]
    assert protocol in (tmp_path / "run" / "report.html").read_text()
