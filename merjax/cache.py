"""Arrays kept on disk by what they were made of: the same content and recipe are computed once.

A key is a digest of the recipe (names, arguments, the source of `ops`, the version of jax) and of the bytes that go
in, so nothing ever has to be declared stale. Each file ends with a digest of itself: a broken one is noticed and made
again. The folder is $MERJAX_CACHE, by default merjax in the user's cache folder; an empty $MERJAX_CACHE keeps nothing.
It may be deleted at any time.
"""

import functools
import hashlib
import io
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np

from merjax.files import write_bytes
from merjax.types import InputError

DIGEST = 16  # bytes


def folder() -> Path | None:
    """Where arrays are kept; None for nowhere."""
    chosen = os.environ.get("MERJAX_CACHE")
    if chosen is not None:
        return Path(chosen).expanduser() if chosen else None
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "merjax"


def keep_programs() -> None:
    """Has jax keep compiled programs in `folder`, unless it has a place for them: one is compiled once for all runs."""
    place = folder()
    if place and not jax.config.values["jax_compilation_cache_dir"]:
        jax.config.update("jax_compilation_cache_dir", str(place / "jax"))


@functools.cache
def source() -> str:
    """A digest of the code that makes arrays: a changed formula is another recipe."""
    digest = hashlib.blake2b(digest_size=DIGEST)
    for path in sorted((Path(__file__).parent / "ops").glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def digest(content: Mapping[str, np.ndarray]) -> str:
    """A digest of arrays by name; shape and type count too."""
    found = hashlib.blake2b(digest_size=DIGEST)
    for name, array in content.items():
        found.update(f"{name} {array.dtype.str} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def key(recipe: Mapping[str, object], content: str) -> str:
    """The name of what a recipe makes of some arrays.

    Args:
        recipe: names and arguments, anything that JSON can write.
        content: `digest` of the arrays.
    """
    made_of = json.dumps([jax.__version__, source(), recipe, content], sort_keys=True)
    return hashlib.blake2b(made_of.encode(), digest_size=DIGEST).hexdigest()


def recall(name: str) -> np.ndarray | None:
    """The array of a key, or None if it was never kept or its file is broken."""
    place = folder()
    if place is None:
        return None
    path = place / name[:2] / f"{name}.npy"
    try:
        content = path.read_bytes()
    except OSError:
        return None
    body, digest = content[:-DIGEST], content[-DIGEST:]
    if hashlib.blake2b(body, digest_size=DIGEST).digest() != digest:
        print(f"{path} is broken and is made again", file=sys.stderr)
        return None
    return np.load(io.BytesIO(body), allow_pickle=False)


def keep(name: str, array: np.ndarray) -> None:
    """Keeps the array of a key.

    Raises:
        InputError: the folder can't be written.
    """
    place = folder()
    if place is None:
        return
    path = place / name[:2] / f"{name}.npy"
    body = io.BytesIO()
    np.save(body, array, allow_pickle=False)
    content = body.getvalue()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content + hashlib.blake2b(content, digest_size=DIGEST).digest())
    except OSError as error:
        raise InputError(
            f"{path} can't be written ({error.strerror}); set MERJAX_CACHE to a folder that can, or to nothing"
        ) from error
