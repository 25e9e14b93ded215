"""What the protocol stands on: a fold alone, in the stack, resumed, and never touched by its held-out subject."""

from functools import cache, partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from merjax import loso, losses, optim, parallel, train
from merjax.models import MODELS
from merjax.models.layers import NORMS, Conv, Dropout, Norm
from merjax.models.pooling import halve
from merjax.ops.augment import flip, random_augment
from merjax.types import Fold, InputError, Samples

SUBJECTS, PER_SUBJECT, SIZE, BATCH, EPOCH_STEPS, AVERAGE = 6, 4, 12, 8, 3, 0.8
MIRROR = partial(flip, vector=True)


class Small(nn.Module):
    """All that a stack of folds could disturb, in a network that is compiled in little time."""

    classes: int = 3
    streams = 2

    @nn.compact
    def __call__(self, x, *, train):
        maps = [nn.relu(Norm(kind)(Conv(8, 3, 2)(x[:, i]), train=train)) for i, kind in enumerate(NORMS)]
        y = Dropout(0.3)(halve(jnp.concatenate(maps, axis=-1)), train=train)
        return nn.Dense(self.classes)(y.reshape(len(y), -1))


NETS = {"small": Small(), "ststnet": MODELS["ststnet"](classes=3)}


@cache
def clips(streams=2) -> Samples:
    n = SUBJECTS * PER_SUBJECT
    subject = np.repeat(np.arange(SUBJECTS), PER_SUBJECT)[: n - 2]  # the last subject has fewer clips: padding
    x = np.random.default_rng(0).normal(size=(len(subject), 2, SIZE, SIZE, 3)).astype(np.float32)[:, :streams]
    label = np.arange(len(subject)) % 3
    return Samples(jnp.asarray(x), jnp.asarray(label, jnp.int32), jnp.asarray(subject, jnp.int32))


def recipe(net):
    tx = optim.optimizer(name="adamw", schedule="onecycle", lr=1e-2, weight_decay=1e-2, steps=20)
    return {
        "net": net,
        "tx": tx,
        "loss": losses.cross_entropy,
        "augment": partial(random_augment, vector=True, flips=True, shifts=1, degrees=0.0),
        "weight_power": 0.5,
        "batch": BATCH,
        "epoch_steps": EPOCH_STEPS,
        "average": AVERAGE,
    }


def one_fold(name, steps=4):
    """Init and fit as two programs, as in a run: state made inside a `shard_map` would not belong to a device."""
    bound = recipe(NETS[name])

    def fit(key, state, fold, samples):
        state, curve = train.fit(key, state, fold, samples, steps=steps, **bound)
        return state, curve, train.evaluate(state, fold, samples, net=bound["net"], mirror=MIRROR)

    return partial(train.init, net=bound["net"], tx=bound["tx"], average=AVERAGE), fit


@cache
def alone(name, steps=4):
    return [jax.jit(one) for one in one_fold(name, steps)]


@cache
def stacked(name, how, seeds=(0,)):
    """Keys, states and folds of all rows, and their program, compiled once for all tests."""
    samples = clips(NETS[name].streams)
    folds = loso.folds(np.asarray(samples.label), np.asarray(samples.subject))
    mesh = parallel.fold_mesh(how)
    table = parallel.table(seeds, folds)
    keys, rows = parallel.place_rows(parallel.part(table, 0, -(-len(table.seed) // mesh.size) * mesh.size), mesh)
    samples = parallel.place(samples, mesh, split=False)
    init, fit = (jax.jit(parallel.over_folds(one, how, mesh)) for one in one_fold(name))
    states = init(keys, rows, samples)
    return (keys, states, rows, samples), fit.lower(keys, states, rows, samples).compile()


@cache
def trained(name, how, seeds=(0,)):
    """(state, curve, probability) of every row."""
    arguments, fit = stacked(name, how, seeds)
    return jax.device_get(fit(*arguments))


def trained_with(name, **changes):
    """As `trained` by map, with other `rows` or `samples`."""
    (keys, states, rows, samples), fit = stacked(name, "map")
    return jax.device_get(fit(keys, states, changes.get("rows", rows), changes.get("samples", samples)))


def fold_of(name, subject=0):
    """A fold's key, made anew as no key may be taken twice from a stack, its split, and all clips."""
    _, _, rows, samples = stacked(name, "map")[0]
    return parallel.row_key(0, subject), at(rows, subject), samples


def at(tree, row):
    return jax.tree.map(lambda a: a[row], tree)


def assert_equal(a, b, **tolerance):
    for (path, x), (_, y) in zip(jax.tree.leaves_with_path(a), jax.tree.leaves_with_path(b), strict=True):
        name = jax.tree_util.keystr(path)
        if tolerance:
            np.testing.assert_allclose(x, y, err_msg=name, **tolerance)
        else:
            np.testing.assert_array_equal(x, y, err_msg=name)


@pytest.mark.parametrize("name", NETS)
def test_a_fold_alone_equals_the_fold_in_the_stack_bit_for_bit(name):
    init, fit = alone(name)
    for row in (0, SUBJECTS - 1):
        key, fold, samples = fold_of(name, row)
        single = jax.device_get(fit(key, init(key, fold, samples), fold, samples))
        assert_equal(single, at(trained(name, "map"), row))


@pytest.mark.parametrize("name", NETS)
def test_shard_map_over_four_devices_equals_map_bit_for_bit(name):
    assert jax.local_device_count() == 4
    assert SUBJECTS % 4, "so that padding is tested too"
    assert_equal(trained(name, "map"), at(trained(name, "shard_map"), slice(SUBJECTS)))


@pytest.mark.parametrize("name", NETS)
def test_vmap_equals_map_within_a_tolerance(name):
    """Side by side, sums are taken in another order; the tolerance is 1e-4 on every weight, curve and probability."""
    assert_equal(trained(name, "map"), trained(name, "vmap"), atol=1e-4, rtol=1e-4)


def test_the_program_of_shard_map_holds_no_communication():
    text = stacked("ststnet", "shard_map")[1].as_text()
    for collective in ("all-reduce", "all-gather", "all-to-all", "collective-permute", "reduce-scatter"):
        assert collective not in text


def test_seeds_are_further_rows_and_a_row_depends_on_its_seed_and_subject_alone():
    both, first = trained("small", "map", (0, 4)), trained("small", "map")
    assert_equal(at(both, slice(SUBJECTS)), first)
    (keys, states, rows, samples), fit = stacked("small", "map", (0, 4))
    order = np.arange(2 * SUBJECTS)[::-1]
    turned = jax.device_get(fit(*at((keys, states, rows), order), samples))
    assert_equal(at(turned, order), both)
    assert any((a[:SUBJECTS] != a[SUBJECTS:]).any() for a in jax.tree.leaves(both[0].params))


@pytest.mark.parametrize("name", NETS)
def test_four_steps_equal_two_and_then_two(name):
    """The cut lies within the first epoch of three steps; the average of the weights goes on too."""
    key, fold, samples = fold_of(name, 1)
    (init, four), (_, two) = alone(name), alone(name, 2)
    state = init(key, fold, samples)
    whole, curve, _ = four(key, state, fold, samples)
    half, first, _ = two(key, state, fold, samples)
    kept = jax.tree.map(lambda a: jnp.asarray(np.array(a)), half)  # through the host, as a checkpoint goes
    end, last, _ = two(key, kept, fold, samples)
    assert_equal(end, whole)
    assert_equal(jnp.concatenate([first, last]), curve)


@pytest.mark.parametrize("poison", [1e6, np.nan])
@pytest.mark.parametrize("name", NETS)
def test_a_held_out_subject_changes_no_bit_of_its_fold_and_does_change_another(name, poison):
    victim, samples = 2, fold_of(name)[2]
    mine = np.asarray(samples.subject) == victim
    poisoned = samples._replace(
        x=jnp.where(mine[:, None, None, None, None], poison, samples.x),
        label=jnp.where(mine, (samples.label + 1) % 3, samples.label),
    )
    clean, dirty = trained(name, "map"), trained_with(name, samples=poisoned)
    for part in (0, 1):  # state and training curve
        assert_equal(*(at(run[part], victim) for run in (clean, dirty)))
    other = [jax.tree.leaves(at(run[0].params, victim + 1)) for run in (clean, dirty)]
    assert any((a != b).any() for a, b in zip(*other, strict=True))


@pytest.mark.parametrize("name", NETS)
def test_rows_of_padding_change_no_bit(name):
    """Padding of the training rows points at the held-out subject here, that of the test rows at another."""
    rows = stacked(name, "map")[0][2]
    assert not rows.train_mask.all()
    assert not rows.test_mask.all()
    other = rows._replace(
        train=jnp.where(rows.train_mask, rows.train, rows.test[:, :1]),
        test=jnp.where(rows.test_mask, rows.test, rows.train[:, 3:4]),
    )
    before, after = trained(name, "map"), trained_with(name, rows=other)
    assert_equal(before[:2], after[:2])
    real = np.asarray(rows.test_mask)
    assert_equal(before[2][real], after[2][real])
    assert (before[2][~real] != after[2][~real]).any()


def test_an_epoch_shows_every_training_row_and_no_other():
    draw = jax.jit(train.batch_rows, static_argnums=(3, 4))
    for row in range(SUBJECTS):
        key, fold, samples = fold_of("small", row)
        for epoch in (0, 1):
            seen = [draw(key, jnp.int32(EPOCH_STEPS * epoch + s), fold, BATCH, EPOCH_STEPS) for s in range(EPOCH_STEPS)]
            real = np.asarray(fold.train)[np.asarray(fold.train_mask)]
            times = np.bincount(np.concatenate(seen), minlength=len(samples.label))
            assert set(np.flatnonzero(times)) == set(real)
            assert row not in np.asarray(samples.subject)[times > 0]
            assert times.max() - times[real].min() <= 1
    orders = [np.asarray(draw(key, jnp.int32(s), fold, BATCH, EPOCH_STEPS)) for s in (0, EPOCH_STEPS)]
    assert (orders[0] != orders[1]).any()


@pytest.mark.parametrize("batch", [1, 4, 7, 32])
def test_batches_wrap_round_where_rows_do_not_fill_them(batch):
    """Folds of 1 to 10 rows beside one of 10: every step is full, padding (rows below 0) is never drawn."""
    most = 10
    steps = -(-most // batch)
    mask = np.arange(most) < np.arange(1, most + 1)[:, None]
    folds = Fold(np.arange(most), np.where(mask, 100 + np.arange(most), -1), mask, mask[:, :1], mask[:, :1])

    @jax.jit
    @jax.vmap
    def epoch(fold):
        return jax.vmap(lambda step: train.batch_rows(jax.random.key(0), step, fold, batch, steps))(jnp.arange(steps))

    for count, rows in enumerate(np.asarray(epoch(folds)), 1):
        assert rows.shape == (steps, batch)
        row, times = np.unique(rows, return_counts=True)
        np.testing.assert_array_equal(row, 100 + np.arange(count))
        assert times.max() - times.min() <= 1


@pytest.mark.parametrize("kind", NORMS)
def test_a_norm_of_one_sample_and_one_pixel_is_finite(kind):
    x, norm = jnp.arange(8.0).reshape(1, 1, 1, 8), Norm(kind)
    variables = norm.init(jax.random.key(0), x, train=False)

    @jax.jit
    def run(x):
        y, changed = norm.apply(variables, x, train=True, mutable=["batch_stats"])
        return (y**2).sum(), (y, changed)

    found = jax.value_and_grad(run, has_aux=True)(x)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(found))


ONE_BY_ONE = NETS | {"layer_norm": MODELS["vit_b16"](classes=3, patch=8, width=8, depth=1, heads=2)}


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_batches_of_one_train_to_finite_numbers(name):
    """Batch norm, group norm, STSTNet's own and layer norm."""
    net = ONE_BY_ONE[name]
    key, fold, _ = fold_of("small")
    samples = clips(net.streams)
    bound = recipe(net) | {"batch": 1, "epoch_steps": 20}

    @partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def run(key, fold, samples):
        state = train.init(key, fold, samples, net=net, tx=bound["tx"], average=AVERAGE)
        state, curve = train.fit(key, state, fold, samples, steps=20, **bound)
        return state, curve, train.evaluate(state, fold, samples, net=net)

    state, curve, probability = run(key, fold, samples)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((state, curve, probability)))
    assert jnp.unique(probability, axis=0).shape[0] > 1  # clips are still told apart


def test_the_average_weighs_every_step_by_its_age(rng):
    steps = [{"w": rng.normal(size=(2, 3)).astype(np.float32), "b": np.float32(rng.normal())} for _ in range(6)]
    for decay in (0.5, 0.999):
        average = jax.tree.map(lambda a: np.full_like(a, 7.0), steps[0])  # of no meaning before the first step
        for i, now in enumerate(steps):
            average = jax.jit(partial(train.averaged, decay=decay))(average, now, jnp.int32(i))
            weights = decay ** np.arange(i, -1, -1.0)
            right = jax.tree.map(lambda *a, w=weights: np.average(np.stack(a), 0, w), *steps[: i + 1])
            assert_equal(average, right, atol=2e-3 if decay > 0.9 else 1e-5)


def test_the_average_is_tested_in_place_of_the_weights_and_costs_nothing_when_off():
    key, fold, samples = fold_of("small")
    state = at(trained("small", "map")[0], 0)
    test = jax.jit(partial(train.evaluate, net=NETS["small"]))
    averaged = test(state, fold, samples)
    by_hand = test(state._replace(**state.average, average={}), fold, samples)
    raw = test(state._replace(average={}), fold, samples)
    assert_equal(averaged, by_hand)
    assert float(jnp.abs(averaged - raw).max()) > 1e-4
    off = jax.eval_shape(partial(train.init, net=NETS["small"], tx=recipe(NETS["small"])["tx"]), key, fold, samples)
    assert off.average == {}


def test_the_mirror_average_does_not_care_which_way_the_clip_faces():
    key, fold, samples = fold_of("small")
    state = alone("small")[0](key, fold, samples)._replace(average={})
    turned = samples._replace(x=jax.vmap(MIRROR)(samples.x))
    test = jax.jit(partial(train.evaluate, net=NETS["small"], mirror=MIRROR))
    p, q = (test(state, fold, s) for s in (samples, turned))
    np.testing.assert_allclose(p, q, atol=1e-6)
    np.testing.assert_allclose(p.sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("name", optim.OPTIMIZERS)
def test_decay_of_kernels_spares_biases_norms_and_embeddings(name):
    net = ONE_BY_ONE["layer_norm"]
    shapes = jax.eval_shape(lambda: net.init(jax.random.key(0), clips(1).x[:1], train=False))["params"]
    ones, still = (jax.tree.map(lambda a, v=v: np.full(a.shape, v, np.float32), shapes) for v in (1.0, 0.0))
    for decay in optim.DECAYED:
        tx = optim.optimizer(name=name, schedule="constant", lr=0.1, weight_decay=0.1, steps=1, decay=decay)
        update = jax.jit(lambda ones, tx=tx: tx.update(still, tx.init(ones), ones)[0])(ones)
        moved = {path[-1].key for path, leaf in jax.tree.leaves_with_path(update) if np.abs(leaf).max() > 0}
        everything = {"kernel", "bias", "scale", "pos_embed", "cls_token"}
        assert moved == ({"kernel"} if decay == "kernels" else everything)


def test_warmup_is_the_share_of_the_steps_in_which_cosine_rises():
    for warmup, peak in ((0.05, 5), (0.3, 30), (0.0, 0)):
        rate = optim.SCHEDULES["cosine"](0.1, 100, warmup)
        values = np.array([rate(step) for step in range(101)])
        assert values.argmax() == peak
        assert values[peak] == pytest.approx(0.1)
        np.testing.assert_allclose(values[:peak], 0.1 * np.arange(peak) / max(peak, 1), atol=1e-7)
        np.testing.assert_allclose(values[-1], 0, atol=1e-7)
    assert [int(0.05 * steps) for steps in range(1000)] == [steps // 20 for steps in range(1000)]


def test_names_of_optimisers_schedules_and_decays():
    make = partial(optim.optimizer, lr=1.0, weight_decay=0.0, steps=1)
    with pytest.raises(InputError, match=r"train\.optimizer is 'lion'; it can be adam, adamw"):
        make(name="lion", schedule="constant")
    with pytest.raises(InputError, match=r"train\.schedule is 'linear'; it can be constant, cosine, onecycle"):
        make(name="adam", schedule="linear")
    with pytest.raises(InputError, match=r"train\.decay is 'bias'; it can be all, kernels"):
        make(name="adam", schedule="constant", decay="bias")
    assert isinstance(make(name="adam", schedule="cosine"), optax.GradientTransformation)


def test_the_search_for_numbers_that_are_not_finite_stands_in_the_program_once():
    """Not once for every array of the state, which made programs grow with the square of their number."""
    net = MODELS["plain"](classes=3, width=4)
    key, fold, samples = fold_of("small")
    state = train.init(key, fold, samples, net=net, tx=recipe(net)["tx"])
    end = jax.jit(train.finish).lower(state, state, jnp.ones((2, 2)))
    arrays = len(jax.tree.leaves(state))
    found = end.compile().as_text().count("pred[] and(")
    assert arrays - 1 <= found < 3 * arrays
