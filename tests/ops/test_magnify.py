from functools import cache, partial

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from merjax.ops import magnify
from merjax.types import InputError

BAND = {"low_hz": 1.0, "high_hz": 10.0, "fps": 100.0}


def clip(seed, n, t=16, h=13, w=16):
    frames = np.random.default_rng(seed).integers(0, 256, (t, h, w, 3), dtype=np.uint8)
    frames[n:] = 77  # padding must not matter
    return frames


def slow_amplify(band, alpha, cutoff):
    """Laplacian pyramid of OpenCV, all of it split before any of it is multiplied."""
    levels, wavelength = [], 4.0
    while wavelength < cutoff:
        small = cv2.pyrDown(band)
        levels.append(
            (max((1 + alpha) * wavelength / cutoff - 1, 0), band - cv2.pyrUp(small, dstsize=band.shape[1::-1]))
        )
        band, wavelength = small, 2 * wavelength
    total = alpha * band
    for factor, level in levels[::-1]:
        total = cv2.pyrUp(total, dstsize=level.shape[1::-1]) + factor * level
    return total


def slow_magnify(frames, alpha, cutoff, low_hz, high_hz, fps):
    departure = frames.astype(np.float64) - frames[0]
    band = signal.lfilter(*signal.butter(1, high_hz, fs=fps), departure, axis=0)
    band -= signal.lfilter(*signal.butter(1, low_hz, fs=fps), departure, axis=0)
    return np.clip(frames + np.stack([slow_amplify(image, alpha, cutoff) for image in band]), 0, 255)


def gain(hz, low_hz, high_hz, fps):
    """Complex gain of the band at one frequency."""
    passes = [signal.freqz(*signal.butter(1, edge, fs=fps), worN=[hz], fs=fps)[1][0] for edge in (high_hz, low_hz)]
    return passes[0] - passes[1]


def amplitude(values, hz, fps):
    """Of the sine in a signal of whole periods."""
    return 2 * abs(np.mean(values * np.exp(-2j * np.pi * hz * np.arange(len(values)) / fps)))


@cache  # a new function would be a new compilation
def compiled(alpha, cutoff=16.0, **band):
    """Under jit, of one clip; under vmap, of clips of different lengths."""
    make = partial(magnify.magnify, alpha=alpha, cutoff=cutoff, **(band or BAND))
    return jax.jit(make), jax.jit(jax.vmap(make))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 16), st.sampled_from([(2.0, 0.0), (5.0, 16.0), (1.0, 20.0)]))
def test_magnification_equals_scipy_and_opencv_under_jit_and_vmap(seed, n, strength):
    frames, other = clip(seed, n), clip(seed + 1, 16)
    one, many = compiled(*strength)
    both = many(np.stack([frames, other]), np.array([n, 16]))
    exact = slow_magnify(frames[:n], *strength, **BAND)
    for made in (one(frames, n), both[0]):
        assert np.abs(np.asarray(made[:n], np.float64) - exact).max() < 0.51
        np.testing.assert_array_equal(made[n:], np.broadcast_to(made[n - 1], made[n:].shape))
    assert np.abs(np.asarray(both[1], np.float64) - slow_magnify(other, *strength, **BAND)).max() < 0.51


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (3, 2), (1, 4)])
def test_pyramid_steps_equal_opencv(rng, size):
    image = rng.normal(size=(*size, 3)).astype(np.float32)
    small = cv2.pyrDown(image)
    np.testing.assert_allclose(jax.jit(magnify.halve)(image), small, atol=1e-6)
    expected = cv2.pyrUp(small, dstsize=size[::-1])
    np.testing.assert_allclose(jax.jit(lambda x: magnify.double(x, size))(small), expected, atol=1e-6)


@pytest.mark.parametrize(("hz", "fps"), [(0.5, 30.0), (14.9, 30.0), (12.0, 200.0)])
def test_low_pass_equals_scipy(hz, fps):
    (b0, b1), (_, a1) = signal.butter(1, hz, fs=fps)
    np.testing.assert_allclose(magnify.low_pass(hz, fps), [b0, -a1], atol=1e-12)
    assert b0 == pytest.approx(b1)


def test_a_static_clip_and_no_factor_change_nothing():
    frames = clip(0, 16)
    still = np.broadcast_to(frames[:1], frames.shape)
    np.testing.assert_array_equal(compiled(50.0)[0](still, 16), still)
    plain = magnify.magnify(jnp.asarray(frames), jnp.int32(16), alpha=0.0, **BAND)  # without jit
    np.testing.assert_array_equal(plain, frames)


@pytest.mark.parametrize(("hz", "least", "most"), [(3.0, 0.7, 0.9), (0.02, 0.0, 0.03), (49.0, 0.0, 0.01)])
def test_a_change_inside_the_band_grows_and_outside_is_left(hz, least, most):
    assert least <= abs(gain(hz, **BAND)) <= most
    alpha, t = 9.0, 15000 if hz < 1 else 300
    time = np.arange(t) / BAND["fps"]
    light = np.round(128 + 12 * np.sin(2 * np.pi * hz * time)).astype(np.uint8)
    frames = np.broadcast_to(light[:, None, None, None], (t, 2, 2, 1))
    made = np.asarray(compiled(alpha)[0](frames, t))[:, 0, 0, 0]
    last = slice(t // 3, None)  # the filter has settled; whole periods are left
    ratio = amplitude(made[last].astype(float), hz, BAND["fps"]) / amplitude(light[last].astype(float), hz, BAND["fps"])
    assert ratio == pytest.approx(abs(1 + alpha * gain(hz, **BAND)), rel=0.03)
    if least:
        assert ratio > 1 + alpha * least


def test_a_tiny_motion_grows():
    hz, alpha, t, period, size = np.sqrt(10.0), 4.0, 300, 64, 0.4
    move = size * np.sin(2 * np.pi * hz * np.arange(t) / BAND["fps"])
    phase = 2 * np.pi * (np.arange(128)[None] - move[:, None]) / period
    frames = np.round(128 + 60 * np.sin(phase)).astype(np.uint8)[:, None, :, None].repeat(8, 1)
    made = np.asarray(compiled(alpha)[0](frames, t))[:, 4, 32:96, 0]
    wave = np.exp(-2j * np.pi * np.arange(64) / period)  # the pattern's phase is its place
    place = -np.angle((made @ wave) / (frames[0, 4, 32:96, 0] @ wave)) * period / (2 * np.pi)
    late = slice(100, 100 + round(6 * BAND["fps"] / hz))
    grown = amplitude(place[late], hz, BAND["fps"]) / size
    assert grown == pytest.approx(1 + alpha * (10 - 1) / (10 + 1), rel=0.05)  # the gain in the middle of the band


def test_short_wavelengths_are_left_and_long_ones_are_not():
    t, alpha, cutoff = 20, 8.0, 64.0  # the finest level's factor is below 0, so 0
    flicker = 10 * np.sin(2 * np.pi * 3 * np.arange(t) / BAND["fps"])[:, None, None, None]
    board = np.indices((32, 32)).sum(0) % 2 * 2.0 - 1
    wide = np.broadcast_to(np.sin(2 * np.pi * np.arange(32) / 32), (32, 32))
    changes = []
    for pattern in (board, wide):
        frames = np.round(128 + flicker * pattern[..., None]).astype(np.uint8)
        made = compiled(alpha, cutoff)[0](frames, t)
        changes.append(np.abs(np.asarray(made, int) - frames).max())
    assert changes[0] <= 1
    assert changes[1] > 20


def test_without_a_lower_edge_the_departure_from_the_first_frame_stays():
    frames = np.full((60, 2, 2, 1), 100, np.uint8)
    frames[5:] = 110
    made = compiled(3.0, **{**BAND, "low_hz": 0.0})[0](frames, 60)
    np.testing.assert_array_equal(made[-1], 140)
    np.testing.assert_array_equal(made[:5], 100)
    faded = compiled(3.0)[0](frames, 60)
    assert int(faded[-1].max()) < 115


def test_wrong_arguments_are_refused():
    frames, length = jnp.zeros((4, 2, 2, 1), jnp.uint8), jnp.int32(4)
    with pytest.raises(InputError, match=r"alpha is -1\.0; it must be 0 or more"):
        magnify.magnify(frames, length, alpha=-1.0, **BAND)
    for low, high in ((3.0, 3.0), (-1.0, 3.0), (3.0, 50.0)):
        with pytest.raises(InputError, match=r"they must rise from 0 to below 50\.0"):
            magnify.magnify(frames, length, alpha=1.0, low_hz=low, high_hz=high, fps=100.0)
    with pytest.raises(InputError, match=r"cutoff is -2\.0; it must be 0 pixels or more"):
        magnify.magnify(frames, length, alpha=1.0, cutoff=-2.0, **BAND)
