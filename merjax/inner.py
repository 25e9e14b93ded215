"""Subjects held out of the training part of a fold, on whom its epoch is chosen."""

import numpy as np
from jaxtyping import Float, Int

from merjax.loso import padded
from merjax.types import Fold

DRAWS = 64


def inner(
    folds: Fold, label: Int[np.ndarray, " n"], subject: Int[np.ndarray, " n"], *, share: float, seed: int
) -> Fold:
    """Every fold with some subjects of its training part moved to what it tests.

    Of some random draws, the first counts that leaves every class of the fold in training and has the most classes in
    what it holds out (OUR CHOICE). The clips that a fold tests play no part.

    Args:
        folds: all folds, stacked.
        label: class of every clip.
        subject: subject of every clip.
        share: of a fold's training subjects, at least one and never all.
        seed: of the draws, together with the fold's own number.

    Returns:
        The folds, in their order; what each tests is its own test clips and those of the subjects held out.
    """
    train = np.zeros((len(folds.subject), len(label)), bool)
    test = np.zeros_like(train)
    for f in range(len(train)):
        train[f, folds.train[f][folds.train_mask[f]]] = True
        test[f, folds.test[f][folds.test_mask[f]]] = True
        held = np.isin(subject, drawn(label[train[f]], subject[train[f]], share, (seed, int(folds.subject[f]))))
        test[f] |= held & train[f]
        train[f] &= ~held
    return Fold(folds.subject, *padded(train), *padded(test))


def drawn(
    label: Int[np.ndarray, " a"], subject: Int[np.ndarray, " a"], share: float, seed: tuple[int, ...]
) -> Int[np.ndarray, " s"]:
    """The subjects that are held out of some training clips; see `inner`."""
    people, rng = np.unique(subject), np.random.default_rng(seed)
    count = min(max(1, round(share * len(people))), max(1, len(people) - 1))
    draws = [rng.permutation(people)[:count] for _ in range(DRAWS)]

    def worth(draw: np.ndarray) -> tuple[int, int]:
        held = np.isin(subject, draw)
        return len(np.unique(label[~held])), len(np.unique(label[held]))

    return np.sort(max(draws, key=worth))


def best_epoch(loss: Float[np.ndarray, "*rows epochs"], patience: int) -> Int[np.ndarray, "*rows"]:
    """The epoch, from 0, of the least loss, the earliest of equals.

    Args:
        loss: of the subjects held out; one that is not a number is never chosen.
        patience: epochs without a new least loss after which later ones are not looked at, as if training had stopped
            there; 0 to look at all.
    """
    loss = np.where(np.isnan(loss), np.inf, loss)
    if patience:
        epochs = np.arange(loss.shape[-1])
        lowest = np.minimum.accumulate(loss, -1)
        is_new = np.concatenate([np.ones_like(loss[..., :1], bool), loss[..., 1:] < lowest[..., :-1]], -1)
        since = epochs - np.maximum.accumulate(np.where(is_new, epochs, 0), -1)
        stopped = np.maximum.accumulate(since >= patience, -1)
        loss = np.where(stopped, np.inf, loss)
    return loss.argmin(-1)
