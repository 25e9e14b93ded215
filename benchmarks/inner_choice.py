"""Which points of the grid on real flow, and which means of two or three, do best inside the folds.

    python benchmarks/inner_choice.py FOLDER [--every=5] [--seeds=3]

For every fifth fold and each seed, a fifth of the fold's training subjects is held out (`inner.inner`, the same for all
points), every point of the grid of configs/real_flow.py trains on the rest, and the held-out subjects are scored at the
last epoch, pooled. The subject that a fold tests is never scored here. Prints UF1 of every point, mean over seeds, and
of the best means of two and of three points, probabilities averaged seed by seed: what docs/results.md chooses by.
"""

import argparse
import contextlib
import itertools
import os
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int
from ml_collections import ConfigDict
from real_flow import grid, named
from tqdm import tqdm

from merjax import loop, loso, main, metrics, parallel, program
from merjax.config import recipe
from merjax.folder import Folder
from merjax.inner import inner
from merjax.prepare import prepare, subjects_of
from merjax.types import Rows, Samples

SHOWN = 8


class Answers(NamedTuple):
    """What one point of the grid says of the clips held out."""

    probability: Float[np.ndarray, "s f e k"]  # by seed and fold
    label: Int[np.ndarray, "f e"]
    held: Bool[np.ndarray, "f e"]


def answers(c: ConfigDict, every: int, seeds: int) -> Answers:
    """Trains the inner rows of some folds."""
    dataset = main.read(c)
    subject, names = subjects_of(dataset)
    label = np.array([clip.label for clip in dataset.clips])
    folds = jax.tree.map(lambda a: a[::every], loso.split(dataset.clips, subject, names, "loso").folds)
    held_out = inner(folds, label, subject, share=c.train.inner_share, seed=0)
    rows = parallel.table(tuple(range(seeds)), folds, [held_out] * seeds, refit=False)
    samples, _ = prepare(dataset, recipe(c))
    steps = -(-int(rows.fold.train_mask.sum(1).max()) // c.train.batch)
    job, _ = main.make_job(c, len(dataset.classes), samples.x.shape[1:], steps)
    shape = (seeds, len(folds.subject))
    tested = rows.fold.test[: shape[1]]
    held = rows.fold.test_mask[: shape[1]] & (subject[tested] != folds.subject[:, None])
    return Answers(last(rows, samples, job).reshape(*shape, *tested.shape[1:], -1), label[tested], held)


def last(rows: Rows, samples: Samples, job: program.Job) -> Float[np.ndarray, "r e k"]:
    """Probabilities of the last epoch of every row."""
    plan = program.plan(job, rows, samples, "auto", 0)
    with tempfile.TemporaryDirectory() as folder:
        return loop.train_all(rows, samples, job, plan, folder=Folder(folder), save_seconds=1e9).curves.probability[-1]


def uf1(one: Answers, probability: np.ndarray) -> float:
    """Pooled over the folds, mean over the seeds."""
    found = [metrics.confusion(one.label[one.held], p[one.held].argmax(-1), p.shape[-1]) for p in probability]
    return float(np.mean([metrics.uf1(counts) for counts in found]))


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    found: dict[str, Answers] = {}
    with contextlib.redirect_stdout(sys.stderr):  # what is printed is the tables
        for point in tqdm(grid(given.folder), unit="point"):
            found[named(point.config)] = answers(point.config, given.every, given.seeds)
            jax.clear_caches()
    print("| network, input | UF1 of subjects held out inside the folds |\n| --- | --- |")
    for name, one in sorted(found.items(), key=lambda item: -uf1(item[1], item[1].probability)):
        print(f"| {name} | {uf1(one, one.probability):.3f} |")
    for count, word in ((2, "two"), (3, "three")):
        means = {
            "; ".join(names): uf1(found[names[0]], np.mean([found[name].probability for name in names], axis=0))
            for names in itertools.combinations(found, count)
        }
        print(f"\n| the mean of {word} | UF1 of subjects held out inside the folds |\n| --- | --- |")
        for name, score in sorted(means.items(), key=lambda item: -item[1])[:SHOWN]:
            print(f"| {name} | {score:.3f} |")


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))
    run()
