"""Every network with every input: what fits is traced in training and testing, what does not is refused."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import SMALL_NETWORKS

from merjax import config, loso, losses, optim, train
from merjax.models import MODELS
from merjax.ops import INPUTS
from merjax.prepare import traced
from merjax.types import InputError, Samples


def chosen(name, network):
    c = config.default()
    c.input.name, c.model.name = name, network
    c.model[network].update(SMALL_NETWORKS.get(network, {}))
    return c


@cache
def shape(name):
    """[p, h, w, c] of what a network sees at a time of an input of frames of 28 x 28 pixels."""
    made = traced(config.recipe(chosen(name, "linear")), 28).shape
    assert made[0] == INPUTS[name].images
    return (INPUTS[name].streams, *made[1:])


@cache
def epoch_of(network, shape):
    """State before and after one epoch of a fold, and its curves, by tracing only."""
    net = MODELS[network](classes=3, **SMALL_NETWORKS.get(network, {}))
    n = 12
    fold = jax.tree.map(lambda a: a[0], loso.folds(np.arange(n) % 3, np.arange(n) // 4))
    tx = optim.optimizer(name="adamw", schedule="onecycle", lr=1e-2, weight_decay=1e-2, steps=4)
    numbers = jax.ShapeDtypeStruct((n,), jnp.int32)
    samples = Samples(jax.ShapeDtypeStruct((n, *shape), jnp.float32), numbers, numbers)
    init = partial(train.init, net=net, tx=tx, average=0.9)
    epoch = partial(
        train.epoch,
        net=net,
        tx=tx,
        loss=losses.focal,
        augment=lambda key, x: x,
        mirror=None,
        weight_power=0.5,
        batch=4,
        epoch_steps=2,
        average=0.9,
    )
    state = jax.eval_shape(init, jax.random.key(0), fold, samples)
    return state, *jax.eval_shape(epoch, jax.random.key(0), state, fold, samples)


def described(tree):
    return jax.tree.map(lambda a: (a.shape, a.dtype), tree)


@pytest.mark.parametrize("network", MODELS)
def test_every_input_that_fits_is_traced_in_training_and_testing_and_every_other_is_refused(network):
    streams = MODELS[network](classes=3).streams
    fits = [name for name, entry in INPUTS.items() if streams in (None, entry.streams)]
    assert fits
    for name in INPUTS:
        if name in fits:
            config.check(chosen(name, network))
            before, after, curves = epoch_of(network, shape(name))
            assert described(after) == described(before)
            assert curves.probability.shape == (4, 3)
        else:
            with pytest.raises(InputError) as error:
                config.check(chosen(name, network))
            assert str(error.value).startswith(f"model.name '{network}' takes ")
            assert str(error.value).endswith(f"inputs that fit are {', '.join(fits)}")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"train.average": 1.0}, "train.average is 1.0; it must be at least 0 and below 1"),
        ({"train.warmup": -0.1}, "train.warmup is -0.1; it must be at least 0 and below 1"),
        ({"train.decay": "weights"}, "train.decay is 'weights'; it can be all, kernels"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(changes, sentence):
    c = config.default()
    c.update_from_flattened_dict(changes)
    with pytest.raises(InputError) as error:
        config.check(c)
    assert str(error.value) == sentence


def test_a_run_keeps_the_fields_of_its_recipe_that_it_used():
    c = config.default()
    assert "warmup" not in config.relevant(c)["train"]
    c.train.schedule, c.train.weight_decay = "cosine", 0.0
    assert config.relevant(c)["train"]["warmup"] == 0.05
    assert "decay" not in config.relevant(c)["train"]
