"""Lifts a function of one fold over all folds and seeds, in one compiled program.

A run is a table of rows, one for each seed and fold. `map` trains the rows one after another and is equal to a loop
bit for bit; `vmap` trains them side by side; `shard_map` gives each device its share of rows and maps over it. Rows
never exchange anything, so the program holds no communication.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jaxtyping import Array, Key, PyTree

from merjax.types import Fold, pick

STRATEGIES = ("auto", "map", "vmap", "shard_map")


def strategy(how: str) -> str:
    """Resolves "auto": `shard_map` where there are several devices, else `map`.

    Meant for the CPU with one device for every core; what is best elsewhere was not measured.

    Raises:
        InputError: an unknown strategy.
    """
    pick(dict.fromkeys(STRATEGIES), "train.over_folds", how)
    if how != "auto":
        return how
    return "shard_map" if jax.local_device_count() > 1 else "map"


def fold_mesh(how: str) -> Mesh:
    """The devices that rows are spread over: all for "shard_map", else the first."""
    devices = jax.local_devices() if how == "shard_map" else jax.local_devices()[:1]
    return Mesh(np.array(devices), ("fold",))


def table(seeds: tuple[int, ...], folds: Fold, mesh: Mesh) -> tuple[Key[Array, " r"], Fold]:
    """Keys and folds of every row, seed by seed, padded to a multiple of the devices.

    A row's key comes from its seed and its subject alone, never from its place in the table. Padding repeats the
    first fold with nothing to test.
    """
    count = len(seeds) * len(folds.subject)
    extra = -count % mesh.size
    tiled = jax.tree.map(lambda a: np.concatenate([a] * len(seeds) + [a[:1]] * extra), folds)
    tiled = tiled._replace(test_mask=tiled.test_mask & (np.arange(count + extra) < count)[:, None])
    seed = np.concatenate([np.repeat(np.array(seeds), len(folds.subject)), np.repeat(seeds[:1], extra)])
    return jax.vmap(row_key)(jnp.asarray(seed), jnp.asarray(tiled.subject)), tiled


def row_key(seed: Any, subject: Any) -> Key[Array, ""]:
    """The key of one fold under one seed."""
    return jax.random.fold_in(jax.random.key(seed), subject)


def place(tree: PyTree, mesh: Mesh, *, split: bool) -> PyTree:
    """Puts a tree on the mesh: rows split over devices, or all of it on each."""
    return jax.device_put(tree, NamedSharding(mesh, jax.P("fold") if split else jax.P()))


def over_folds(one: Callable[..., PyTree], how: str, mesh: Mesh) -> Callable[..., PyTree]:
    """Lifts one(*row, samples) over a leading axis of rows; samples are shared.

    Args:
        one: a pure function of one fold, whose last argument is `Samples`.
        how: "map", "vmap" or "shard_map".
        mesh: from `fold_mesh`.

    Returns:
        A function of stacked rows and `Samples`, to be jitted.
    """

    def mapped(*arguments: PyTree) -> PyTree:
        *rows, samples = arguments
        return jax.lax.map(lambda row: one(*row, samples), tuple(rows))

    def vmapped(*arguments: PyTree) -> PyTree:
        *rows, samples = arguments
        return jax.vmap(lambda *row: one(*row, samples))(*rows)

    def sharded(*arguments: PyTree) -> PyTree:
        *rows, samples = arguments
        specs = (*(jax.P("fold") for _ in rows), jax.P())
        return jax.shard_map(mapped, mesh=mesh, in_specs=specs, out_specs=jax.P("fold"))(*rows, samples)

    return {"map": mapped, "vmap": vmapped, "shard_map": sharded}[how]
