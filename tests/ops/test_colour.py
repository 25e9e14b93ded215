import cv2
import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from merjax.ops import colour


def test_directions_have_their_customary_colours():
    flow = np.array([[[1, 0], [0, 1], [-1, 0], [0, -1], [0, 0]]], np.float32)
    right, down, left, up, still = colour.flow_to_colour(flow)[0].astype(int)
    assert tuple(still) == (255, 255, 255)
    assert tuple(right) == (255, 0, 0)
    assert down[0] == 255
    assert down[1] > 200
    assert down[2] == 0  # yellow
    assert left[0] == 0
    assert min(left[1:]) > 200  # a light blue
    assert 50 < up[0] < 150
    assert up[1] == 0
    assert up[2] == 255  # violet


def slow_wheel():
    """The steps one by one: which channel rises or falls over how many colours."""
    colours, now = [], [255, 0, 0]
    for steps, channel, sign in ((15, 1, 1), (6, 0, -1), (4, 2, 1), (11, 1, -1), (13, 0, 1), (6, 2, -1)):
        for i in range(steps):
            one = list(now)
            one[channel] = 255 * i // steps if sign > 0 else 255 - 255 * i // steps
            colours.append(one)
        now[channel] = 255 if sign > 0 else 0
    return colours


def test_the_wheel_has_55_colours_and_closes():
    wheel = colour.wheel() * 255
    assert len(wheel) == 55
    assert np.abs(wheel - slow_wheel()).max() <= 1
    assert np.abs(np.diff(np.vstack([wheel, wheel[:1]]), axis=0)).max() <= 64


@settings(max_examples=20, deadline=None)
@given(st.floats(-np.pi, np.pi), st.floats(0, 2))
def test_a_pixel_is_that_of_the_slow_formula(angle, speed):
    u, v = speed * np.cos(angle), speed * np.sin(angle)
    place = (np.arctan2(-v, -u) / np.pi + 1) / 2 * 54
    low = int(place)
    expected = []
    for c in range(3):
        wheel = colour.wheel()[:, c]
        full = wheel[low] + (place - low) * (wheel[(low + 1) % 55] - wheel[low])
        expected.append(255 * (1 - np.hypot(u, v) * (1 - full) if np.hypot(u, v) <= 1 else 0.75 * full))
    made = colour.flow_to_colour(np.array([[[u, v]]]), largest=1.0)[0, 0]
    np.testing.assert_allclose(made, expected, atol=1.01)


def test_faster_is_further_from_white_and_too_fast_is_darker():
    flow = np.stack([np.array([[0.0, 0.25, 0.5, 1.0, 3.0]]), np.zeros((1, 5))], -1)
    picture = colour.flow_to_colour(flow, largest=1.0)[0].astype(int)
    assert (np.diff(picture[:4, 1]) < 0).all()
    assert tuple(picture[4]) == (191, 0, 0)
    assert (colour.flow_to_colour(2 * flow) == colour.flow_to_colour(flow)).all()  # scaled by the largest


def test_unknown_flow_is_black_and_no_motion_is_white():
    flow = np.zeros((2, 2, 2))
    flow[0, 0, 1] = np.nan
    picture = colour.flow_to_colour(flow)
    assert (picture[0, 0] == 0).all()
    assert (picture[1] == 255).all()


def combined(seed, h=5, w=6):
    """(u, v, M) with |(u, v)| <= M, with pixels at rest and without direction."""
    rng = np.random.default_rng(seed)
    m, s, a = rng.random((h, w)), rng.random((h, w)), rng.uniform(-np.pi, np.pi, (h, w))
    m[0, 0], s[0, 1] = 0, 0
    return np.stack([m * s * np.cos(a), m * s * np.sin(a), m], -1).astype(np.float32)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6))
def test_hsv_equals_opencv_plain_jit_vmap_and_is_decoded_without_loss(seed):
    flow = combined(seed)
    hue = np.degrees(np.arctan2(flow[..., 1], flow[..., 0])) % 360
    chroma = np.hypot(flow[..., 0], flow[..., 1])
    saturation = np.divide(chroma, flow[..., 2], out=np.zeros_like(chroma), where=flow[..., 2] > 0)
    expected = cv2.cvtColor(np.dstack([hue, saturation, flow[..., 2]]).astype(np.float32), cv2.COLOR_HSV2RGB)
    for made in (
        colour.hsv(jnp.asarray(flow)),
        jax.jit(colour.hsv)(flow),
        jax.vmap(colour.hsv)(jnp.asarray(flow)[None])[0],
    ):
        np.testing.assert_allclose(made, expected, atol=1e-4)
        np.testing.assert_allclose(colour.from_hsv(made), flow, atol=1e-5)


def test_the_derivative_is_finite_at_rest_and_that_of_the_way_there_and_back_is_one(rng):
    x = jnp.asarray(combined(3))
    assert jnp.isfinite(jax.grad(lambda x: colour.hsv(x).sum())(x)).all()
    weight = jnp.asarray(rng.normal(size=x.shape).astype(np.float32))
    slope = jax.grad(lambda x: (weight * colour.from_hsv(colour.hsv(x))).sum())(x)
    assert jnp.isfinite(slope).all()
    np.testing.assert_allclose(slope[1:], weight[1:], atol=1e-3)  # row 0 holds the pixels at rest
