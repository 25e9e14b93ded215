"""A grid of runs: named folders, what is finished is kept, one failure is one sentence, one table."""

import csv
import re
import signal
import subprocess
import sys
import time

import pytest
from conftest import REPOSITORY

from merjax import config, loop, main, sweep
from merjax.types import InputError

SMALL = {
    "data.synthetic.subjects": 3,
    "data.synthetic.clips_per_class": 2,
    "data.synthetic.size": 32,
    "model.name": "linear",
    "train.epochs": 2,
    "train.batch": 8,
    "report.gallery": 1,
}
GRID = [{"input.name": "mesti"}, {"input.name": "apex", "seed": 1}, {"train.select": "test"}]
FILE = """
from merjax import config

def get_config():
    c = config.default()
    c.update_from_flattened_dict({small})
    return c

def get_grid():
    return {grid}
"""


def settings(**changes):
    c = config.default().lock()
    c.update_from_flattened_dict(SMALL | changes)
    return c


def table(folder):
    with (folder / "table.csv").open() as file:
        return list(csv.DictReader(file))


def test_points_carry_their_changes_and_readable_names():
    made = sweep.points(settings(), GRID)
    assert [p.name for p in made] == ["input=mesti", "input=apex,seed=1", "train.select=test"]
    assert made[1].config.seed == 1
    assert made[0].config.input.name == "mesti"
    assert settings().input.name == "trdi_midi"
    views = sweep.points(settings(**{"input.name": "dynamic_views"}), [{"train.views": ("rise", "fall")}])
    assert views[0].name == "train.views=rise+fall"
    assert sweep.name_of({}) == "as_configured"
    long = [sweep.name_of({"data.root": f"/{'x' * 300}/{i}"}) for i in (0, 1)]
    assert long[0] != long[1]
    assert len(long[0]) < 255
    assert not set("/ ") & set(long[0])


@pytest.mark.parametrize(
    ("grid", "options", "told"),
    [
        ([{}, {"model.name": "resnet19"}], {}, "point model=resnet19 of the grid: model.name is 'resnet19'"),
        (
            [{"model.nam": "linear"}],
            {},
            "point model.nam=linear of the grid: model.nam is no field; the nearest is model",
        ),
        ([{"train.epochs": "many"}], {}, "point train.epochs=many of the grid: "),
        ([{"train.epochs": 0}], {}, "train.epochs is 0; it must be at least 1"),
        ([{"seed": 1}, {"seed": 1}], {}, "the grid has point seed=1 twice"),
        ([{"seed": 1}], {"fixed": ["seed"]}, "--config.seed is set by the grid; leave it out"),
        ([{"seed": 1}], {"only": "afn"}, "--only=afn is in the name of no point; they are seed=1"),
    ],
)
def test_a_grid_that_cannot_be_run_is_refused_before_any_point_runs(grid, options, told):
    with pytest.raises(InputError, match=re.escape(told)):
        sweep.points(settings(), grid, **options)


def test_a_sweep_runs_what_is_missing_and_tells_all(tmp_path, monkeypatch):
    made = sweep.points(settings(), GRID)
    done = sweep.sweep(made[:1], tmp_path, "First")
    assert done["input=mesti"].scores["whole"]["n"] == 18
    report = tmp_path / "input=mesti" / "report.html"
    before = report.stat().st_mtime_ns
    told = sweep.sweep(made, tmp_path, "All")
    assert report.stat().st_mtime_ns == before
    assert all(one.scores for one in told.values())
    rows = table(tmp_path)
    assert [row["folder"] for row in rows] == [p.name for p in made]
    assert [row["epoch"] for row in rows] == ["the last epoch"] * 2 + ["epoch chosen on the test subject"]
    assert [row["input.name"] for row in rows] == ["mesti", "apex", ""]
    for row, point in zip(rows, made, strict=True):
        whole = told[point.name].scores["whole"]
        assert float(row["UF1"]) == pytest.approx(whole["uf1"], abs=1e-6)
        assert float(row["UAR to"]) == pytest.approx(whole["uar_interval"][1], abs=1e-6)
    text = (tmp_path / "table.md").read_text()
    assert "3 of 3 points have scores" in text
    assert "Epoch: epoch chosen on the test subject / the last epoch" in text
    assert "**Scores with epoch chosen on the test subject are inflated" in text
    assert text.count("epoch chosen on the test subject") == 3  # twice in the caption, and in the row

    ran = []
    monkeypatch.setattr(main, "run", lambda c, folder: ran.append(folder.name))
    sweep.sweep(sweep.points(settings(**{"train.lr": 1e-3}), GRID[:1]), tmp_path, "Other config")
    assert ran == ["input=mesti"]  # scores of another config don't count as its own


def test_the_caption_warns_of_all_that_inflates_a_score():
    def told(select, held_out):
        return sweep.Told({"select": select, "held_out": held_out})

    honest, mixed, chosen = told("last", "subject"), told("last", "part"), told("test", "subject")
    assert "inflated" not in sweep.caption({"a": honest})
    assert "**Scores with subjects mixed are inflated" in sweep.caption({"a": honest, "b": mixed})
    both = "**Scores with epoch chosen on the test subject or subjects mixed are inflated"
    assert both in sweep.caption({"a": honest, "b": mixed, "c": chosen})


def test_a_point_that_fails_is_one_sentence_and_the_rest_goes_on(tmp_path, monkeypatch):
    real = main.run

    def run(c, folder):
        if c.seed == 1:
            raise RuntimeError("out of\nmemory")
        return real(c, folder)

    monkeypatch.setattr(main, "run", run)
    told = sweep.sweep(sweep.points(settings(), [{"seed": 1}, {"seed": 2}]), tmp_path, "One fails")
    assert told["seed=1"].why == "RuntimeError: out of memory"
    rows = table(tmp_path)
    assert rows[0]["state"] == "failed: RuntimeError: out of memory"
    assert rows[0]["UF1"] == ""
    assert rows[1]["state"] == "finished"
    monkeypatch.setattr(main, "run", real)
    assert sweep.sweep(sweep.points(settings(), [{"seed": 1}]), tmp_path, "Again")["seed=1"].scores


def test_an_interruption_ends_the_sweep_and_leaves_its_table(tmp_path, monkeypatch):
    def run(c, folder):
        raise loop.Interruption(15, 3)

    monkeypatch.setattr(main, "run", run)
    with pytest.raises(loop.Interruption):
        sweep.sweep(sweep.points(settings(), GRID), tmp_path, "Cut off")
    assert [row["state"] for row in table(tmp_path)] == [sweep.NOT_RUN] * 3


def program(folder, grid, *arguments, **options):
    file = folder / "tiny.py"
    file.write_text(FILE.format(small=SMALL, grid=grid))
    command = [sys.executable, "-m", "merjax", "sweep", f"--config={file}", *map(str, arguments)]
    return subprocess.Popen(command, cwd=REPOSITORY, text=True, stdout=-1, stderr=-1, **options)


def test_the_program_is_killed_goes_on_and_ends_with_the_same_table(tmp_path):
    grid = [{"seed": 0, "train.epochs": 3}, {"seed": 1, "train.epochs": 3}]
    out = tmp_path / "out"
    first = program(tmp_path, grid, f"--out={out}")
    waited = time.monotonic()
    while not (out / "seed=0,train.epochs=3" / "scores.json").exists():
        assert first.poll() is None, first.communicate()[1]
        assert time.monotonic() - waited < 120
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    again = program(tmp_path, grid, f"--out={out}")
    said, wrong = again.communicate(timeout=120)
    assert again.returncode == 0, wrong
    assert re.search(r"2 points, [01] of them finished before", said)
    assert [row["state"] for row in table(out)] == ["finished"] * 2
    alone = program(tmp_path, grid, f"--out={tmp_path / 'alone'}", "--only=seed=1")
    said, wrong = alone.communicate(timeout=120)
    assert "1 points" in said
    assert table(tmp_path / "alone")[0] == table(out)[1]


@pytest.mark.parametrize(
    ("grid", "arguments", "told"),
    [
        ([{"seed": 0}], [], "sweep needs --out=FOLDER"),
        ([{"seed": 0}], ["--out=x", "--config.seed=3"], "--config.seed is set by the grid"),
        ([], ["--out=x"], "must give dictionaries of changes by field, at least one"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path, grid, arguments, told):
    done = program(tmp_path, grid, *arguments)
    _, wrong = done.communicate(timeout=120)
    assert done.returncode == 2
    assert told in wrong
    assert "Traceback" not in wrong
