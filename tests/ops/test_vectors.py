import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merjax.ops import vectors
from merjax.types import InputError


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 2, 7, 50]), st.sampled_from([1e-30, 1.0, 1e30]), st.booleans())
def test_the_median_by_counting_is_the_median(seed, n, size, coarse):
    rng = np.random.default_rng(seed)
    values = (size * (rng.integers(-2, 3, n) if coarse else rng.normal(size=n))).astype(np.float32)  # coarse: ties
    expected = np.median(values)
    for made in (
        vectors.median(jnp.asarray(values)),
        jax.jit(vectors.median)(values),
        jax.vmap(vectors.median)(jnp.asarray(values)[None])[0],
    ):
        np.testing.assert_allclose(made, expected, rtol=1e-6)


def test_derivatives_of_median_and_extremes_are_those_of_numpy_functions(rng):
    values = jnp.asarray(rng.normal(size=12).astype(np.float32))
    np.testing.assert_allclose(jax.grad(vectors.median)(values), jax.grad(jnp.median)(values))
    first, second = (jnp.asarray(rng.normal(size=(3, 4)).astype(np.float32)) for _ in range(2))

    def ours(a, b):
        (low, high), (lowest, highest) = vectors.extremes(a, b)
        return low + 2 * high + 3 * lowest + 4 * highest

    def plain(a, b):
        return a.min() + 2 * a.max() + 3 * b.min() + 4 * b.max()

    assert ours(first, second) == plain(first, second)
    for made, expected in zip(*(jax.grad(f, (0, 1))(first, second) for f in (ours, plain)), strict=True):
        np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize(
    ("shape", "step"), [((28, 28), 1), ((64, 64), 1), ((96, 96), 3), ((112, 112), 3), ((224, 224), 7)]
)
def test_large_images_are_thinned_to_a_grid_of_a_thousand_pixels_or_more(shape, step):
    image = jnp.arange(shape[0] * shape[1], dtype=jnp.float32).reshape(shape)
    thin = vectors.thin(image)
    assert thin.size >= vectors.MEDIAN_PIXELS or thin.size == image.size
    np.testing.assert_allclose(jnp.diff(thin)[0], step)


@pytest.mark.parametrize("shape", [(5, 9), (6, 8), (30, 41), (2, 60)])
def test_the_grid_of_a_flipped_or_turned_image_holds_the_same_pixels(rng, shape):
    image = jnp.asarray(rng.normal(size=shape).astype(np.float32))
    kept = np.sort(vectors.thin(image, 12))
    for turned in (image[:, ::-1], image[::-1], image.T, jnp.rot90(image)):
        np.testing.assert_array_equal(np.sort(vectors.thin(turned, 12)), kept)


def test_the_median_of_the_grid_is_near_that_of_all_pixels(rng):
    """On smooth flow with few fast places; the bound is 1 % of half the range."""
    y, x = np.mgrid[:224, :224].astype(np.float32)
    for _ in range(10):
        image = np.zeros((224, 224), np.float32)
        for _ in range(6):
            cx, cy, width = rng.uniform((0, 0, 10), (224, 224, 50)).tolist()
            image += rng.normal() * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * width**2)).astype(np.float32)
        error = abs(float(vectors.median(vectors.thin(jnp.asarray(image)))) - np.median(image))
        assert error < 0.01 * np.ptp(image) / 2


def test_units_mean_what_they_say(rng):
    flow = (rng.normal(size=(9, 11, 2)) * [3.0, 0.5] + [1.0, -2.0]).astype(np.float32)
    moved = flow - np.median(flow, axis=(0, 1))
    expected = {
        "range": 2 * moved / np.ptp(flow, axis=(0, 1)),
        "largest": moved / np.hypot(moved[..., 0], moved[..., 1]).max(),
        "pixel": moved,
        "given": flow,
    }
    assert set(expected) == set(vectors.UNITS)
    for unit, slow in expected.items():
        np.testing.assert_allclose(vectors.centre(jnp.asarray(flow), unit=unit), slow, atol=1e-5)


def test_largest_keeps_directions_and_range_does_not(rng):
    flow = jnp.asarray((rng.normal(size=(9, 11, 2)) * [3.0, 0.5]).astype(np.float32))

    def angle(unit):
        uv = vectors.centre(flow, unit=unit)
        return jnp.arctan2(uv[..., 1], uv[..., 0])

    np.testing.assert_allclose(angle("largest"), angle("pixel"), atol=1e-4)
    assert float(jnp.abs(jnp.sin(angle("range") - angle("pixel"))).max()) > 0.3


@pytest.mark.parametrize("unit", ["range", "largest", "pixel"])
def test_a_constant_field_is_no_motion(unit):
    assert (vectors.centre(jnp.full((5, 6, 2), 0.3), unit=unit) == 0).all()


def test_an_unknown_unit_is_refused():
    with pytest.raises(InputError, match="unit is 'cm'; it can be range, largest, pixel, given"):
        vectors.centre(jnp.zeros((3, 3, 2)), unit="cm")
