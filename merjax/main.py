"""The story of a run: read, prepare, split, fit all folds, evaluate, report. The only reader of a config."""

import time
from functools import partial
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from merjax import look, loop, loso, optim, parallel, program, report, views
from merjax.config import check, claim, recipe, relevant
from merjax.data import DATASETS
from merjax.inner import inner
from merjax.losses import LOSSES
from merjax.models import MODELS, pretrained
from merjax.ops import INPUTS
from merjax.ops.augment import flip, random_augment, through_hsv
from merjax.prepare import prepare, subjects_of
from merjax.types import Dataset

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
        InputError: something in the config or the data is wrong.
        Interruption: the run was asked to end, and is saved.
    """
    started = time.perf_counter()
    check(config)
    made_by, settings = INPUTS[config.input.name], config.train
    dataset = read(config)
    if dataset.account:
        loop.say("\n".join(dataset.account))
    subject, names = subjects_of(dataset)
    name = config.protocol.name
    split = loso.split(dataset.clips, subject, names, name, **config.protocol[name])
    folds = split.folds
    if jax.process_index() == 0:
        claim(workdir, relevant(config), resume=resume)

    prepared = prepare(dataset, recipe(config))
    chosen = views.choose(made_by.views, settings.views, settings.test_views)
    samples = views.images(prepared, chosen)
    epoch_steps = -(-len(chosen.train) * int(folds.train_mask.sum(1).max()) // settings.batch)
    job, told = make_job(config, len(dataset.classes), samples.x.shape[1:], epoch_steps)
    if told:
        loop.say("\n".join(told))
    every_seed = tuple(range(config.seed, config.seed + config.seeds * settings.together))
    seeds = every_seed[:: settings.together]
    label = np.array([clip.label for clip in dataset.clips])
    chosen_on = [
        inner(folds, label, subject, share=settings.inner_share, seed=seed)
        for seed in seeds
        if settings.select == "inner"
    ]
    of_each = [one for one in chosen_on for _ in range(settings.together)]  # an ensemble chooses its epoch as one
    rows = parallel.table(every_seed, folds, of_each, refit=settings.refit)
    of_images = rows._replace(fold=views.fold_of_images(rows.fold, chosen))
    plan = program.plan(job, of_images, samples, settings.over_folds, settings.chunk)
    folder = workdir / "checkpoints"
    trained = loop.train_all(of_images, samples, job, plan, folder=folder, save_seconds=settings.save_seconds)
    curves = parallel.averaged(views.of_clips(trained.curves, chosen), settings.together, len(split.names))
    ensembles = parallel.table(seeds, folds, chosen_on, refit=settings.refit)
    outcome = report.gather(curves, ensembles, split, dataset, subject, names, seeds)
    clips = report.shown(outcome, config.report.gallery)
    asked = report.explained(outcome, clips)
    seen = prepared._replace(x=views.first_tested(prepared.x, chosen))
    looks = look.look(trained.network, folds, seen, outcome.rows[clips], asked, net=job.net)
    if jax.process_index() > 0:
        return {}
    return report.write(
        workdir,
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
            "plan": plan._asdict(),
            "notes": [
                *dataset.notes(),
                *told,
                *chosen.told,
                *([ENSEMBLE.format(settings.together)] if settings.together > 1 else []),
                *(report.stopped(rows, row, epoch, split) for row, epoch in trained.stopped.items()),
                *loso.remarks(split, dataset.clips, dataset.classes),
            ],
            "left_out": list(dataset.left_out),
        },
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
