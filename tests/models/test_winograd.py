import jax
import jax.numpy as jnp
import numpy as np
import pytest

from merjax.models import layers, winograd


def value_and_gradients(convolve, x, kernel):
    def total(x, kernel):
        y = convolve(x, kernel)
        return jnp.sin(y).sum(), y

    (_, y), gradients = jax.value_and_grad(total, (0, 1), has_aux=True)(x, kernel)
    return y, *gradients


@pytest.mark.parametrize("shape", [(4, 9, 8), (3, 3, 6), (2, 4, 5)])
@pytest.mark.parametrize("one_by_one", [True, False])
def test_it_agrees_with_the_native_convolution_and_so_do_its_gradients(rng, monkeypatch, shape, one_by_one):
    if one_by_one:
        monkeypatch.setattr(winograd, "SUM_BYTES", 1)
    x = jnp.asarray(rng.normal(size=(*shape, 5)).astype(np.float32))
    kernel = jnp.asarray(rng.normal(size=(3, 3, 5, 4)).astype(np.float32))
    ours = value_and_gradients(winograd.conv_winograd, x, kernel)
    native = value_and_gradients(lambda x, kernel: layers.conv_native(x, kernel, 1), x, kernel)
    for a, b in zip(ours, native, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5 * float(jnp.abs(b).max()))


def test_folds_side_by_side_are_each_as_alone(rng):
    x = jnp.asarray(rng.normal(size=(2, 3, 6, 7, 4)).astype(np.float32))
    kernel = jnp.asarray(rng.normal(size=(2, 3, 3, 4, 4)).astype(np.float32))
    together = jax.vmap(winograd.conv_winograd)(x, kernel)
    for fold in range(2):
        np.testing.assert_allclose(together[fold], winograd.conv_winograd(x[fold], kernel[fold]), atol=1e-5)


def test_3_by_3_convolutions_of_stride_1_take_it_and_others_do_not():
    def products(shape, kernel, stride, how):
        x, k = jax.ShapeDtypeStruct(shape, jnp.float32), jax.ShapeDtypeStruct(kernel, jnp.float32)
        return str(jax.make_jaxpr(lambda x, k: layers.convolve(x, k, stride, 1, how))(x, k)).count("dot_general[")

    assert products((1, 8, 8, 64), (3, 3, 64, 64), 1, "winograd") == 4
    assert products((1, 8, 8, 64), (3, 3, 64, 64), 2, "winograd") == 1
    assert products((1, 8, 8, 64), (1, 1, 64, 64), 1, "winograd") == 1
    assert products((1, 8, 8, 64), (3, 3, 64, 64), 1, "native") == 0
