"""What the protocol stands on: a fold alone, in the stack, resumed, and never touched by its held-out subject."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from merjax import loso, losses, parallel, train
from merjax.models import MODELS
from merjax.ops.augment import flip, random_augment
from merjax.types import InputError, Samples

SUBJECTS, PER_SUBJECT, SIZE = 6, 4, 12
NETS = {
    "ststnet": MODELS["ststnet"](classes=3),  # batch norm and dropout
    "fmanet": MODELS["fmanet"](classes=3, width=4, blocks=(1,), stem="small", norm="group"),
}


@pytest.fixture
def samples(rng) -> Samples:
    n = SUBJECTS * PER_SUBJECT
    subject = np.repeat(np.arange(SUBJECTS), PER_SUBJECT)[: n - 2]  # the last subject has fewer clips: padding
    x = rng.normal(size=(len(subject), 2, SIZE, SIZE, 3)).astype(np.float32)
    label = np.arange(len(subject)) % 3
    return Samples(jnp.asarray(x), jnp.asarray(label, jnp.int32), jnp.asarray(subject, jnp.int32))


def recipe(net):
    tx = train.optimizer(name="adamw", schedule="onecycle", lr=1e-2, weight_decay=1e-2, steps=20)
    return {
        "net": net,
        "tx": tx,
        "loss": losses.cross_entropy,
        "augment": partial(random_augment, vector=True, flips=True, shifts=1, degrees=0.0),
        "weight_power": 0.5,
        "batch": 8,
        "epoch_steps": 3,
    }


def streams(net, samples):
    return samples if net.streams != 1 else samples._replace(x=samples.x[:, :1])


def stack(samples, how, seeds=(0,)):
    folds = loso.folds(np.asarray(samples.label), np.asarray(samples.subject))
    mesh = parallel.fold_mesh(how)
    keys, rows = parallel.place(parallel.table(seeds, folds, mesh), mesh, split=True)
    return mesh, keys, rows, parallel.place(samples, mesh, split=False)


def programs(net, steps=4):
    """Init and fit as two programs, as in a run: state made inside a `shard_map` would not belong to a device."""
    bound = recipe(net)

    def fit(key, state, fold, samples):
        state, curve = train.fit(key, state, fold, samples, steps=steps, **bound)
        return state, curve, train.evaluate(state, fold, samples, net=net, mirror=partial(flip, vector=True))

    return partial(train.init, net=net, tx=bound["tx"]), fit


def fit_all(net, samples, how, steps=4, seeds=(0,)):
    mesh, keys, rows, samples = stack(streams(net, samples), how, seeds)
    init, fit = (jax.jit(parallel.over_folds(one, how, mesh)) for one in programs(net, steps))
    return jax.device_get(fit(keys, init(keys, rows, samples), rows, samples))


def assert_equal(a, b, **tolerance):
    for (path, x), (_, y) in zip(jax.tree.leaves_with_path(a), jax.tree.leaves_with_path(b), strict=True):
        name = jax.tree_util.keystr(path)
        if tolerance:
            np.testing.assert_allclose(x, y, err_msg=name, **tolerance)
        else:
            np.testing.assert_array_equal(x, y, err_msg=name)


@pytest.mark.parametrize("name", NETS)
def test_a_fold_alone_equals_the_fold_in_the_stack_bit_for_bit(samples, name):
    net = NETS[name]
    stacked = fit_all(net, samples, "map")
    _, keys, rows, whole = stack(streams(net, samples), "map")
    init, fit = (jax.jit(one) for one in programs(net))
    for row in (0, SUBJECTS - 1):
        key, fold = jax.tree.map(lambda a, row=row: a[row], (keys, rows))
        single = jax.device_get(fit(key, init(key, fold, whole), fold, whole))
        assert_equal(single, jax.tree.map(lambda a, row=row: a[row], stacked))


@pytest.mark.parametrize("name", NETS)
def test_shard_map_over_four_devices_equals_map_bit_for_bit(samples, name):
    assert jax.local_device_count() == 4
    assert SUBJECTS % 4, "so that padding is tested too"
    stacked, sharded = (fit_all(NETS[name], samples, how) for how in ("map", "shard_map"))
    assert_equal(stacked, jax.tree.map(lambda a: a[:SUBJECTS], sharded))


def test_the_program_of_shard_map_holds_no_communication(samples):
    net = NETS["ststnet"]
    mesh, keys, rows, whole = stack(streams(net, samples), "shard_map")
    init, fit = (jax.jit(parallel.over_folds(one, "shard_map", mesh)) for one in programs(net))
    text = fit.lower(keys, init(keys, rows, whole), rows, whole).compile().as_text()
    for collective in ("all-reduce", "all-gather", "all-to-all", "collective-permute", "reduce-scatter"):
        assert collective not in text


@pytest.mark.parametrize("name", NETS)
def test_vmap_equals_map_within_a_tolerance(samples, name):
    """Side by side, sums are taken in another order; the tolerance is 1e-4 on every weight, curve and probability."""
    stacked, side_by_side = (fit_all(NETS[name], samples, how) for how in ("map", "vmap"))
    assert_equal(stacked, side_by_side, atol=1e-4, rtol=1e-4)


def test_seeds_are_further_rows_and_a_row_depends_on_its_seed_and_subject_alone(samples):
    net = NETS["ststnet"]
    both, second = fit_all(net, samples, "map", seeds=(3, 4)), fit_all(net, samples, "map", seeds=(4,))
    assert_equal(jax.tree.map(lambda a: a[SUBJECTS:], both), second)
    assert any((a[:SUBJECTS] != a[SUBJECTS:]).any() for a in jax.tree.leaves(both[0].params))


@pytest.mark.parametrize("name", NETS)
def test_ten_steps_equal_four_and_then_six(samples, name):
    net = NETS[name]
    _, keys, rows, whole = stack(streams(net, samples), "map")
    key, fold = jax.tree.map(lambda a: a[1], (keys, rows))
    bound = recipe(net)
    state = jax.jit(programs(net)[0])(key, fold, whole)
    go = jax.jit(partial(train.fit, **bound), static_argnames="steps")
    ten, curve = go(key, state, fold, whole, steps=10)
    four, first = go(key, state, fold, whole, steps=4)
    kept = jax.tree.map(lambda a: jnp.asarray(np.array(a)), four)  # through the host, as a checkpoint goes
    six, last = go(key, kept, fold, whole, steps=6)
    assert_equal(six, ten)
    assert_equal(jnp.concatenate([first, last]), curve)


@pytest.mark.parametrize("poison", [1e6, np.nan])
@pytest.mark.parametrize("name", NETS)
def test_a_held_out_subject_changes_no_bit_of_its_fold_and_does_change_another(samples, name, poison):
    net, victim = NETS[name], 2
    mine = np.asarray(samples.subject) == victim
    poisoned = samples._replace(
        x=jnp.where(mine[:, None, None, None, None], poison, samples.x),
        label=jnp.where(mine, (samples.label + 1) % 3, samples.label),
    )
    clean, dirty = (fit_all(net, s, "map") for s in (samples, poisoned))
    for part in (0, 1):  # state and training curve
        assert_equal(*(jax.tree.map(lambda a: a[victim], run[part]) for run in (clean, dirty)))
    other = [jax.tree.leaves(jax.tree.map(lambda a: a[victim + 1], run[0].params)) for run in (clean, dirty)]
    assert any((a != b).any() for a, b in zip(*other, strict=True))


def test_an_epoch_shows_every_training_row_and_no_other(samples):
    _, keys, rows, _ = stack(samples, "map")
    for row in range(SUBJECTS):
        key, fold = jax.tree.map(lambda a, row=row: a[row], (keys, rows))
        for epoch in (0, 1):
            seen = [train.batch_rows(key, jnp.int32(3 * epoch + s), fold, 8, 3) for s in range(3)]
            real = np.asarray(fold.train)[np.asarray(fold.train_mask)]
            times = np.bincount(np.concatenate(seen), minlength=len(samples.label))
            assert set(np.flatnonzero(times)) == set(real)
            assert times.max() - times[real].min() <= 1
    orders = [np.asarray(train.batch_rows(key, jnp.int32(s), fold, 8, 3)) for s in (0, 3)]
    assert (orders[0] != orders[1]).any()


def test_the_mirror_average_does_not_care_which_way_the_clip_faces(samples):
    net = NETS["fmanet"]
    _, keys, rows, whole = stack(samples, "map")
    key, fold = jax.tree.map(lambda a: a[0], (keys, rows))
    state = jax.jit(programs(net)[0])(key, fold, whole)
    mirror = partial(flip, vector=True)
    turned = whole._replace(x=jax.vmap(mirror)(whole.x))
    test = jax.jit(partial(train.evaluate, net=net, mirror=mirror))
    p, q = (test(state, fold, s) for s in (whole, turned))
    np.testing.assert_allclose(p, q, atol=1e-6)
    np.testing.assert_allclose(p.sum(-1), 1, atol=1e-5)


def test_names_of_optimisers_and_schedules():
    with pytest.raises(InputError, match=r"train\.optimizer is 'lion'; it can be adam, adamw"):
        train.optimizer(name="lion", schedule="constant", lr=1.0, weight_decay=0.0, steps=1)
    with pytest.raises(InputError, match=r"train\.schedule is 'linear'; it can be constant, cosine, onecycle"):
        train.optimizer(name="adam", schedule="linear", lr=1.0, weight_decay=0.0, steps=1)
