import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_network import check_folds, check_sizes, count, start, untrained

from merjax.models.inside import LAST
from merjax.models.off_apexnet import OFFApexNet


@pytest.fixture
def x(rng):
    return jnp.asarray(rng.normal(size=(3, 1, 28, 28, 3)).astype(np.float32))


@pytest.mark.parametrize("size", [28, 224])
def test_parameters_by_hand(size):
    """Both streams, the first dense layer on 2 x 7 x 7 x 16 numbers, the second, the last; the same at every size."""
    stream = (25 * 1 * 6 + 6) + (25 * 6 * 16 + 16)
    by_hand = 2 * stream + (1568 * 1024 + 1024) + (1024 * 1024 + 1024) + (1024 * 3 + 3)
    net = OFFApexNet(classes=3)
    assert count(net, size) == by_hand == 2_664_475


def test_a_stream_is_convolution_and_maximum_twice(rng):
    """One stream with SciPy; the other and the dense layers are made to pass its 16 numbers on."""
    scipy_signal = pytest.importorskip("scipy.signal")
    net = OFFApexNet(classes=16, hidden=16)
    x = rng.normal(size=(1, 1, 4, 4, 2)).astype(np.float32)
    params = net.init(jax.random.key(0), jnp.asarray(x), train=False)["params"]
    first = np.concatenate([np.eye(16), np.zeros((16, 16))])
    layers = {
        f"Dense_{i}": {"kernel": np.eye(16), "bias": np.full(16, b)} for i, b in ((0, 99.0), (1, 0.0), (2, -99.0))
    }
    layers["Dense_0"]["kernel"] = first
    params = params | jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), layers)  # 99 lifts all over relu's 0
    y = x[0, 0, :, :, :1]
    for name in ("Conv_0", "Conv_1"):
        kernel, side = np.asarray(params[name]["kernel"]), len(y)
        y = np.stack(
            [
                sum(scipy_signal.correlate2d(y[..., c], kernel[..., c, o], mode="same") for c in range(kernel.shape[2]))
                for o in range(kernel.shape[3])
            ],
            axis=-1,
        )
        y = y.reshape(side // 2, 2, side // 2, 2, -1).max((1, 3))
    np.testing.assert_allclose(net.apply({"params": params}, jnp.asarray(x), train=False)[0], y[0, 0], atol=1e-4)


def test_each_of_two_flows_has_streams_of_its_own(rng):
    net = OFFApexNet(classes=3, hidden=8)
    x = jnp.asarray(rng.normal(size=(2, 2, 28, 28, 3)).astype(np.float32))
    variables = start(net, x)
    _, kept = net.apply(variables, x, train=False, mutable=[LAST])
    assert list(kept[LAST]) == ["u_1", "v_1", "u_2", "v_2"]
    _, after = net.apply(variables, x.at[:, 1, ..., 0].add(1.0), train=False, mutable=[LAST])
    assert [bool((kept[LAST][name] == after[LAST][name]).all()) for name in kept[LAST]] == [True, True, False, True]


def test_it_reads_u_and_v_alone_and_averages_large_flow(x):
    net = OFFApexNet(classes=3, hidden=8)
    variables = start(net, x)
    logits = net.apply(variables, x, train=False)
    np.testing.assert_array_equal(net.apply(variables, x.at[..., 2].set(9.0), train=False), logits)
    for channel in (0, 1):
        assert float(jnp.abs(net.apply(variables, x.at[..., channel].add(1.0), train=False) - logits).max()) > 1e-3
    large = jnp.repeat(jnp.repeat(x, 2, axis=2), 2, axis=3)
    np.testing.assert_allclose(net.apply(variables, large, train=False), logits, atol=1e-5)


@pytest.mark.parametrize("relu", [True, False])
def test_gradients_reach_every_parameter(x, relu):
    assert untrained(OFFApexNet(classes=3, hidden=8, relu=relu, dropout=0.0), x) == set()


def test_it_takes_every_size_and_stands_in_a_stack_of_folds(x):
    check_sizes(OFFApexNet(classes=3), 28, 64, 96, 224)
    check_folds(OFFApexNet(classes=3, hidden=8), x)
