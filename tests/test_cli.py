"""The program `merjax` as a user meets it, and what can be combined."""

import json
import os
import re
import subprocess
import sys
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from conftest import REPOSITORY

from merjax import config
from merjax.data.trees import TREES
from merjax.ops import INPUTS
from merjax.prepare import Recipe, traced
from merjax.report.inputs import Card, picture
from merjax.types import InputError

KINDS = ("html", "json", "faces")
SMALL = ["--config.data.synthetic.subjects=2", "--config.data.synthetic.clips_per_class=1"]
SMALL += ["--config.data.synthetic.size=32"]


def merjax(*arguments, cache="", cwd=REPOSITORY):
    command = [sys.executable, "-m", "merjax", *map(str, arguments)]
    environment = os.environ | {"MERJAX_CACHE": str(cache), "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600)


def test_prepare_makes_every_input_and_keeps_it(tmp_path):
    done = merjax("prepare", *SMALL, "--config.input.name=mesti", "--config.model.name=linear", cache=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("mesti: 6 x 1 x 32 x 32 x 3 (clips, streams, height, width, channels) in ")
    assert len(list(tmp_path.rglob("*.npy"))) == 6


def test_inputs_draws_a_labelled_picture_of_every_input_of_a_clip(tmp_path):
    (tmp_path / "inputs.svg").write_text("somebody else's")  # as nobody names the picture, it replaces none
    done = merjax("inputs", "synthetic/S01/S01_c01", *SMALL, "--config.flow.name=dis", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "inputs.svg").read_text() == "somebody else's"
    drawn = ElementTree.parse(tmp_path / "inputs-2.svg").getroot()
    words = {text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {"onset, apex, offset", "u right →", "v down ↓"} | set(INPUTS) <= words
    images = list(drawn.iter("{http://www.w3.org/2000/svg}image"))
    assert len(images) == 3 + 1 + sum(made_by.images for made_by in INPUTS.values())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["inputs", "nobody", *SMALL], "CLIP is 'nobody', which is none of the 6 clips, as synthetic/S01/S01_c01"),
        (["inputs", "x", "--out=x.bmp"], "--out=x.bmp must end in .svg"),
        (["draw"], "'draw' is no command of merjax; they are train, sweep, prepare, inputs, describe"),
        (["compare"], "compare takes the folders of finished runs, and was given none"),
        (["compare", "configs"], "configs holds no run of merjax: there is no scores.json in it"),
        (["describe"], "describe takes the folder of a data set, one word, and was given 0"),
        (["describe", "/nowhere"], "/nowhere can't be read, data.root should name a data set's folder"),
        (["describe", ".", "--html=tests/x.html"], "lies in the data set's folder"),
        (["describe", ".", "--faces=/tmp/x.bmp"], "--faces=/tmp/x.bmp must end in .png or .jpg"),
        (["describe", ".", "--page=x"], "Unknown command line flag 'page'"),
        (["describe", "configs"], "configs holds no data set that can be read: expected CASME II in Cropped"),
        (["prepare", "--config.frames.alpha=5"], "frames.fps is 0; magnification (frames.alpha) needs"),
        (["prepare", "--config.flow.name=lucas"], "flow.name is 'lucas'; it can be auto, tvl1, farneback, dis"),
        (["prepare", "--config.frames.equalise=yes"], "frames.equalise is 'yes'; it can be none, global, clahe"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_one_sentence(arguments, told):
    done = merjax(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_describe_tells_and_writes_a_page_the_clips_and_the_faces(tmp_path):
    tree = TREES["casme2"](tmp_path / "data", faults=("apex_unknown",), size=32, releases=("cropped",))
    outputs = {name: tmp_path / f"{name}.{suffix}" for name, suffix in zip(KINDS, ("html", "json", "png"), strict=True)}
    flags = [word for name, path in outputs.items() for word in (f"--{name}", path)]
    done = merjax("describe", tree.root, *flags)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("CASME II\n")
    assert re.search(r"apex_unknown +1 .*sub04/EP12_01f", done.stdout)
    assert "apex_unknown" in outputs["html"].read_text()
    records = json.loads(outputs["json"].read_text())
    assert len(records) == len(tree.samples)
    assert all((tree.root / path).is_file() for record in records for path in record["frames"])
    assert cv2.imread(str(outputs["faces"])).shape[1] == 8 * 128
    assert sorted(path.name for path in tree.root.iterdir()) == sorted(["Cropped", *tree.sheets])


def test_without_a_config_it_is_the_experiment_of_the_readme(tmp_path):
    done = merjax("train", *SMALL, "--config.train.epochs=1", "--config.model.afn.blocks=(1,)", f"--workdir={tmp_path}")
    assert done.returncode == 0, done.stderr
    kept = json.loads((tmp_path / "config.json").read_text())
    assert kept["model"]["afn"]["width"] == 8


def test_help_tells_every_command():
    done = merjax("--help")
    assert done.returncode == 0
    verbs = ("train", "sweep", "prepare", "inputs", "describe", "compare")
    assert all(re.search(rf"merjax {verb}\b", done.stdout) for verb in verbs)


@pytest.mark.parametrize("name", INPUTS)
def test_every_input_goes_with_every_data_set_that_can_feed_it(name):
    c = config.default()
    c.input.name, c.model.name = name, "linear"
    config.check(c)
    assert traced(config.recipe(c), 28).shape == (INPUTS[name].images, 28, 28, 3)
    c.data.name, c.data.root = "flow_folder", "somewhere"
    if set(INPUTS[name].needs) <= {"onset_apex", "apex_offset"}:
        config.check(c)
    else:
        with pytest.raises(InputError, match=f"input.name '{name}' needs .*inputs that fit are onset_apex, "):
            config.check(c)


@pytest.mark.parametrize("field", [("flow", "name", "dis"), ("frames", "equalise", "global")])
def test_what_needs_frames_is_refused_where_there_are_none(field):
    c = config.default()
    c.input.name, c.model.name, c.data.name = "cof", "linear", "flow_folder"
    c[field[0]][field[1]] = field[2]
    with pytest.raises(InputError, match=r"is set, but .* holds no frames"):
        config.check(c)


def test_wrong_arguments_of_an_input_are_refused_before_any_work():
    with pytest.raises(InputError, match="theta is 2"):
        traced(Recipe("cof", {"theta": 2.0}))


def test_only_what_a_run_used_is_kept_of_its_config():
    c = config.default()
    assert {"frames", "flow"}.isdisjoint(config.relevant(c))
    c.input.name, c.flow.name, c.frames.equalise = "mm_cof", "dis", "clahe"
    kept = config.relevant(c)
    assert kept["flow"] == {"name": "dis", "strain": "half", "dis": {"preset": "medium"}}
    assert kept["frames"]["equalise"] == "clahe"


def test_a_card_of_still_flow_and_of_one_stream_is_drawn():
    cards = [Card("still", "nothing", np.zeros((1, 8, 8, 3), np.float32), "flow")]
    assert "full colour 0" in picture("<clip>", cards)
    assert "&lt;clip&gt;" in picture("<clip>", cards)
