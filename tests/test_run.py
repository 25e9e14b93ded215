"""The program as a user meets it: its files, its interruption, its refusals."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import REPOSITORY
from test_folder import content

from merjax import config, main, report
from merjax.types import InputError

SMALL = {
    "data.synthetic.subjects": 3,
    "data.synthetic.clips_per_class": 2,
    "data.synthetic.size": 32,
    "model.name": "linear",
    "train.epochs": 3,
    "train.batch": 8,
}


def settings(**changes):
    c = config.default().lock()
    c.update_from_flattened_dict(SMALL | changes)
    return c


def program(*arguments, **options):
    command = [sys.executable, str(REPOSITORY / "run.py"), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def flags(changes):
    return [f"--config.{name}={value}" for name, value in changes.items()]


def rows(path: Path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_a_folder_that_reads_without_merjax(tmp_path):
    scores = main.run(settings(seeds=2), tmp_path / "run")
    folder = tmp_path / "run"
    names = {"config.json", "environment.json", "scores.json", "predictions.csv", "subjects.csv", "curves.csv"}
    names |= {"data.json", "manifest.json"}
    assert {path.name for path in folder.iterdir()} == names | {"report.html", "figures", "checkpoints"}
    drawn = {"calibration", "confusion_all", "intervals_uar", "intervals_uf1", "loss", "subjects", "uf1"}
    assert {path.stem for path in (folder / "figures").iterdir()} == drawn
    assert json.loads((folder / "scores.json").read_text()) == json.loads(json.dumps(scores))
    predictions = rows(folder / "predictions.csv")
    assert len(predictions) == 2 * 18  # each clip once for each seed
    assert len({(row["seed"], row["sample_id"]) for row in predictions}) == 2 * 18
    assert list(predictions[0]) == [
        *("seed", "database", "subject", "sample_id", "label", "prediction"),
        *("negative", "positive", "surprise"),
    ]
    for row in predictions:
        probability = {name: float(row[name]) for name in scores["classes"]}
        assert sum(probability.values()) == pytest.approx(1, abs=1e-4)
        assert probability[row["prediction"]] == max(probability.values())
    accuracy = np.mean([row["label"] == row["prediction"] for row in predictions])
    assert scores["whole"]["accuracy"] == pytest.approx(accuracy)
    assert scores["whole"]["n"] == 18
    assert scores["whole"]["subjects"] == 3
    assert len(rows(folder / "curves.csv")) == 2 * 3 * 3
    assert json.loads((folder / "config.json").read_text())["model"] == {"name": "linear", "linear": {"grid": 14}}


def test_the_report_shows_where_the_network_of_a_clip_looks(tmp_path):
    changes = {"seeds": 2, "report.gallery": 1, "model.name": "ststnet", "input.name": "dynamic_image"}
    main.run(settings(**changes), tmp_path)
    page = (tmp_path / "report.html").read_text()
    shown = [row for row in rows(tmp_path / "predictions.csv") if f"<figcaption>{row['sample_id']}<" in page]
    assert sorted(row["label"] for row in shown if row["seed"] == "0") == ["negative", "positive", "surprise"]
    for row in shown:
        told = f"{row['sample_id']}<span>predicted {row['prediction']}, probability {float(row[row['prediction']]):.2f}"
        assert row["seed"] == "1" or told in page
        asked = {row["label"], row["prediction"]} if row["seed"] == "0" else ()
        assert all(f'alt="Grad-CAM of {row["sample_id"]} for {name}' in page for name in asked)
    assert "The network of seed 0 that was tested on a clip looks at it, after the last epoch." in page


def test_the_last_epoch_counts_unless_the_test_subject_chooses(tmp_path):
    changes = {"train.epochs": 8, "report.gallery": 0}
    last, test = (main.run(settings(**changes, **{"train.select": s}), tmp_path / s) for s in ("last", "test"))
    assert all(row["epoch"] == "8" for row in rows(tmp_path / "last" / "subjects.csv"))
    assert test["whole"]["accuracy"] >= last["whole"]["accuracy"]
    curves = rows(tmp_path / "test" / "curves.csv")
    for subject in rows(tmp_path / "test" / "subjects.csv"):
        mine = [float(row["test_accuracy"]) for row in curves if row["fold"] == subject["fold"]]
        assert mine[int(subject["epoch"]) - 1] == max(mine)
        assert max(mine[int(subject["epoch"]) :], default=0) < max(mine)
    pages = {name: (tmp_path / name / "report.html").read_text() for name in ("last", "test")}
    assert "Read with care: epoch chosen on the test subject" in pages["test"]
    assert "Read with care" not in pages["last"]
    assert "[epoch chosen on the test subject]" not in pages["last"]  # of its own scores none
    for run, other in ((last, test), (test, last)):  # either gives both
        assert run["selections"][other["select"]]["uf1"] == other["whole"]["uf1"]
    assert "the same run, epoch chosen on the test subject: UF1 " in report.summary(last, tmp_path)
    assert "What the network sees" not in (tmp_path / "last" / "report.html").read_text()


def test_a_killed_run_goes_on_and_ends_with_the_same_bits(tmp_path):
    changes = SMALL | {"train.epochs": 500, "train.save_seconds": 0.2}
    whole = program(f"--workdir={tmp_path / 'whole'}", *flags(changes))
    cut = program(f"--workdir={tmp_path / 'cut'}", *flags(changes))
    saves = tmp_path / "cut" / "checkpoints"
    start = time.monotonic()
    while not any(saves.glob("rows_*/*/seal.json")):
        assert cut.poll() is None, cut.stderr.read()
        assert time.monotonic() - start < 120
        time.sleep(0.02)
    cut.send_signal(signal.SIGKILL)
    cut.communicate()
    assert not (tmp_path / "cut" / "scores.json").exists()
    again = program(f"--workdir={tmp_path / 'cut'}", *flags(changes))
    for process, words in ((again, "going on after epoch"), (whole, "all")):
        out, error = process.communicate(timeout=300)
        assert process.returncode == 0, error
        assert words in out
    for name in ("predictions.csv", "curves.csv", "subjects.csv"):
        assert (tmp_path / "cut" / name).read_text() == (tmp_path / "whole" / name).read_text()


def test_a_finished_run_is_not_trained_again_and_another_config_is_refused(tmp_path):
    before = main.run(settings(), tmp_path)
    after = main.run(settings(), tmp_path)
    assert before["whole"] == after["whole"]
    with pytest.raises(InputError, match=r"train\.lr was 0\.003 and is 0\.1.*another --workdir"):
        main.run(settings(**{"train.lr": 0.1}), tmp_path)


def test_networks_that_vote_give_the_mean_of_their_probabilities(tmp_path):
    alone = main.run(settings(seeds=4), tmp_path / "alone")
    pairs = main.run(settings(seeds=2, **{"train.together": 2}), tmp_path / "pairs")
    assert (alone["seeds"], pairs["seeds"]) == ([0, 1, 2, 3], [0, 2])
    assert (
        "Every prediction is the mean of 2 networks; what a network sees is shown of the first of them."
        in pairs["notes"]
    )
    four, two = (
        np.array([[float(row[name]) for name in alone["classes"]] for row in rows(tmp_path / name / "predictions.csv")])
        for name in ("alone", "pairs")
    )
    np.testing.assert_allclose(two, four.reshape(2, 2, -1, 3).mean(1).reshape(-1, 3), rtol=1e-5)


def test_a_workdir_that_is_a_file_is_refused_and_one_with_nothing_saved_is_begun_anew(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="file can't be made a folder: "):
        main.run(settings(), tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(InputError, match=r"train\.optimizer is 'lion'"):
        main.run(settings(**{"train.optimizer": "lion"}), tmp_path / "run")
    assert main.run(settings(), tmp_path / "run")["whole"]["n"] == 18


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"data.name": "casme9"}, "data.name is 'casme9'; it can be synthetic, flow_folder"),
        ({"input.name": "flow"}, "input.name is 'flow'; it can be apex, "),
        ({"model.name": "vgg"}, "model.name is 'vgg'; it can be afn, "),
        ({"train.loss": "hinge"}, "train.loss is 'hinge'; it can be cross_entropy, focal"),
        ({"train.select": "best"}, "train.select is 'best'; it can be last, inner, test"),
        (
            {"train.over_folds": "pmap"},
            "train.over_folds is 'pmap'; it can be auto, map, vmap, shard_map, shard_vmap",
        ),
        (
            {"model.name": "afn", "model.afn.stem": "tiny"},
            "model.afn.stem is 'tiny'; it can be imagenet, small",
        ),
        ({"model.name": "afn", "model.afn.norm": "layer"}, "model.afn.norm is 'layer'; it can be batch, group"),
        ({"train.epochs": 0}, "train.epochs is 0; it must be at least 1"),
        (
            {"model.name": "afn", "input.name": "apex"},
            "takes two streams and input.name 'apex' gives one stream; inputs that fit",
        ),
        ({"data.name": "flow_folder"}, "input.name 'trdi_midi' needs frames, length, which data.name 'flow_folder'"),
        ({"data.root": "/somewhere"}, "data.root is '/somewhere' but data.name 'synthetic' reads no folder"),
        ({"data.synthetic.subjects": 1}, "subjects is 1 and must be at least 2"),
        ({"protocol.name": "cross"}, "protocol.name is 'cross'; it can be loso, database, holdout"),
        (
            {"protocol.name": "database"},
            "needs several databases, and data.name 'synthetic' is one; data sets that can",
        ),
        ({"protocol.name": "holdout", "data.name": "casme2"}, "and data.name 'casme2' is one; data sets that can hold"),
    ],
)
def test_what_cannot_work_is_refused_before_any_work(tmp_path, changes, sentence):
    with pytest.raises(InputError) as error:
        main.run(settings(**changes), tmp_path / "run")
    assert sentence in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--config.model.nmae=afn"], "model.nmae is no field; the nearest is model.name"),
        (["--config.seeds.many=3"], "seeds.many is no field; seeds has no fields of its own"),
        (["--config.train.epochs=many"], "epochs"),
        (["--config=configs/none.py"], "--config=configs/none.py is no file; experiments that come with merjax are"),
        (["--config=broken.py"], "--config=broken.py can't be loaded: ImportError: cannot import name 'nothing'"),
        (["--confg=x"], "confg"),
        (["configs/afn_synth.py"], "'configs/afn_synth.py' is no flag"),
        (
            ["--config.data.name=flow_folder", "--config.input.name=two_phases", "--config.data.root=/nowhere"],
            "/nowhere",
        ),
    ],
)
def test_a_wrong_command_line_ends_with_one_sentence_and_status_two(tmp_path, arguments, sentence):
    (tmp_path / "broken.py").write_text("from merjax import nothing\n")
    process = program(*arguments, cwd=tmp_path)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 2, error
    lines = error.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert sentence in lines[0]
    assert [path.name for path in tmp_path.iterdir()] == ["broken.py"]


def test_help_shows_commands_and_every_field():
    out, error = program("--help").communicate(timeout=120)
    assert not error
    for words in ("python run.py", "--workdir", "mm_cof", "weight_decay"):
        assert words in out


def flow_folder(root: Path, rng, owners) -> None:
    """A miniature folder of flow images, one clip for each (subject, label)."""
    (root / "images").mkdir(parents=True)
    lines = ["dataset,subject,clip,label,onset_apex,apex_offset"]
    for i, (subject, label) in enumerate(owners):
        for phase in ("a", "b"):
            image = rng.integers(0, 256, (28, 28, 3), dtype=np.uint8)
            cv2.imwrite(str(root / "images" / f"{i}{phase}.png"), image)
        lines.append(f"tiny,{subject},c{i},{label},images/{i}a.png,images/{i}b.png")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")


def test_a_lonely_subject_and_a_lonely_class_are_remarked_not_refused(tmp_path, rng):
    owners = [("s1", "negative"), ("s1", "positive"), ("s2", "negative"), ("s2", "positive"), ("s3", "negative")]
    owners += [("s1", "surprise"), ("s1", "surprise")]
    flow_folder(tmp_path / "data", rng, owners)
    changes = {"data.name": "flow_folder", "data.root": str(tmp_path / "data"), "input.name": "two_phases"}
    scores = main.run(settings(**changes), tmp_path / "run")
    _, lonely, class_of_one = scores["notes"]  # the first is the account of the table
    assert "tiny/s3" in lonely
    assert "The fold that tests tiny/s1 trains without any clip of class surprise" in class_of_one


def test_faulty_clips_are_refused_or_left_out_and_listed(tmp_path, rng):
    flow_folder(tmp_path / "data", rng, [(f"s{i % 3}", ("negative", "positive")[i % 2]) for i in range(8)])
    cv2.imwrite(str(tmp_path / "data" / "images" / "3b.png"), np.zeros((20, 28, 3), np.uint8))
    changes = {"data.name": "flow_folder", "data.root": str(tmp_path / "data"), "input.name": "two_phases"}
    with pytest.raises(InputError, match=r"3b\.png is 20 x 28"):
        main.run(settings(**changes), tmp_path / "run")
    scores = main.run(settings(**changes, **{"data.repair": "strict"}), tmp_path / "run")
    assert scores["whole"]["n"] == 7
    assert "3b.png is 20 x 28" in scores["left_out"][0]
    assert "3b.png" in (tmp_path / "run" / "report.html").read_text()


FOREIGN = (
    "config.json",
    "scores.json",
    "report.html",
    "table.md",
    "figures/loss.svg",
    "checkpoints/rows_0_to_17/end/x.pt",
)


def foreign(root):
    for name in FOREIGN:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"mine {name}")
    return content(root)


@pytest.mark.parametrize(
    "command",
    [
        ["--workdir={}"],
        ["--workdir={}", "--resume=false"],
        ["sweep", "--config={config}", "--out={}"],
        ["inputs", "synthetic/S01/S01_c01", "--out={}/report.html"],
        ["compare", "{}"],
    ],
    ids=lambda words: words[0],
)
def test_files_that_merjax_did_not_write_stay_as_they_are(tmp_path, command):
    before = foreign(tmp_path / "mine")
    words = [word.format(tmp_path / "mine", config=REPOSITORY / "configs" / "real_flow.py") for word in command]
    verb = [] if words[0].startswith("-") else [words.pop(0)]
    small = (
        flags({"data.synthetic.subjects": 3, "data.synthetic.size": 32}) if verb not in (["compare"], ["sweep"]) else []
    )
    done = subprocess.run(
        [sys.executable, "-m", "merjax", *(verb or ["train"]), *words, *small],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert content(tmp_path / "mine") == before
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_foreign_file_with_the_name_of_a_result_is_never_replaced(tmp_path):
    run, usual = tmp_path / "run", settings()
    with pytest.raises(InputError, match="lion"):
        main.run(settings(**{"train.optimizer": "lion"}), run)
    for name, trained in (("report.html", False), ("figures/loss.svg", True)):  # names of figures hang on the data
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text("mine")
        with pytest.raises(InputError, match=rf"{Path(name).name} is not on merjax's list of its own files; move it"):
            main.run(usual, run, resume=trained)
        assert (run / name).read_text() == "mine"
        assert (run / "checkpoints").exists() == trained
        (run / name).unlink()
    assert main.run(usual, run)["whole"]["n"] == 18  # what was trained is still there


def test_of_two_runs_in_one_folder_the_second_is_refused_with_the_first_named(tmp_path):
    changes = SMALL | {"train.epochs": 3000}
    first = program(f"--workdir={tmp_path / 'run'}", *flags(changes))
    start = time.monotonic()
    while not (tmp_path / "run" / "lock.json").exists():
        assert first.poll() is None, first.stderr.read()
        assert time.monotonic() - start < 60
        time.sleep(0.02)
    second = program(f"--workdir={tmp_path / 'run'}", *flags(changes))
    _, error = second.communicate(timeout=60)
    assert second.returncode == 2, error
    assert re.search(
        rf"is in use by process {first.pid} of \S+, which began at \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d; wait", error
    )
    assert first.poll() is None
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert (tmp_path / "run" / "lock.json").exists()
    main.run(settings(), tmp_path / "run", resume=False)  # the lock of a dead process is none
    assert not (tmp_path / "run" / "lock.json").exists()


def test_two_runs_begun_in_one_second_get_two_folders(tmp_path):
    pair = [program(*flags(SMALL), cwd=tmp_path) for _ in range(2)]
    for process in pair:
        out, error = process.communicate(timeout=120)
        assert process.returncode == 0, out + error
    folders = sorted((tmp_path / "runs").iterdir())
    assert len(folders) == 2
    assert all((folder / "report.html").exists() for folder in folders)


def test_a_second_run_from_python_compiles_nothing_that_the_first_has_kept(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    environment |= {"MERJAX_CACHE": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}
    environment |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}  # or the quickest are compiled anew
    lines = (
        "from pathlib import Path",
        "import sys",
        "from merjax import config, main",
        "c = config.default()",
        f"c.update_from_flattened_dict({SMALL})",
        "main.run(c, Path(sys.argv[1]))",
    )
    kept = []
    for name in ("one", "two"):
        command = [sys.executable, "-c", "\n".join(lines), str(tmp_path / name)]
        subprocess.run(command, env=environment, capture_output=True, check=True, timeout=300)
        kept.append({path.name for path in (tmp_path / "jax").iterdir() if path.name.endswith("-cache")})
    assert kept[0]
    assert kept[0] == kept[1]
