"""Folders of finished runs, written by what writes them, with predictions of a test's own."""

import numpy as np

from merjax import loso
from merjax.files import write_json
from merjax.folder import Folder
from merjax.report.scores import Outcome, scores, write_tables
from merjax.types import Annotation

CLASSES = ("negative", "positive", "surprise")
FACTS = {"notes": [], "left_out": [], "wall_seconds": 1.0, "compile_seconds": 1.0}


def clips_of(databases=("x", "y"), subjects=5, each=6, classes=3):
    """Clips of databases whose subjects have the same names."""
    return [
        Annotation(database, f"s{s}", f"c{c}", (c + s) % classes)
        for database in databases
        for s in range(subjects)
        for c in range(each)
    ]


def outcome_of(clips, answers, classes=CLASSES, protocol="loso", **own):
    """Outcome of a run whose last epoch answers so; `answers` [seeds, clips] or [seeds, epochs, clips] of classes."""
    answers = np.asarray(answers)
    answers = answers[:, None] if answers.ndim == 2 else answers
    owners = [f"{clip.database}/{clip.subject}" for clip in clips]
    names = sorted(set(owners))
    subject = np.array([names.index(owner) for owner in owners])
    split = loso.split(clips, subject, names, protocol, **own)
    fold = np.zeros(len(clips), np.int64)
    for f, (rows, mask) in enumerate(zip(split.folds.test, split.folds.test_mask, strict=True)):
        fold[rows[mask]] = f
    seeds, epochs, _ = answers.shape
    probability = 0.1 + (1 - 0.1 * len(classes)) * np.eye(len(classes), dtype=np.float32)[answers]
    curves = np.zeros((seeds, len(split.names), epochs))
    rows, numbers = np.arange(len(clips)), tuple(range(seeds))
    return Outcome(classes, tuple(clips), rows, subject, names, fold, split, numbers, probability, curves, curves)


def write_run(folder, clips, answers, classes=CLASSES, select="last", protocol="loso", **own):
    """Writes the folder of a finished run, as `outcome_of`, and gives it."""
    outcome, run = outcome_of(clips, answers, classes, protocol, **own), Folder(folder)
    write_json(run.own("scores.json"), scores(outcome, select) | FACTS)
    write_json(run.own("config.json"), {"protocol": {"name": protocol} | ({protocol: own} if own else {})})
    write_tables(run, outcome, select)
    return folder


def guess(rng, clips, right, seeds=1, classes=3):
    """Answers of which a share is right, the others another class."""
    label = np.array([clip.label for clip in clips])
    wrong = (label + rng.integers(1, classes, (seeds, len(clips)))) % classes
    return np.where(rng.random((seeds, len(clips))) < right, label, wrong)
