import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from merjax.models import layers, maxima, norms, pooling


def test_dropout_keeps_the_mean_and_drops_at_its_rate():
    x = jnp.ones((100, 100))
    for rate in (0.25, 0.5):
        y = layers.Dropout(rate).apply({}, x, train=True, rngs={"dropout": jax.random.key(0)})
        assert float((y == 0).mean()) == pytest.approx(rate, abs=0.02)
        assert float(y.mean()) == pytest.approx(1, abs=0.03)
    np.testing.assert_array_equal(layers.Dropout(0.5).apply({}, x, train=False), x)


def test_a_resnet18_trunk_has_the_parameters_of_resnet18():
    """11,176,512 without head: torchvision's ResNet-18 has 11,689,512, of which 513,000 in its last layer."""
    trunk = layers.Trunk()
    shapes = jax.eval_shape(lambda k: trunk.init(k, jnp.zeros((1, 224, 224, 3)), train=False), jax.random.key(0))
    assert sum(p.size for p in jax.tree.leaves(shapes["params"])) == 11_176_512
    assert jax.eval_shape(lambda v: trunk.apply(v, jnp.zeros((1, 224, 224, 3)), train=False), shapes).shape == (
        *(1, 7, 7),
        512,
    )


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("kind", ["batch", "group"])
def test_norms_are_those_of_flax_with_gradients_and_running_statistics(kind, dtype):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(1.0, 2.0, (6, 5, 4, 8)), dtype)
    params = {"scale": jnp.asarray(rng.normal(size=8), dtype), "bias": jnp.asarray(rng.normal(size=8), dtype)}
    stats = {"mean": jnp.asarray(rng.normal(size=8), jnp.float32), "var": jnp.asarray(rng.random(8), jnp.float32)}
    if kind == "batch":
        variables = {"params": params, "batch_stats": stats}
        mine, right = norms.BatchNorm(8), nn.BatchNorm(momentum=0.9, epsilon=1e-5)
        ways = [
            (
                lambda v, x, t=t: mine.apply(v, x, train=t, mutable=["batch_stats"]),
                lambda v, x, t=t: right.apply(v, x, use_running_average=not t, mutable=["batch_stats"]),
            )
            for t in (True, False)
        ]
    else:
        variables = {"params": params}
        mine, right = norms.GroupNorm(2), nn.GroupNorm(2, epsilon=1e-5)
        ways = [(lambda v, x: (mine.apply(v, x), {}), lambda v, x: (right.apply(v, x), {}))]
    near = 1e-4 if dtype == jnp.float32 else 0.1
    for pair in ways:
        (y, changed), (expected, right_changed) = (way(variables, x) for way in pair)
        assert y.dtype == expected.dtype == dtype
        gradients = [
            jax.grad(
                lambda p, x, way=way: (way(variables | {"params": p}, x)[0].astype(jnp.float32) ** 3).mean(), (0, 1)
            )(params, x)
            for way in pair
        ]
        found, wanted = (y, changed, gradients[0]), (expected, right_changed, gradients[1])
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(np.float32(a), np.float32(b), atol=near, rtol=near)


def test_averages_over_a_grid_of_cells(rng):
    x = jnp.asarray(rng.normal(size=(2, 28, 28, 3)).astype(np.float32))
    blocks = x.reshape(2, 14, 2, 14, 2, 3).mean((2, 4))
    np.testing.assert_allclose(pooling.average_to(x, 14), blocks, atol=1e-6)
    np.testing.assert_allclose(pooling.halve(x), blocks, atol=1e-6)
    np.testing.assert_allclose(pooling.average_to(x, 1)[:, 0, 0], x.mean((1, 2)), atol=1e-6)
    np.testing.assert_allclose(pooling.average_to(x, 5)[:, 1, 4], x[:, 6:12, 23:].mean((1, 2)), atol=1e-6)
    assert pooling.average_to(x[:, :5, :7], 14).shape == (2, 5, 7, 3)


@pytest.mark.parametrize("channels", [1, 2, 7, 16])
def test_the_largest_channel_and_where_its_gradient_goes(rng, channels):
    x = jnp.asarray(rng.normal(size=(2, 3, 4, channels)).astype(np.float32))
    np.testing.assert_array_equal(maxima.largest(x), x.max(-1, keepdims=True))
    slope = jax.grad(lambda x: (maxima.largest(x) ** 2).sum())(x)
    np.testing.assert_allclose(slope, 2 * x * jax.nn.one_hot(x.argmax(-1), channels), atol=1e-6)
