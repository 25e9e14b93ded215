"""Saves and restores a run with Orbax, in the background. A kill during a write leaves the save before.

Every save has a seal: what the run is made of (see `fingerprint`) and a digest of each of its files, for a disk can
change a bit, and Orbax would load other numbers without a word. A save whose seal is broken is passed over.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import zip_longest
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import PyTree
from orbax.checkpoint import v1 as ocp

from merjax import fingerprint
from merjax.files import write_json
from merjax.folder import Folder
from merjax.types import InputError

logging.getLogger("absl").setLevel(logging.CRITICAL)  # Orbax prints tracebacks of what `wait` says in one sentence
END = "end"  # the save of what a finished training leaves
SEAL = "seal.json"
OCP = ocp.Context()
# Compressed weights are hardly smaller (8 %), take 2.5 times as long to write, and leave as much memory taken again.
OCP.array_options.saving.use_compression = False


class Keeper:
    """Keeps the last two saves of some trainings, or the one of their end; every process of the run makes its own.

    Args:
        folder: of the run.
        name: of the folder of these saves in it; made with the first.
    """

    def __init__(self, folder: Folder, name: str) -> None:
        self.folder, self.name = folder, name
        self.place = folder.path / name
        self.running: tuple[str, Future] | None = None
        self.thread = ThreadPoolExecutor(1)
        self.checked = ""  # the save whose seal was found whole, or made, by this process

    def names(self) -> list[str]:
        """The names of complete saves, the newest first: END or a number of epochs."""
        found = [path.parent.name for path in self.place.glob(f"*/{SEAL}")]
        whole = [name for name in found if name == END or name.isdigit()]
        return sorted(whole, key=lambda name: (name == END, int(name) if name.isdigit() else 0), reverse=True)

    def restore(self, like: Callable[[str], PyTree], say: Callable[[str], None]) -> tuple[str, PyTree] | None:
        """The newest save that is whole, with its name; None if there is none.

        Args:
            like: gives arrays or ShapeDtypeStructs of the shapes and shardings of a save by its name.
            say: is given a sentence on every save that is passed over.
        """
        names = self.names()
        for name, before in zip_longest(names, names[1:]):
            try:
                return name, self.load(name, like(name))
            except InputError as error:
                way = f"going on from that of {described(before)}" if before else "these trainings begin anew"
                say(f"{error}; {way}")
        return None

    def load(self, name: str, like: PyTree) -> PyTree:
        """A save.

        Args:
            name: from `names`.
            like: arrays or ShapeDtypeStructs of the shapes and shardings expected.

        Raises:
            InputError: the save is damaged, of another run, or of another tree.
        """
        self.check(name)
        shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=a.sharding), like)
        try:
            return ocp.load(self.place / name, shapes)
        except Exception as error:  # Orbax and its store raise what they like
            raise InputError(f"{self.place / name} can't be read as a save of this run's networks") from error

    def check(self, name: str) -> None:
        """Compares the files of a save with its seal; the first process does, for all.

        Raises:
            InputError: they differ, or the save is of another run.
        """
        if name == self.checked:
            return
        path, reason = self.place / name, ""
        if jax.process_index() == 0:
            seal = read_seal(path / SEAL)
            if seal is None or not seal["files"].items() <= digests(path).items():
                reason = "is damaged: its files are not those that were saved"
            elif self.folder.run and not fingerprint.same(seal["run"], self.folder.run):
                reason = "is not a save of this run"
        if multihost_utils.broadcast_one_to_all(np.int32(bool(reason))):
            raise InputError(f"{path} {reason or 'is damaged or of another run'}")
        self.checked = name

    def save(self, name: str, tree: PyTree) -> None:
        """Begins to write a tree, of which a copy is taken; then the caller may change it."""
        self.wait()
        self.folder.remove([f"{self.name}/{name}/"])  # a damaged save of that name
        path = self.folder.own(f"{self.name}/{name}/")
        try:
            with OCP:
                writing = ocp.save_async(path, tree, overwrite=True)
        except Exception as error:
            raise self.failed(name, error) from error
        self.running = name, self.thread.submit(self.seal, path, writing.result)

    def seal(self, path: Path, wait: Callable[[], None]) -> None:
        """Waits until a save is written, and seals it."""
        wait()
        if self.folder.writes:
            write_json(path / SEAL, {"run": self.folder.run, "files": digests(path)})

    def wait(self) -> None:
        """Waits until the last save is whole, and only then removes those before it but one.

        Raises:
            InputError: it can't be written.
        """
        if self.running is None:
            return
        (name, writing), self.running = self.running, None
        try:
            writing.result()
        except Exception as error:
            raise self.failed(name, error) from error
        self.checked = name
        self.folder.settle(f"{self.name}/{name}/")
        kept = 1 if name == END else 2
        self.folder.remove(f"{self.name}/{old}/" for old in self.names()[kept:])

    def failed(self, name: str, error: Exception) -> InputError:
        """The error for a save that could not be written."""
        before = next((other for other in self.names() if other != name), None)
        kept = f"the one of {described(before)} is whole" if before else "there is none before it"
        full = "the disk is full" if "No space left" in str(error) else " ".join(str(error).split())[:200]
        return InputError(
            f"{self.place}: the checkpoint of {described(name)} can't be written, {full}; {kept}: "
            "make room and give the same command again"
        )


def read_seal(path: Path) -> dict | None:
    """The seal of a save; None if it is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = isinstance(found, dict) and "run" in found and isinstance(found.get("files"), dict) and found["files"]
    return found if whole else None


def runs_saved(folder: Folder) -> Iterator[dict | None]:
    """The fingerprints in the saves of a folder; None for one that is damaged."""
    for path in sorted(folder.path.glob(f"checkpoints/*/*/{SEAL}")):
        seal = read_seal(path)
        yield seal["run"] if seal and fingerprint.is_whole(seal["run"]) else None


def digests(path: Path) -> dict[str, str]:
    """A digest of every file of a save but its seal, by name; "" of one that can't be read."""
    found = {}
    for file in sorted(path.rglob("*")):
        if file.is_file() and file != path / SEAL:
            name = file.relative_to(path).as_posix()
            try:
                with file.open("rb") as content:
                    found[name] = hashlib.file_digest(content, "sha256").hexdigest()
            except OSError:
                found[name] = ""
    return found


def described(name: str) -> str:
    """A save in words."""
    return "the end" if name == END else f"epoch {name}"
