"""Splits as padded row numbers: leave out a subject, or a database, train on one and test on another, mix subjects.

A fold's number gives it its random key: the subject that it leaves out, the position of the tested database among the
sorted names, or the number of the part. `PROTOCOLS` is the table that a config's `protocol.name` is looked up in.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from merjax.types import Annotation, Fold, InputError, pick


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


def holdout(label: Int[np.ndarray, " n"], database: Sequence[str], *, train: str = "", test: str = "") -> Fold:
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
        pick(dict.fromkeys(names), f"protocol.holdout.{field}", name)
    if train == test:
        raise InputError(f"protocol.holdout.train and protocol.holdout.test are both '{test}'; they should differ")
    is_train, is_test = (np.array(database)[None] == name for name in (train, test))
    _check_classes(label[is_train[0]], f"trains on {train}")
    return Fold(np.array([names.index(test)], np.int32), *padded(is_train), *padded(is_test))


def mixed(label: Int[np.ndarray, " n"], clip: Int[np.ndarray, " n"], *, parts: int = 5, seed: int = 0) -> Fold:
    """All folds of a cross-validation that deals out single clips, whoever made them: no score for unseen people.

    For the published scores that fit a random split of the clips better than LOSO. Every part holds its share of each
    class, and as many clips as any other, give or take one. Every clip is tested once, as under LOSO.

    Args:
        label: class of every sample.
        clip: number of every sample's clip.
        parts: number of folds; 5 splits the clips 80 to 20.
        seed: of the draw.

    Raises:
        InputError: fewer than two parts, or fewer clips than parts, or fewer than two classes to train on.
    """
    if not 2 <= parts <= len(clip):
        raise InputError(f"protocol.mixed.parts is {parts}; it should be from 2 to the number of clips, {len(clip)}")
    rng, classes = np.random.default_rng(seed), np.unique(label)
    shuffled = np.concatenate([rng.permutation(np.flatnonzero(label == k)) for k in classes])
    is_test = np.zeros((parts, len(clip)), bool)
    is_test[np.arange(len(clip)) % parts, shuffled] = True
    for part, train in enumerate(~is_test, 1):
        _check_classes(label[train], f"tests part {part}")
    return Fold(np.arange(parts, dtype=np.int32), *padded(~is_test), *padded(is_test))


def _check_classes(label: Int[np.ndarray, " a"], what: str) -> None:
    if len(np.unique(label)) < 2:
        raise InputError(f"the fold that {what} has clips of one class only; training needs at least 2 classes")


def padded(member: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers and mask [f, longest] of a boolean membership [f, n]."""
    longest = member.sum(1).max()
    rows = np.argsort(~member, axis=1, kind="stable")[:, :longest].astype(np.int32)
    mask = np.arange(longest)[None] < member.sum(1)[:, None]
    return np.where(mask, rows, 0).astype(np.int32), mask


class Protocol(NamedTuple):
    """A way to split clips.

    Attributes:
        held_out: what each fold tests: a "subject", a "database" or a "part".
        folds: gives them from the labels and the subjects, databases or numbers of the clips, and own arguments.
        told: the protocol in words, with places for the number of folds and for the arguments.
    """

    held_out: str
    folds: Callable[..., Fold]
    told: str


PROTOCOLS: dict[str, Protocol] = {
    "loso": Protocol("subject", folds, "leave one subject out over {count} subjects"),
    "database": Protocol("database", database_folds, "leave one database out over {count} databases"),
    "holdout": Protocol("database", holdout, "trained on {train}, tested on {test}"),
    "mixed": Protocol("part", mixed, "{parts} random parts of the clips, subjects mixed"),
}


class Split(NamedTuple):
    """The folds of a run, and how to speak of them."""

    folds: Fold
    names: tuple[str, ...]  # of what each fold tests, "database/subject", "database" or "part 1"
    held_out: str  # what that is, "subject", "database" or "part"
    told: str


def split(
    clips: Sequence[Annotation], subject: Int[np.ndarray, " n"], names: Sequence[str], protocol: str, **own: Any
) -> Split:
    """Splits the clips of a run.

    Args:
        clips: all of them.
        subject: subject of every clip.
        names: "database/subject" by subject.
        protocol: a name in `PROTOCOLS`.
        **own: its keyword arguments.

    Raises:
        InputError: these clips can't be split so.
    """
    chosen = pick(PROTOCOLS, "protocol.name", protocol)
    label, database = np.array([clip.label for clip in clips]), [clip.database for clip in clips]
    together = {"subject": subject, "database": database, "part": np.arange(len(clips))}  # what no fold tears apart
    made = chosen.folds(label, together[chosen.held_out], **own)
    by_number = {"subject": names, "database": sorted(set(database))}.get(chosen.held_out)
    numbers = np.asarray(made.subject).tolist()
    tested = tuple(by_number[number] if by_number else f"part {number + 1}" for number in numbers)
    return Split(made, tested, chosen.held_out, chosen.told.format(count=len(tested), **own))


def remarks(split: Split, clips: Sequence[Annotation], classes: tuple[str, ...]) -> list[str]:
    """What a reader of the scores should know about the split, one sentence each.

    Args:
        split: of the clips.
        clips: all of them.
        classes: names by label.
    """
    found = []
    rows = split.folds
    trained, tested = (
        [set(row[real].tolist()) for row, real in zip(numbers, mask, strict=True)]
        for numbers, mask in ((rows.train, rows.train_mask), (rows.test, rows.test_mask))
    )
    ever_tested, ever = set().union(*tested), set().union(*trained, *tested)
    single = [name for name, test in zip(split.names, tested, strict=True) if len(test) == 1]
    if single:
        found.append(f"Folds that test one clip only: {len(single)}, of {', '.join(single)}.")
    for k, name in enumerate(classes):
        members = {i for i, clip in enumerate(clips) if clip.label == k}
        if not members & ever_tested:
            found.append(f"Class {name} has no clip that is tested; it is left out of UF1 and UAR.")
        found += [
            f"The fold that tests {fold} trains without any clip of class {name}, so it cannot predict this class."
            for fold, train, test in zip(split.names, trained, tested, strict=True)
            if members & test and not members & train
        ]
    person = [(clip.database, clip.subject) for clip in clips]
    known = 0
    for train, test in zip(trained, tested, strict=True):
        people = {person[i] for i in train}
        known += sum(person[i] in people for i in test)
    if known:
        found.append(
            f"Clips tested by a network that was trained on others of the same subject: {known} of {len(ever_tested)}; "
            "the scores say nothing about people that were not trained on."
        )
    idle = [clip.database for i, clip in enumerate(clips) if i not in ever]
    if idle:
        found.append(f"Clips that are neither trained on nor tested: {len(idle)}, of {', '.join(sorted(set(idle)))}.")
    return found
