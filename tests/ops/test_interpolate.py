from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merjax.ops import interpolate
from merjax.types import InputError

T = 12  # frames of a padded clip


def clip(seed, n, h=4, w=5):
    frames = np.random.default_rng(seed).integers(0, 256, (T, h, w, 3), dtype=np.uint8)
    frames[n:] = 77  # padding must not matter
    return frames


def slow_linear(frames, to):
    pixels = frames.reshape(len(frames), -1).astype(np.float64)
    at = np.linspace(0, len(frames) - 1, to)
    return np.stack([np.interp(at, np.arange(len(frames)), p) for p in pixels.T], 1).reshape(to, *frames.shape[1:])


def slow_tim(frames, to, inverse=np.linalg.inv):
    """The published steps: SVD, the path graph's eigenvectors, the map between them, and the curve carried back."""
    n = len(frames)
    if n == 1:
        return np.repeat(frames, to, 0).astype(np.float64)
    x = frames.reshape(n, -1).T.astype(np.float64)
    mean = x.mean(1, keepdims=True)
    u, s, vt = np.linalg.svd(x - mean, full_matrices=False)
    rank = int((s > 1e-9 * s[0]).sum())
    q = s[:rank, None] * vt[:rank]
    adjacent = np.eye(n, k=1) + np.eye(n, k=-1)
    y = np.linalg.eigh(np.diag(adjacent.sum(0)) - adjacent)[1][:, 1:]
    away = np.linalg.solve(q @ q.T, q @ y)  # away.T @ q = y.T for independent frames
    k = np.arange(1, n)
    size = y[0] / np.sin(np.pi * k / n + np.pi * (n - k) / (2 * n))
    t = np.linspace(1 / n, 1, to)[:, None]
    curve = size * np.sin(np.pi * k * t + np.pi * (n - k) / (2 * n))
    images = u[:, :rank] @ inverse(away.T) @ curve.T + mean
    return images.T.reshape(to, *frames.shape[1:])


def assert_rounded(images, exact):
    """Whole grey levels, each the nearest one but for float error at the half."""
    assert np.asarray(images).dtype == np.uint8
    assert np.abs(np.asarray(images, np.float64) - np.clip(exact, 0, 255)).max() < 0.51


@cache  # a new function would be a new compilation
def compiled(name, to):
    """Under jit, of one clip; under vmap, of clips of different lengths."""
    make = partial(interpolate.INTERPOLATIONS[name], to=to)
    return jax.jit(make), jax.jit(jax.vmap(make))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, T), st.sampled_from([1, 2, 7, 16]))
def test_interpolation_equals_numpy_under_jit_and_vmap(seed, n, to):
    frames, other = clip(seed, n), clip(seed + 1, T)
    for name, slow in (("linear", slow_linear), ("tim", slow_tim)):
        one, many = compiled(name, to)
        exact = slow(frames[:n], to)
        assert_rounded(one(frames, n), exact)
        both = many(np.stack([frames, other]), np.array([n, T]))
        assert_rounded(both[0], exact)
        assert_rounded(both[1], slow(other, to))


@pytest.mark.parametrize("name", interpolate.INTERPOLATIONS)
@pytest.mark.parametrize("n", [1, 2, 5, T])
def test_ends_are_kept_and_the_same_length_is_the_same_clip(name, n):
    frames = clip(3, n)
    same = interpolate.INTERPOLATIONS[name](jnp.asarray(frames), jnp.int32(n), to=n)  # plain, without jit
    np.testing.assert_array_equal(same, frames[:n])
    longer = compiled(name, 16)[0](frames, n)
    np.testing.assert_array_equal(longer[0], frames[0])
    np.testing.assert_array_equal(longer[-1], frames[n - 1])
    np.testing.assert_array_equal(compiled(name, 1)[0](frames, n)[0], frames[0])


def test_as_many_frames_as_a_long_clip_has_give_the_same_clip():
    frames = (
        np.random.default_rng(0).integers(0, 2, (304, 2, 2, 1), dtype=np.uint8) * 255
    )  # the worst case for rounding
    np.testing.assert_array_equal(interpolate.tim(jnp.asarray(frames), jnp.int32(300), to=300), frames[:300])


@pytest.mark.parametrize("n", [2, 5, 12])
def test_weights_of_the_model_do_not_depend_on_the_clip(n):
    weights = np.asarray(interpolate.tim_weights(jnp.int32(n), t=T, to=7))
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-5)
    assert (weights[:, n:] == 0).all()
    for seed in range(3):
        frames = clip(seed, n)[:n]
        np.testing.assert_allclose(np.tensordot(weights[:, :n], frames, 1), slow_tim(frames, 7), atol=5e-3)


def test_equal_frames_need_no_other_rule():
    frames = clip(5, T)
    frames[4] = frames[3]  # two equal frames
    frames[7] = frames[6] // 2 + frames[8] // 2 + 1
    frames[9:] = frames[9]  # the clip stands still
    exact = slow_tim(frames, 16, inverse=np.linalg.pinv)
    assert_rounded(compiled("tim", 16)[0](frames, T), exact)
    # And frames that are almost equal give almost the same clip: nothing jumps.
    nearly = frames.astype(np.float64) + 1e-4 * np.random.default_rng(0).normal(size=frames.shape)
    np.testing.assert_allclose(slow_tim(nearly, 16), exact, atol=1e-2)


@pytest.mark.parametrize("name", interpolate.INTERPOLATIONS)
def test_a_static_clip_stays_static(name):
    frames = np.broadcast_to(clip(0, T)[:1], (T, 4, 5, 3))
    np.testing.assert_array_equal(compiled(name, 7)[0](frames, 9), frames[:7])


def test_what_each_model_takes_motion_for():
    n, to = 9, 17
    ramp = np.zeros((T, 1, 1, 1), np.uint8)
    ramp[:n, 0, 0, 0] = 20 * np.arange(n)
    made = interpolate.linear(jnp.asarray(ramp), jnp.int32(n), to=to)
    np.testing.assert_array_equal(made[:, 0, 0, 0], 10 * np.arange(to))
    wave = np.zeros((T, 1, 1, 1), np.uint8)
    wave[:n, 0, 0, 0] = np.round(128 + 100 * np.cos(3 * np.pi * (np.arange(n) + 0.5) / n))
    made = np.asarray(interpolate.tim(jnp.asarray(wave), jnp.int32(n), to=to), np.float64)
    np.testing.assert_allclose(made[:, 0, 0, 0], 128 + 100 * np.cos(3 * np.pi * (np.arange(to) / 2 + 0.5) / n), atol=2)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(0, 59), st.sampled_from([1, 2, 3, 10]))
def test_an_apex_moves_with_its_frame(n, apex, to):
    apex = min(apex, n - 1)
    moved = int(interpolate.move_apex(jnp.int32(apex), jnp.int32(n), to=to))
    at = np.asarray(interpolate.positions(jnp.int32(n), to=to))
    np.testing.assert_allclose(at, np.linspace(0, n - 1, to), atol=1e-5)
    if 0 < apex < n - 1 and to > 2:
        assert 0 < moved < to - 1
        at = at[1:-1]
        moved -= 1
    assert abs(at[moved] - apex) <= np.abs(at - apex).min() + 1e-5 or n == 1
    if apex == 0:
        assert moved == 0
    elif apex == n - 1:
        assert moved == to - 1


def test_an_apex_moves_under_jit_and_vmap():
    apexes, lengths = jnp.array([0, 1, 33, 65, 66]), jnp.full(5, 67)
    moved = jax.jit(jax.vmap(lambda a, n: interpolate.move_apex(a, n, to=10)))(apexes, lengths)
    np.testing.assert_array_equal(moved, [0, 1, 5, 8, 9])


@pytest.mark.parametrize("make", [interpolate.linear, interpolate.tim])
def test_no_frames_are_refused(make):
    with pytest.raises(InputError, match="to is 0; it must be 1 or more frames"):
        make(jnp.zeros((T, 2, 2, 1), jnp.uint8), jnp.int32(3), to=0)
    with pytest.raises(InputError, match="to is 0"):
        interpolate.move_apex(jnp.int32(1), jnp.int32(3), to=0)
