"""A run that is killed, again and again, ends with the bits of one that was not."""

import re
import shutil
import signal
import socket
import time
from subprocess import TimeoutExpired

import numpy as np
import pytest
from test_run import SMALL, flags, program

EPOCHS = 600
CHANGES = SMALL | {
    "train.epochs": EPOCHS,
    "train.save_seconds": 0.2,
    "data.synthetic.subjects": 5,
    "model.name": "ststnet",
}
CHANGES |= {"input.name": "onset_apex", "train.chunk": 4}


def address():
    """A port of this machine that is free."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{held.getsockname()[1]}"


def undisturbed(folder, changes):
    out, error = program(f"--workdir={folder}", *flags(changes)).communicate(timeout=600)
    assert "going on" not in out, error
    return folder


def both(folder, place, changes):
    """Two processes that train one run."""
    return [program(f"--workdir={folder}", f"--distributed={place},2,{i}", *flags(changes)) for i in range(2)]


def assert_equal(one, other):
    for name in ("predictions.csv", "curves.csv", "subjects.csv"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    assert not list(one.glob("*.part"))


@pytest.mark.slow
def test_a_run_that_is_killed_at_twenty_random_moments(tmp_path):
    whole, cut = undisturbed(tmp_path / "whole", CHANGES), tmp_path / "cut"
    moments, kills = np.random.default_rng(0), 0
    for _ in range(200):
        process = program(f"--workdir={cut}", *flags(CHANGES))
        try:
            _, error = process.communicate(timeout=moments.uniform(2, 14))
        except TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
            continue
        assert process.returncode == 0, error
        if kills >= 20:
            break
        for path in (cut / "checkpoints").iterdir():  # too quick: a further round from the start
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert kills >= 20
    assert_equal(cut, whole)


@pytest.mark.slow
def test_one_of_two_processes_is_killed(tmp_path):
    changes = CHANGES | {"train.epochs": 200}
    whole, cut = undisturbed(tmp_path / "whole", changes), tmp_path / "cut"

    for victim in (1, 0):
        pair = both(cut, address(), changes)
        wait_for_a_save(cut, pair[victim])
        pair[victim].send_signal(signal.SIGKILL)
        pair[victim].communicate()
        pair[1 - victim].communicate(timeout=600)  # ends by itself, for the other is gone
        assert pair[1 - victim].returncode != 0
        assert not (cut / "scores.json").exists()
    for process in both(cut, address(), changes):
        _, error = process.communicate(timeout=900)
        assert process.returncode == 0, error
    assert_equal(cut, whole)


@pytest.mark.slow
@pytest.mark.parametrize("asked", [0, 1])
def test_one_of_two_processes_is_asked_to_end_and_both_save_the_same_epoch(tmp_path, asked):
    changes = CHANGES | {"train.epochs": 200}
    whole, cut = undisturbed(tmp_path / "whole", changes), tmp_path / "cut"
    pair = both(cut, address(), changes)
    wait_for_a_save(cut, pair[asked])
    pair[asked].send_signal(signal.SIGTERM)
    told = [process.communicate(timeout=300)[1] for process in pair]
    assert [process.returncode for process in pair] == [128 + signal.SIGTERM] * 2, told
    (epoch,) = {re.search(r"interrupted after epoch (\d+), which is saved", error)[1] for error in told}
    assert any(name.endswith(f"/{epoch}") for name in names(cut / "checkpoints"))
    assert not (cut / "scores.json").exists()
    for process in both(cut, address(), changes):
        _, error = process.communicate(timeout=900)
        assert process.returncode == 0, error
    assert_equal(cut, whole)


def test_two_processes_train_what_one_does(tmp_path):
    changes = CHANGES | {"train.epochs": 3}
    whole, place = undisturbed(tmp_path / "whole", changes), address()
    pair = [
        program(f"--workdir={tmp_path / 'pair'}", f"--distributed={place},2,{i}", *flags(changes)) for i in range(2)
    ]
    told = [process.communicate(timeout=300) for process in pair]
    assert [process.returncode for process in pair] == [0, 0], told
    assert "report:" in told[0][0]
    assert "report:" not in told[1][0]
    assert_equal(tmp_path / "pair", whole)


def wait_for_a_save(folder, process):
    """Until there is a checkpoint that was not there."""
    start, before = time.monotonic(), names(folder / "checkpoints")
    while names(folder / "checkpoints") == before:
        assert time.monotonic() - start < 120
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)


def names(folder):
    """Of all checkpoints."""
    return sorted(str(path) for path in folder.glob("rows_*/*") if path.name.isdigit())


@pytest.mark.parametrize(
    ("flag", "sentence"),
    [("here", "must be auto or HOST:PORT,COUNT,NUMBER"), ("127.0.0.1:1,2", "must be auto or HOST:PORT,COUNT,NUMBER")],
)
def test_a_wrong_address_is_one_sentence(tmp_path, flag, sentence):
    process = program(f"--workdir={tmp_path}", f"--distributed={flag}", *flags(SMALL))
    _, error = process.communicate(timeout=120)
    assert process.returncode == 2
    assert sentence in error
    process = program(f"--distributed={flag}", *flags(SMALL))
    assert "needs --workdir=FOLDER" in process.communicate(timeout=120)[1]
