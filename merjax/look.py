"""Looks inside the networks that came of a run, a few clips at a time."""

from collections.abc import Callable

import flax.linen as nn
import jax
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import Int, PyTree

from merjax import train
from merjax.models import inside
from merjax.types import Fold, Samples


def look(
    network: Callable[[int], PyTree],
    folds: Fold,
    samples: Samples,
    clips: Int[np.ndarray, " m"],
    classes: Int[np.ndarray, "m q"],
    *,
    net: nn.Module,
) -> list[inside.Look]:
    """Looks inside a few clips, each in the network that was tested on it, under the first seed.

    One program for all clips; one fold's network at a time leaves its place among the others.

    Args:
        network: see `Trained`; its first rows are the folds under the first seed.
        folds: all folds, stacked.
        samples: all clips.
        clips: rows of those to look at.
        classes: those to explain, for every clip.
        net: the network.
    """

    def exact(*arguments: PyTree) -> inside.Look:
        with train.multiplying("float32"):
            return inside.look(net, *arguments)

    one = jax.jit(exact)
    looks = []
    for clip, asked in zip(clips, classes, strict=True):
        fold = int(((folds.test == clip) & folds.test_mask).any(1).argmax())
        variables, x = network(fold), np.asarray(samples.x[clip])
        looks.append(shared(one, variables, x, asked))
    return looks


def shared(one: Callable, variables: PyTree, *arguments: PyTree) -> PyTree:
    """What one process computes, in all of them.

    Args:
        one: a function of arrays.
        variables: its first argument in that process, shapes elsewhere.
        *arguments: the others.
    """
    mine = not any(isinstance(a, jax.ShapeDtypeStruct) for a in jax.tree.leaves(variables))
    if mine:
        seen = jax.tree.map(np.asarray, one(variables, *arguments))
    else:
        seen = jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), jax.eval_shape(one, variables, *arguments))
    if jax.process_count() == 1:
        return seen
    owner, every = multihost_utils.process_allgather((np.array(mine), seen))
    return jax.tree.map(lambda a: np.asarray(a)[int(np.argmax(owner))], every)
