"""Scores from one confusion matrix pooled over all folds; NumPy, so that they run anywhere.

A confusion matrix is [k, k] counts, rows true, columns predicted; leading axes are batches of matrices, and adding
matrices pools them. Never average scores of folds: most folds hold one or two classes. A class without any clip in the
evaluated part is left out of both means (datasets.md 8); F1 is 0 for a class that has clips but is never hit.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

Scores = np.ndarray | np.float64  # one score for each confusion matrix


def confusion(label: Int[np.ndarray, " n"], prediction: Int[np.ndarray, " n"], classes: int) -> Int[np.ndarray, "k k"]:
    """Counts clips by true class (row) and predicted class (column)."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (label, prediction), 1)
    return counts


def accuracy(counts: Int[np.ndarray, "*batch k k"]) -> Float[Scores, "*batch"]:
    """Share of clips predicted right, over all clips."""
    return np.trace(counts, axis1=-2, axis2=-1) / np.maximum(counts.sum((-2, -1)), 1)


def mean_over_present(
    score: Float[np.ndarray, "*batch k"], counts: Int[np.ndarray, "*batch k k"]
) -> Float[Scores, "*batch"]:
    """Mean of a per-class score over the classes that have clips."""
    present = counts.sum(-1) > 0
    return (score * present).sum(-1) / np.maximum(present.sum(-1), 1)


def precision(counts: Int[np.ndarray, "*batch k k"]) -> Float[np.ndarray, "*batch k"]:
    """Of every class the share of its predictions that is right: TP / (TP + FP); 0 for one never predicted."""
    return np.diagonal(counts, axis1=-2, axis2=-1) / np.maximum(counts.sum(-2), 1)


def recall(counts: Int[np.ndarray, "*batch k k"]) -> Float[np.ndarray, "*batch k"]:
    """Of every class the share of its clips that is found: TP / N."""
    return np.diagonal(counts, axis1=-2, axis2=-1) / np.maximum(counts.sum(-1), 1)


def f1(counts: Int[np.ndarray, "*batch k k"]) -> Float[np.ndarray, "*batch k"]:
    """F1 of every class: 2 TP / (2 TP + FP + FN)."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    return 2 * hits / np.maximum(counts.sum(-1) + counts.sum(-2), 1)


def uf1(counts: Int[np.ndarray, "*batch k k"]) -> Float[Scores, "*batch"]:
    """Unweighted F1: mean over classes of their F1."""
    return mean_over_present(f1(counts), counts)


def wf1(counts: Int[np.ndarray, "*batch k k"]) -> Float[Scores, "*batch"]:
    """Weighted F1: mean over classes of their F1, each class weighted by its share of the clips."""
    return (f1(counts) * counts.sum(-1)).sum(-1) / np.maximum(counts.sum((-2, -1)), 1)


def uar(counts: Int[np.ndarray, "*batch k k"]) -> Float[Scores, "*batch"]:
    """Unweighted average recall: mean over classes of TP / N."""
    return mean_over_present(recall(counts), counts)


class Reliability(NamedTuple):
    """What the probabilities of the predicted class hold, by equal bins of it.

    Attributes:
        counts: predictions in a bin.
        confidence: their mean probability; 0 for an empty bin.
        accuracy: the share of them that is right; 0 for an empty bin.
    """

    counts: Int[np.ndarray, " bins"]
    confidence: Float[np.ndarray, " bins"]
    accuracy: Float[np.ndarray, " bins"]

    @property
    def error(self) -> float:
        """Expected calibration error: mean of |confidence - accuracy|, bins weighted by their counts."""
        return float((self.counts * np.abs(self.confidence - self.accuracy)).sum() / max(self.counts.sum(), 1))


def reliability(
    probability: Float[np.ndarray, "*batch n k"], label: Int[np.ndarray, " n"], *, bins: int = 10
) -> Reliability:
    """Compares the probability of the predicted class with the share that is right (Guo et al. 2017, arXiv 1706.04599).

    Args:
        probability: of every clip; leading axes are pooled.
        label: true classes.
        bins: equal parts of 0..1, closed above (STATED); their number is OUR CHOICE.
    """
    confidence, right = probability.max(-1).ravel(), (probability.argmax(-1) == label).ravel()
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    means = (np.bincount(place, each, minlength=bins) / np.maximum(counts, 1) for each in (confidence, right))
    return Reliability(counts, *means)


def resample_subjects(
    counts: Int[np.ndarray, "r s k k"], *, resamples: int = 2000, seed: int = 0
) -> Int[np.ndarray, "resamples r k k"]:
    """Pooled confusion matrices of resampled subjects: draws as many subjects as there are, with replacement.

    The same subjects are drawn for all runs r (seeds), since clips of one subject stand or fall together.
    """
    subjects = counts.shape[1]
    times = np.random.default_rng(seed).multinomial(subjects, np.full(subjects, 1 / subjects), size=resamples)
    return np.einsum("bs,rskl->brkl", times, counts)


def interval(values: Float[np.ndarray, " resamples"]) -> tuple[float, float]:
    """The 95 % percentile interval of resampled values."""
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def exchange_subjects(
    first: Int[np.ndarray, "r s k k"], second: Int[np.ndarray, "r s k k"], *, exchanges: int = 10_000, seed: int = 0
) -> tuple[Int[np.ndarray, "b r k k"], Int[np.ndarray, "b r k k"]]:
    """Pooled confusion matrices of two runs after each subject was given to the other run or not, by chance.

    The first exchange leaves everything as it was observed. Where there are no more than `exchanges` ways, all are
    gone through once. A subject goes over with its clips of all seeds.
    """
    subjects = first.shape[1]
    if 2**subjects <= exchanges:
        swap = (np.arange(2**subjects)[:, None] >> np.arange(subjects)) & 1
    else:
        swap = np.random.default_rng(seed).integers(0, 2, (exchanges, subjects))
        swap[0] = 0
    moved = np.einsum("bs,rskl->brkl", swap, second - first)
    return first.sum(1) + moved, second.sum(1) - moved


def p_value(differences: Float[np.ndarray, " b"]) -> float:
    """Two-sided p: share of exchanges whose difference is no smaller than that of the first, the observed one."""
    return float((np.abs(differences) >= abs(differences[0]) - 1e-12).mean())


def holm(p: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """Holm's correction (1979) for m comparisons: each p times the number of those not smaller, never decreasing."""
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return corrected


def kappa(counts: Int[np.ndarray, "k k"]) -> float:
    """Cohen's kappa of two lists of classes from their joint counts; NaN where both hold one class only."""
    n = counts.sum()
    agreed, by_chance = np.trace(counts) / n, (counts.sum(0) * counts.sum(1)).sum() / n**2
    return float((agreed - by_chance) / (1 - by_chance)) if by_chance < 1 else math.nan


def mcnemar(first_only: int, second_only: int) -> float:
    """Exact two-sided p of McNemar's test, from the clips that only one of two runs gets right."""
    n, few = first_only + second_only, min(first_only, second_only)
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(few + 1)) / 2**n)
