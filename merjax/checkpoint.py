"""Saves and restores a run with Orbax, in the background. A kill during a write leaves the save before."""

import logging
import shutil
from pathlib import Path
from typing import Any

import jax
from jaxtyping import PyTree
from orbax.checkpoint import v1 as ocp

from merjax.types import InputError

logging.getLogger("absl").setLevel(logging.CRITICAL)  # Orbax prints tracebacks of what `wait` says in one sentence
END = "end"  # the save of what a finished training leaves


class Keeper:
    """Keeps the last save of one part of a run in a folder; every process of the run makes its own.

    Args:
        folder: where saves lie; made with the first.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.running: tuple[str, Any] | None = None

    def last(self) -> str | None:
        """The name of the last complete save: a number of epochs, END, or None without any."""
        names = [path.name for path in self.folder.iterdir()] if self.folder.exists() else []
        whole = [name for name in names if name == END or name.isdigit()]
        return max(whole, key=lambda name: (name == END, int(name) if name.isdigit() else 0), default=None)

    def load(self, name: str, like: PyTree) -> PyTree:
        """A save.

        Args:
            name: from `last`.
            like: arrays or ShapeDtypeStructs of the shapes and shardings expected.

        Raises:
            InputError: the save holds another tree than `like`, or is damaged.
        """
        shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=a.sharding), like)
        try:
            return ocp.load(self.folder / name, shapes)
        except Exception as error:  # Orbax and its store raise what they like
            raise InputError(
                f"{self.folder / name} can't be read as this run's checkpoint, it is damaged or of other folds or "
                "another network; give another --workdir, or begin anew with --resume=false"
            ) from error

    def save(self, name: str, tree: PyTree) -> None:
        """Begins to write a tree, of which a copy is taken; then the caller may change it."""
        self.wait()
        try:
            self.running = name, ocp.save_async(self.folder / name, tree, overwrite=True)
        except Exception as error:
            raise self.failed(name, error) from error

    def wait(self) -> None:
        """Waits until the last save is whole, and only then removes those before it.

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
        if jax.process_index() == 0:
            for path in self.folder.iterdir():
                if path.name != name:
                    shutil.rmtree(path, ignore_errors=True)

    def failed(self, name: str, error: Exception) -> InputError:
        """What to tell of a save that could not be written."""
        before = self.last()
        kept = f"the one of {told(before)} is whole" if before else "there is none before it"
        full = "the disk is full" if "No space left" in str(error) else " ".join(str(error).split())[:200]
        return InputError(
            f"{self.folder}: the checkpoint of {told(name)} can't be written, {full}; {kept}: make room and give the "
            "same command again"
        )


def told(name: str) -> str:
    """The name of a save in words."""
    return "the end" if name == END else f"epoch {name}"
