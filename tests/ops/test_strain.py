import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merjax.ops import strain
from merjax.types import InputError


def field(seed, h=6, w=8):
    return np.random.default_rng(seed).normal(size=(h, w, 2)).astype(np.float32)


def slow(flow, shear):
    uy, ux = np.gradient(flow[..., 0].astype(np.float64))
    vy, vx = np.gradient(flow[..., 1].astype(np.float64))
    return np.sqrt(ux**2 + vy**2 + shear * (uy + vx) ** 2)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(2, 2), (6, 8)]), st.sampled_from([("half", 0.5), ("quarter", 0.25)]))
def test_strain_equals_numpy_plain_jit_vmap(seed, shape, form):
    flow, (name, shear) = field(seed, *shape), form

    def one(x):
        return strain.strain(x, form=name)

    for made in (one(jnp.asarray(flow)), jax.jit(one)(flow), jax.vmap(one)(jnp.asarray(flow)[None])[0]):
        np.testing.assert_allclose(made, slow(flow, shear), atol=1e-5)


def test_inside_strain_equals_that_of_opencv_derivatives():
    flow = field(1, 9, 9)
    right = np.array([[-0.5, 0, 0.5]])
    (ux, uy), (vx, vy) = ([cv2.filter2D(flow[..., c], -1, k) for k in (right, right.T)] for c in (0, 1))
    expected = np.sqrt(ux**2 + vy**2 + 0.5 * (uy + vx) ** 2)
    np.testing.assert_allclose(strain.strain(jnp.asarray(flow))[1:-1, 1:-1], expected[1:-1, 1:-1], atol=1e-5)


def test_motion_of_the_head_as_a_whole_is_no_strain_and_stretch_and_shear_are():
    y, x = (jnp.asarray(a, jnp.float32) for a in np.mgrid[:7, :9])
    still = jnp.broadcast_to(jnp.array([3.0, -2.0]), (7, 9, 2))
    turned = jnp.stack([-0.1 * y, 0.1 * x], -1)  # u_y + v_x = 0
    stretched = jnp.stack([0.1 * x, 0 * y], -1)
    sheared = jnp.stack([0.1 * y, 0 * x], -1)
    for flow, half, quarter in ((still, 0, 0), (turned, 0, 0), (stretched, 0.1, 0.1), (sheared, 0.1 / 2**0.5, 0.05)):
        np.testing.assert_allclose(strain.strain(flow), half, atol=1e-6)
        np.testing.assert_allclose(strain.strain(flow, form="quarter"), quarter, atol=1e-6)


def test_with_strain_keeps_the_flow_and_adds_the_strain():
    flow = jnp.asarray(field(2))
    image = strain.with_strain(flow, form="quarter")
    np.testing.assert_array_equal(image[..., :2], flow)
    np.testing.assert_array_equal(image[..., 2], strain.strain(flow, form="quarter"))


def test_the_derivative_is_that_of_finite_differences_and_zero_at_rest():
    flow = jnp.asarray(field(3, 4, 5))

    def total(x):
        return strain.strain(x).sum()

    step = jnp.asarray(field(4, 4, 5))
    slope = (total(flow + 1e-2 * step) - total(flow - 1e-2 * step)) / 2e-2
    np.testing.assert_allclose((jax.grad(total)(flow) * step).sum(), slope, rtol=2e-2)
    assert (jax.grad(total)(jnp.zeros((4, 5, 2))) == 0).all()


def test_an_unknown_form_is_refused():
    with pytest.raises(InputError, match="form is 'full'; it can be half, quarter"):
        strain.strain(jnp.zeros((3, 3, 2)), form="full")
