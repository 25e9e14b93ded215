"""Leave one subject out: one fold per subject, as padded row numbers."""

import numpy as np
from jaxtyping import Int

from merjax.types import Fold, InputError


def folds(label: Int[np.ndarray, " n"], subject: Int[np.ndarray, " n"]) -> Fold:
    """All folds of a leave-one-subject-out protocol, stacked over a leading fold axis.

    Padding repeats row 0 under a false mask. Fold f leaves out the subject with the f-th smallest number.

    Args:
        label: class of every sample.
        subject: subject of every sample; the same number never stands for two people of different databases.

    Raises:
        InputError: fewer than two subjects or fewer than two classes.
    """
    left_out = np.unique(subject)
    if len(left_out) < 2:
        raise InputError(f"the data hold {len(left_out)} subject; leaving one subject out needs at least 2")
    if len(np.unique(label)) < 2:
        raise InputError("the data hold clips of one class only; training needs at least 2 classes")
    is_test = subject[None] == left_out[:, None]
    return Fold(left_out.astype(np.int32), *padded(~is_test), *padded(is_test))


def padded(member: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers and mask [f, longest] of a boolean membership [f, n]."""
    longest = member.sum(1).max()
    rows = np.argsort(~member, axis=1, kind="stable")[:, :longest].astype(np.int32)
    mask = np.arange(longest)[None] < member.sum(1)[:, None]
    return np.where(mask, rows, 0).astype(np.int32), mask


def remarks(
    label: Int[np.ndarray, " n"], subject: Int[np.ndarray, " n"], classes: tuple[str, ...], names: list[str]
) -> list[str]:
    """What a reader of the scores should know about the split, one sentence each.

    Args:
        label: class of every sample.
        subject: subject of every sample.
        classes: names by label.
        names: names by subject.
    """
    found = []
    single = [names[s] for s in np.unique(subject) if (subject == s).sum() == 1]
    if single:
        found.append(f"{len(single)} subjects have one clip only, so their folds test one clip: {', '.join(single)}.")
    for k, name in enumerate(classes):
        people = np.unique(subject[label == k])
        if len(people) == 0:
            found.append(f"Class {name} has no clip at all; it is left out of UF1 and UAR.")
        if len(people) == 1:
            found.append(
                f"Class {name} has clips of one subject only ({names[people[0]]}): "
                "the fold that leaves this subject out never sees the class and cannot predict it."
            )
    return found
