"""A run is gone on with, scored again and compared on the data that it was trained on, or not at all."""

import csv
import json
import shutil

import cv2
import numpy as np
import pytest
from test_folder import content
from test_run import flow_folder, settings

from merjax import fingerprint, loop, main, sweep
from merjax.checkpoint import SEAL
from merjax.report.compare import compare
from merjax.report.finished import read_runs
from merjax.types import InputError

OWNERS = [(f"s{i % 4}", ("negative", "positive", "surprise")[i % 3]) for i in range(16)]
FLOW = {"data.name": "flow_folder", "input.name": "two_phases"}


def table(root):
    with (root / "labels.csv").open() as file:
        return list(csv.DictReader(file))


def write(root, rows):
    with (root / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def change(root, kind, rng):
    """Changes one thing in a folder of flow images; gives what a sentence must say of it."""
    rows = table(root)
    i = int(rng.integers(len(rows)))
    name = f"tiny/{rows[i]['subject']}/{rows[i]['clip']}"
    if kind == "label":
        before = rows[i]["label"]
        rows[i]["label"] = rng.choice(sorted({"negative", "positive", "surprise"} - {before}))
        words = f"clip {name} was {before} and is {rows[i]['label']}"
    elif kind == "subject":
        rows[i]["subject"] = rng.choice(sorted({"s0", "s1", "s2", "s3", "s9"} - {rows[i]["subject"]}))
        words = f"clip {name} is of subject {rows[i]['subject']} now"
    elif kind == "clip":
        rows[i]["clip"] = "other"
        words = f"clip {name} is gone; clip tiny/{rows[i]['subject']}/other is new"
    elif kind == "gone":
        rows.pop(i)
        words = f"clip {name} is gone"
    elif kind == "new":
        rows.append(rows[i] | {"clip": "new"})
        words = f"clip tiny/{rows[i]['subject']}/new is new"
    else:
        path = root / rows[i][rng.choice(["onset_apex", "apex_offset"])]
        image = cv2.imread(str(path))
        image[tuple(rng.integers(28, size=2))] ^= 1
        cv2.imwrite(str(path), image)
        words = f"the images of clip {name} are not those it had"
    write(root, rows)
    return words


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder of flow images, and a finished run and one that was cut off after two of its epochs."""
    root = tmp_path_factory.mktemp("runs")
    flow_folder(root / "data", np.random.default_rng(0), OWNERS)
    main.run(of(root), root / "finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "preempted", lambda epoch: epoch == 1)
        with pytest.raises(loop.Interruption):
            main.run(of(root), root / "cut")
    assert not (root / "cut" / "scores.json").exists()
    return root


def of(root, **changes):
    return settings(**FLOW, **{"data.root": str(root / "data")}, **changes)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["label", "subject", "clip", "gone", "new", "image"])
def test_any_change_of_the_data_is_refused_and_nothing_in_the_folder_changes(runs, kind, seed):
    rng = np.random.default_rng(seed)
    shutil.copytree(runs / "data", runs / "kept")
    try:
        words = change(runs / "data", kind, rng)
        for name in ("finished", "cut"):
            before = content(runs / name)
            with pytest.raises(InputError) as error:
                main.run(of(runs), runs / name)
            assert words in str(error.value)
            assert str(error.value).endswith("; give another --workdir, or --resume=false to begin anew there")
            assert content(runs / name) == before
    finally:
        shutil.rmtree(runs / "data")
        (runs / "kept").rename(runs / "data")


def test_the_same_data_are_gone_on_with(runs, tmp_path):
    root = tmp_path / "copy"
    for name in ("finished", "cut"):
        shutil.copytree(runs / name, root / name)
        main.run(of(runs), root / name)
    tables = [(root / name / "predictions.csv").read_text() for name in ("finished", "cut")]
    assert tables[0] == tables[1] == (runs / "finished" / "predictions.csv").read_text()


def test_many_differences_are_three_and_a_number(runs):
    data = fingerprint.read(runs / "finished")["data"]
    labels = [[*clip[:3], "negative" if clip[3] != "negative" else "surprise", clip[4]] for clip in data["clips"]]
    with pytest.raises(InputError, match=r"(clip \S+ was \w+ and is \w+; ){3}and 13 more\); give another"):
        fingerprint.refuse(runs, {"config": {}, "data": data}, {"config": {}, "data": data | {"clips": labels}})


def test_other_code_or_folds_are_noticed_where_the_clips_are_the_same(runs):
    data = fingerprint.read(runs / "finished")["data"]
    assert fingerprint.differences(data, data) == []
    assert fingerprint.differences(data, data | {"steps": "new"}) == [
        "this version of merjax makes inputs by other code"
    ]
    fold = next(iter(data["splits"]))
    (found,) = fingerprint.differences(data, data | {"splits": data["splits"] | {fold: "new"}})
    assert found == f"the fold that tests {fold} has other clips"
    turned = data | {"clips": data["clips"][::-1]}
    assert fingerprint.differences(data, turned) == ["the clips stand in another order"]


def test_config_and_data_stand_in_the_folder_and_in_every_save(runs):
    for name in ("finished", "cut"):
        seals = list((runs / name).rglob(SEAL))
        assert seals
        assert all(json.loads(path.read_text())["run"] == fingerprint.read(runs / name) for path in seals)


@pytest.mark.parametrize("gone", ["config.json", "data.json"])
def test_saves_say_what_they_are_of_where_the_folder_does_not(runs, tmp_path, gone):
    """The fault: another config took over the networks of a run whose config.json was gone."""
    run = shutil.copytree(runs / "finished", tmp_path / "run")
    (run / gone).unlink()
    before = content(run)
    with pytest.raises(InputError, match=r"train\.lr was 0\.003 and is 0\.1"):
        main.run(of(runs, **{"train.lr": 0.1}), run)
    assert content(run) == before
    main.run(of(runs), run)
    assert (run / gone).exists()
    (run / gone).write_text("{")
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(InputError, match="gone or damaged, so that nothing says what it was trained on"):
        main.run(of(runs), run)


def test_a_finished_run_without_its_saves_is_not_overwritten_by_another(runs, tmp_path):
    run = shutil.copytree(runs / "finished", tmp_path / "run")
    shutil.rmtree(run / "checkpoints")
    before = content(run)
    with pytest.raises(InputError, match=r"train\.epochs was 3 and is 4"):
        main.run(of(runs, **{"train.epochs": 4}), run)
    assert content(run) == before


def test_results_of_an_earlier_run_are_gone_before_a_new_one_begins(runs, tmp_path, monkeypatch):
    run = shutil.copytree(runs / "finished", tmp_path / "run")
    (run / "notes.txt").write_text("mine")
    (run / "checkpoints" / "notes.txt").write_text("mine")
    monkeypatch.setattr(loop, "train_all", lambda *_, **__: pytest.fail(str(sorted(content(run)))))
    with pytest.raises(pytest.fail.Exception) as error:
        main.run(of(runs, **{"train.lr": 0.1}), run, resume=False)
    left = [
        "checkpoints",
        "checkpoints/notes.txt",
        "config.json",
        "data.json",
        "lock.json",
        "manifest.json",
        "notes.txt",
    ]
    assert str(error.value) == str(left)
    assert json.loads((run / "config.json").read_text())["train"]["lr"] == 0.1


def test_a_point_of_a_sweep_is_finished_on_the_same_data_alone(runs, tmp_path):
    config, grid = of(runs), [{"input.name": "onset_apex"}, {"train.lr": 0.1}]
    out = tmp_path / "sweep"
    told = sweep.sweep(sweep.points(config, grid), out, "drawn")
    assert all(one.scores for one in told.values())
    shutil.copytree(runs / "data", runs / "kept")
    try:
        words = change(runs / "data", "label", np.random.default_rng(0))
        before = content(out)
        told = sweep.sweep(sweep.points(config, grid), out, "drawn")
        after = content(out)
        assert all(one.scores is None and words in one.why for one in told.values())
        assert {name for name in after if after[name] != before.get(name)} == {"table.csv", "table.md"}
    finally:
        shutil.rmtree(runs / "data")
        (runs / "kept").rename(runs / "data")
    assert all(one.scores for one in sweep.sweep(sweep.points(config, grid), out, "drawn").values())


def test_a_sweep_reads_data_once_that_points_share(runs, tmp_path, monkeypatch):
    points = sweep.points(of(runs), [{"train.lr": 0.1}, {"train.lr": 0.2}, {"input.name": "onset_apex"}])
    sweep.sweep(points, tmp_path / "sweep", "drawn")
    reads, usual = [], main.read
    monkeypatch.setattr(main, "read", lambda config: reads.append(config) or usual(config))
    assert all(one.scores for one in sweep.sweep(points, tmp_path / "sweep", "drawn").values())
    assert len(reads) == 2


def test_runs_whose_clips_disagree_are_not_compared(runs, tmp_path):
    one, other = (shutil.copytree(runs / "finished", tmp_path / name) for name in ("one", "other"))
    with (other / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    for column, value in (("subject", "s9"), ("label", "positive" if rows[0]["label"] != "positive" else "negative")):
        text = (runs / "finished" / "predictions.csv").read_text().splitlines()
        cells = text[1].split(",")
        cells[list(rows[0]).index(column)] = value
        (other / "predictions.csv").write_text("\n".join([text[0], ",".join(cells), *text[2:]]) + "\n")
        with pytest.raises(InputError, match=r"other: clip \S+ is not in data\.json as it is in predictions\.csv"):
            read_runs([one, other])
        (other / "data.json").unlink(missing_ok=True)
        words = f"{rows[0]['sample_id']} is {rows[0][column]} in one and {value} in other"
        with pytest.raises(InputError, match=words):
            compare(read_runs([one, other]))
        shutil.copyfile(one / "data.json", other / "data.json")
