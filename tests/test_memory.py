"""What a run is said to need of memory, and how many rows that allows at once."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from merjax import loso, losses, memory, optim, train
from merjax.memory import GIB, Need, rows_at_once
from merjax.models import MODELS
from merjax.program import Plan
from merjax.types import InputError, Samples

NEED = Need(fixed=1 * GIB, row=GIB // 4, flight=2 * GIB)


def inputs(net, batch=8, side=64):
    """A fold, samples, an optimiser and the state of one row, by their shapes."""
    n = 2 * batch
    number = jax.ShapeDtypeStruct((n,), jnp.int32)
    samples = Samples(jax.ShapeDtypeStruct((n, 1, side, side, 3), jnp.float32), number, number)
    fold = jax.tree.map(lambda a: a[0], loso.folds(np.arange(n) % 2, np.arange(n) % 4))
    tx = optim.optimizer(name="adamw", schedule="constant", lr=1e-3, weight_decay=0.0, steps=1)
    state = jax.eval_shape(partial(train.init, net=net, tx=tx), jax.random.key(0), fold, samples)
    return fold, samples, tx, state


def estimate(net, **how):
    how = {"precision": "float32", "remat": False, "accumulate": 1} | how
    _, samples, _, state = inputs(net)
    return memory.estimate(state, samples, net, batch=8, **how)


def test_the_estimate_is_near_what_the_compiled_program_takes():
    net = MODELS["resnet18"](classes=2, width=32, blocks=(1, 1))
    fold, samples, tx, state = inputs(net)
    epoch = partial(
        train.epoch,
        net=net,
        tx=tx,
        loss=losses.cross_entropy,
        augment=lambda key, x: x,
        mirror=None,
        weight_power=0.0,
        batch=8,
        epoch_steps=2,
    )
    program = jax.jit(epoch, donate_argnums=1).lower(jax.random.key(0), state, fold, samples).compile()
    need = estimate(net)
    assert need.row == 3 * memory.size(state)
    assert need.flight == pytest.approx(program.memory_analysis().temp_size_in_bytes, rel=0.25)


def test_less_is_kept_with_parts_of_a_batch_and_when_maps_are_made_again():
    net = MODELS["resnet18"](classes=2, width=8, blocks=(1, 1, 1))
    usual = estimate(net).flight
    assert estimate(net, accumulate=4).flight < 0.5 * usual
    assert estimate(net, remat=True).flight < 0.5 * usual
    assert estimate(net, precision="bfloat16").flight < 0.9 * usual


@pytest.mark.parametrize(
    ("rows", "devices", "room", "side_by_side", "expected"),
    [
        (68, 2, 1000, False, 68),  # all at once
        (5, 4, 1000, False, 8),  # padded to the devices
        (68, 2, 8, False, 24),  # 0.85 * 8 - 3 GiB hold 15 rows a device: 3 parts
        (68, 2, 8, True, 4),  # 5.8 GiB hold 2 rows of 2.25 GiB
        (68, 1, 4, False, 1),
    ],
)
def test_rows_are_spread_evenly_over_as_few_programs_as_fit(rows, devices, room, side_by_side, expected):
    chunk = rows_at_once(NEED, rows, devices, side_by_side=side_by_side, work=1, room=room * GIB)
    assert chunk == expected
    assert chunk % devices == 0
    assert NEED.total(chunk // devices, side_by_side) <= memory.SPARE * room * GIB


def test_the_user_and_long_epochs_ask_for_fewer():
    assert rows_at_once(NEED, 68, 2, side_by_side=False, work=1, most=10, room=1000 * GIB) == 10
    slow = rows_at_once(NEED, 68, 2, side_by_side=False, work=int(memory.PER_CALL["cpu"]), room=1000 * GIB)
    assert slow == 2  # a call ends within minutes, and can be saved


def test_a_tpu_takes_as_many_rows_as_are_fastest(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    room = {"room": 1000 * GIB, "work": 1}
    assert rows_at_once(NEED, 68, 1, side_by_side=True, **room) == 8
    assert rows_at_once(NEED, 68, 4, side_by_side=True, **room) == 24  # spread evenly over three programs
    assert rows_at_once(NEED, 68, 1, side_by_side=True, most=34, **room) == 34
    assert rows_at_once(NEED, 68, 1, side_by_side=False, **room) == 68
    monkeypatch.setattr(memory, "free", lambda: 1000 * GIB)
    assert Plan("vmap", 68, 34, 1, 0.0, 0, 0, NEED).fits(34) == 34  # as a user chose them


def test_what_cannot_fit_says_what_to_change():
    with pytest.raises(InputError, match=r"one fold needs about 3\.2 GiB and a device has 2\.5 GiB.*train\.accumulate"):
        rows_at_once(NEED, 68, 2, side_by_side=False, work=1, room=3 * GIB)


def test_memory_of_this_machine_is_a_number_between_a_few_megabytes_and_what_is_built_in():
    assert 2**25 < memory.free() <= memory.host_free() < 2**50
