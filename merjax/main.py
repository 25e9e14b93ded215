"""The story of a run: read, prepare, split, fit all folds, evaluate, report. The only reader of a config."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Int
from ml_collections import ConfigDict

from merjax import cache, checkpoint, fingerprint, look, loop, loso, optim, parallel, program, report, views
from merjax.config import check, recipe, relevant
from merjax.data import DATASETS
from merjax.folder import Folder
from merjax.inner import inner
from merjax.losses import LOSSES
from merjax.models import MODELS, pretrained
from merjax.ops import INPUTS
from merjax.ops.augment import flip, random_augment, through_hsv
from merjax.prepare import prepare, subjects_of
from merjax.types import Dataset, Fold, Rows

ENSEMBLE = "Every prediction is the mean of {} networks; what a network sees is shown of the first of them."


def run(config: ConfigDict, workdir: Path, *, resume: bool = True) -> dict:
    """Trains and scores one experiment; a run of the same config that was cut off in `workdir` goes on from there.

    Args:
        config: see `config.default`.
        workdir: the run's folder; made if absent. Several processes of one run share it.
        resume: goes on from what is saved there; else begins anew.

    Returns:
        The content of scores.json; nothing in processes other than the first.

    Raises:
        InputError: something in the config or the data is wrong, or the folder holds something else.
        Interruption: the run was asked to end, and is saved.
    """
    check(config)
    cache.keep_programs()
    with Folder(workdir, writes=jax.process_index() == 0) as folder:
        folder.check(report.FILES)
        before = fingerprint.earlier(folder, resume=resume, saved=checkpoint.runs_saved(folder))
        if before:
            fingerprint.refuse(folder.path, before, {"config": relevant(config)})  # before inputs are made
        return train(config, folder, before)


def train(config: ConfigDict, folder: Folder, before: dict | None) -> dict:
    """Trains and scores one experiment in its folder; see `run`.

    Args:
        config: checked.
        folder: of the run, locked.
        before: from `fingerprint.earlier`.
    """
    started = time.perf_counter()
    made_by, settings = INPUTS[config.input.name], config.train
    dataset = read(config)
    if dataset.account:
        loop.say("\n".join(dataset.account))
    divided = divide(config, dataset)
    prepared, digests = prepare(dataset, recipe(config))
    fingerprint.begin(folder, made_of(config, dataset, divided, digests), before)
    split = divided.split

    chosen = views.choose(made_by.views, settings.views, settings.test_views)
    samples = views.images(prepared, chosen)
    epoch_steps = -(-len(chosen.train) * int(split.folds.train_mask.sum(1).max()) // settings.batch)
    job, told = make_job(config, len(dataset.classes), samples.x.shape[1:], epoch_steps)
    if told:
        loop.say("\n".join(told))
    of_images = divided.rows._replace(fold=views.fold_of_images(divided.rows.fold, chosen))
    plan = program.plan(job, of_images, samples, settings.over_folds, settings.chunk)
    trained = loop.train_all(of_images, samples, job, plan, folder=folder, save_seconds=settings.save_seconds)
    curves = parallel.averaged(views.of_clips(trained.curves, chosen), settings.together, len(split.names))
    seeds = divided.seeds[:: settings.together]
    ensembles = parallel.table(seeds, split.folds, divided.inner[:: settings.together], refit=settings.refit)
    outcome = report.gather(curves, ensembles, split, dataset, divided.subject, divided.names, seeds)
    clips = report.shown(outcome, config.report.gallery)
    asked = report.explained(outcome, clips)
    seen = prepared._replace(x=views.first_tested(prepared.x, chosen))
    looks = look.look(trained.network, split.folds, seen, outcome.rows[clips], asked, net=job.net)
    if jax.process_index() > 0:
        return {}
    return report.write(
        folder,
        outcome,
        select=settings.select,
        patience=settings.patience,
        config=relevant(config),
        inputs=np.asarray(seen.x),
        vector=made_by.kind == "flow",
        looks=dict(zip(clips.tolist(), looks, strict=True)),
        facts={
            "wall_seconds": time.perf_counter() - started,
            "compile_seconds": trained.compile_seconds,
            "plan": {name: value for name, value in plan._asdict().items() if name != "need"},
            "notes": [
                *dataset.notes(),
                *told,
                *chosen.told,
                *([ENSEMBLE.format(settings.together)] if settings.together > 1 else []),
                *(report.stopped(divided.rows, row, epoch, split) for row, epoch in trained.stopped.items()),
                *loso.remarks(split, dataset.clips, dataset.classes),
            ],
            "left_out": list(dataset.left_out),
        },
    )


class Divided(NamedTuple):
    """The splits of an experiment, and the trainings that they ask for.

    Attributes:
        subject: number of the subject of every clip.
        names: of the subjects, by number.
        split: the folds.
        seeds: of all trainings; an ensemble has several.
        inner: where epochs are chosen inside the folds, the folds to choose them by, for each seed.
        rows: all trainings.
    """

    subject: Int[np.ndarray, " n"]
    names: list[str]
    split: loso.Split
    seeds: tuple[int, ...]
    inner: list[Fold]
    rows: Rows


def divide(config: ConfigDict, dataset: Dataset) -> Divided:
    """Splits the clips of an experiment.

    Raises:
        InputError: they can't be split so.
    """
    settings, protocol = config.train, config.protocol.name
    subject, names = subjects_of(dataset)
    split = loso.split(dataset.clips, subject, names, protocol, **config.protocol[protocol])
    seeds = tuple(range(config.seed, config.seed + config.seeds * settings.together))
    label = np.array([clip.label for clip in dataset.clips])
    chosen_on = [
        inner(split.folds, label, subject, share=settings.inner_share, seed=seed)
        for seed in seeds[:: settings.together]
        if settings.select == "inner"
    ]
    of_each = [one for one in chosen_on for _ in range(settings.together)]  # an ensemble chooses its epoch as one
    return Divided(
        subject, names, split, seeds, of_each, parallel.table(seeds, split.folds, of_each, refit=settings.refit)
    )


def made_of(config: ConfigDict, dataset: Dataset, divided: Divided, digests: Sequence[str]) -> dict:
    """The fingerprint of an experiment; digests as `prepare` gives them."""
    return fingerprint.fingerprint(
        relevant(config), dataset, digests, cache.source(), divided.rows, divided.split.names
    )


def read(config: ConfigDict) -> Dataset:
    """The data set that the config names, with the parts that its input needs."""
    source = DATASETS[config.data.name]
    own = config.data[config.data.name].to_dict()
    if not source.folder:
        return source.read(**own)
    if config.data.repair:
        own["repair"] = config.data.repair
    return source.read(config.data.root, phases=INPUTS[config.input.name].needs, **own)


def make_job(
    config: ConfigDict, classes: int, shape: tuple[int, ...], epoch_steps: int
) -> tuple[program.Job, list[str]]:
    """How the config has one row trained, and what became of pretrained weights, a sentence each.

    Args:
        config: see `config.default`.
        classes: how many the data have.
        shape: [p h w c] of an image.
        epoch_steps: steps of an epoch.

    Raises:
        InputError: the pretrained weights don't fit.
    """
    made_by, settings = INPUTS[config.input.name], config.train
    net = MODELS[config.model.name](classes=classes, **config.model[config.model.name])
    start, told = None, list[str]()
    if config.model.pretrained:
        start, told = pretrained.start(net, shape, config.model.pretrained)
    given = pretrained.given(start) if start else frozenset()
    tx = optim.optimizer(
        name=settings.optimizer,
        schedule=settings.schedule,
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        steps=epoch_steps * settings.epochs,
        clip=settings.clip,
        decay=settings.decay,
        warmup=settings.warmup,
        slow=lambda path: path in given,
        slow_factor=settings.pretrained_lr,
    )
    lift = through_hsv if made_by.kind == "colours" else lambda change: change
    job = program.Job(
        net,
        tx,
        {
            "loss": partial(LOSSES[settings.loss], **settings[settings.loss]),
            "augment": lift(
                partial(
                    random_augment,
                    vector=made_by.kind != "image",
                    flips=settings.flips,
                    shifts=settings.shifts,
                    degrees=settings.degrees,
                    brightness=settings.brightness,
                    contrast=settings.contrast,
                )
            ),
            "mirror": lift(partial(flip, vector=made_by.kind != "image")) if settings.flips else None,
            "weight_power": settings.class_weight,
            "batch": settings.batch,
            "epoch_steps": epoch_steps,
            "precision": settings.precision,
            "remat": settings.remat,
            "accumulate": settings.accumulate,
        },
        epochs=settings.epochs,
        average=settings.average,
        start=start,
    )
    return job, told
