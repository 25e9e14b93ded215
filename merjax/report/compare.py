"""Runs against each other on the clips that all of them tested, with what a difference is worth."""

import math
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from merjax import metrics
from merjax.fingerprint import examples
from merjax.report.finished import Run
from merjax.report.scores import SCORES
from merjax.types import InputError

TESTED = ("uf1", "uar")  # scores whose differences are tested


class Estimate(NamedTuple):
    """A value and its 95 % interval from resampling subjects."""

    value: float
    low: float
    high: float


class Part(NamedTuple):
    """What a run scores on some clips, means over its seeds."""

    clips: int
    subjects: int
    accuracy: float
    uf1: Estimate
    wf1: Estimate
    uar: Estimate


class Scored(NamedTuple):
    """A run on the shared clips, all and by database, and the F1 and recall of each class; NaN where it has no clip."""

    run: Run
    whole: Part
    databases: dict[str, Part]
    f1: Float[np.ndarray, " k"]
    recall: Float[np.ndarray, " k"]


class Difference(NamedTuple):
    """A score of one run minus that of another."""

    first: Run
    second: Run
    score: str
    estimate: Estimate
    p: float
    holm: float  # p, corrected for all differences of the comparison


class Agreement(NamedTuple):
    """How far the first seeds of two runs answer alike, in clips."""

    first: Run
    second: Run
    kappa: float
    both: int
    first_only: int
    second_only: int
    neither: int
    mcnemar: float


class Comparison(NamedTuple):
    """All that can be told of some runs beside each other."""

    classes: dict[str, int]  # name -> shared clips
    scored: tuple[Scored, ...]
    differences: tuple[Difference, ...]
    agreements: tuple[Agreement, ...]
    remarks: tuple[str, ...]


def compare(runs: Sequence[Run]) -> Comparison:
    """Scores runs on the clips that all tested, and every pair of them against each other.

    The same resampled subjects stand behind all intervals, those of differences too. A difference is tested by
    exchanging whole subjects between the two runs (OUR CHOICE: clips of a subject stand or fall together, and with few
    subjects a p read off resampled subjects is too small, see benchmarks/paired_tests.py). Holm's correction is over
    all differences of the comparison, of UF1 and UAR together (OUR CHOICE).

    Raises:
        InputError: other classes, clips with two subjects or labels, or no clip that all tested.
    """
    first = runs[0]
    classes = tuple(first.scores["classes"])
    for run in runs[1:]:
        if set(run.scores["classes"]) != set(classes):
            raise InputError(
                f"{first.name} tells {', '.join(classes)} apart and {run.name} {', '.join(run.scores['classes'])}; "
                "runs are compared on the same classes"
            )
        agree(first, run)
    shared = [clip for clip in first.clips if all(clip in run.clips for run in runs)]
    if not shared:
        raise InputError(f"no clip was tested by all of {', '.join(run.name for run in runs)}; nothing can be compared")
    people = sorted({first.clips[clip][:2] for clip in shared})  # a subject's name counts within its database only
    label = np.array([classes.index(first.clips[clip][2]) for clip in shared])
    subject = np.array([people.index(first.clips[clip][:2]) for clip in shared])
    answers = [
        np.array([[classes.index(mine[clip]) for clip in shared] for mine in run.prediction.values()]) for run in runs
    ]
    counts = [by_subject(label, answer, subject, len(classes)) for answer in answers]
    database = np.array([name for name, _ in people])
    pairs = list(combinations(range(len(runs)), 2))
    tested = [(i, j, score) for i, j in pairs for score in TESTED]
    found = [difference(counts[i], counts[j], SCORES[score]) for i, j, score in tested]
    corrected = metrics.holm(np.array([p for _, p in found]))
    present = np.bincount(label, minlength=len(classes))
    return Comparison(
        dict(zip(classes, present.tolist(), strict=True)),
        tuple(scored(run, mine, database) for run, mine in zip(runs, counts, strict=True)),
        tuple(
            Difference(runs[i], runs[j], score, estimate, p, float(holm))
            for (i, j, score), (estimate, p), holm in zip(tested, found, corrected, strict=True)
        ),
        tuple(agreement(runs[i], runs[j], label, answers[i][0], answers[j][0], len(classes)) for i, j in pairs),
        remarks(runs, shared, [name for name, n in zip(classes, present, strict=True) if n == 0]),
    )


def agree(first: Run, second: Run) -> None:
    """Refuses two runs whose shared clips differ in subject or label.

    Raises:
        InputError: they do; the sentence gives the first three clips.
    """
    found = [
        f"{clip} is {one} in {first.name} and {other} in {second.name}"
        for clip, mine in first.clips.items()
        if clip in second.clips
        for one, other in zip(mine[1:], second.clips[clip][1:], strict=True)
        if one != other
    ]
    if found:
        raise InputError(
            f"{examples(found)}; runs are compared on clips of the same subjects and labels: train one of "
            "them again on the data of the other"
        )


def by_subject(
    label: Int[np.ndarray, " n"], answer: Int[np.ndarray, "r n"], subject: Int[np.ndarray, " n"], classes: int
) -> Int[np.ndarray, "r s k k"]:
    """Confusion matrices, one for each seed and subject."""
    counts = np.zeros((len(answer), subject.max() + 1, classes, classes), np.int64)
    for mine, row in zip(counts, answer, strict=True):
        np.add.at(mine, (subject, label, row), 1)
    return counts


def part(counts: Int[np.ndarray, "r s k k"]) -> Part:
    """What the clips in confusion matrices of subjects score, pooled, and how sure that is."""
    pooled, resampled = counts.sum(1), metrics.resample_subjects(counts)

    def estimate(name: str) -> Estimate:
        score = SCORES[name]
        return Estimate(float(score(pooled).mean()), *metrics.interval(score(resampled).mean(-1)))

    clips, accuracy = int(counts[0].sum()), float(metrics.accuracy(pooled).mean())
    return Part(clips, counts.shape[1], accuracy, estimate("uf1"), estimate("wf1"), estimate("uar"))


def scored(run: Run, counts: Int[np.ndarray, "r s k k"], database: np.ndarray) -> Scored:
    """A run by its confusion matrices; `database` is that of every subject."""
    pooled = counts.sum(1)
    clips = pooled[0].sum(-1)
    each = {str(name): part(counts[:, database == name]) for name in np.unique(database)}
    recall = np.diagonal(pooled, axis1=-2, axis2=-1).mean(0) / np.maximum(clips, 1)
    return Scored(
        run,
        part(counts),
        each,
        np.where(clips > 0, metrics.f1(pooled).mean(0), math.nan),
        np.where(clips > 0, recall, math.nan),
    )


def difference(
    first: Int[np.ndarray, "r s k k"], second: Int[np.ndarray, "q s k k"], score: Callable
) -> tuple[Estimate, float]:
    """First minus second of a score, both means over seeds, and its p.

    Where the runs have different numbers of seeds each is repeated until they have as many: no mean changes by that.
    """
    seeds = math.lcm(len(first), len(second))
    first, second = (np.tile(counts, (seeds // len(counts), 1, 1, 1)) for counts in (first, second))

    def minus(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return score(a).mean(-1) - score(b).mean(-1)

    resampled = minus(metrics.resample_subjects(first), metrics.resample_subjects(second))  # the same subjects
    exchanged = minus(*metrics.exchange_subjects(first, second))
    return Estimate(float(exchanged[0]), *metrics.interval(resampled)), metrics.p_value(exchanged)


def agreement(
    first: Run,
    second: Run,
    label: Int[np.ndarray, " n"],
    a: Int[np.ndarray, " n"],
    b: Int[np.ndarray, " n"],
    classes: int,
) -> Agreement:
    """Agreement of the answers a and b. McNemar's p takes clips as independent, which those of a subject are not."""
    right, also = a == label, b == label
    parts = (right & also, right & ~also, ~right & also, ~right & ~also)
    both, first_only, second_only, neither = (int(part.sum()) for part in parts)
    kappa, p = metrics.kappa(metrics.confusion(a, b, classes)), metrics.mcnemar(first_only, second_only)
    return Agreement(first, second, kappa, both, first_only, second_only, neither, p)


def remarks(runs: Sequence[Run], shared: Sequence[str], absent: Sequence[str]) -> tuple[str, ...]:
    """What a reader must know before reading the tables, one sentence each."""
    told = []
    ever = set().union(*(run.clips for run in runs))
    if len(ever) > len(shared):
        each = ", ".join(f"{run.name} {len(run.clips)}" for run in runs)
        gone = sorted(ever - set(shared))
        some = ", ".join(gone[:3]) + (", ..." if len(gone) > 3 else "")
        told.append(
            f"All tables are of the {len(shared)} clips that every run tested; {len(gone)} were not tested by all and "
            f"are left out: {some} (clips tested: {each})."
        )
    left_out = {run.name: len(run.scores.get("left_out", ())) for run in runs}
    told += [f"{name} left out {count} clips of its data." for name, count in left_out.items() if count]
    if absent:
        told.append(f"Classes without a clip here, left out of UF1 and UAR: {', '.join(absent)}.")
    if len({run.words for run in runs}) > 1:
        each = "; ".join(f"{run.name}: {run.words}" for run in runs)
        told.append(f"The epochs were not chosen alike ({each}), so differences between those runs are no ranking.")
    if any(run.protocol != runs[0].protocol for run in runs):
        each = "; ".join(f"{run.name}: {run.scores['protocol']}" for run in runs)
        told.append(f"The protocols differ ({each}), so differences between those runs are no ranking.")
    if len({len(run.prediction) for run in runs}) > 1:
        told.append("The runs have different numbers of seeds; each score is the mean over those that its run has.")
    return tuple(told)
