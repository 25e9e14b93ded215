from functools import cache, partial

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merjax.ops import equalise
from merjax.types import InputError

SIZES = [(24, 40), (25, 37), (24, 37)]  # tiles of 4 divide both sides, neither, one


def grey(seed, size, kind):
    rng = np.random.default_rng(seed)
    if kind == "noise":
        return rng.integers(0, 256, size, dtype=np.uint8)
    if kind == "dull":
        return np.clip(rng.normal(90, 15, size), 0, 255).astype(np.uint8)
    return (np.add.outer(np.arange(size[0]), 2 * np.arange(size[1])) % 97 + 40).astype(np.uint8)


def face(seed, size):
    """Coloured, with brightness that varies more than colour, as skin does."""
    rng = np.random.default_rng(seed)
    light = cv2.GaussianBlur(rng.normal(0, 200, size), (0, 0), 3)[..., None]
    return np.clip(np.array([150, 120, 100]) + light + rng.normal(0, 5, (*size, 3)), 0, 255).astype(np.uint8)


def slow_colour(frame, on_luma):
    image = cv2.cvtColor(frame, cv2.COLOR_RGB2YCrCb)
    image[..., 0] = on_luma(np.ascontiguousarray(image[..., 0]))
    return cv2.cvtColor(image, cv2.COLOR_YCrCb2RGB)


@cache  # a new function would be a new compilation
def compiled(**arguments):
    """Under jit, of one clip; under vmap, of many."""
    make = partial(equalise.equalise, **arguments)
    return jax.jit(make), jax.jit(jax.vmap(make))


def both_ways(frames, **arguments):
    one, many = compiled(**arguments)
    return one(frames), many(np.stack([frames[::-1], frames]))[1]


def distance(a, b):
    return np.abs(np.asarray(a, np.int32) - np.asarray(b, np.int32)).max()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(SIZES))
def test_global_equals_opencv_on_grey_frames(seed, size):
    frames = np.stack([grey(seed, size, kind) for kind in ("noise", "dull", "ramp")])
    expected = np.stack([cv2.equalizeHist(frame) for frame in frames])
    for made in both_ways(frames[..., None]):
        np.testing.assert_array_equal(made[..., 0], expected)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(SIZES), st.sampled_from([2.0, 40.0]))
def test_clahe_is_within_a_grey_level_of_opencv(seed, size, clip):
    frames = np.stack([grey(seed, size, kind) for kind in ("noise", "dull", "ramp")])
    slow = cv2.createCLAHE(clip, (4, 4))
    expected = np.stack([slow.apply(frame) for frame in frames])
    for made in both_ways(frames[..., None], method="clahe", clip=clip, tiles=4):
        assert distance(made[..., 0], expected) <= 1
        assert (np.asarray(made[..., 0]) != expected).mean() < 0.02  # only where rounding decides


@pytest.mark.parametrize("method", ["global", "clahe"])
def test_colour_is_kept_as_opencv_keeps_it(method):
    frames = np.stack([face(seed, (24, 40)) for seed in range(3)])
    slow = cv2.equalizeHist if method == "global" else cv2.createCLAHE(2.0, (8, 8)).apply
    expected = np.stack([slow_colour(frame, slow) for frame in frames])
    for made in both_ways(frames, method=method):
        assert distance(made, expected) <= 2  # chroma in whole numbers there, and a grey level of CLAHE
        assert distance(made, frames) > 20


def test_luma_equals_opencv(rng):
    frame = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    expected = cv2.cvtColor(frame, cv2.COLOR_RGB2YCrCb)[..., 0]
    np.testing.assert_array_equal(equalise.luma(jnp.asarray(frame)), expected)


def test_levels_become_equally_frequent(rng):
    frame = np.clip(rng.normal(60, 10, (1, 64, 64, 1)), 0, 255).astype(np.uint8)
    made = np.asarray(equalise.equalise(jnp.asarray(frame)))
    assert made.min() == 0
    assert made.max() == 255
    quarters = np.histogram(made, bins=[0, 64, 128, 192, 256])[0] / made.size
    np.testing.assert_allclose(quarters, 0.25, atol=0.04)
    order = np.argsort(frame, axis=None, kind="stable")
    assert (np.diff(made.ravel()[order].astype(int)) >= 0).all()  # brighter stays brighter


@pytest.mark.parametrize("method", ["global", "clahe"])
def test_frames_do_not_know_of_each_other(method):
    frames = np.stack([face(seed, (16, 16)) for seed in (0, 1, 2, 2, 2)])
    made = equalise.equalise(jnp.asarray(frames), method=method)
    np.testing.assert_array_equal(made[2], made[4])  # padding stays padding
    alone = equalise.equalise(jnp.asarray(frames[1:2]), method=method)
    np.testing.assert_array_equal(made[1], alone[0])


@pytest.mark.parametrize("level", [0, 93, 255])
def test_an_image_of_one_level_stays_as_it_is(level):
    frames = jnp.full((2, 8, 8, 3), level, jnp.uint8)
    np.testing.assert_array_equal(equalise.equalise(frames), frames)


def test_the_limit_of_contrast_holds():
    frame = grey(0, (32, 32), "dull")[None, ..., None]
    spread = [
        float(np.std(equalise.equalise(jnp.asarray(frame), method="clahe", tiles=1, clip=clip)))  # plain, without jit
        for clip in (1.0, 2.0, 4.0, 40.0)
    ]
    assert spread == sorted(spread)
    assert spread[0] < 0.8 * spread[-1]


def test_wrong_arguments_are_refused():
    frames = jnp.zeros((2, 6, 9, 3), jnp.uint8)
    with pytest.raises(InputError, match="method is 'local'; it can be global, clahe"):
        equalise.equalise(frames, method="local")
    with pytest.raises(InputError, match="tiles is 8; it must be from 1 to the shorter side of a frame, 6"):
        equalise.equalise(frames, method="clahe")
    with pytest.raises(InputError, match=r"clip is 0\.0; it must be above 0"):
        equalise.equalise(frames, method="clahe", clip=0.0, tiles=2)
    with pytest.raises(InputError, match="frames have 2 channels; they must have 1"):
        equalise.equalise(frames[..., :2])
