"""Scores of a run from its pooled predictions, and the tables of the run's folder."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from merjax import metrics
from merjax.files import write_csv
from merjax.folder import Folder
from merjax.inner import best_epoch
from merjax.loso import Split
from merjax.types import Annotation, Curves, Dataset, Rows

SELECT = {
    "last": "the last epoch",
    "inner": "epoch chosen on training subjects held out for it",
    "test": "epoch chosen on the test {held_out}",
}
MIXED = "subjects mixed"
PER_CLASS = {"precision": metrics.precision, "recall": metrics.recall, "f1": metrics.f1}
SCORES = {"accuracy": metrics.accuracy, "uf1": metrics.uf1, "wf1": metrics.wf1, "uar": metrics.uar}


class Inner(NamedTuple):
    """What the subjects say that were held out of the training part of every fold, for every seed."""

    subjects: list[list[list[str]]]  # names, by seed and fold
    loss: Float[np.ndarray, "r f epochs"]  # mean -log p of their clips' true classes
    counts: Int[np.ndarray, "r f epochs k k"]  # their confusion matrices


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
    inner: Inner | None = None  # where an epoch is chosen inside the folds

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
    rows: Rows,
    split: Split,
    dataset: Dataset,
    subject: Int[np.ndarray, " n"],
    names: list[str],
    seeds: tuple[int, ...],
) -> Outcome:
    """Puts every fold's test predictions where their clips stand: each clip is tested once for each seed, or never.

    Args:
        curves: of all rows, [epochs, r * f, ...].
        rows: from `parallel.table`: all folds of one seed after another.
        split: the f folds.
        dataset: the clips.
        subject: subject number of every clip.
        names: of subjects, by number.
        seeds: of the r runs.
    """
    epochs, _, _, classes = curves.probability.shape
    runs, count = len(seeds), len(split.names)
    fold = np.full(len(dataset.clips), -1)
    for f in range(count):
        fold[split.folds.test[f][split.folds.test_mask[f]]] = f
    tested = np.flatnonzero(rows.inner == rows.inner.all())  # the folds themselves if they were trained
    probability = np.full((runs, epochs, len(fold), classes), np.nan, np.float32)
    for i, row in enumerate(tested):
        columns = rows.fold.test_mask[row] & (fold[rows.fold.test[row]] == i % count)
        probability[i // count][:, rows.fold.test[row][columns]] = curves.probability[:, row][:, columns]
    loss, accuracy = (np.asarray(c)[:, tested].T.reshape(runs, count, epochs) for c in (curves.loss, curves.accuracy))
    is_tested = np.flatnonzero(fold >= 0)
    clips = tuple(dataset.clips[i] for i in is_tested)
    label = np.array([clip.label for clip in dataset.clips])
    return Outcome(
        *(dataset.classes, clips, is_tested, subject[is_tested], names, fold[is_tested], split, seeds),
        *(probability[:, :, is_tested], loss, accuracy),
        inner=gather_inner(curves, rows, fold, label, subject, names, (runs, count)) if rows.inner.any() else None,
    )


def gather_inner(
    curves: Curves,
    rows: Rows,
    fold: Int[np.ndarray, " n"],
    label: Int[np.ndarray, " n"],
    subject: Int[np.ndarray, " n"],
    names: list[str],
    shape: tuple[int, int],
) -> Inner:
    """What the clips say that rows test beside those of their fold; arguments as `gather`, fold and label by clip."""
    epochs, _, _, classes = curves.probability.shape
    loss, counts = np.zeros((*shape, epochs)), np.zeros((*shape, epochs, classes, classes), np.int64)
    subjects: list[list[list[str]]] = [[] for _ in range(shape[0])]
    for i, row in enumerate(np.flatnonzero(rows.inner)):
        run, f = divmod(i, shape[1])
        columns = np.flatnonzero(rows.fold.test_mask[row] & (fold[rows.fold.test[row]] != f))
        mine = rows.fold.test[row][columns]
        p = curves.probability[:, row][:, columns]
        loss[run, f] = -np.log(np.maximum(p[:, np.arange(len(mine)), label[mine]], 1e-12)).mean(1)
        counts[run, f] = [metrics.confusion(label[mine], one, classes) for one in p.argmax(-1)]
        subjects[run].append([names[s] for s in np.unique(subject[mine])])
    return Inner(subjects, loss, counts)


def chosen_epochs(outcome: Outcome, select: str, patience: int = 0) -> Int[np.ndarray, "r f"]:
    """The 0-based epoch whose predictions count, for every seed and fold.

    Args:
        outcome: of the run.
        select: "last"; "inner": the least loss of the subjects held out for it; or "test": the epoch most accurate on
            the clips that the fold tests, the latest of equals. That is what most published code does; it inflates the
            score and is here to compare like with like.
        patience: for "inner", see `inner.best_epoch`.
    """
    runs, epochs, _ = outcome.hits.shape
    count = len(outcome.split.names)
    if select == "inner" and outcome.inner is not None:
        return best_epoch(outcome.inner.loss, patience)
    if select == "test":
        right = np.stack([outcome.hits[:, :, outcome.fold == f].sum(-1) for f in range(count)], axis=1)
        return epochs - 1 - right[..., ::-1].argmax(-1)
    return np.full((runs, count), epochs - 1)


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


def cautions(scores: dict) -> tuple[str, ...]:
    """The words that no score of a run can stand without, for they say why it is too high for an unseen person.

    Args:
        scores: the content of scores.json.
    """
    return (chosen(scores),) * (scores["select"] == "test") + (MIXED,) * (scores["held_out"] == "part")


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
        "per_class": per_class(outcome.classes, pooled, resampled),
        "confusion": pooled.sum(0).tolist(),
        "absent": [name for name, count in zip(outcome.classes, present, strict=True) if count == 0],
        "per_seed": [
            {"seed": seed, **{name: float(score(matrix)) for name, score in SCORES.items()}}
            for seed, matrix in zip(outcome.seeds, pooled, strict=True)
        ],
    }


def per_class(
    classes: tuple[str, ...], pooled: Int[np.ndarray, "r k k"], resampled: Int[np.ndarray, "b r k k"]
) -> dict[str, dict]:
    """Precision, recall and F1 of every class with intervals, from confusion matrices as they are and resampled."""
    means = {name: score(pooled).mean(0) for name, score in PER_CLASS.items()}
    draws = {name: score(resampled).mean(1) for name, score in PER_CLASS.items()}
    return {
        name: {key: float(means[key][k]) for key in PER_CLASS}
        | {f"{key}_interval": metrics.interval(draws[key][:, k]) for key in PER_CLASS}
        for k, name in enumerate(classes)
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


def selections(outcome: Outcome, patience: int) -> dict[str, dict]:
    """What the same run scores by every way to choose the epoch that it can give, each with the words for it."""
    whole = np.arange(len(outcome.clips))
    found = {}
    for name in SELECT:
        if name == "inner" and outcome.inner is None:
            continue
        probability = chosen_probability(outcome, chosen_epochs(outcome, name, patience))
        words = SELECT[name].format(held_out=outcome.split.held_out)
        found[name] = {"words": words, **part(outcome, probability.argmax(-1), whole)}
    keys = ("words", *SCORES, "uf1_interval", "wf1_interval", "uar_interval")
    return {name: {key: one[key] for key in keys} for name, one in found.items()}


def inner_scores(inner: Inner, epochs: Int[np.ndarray, "r f"]) -> dict:
    """Scores of the subjects held out inside the folds, pooled over all of them, to choose between recipes by.

    A subject counts in every fold that held it out. These are no scores of a run: its epochs were chosen on them.
    """
    runs, folds = np.indices(epochs.shape)
    pooled = inner.counts[runs, folds, epochs].sum(1)
    loss = inner.loss[runs, folds, epochs].mean()
    return {"loss": float(loss), **{name: float(score(pooled).mean()) for name, score in SCORES.items()}}


def scores(outcome: Outcome, select: str, patience: int = 0) -> dict:
    """The content of scores.json that predictions decide: the whole, and each database.

    With several folds that each test a database there is also the mean over databases.
    """
    epochs = chosen_epochs(outcome, select, patience)
    prediction = chosen_probability(outcome, epochs).argmax(-1)
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
        "selections": selections(outcome, patience),
        **({"inner": inner_scores(outcome.inner, epochs)} if select == "inner" and outcome.inner else {}),
    }


def stopped(rows: Rows, row: int, epoch: int, split: Split) -> str:
    """What is told of a training whose numbers were not finite in an epoch, counted from 1."""
    name = split.names[row % len(split.names)]
    kept = f"its network after epoch {epoch - 1}" if epoch > 1 else "its untrained network"
    part = ", to choose its epoch," if rows.inner[row] else ""
    return (
        f"The fold that tests {name}, under seed {rows.seed[row]},{part} met numbers that are not finite in epoch "
        f"{epoch} and stopped: {kept} was tested."
    )


def write_tables(folder: Folder, outcome: Outcome, select: str, patience: int = 0) -> None:
    """Writes predictions.csv, subjects.csv and curves.csv, and inner.csv where epochs are chosen inside the folds."""
    epochs = chosen_epochs(outcome, select, patience)
    probability = chosen_probability(outcome, epochs)
    prediction = probability.argmax(-1)
    write_csv(
        folder.own("predictions.csv"),
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
        folder.own("subjects.csv"),
        ["seed", "database", "subject", "clips", "right", "fold", "epoch"],
        (
            [
                *(seed, *outcome.names[s].split("/", 1), int(mine.sum()), int(right[r, mine].sum())),
                *(outcome.split.names[fold], int(epochs[r, fold]) + 1),
            ]
            for r, seed in enumerate(outcome.seeds)
            for s, fold in np.unique([outcome.subject, outcome.fold], axis=1).T
            for mine in [(outcome.subject == s) & (outcome.fold == fold)]
        ),
    )
    hits = outcome.hits
    write_csv(
        folder.own("curves.csv"),
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
    if outcome.inner is not None:
        inner = outcome.inner
        write_csv(
            folder.own("inner.csv"),
            ["seed", "fold", "epoch", "inner_loss", "inner_accuracy", "subjects"],
            (
                [seed, name, epoch + 1, float(inner.loss[r, f, epoch]), *accuracy, " ".join(inner.subjects[r][f])]
                for r, seed in enumerate(outcome.seeds)
                for f, name in enumerate(outcome.split.names)
                for epoch in range(outcome.loss.shape[-1])
                for accuracy in [[float(metrics.accuracy(inner.counts[r, f, epoch]))]]
            ),
        )
