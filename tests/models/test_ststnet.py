import jax
import jax.numpy as jnp
import pytest
from every_network import quick
from jaxtyping import PyTree

from merjax.models.layers import conv_patches, max_pool
from merjax.models.ststnet import PooledConv


def plain(variables: PyTree, x: jax.Array, train: bool) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The same layer, one operation after the other."""
    p = {name: value if name == "kernel" else value[None, None, None] for name, value in variables["params"].items()}
    running = variables["batch_stats"]
    y = jax.nn.relu(conv_patches(jnp.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0))), p["kernel"], 1) + p["bias"])
    mean, var = (y.mean((0, 1, 2)), y.var((0, 1, 2))) if train else (running["mean"], running["var"])
    y = (y - mean[None, None, None]) / jnp.sqrt(var + 1e-5)[None, None, None] * p["scale"] + p["shift"]
    return max_pool(y, 3, 3, 1), mean, var


# 28 + 2 is a multiple of 3: pooling leaves out a row that the statistics count; 29 and 30 are the other two cases.
@pytest.mark.parametrize("shape", [(6, 28, 28), (5, 29, 31), (4, 30, 33), (1, 7, 8)])
@pytest.mark.parametrize("train", [True, False])
def test_pooled_conv_equals_its_operations_one_after_the_other(shape: tuple[int, ...], train: bool) -> None:
    key_x, key_net, key_weight = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(key_x, (*shape, 3))
    net = PooledConv(8)
    variables = quick(lambda key: net.init(key, x, train=True))(key_net)
    variables["params"]["scale"] = variables["params"]["scale"].at[2].set(-0.7)  # there a maximum becomes a minimum
    variables["params"]["bias"] += 0.3
    variables["batch_stats"]["mean"] += 0.2
    weight = jax.random.normal(key_weight, plain(variables, x, train)[0].shape)

    def mine(params: PyTree, x: jax.Array) -> tuple[jax.Array, tuple[jax.Array, PyTree]]:
        y, changed = net.apply(variables | {"params": params}, x, train=train, mutable="batch_stats")
        return (y * weight).sum(), (y, changed["batch_stats"])

    def oracle(params: PyTree, x: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        y, *moments = plain(variables | {"params": params}, x, train)
        return (y * weight).sum(), (y, *moments)

    (_, (y, statistics)), gradient = quick(jax.value_and_grad(mine, (0, 1), has_aux=True))(variables["params"], x)
    (_, (expected, mean, var)), slope = quick(jax.value_and_grad(oracle, (0, 1), has_aux=True))(variables["params"], x)
    assert jnp.allclose(y, expected, atol=1e-5)
    for got, right in zip(jax.tree.leaves(gradient), jax.tree.leaves(slope), strict=True):
        assert jnp.abs(got - right).max() <= 1e-5 * jnp.abs(right).max()
    share = 0.1 if train else 0.0
    before = variables["batch_stats"]
    assert jnp.allclose(statistics["mean"], (1 - share) * before["mean"] + share * mean, atol=1e-6)
    assert jnp.allclose(statistics["var"], (1 - share) * before["var"] + share * var, atol=1e-6)


def test_equally_large_places_share_the_gradient() -> None:
    x = jnp.ones((1, 7, 7, 1))
    net = PooledConv(1)
    variables = {
        "params": {
            "kernel": jnp.zeros((3, 3, 1, 1)).at[1, 1].set(1.0),
            "bias": jnp.zeros(1),
            "scale": jnp.ones(1),
            "shift": jnp.zeros(1),
        },
        "batch_stats": {"mean": jnp.zeros(1), "var": jnp.ones(1)},
    }
    # The map is 9 x 9 with ones inside, zeros on its edge; the middle window lies wholly inside.
    slope = jax.grad(lambda x: net.apply(variables, x, train=False)[0, 1, 1, 0])(x)[0, :, :, 0]
    assert jnp.allclose(slope[1:4, 1:4], 1 / 9, atol=1e-5)
    assert jnp.allclose(slope.sum(), 1.0, atol=1e-4)
