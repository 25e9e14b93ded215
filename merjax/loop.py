"""Trains all folds under all seeds, epoch by epoch: one compiled program, checkpoints, a progress bar, exact resume."""

import time
from collections.abc import Callable
from pathlib import Path

import flax.linen as nn
import jax
import numpy as np
import optax
from jaxtyping import PyTree
from tqdm import tqdm

from merjax import checkpoint, parallel, train
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
    how: str,
    folder: Path,
    save_seconds: float,
    start: PyTree | None = None,
) -> tuple[Curves, float]:
    """Trains every fold under every seed; goes on from the last checkpoint in `folder`.

    Args:
        folds: all folds, stacked.
        samples: all clips.
        seeds: one run of all folds for each.
        net: the network.
        tx: the optimiser.
        epoch: `train.epoch` with its recipe bound.
        epochs: how many to train.
        how: strategy over folds, see `parallel`.
        folder: of the checkpoints.
        save_seconds: time between checkpoints; one is written after the last epoch in any case.
        start: weights that all folds begin from, see `train.begin_from`; None for random ones.

    Returns:
        Curves with leading axes [epochs, r * f] (seed by seed), and the seconds spent on compiling.
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
    init = jax.jit(parallel.over_folds(lambda *row: train.init(*row, net=net, tx=tx), how, mesh))
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
    return Curves(*(past[:, :count] for past in history)), compile_seconds
