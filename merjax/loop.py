"""Trains all folds under all seeds, epoch by epoch: one compiled program, checkpoints, a progress bar, exact resume.

Afterwards it looks inside the networks that came of it, a few clips at a time.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import flax.linen as nn
import jax
import numpy as np
import optax
from jaxtyping import Array, Int, PyTree
from tqdm import tqdm

from merjax import checkpoint, parallel, train
from merjax.models import inside
from merjax.types import Curves, Fold, Samples, State


def train_all(
    folds: Fold,
    samples: Samples,
    seeds: tuple[int, ...],
    *,
    net: nn.Module,
    tx: optax.GradientTransformation,
    epoch: Callable[..., tuple[State, Curves]],
    epochs: int,
    average: float,
    how: str,
    folder: Path,
    save_seconds: float,
    start: PyTree | None = None,
) -> tuple[Curves, State, float]:
    """Trains every fold under every seed; goes on from the last checkpoint in `folder`.

    Args:
        folds: all folds, stacked.
        samples: all clips.
        seeds: one run of all folds for each.
        net: the network.
        tx: the optimiser.
        epoch: `train.epoch` with its recipe bound.
        epochs: how many to train.
        average: see `train.averaged`.
        how: strategy over folds, see `parallel`.
        folder: of the checkpoints.
        save_seconds: time between checkpoints; one is written after the last epoch in any case.
        start: weights that all folds begin from, see `train.begin_from`; None for random ones.

    Returns:
        Curves with leading axes [epochs, r * f] (seed by seed), the states after the last epoch, [r * f] and padding,
        still on their devices, and the seconds spent on compiling.
    """
    mesh = parallel.fold_mesh(how)
    keys, rows = parallel.place(parallel.table(seeds, folds, mesh), mesh, split=True)
    samples = parallel.place(samples, mesh, split=False)
    count = len(seeds) * len(folds.subject)
    print(
        f"{type(net).__name__}: {len(folds.subject)} folds x {len(seeds)} seed(s), {epochs} epochs, "
        f"{how} on {mesh.size} {jax.default_backend()} device(s); compiling ...",
        flush=True,
    )
    began = time.perf_counter()
    init = jax.jit(parallel.over_folds(lambda *row: train.init(*row, net=net, tx=tx, average=average), how, mesh))
    states = init(keys, rows, samples)
    if start is not None:
        states = train.begin_from(states, start)
    lifted = jax.jit(parallel.over_folds(epoch, how, mesh), donate_argnums=1)
    step = lifted.lower(keys, states, rows, samples).compile()
    compile_seconds = time.perf_counter() - began

    shapes = jax.eval_shape(lifted, keys, states, rows, samples)[1]
    history = Curves(*(np.zeros((epochs, *leaf.shape), leaf.dtype) for leaf in shapes))
    done = 0
    if (found := checkpoint.restore(folder, (states, history))) is not None:
        done, (saved_states, history) = found
        states = parallel.place(saved_states, mesh, split=True)
        print(f"{folder.parent}: going on after epoch {done}", flush=True)
    saved_at = time.monotonic()
    with tqdm(total=epochs, initial=done, desc=f"{count} folds", unit="epoch") as bar:
        for i in range(done, epochs):
            states, now = step(keys, states, rows, samples)
            for past, present in zip(history, now, strict=True):
                past[i] = np.asarray(present)
            bar.set_postfix(loss=f"{history.loss[i, :count].mean():.3f}")
            bar.update()
            if i + 1 == epochs or time.monotonic() - saved_at > save_seconds:
                checkpoint.save(folder, i + 1, (states, history))
                saved_at = time.monotonic()
    return Curves(*(past[:, :count] for past in history)), states, compile_seconds


def look(
    states: State,
    folds: Fold,
    samples: Samples,
    clips: Int[np.ndarray, " m"],
    classes: Int[np.ndarray, "m q"],
    *,
    net: nn.Module,
) -> list[inside.Look]:
    """Looks inside a few clips, each in the network that was tested on it, under the first seed.

    One program for all clips; one fold's network at a time leaves its place among the states.

    Args:
        states: from `train_all`.
        folds: all folds, stacked.
        samples: all clips.
        clips: rows of those to look at.
        classes: those to explain, for every clip.
        net: the network.
    """
    one = jax.jit(partial(inside.look, net))
    tested = states.average or {"params": states.params, "batch_stats": states.batch_stats}  # as in `train.evaluate`
    looks = []
    for clip, asked in zip(clips, classes, strict=True):
        fold = int(((folds.test == clip) & folds.test_mask).any(1).argmax())
        looks.append(jax.tree.map(np.asarray, one(row_of(tested, fold), _pick(samples.x, clip), asked)))
    return looks


def row_of(tree: PyTree, number: int) -> PyTree:
    """One row of a stacked tree, on the default device; the others stay where they are.

    Args:
        tree: arrays with a leading axis of rows, split over devices or not.
        number: of the row.
    """
    leaf = jax.tree.leaves(tree)[0]
    bounds = [shard.index[0].indices(len(leaf))[:2] for shard in leaf.addressable_shards]
    place = next(i for i, (start, stop) in enumerate(bounds) if start <= number < stop)
    part = jax.tree.map(lambda a: a.addressable_shards[place].data, tree)
    return jax.device_put(_pick(part, number - bounds[place][0]), jax.local_devices()[0])


@jax.jit
def _pick(tree: PyTree, number: int | Int[Array, ""]) -> PyTree:
    return jax.tree.map(lambda a: a[number], tree)
