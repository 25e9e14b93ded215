import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merjax.ops import INPUTS, colour, flow, rank_pool, strain
from merjax.types import InputError


def image(rng, h=7, w=9):
    return jnp.asarray(rng.random((h, w, 3)).astype(np.float32))


def slow_minmax(m):
    return (m - m.min()) / (m.max() - m.min())


def slow_centre(uv, unit):
    moved = uv - np.median(uv, axis=(0, 1))
    scales = {
        "range": lambda: 2 / np.ptp(uv, axis=(0, 1)),
        "largest": lambda: 1 / np.hypot(*moved.reshape(-1, 2).T).max(),
        "pixel": lambda: 1.0,
    }
    return uv if unit == "given" else moved * scales[unit]()


def slow_combine(first, second, theta, unit="range", sign=-1):
    vectors, magnitudes = [], []
    for one in (np.asarray(first), np.asarray(second)):
        uv = slow_centre(one[..., :2].astype(np.float64), unit)
        length = np.hypot(uv[..., 0], uv[..., 1])
        magnitudes.append(slow_minmax(length))
        direction = np.divide(uv, length[..., None], out=np.zeros_like(uv), where=length[..., None] > 0)
        vectors.append(direction * magnitudes[-1][..., None])
    return (
        theta * vectors[0] + sign * (1 - theta) * vectors[1],
        theta * magnitudes[0] + (1 - theta) * magnitudes[1],
    )


@pytest.mark.parametrize("theta", [0.3, 1.0])
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
    for unit in ("range", "largest"):
        assert (made_by.make(*(still for _ in made_by.needs), unit=unit) == 0).all()


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


COF = jax.jit(flow.cof, static_argnames=("theta", "unit", "second"))


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["range", "largest", "pixel", "given"]), st.sampled_from([-1, 1]))
def test_cof_equals_numpy_in_every_unit_and_direction(seed, unit, sign):
    rng = np.random.default_rng(seed)
    first, second = image(rng), image(rng)
    uv, magnitude = slow_combine(first, second, 0.4, unit, sign)
    made = COF(first, second, theta=0.4, unit=unit, second="negated" if sign < 0 else "as_is")
    np.testing.assert_allclose(made[0], np.dstack([uv, magnitude]), atol=2e-4)
    assert (np.linalg.norm(made[0, ..., :2], axis=-1) <= made[0, ..., 2] + 1e-5).all()


def test_as_is_a_fall_that_undoes_the_rise_cancels_it(rng):
    rise = image(rng)
    combined = flow.cof(rise, flow.reverse(rise), second="as_is")[0]
    np.testing.assert_allclose(combined[..., :2], 0, atol=1e-5)
    np.testing.assert_allclose(combined[..., 2], flow.cof(rise, flow.reverse(rise))[0, ..., 2], atol=1e-6)
    assert (flow.apex_offset(rise, second="as_is") == flow.onset_apex(rise)).all()
    np.testing.assert_allclose(flow.two_phases(rise, rise, second="as_is")[1], flow.phase(rise, third="magnitude"))


def test_units_of_the_third_channel(rng):
    """Scaled to 0..1 with the vectors, and in the unit of the flow where these are left in theirs."""
    flow_image = strain.with_strain(5 * image(rng)[..., :2])
    for unit, expected in (("range", 1.0), ("largest", 1.0), ("pixel", flow_image[..., 2].max())):
        np.testing.assert_allclose(flow.phase(flow_image, unit=unit)[..., 2].max(), expected, rtol=1e-5)
    lengths = flow.phase(flow_image, third="magnitude", unit="pixel")
    np.testing.assert_allclose(lengths[..., 2], np.hypot(lengths[..., 0], lengths[..., 1]), rtol=1e-5)


def test_hsv_inputs_are_the_colours_of_the_vector_inputs(rng):
    first, second = image(rng), image(rng)
    for colours, vectors in ((flow.cof_hsv, flow.cof), (flow.mm_cof_hsv, flow.mm_cof)):
        made = colours(first, second, theta=0.3)
        assert 0 <= float(made.min()) <= float(made.max()) <= 1 + 1e-6
        np.testing.assert_allclose(colour.from_hsv(made), vectors(first, second, theta=0.3), atol=1e-5)


def test_hard_zeroing_leaves_salient_motion_only_and_no_gain_is_cof(rng):
    first, second = image(rng), image(rng)
    plain = flow.cof(first, second)[0]
    zeroed = flow.mm_cof(first, second, low=0.4, gain_low=0.0)[0]
    assert (zeroed[plain[..., 2] < 0.4] == 0).all()
    assert (zeroed[plain[..., 2] >= 0.4, 2] > 0).all()
    np.testing.assert_allclose(flow.mm_cof(first, second, gain_low=1.0, gain_high=1.0)[0], plain, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"theta": 1.5}, "theta is 1.5; it must be between 0"),
        ({"low": 0.5, "high": 0.4}, "low is 0.5 and high is 0.4"),
        ({"gain_low": -1.0}, "gain_low is -1.0"),
        ({"second": "twice"}, "second is 'twice'; it can be negated, as_is"),
        ({"unit": "cm"}, "unit is 'cm'; it can be range, largest, pixel, given"),
    ],
)
def test_impossible_arguments_are_refused(rng, arguments, message):
    with pytest.raises(InputError, match=message):
        flow.mm_cof(image(rng), image(rng), **arguments)


@pytest.mark.parametrize("make", [flow.cof, flow.two_phases, flow.cof_hsv])
def test_the_derivative_is_that_of_finite_differences_and_finite_at_rest(rng, make):
    first, second, step = image(rng, 4, 5), image(rng, 4, 5), image(rng, 4, 5)
    weight = jnp.asarray(rng.normal(size=make(first, second).shape).astype(np.float32))

    @jax.jit
    def total(x):
        return (weight * make(x, second)).sum()

    gradient = jax.jit(jax.grad(total))
    slope = (total(first + 2e-4 * step) - total(first - 2e-4 * step)) / 4e-4
    np.testing.assert_allclose((gradient(first) * step).sum(), slope, rtol=0.05, atol=0.05)
    for still in (jnp.full((4, 5, 3), 0.2), jnp.zeros((4, 5, 3)).at[1, 2].set(1.0)):  # wholly, mostly
        assert jnp.isfinite(gradient(still)).all()


DYNAMIC_FLOW = jax.jit(flow.dynamic_flow, static_argnames=("coefficients", "unit"))


def sequence(seed, frames, padded=9, h=5, w=6):
    flows = np.random.default_rng(seed).normal(size=(padded, h, w, 2)).astype(np.float32)
    flows[frames - 1 :] = 7.0  # padding must not matter
    return flows


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 10), st.sampled_from(["harmonic", "linear"]))
def test_dynamic_flow_equals_numpy(seed, frames, coefficients):
    flows, n = sequence(seed, frames), frames - 1
    slow = np.zeros((5, 6, 2))
    for i in range(1, n + 1):
        harmonic = sum((2 * j - n - 1) / j for j in range(i, n + 1))
        slow += (harmonic if coefficients == "harmonic" else 2 * i - n - 1) * flows[i - 1].astype(np.float64)
    slow -= np.median(slow, axis=(0, 1))
    slow = np.dstack([slow, np.hypot(slow[..., 0], slow[..., 1])])[None]

    flows, length = jnp.asarray(flows), jnp.int32(frames)
    made = DYNAMIC_FLOW(flows, length, coefficients=coefficients, unit="pixel")
    np.testing.assert_allclose(made, slow, atol=1e-3)


def test_dynamic_flow_is_the_same_plain_and_under_vmap():
    flows, length = jnp.asarray(sequence(5, 6)), jnp.int32(6)
    jitted = DYNAMIC_FLOW(flows, length)
    np.testing.assert_allclose(flow.dynamic_flow(flows, length), jitted, atol=1e-5)
    np.testing.assert_allclose(jax.vmap(flow.dynamic_flow)(flows[None], length[None])[0], jitted, atol=1e-5)


@pytest.mark.parametrize("coefficients", ["harmonic", "linear"])
def test_steady_motion_and_a_clip_at_rest_pool_to_nothing(rng, coefficients):
    steady = jnp.broadcast_to(image(rng)[..., :2], (12, 7, 9, 2))
    pooled = flow.dynamic_flow(steady, jnp.int32(9), coefficients=coefficients, unit="pixel")
    np.testing.assert_allclose(pooled, 0, atol=1e-4)
    assert (flow.dynamic_flow(0 * steady, jnp.int32(9), coefficients=coefficients) == 0).all()


def test_flow_of_consecutive_frames_keeps_a_rise_and_fall_and_flow_from_the_onset_loses_it(rng):
    """What the docstring says of the two sequences, with linear weights."""
    place = jnp.sin(jnp.linspace(0, jnp.pi, 11)) ** 2  # of the face, frame by frame: away and back
    way = image(rng)[..., :2]
    steps, since_onset = (jnp.tensordot(c, way, 0) for c in (jnp.diff(place), place))
    frames = {"length": jnp.int32(11), "coefficients": "linear", "unit": "given"}
    pooled = flow.dynamic_flow(steps, **frames)[0, ..., :2]
    np.testing.assert_allclose(pooled, -2 * place.sum() * way, rtol=1e-4, atol=1e-5)
    frames["length"] = jnp.int32(12)  # eleven flows, the onset's own included
    np.testing.assert_allclose(flow.dynamic_flow(since_onset, **frames)[0, ..., :2], 0, atol=1e-4)


def test_dynamic_flow_knows_the_weights_of_rank_pooling(rng):
    with pytest.raises(InputError, match=f"coefficients is 'none'; it can be {', '.join(rank_pool.COEFFICIENTS)}"):
        flow.dynamic_flow(jnp.zeros((3, 4, 4, 2)), jnp.int32(4), coefficients="none")
