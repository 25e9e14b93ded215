"""Lifts a function of one fold over all folds and seeds, on all devices of all processes.

A run is a table of rows, one for each seed and fold. On a device, `map` trains rows one after another and is equal to a
loop bit for bit; `vmap` trains them side by side. `shard_map` and `shard_vmap` give each device its share of rows. Rows
never exchange anything, so the program holds no communication.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding
from jaxtyping import Array, Int, Key, PyTree

from merjax.types import Curves, Fold, Host, InputError, Rows, Samples, pick

WITHIN = {"map": "map", "vmap": "vmap", "shard_map": "map", "shard_vmap": "vmap"}  # on one device
STRATEGIES = ("auto", *WITHIN)
WAIT = 300  # seconds for all processes to appear
SILENCE = 30  # seconds until a process that does not answer counts as dead, and the others end too
FILLS = 1e10  # multiply-adds of a step that fill an accelerator by themselves; not measured


def join(how: str) -> None:
    """Makes this process one of several that train one run together; to be called before anything is computed.

    Args:
        how: "auto" where SLURM, a TPU pod or Open MPI tells who is who, else HOST:PORT,COUNT,NUMBER: the address of
            process 0, how many there are, and which one this is, from 0.

    Raises:
        InputError: neither, or the others can't be reached.
    """
    words = how.split(",")
    named: dict[str, Any] = {}
    if how != "auto":
        if not (len(words) == 3 and ":" in words[0] and words[1].isdigit() and words[2].isdigit()):
            raise InputError(f"--distributed={how} must be auto or HOST:PORT,COUNT,NUMBER, such as 10.0.0.1:9876,2,0")
        named = dict(coordinator_address=words[0], num_processes=int(words[1]), process_id=int(words[2]))
    try:
        jax.distributed.initialize(**named, initialization_timeout=WAIT, heartbeat_timeout_seconds=SILENCE)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"--distributed={how}: {' '.join(str(error).split())[:300]}") from error


def fix_kernels() -> None:
    """Has XLA take kernels of a GPU that give the same bits in every run, and none by trial on the card.

    To be called before anything is computed. Without it a kernel may add in any order, and the quickest of several is
    found anew by each process. A CPU and a TPU repeat their bits as they are.
    """
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true"


def strategy(how: str, work: int = 0) -> str:
    """Resolves "auto".

    On the CPU every core is a device that rows are mapped over (docs/scaling.md has the measurements). An accelerator
    takes rows side by side, since one fold of a small network can't fill it, unless a step of one fold does (OUR
    CHOICE; only the CPU was measured).

    Args:
        how: one of STRATEGIES.
        work: multiply-adds of a training step of one fold.

    Raises:
        InputError: an unknown strategy, or one of a single device where there are several processes.
    """
    pick(dict.fromkeys(STRATEGIES), "train.over_folds", how)
    if how == "auto":
        within = "map" if jax.default_backend() == "cpu" or work > FILLS else "vmap"
        return f"shard_{within}" if jax.device_count() > 1 else within
    if jax.process_count() > 1 and not how.startswith("shard_"):
        raise InputError(
            f"train.over_folds is '{how}', which uses one device, and {jax.process_count()} processes were started; "
            "take shard_map, shard_vmap or auto"
        )
    return how


def fold_mesh(how: str) -> Mesh:
    """The devices that rows are spread over: all of all processes for "shard_...", else the first."""
    devices = jax.devices() if how.startswith("shard_") else jax.local_devices()[:1]
    return Mesh(np.array(devices), ("fold",))


def table(seeds: tuple[int, ...], folds: Fold, inner: Sequence[Fold] = (), *, refit: bool = True) -> Rows:
    """Every fold under every seed, seed by seed.

    Args:
        seeds: of the run.
        folds: all folds, stacked.
        inner: where an epoch is chosen inside the fold, the folds to choose it by, for each seed (see `inner.inner`).
        refit: has the folds themselves too, to be trained for as long as was chosen; else those of `inner` alone.
    """
    blocks = [(seed, False, folds) for seed in seeds if refit or not inner]
    blocks += [(seed, True, one) for seed, one in zip(seeds, inner, strict=bool(inner))]
    wide = {name: max(getattr(one, name).shape[1] for _, _, one in blocks) for name in ("train", "test")}

    def widened(one: Fold) -> Fold:
        """Padded to the same number of rows; padding repeats row 0 of the samples under a false mask."""
        pad = {
            field: np.pad(getattr(one, field), ((0, 0), (0, wide[name] - getattr(one, field).shape[1])))
            for name in wide
            for field in (name, f"{name}_mask")
        }
        return one._replace(**pad)

    count = len(folds.subject)
    seed, is_inner = (np.repeat([block[i] for block in blocks], count) for i in (0, 1))
    stacked = jax.tree.map(lambda *a: np.concatenate(a), *(widened(one) for _, _, one in blocks))
    return Rows(seed.astype(np.int32), is_inner.astype(bool), stacked)


def averaged(curves: Curves, members: int, folds: int) -> Curves:
    """Curves of ensembles: the mean over the members of each, epoch by epoch.

    Args:
        curves: of all rows of a table, [epochs, r, ...].
        members: seeds of an ensemble, which follow one another in the table.
        folds: rows of a seed.
    """
    return Curves(
        *(a.reshape(len(a), -1, members, folds, *a.shape[2:]).mean(2).reshape(len(a), -1, *a.shape[2:]) for a in curves)
    )


def part(rows: Rows, first: int, chunk: int) -> Rows:
    """Some rows of a table, padded to a number of rows: padding repeats the first row with nothing to test."""
    some: Rows = jax.tree.map(lambda a: a[first : first + chunk], rows)
    extra = chunk - len(some.seed)
    some = jax.tree.map(lambda a: np.concatenate([a, np.repeat(a[:1], extra, 0)]), some)
    real = (np.arange(chunk) < chunk - extra)[:, None]
    return some._replace(fold=some.fold._replace(test_mask=some.fold.test_mask & real))


def row_key(seed: Any, subject: Any, inner: Any = False) -> Key[Array, ""]:
    """The key of one fold under one seed; it hangs on nothing else, such as the row's place in the table."""
    key = jax.random.fold_in(jax.random.key(seed), subject)
    return jax.numpy.where(inner, jax.random.fold_in(key, 0), key)


def place(tree: PyTree, mesh: Mesh, *, split: bool) -> PyTree:
    """Puts host arrays, the same in every process, on the mesh: rows split over devices, or all of it on each."""
    sharding = sharded(mesh) if split else whole(mesh)

    def put(a: Host) -> Array:
        a = np.asarray(a)
        return jax.make_array_from_callback(a.shape, sharding, lambda index: a[index])

    return jax.tree.map(put, tree)


def lines(samples: Samples) -> Samples:
    """Samples whose clips are one line of numbers each: the form in which they lie on a device.

    A TPU pads the last axis of an array to 128 numbers, and an image's last axis has three.
    """
    return samples._replace(x=samples.x.reshape(len(samples.x), -1))


def of_lines(one: Callable[..., PyTree], shape: tuple[int, ...]) -> Callable[..., PyTree]:
    """Lets a function whose last argument is `Samples` take them as `lines`; shape is [p h w c] of a clip."""

    def function(*arguments: PyTree) -> PyTree:
        *others, samples = arguments
        return one(*others, samples._replace(x=samples.x.reshape(-1, *shape)))

    return function


def shapes_of_rows(rows: Rows, mesh: Mesh) -> tuple[jax.ShapeDtypeStruct, Fold]:
    """Shapes of what `place_rows` gives; nothing is computed."""
    given = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, jax.dtypes.canonicalize_dtype(a.dtype)), rows)
    keys = jax.eval_shape(jax.vmap(row_key), given.seed, given.fold.subject, given.inner)
    return shapes((keys, given.fold), sharded(mesh))


def shapes(tree: PyTree, sharding: NamedSharding) -> PyTree:
    """The shapes of arrays, laid out over devices."""
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=sharding), tree)


def place_rows(rows: Rows, mesh: Mesh) -> tuple[Key[Array, " r"], Fold]:
    """Keys and folds of rows, as many as the devices of the mesh or a multiple, split over them."""
    seed, inner, fold = place(tuple(rows), mesh, split=True)
    return jax.jit(jax.vmap(row_key), out_shardings=sharded(mesh))(seed, fold.subject, inner), fold


def sharded(mesh: Mesh) -> NamedSharding:
    """Splits the leading axis over the devices."""
    return NamedSharding(mesh, jax.P("fold"))


def whole(mesh: Mesh) -> NamedSharding:
    """Lays the whole of an array on every device."""
    return NamedSharding(mesh, jax.P())


def fetch(array: Array) -> np.ndarray:
    """The rows of a split array that lie on this process's devices."""
    if array.is_fully_addressable:
        return np.asarray(array)
    shards = sorted(array.addressable_shards, key=lambda shard: shard.index[0].start or 0)
    return np.concatenate([np.asarray(shard.data) for shard in shards])


def spread(rows: Host, mesh: Mesh) -> Array:
    """The whole split array of which every process has the rows of its devices."""
    return jax.make_array_from_process_local_data(sharded(mesh), rows)


def gather(rows: Host, mesh: Mesh) -> np.ndarray:
    """All rows in every process, of which each has those of its devices; the one exchange of a run."""
    if jax.process_count() == 1:
        return np.asarray(rows)
    return np.asarray(multihost_utils.process_allgather(spread(rows, mesh), tiled=True))


def row_of(tree: PyTree, number: int) -> PyTree:
    """One row of a stacked tree, on the first local device; shapes alone if another process has the row.

    Args:
        tree: arrays with a leading axis of rows, split over devices or not.
        number: of the row.
    """
    leaf = jax.tree.leaves(tree)[0]
    bounds = [shard.index[0].indices(len(leaf))[:2] for shard in leaf.addressable_shards]
    place = next((i for i, (start, stop) in enumerate(bounds) if start <= number < stop), None)
    if place is None:
        return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), tree)
    part = jax.tree.map(lambda a: a.addressable_shards[place].data, tree)
    return jax.device_put(_pick(part, number - bounds[place][0]), jax.local_devices()[0])


@jax.jit
def _pick(tree: PyTree, number: int | Int[Array, ""]) -> PyTree:
    return jax.tree.map(lambda a: a[number], tree)


def over_folds(one: Callable[..., PyTree], how: str, mesh: Mesh) -> Callable[..., PyTree]:
    """Lifts one(*row, samples) over a leading axis of rows; samples are shared.

    Args:
        one: a pure function of one fold, whose last argument is `Samples`.
        how: a strategy other than "auto".
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

    lifted = {"map": mapped, "vmap": vmapped}[WITHIN[how]]

    def shared(*arguments: PyTree) -> PyTree:
        *rows, samples = arguments
        specs = (*(jax.P("fold") for _ in rows), jax.P())
        return jax.shard_map(lifted, mesh=mesh, in_specs=specs, out_specs=jax.P("fold"))(*rows, samples)

    return shared if how.startswith("shard_") else lifted
