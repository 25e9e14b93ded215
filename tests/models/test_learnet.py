import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_network import check_sizes, untrained

from merjax.models.learnet import LEARNet, same


@pytest.mark.parametrize(("classes", "count"), [(5, 1_866_757), (8, 1_867_528)])
def test_learnet_has_the_numbers_of_the_authors_network(classes, count):
    net, x = LEARNet(classes=classes), jnp.zeros((1, 1, 112, 112, 3))
    variables = jax.eval_shape(lambda key: net.init(key, x, train=False), jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == count


def plain(variables, x):
    """The published description line by line, with XLA's own "same" padding, which is Keras'."""
    params, stats = variables["params"], variables["batch_stats"]

    def conv(y, name):
        numbers = ("NHWC", "HWIO", "NHWC")
        p = params[name]
        y = jax.lax.conv_general_dilated(y, p["kernel"], (2, 2), "SAME", dimension_numbers=numbers)
        return jnp.maximum(y + p["bias"], 0.0)

    def norm(y, name):
        p = {key: value[None, None, None] for key, value in (params[name] | stats[name]).items()}
        return (y - p["mean"]) / jnp.sqrt(p["var"] + 1e-3) * p["scale"] + p["bias"]

    s = conv(x, "stem")
    a1, b1, c1, d1 = (conv(s, f"{path}1") for path in "abcd")
    a2, c2 = conv(a1, "a2"), conv(c1, "c2")
    b2, d2 = conv(norm(a1 + b1, "norm_a1b1"), "b2"), conv(norm(c1 + d1, "norm_c1d1"), "d2")
    a3, c3 = conv(a2, "a3"), conv(c2, "c3")
    b3, d3 = conv(norm(a2 + b2, "norm_a2b2"), "b3"), conv(norm(c2 + d2, "norm_c2d2"), "d3")
    y = conv(norm(jnp.concatenate([a3, b3, c3, d3], axis=-1), "norm"), "last").reshape(len(x), -1)
    for name in ("Dense_0", "Dense_1"):
        y = y @ params[name]["kernel"] + params[name]["bias"][None]
        y = jnp.maximum(y, 0.0) if name == "Dense_0" else y
    return y


@pytest.mark.parametrize("side", [112, 49])  # even sides, and odd ones, whose padding differs
def test_learnet_is_the_published_description(rng, side):
    net = LEARNet(classes=5)
    x = jnp.asarray(rng.normal(size=(2, 1, side, side, 3)).astype(np.float32))
    variables = jax.jit(lambda key: net.init(key, x, train=False))(jax.random.key(0))
    moved = jax.tree.map(lambda leaf: leaf + 0.1 * np.abs(rng.normal(size=leaf.shape)).astype(np.float32), variables)
    got = jax.jit(lambda v, x: net.apply(v, x, train=False))(moved, x)
    right = jax.jit(plain)(moved, x[:, 0])
    assert float(jnp.abs(got - right).max()) <= 1e-4 * float(jnp.abs(right).max())


def test_running_statistics_move_by_a_hundredth(rng):
    net = LEARNet(classes=5, dropout=0.0)
    x = jnp.asarray(rng.normal(size=(4, 1, 32, 32, 3)).astype(np.float32))
    variables = jax.jit(lambda key: net.init(key, x, train=False))(jax.random.key(0))
    _, changed = net.apply(variables, x, train=True, mutable=["batch_stats"])
    var = changed["batch_stats"]["norm_a1b1"]["var"]
    s = jnp.maximum(jax.lax.conv_general_dilated(
        x[:, 0], variables["params"]["stem"]["kernel"], (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    ), 0.0)[:, ::2, ::2]  # fmt: skip
    total = sum(jnp.maximum(s @ variables["params"][name]["kernel"][0, 0], 0.0) for name in ("a1", "b1"))
    np.testing.assert_allclose(var, 0.99 + 0.01 * total.var((0, 1, 2)), rtol=1e-5)


def test_training_reaches_every_parameter_at_any_size(rng):
    net = LEARNet(classes=3, dropout=0.0)
    assert untrained(net, jnp.asarray(rng.normal(size=(4, 1, 28, 28, 3)).astype(np.float32))) == set()
    check_sizes(net, 28, 112)


def test_an_odd_zero_goes_after_the_image():
    x = jnp.ones((1, 4, 5, 1))
    np.testing.assert_array_equal(same(x, 3)[0, :, :, 0].sum(0), [0, 4, 4, 4, 4, 4, 0])
    np.testing.assert_array_equal(same(x, 3)[0, :, :, 0].sum(1), [5, 5, 5, 5, 0])
