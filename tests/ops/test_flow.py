import jax
import jax.numpy as jnp
import numpy as np
import pytest

from merjax.ops import INPUTS, flow
from merjax.types import InputError


def image(rng, h=7, w=9):
    return jnp.asarray(rng.random((h, w, 3)).astype(np.float32))


def slow_minmax(m):
    return (m - m.min()) / (m.max() - m.min())


def slow_combine(first, second, theta):
    vectors, magnitudes = [], []
    for one in (np.asarray(first), np.asarray(second)):
        uv = np.stack([2 * (c - np.median(c)) / np.ptp(c) for c in (one[..., 0], one[..., 1])], -1).astype(np.float64)
        length = np.hypot(uv[..., 0], uv[..., 1])
        magnitudes.append(slow_minmax(length))
        direction = np.divide(uv, length[..., None], out=np.zeros_like(uv), where=length[..., None] > 0)
        vectors.append(direction * magnitudes[-1][..., None])
    return (
        theta * vectors[0] - (1 - theta) * vectors[1],
        theta * magnitudes[0] + (1 - theta) * magnitudes[1],
    )


@pytest.mark.parametrize("theta", [0.3, 0.5, 1.0])
def test_cof_and_mm_cof_equal_numpy_plain_jit_vmap(rng, theta):
    first, second = image(rng), image(rng)
    uv, magnitude = slow_combine(first, second, theta)
    changed = np.clip(magnitude * np.where(magnitude >= 0.4, 1.5, np.where(magnitude < 0.1, 0.5, 1)), 0, 1)
    ratio = np.divide(changed, magnitude, out=np.ones_like(changed), where=magnitude > 0)
    expected = {
        flow.cof: np.dstack([uv, magnitude])[None],
        flow.mm_cof: np.dstack([uv * ratio[..., None], changed])[None],
    }
    for make, slow in expected.items():

        def one(a, b, make=make):
            return make(a, b, theta=theta)

        np.testing.assert_allclose(one(first, second), slow, atol=1e-4)
        np.testing.assert_allclose(jax.jit(one)(first, second), slow, atol=1e-4)
        np.testing.assert_allclose(jax.vmap(one)(first[None], second[None])[0], slow, atol=1e-4)


def test_a_fall_that_undoes_the_rise_adds_to_it(rng):
    rise = image(rng)
    combined = flow.cof(rise, flow.reverse(rise))[0]
    alone = flow.cof(rise, rise, theta=1.0)[0]
    np.testing.assert_allclose(combined, alone, atol=1e-5)


def test_drift_and_unit_of_a_flow_do_not_matter(rng):
    first, second = image(rng), image(rng)
    moved = 4 * first + jnp.array([[[3.0, -2.0, 0.0]]])
    for name in ("onset_apex", "two_phases", "cof", "mm_cof"):
        made_by = INPUTS[name]
        before, after = ({"onset_apex": f, "apex_offset": second} for f in (first, moved))
        x, y = (made_by.make(*(parts[n] for n in made_by.needs)) for parts in (before, after))
        np.testing.assert_allclose(x, y, atol=1e-4)


@pytest.mark.parametrize("name", ["onset_apex", "apex_offset", "two_phases", "cof", "mm_cof"])
def test_no_motion_gives_zero(name):
    made_by = INPUTS[name]
    still = jnp.full((6, 6, 3), 0.4)
    assert (made_by.make(*(still for _ in made_by.needs)) == 0).all()


def test_the_second_phase_is_negated_and_its_third_channel_is_not(rng):
    first, second = image(rng), image(rng)
    x = flow.two_phases(first, second, third="strain")
    np.testing.assert_allclose(x[0], flow.phase(first), atol=1e-6)
    np.testing.assert_allclose(x[1, ..., :2], -flow.phase(second)[..., :2], atol=1e-6)
    np.testing.assert_allclose(x[1, ..., 2], flow.phase(second)[..., 2], atol=1e-6)
    np.testing.assert_allclose(flow.apex_offset(second)[0], x[1], atol=1e-6)


def test_an_unknown_third_channel_is_refused(rng):
    with pytest.raises(InputError, match="third is 'speed'; it can be strain, magnitude"):
        flow.phase(image(rng), third="speed")


def test_modulation_between_thresholds_leaves_the_magnitude():
    m = jnp.array([[0.05, 0.1, 0.2, 0.4, 0.9]])
    np.testing.assert_allclose(flow.modulate(m), [[0.025, 0.1, 0.2, 0.6, 1.0]], rtol=1e-6)
