"""Traces the whole run of every experiment at the size of its data set, without data, and counts its multiply-adds.

    python benchmarks/experiments.py [NAME ...]       all of configs/, or some: cof_casme2 dianet_mmew

Multiply-adds are those of all epochs (training forwards and backwards, and testing; `merjax.cost`) of the config's own
run, one seed; those of making inputs are left out. A grid costs the sum over its points.
"""

import importlib.util
import sys
import types
from functools import partial
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from merjax import config, cost, loso, main, parallel, train, views
from merjax.data.schemes import SCHEMES
from merjax.models import cpu
from merjax.ops import INPUTS
from merjax.prepare import traced
from merjax.types import Curves, Samples, State

CONFIGS = Path(__file__).parents[1] / "configs"
# Clips and subjects of complete data sets, by scheme: those that nobody counted by the sheet of the scheme. Subjects
# of CASME, of CAS(ME)^2 and of MMEW are those of the whole data set.
SIZES = {
    "mmew_7": (300, 30),
    "mmew_6": (234, 30),
    "casme_4": (171, 19),
    "casme_sq_4": (57, 22),
    "meganet_casme2_3": (147, 24),  # as casme2_4 without others
    "meganet_samm_3": (110, 26),  # as samm_4
    "flow_folder": (442, 68),  # MEGC 2019
}
DATABASES = {"casme2": 185, "samm": 68}  # clips of MEGC 2018


class Whole(NamedTuple):
    """A run that was traced, not run."""

    clips: int
    subjects: int
    before: State  # shapes; rows in front
    after: State
    curves: Curves  # of one epoch
    work: int  # multiply-adds of all epochs


def load(name: str) -> types.ModuleType:
    """The module of a config file."""
    spec = importlib.util.spec_from_file_location(name, CONFIGS / f"{name}.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def size(name: str, c: ConfigDict) -> tuple[int, int, int, int]:
    """Clips, subjects and classes of the complete data set of a config, and pixels."""
    if c.data.name == "synthetic":
        own = c.data.synthetic
        return own.subjects * own.clips_per_class * 3, own.subjects, 3, own.size
    if c.data.name == "flow_folder":
        return *SIZES["flow_folder"], 3, 28
    own = c.data[c.data.name]
    if own.own:
        return *SIZES[name], len(own.own), own.size
    scheme = SCHEMES[own.scheme]
    clips, subjects = SIZES.get(own.scheme) or next(iter(scheme.counts.values()))
    return clips, subjects, len(scheme.classes), own.size


@patch.object(cpu, "here", lambda _: False)
def whole(name: str, c: ConfigDict) -> Whole:
    """Traces the run of a config: the input, every row's start, an epoch of all rows lifted over them, their test.

    Networks are traced as they are written; what a CPU does in their place may take more products, or fewer.
    """
    config.check(c)
    n, people, classes, side = size(name, c)
    chosen = views.choose(INPUTS[c.input.name].views, c.train.views, c.train.test_views)
    x = traced(config.recipe(c), side).shape
    label, subject = np.arange(n) % classes, np.arange(n) % people
    numbers = jax.ShapeDtypeStruct((n,), jnp.int32)
    samples = jax.eval_shape(
        partial(views.images, views=chosen), Samples(jax.ShapeDtypeStruct((n, *x), jnp.float32), numbers, numbers)
    )
    if c.protocol.name == "database":
        folds = loso.database_folds(label, np.repeat(list(DATABASES), list(DATABASES.values())).tolist())
    else:
        folds = loso.folds(label, subject)
    rows = parallel.table(tuple(range(c.seeds)), folds)
    rows = rows._replace(fold=views.fold_of_images(rows.fold, chosen))
    epoch_steps = -(-int(rows.fold.train_mask.sum(1).max()) // c.train.batch)
    job, _ = main.make_job(c, classes, samples.x.shape[1:], epoch_steps)
    mesh = parallel.fold_mesh("map")
    keys, fold = parallel.place_rows(rows, mesh)
    lift = partial(parallel.over_folds, how="map", mesh=mesh)
    before = jax.eval_shape(lift(job.init), keys, fold, samples)
    epoch = jax.make_jaxpr(lift(partial(train.epoch, **job.bound)), return_shape=True)
    program, (after, curves) = epoch(keys, before, fold, samples)
    return Whole(n, people, before, after, curves, c.train.epochs * cost.counted(program.jaxpr))


def told(name: str) -> str:
    """A line of the table."""
    module = load(name)
    found = whole(name, module.get_config().lock())
    points = len(module.get_grid()) if hasattr(module, "get_grid") else 0
    parameters = sum(a.size for a in jax.tree.leaves(found.before.params)) // len(found.before.step)
    return f"{name:20} {found.clips:5} {found.subjects:4} {parameters:12,} {found.work:10.1e} {points or '':>5}"


if __name__ == "__main__":
    print("experiment           clips subj   parameters multiply-adds grid")
    for name in sys.argv[1:] or [path.stem for path in sorted(CONFIGS.glob("*.py"))]:
        print(told(name), flush=True)
