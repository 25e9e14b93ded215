"""Every experiment: loads, is complete, and its whole run is traced; and the rules that every config keeps."""

import importlib.util
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import REPOSITORY

from merjax import config, loso, losses, optim, parallel, train
from merjax.data import DATASETS
from merjax.models import MODELS
from merjax.ops import INPUTS
from merjax.ops.augment import random_augment
from merjax.types import InputError, Samples

FILES = sorted((REPOSITORY / "configs").glob("*.py"))


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_config_states_its_source_command_and_cost_and_is_traced_whole(path):
    module = load(path)
    for word in ("Source:", "Command:", "Cost:", "Score:"):
        assert word in module.__doc__, word
    assert f"--config=configs/{path.name}" in module.__doc__ or path.stem == "afn_synth"
    c = module.get_config().lock()
    config.check(c)
    made_by = INPUTS[c.input.name]
    size = c.data.synthetic.size if c.data.name == "synthetic" else 28
    n = 40
    x = jax.ShapeDtypeStruct((n, made_by.streams, size, size, 3), jnp.float32)
    numbers = jax.ShapeDtypeStruct((n,), jnp.int32)
    folds = loso.folds(np.arange(n) % 3, np.arange(n) // 4)
    net = MODELS[c.model.name](classes=3, **c.model[c.model.name])
    t = c.train
    tx = optim.optimizer(
        name=t.optimizer, schedule=t.schedule, lr=t.lr, weight_decay=t.weight_decay, steps=9 * t.epochs
    )
    epoch = partial(
        train.epoch,
        net=net,
        tx=tx,
        loss=partial(losses.LOSSES[t.loss], **t[t.loss]),
        augment=partial(random_augment, vector=False, flips=t.flips, shifts=t.shifts, degrees=t.degrees),
        mirror=None,
        weight_power=t.class_weight,
        batch=t.batch,
        epoch_steps=9,
    )
    mesh = parallel.fold_mesh("map")
    keys, rows = parallel.place_rows(parallel.table((0, 1), folds), mesh)
    init = parallel.over_folds(partial(train.init, net=net, tx=tx), "map", mesh)
    samples = Samples(x, numbers, numbers)
    states = jax.eval_shape(init, keys, rows, samples)
    after, curves = jax.eval_shape(parallel.over_folds(epoch, "map", mesh), keys, states, rows, samples)
    assert jax.tree.map(lambda a: (a.shape, a.dtype), after) == jax.tree.map(lambda a: (a.shape, a.dtype), states)
    assert curves.probability.shape == (20, 4, 3)


@pytest.mark.parametrize("network", MODELS)
@pytest.mark.parametrize("name", INPUTS)
def test_every_input_meets_every_network_or_is_refused_with_what_fits(name, network):
    c = config.default()
    c.input.name, c.model.name = name, network
    net = MODELS[network](classes=3)
    if net.streams in (None, INPUTS[name].streams):
        config.check(c)
    else:
        with pytest.raises(InputError, match="inputs that fit are"):
            config.check(c)


def test_every_argument_of_every_component_is_a_field():
    c = config.default()
    assert c.model.afn.fusion == "gate"
    assert c.input.mm_cof.theta == 0.5
    assert c.data.synthetic.seed == 0
    assert c.train.focal.gamma == 2.0
    assert c.protocol.holdout.train == ""
    assert set(c.data) == {"name", "root", "repair", *DATASETS}
    c.lock()
    with pytest.raises(AttributeError):
        c.model.afn.withd = 3


def test_a_run_keeps_the_fields_that_it_used():
    kept = config.relevant(config.default())
    assert set(kept["input"]) == {"name", "trdi_midi"}
    assert set(kept["model"]) == {"name", "afn"}
    assert "focal" not in kept["train"]
    assert kept["protocol"] == {"name": "loso"}
