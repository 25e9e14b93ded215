"""The story of a run: read, prepare, split, fit all folds, evaluate, report. The only reader of a config."""

import time
from functools import partial
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from merjax import loop, loso, parallel, report, train
from merjax.config import check, claim, recipe, relevant
from merjax.data import DATASETS
from merjax.losses import LOSSES
from merjax.models import MODELS, pretrained
from merjax.ops import INPUTS
from merjax.ops.augment import flip, random_augment, through_hsv
from merjax.prepare import prepare, subjects_of
from merjax.types import Dataset


def run(config: ConfigDict, workdir: Path) -> dict:
    """Trains and scores one experiment; a run of the same config that was cut off in `workdir` goes on from there.

    Args:
        config: see `config.default`.
        workdir: the run's folder; made if absent.

    Returns:
        The content of scores.json.

    Raises:
        InputError: something in the config or the data is wrong.
    """
    started = time.perf_counter()
    check(config)
    made_by, settings = INPUTS[config.input.name], config.train
    dataset = read(config)
    subject, names = subjects_of(dataset)
    name = config.protocol.name
    split = loso.split(dataset.clips, subject, names, name, **config.protocol[name])
    folds = split.folds
    claim(workdir, relevant(config))

    samples = prepare(dataset, recipe(config))
    net = MODELS[config.model.name](classes=len(dataset.classes), **config.model[config.model.name])
    epoch_steps = -(-int(folds.train_mask.sum(1).max()) // settings.batch)
    start, told = None, list[str]()
    if config.model.pretrained:
        start, told = pretrained.start(net, samples.x.shape[1:], config.model.pretrained)
        print("\n".join(told), flush=True)
    given = pretrained.given(start) if start else frozenset()
    tx = train.optimizer(
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
    epoch = partial(
        train.epoch,
        net=net,
        tx=tx,
        loss=partial(LOSSES[settings.loss], **settings[settings.loss]),
        augment=lift(
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
        mirror=lift(partial(flip, vector=made_by.kind != "image")) if settings.flips else None,
        weight_power=settings.class_weight,
        batch=settings.batch,
        epoch_steps=epoch_steps,
        average=settings.average,
    )
    seeds = tuple(range(config.seed, config.seed + config.seeds))
    curves, states, compile_seconds = loop.train_all(
        folds,
        samples,
        seeds,
        net=net,
        tx=tx,
        epoch=epoch,
        epochs=settings.epochs,
        average=settings.average,
        how=parallel.strategy(settings.over_folds),
        folder=workdir / "checkpoints",
        save_seconds=settings.save_seconds,
        start=start,
    )
    outcome = report.gather(curves, split, dataset, subject, names, seeds)
    clips = report.shown(outcome, config.report.gallery)
    looks = loop.look(states, folds, samples, outcome.rows[clips], report.explained(outcome, clips), net=net)
    return report.write(
        workdir,
        outcome,
        select=settings.select,
        config=relevant(config),
        inputs=np.asarray(samples.x),
        vector=made_by.kind == "flow",
        looks=dict(zip(clips.tolist(), looks, strict=True)),
        facts={
            "wall_seconds": time.perf_counter() - started,
            "compile_seconds": compile_seconds,
            "notes": [
                *dataset.notes(),
                *told,
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
