from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merjax.ops import rank_pool
from merjax.types import InputError

T = 16
RANK = jnp.arange(1, T + 1)


def slow_weights(coefficients, n):
    offset = {"harmonic": n + 1, "faulty_port": n}.get(coefficients)
    if offset is None:
        return np.array([2.0 * i - n - 1 for i in range(1, n + 1)])
    return np.array([sum((2 * j - offset) / j for j in range(i, n + 1)) for i in range(1, n + 1)])


def slow_mesti(t, a):
    """The paper's formula, counted from 1."""
    return [2 * i - a - 1 if i <= a else t - 2 * i + a + 1 for i in range(1, t + 1)]


def slow_pool(frames, weights):
    image = np.zeros(frames.shape[1:])
    for frame, weight in zip(frames, weights, strict=True):
        image += weight * frame.astype(np.float64)
    return image


def slow_minmax(image):
    low, high = image.min(), image.max()
    return (image - low) / (high - low if high > low else 1.0)


def clip(seed, n, t=T, h=5, w=6):
    frames = np.random.default_rng(seed).integers(0, 256, (t, h, w, 3), dtype=np.uint8)
    frames[n:] = 77  # padding must not matter
    return frames


@pytest.mark.parametrize("coefficients", rank_pool.COEFFICIENTS)
def test_weights_are_those_of_the_sum(coefficients):
    rank = jnp.arange(-3, 70)  # a range that begins after frame 0 has ranks below 1
    weights = jax.jit(rank_pool.COEFFICIENTS[coefficients])
    for n in [*range(1, 12), 40, 66]:
        found = np.asarray(weights(rank, jnp.int32(n)))
        np.testing.assert_allclose(found[4 : 4 + n], slow_weights(coefficients, n), atol=1e-4)
        assert (found[:4] == 0).all()
        assert (found[4 + n :] == 0).all()
        assert abs(found.sum() - (n if coefficients == "faulty_port" else 0)) < 5e-4


def test_printed_weights():
    rank = jnp.arange(1, 6)
    np.testing.assert_allclose(
        rank_pool.harmonic_weights(rank, jnp.int32(5)), [-3.7, 0.3, 1.3, 1.3, 0.8], atol=0.06
    )  # printed with one digit
    np.testing.assert_allclose(rank_pool.linear_weights(rank, jnp.int32(5)), [-4, -2, 0, 2, 4])
    assert int(rank_pool.harmonic_weights(jnp.arange(1, 21), jnp.int32(20)).argmax()) == 10


def test_of_two_frames_the_harmonic_weights_give_half_the_difference_and_the_faulty_port_gives_the_sum():
    frames, two = clip(0, 2), jnp.int32(2)
    a, b = frames[:2].astype(np.float64)
    image = rank_pool.dynamic_image(jnp.asarray(frames), two, scale="none")[0]
    np.testing.assert_allclose(image, (b - a) / 2, atol=1e-4)
    faulty = rank_pool.dynamic_image(jnp.asarray(frames), two, coefficients="faulty_port", scale="none")[0]
    np.testing.assert_allclose(faulty, a + b, rtol=1e-5)


def test_mesti_weights_are_the_formula_for_every_apex_and_length():
    index = jnp.arange(64)
    pairs = [(t, a) for t in range(1, 61) for a in range(1, t + 1)]
    lengths, apexes = (jnp.array(column) for column in zip(*pairs, strict=True))
    weights = np.asarray(jax.jit(jax.vmap(rank_pool.mesti_weights, (None, 0, 0)))(index, lengths, apexes - 1))
    for (t, a), found in zip(pairs, weights, strict=True):
        assert found.tolist() == slow_mesti(t, a) + [0] * (64 - t)
        assert found[:a].sum() == found[a:].sum() == 0
    assert slow_mesti(10, 4) == [-3, -1, 1, 3, 5, 3, 1, -1, -3, -5]  # as printed


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 20), st.integers(1, 9))
def test_rank_pool_equals_numpy_on_any_shape(seed, t, side):
    frames = clip(seed, t, t, side, 3)
    weights = np.random.default_rng(seed).normal(size=t)
    weights[-1] -= weights.sum()
    slow = slow_pool(frames, weights)
    for as_given in (frames, frames.astype(np.float32)):
        pooled = rank_pool.rank_pool(jnp.asarray(as_given), jnp.asarray(weights, jnp.float32))
        np.testing.assert_allclose(pooled, slow, atol=1e-2)


@pytest.mark.parametrize("coefficients", rank_pool.COEFFICIENTS)
def test_whole_rise_and_fall_equal_numpy_for_clips_of_many_lengths_jit_vmap(coefficients):
    cases = [(1, 0), (2, 0), (2, 1), (9, 0), (9, 4), (9, 8), (16, 5), (16, 15)]  # length, apex
    frames = np.stack([clip(i, n) for i, (n, _) in enumerate(cases)])
    lengths, apexes = (jnp.array(column, jnp.int32) for column in zip(*cases, strict=True))
    views = partial(rank_pool.dynamic_views, coefficients=coefficients, scale="none")
    together, one = jax.jit(jax.vmap(views))(frames, lengths, apexes), jax.jit(views)
    for i, (n, a) in enumerate(cases):
        ranges = (frames[i][:n], frames[i][: a + 1], frames[i][a:n])
        expected = np.stack([slow_pool(f, slow_weights(coefficients, len(f))) for f in ranges])
        np.testing.assert_allclose(together[i], expected, atol=5e-2)
        np.testing.assert_allclose(one(frames[i], lengths[i], apexes[i]), expected, atol=5e-2)


def test_every_input_is_its_view():
    frames, n, a = jnp.asarray(clip(0, 13)), jnp.int32(13), jnp.int32(4)
    how = {"coefficients": "linear", "scale": "symmetric"}
    views = rank_pool.dynamic_views(frames, n, a, **how)
    np.testing.assert_array_equal(rank_pool.dynamic_image(frames, n, **how), views[:1])
    np.testing.assert_array_equal(rank_pool.rise_dynamic_image(frames, a, **how), views[1:2])
    np.testing.assert_array_equal(rank_pool.fall_dynamic_image(frames, n, a, **how), views[2:])
    np.testing.assert_array_equal(rank_pool.phase_dynamic_images(frames, n, a, **how), views[1:])
    np.testing.assert_allclose(jnp.abs(views).max((1, 2, 3)), 1.0)  # each scaled by itself


def test_mesti_equals_numpy_plain_jit_vmap():
    cases = [(1, 1), (2, 1), (2, 2), (9, 1), (9, 4), (9, 9), (16, 6)]  # frames, apex counted from 1
    frames = np.stack([clip(i, t) for i, (t, _) in enumerate(cases)])
    lengths, apexes = (jnp.array(column, jnp.int32) for column in zip(*cases, strict=True))
    together = jax.jit(jax.vmap(rank_pool.mesti))(frames, lengths, apexes - 1)
    one = jax.jit(rank_pool.mesti)
    for i, (t, a) in enumerate(cases):
        expected = slow_minmax(slow_pool(frames[i][:t], slow_mesti(t, a)))
        np.testing.assert_allclose(together[i, 0], expected, atol=1e-5)
        np.testing.assert_allclose(one(frames[i], lengths[i], apexes[i] - 1)[0], expected, atol=1e-5)
    np.testing.assert_allclose(
        rank_pool.mesti(jnp.asarray(frames[-1]), lengths[-1], apexes[-1] - 1), together[-1], atol=1e-5
    )


def test_mesti_is_the_rise_forwards_plus_the_fall_backwards():
    frames = clip(3, 13)
    n, a = jnp.int32(13), jnp.int32(5)
    image = rank_pool.mesti(jnp.asarray(frames), n, a, scale="none")[0]
    rest = np.concatenate([frames[12:5:-1], frames[13:], frames[:6]])  # apex + 1 .. offset, backwards
    parts = rank_pool.rise_dynamic_image(
        jnp.asarray(frames), a, coefficients="linear", scale="none"
    ) + rank_pool.dynamic_image(jnp.asarray(rest), jnp.int32(7), coefficients="linear", scale="none")
    np.testing.assert_allclose(image, parts[0], atol=1e-2)


@pytest.mark.parametrize("make", [rank_pool.dynamic_views, rank_pool.mesti])
def test_a_static_clip_gives_exactly_zero(make):
    still = np.broadcast_to(clip(0, 1)[:1], (T, 5, 6, 3))
    assert (jax.jit(make)(still, jnp.int32(12), jnp.int32(5)) == 0).all()


def test_the_faulty_port_shows_the_face_of_a_static_clip():
    face = clip(0, 1)[:1]
    still = jnp.asarray(np.broadcast_to(face, (T, 5, 6, 3)))
    image = rank_pool.dynamic_image(still, jnp.int32(12), coefficients="faulty_port", scale="none")[0]
    np.testing.assert_allclose(image, 12.0 * face[0], rtol=1e-5)


def test_only_the_linear_weights_change_sign_when_time_runs_backwards():
    frames, n = clip(1, T), jnp.int32(T)
    for coefficients, odd in (("linear", True), ("harmonic", False)):
        there, back = (
            rank_pool.dynamic_image(jnp.asarray(f), n, coefficients=coefficients, scale="none")
            for f in (frames, frames[::-1].copy())
        )
        assert np.allclose(there, -back, atol=1e-2) is odd


def test_every_phase_ends_and_begins_at_the_apex():
    frames, n, a = clip(2, 12), jnp.int32(12), jnp.int32(5)
    images = jax.jit(lambda f: rank_pool.phase_dynamic_images(f, n, a, scale="none"))
    before = images(frames)
    for position, changes in ((4, (True, False)), (5, (True, True)), (6, (False, True)), (12, (False, False))):
        other = frames.copy()
        other[position] ^= 128
        assert tuple(bool(x) for x in (images(other) != before).any((1, 2, 3))) == changes, position


def test_scales():
    image = jnp.array([[[-2.0, 0.0, 1.0, 300.0]]])
    np.testing.assert_allclose(rank_pool.rescale(image, "minmax")[0, 0], [0, 2 / 302, 3 / 302, 1], rtol=1e-6)
    np.testing.assert_allclose(rank_pool.rescale(image, "symmetric")[0, 0], [-2 / 300, 0, 1 / 300, 1], rtol=1e-6)
    np.testing.assert_allclose(rank_pool.rescale(image, "saturated")[0, 0], [0, 0, 1 / 255, 1], rtol=1e-6)
    assert (rank_pool.rescale(image, "none") == image).all()
    assert (rank_pool.rescale(jnp.full((2, 2, 3), 7.0), "minmax") == 0).all()
    assert (rank_pool.rescale(jnp.zeros((2, 2, 3)), "symmetric") == 0).all()


def test_unknown_names_are_refused():
    frames, length = jnp.zeros((T, 2, 2, 3), jnp.uint8), jnp.int32(4)
    with pytest.raises(InputError, match="scale is 'log'; it can be minmax, symmetric, saturated, none"):
        rank_pool.mesti(frames, length, length, scale="log")
    with pytest.raises(InputError, match="coefficients is 'square'; it can be harmonic, linear, faulty_port"):
        rank_pool.dynamic_image(frames, length, coefficients="square")


def test_gradients_are_the_weights_and_the_frames(rng):
    frames = rng.uniform(0, 255, (T, 2, 3, 3)).astype(np.float32)
    n = 12

    def of_frames(f):
        return rank_pool.dynamic_image(f, jnp.int32(n), scale="none").sum()

    expected = np.zeros(T)
    expected[:n] = slow_weights("harmonic", n)
    gradient = jax.jit(jax.grad(of_frames))(frames)
    np.testing.assert_allclose(gradient, np.broadcast_to(expected[:, None, None, None], frames.shape), atol=1e-3)

    weights = rank_pool.linear_weights(RANK, jnp.int32(n))
    gradient = jax.grad(lambda w: rank_pool.rank_pool(jnp.asarray(frames), w).sum())(weights)
    np.testing.assert_allclose(gradient, frames.sum((1, 2, 3)), rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("t", [1, 8, 13])
def test_the_sum_at_once_and_the_sum_in_turn_are_one(rng, t):
    frames = jnp.asarray(rng.integers(0, 256, (t, 5, 2, 3), dtype=np.uint8))
    weights = jnp.asarray(rng.normal(size=t).astype(np.float32))
    for add in (rank_pool._add_at_once, rank_pool._add_in_turn):
        np.testing.assert_allclose(add(frames, weights), np.tensordot(weights, frames, 1), rtol=1e-4, atol=1e-3)
