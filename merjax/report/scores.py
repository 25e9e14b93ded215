"""Scores of a run from its pooled predictions, and the tables of the run's folder."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from merjax import metrics
from merjax.files import write_csv
from merjax.types import Annotation, Curves, Dataset, Fold

SELECT = {
    "last": "the last epoch",
    "test": "epoch chosen on the test subject",
}


class Outcome(NamedTuple):
    """What a trained run knows about every clip, in the order of the data set; r runs, one for each seed."""

    classes: tuple[str, ...]
    clips: tuple[Annotation, ...]
    subject: Int[np.ndarray, " n"]
    names: list[str]  # of subjects
    seeds: tuple[int, ...]
    probability: Float[np.ndarray, "r epochs n k"]  # of every clip by the fold that leaves its subject out
    loss: Float[np.ndarray, "r s epochs"]  # training loss of every fold
    accuracy: Float[np.ndarray, "r s epochs"]  # training accuracy of every fold

    @property
    def label(self) -> Int[np.ndarray, " n"]:
        """True class of every clip."""
        return np.array([clip.label for clip in self.clips])

    @property
    def hits(self) -> Bool[np.ndarray, "r epochs n"]:
        """Which clips each epoch gets right."""
        return self.probability.argmax(-1) == self.label


def gather(
    curves: Curves,
    folds: Fold,
    dataset: Dataset,
    subject: Int[np.ndarray, " n"],
    names: list[str],
    seeds: tuple[int, ...],
) -> Outcome:
    """Puts every fold's test predictions where their clips stand: each clip is tested once for each seed.

    Args:
        curves: of all rows, [epochs, r * f, ...], seed by seed.
        folds: the f splits.
        dataset: the clips.
        subject: subject number of every clip.
        names: of subjects, by number.
        seeds: of the r runs.
    """
    epochs, rows, _, classes = curves.probability.shape
    runs, count = len(seeds), rows // len(seeds)
    probability = np.full((runs, epochs, len(dataset.clips), classes), np.nan, np.float32)
    for row in range(rows):
        mask = folds.test_mask[row % count]
        probability[row // count][:, folds.test[row % count][mask]] = curves.probability[:, row][:, mask]
    loss, accuracy = (np.asarray(c).T.reshape(runs, count, epochs) for c in (curves.loss, curves.accuracy))
    return Outcome(dataset.classes, dataset.clips, subject, names, seeds, probability, loss, accuracy)


def chosen_epochs(outcome: Outcome, select: str) -> Int[np.ndarray, "r s"]:
    """The 0-based epoch whose predictions count, for every seed and fold.

    Args:
        outcome: of the run.
        select: "last", or "test": the epoch most accurate on the held-out subject itself, the latest of equals. That is
            what most published code does; it inflates the score and is here to compare like with like.
    """
    runs, epochs, _ = outcome.hits.shape
    if select == "last":
        return np.full((runs, len(outcome.names)), epochs - 1)
    right = np.stack([outcome.hits[:, :, outcome.subject == s].sum(-1) for s in range(len(outcome.names))], axis=1)
    return epochs - 1 - right[..., ::-1].argmax(-1)


def chosen_probability(outcome: Outcome, epochs: Int[np.ndarray, "r s"]) -> Float[np.ndarray, "r n k"]:
    """The probabilities that count, given each fold's epoch."""
    runs = np.arange(len(outcome.seeds))[:, None]
    return outcome.probability[runs, epochs[:, outcome.subject], np.arange(len(outcome.clips))[None]]


def uf1_by_epoch(outcome: Outcome) -> Float[np.ndarray, "r epochs"]:
    """Pooled UF1 after every epoch, the same epoch for all folds."""
    prediction = outcome.probability.argmax(-1)
    classes = len(outcome.classes)
    counts = [[metrics.confusion(outcome.label, p, classes) for p in run] for run in prediction]
    return np.asarray(metrics.uf1(np.array(counts)))


def part(outcome: Outcome, prediction: Int[np.ndarray, "r n"], rows: Int[np.ndarray, " m"]) -> dict:
    """Scores of some clips: n, class counts, ACC, UF1, UAR, intervals from resampling their subjects, confusion.

    With several seeds a score is the mean over seeds, and the confusion matrix their sum.
    """
    classes = len(outcome.classes)
    label, subject = outcome.label[rows], outcome.subject[rows]
    subjects = np.unique(subject)
    counts = np.array(
        [
            [metrics.confusion(label[subject == s], run[rows][subject == s], classes) for s in subjects]
            for run in prediction
        ]
    )
    pooled = counts.sum(1)
    resampled = metrics.resample_subjects(counts)
    present = np.bincount(label, minlength=classes)
    return {
        "n": len(rows),
        "subjects": len(subjects),
        "classes": {name: int(count) for name, count in zip(outcome.classes, present, strict=True)},
        "accuracy": float(metrics.accuracy(pooled).mean()),
        "uf1": float(metrics.uf1(pooled).mean()),
        "uar": float(metrics.uar(pooled).mean()),
        "uf1_interval": metrics.interval(metrics.uf1(resampled).mean(-1)),
        "uar_interval": metrics.interval(metrics.uar(resampled).mean(-1)),
        "confusion": pooled.sum(0).tolist(),
        "absent": [name for name, count in zip(outcome.classes, present, strict=True) if count == 0],
        "per_seed": [
            {
                "seed": seed,
                "accuracy": float(metrics.accuracy(matrix)),
                "uf1": float(metrics.uf1(matrix)),
                "uar": float(metrics.uar(matrix)),
            }
            for seed, matrix in zip(outcome.seeds, pooled, strict=True)
        ],
    }


def scores(outcome: Outcome, select: str) -> dict:
    """The content of scores.json that predictions decide: the whole, and each database."""
    prediction = chosen_probability(outcome, chosen_epochs(outcome, select)).argmax(-1)
    database = np.array([clip.database for clip in outcome.clips])
    return {
        "classes": list(outcome.classes),
        "protocol": f"leave one subject out over {len(outcome.names)} subjects",
        "select": select,
        "seeds": list(outcome.seeds),
        "whole": part(outcome, prediction, np.arange(len(outcome.clips))),
        "databases": {
            str(name): part(outcome, prediction, np.flatnonzero(database == name)) for name in np.unique(database)
        },
    }


def write_tables(folder: Path, outcome: Outcome, select: str) -> None:
    """Writes predictions.csv, subjects.csv and curves.csv."""
    epochs = chosen_epochs(outcome, select)
    probability = chosen_probability(outcome, epochs)
    prediction = probability.argmax(-1)
    write_csv(
        folder / "predictions.csv",
        ["seed", "database", "subject", "sample_id", "label", "prediction", *outcome.classes],
        (
            [
                *(seed, clip.database, clip.subject, clip.sample_id),
                *(outcome.classes[clip.label], outcome.classes[prediction[r, i]]),
                *(float(p) for p in probability[r, i]),
            ]
            for r, seed in enumerate(outcome.seeds)
            for i, clip in enumerate(outcome.clips)
        ),
    )
    right = prediction == outcome.label
    write_csv(
        folder / "subjects.csv",
        ["seed", "database", "subject", "clips", "right", "epoch"],
        (
            [seed, *name.split("/", 1), int(mine.sum()), int(right[r, mine].sum()), int(epochs[r, s]) + 1]
            for r, seed in enumerate(outcome.seeds)
            for s, name in enumerate(outcome.names)
            for mine in [outcome.subject == s]
        ),
    )
    hits = outcome.hits
    write_csv(
        folder / "curves.csv",
        ["seed", "database", "subject", "epoch", "train_loss", "train_accuracy", "test_accuracy"],
        (
            [
                *(seed, *name.split("/", 1), epoch + 1),
                *(float(outcome.loss[r, s, epoch]), float(outcome.accuracy[r, s, epoch])),
                float(hits[r, epoch, outcome.subject == s].mean()),
            ]
            for r, seed in enumerate(outcome.seeds)
            for s, name in enumerate(outcome.names)
            for epoch in range(outcome.loss.shape[-1])
        ),
    )
