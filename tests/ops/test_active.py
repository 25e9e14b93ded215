import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merjax.ops import active
from merjax.ops.rank_pool import linear_weights

T = 12


def clip(seed, n):
    frames = np.random.default_rng(seed).integers(0, 256, (T, 4, 5, 3), dtype=np.uint8)
    frames[n:] = 200  # padding must not matter
    return frames


def slow_active(frames):
    """The double sum over pairs, neighbours skipped."""
    grey = frames.astype(float) @ [0.299, 0.587, 0.114] if frames.shape[-1] == 3 else frames[..., 0].astype(float)
    total = np.zeros(grey.shape[1:])
    for j in range(1, len(grey)):
        for k in range(j - 1):
            total += grey[j] - grey[k]
    return total


@pytest.mark.parametrize("n", [1, 2, 3, 4, 9, 40])
def test_weights_are_those_of_the_double_sum(n):
    expected = np.zeros(44)
    for j in range(1, n):
        for k in range(j - 1):
            expected[j] += 1
            expected[k] -= 1
    weights = active.active_weights(jnp.arange(44), jnp.int32(n))
    np.testing.assert_array_equal(weights, expected)
    if n > 2:  # the linear weights but for the ends
        linear = np.array(linear_weights(jnp.arange(1, 45), jnp.int32(n)))
        linear[0] += 1
        linear[n - 1] -= 1
        np.testing.assert_array_equal(weights, linear)


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 20), st.integers(1, 9), st.sampled_from([1, 3]))
def test_active_image_equals_numpy_on_any_shape(seed, n, side, channels):
    frames = np.random.default_rng(seed).integers(0, 256, (n, side, 4, channels), dtype=np.uint8)
    expected = np.repeat(slow_active(frames)[..., None], channels, -1)
    for as_given in (frames, frames.astype(np.float32)):
        image = active.active_image(jnp.asarray(as_given), jnp.int32(n), scale="none")
        np.testing.assert_allclose(image[0], expected, atol=2e-2)


def test_saturated_is_what_opencv_writes():
    frames = clip(3, 9)
    frames[:9] = 100 + frames[:9] // 32  # small changes, so that not every pixel is cut
    raw = slow_active(frames[:9])
    written = cv2.imdecode(cv2.imencode(".png", raw)[1], cv2.IMREAD_UNCHANGED)
    assert (written == 0).any()
    assert ((written > 0) & (written < 255)).any()
    image = active.active_image(jnp.asarray(frames), jnp.int32(9), scale="saturated")
    np.testing.assert_allclose(255 * image[0, ..., 0], written, atol=0.51)  # whole grey levels


def test_clips_of_many_lengths_and_apexes_under_vmap():
    cases = [(1, 0), (3, 1), (9, 0), (9, 8), (12, 5)]
    frames = np.stack([clip(i, n) for i, (n, _) in enumerate(cases)])
    lengths, apexes = (jnp.array(column, jnp.int32) for column in zip(*cases, strict=True))
    images = jax.jit(jax.vmap(active.active_image))(frames, lengths)
    one = jax.jit(active.active_image)
    apex = jax.jit(jax.vmap(active.apex_frame))(frames, apexes)
    difference = jax.jit(jax.vmap(active.onset_apex_difference))(frames, apexes)
    for i, (n, a) in enumerate(cases):
        raw = slow_active(frames[i][:n])
        scaled = (raw - raw.min()) / max(raw.max() - raw.min(), 1e-9)
        np.testing.assert_allclose(images[i, 0, ..., 1], scaled, atol=1e-5)
        np.testing.assert_allclose(one(frames[i], lengths[i])[0, ..., 2], scaled, atol=1e-5)
        np.testing.assert_allclose(apex[i, 0], frames[i, a] / 255, rtol=1e-6)
        change = frames[i, a].astype(float) - frames[i, 0]
        np.testing.assert_allclose(difference[i, 0], change / max(np.abs(change).max(), 1), rtol=1e-5)
        alone = active.onset_apex_difference(jnp.asarray(frames[i]), apexes[i])
        np.testing.assert_array_equal(difference[i], alone)


def test_a_difference_does_not_wrap_around():
    frames = jnp.array([[[[250]]], [[[3]]]], jnp.uint8)
    assert active.onset_apex_difference(frames, jnp.int32(1), scale="none").item() == -247
    np.testing.assert_allclose(active.onset_apex_difference(frames, jnp.int32(1), scale="minmax").item(), 0)


def test_a_static_clip_gives_exactly_zero():
    still = jnp.asarray(np.broadcast_to(clip(0, 1)[:1], (T, 4, 5, 3)))
    assert (active.active_image(still, jnp.int32(9)) == 0).all()
    assert (active.onset_apex_difference(still, jnp.int32(4)) == 0).all()


def test_gradients_are_the_weights(rng):
    frames = rng.uniform(0, 255, (T, 2, 3, 3)).astype(np.float32)
    gradient = jax.grad(lambda f: active.active_image(f, jnp.int32(9), scale="none")[..., 0].sum())(frames)
    weights = np.asarray(active.active_weights(jnp.arange(T), jnp.int32(9)))
    np.testing.assert_allclose(gradient[:, 0, 0, :], weights[:, None] * [[0.299, 0.587, 0.114]], rtol=1e-5)
    gradient = jax.grad(lambda f: active.onset_apex_difference(f, jnp.int32(4), scale="none").sum())(frames)
    np.testing.assert_array_equal(gradient[:, 0, 0, 0], [-1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
