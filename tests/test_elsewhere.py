"""The default run, made small, and what stands before it, with the answers of macOS and Windows put in."""

import json
import os
import subprocess
import sys

import pytest
from conftest import REPOSITORY

RUN = "import elsewhere, runpy, sys; sys.argv[0] = 'run.py'; runpy.run_path('run.py', None, '__main__')"
SMALL = {
    "data.synthetic.subjects": 2,
    "data.synthetic.clips_per_class": 1,
    "data.synthetic.size": 32,
    "train.epochs": 1,
    "model.afn.width": 4,
    "model.afn.blocks": (1,),
    "report.gallery": 1,
}


def as_on(system, *arguments):
    paths = [str(REPOSITORY / "tests"), str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"MERJAX_TEST_AS": system, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=300)


def small_run(system, folder):
    flags = [f"--config.{name}={value}" for name, value in SMALL.items()]
    done = as_on(system, RUN, *flags, f"--workdir={folder}")
    assert done.returncode == 0, done.stderr
    assert (folder / "report.html").is_file()
    return json.loads((folder / "scores.json").read_text(encoding="utf-8"))["whole"]


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    return small_run("", tmp_path_factory.mktemp("here") / "run")


@pytest.mark.parametrize("system", ["macos", "windows"])
def test_a_small_default_run_gives_the_scores_of_this_system(tmp_path, here, system):
    assert small_run(system, tmp_path / "run") == here


@pytest.mark.parametrize("system", ["macos", "windows"])
def test_the_answers_are_put_in_also_where_a_program_starts_another(system):
    ask = "import os, sys, psutil; from merjax import cli; print(cli.cores(), len(psutil.virtual_memory()))"
    done = as_on(system, f"import elsewhere, subprocess, sys; subprocess.run([sys.executable, '-c', {ask!r}])")
    assert done.stdout.split() == [str(os.cpu_count()), {"macos": "8", "windows": "5"}[system]], done.stderr
