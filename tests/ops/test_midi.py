import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merjax.ops import midi
from merjax.ops.rank_pool import dynamic_image
from merjax.types import InputError

T = 16


def clip(seed, n):
    frames = np.random.default_rng(seed).integers(0, 256, (T, 5, 6, 3), dtype=np.uint8)
    frames[n:] = 77  # padding must not matter
    return frames


def slow_intensity(frames):
    return [np.abs(f.astype(float) @ [0.299, 0.587, 0.114] - frames[0] @ [0.299, 0.587, 0.114]).mean() for f in frames]


def slow_midi(frames, intensity):
    order = sorted(range(len(frames)), key=lambda i: intensity[i])  # stable
    pooled = sum((2 * k - len(frames) - 1) * frames[i].astype(float) for k, i in enumerate(order, 1))
    return (pooled - pooled.min()) / max(pooled.max() - pooled.min(), 1e-9)


one_midi = jax.jit(midi.midi)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, T))
def test_midi_ranks_by_motion_not_by_time(seed, n):
    frames = clip(seed, n)
    expected = slow_midi(frames[:n], slow_intensity(frames[:n]))
    np.testing.assert_allclose(one_midi(frames, jnp.int32(n))[0], expected, atol=1e-4)


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 20), st.integers(1, 9), st.sampled_from([1, 3]))
def test_intensity_is_the_mean_grey_difference_on_any_shape(seed, t, side, channels):
    frames = np.random.default_rng(seed).integers(0, 256, (t, side, 4, channels), dtype=np.uint8)
    weights = [0.299, 0.587, 0.114] if channels == 3 else [1.0]
    slow = [np.abs((f.astype(float) - frames[0]) @ weights).mean() for f in frames]
    for as_given in (frames, frames.astype(np.float32)):
        np.testing.assert_allclose(midi.frame_difference(jnp.asarray(as_given)), slow, rtol=1e-4, atol=1e-3)


def test_clips_of_many_lengths_under_vmap_give_what_each_gives_alone():
    lengths = [1, 2, 7, 12, 16]
    frames = np.stack([clip(n, n) for n in lengths])
    together = jax.jit(jax.vmap(midi.trdi_midi))(frames, jnp.array(lengths, jnp.int32))
    for i, n in enumerate(lengths):
        np.testing.assert_allclose(together[i, 1], one_midi(frames[i], jnp.int32(n))[0], atol=1e-5)
        np.testing.assert_allclose(together[i, 1], slow_midi(frames[i][:n], slow_intensity(frames[i][:n])), atol=1e-4)


def test_given_intensities_decide_the_order_and_those_of_padding_do_not_matter(rng):
    frames, n = clip(4, 11), 11
    intensity = rng.normal(size=T).astype(np.float32)
    expected = slow_midi(frames[:n], intensity[:n])
    one = jax.jit(midi.midi_of)
    for padding in (-np.inf, 0.0, np.nan):
        intensity[n:] = padding
        image = one(frames, jnp.int32(n), intensity)
        np.testing.assert_allclose(image[0], expected, atol=1e-5)


def test_equal_intensities_keep_their_order():
    frames = np.zeros((T, 2, 2, 3), np.uint8)
    frames[1, 0, 0], frames[2, 1, 1], frames[3, 0, 1] = 9, 9, 9  # three frames of one intensity
    expected = slow_midi(frames[:4], [0, 1, 1, 1])
    np.testing.assert_allclose(midi.midi(jnp.asarray(frames), jnp.int32(4))[0], expected, atol=1e-6)


def test_shuffling_the_frames_after_the_onset_does_not_change_midi(rng):
    frames = clip(1, 12)
    shuffled = frames.copy()
    shuffled[1:12] = frames[rng.permutation(np.arange(1, 12))]
    same = [one_midi(f, jnp.int32(12)) for f in (frames, shuffled)]
    np.testing.assert_allclose(same[0], same[1], atol=1e-5)


def test_in_order_of_time_midi_is_the_linear_dynamic_image():
    frames, n = clip(2, 10), jnp.int32(10)
    image = midi.midi_of(jnp.asarray(frames), n, jnp.arange(16.0))
    np.testing.assert_allclose(image, dynamic_image(jnp.asarray(frames), n, coefficients="linear"), atol=1e-6)


def test_the_two_streams_are_trdi_and_midi():
    frames, n = jnp.asarray(clip(5, 9)), jnp.int32(9)
    both = midi.trdi_midi(frames, n, coefficients="linear", scale="symmetric")
    np.testing.assert_array_equal(both[0], dynamic_image(frames, n, coefficients="linear", scale="symmetric")[0])
    np.testing.assert_array_equal(both[1], midi.midi(frames, n, scale="symmetric")[0])


def test_a_static_clip_gives_exactly_zero():
    still = jnp.asarray(np.broadcast_to(clip(0, 1)[:1], (T, 5, 6, 3)))
    assert (midi.trdi_midi(still, jnp.int32(12)) == 0).all()


def test_grey_of_colour_and_of_other_channels():
    np.testing.assert_allclose(midi.grey(jnp.array([[[10.0, 20.0, 30.0]]])), [[2.99 + 11.74 + 3.42]], rtol=1e-6)
    np.testing.assert_allclose(midi.grey(jnp.array([[[10.0]]])), [[10.0]])


def test_gradient_of_frames_are_the_weights_of_their_ranks(rng):
    frames = rng.uniform(0, 255, (T, 2, 3, 3)).astype(np.float32)
    gradient = jax.grad(lambda f: midi.midi(f, jnp.int32(12), scale="none").sum())(frames)
    weights = 2.0 * np.argsort(np.argsort(slow_intensity(frames[:12]))) + 1 - 12
    np.testing.assert_allclose(gradient[:, 0, 0, 0], [*weights, 0, 0, 0, 0], atol=1e-3)


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="scale is 'big'; it can be minmax"):
        midi.midi(jnp.zeros((T, 2, 2, 3), jnp.uint8), jnp.int32(4), scale="big")
