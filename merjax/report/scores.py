"""Scores of a run from its pooled predictions, and the tables of the run's folder."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from merjax import metrics
from merjax.files import write_csv
from merjax.loso import Split
from merjax.types import Annotation, Curves, Dataset

SELECT = {
    "last": "the last epoch",
    "test": "epoch chosen on the test {held_out}",
}
SCORES = {"accuracy": metrics.accuracy, "uf1": metrics.uf1, "wf1": metrics.wf1, "uar": metrics.uar}


class Outcome(NamedTuple):
    """What a trained run knows about every clip that it tested, in the order of the data set; r runs, one a seed."""

    classes: tuple[str, ...]
    clips: tuple[Annotation, ...]
    rows: Int[np.ndarray, " n"]  # of the clips in the data set
    subject: Int[np.ndarray, " n"]
    names: list[str]  # of subjects
    fold: Int[np.ndarray, " n"]  # that tests the clip
    split: Split
    seeds: tuple[int, ...]
    probability: Float[np.ndarray, "r epochs n k"]  # of every clip by the fold that tests it
    loss: Float[np.ndarray, "r f epochs"]  # training loss of every fold
    accuracy: Float[np.ndarray, "r f epochs"]  # training accuracy of every fold

    @property
    def label(self) -> Int[np.ndarray, " n"]:
        """True class of every clip."""
        return np.array([clip.label for clip in self.clips])

    @property
    def database(self) -> np.ndarray:
        """Name of every clip's database."""
        return np.array([clip.database for clip in self.clips])

    @property
    def hits(self) -> Bool[np.ndarray, "r epochs n"]:
        """Which clips each epoch gets right."""
        return self.probability.argmax(-1) == self.label


def gather(
    curves: Curves,
    split: Split,
    dataset: Dataset,
    subject: Int[np.ndarray, " n"],
    names: list[str],
    seeds: tuple[int, ...],
) -> Outcome:
    """Puts every fold's test predictions where their clips stand: each clip is tested once for each seed, or never.

    Args:
        curves: of all rows, [epochs, r * f, ...], seed by seed.
        split: the f folds.
        dataset: the clips.
        subject: subject number of every clip.
        names: of subjects, by number.
        seeds: of the r runs.
    """
    epochs, _, _, classes = curves.probability.shape
    folds, runs, count = split.folds, len(seeds), len(split.names)
    fold = np.full(len(dataset.clips), -1)
    probability = np.full((runs, epochs, len(fold), classes), np.nan, np.float32)
    for f in range(count):
        mask = folds.test_mask[f]
        mine = folds.test[f][mask]
        fold[mine] = f
        for run in range(runs):
            probability[run][:, mine] = curves.probability[:, run * count + f][:, mask]
    rows = np.flatnonzero(fold >= 0)
    loss, accuracy = (np.asarray(c).T.reshape(runs, count, epochs) for c in (curves.loss, curves.accuracy))
    clips = tuple(dataset.clips[i] for i in rows)
    return Outcome(
        *(dataset.classes, clips, rows, subject[rows], names, fold[rows], split, seeds),
        *(probability[:, :, rows], loss, accuracy),
    )


def chosen_epochs(outcome: Outcome, select: str) -> Int[np.ndarray, "r f"]:
    """The 0-based epoch whose predictions count, for every seed and fold.

    Args:
        outcome: of the run.
        select: "last", or "test": the epoch most accurate on the clips that the fold tests, the latest of equals. That
            is what most published code does; it inflates the score and is here to compare like with like.
    """
    runs, epochs, _ = outcome.hits.shape
    count = len(outcome.split.names)
    if select == "last":
        return np.full((runs, count), epochs - 1)
    right = np.stack([outcome.hits[:, :, outcome.fold == f].sum(-1) for f in range(count)], axis=1)
    return epochs - 1 - right[..., ::-1].argmax(-1)


def chosen_probability(outcome: Outcome, epochs: Int[np.ndarray, "r f"]) -> Float[np.ndarray, "r n k"]:
    """The probabilities that count, given each fold's epoch."""
    runs = np.arange(len(outcome.seeds))[:, None]
    return outcome.probability[runs, epochs[:, outcome.fold], np.arange(len(outcome.clips))[None]]


def chosen(scores: dict) -> str:
    """How the epoch of scores was chosen, in words.

    Args:
        scores: the content of scores.json.
    """
    return SELECT[scores["select"]].format(held_out=scores["held_out"])


def uf1_by_epoch(outcome: Outcome) -> Float[np.ndarray, "r epochs"]:
    """Pooled UF1 after every epoch, the same epoch for all folds."""
    prediction = outcome.probability.argmax(-1)
    classes = len(outcome.classes)
    counts = [[metrics.confusion(outcome.label, p, classes) for p in run] for run in prediction]
    return np.asarray(metrics.uf1(np.array(counts)))


def by_subject(
    outcome: Outcome, prediction: Int[np.ndarray, "r n"], rows: Int[np.ndarray, " m"]
) -> Int[np.ndarray, "r s k k"]:
    """Confusion matrices of some clips, one for each seed and each of their subjects."""
    label, subject = outcome.label[rows], outcome.subject[rows]
    return np.array(
        [
            [
                metrics.confusion(label[subject == s], run[rows][subject == s], len(outcome.classes))
                for s in np.unique(subject)
            ]
            for run in prediction
        ]
    )


def part(outcome: Outcome, prediction: Int[np.ndarray, "r n"], rows: Int[np.ndarray, " m"]) -> dict:
    """Scores of some clips: n, class counts, ACC, UF1, WF1, UAR, intervals from resampling their subjects, confusion.

    With several seeds a score is the mean over seeds, and the confusion matrix their sum.
    """
    counts = by_subject(outcome, prediction, rows)
    pooled, resampled = counts.sum(1), metrics.resample_subjects(counts)
    present = np.bincount(outcome.label[rows], minlength=len(outcome.classes))
    return {
        "n": len(rows),
        "subjects": counts.shape[1],
        "classes": {name: int(count) for name, count in zip(outcome.classes, present, strict=True)},
        **{name: float(score(pooled).mean()) for name, score in SCORES.items()},
        **{f"{name}_interval": metrics.interval(SCORES[name](resampled).mean(-1)) for name in ("uf1", "wf1", "uar")},
        "confusion": pooled.sum(0).tolist(),
        "absent": [name for name, count in zip(outcome.classes, present, strict=True) if count == 0],
        "per_seed": [
            {"seed": seed, **{name: float(score(matrix)) for name, score in SCORES.items()}}
            for seed, matrix in zip(outcome.seeds, pooled, strict=True)
        ],
    }


def mean_of_databases(outcome: Outcome, prediction: Int[np.ndarray, "r n"]) -> dict:
    """ACC and UAR of each database, averaged over the databases, as the holdout task of MEGC 2018 reports them.

    The interval of the mean comes from resampling the subjects of each database by itself.
    """
    counts = [
        by_subject(outcome, prediction, np.flatnonzero(outcome.database == name))
        for name in np.unique(outcome.database)
    ]
    each = [metrics.uar(metrics.resample_subjects(one, seed=i)).mean(-1) for i, one in enumerate(counts)]
    return {
        **{name: float(np.mean([SCORES[name](one.sum(1)).mean() for one in counts])) for name in ("accuracy", "uar")},
        "uar_interval": metrics.interval(np.mean(each, axis=0)),
    }


def scores(outcome: Outcome, select: str) -> dict:
    """The content of scores.json that predictions decide: the whole, and each database.

    With several folds that each test a database there is also the mean over databases.
    """
    prediction = chosen_probability(outcome, chosen_epochs(outcome, select)).argmax(-1)
    split = outcome.split
    averaged = split.held_out == "database" and len(split.names) > 1
    return {
        "classes": list(outcome.classes),
        "protocol": split.told,
        "held_out": split.held_out,
        "select": select,
        "seeds": list(outcome.seeds),
        "whole": part(outcome, prediction, np.arange(len(outcome.clips))),
        "databases": {
            str(name): part(outcome, prediction, np.flatnonzero(outcome.database == name))
            for name in np.unique(outcome.database)
        },
        **({"mean_of_databases": mean_of_databases(outcome, prediction)} if averaged else {}),
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
        ["seed", "database", "subject", "clips", "right", "fold", "epoch"],
        (
            [
                *(seed, *outcome.names[s].split("/", 1), int(mine.sum()), int(right[r, mine].sum())),
                *(outcome.split.names[fold], int(epochs[r, fold]) + 1),
            ]
            for r, seed in enumerate(outcome.seeds)
            for s in np.unique(outcome.subject)
            for mine in [outcome.subject == s]
            for fold in [outcome.fold[mine][0]]
        ),
    )
    hits = outcome.hits
    write_csv(
        folder / "curves.csv",
        ["seed", "fold", "epoch", "train_loss", "train_accuracy", "test_accuracy"],
        (
            [
                *(seed, name, epoch + 1),
                *(float(outcome.loss[r, f, epoch]), float(outcome.accuracy[r, f, epoch])),
                float(hits[r, epoch, outcome.fold == f].mean()),
            ]
            for r, seed in enumerate(outcome.seeds)
            for f, name in enumerate(outcome.split.names)
            for epoch in range(outcome.loss.shape[-1])
        ),
    )
