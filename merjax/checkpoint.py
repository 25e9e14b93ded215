"""Saves and restores a whole run (all folds, all curves) with Orbax. A kill during a write leaves the save before."""

from pathlib import Path

import jax
import numpy as np
from jaxtyping import PyTree
from orbax.checkpoint import v1 as ocp

from merjax.types import InputError


def save(folder: Path, epoch: int, tree: PyTree) -> None:
    """Writes `tree` as the state after `epoch` epochs; only then is the save before it removed."""
    with manager(folder) as checkpoints:
        checkpoints.save(epoch, jax.tree.map(np.asarray, tree))


def restore(folder: Path, like: PyTree) -> tuple[int, PyTree] | None:
    """The last complete save: its epoch and its tree as NumPy arrays; None where there is none.

    Args:
        folder: where `save` wrote.
        like: a tree of arrays or ShapeDtypeStructs of the shape expected.

    Raises:
        InputError: the save holds another tree than `like`.
    """
    if not folder.exists():
        return None
    with manager(folder) as checkpoints:
        latest = checkpoints.latest
        if latest is None:
            return None
        abstract = jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), like)
        try:
            return latest.step, checkpoints.load(latest.step, abstract)
        except (ValueError, KeyError) as error:
            raise InputError(
                f"{folder} holds a checkpoint of other folds or another network; give another --workdir"
            ) from error


def manager(folder: Path) -> "ocp.training.Checkpointer":
    """Orbax's keeper of this folder: every save wanted, the last one kept."""
    policies = ocp.training
    return ocp.training.Checkpointer(
        folder.absolute(),
        save_decision_policy=policies.save_decision_policies.FixedIntervalPolicy(1),
        preservation_policy=policies.preservation_policies.LatestN(1),
    )
