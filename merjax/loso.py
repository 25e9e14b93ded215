"""Splits as padded row numbers: leave one subject out, leave one database out, train on one and test on another.

A fold's number gives it its random key: the subject that it leaves out, or the position of the tested database among
the sorted names.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from merjax.types import Fold, InputError, pick


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


def database_folds(label: Int[np.ndarray, " n"], database: Sequence[str]) -> Fold:
    """All folds of a leave-one-database-out protocol, stacked over a leading fold axis, in the order of the names.

    With two databases these are both ways of the holdout-database task of MEGC 2018.

    Args:
        label: class of every sample.
        database: name of every sample's database.

    Raises:
        InputError: fewer than two databases, or one whose fold has fewer than two classes to train on.
    """
    names = sorted(set(database))
    if len(names) < 2:
        raise InputError(f"the data hold {len(names)} database; leaving one database out needs at least 2")
    is_test = np.array(database)[None] == np.array(names)[:, None]
    for name, train in zip(names, ~is_test, strict=True):
        _check_classes(label[train], f"leaves {name} out")
    return Fold(np.arange(len(names), dtype=np.int32), *padded(~is_test), *padded(is_test))


def holdout(label: Int[np.ndarray, " n"], database: Sequence[str], *, train: str, test: str) -> Fold:
    """The one fold, with a leading axis of 1, that trains on one database and tests on another; others are not used.

    Args:
        label: class of every sample.
        database: name of every sample's database.
        train: name of the database to train on.
        test: name of the database to test on.

    Raises:
        InputError: no such database, the same one twice, or fewer than two classes to train on.
    """
    names = sorted(set(database))
    for field, name in (("train", train), ("test", test)):
        pick(dict.fromkeys(names), f"the database to {field} on", name)
    if train == test:
        raise InputError(f"the databases to train and to test on are both '{test}'; they should differ")
    is_train, is_test = (np.array(database)[None] == name for name in (train, test))
    _check_classes(label[is_train[0]], f"trains on {train}")
    return Fold(np.array([names.index(test)], np.int32), *padded(is_train), *padded(is_test))


def _check_classes(label: Int[np.ndarray, " a"], what: str) -> None:
    if len(np.unique(label)) < 2:
        raise InputError(f"the fold that {what} has clips of one class only; training needs at least 2 classes")


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
