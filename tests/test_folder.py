"""A folder of results: only merjax's own files are touched, and one process works in it at a time."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from merjax.folder import LIST, LOCK, MARK, Folder, new_folder
from merjax.types import InputError


def content(root):
    """Every file and folder below a folder, with the bytes of files."""
    return {path.relative_to(root).as_posix(): path.is_file() and path.read_bytes() for path in root.rglob("*")}


def lock_of(pid, **other):
    created = psutil.Process(pid).create_time() if psutil.pid_exists(pid) else 1.0
    return MARK | {"host": socket.gethostname(), "process": pid, "created": created, "started": "today"} | other


def test_only_listed_files_are_replaced_and_removed(tmp_path):
    with Folder(tmp_path / "run") as folder:
        for name in ("a.txt", "figures/b.svg", "figures/c.svg"):
            folder.own(name).write_text("merjax")
        (tmp_path / "run" / "figures" / "mine.svg").write_text("mine")
        with pytest.raises(InputError, match=r"mine\.svg is not on merjax's list of its own files; move it"):
            folder.own("figures/mine.svg")
    with Folder(tmp_path / "run") as folder:
        folder.own("a.txt").write_text("merjax again")
        folder.remove(folder.files)
    assert content(tmp_path / "run") == {
        LIST: (json.dumps(MARK | {"files": []}, indent=2) + "\n").encode(),
        "figures": False,
        "figures/mine.svg": b"mine",
    }


def test_a_folder_of_files_is_listed_as_a_whole_and_then_file_by_file(tmp_path):
    folder = Folder(tmp_path)
    place = folder.own("saves/1/")
    place.mkdir()
    (place / "half").write_text("merjax")
    again = Folder(tmp_path)
    again.settle("saves/1/")
    assert again.files == {"saves/1/half"}
    (place / "mine").write_text("mine")
    again.remove(["saves/"])
    assert [path.name for path in (tmp_path / "saves").rglob("*")] == ["1", "mine"]
    with pytest.raises(InputError, match=r"saves/1 is not on merjax's list|saves.1 is not on"):
        again.own("saves/1/")


def test_a_begun_folder_goes_with_what_was_cut_off(tmp_path):
    folder = Folder(tmp_path)
    (folder.own("saves/1/")).mkdir()
    for name in ("saves/1/half", "saves/1.orbax-checkpoint-tmp-9/half"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("merjax")
    Folder(tmp_path).remove(["saves/"])
    assert [path.name for path in tmp_path.iterdir()] == [LIST]


def test_a_foreign_folder_is_refused_and_stays_as_it_is(tmp_path):
    for name in ("config.json", "scores.json", "report.html", "figures/loss.svg", "checkpoints/rows_0_to_3/end/data"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine")
    before = content(tmp_path)
    with pytest.raises(InputError, match=r"holds files that merjax did not write, such as checkpoints; name a folder"):
        Folder(tmp_path)
    for files in ({}, {"files": 3}, {"files": ["../mine"]}, {"files": ["/mine"]}, {"files": [""]}, {"files": [None]}):
        (tmp_path / LIST).write_text(json.dumps(MARK | files))
        with pytest.raises(InputError, match=r"manifest\.json is not as merjax wrote it"):
            Folder(tmp_path)
    (tmp_path / LIST).unlink()
    assert content(tmp_path) == before
    with pytest.raises(InputError, match=r"config\.json can't be made a folder"):
        Folder(tmp_path / "config.json")


def test_hidden_files_of_the_system_are_no_reason_to_refuse(tmp_path):
    (tmp_path / ".DS_Store").write_text("finder")
    with Folder(tmp_path) as folder:
        folder.own("a.txt").write_text("merjax")
    assert sorted(content(tmp_path)) == [".DS_Store", "a.txt", LIST]


def test_what_killed_processes_left_half_written_is_removed(tmp_path):
    folder = Folder(tmp_path)
    folder.own("figures/a.svg").write_text("whole")
    rest = ["figures/a.svg.77.part", f"{LIST}.77.part", f"{LOCK}.77.part"]
    foreign = ["figures/other.svg.77.part", "figures/a.svg.part", "thesis.77.part"]
    for name in (*rest, *foreign):
        (tmp_path / name).write_text("half")
    with Folder(tmp_path) as again:
        assert all((tmp_path / name).exists() for name in rest)  # nothing is touched before the run may begin
        again.clean()
    assert sorted(name for name, one in content(tmp_path).items() if one == b"half") == sorted(foreign)


def test_nothing_is_left_of_a_new_folder_in_which_nothing_was_written(tmp_path):
    with Folder(tmp_path / "run"):
        assert [path.name for path in (tmp_path / "run").iterdir()] == [LOCK]
    assert not (tmp_path / "run").exists()
    with Folder(tmp_path):
        pass
    assert tmp_path.exists()


def test_a_second_process_is_refused_and_told_of_the_first(tmp_path):
    with Folder(tmp_path) as folder:
        folder.own("a.txt").write_text("merjax")
        before = content(tmp_path)
        with pytest.raises(InputError) as error, Folder(tmp_path):
            pass
        lock = json.loads((tmp_path / LOCK).read_text())
        for word in (str(os.getpid()), lock["host"], lock["started"], "wait for its end, or name another folder"):
            assert word in str(error.value)
        assert content(tmp_path) == before


@pytest.mark.parametrize(
    ("lock", "alive"),
    [
        (lambda: lock_of(os.getpid()), True),
        (lambda: lock_of(os.getpid(), created=1.0), False),  # another process had this number before
        (lambda: lock_of(2**22 + 1), False),
    ],
)
def test_a_dead_process_leaves_no_lock(tmp_path, lock, alive):
    path = tmp_path / LOCK
    path.write_text(json.dumps(lock()))
    if alive:
        with pytest.raises(InputError, match="is in use by process"), Folder(tmp_path):
            pass
    else:
        with Folder(tmp_path):
            assert json.loads(path.read_text())["process"] == os.getpid()


@pytest.mark.parametrize("beats", [True, False])
def test_a_process_of_another_machine_is_alive_if_it_gives_signs(tmp_path, monkeypatch, capsys, beats):
    monkeypatch.setattr("merjax.folder.WATCH", 2.0)
    path, ended = tmp_path / LOCK, threading.Event()
    path.write_text(json.dumps(lock_of(1, host="elsewhere")))

    def beat():
        while not ended.wait(0.05):
            os.utime(path)

    other = threading.Thread(target=beat)
    if beats:
        other.start()
        with pytest.raises(InputError, match="is in use by process 1 of elsewhere"), Folder(tmp_path):
            pass
        ended.set()
        other.join()
    else:
        with Folder(tmp_path):
            assert json.loads(path.read_text())["host"] == socket.gethostname()
    assert "was in use by process 1 of elsewhere; watching it for 2 s" in capsys.readouterr().out


def test_a_process_of_another_machine_that_has_been_silent_for_long_is_not_watched(tmp_path, capsys):
    path = tmp_path / LOCK
    path.write_text(json.dumps(lock_of(1, host="elsewhere")))
    os.utime(path, (time.time() - 700, time.time() - 700))
    with Folder(tmp_path):
        assert json.loads(path.read_text())["host"] == socket.gethostname()
    assert capsys.readouterr().out == ""


def test_a_process_at_work_gives_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr("merjax.folder.BEAT", 0.02)
    with Folder(tmp_path):
        os.utime(tmp_path / LOCK, (1.0, 1.0))
        start = time.monotonic()
        while (tmp_path / LOCK).stat().st_mtime == 1.0:
            assert time.monotonic() - start < 10
            time.sleep(0.02)


@pytest.mark.parametrize("words", ["", "[]", "{}", json.dumps(MARK)])
def test_a_foreign_lock_file_is_refused_and_stays(tmp_path, words):
    with Folder(tmp_path) as folder:
        folder.own("a.txt").write_text("merjax")
    (tmp_path / LOCK).write_text(words)
    with pytest.raises(InputError, match=r"lock\.json is no lock of merjax"), Folder(tmp_path):
        pass
    assert (tmp_path / LOCK).read_text() == words


def test_of_many_processes_that_find_a_dead_lock_one_gets_the_folder(tmp_path):
    (tmp_path / LOCK).write_text(json.dumps(lock_of(2**22 + 1)))
    program = (
        "import sys, time; from merjax.folder import Folder; from merjax.types import InputError\n"
        "try:\n"
        "    with Folder(sys.argv[1]): print('in', flush=True); time.sleep(4)\n"
        "except InputError as error: print('out' if 'is in use' in str(error) else error, flush=True)"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert sorted(process.communicate(timeout=60)[0].strip() for process in started) == ["in", "out", "out", "out"]


def test_two_folders_of_one_name_get_numbers(tmp_path):
    made = [new_folder(tmp_path / "runs" / "afn").name for _ in range(3)]
    assert made == ["afn", "afn-2", "afn-3"]
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't be made a folder"):
        new_folder(tmp_path / "file" / "afn")


def test_other_processes_of_a_run_write_neither_list_nor_lock(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "a.txt").write_text("of the first process")
    Folder(tmp_path / "results", writes=False).check(["a.txt"])
    with Folder(tmp_path / "run", writes=False) as folder:
        assert folder.own("a/b.txt") == Path(tmp_path / "run" / "a" / "b.txt")
        folder.remove(["a/"])
    assert not (tmp_path / "run").exists()
