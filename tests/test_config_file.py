"""A config file is Python: where it lies, and whatever it does, it gives a config or one sentence."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from conftest import REPOSITORY

from merjax import cli, config_file
from merjax.types import InputError

STANDARD = REPOSITORY / "configs" / "afn_synth.py"
SMALL = """
from merjax import config

def get_config():
    c = config.default()
    c.data.synthetic.subjects, c.data.synthetic.clips_per_class, c.data.synthetic.size = 2, 1, 32
    c.model.name, c.train.epochs = "linear", 1
    return c
"""


def merjax(*arguments, **options):
    command = [sys.executable, "-m", "merjax", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(REPOSITORY)])}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, **options)


def written(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.py").write_text(text, encoding="utf-8")
    return folder / "mine.py"


@pytest.mark.skipif(sys.platform == "win32", reason="its file names have no colon")
def test_a_config_in_a_folder_with_a_colon_is_run(tmp_path):
    file = written(tmp_path / "C:", SMALL)
    for path in (file, file.relative_to(tmp_path)):
        out = tmp_path / f"run_{path.is_absolute()}"
        flags = [f"--config={path}", "--config.train.epochs=2", f"--workdir={out}"]
        done = merjax("train", *flags, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        kept = json.loads((out / "config.json").read_text(encoding="utf-8"))
        assert (kept["train"]["epochs"], kept["model"]["name"]) == (2, "linear")


@pytest.mark.skipif(sys.platform == "win32", reason="its file names have no colon")
def test_the_standard_config_of_a_checkout_in_a_folder_with_a_colon_is_read(tmp_path, monkeypatch):
    folder = tmp_path / "C:" / "configs"
    folder.mkdir(parents=True)
    shutil.copy(STANDARD, folder)
    monkeypatch.setattr(cli, "STANDARD", folder / STANDARD.name)
    file, rest = cli.config_path(["merjax", "--config.seed=3"])
    assert (file, rest) == (folder / STANDARD.name, ["merjax", "--config.seed=3"])
    assert config_file.config(file).model.afn.width == 8


def test_the_file_may_follow_its_flag_after_a_blank_and_the_last_one_counts(tmp_path):
    file = written(tmp_path, SMALL)
    for words in ([f"--config={file}"], ["--config", str(file)], ["-config", str(file)]):
        assert cli.config_path(["merjax", f"--config={STANDARD}", *words, "word"]) == (file, ["merjax", "word"])
    with pytest.raises(InputError, match=r"^--config= is no file; experiments that come with merjax are configs/"):
        cli.config_path(["merjax", "--config"])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"has no get_config\(\); it should define this function, which returns a config"),
        ("get_config = 3", "can't be loaded: TypeError: 'int' object is not callable"),
        ("def get_config(\n", "can't be loaded: SyntaxError: '\\(' was never closed"),
        ("raise SystemExit(0)", "can't be loaded: SystemExit: 0"),
        ("def get_config(): raise KeyError('a\\nb')", "can't be loaded: KeyError: 'a"),
        ("def get_config(a): pass", "can't be loaded: TypeError: get_config\\(\\) missing 1 required"),
        ("def get_config(): return {}", "gives a dict; it should give a ConfigDict, as config.default\\(\\) does"),
        ("def get_config(): pass", "gives a NoneType; it should give a ConfigDict"),
        ("x = '\0'", "can't be loaded: SyntaxError: source code string cannot contain null bytes"),
    ],
)
def test_a_file_that_gives_no_config_is_one_sentence(tmp_path, text, sentence):
    file = written(tmp_path, text)
    with pytest.raises(InputError, match=sentence) as error:
        config_file.config(file)
    assert f"--config={file} " in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("grid", "sentence"),
    [
        ("pass", "can't be loaded: TypeError: 'NoneType' object is not iterable"),
        ("return 3", "can't be loaded: TypeError: 'int' object is not iterable"),
        ("yield {}; raise ValueError('no')", "can't be loaded: ValueError: no"),
        ("return []", "must give dictionaries of changes by field, at least one"),
        ("return [{3: 4}]", "must give dictionaries of changes by field, at least one"),
        ("return 'ab'", "must give dictionaries of changes by field, at least one"),
    ],
)
def test_a_grid_that_is_none_is_one_sentence(tmp_path, grid, sentence):
    with pytest.raises(InputError, match=sentence):
        config_file.grid(written(tmp_path, f"def get_grid():\n    {grid}\n"))


def test_a_config_without_a_grid_is_refused():
    with pytest.raises(InputError, match=r"has no get_grid\(\); give it one, or train it with `merjax train`"):
        config_file.grid(STANDARD)


def test_a_grid_may_be_a_generator_and_a_file_is_read_anew_each_time(tmp_path):
    file = written(tmp_path, "def get_grid():\n    yield {'seed': 1}\n")
    assert config_file.grid(file) == [{"seed": 1}]
    written(tmp_path, "def get_grid():\n    yield {'seed': 2}\n")
    assert config_file.grid(file) == [{"seed": 2}]


@pytest.mark.parametrize("verb", ["train", "sweep", "prepare", "inputs", "build"])
def test_a_typo_in_a_config_file_ends_every_verb_that_takes_one(tmp_path, verb):
    file = written(tmp_path, SMALL.replace("c.train.epochs = ", "c.train.epoch = "))
    done = merjax(verb, f"--config={file}", f"--out={tmp_path / 'out'}", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: train.epoch is no field; the nearest is train.epochs\n"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]


def test_a_component_that_a_config_file_adds_can_be_changed_on_the_command_line(tmp_path):
    added = """
from merjax.models import MODELS
MODELS["mine"] = MODELS["linear"]
"""
    file = written(tmp_path, added + SMALL.replace('"linear"', '"mine"'))
    done = merjax(
        "prepare", f"--config={file}", "--config.model.mine.grid=7", "--config.model.mine.gird=7", cwd=tmp_path
    )
    assert done.stderr == "error: model.mine.gird is no field; the nearest is model.mine.grid\n"
    done = merjax("train", f"--config={file}", "--config.model.mine.grid=7", "--workdir=run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))["model"]["mine"] == {"grid": 7}


def test_groups_of_emotions_are_set_whole_on_the_command_line(tmp_path):
    groups = "--config.data.casme2.own={'pleasant': ('happiness',), 'other': ('disgust',)}"
    (tmp_path / "data").mkdir()
    done = merjax("build", "data", "--out=out", groups, "--config.data.name=casme2", cwd=tmp_path)
    assert done.stderr.endswith("data is empty; it should hold the files of a data set\n")
    done = merjax("build", "data", "--out=out", "--config.data.casme2.own.pleasant=3", cwd=tmp_path)
    assert done.stderr == "error: the config has no field pleasant\n"
