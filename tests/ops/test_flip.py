"""Flow is a vector: an input of mirrored or turned flow is the mirrored or turned input, for every flow-based input."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from merjax.ops import INPUTS, augment, flow, strain

PAIR = ("onset_apex", "apex_offset")
# name -> (function, flows that it takes, is it colours)
MAKES = {
    "onset_apex": (flow.onset_apex, 1, False),
    "apex_offset": (flow.apex_offset, 1, False),
    "two_phases": (flow.two_phases, 2, False),
    "two_phases, strain": (partial(flow.two_phases, third="strain"), 2, False),
    "cof": (flow.cof, 2, False),
    "mm_cof": (flow.mm_cof, 2, False),
    "mm_cof, as is": (partial(flow.mm_cof, second="as_is", theta=0.3), 2, False),
    "cof_hsv": (flow.cof_hsv, 2, True),
    "mm_cof_hsv": (flow.mm_cof_hsv, 2, True),
    "dynamic_flow": (lambda *flows, unit: flow.dynamic_flow(jnp.stack(flows), jnp.int32(4), unit=unit), 3, False),
}
SIDE = 96  # thinned for the median: the grid must be its own mirror image


def clip(name, seed=0, side=SIDE):
    """Flows in pixels with their strain, and what turns such a flow, or the input made of them, as `change` says."""
    make, count, colours = MAKES[name]
    rng = np.random.default_rng(seed)
    pairs = (rng.normal(size=(count, side, side, 2)) * [2.0, 0.7] + [0.5, -1.0]).astype(np.float32)
    images = [strain.with_strain(jnp.asarray(pair)) for pair in pairs]
    return make, [image[..., :2] for image in images] if name == "dynamic_flow" else images, colours


def assert_commutes(name, unit, change):
    make, flows, colours = clip(name)
    make = jax.jit(partial(make, unit=unit))
    changed = make(*(change(one[None])[0] for one in flows))
    expected = (augment.through_hsv(change) if colours else change)(make(*flows))
    np.testing.assert_allclose(changed, expected, atol=2e-4)
    return changed, make(*flows)


def quarters(x, times):
    """A sample with flow turned clockwise by right angles."""
    for _ in range(times):
        x = jnp.rot90(x, -1, axes=(1, 2))
        x = jnp.concatenate([-x[..., 1:2], x[..., :1], x[..., 2:]], axis=-1)
    return x


CASES = [*((name, "range") for name in MAKES), ("two_phases", "largest"), ("two_phases", "pixel"), ("cof", "given")]


@pytest.mark.parametrize(("name", "unit"), CASES)
def test_the_input_of_a_mirrored_clip_is_the_mirrored_input(name, unit):
    mirrored, before = assert_commutes(name, unit, partial(augment.flip, vector=True))
    wrong = augment.flip(before, vector=False)  # pixels alone
    assert float(jnp.abs(mirrored - wrong).mean()) > 0.05, "a mirror that forgets directions must be seen here"


@pytest.mark.parametrize(("name", "unit"), CASES)
def test_the_input_of_a_turned_clip_is_the_turned_input(name, unit):
    for times in (1, 2):
        assert_commutes(name, unit, partial(quarters, times=times))


@pytest.mark.parametrize("name", ["two_phases", "cof_hsv"])
def test_a_random_mirror_commutes_too(name):
    change = partial(augment.random_augment, vector=True, flips=True, shifts=0, degrees=0.0)
    for seed in range(2):
        assert_commutes(name, "range", lambda x, seed=seed: change(jax.random.key(seed), x))


def test_every_flow_input_of_the_table_is_here():
    of_flow = [name for name, entry in INPUTS.items() if set(entry.needs) & {*PAIR, "flows"}]
    assert set(of_flow) <= set(MAKES)
    assert {"onset_apex", "two_phases", "cof", "mm_cof"} <= set(of_flow)


def test_strain_of_mirrored_and_turned_flow_is_the_strain_mirrored_and_turned(rng):
    pair = jnp.asarray(rng.normal(size=(1, 7, 7, 2)).astype(np.float32))
    for form in strain.FORMS:
        before = strain.strain(pair[0], form=form)
        mirrored = strain.strain(augment.flip(pair, vector=True)[0], form=form)
        np.testing.assert_allclose(mirrored, before[:, ::-1], atol=1e-5)
        turned = strain.strain(quarters(pair, 1)[0], form=form)
        np.testing.assert_allclose(turned, jnp.rot90(before, -1), atol=1e-4)


def test_a_clip_and_its_mirror_have_one_and_the_same_unsigned_motion(rng):
    """Magnitude and strain do not know left from right, so their channels only move."""
    make, flows, _ = clip("two_phases", seed=int(rng.integers(100)), side=12)
    mirrored = make(*(augment.flip(one[None], vector=True)[0] for one in flows))
    np.testing.assert_allclose(mirrored[..., 2], make(*flows)[..., ::-1, 2], atol=1e-5)
