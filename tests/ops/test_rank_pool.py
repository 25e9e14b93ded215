import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merjax.ops import rank_pool
from merjax.types import InputError


def slow_harmonic(n):
    return np.array([sum((2 * j - n - 1) / j for j in range(i, n + 1)) for i in range(1, n + 1)]) if n > 1 else [1.0]


def clip(seed, n, t, h=5, w=6):
    frames = np.random.default_rng(seed).integers(0, 256, (t, h, w, 3), dtype=np.uint8)
    frames[n:] = 77  # padding must not matter
    return frames


@pytest.mark.parametrize("n", [1, 2, 3, 5, 20, 40])
def test_harmonic_weights_are_those_of_the_sum(n):
    rank = jnp.arange(1, 49)
    weights = jax.jit(rank_pool.harmonic_weights)(rank, jnp.int32(n))
    np.testing.assert_allclose(weights[:n], slow_harmonic(n), atol=2e-4)
    assert (weights[n:] == 0).all()
    if n > 1:
        assert abs(float(weights.sum())) < 1e-3


def test_printed_weights():
    rank = jnp.arange(1, 6)
    np.testing.assert_allclose(
        rank_pool.harmonic_weights(rank, jnp.int32(5)), [-3.7, 0.3, 1.3, 1.3, 0.8], atol=0.06
    )  # printed with one digit
    np.testing.assert_allclose(rank_pool.harmonic_weights(rank, jnp.int32(2))[:2], [-0.5, 0.5], atol=1e-6)
    np.testing.assert_allclose(rank_pool.linear_weights(rank, jnp.int32(5)), [-4, -2, 0, 2, 4])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 16), st.sampled_from(["harmonic", "linear"]))
def test_rank_pool_equals_numpy_plain_jit_vmap(seed, n, coefficients):
    frames = clip(seed, n, 16)
    weights = rank_pool.COEFFICIENTS[coefficients](jnp.arange(1, 17), jnp.int32(n))
    slow = np.tensordot(np.asarray(weights, np.float64), frames.astype(np.float64), 1)
    for pooled in (
        rank_pool.rank_pool(jnp.asarray(frames), weights),
        jax.jit(rank_pool.rank_pool)(frames, weights),
        jax.vmap(rank_pool.rank_pool)(jnp.asarray(frames)[None], weights[None])[0],
    ):
        np.testing.assert_allclose(pooled, slow, atol=2e-2)


@pytest.mark.parametrize("make", [rank_pool.dynamic_image, rank_pool.midi])
def test_a_static_clip_gives_no_motion(make):
    frames = jnp.asarray(np.broadcast_to(clip(0, 1, 1), (16, 5, 6, 3)))
    # Float rounding leaves a residue far below one grey level.
    weights = rank_pool.harmonic_weights(jnp.arange(1, 17), jnp.int32(12))
    assert float(jnp.abs(rank_pool.rank_pool(frames, weights)).max()) < 0.05
    assert make(jnp.full((16, 4, 4, 3), 9, jnp.uint8), jnp.int32(12)).shape == (4, 4, 3)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 16))
def test_midi_ranks_by_motion_not_by_time(seed, n):
    frames = clip(seed, n, 16)
    grey = np.tensordot(frames[:n].astype(np.float64), [0.299, 0.587, 0.114], 1)
    intensity = np.abs(grey - grey[0]).mean((1, 2))
    np.testing.assert_allclose(rank_pool.motion_intensity(jnp.asarray(frames))[:n], intensity, rtol=1e-4, atol=1e-3)
    order = np.argsort(intensity, kind="stable")
    pooled = sum((2 * (k + 1) - n - 1) * frames[i].astype(np.float64) for k, i in enumerate(order))
    expected = (pooled - pooled.min()) / (pooled.max() - pooled.min())
    np.testing.assert_allclose(rank_pool.midi(jnp.asarray(frames), jnp.int32(n)), expected, atol=1e-4)


def test_shuffling_the_frames_after_the_onset_does_not_change_midi(rng):
    frames = clip(1, 12, 16)
    shuffled = frames.copy()
    shuffled[1:12] = frames[rng.permutation(np.arange(1, 12))]
    same = [rank_pool.midi(jnp.asarray(f), jnp.int32(12)) for f in (frames, shuffled)]
    np.testing.assert_allclose(same[0], same[1], atol=1e-5)


def test_equal_intensities_keep_their_order():
    frames = np.zeros((16, 2, 2, 3), np.uint8)
    frames[1, 0, 0], frames[2, 1, 1], frames[3, 0, 1] = 9, 9, 9  # three frames of one intensity
    pooled = (np.arange(1, 5) * 2 - 5)[:, None, None, None] * frames[:4].astype(float)
    expected = (pooled.sum(0) - pooled.sum(0).min()) / np.ptp(pooled.sum(0))
    np.testing.assert_allclose(rank_pool.midi(jnp.asarray(frames), jnp.int32(4)), expected, atol=1e-6)


def test_scales():
    image = jnp.array([[[-2.0, 0.0, 1.0]]])
    np.testing.assert_allclose(rank_pool.rescale(image, "minmax")[0, 0], [0, 2 / 3, 1], rtol=1e-6)
    np.testing.assert_allclose(rank_pool.rescale(image, "symmetric")[0, 0], [-1, 0, 0.5])
    assert (rank_pool.rescale(jnp.full((2, 2, 3), 7.0), "minmax") == 0).all()
    assert (rank_pool.rescale(jnp.zeros((2, 2, 3)), "symmetric") == 0).all()


def test_unknown_names_are_refused():
    frames, length = jnp.zeros((16, 2, 2, 3), jnp.uint8), jnp.int32(4)
    with pytest.raises(InputError, match="scale is 'log'; it can be minmax, symmetric"):
        rank_pool.midi(frames, length, scale="log")
    with pytest.raises(InputError, match="coefficients is 'square'; it can be harmonic, linear"):
        rank_pool.dynamic_image(frames, length, coefficients="square")


def test_gradient_of_a_pooled_image_is_the_weights():
    weights = jnp.array([-1.0, 0.5, 0.5])
    gradient = jax.grad(lambda w: rank_pool.rank_pool(jnp.ones((3, 2, 2, 1), jnp.uint8), w).sum())(weights)
    np.testing.assert_allclose(gradient, [4, 4, 4])
