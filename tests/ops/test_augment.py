from functools import partial

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merjax.ops import augment, colour
from merjax.types import InputError


def sample(rng, p=2, h=9, w=11):
    return jnp.asarray(rng.normal(size=(p, h, w, 3)).astype(np.float32))


def test_flip_mirrors_and_turns_u_only_for_flow(rng):
    x = sample(rng)
    np.testing.assert_array_equal(augment.flip(x, vector=False), x[:, :, ::-1])
    mirrored = augment.flip(x, vector=True)
    np.testing.assert_array_equal(mirrored[..., 0], -x[:, :, ::-1, 0])
    np.testing.assert_array_equal(mirrored[..., 1:], x[:, :, ::-1, 1:])
    np.testing.assert_array_equal(augment.flip(mirrored, vector=True), x)


def test_flow_of_the_mirror_image_is_the_flipped_flow():
    """What the vector rule means: a point moving right in a picture moves left in its mirror."""
    h, w = 8, 12
    first, second = np.zeros((2, h, w))
    first[4, 3], second[4, 5] = 1, 1  # moves by u = +2
    flow = np.zeros((1, h, w, 3), np.float32)
    flow[0, 4, 3, 0] = 2
    mirrored = np.asarray(augment.flip(jnp.asarray(flow), vector=True))[0]
    y, x = np.argwhere(first[:, ::-1])[0]
    u = int(mirrored[y, x, 0])
    assert second[:, ::-1][y, x + u] == 1


def test_shift_moves_down_and_right_and_repeats_the_border(rng):
    x = sample(rng)
    moved = augment.shift(x, jnp.array([1, -2]))
    np.testing.assert_array_equal(moved[:, 1:, :-2], x[:, :-1, 2:])
    np.testing.assert_array_equal(moved[:, 0, :-2], x[:, 0, 2:])
    np.testing.assert_array_equal(augment.shift(x, jnp.array([0, 0])), x)
    for down in range(-3, 4):
        rows = np.clip(np.arange(9) - down, 0, 8)
        np.testing.assert_array_equal(augment.shift(x, jnp.array([down, 0])), x[:, rows])


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 20), st.integers(1, 5), st.data())
def test_slide_takes_each_line_from_its_own_start(most, length, data):
    start = np.array(data.draw(st.lists(st.integers(0, most), min_size=3, max_size=3)))
    wide = jnp.arange(3.0 * (most + length)).reshape(3, -1)
    slid = augment.slide(wide, jnp.asarray(start)[:, None], most, 1)
    np.testing.assert_array_equal(slid, [line[at : at + length] for line, at in zip(wide, start, strict=True)])


@pytest.mark.parametrize("degrees", [-10.0, 5.0, 20.0])
def test_rotation_agrees_with_opencv(rng, degrees):
    x = rng.normal(size=(1, 15, 15, 1)).astype(np.float32)
    x = cv2.GaussianBlur(x[0, ..., 0], (0, 0), 1.5)[None, ..., None]
    turned = np.asarray(augment.rotate(jnp.asarray(x), jnp.float32(degrees), vector=False, most=45.0))[0, ..., 0]
    # OpenCV counts counter-clockwise, merjax clockwise (right towards down).
    matrix = cv2.getRotationMatrix2D((7, 7), -degrees, 1)
    expected = cv2.warpAffine(x[0, ..., 0], matrix, (15, 15), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    np.testing.assert_allclose(turned[3:-3, 3:-3], expected[3:-3, 3:-3], atol=0.02)


ROTATE = jax.jit(augment.rotate, static_argnames=("vector", "most"))


def slow_rotate(image, degrees):
    """One plane, first along the rows, then along the columns, each by NumPy's linear interpolation."""
    h, w = image.shape
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    row, column = np.arange(h) - (h - 1) / 2, np.arange(w) - (w - 1) / 2
    image = np.stack(
        [np.interp(column / cos + sin / cos * y, column, line) for y, line in zip(row, image, strict=True)]
    )
    return np.stack([np.interp(cos * row - sin * x, row, line) for x, line in zip(column, image.T, strict=True)], 1)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.floats(-45, 45), st.sampled_from([(7, 8), (8, 3), (1, 6)]), st.booleans())
def test_rotation_equals_the_slow_version_on_every_pixel(seed, degrees, size, vector):
    x = sample(np.random.default_rng(seed), 1, *size)
    turned = np.stack([slow_rotate(plane, degrees) for plane in np.moveaxis(np.asarray(x[0], np.float64), -1, 0)], -1)
    if vector:
        cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        u, v = turned[..., 0].copy(), turned[..., 1].copy()
        turned[..., 0], turned[..., 1] = cos * u - sin * v, sin * u + cos * v
    np.testing.assert_allclose(ROTATE(x, jnp.float32(degrees), vector=vector, most=45.0)[0], turned, atol=1e-4)


def test_rotation_by_nothing_changes_nothing_and_a_ramp_stays_a_ramp(rng):
    x = sample(rng)
    np.testing.assert_array_equal(ROTATE(x, jnp.float32(0), vector=True, most=10.0), x)
    y, x = np.mgrid[:30, :40].astype(np.float32)
    down, right = y - 14.5, x - 19.5
    cos, sin = np.cos(np.deg2rad(10)), np.sin(np.deg2rad(10))
    ramp = jnp.asarray(3 * right - 2 * down)[None, ..., None]
    expected = 3 * (sin * down + cos * right) - 2 * (cos * down - sin * right)
    turned = ROTATE(ramp, jnp.float32(10), vector=False, most=10.0)[0, ..., 0]
    np.testing.assert_allclose(turned[5:-5, 5:-5], expected[5:-5, 5:-5], atol=1e-4)


def test_a_rotation_does_not_hang_on_the_largest_one(rng):
    x = sample(rng)
    turned = [ROTATE(x, jnp.float32(4), vector=True, most=most) for most in (4.0, 10.0, 45.0)]
    np.testing.assert_allclose(turned[0], turned[1], atol=1e-5)
    np.testing.assert_allclose(turned[0], turned[2], atol=1e-5)


def test_a_rotation_of_more_than_45_degrees_is_refused(rng):
    with pytest.raises(InputError, match="degrees is 60; the largest rotation can be 45"):
        augment.random_augment(jax.random.key(0), sample(rng), vector=True, flips=False, shifts=0, degrees=60.0)


def test_augmentation_gathers_nothing_on_a_tpu(rng):
    """A TPU fetches single pixels very slowly."""
    change = partial(augment.random_augment, flips=True, shifts=3, degrees=10.0, brightness=0.1, contrast=0.1)
    keys, x = jax.random.split(jax.random.key(0), 4), jnp.stack([sample(rng)] * 4)
    for vector in (True, False):
        traced = jax.jit(jax.vmap(partial(change, vector=vector))).trace(keys, x)
        text = traced.lower(lowering_platforms=("tpu",)).as_text()
        assert "gather" not in text
        assert "dynamic_slice" not in text


def test_both_ways_to_shift_give_the_same_bits(rng, monkeypatch):
    x, offsets = sample(rng), [(1, -2), (-3, 3), (0, 0)]
    by_number = [augment.shift(x, jnp.array(offset)) for offset in offsets]
    monkeypatch.setattr(jax.lax, "platform_dependent", lambda *given, tpu, default: tpu(*given))
    for offset, right in zip(offsets, by_number, strict=True):
        np.testing.assert_array_equal(augment.shift(x, jnp.array(offset)), right)


def test_moves_are_the_same_plain_and_under_jit_and_vmap(rng):
    x = sample(rng)
    for change, amount in (
        (partial(augment.rotate, vector=True, most=10.0), jnp.float32(6)),
        (augment.shift, jnp.array([1, -2])),
    ):
        plain = change(x, amount)
        np.testing.assert_allclose(jax.jit(change)(x, amount), plain, atol=1e-5)
        np.testing.assert_allclose(jax.vmap(change)(x[None], amount[None])[0], plain, atol=1e-5)


def test_moves_of_pixels_are_linear_so_their_derivative_is_their_value(rng):
    x, step = sample(rng), sample(rng)
    for change in (
        partial(augment.flip, vector=True),
        partial(augment.shift, offset=jnp.array([1, -2])),
        partial(augment.rotate, degrees=jnp.float32(7), vector=True, most=10.0),
    ):
        _, slope = jax.jvp(change, (x,), (step,))
        np.testing.assert_allclose(slope, change(step), atol=1e-5)


def test_rotating_flow_turns_right_towards_down():
    flow = jnp.zeros((1, 5, 5, 3)).at[..., 0].set(1.0).at[..., 2].set(0.5)
    turned = augment.rotate(flow, jnp.float32(45), vector=True, most=45.0)
    np.testing.assert_allclose(turned[..., :2], np.sqrt(0.5), atol=1e-6)
    np.testing.assert_allclose(turned[..., 2], 0.5, atol=1e-6)


def test_streams_of_a_clip_move_together(rng):
    x = sample(rng, p=1)
    both = jnp.concatenate([x, x])
    for seed in range(5):
        y = augment.random_augment(jax.random.key(seed), both, vector=True, flips=True, shifts=2, degrees=5.0)
        np.testing.assert_array_equal(y[0], y[1])


def test_random_augment_uses_every_move_and_can_be_switched_off(rng):
    x = sample(rng)
    off = augment.random_augment(jax.random.key(0), x, vector=True, flips=False, shifts=0, degrees=0.0)
    np.testing.assert_array_equal(off, x)
    flipped = [
        np.array_equal(
            augment.random_augment(jax.random.key(s), x, vector=True, flips=True, shifts=0, degrees=0.0),
            augment.flip(x, vector=True),
        )
        for s in range(20)
    ]
    assert 3 < sum(flipped) < 17


def test_light_spreads_values_about_their_mean_and_adds(rng):
    x = sample(rng)
    np.testing.assert_allclose(augment.light(x, jnp.float32(0), jnp.float32(0)), x, atol=1e-6)
    lit = augment.light(x, jnp.float32(0.2), jnp.float32(-0.5))
    np.testing.assert_allclose(lit.mean(), x.mean() + 0.2, atol=1e-6)
    np.testing.assert_allclose(lit.std(), 0.5 * x.std(), rtol=1e-5)


def test_random_light_is_keyed_alike_for_all_streams_and_leaves_flow_alone(rng):
    x = jnp.concatenate([sample(rng, p=1)] * 2)
    change = partial(augment.random_augment, flips=False, shifts=0, degrees=0.0, brightness=0.1, contrast=0.2)
    images = [change(jax.random.key(seed), x, vector=False) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(images[0], images[1])
    assert (images[0] != images[2]).all()
    np.testing.assert_array_equal(images[0][0], images[0][1])
    assert 0 < float(jnp.abs(images[0].mean() - x.mean())) <= 0.1
    assert 0.8 <= float(images[0].std() / x.std()) <= 1.2
    np.testing.assert_array_equal(change(jax.random.key(0), x, vector=True), x)


@pytest.mark.parametrize("shifts", [0, 2])
def test_a_change_of_colours_is_the_colours_of_the_changed_flow(rng, shifts):
    uv = 0.4 * rng.uniform(-1, 1, (2, 9, 11, 2))
    flow = jnp.asarray(
        np.concatenate([uv, np.hypot(*uv.transpose(3, 0, 1, 2))[..., None] + 0.1], -1).astype(np.float32)
    )
    change = partial(augment.random_augment, vector=True, flips=True, shifts=shifts, degrees=10.0)
    for seed in range(3):
        expected = colour.hsv(change(jax.random.key(seed), flow))
        made = jax.jit(augment.through_hsv(change))(jax.random.key(seed), colour.hsv(flow))
        np.testing.assert_allclose(made, expected, atol=1e-4)
