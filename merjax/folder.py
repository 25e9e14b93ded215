"""A folder that merjax writes in: the list of its own files there, and the lock of the process at work.

Only files on that list are ever replaced or removed. A name is listed before its file appears, so that what a killed
process leaves is on the list too. A folder that holds files but no list is somebody else's, and is refused.
"""

import itertools
import json
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any

import psutil

from merjax.files import write_json
from merjax.types import InputError

LIST, LOCK = "manifest.json", "lock.json"
MARK = {"written by": "merjax"}
BEAT = 20.0  # seconds between two signs of life of a process at work
WATCH = 90.0  # seconds that a process of another machine is watched for one; network disks show changes late
OLD = 600.0  # seconds without one after which it need not be watched; clocks of machines differ by less


class Folder:
    """A folder of results; as a context it is locked, so that no other process works in it.

    Args:
        path: of the folder; made with its first file.
        writes: False in processes that share the folder with the one that keeps list and lock.

    Raises:
        InputError: the path is no folder, or the folder is somebody else's.
    """

    def __init__(self, path: str | Path, *, writes: bool = True) -> None:
        self.path, self.writes = Path(path).absolute(), writes
        self.run: dict[str, Any] = {}  # what the run in it is made of, see `fingerprint`; part of every save
        self.files = self._listed() if writes else set()
        self._ended, self._new, self._mine = threading.Event(), False, dict[str, Any]()

    def __enter__(self) -> "Folder":
        if self.writes:
            self._lock()
            self.files = self._listed()  # as the process before left it
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.writes:
            self._ended.set()
            if _read(self.path / LOCK) == self._mine:
                (self.path / LOCK).unlink(missing_ok=True)
            if self._new and not self.files:
                remove_empty(self.path)

    def own(self, name: str) -> Path:
        """The path of a file that is about to be written; it goes on the list, and its folder is made.

        Args:
            name: of the file, relative to the folder. A name that ends in "/" is that of a folder whose whole content
                is merjax's until `settle`.

        Raises:
            InputError: somebody else's file has that name, or its folder can't be made.
        """
        path = self.path / name
        if not self.writes:
            return path
        if name not in self.files:
            self.check([name])
            self._list(self.files | {name})
        _make(path.parent)
        return path

    def check(self, names: Iterable[str]) -> None:
        """Refuses names that somebody else's files have.

        Raises:
            InputError: one of them has.
        """
        for name in names if self.writes else ():
            if name not in self.files and os.path.lexists(self.path / name):
                raise InputError(
                    f"{self.path / name} is not on merjax's list of its own files; move it out of the folder first"
                )

    def settle(self, name: str) -> None:
        """Lists the files of a folder that was begun as `name` and is complete, in place of the folder."""
        if self.writes:
            below = (self.path / name).rglob("*")
            self._list(
                self.files - {name} | {path.relative_to(self.path).as_posix() for path in below if path.is_file()}
            )

    def remove(self, names: Iterable[str]) -> None:
        """Removes files of the list, and the folders that are empty then; "a/" stands for all that is listed below."""
        if not self.writes:
            return
        names = tuple(names)
        below = tuple(name for name in names if name.endswith("/"))
        gone = {file for file in self.files if file in names or file.startswith(below)}
        for file in sorted(gone):
            path = self.path / file
            if file.endswith("/"):
                shutil.rmtree(path, ignore_errors=True)
                for unfinished in path.parent.glob(f"{path.name}.orbax-checkpoint-tmp*"):
                    shutil.rmtree(unfinished, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            for above in path.parents:
                if above == self.path:
                    break
                remove_empty(above)
        self._list(self.files - gone)

    def _list(self, files: set[str]) -> None:
        if files != self.files:
            _make(self.path)
            write_json(self.path / LIST, MARK | {"files": sorted(files)})
            self.files = files

    def _listed(self) -> set[str]:
        """The files on the list; none in a folder that is new or empty.

        Raises:
            InputError: the list is damaged, or there is none where there are files.
        """
        path = self.path / LIST
        try:
            there = sorted(os.listdir(self.path))
        except FileNotFoundError:
            return set()
        except OSError as error:
            raise InputError(f"{self.path} can't be made a folder: {error.strerror}; name another") from error
        if LIST in there:
            content = _read(path)
            if (
                content is None
                or not isinstance(content.get("files"), list)
                or not all(map(_is_below, content["files"]))
            ):
                raise InputError(
                    f"{path} is not as merjax wrote it, so that its own files can't be told from others; name another "
                    "folder"
                )
            return set(content["files"])
        # A lock alone is that of a process before its first file; `_lock` looks whose it is.
        foreign = [
            name for name in there if name != LOCK and not name.startswith(".") and not _is_rest(name, {LIST, LOCK})
        ]
        if foreign:
            raise InputError(
                f"{self.path} holds files that merjax did not write, such as {foreign[0]}; name a folder that is new, "
                "empty or from merjax"
            )
        return set()

    def _lock(self) -> None:
        """Makes this process the one at work.

        Raises:
            InputError: another one is.
        """
        self._new = not self.path.exists()
        _make(self.path)
        me, path = psutil.Process(), self.path / LOCK
        self._mine = mine = MARK | {
            "host": socket.gethostname(),
            "process": me.pid,
            "created": me.create_time(),
            "started": time.strftime("%Y-%m-%d %H:%M:%S"),
        }
        try:
            with path.open("x", encoding="utf-8") as file:
                json.dump(mine, file)
        except FileExistsError:
            other = _read(path) or _read(path, wait=0.5)  # another process may be writing it just now
            if other is None or not other.keys() >= mine.keys():
                raise InputError(f"{path} is no lock of merjax; move it out of the folder first") from None
            if _is_alive(other, path):
                raise InputError(
                    f"{self.path} is in use by process {other['process']} of {other['host']}, which began at "
                    f"{other['started']}; wait for its end, or name another folder"
                ) from None
            write_json(path, mine)
            time.sleep(0.2)  # of two processes that found the same dead one, the later stays
            if _read(path) != mine:
                return self._lock()
        except OSError as error:
            raise InputError(f"{self.path} can't be written in: {error.strerror}; name another folder") from error
        threading.Thread(target=self._live, daemon=True).start()
        return None

    def _live(self) -> None:
        while not self._ended.wait(BEAT):
            try:
                os.utime(self.path / LOCK)
            except OSError:  # the disk may be back at the next beat
                continue

    def clean(self) -> None:
        """Removes what processes that were killed left of files they were writing."""
        for folder in {(self.path / name).parent for name in (*self.files, LIST)}:
            own = {name.rpartition("/")[2] for name in self.files if (self.path / name).parent == folder}
            for name in os.listdir(folder) if folder.is_dir() else ():
                if _is_rest(name, own | {LIST, LOCK} if folder == self.path else own):
                    (folder / name).unlink(missing_ok=True)


def new_folder(path: Path) -> Path:
    """Makes a folder that was not there, with a number after its name if the name is taken.

    Raises:
        InputError: it can't be made.
    """
    for free in numbered(path):
        try:
            free.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise InputError(f"{free} can't be made a folder: {error.strerror}") from error
        return free
    raise AssertionError("there is always a further number")


def numbered(path: Path) -> Iterator[Path]:
    """A path, then the same with -2, -3 and so on after its name."""
    yield path
    yield from (path.with_stem(f"{path.stem}-{number}") for number in itertools.count(2))


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path} can't be made a folder: {error.strerror}; name another") from error


def remove_empty(path: Path) -> None:
    """Removes a folder if nothing is in it."""
    try:
        path.rmdir()
    except OSError:  # it holds something, or is gone
        return


def _is_below(name: Any) -> bool:
    """Whether a name on a list leads to a place in the folder, as all that merjax writes do."""
    return (
        isinstance(name, str) and name != "" and not PurePath(name).is_absolute() and ".." not in PurePath(name).parts
    )


def _is_rest(name: str, files: set[str]) -> bool:
    """Whether a name is that of a file of these while it is written, see `files.write_bytes`."""
    match = re.fullmatch(r"(.+)\.\d+\.part", name)
    return match is not None and match[1] in files


def _read(path: Path, wait: float = 0.0) -> dict[str, Any] | None:
    """A list or lock of merjax; None if it is absent or something else."""
    time.sleep(wait)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and content.items() >= MARK.items() else None


def _is_alive(lock: dict[str, Any], path: Path) -> bool:
    """Whether the process that a lock names still runs."""
    try:
        if lock["host"] != socket.gethostname():
            return _gives_signs(lock, path)
        process = psutil.Process(lock["process"])
        return abs(process.create_time() - lock["created"]) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.AccessDenied:
        return True
    except (psutil.Error, OSError):
        return False


def _gives_signs(lock: dict[str, Any], path: Path) -> bool:
    """Whether a process of another machine still touches its lock."""
    before, began = path.stat().st_mtime, time.monotonic()
    if time.time() - before > OLD:
        return False
    print(
        f"{path.parent} was in use by process {lock['process']} of {lock['host']}; watching it for {WATCH:g} s",
        flush=True,
    )
    while time.monotonic() < began + WATCH:
        time.sleep(WATCH / 100)
        if path.stat().st_mtime != before:
            return True
    return False
