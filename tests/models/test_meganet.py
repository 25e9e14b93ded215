import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_network import check_folds, check_sizes, count, maps, start, untrained

from merjax.models.meganet import GradientAttention, MEGANet, ResidualAttention, gradient
from merjax.types import InputError

SMALL = {"classes": 3, "stem_width": 4, "widths": (8, 16), "stem": "small", "dropout": 0.0}


@pytest.fixture
def x(rng):
    return jnp.asarray(rng.normal(size=(3, 1, 24, 16, 3)).astype(np.float32))


def test_gradient_of_an_image_by_hand():
    """Right: |2 - 1| = 1, |4 - 2| = 2, none; below: |5 - 1| = 4, |5 - 2| = 3, |1 - 4| = 3, none in the last row."""
    image = jnp.array([[1.0, 2.0, 4.0], [5.0, 5.0, 1.0]])[None, :, :, None]
    expected = jnp.array([[1 + 4, 2 + 3, 0 + 3], [0, 4, 0]])
    np.testing.assert_array_equal(gradient(image)[0, :, :, 0], expected)


def test_gradient_attention_by_hand():
    """A kernel of two channels, each with a 1 for the pixel itself and channel 1 with a 2 for the pixel on the left."""
    image = jnp.array([[1.0, 2.0, 4.0], [5.0, 5.0, 1.0]])
    image = jnp.stack([image, -image], axis=-1)[None]
    kernel = jnp.zeros((3, 3, 2, 1)).at[1, 1].set(1.0).at[1, 0, 1].set(2.0)
    y, kept = GradientAttention().apply({"params": {"Conv_0": {"kernel": kernel}}}, image, mutable=["intermediates"])
    seen = np.array([[5 + 5, 5 + 5 + 2 * 5, 3 + 3 + 2 * 5], [0, 4 + 4, 2 * 4]])
    weight = 1 / (1 + np.exp(-seen))
    np.testing.assert_allclose(kept["intermediates"]["gradient_attention"][0][0, :, :, 0], weight, rtol=1e-6)
    np.testing.assert_allclose(y[0], image[0] * weight[..., None], rtol=1e-6)


def test_a_flat_image_is_halved_everywhere():
    """No gradient: every weight is sigmoid(0)."""
    flat = jnp.full((1, 6, 5, 3), 7.0)
    y, _ = GradientAttention().init_with_output(jax.random.key(0), flat)
    np.testing.assert_array_equal(y, 3.5)


@pytest.mark.parametrize("attention", ["printed", "sagan"])
def test_a_block_attends_as_printed(rng, attention):
    """E = softmax(Q^T K) and V E^T with a channel a row and a place a column, as the paper writes them."""
    x = jnp.asarray(rng.normal(size=(1, 4, 6, 5)).astype(np.float32))
    block = ResidualAttention(16, 2, "batch", attention, residual=False, dropout=0.0)
    variables = block.init(jax.random.key(0), x, train=False)
    params = variables["params"] | {"gamma": jnp.float32(0.7)}
    y, kept = block.apply({"params": params}, x, train=False, mutable=["intermediates"])

    x_res = np.einsum("hwc,co->ohw", x[0, ::2, ::2], params["Conv_0"]["kernel"][0, 0]).reshape(16, -1)
    q, k, v = (np.asarray(params["Attention_0"][name]["kernel"]).T @ x_res for name in ("query", "key", "value"))
    assert q.shape == k.shape == (2, 6)
    e = np.exp(q.T @ k)
    e /= e.sum(1, keepdims=True)
    expected = 0.7 * (v @ e.T) + (x_res if attention == "sagan" else 0)
    np.testing.assert_allclose(kept["intermediates"]["attention"][0][0, 0], e, rtol=1e-4)
    np.testing.assert_allclose(y[0].reshape(6, 16), np.maximum(expected, 0).T, atol=1e-4)


def test_a_place_spreads_its_attention_over_the_map(x):
    net = MEGANet(**SMALL)
    _, found = maps(net, start(net, x), x)
    names = {"GradientAttention_0/gradient_attention", *(f"ResidualAttention_{i}/attention" for i in (0, 1))}
    assert set(found) == names
    gradients = found.pop("GradientAttention_0/gradient_attention")
    assert gradients.shape == (3, 24, 16, 1)
    assert ((gradients > 0) & (gradients < 1)).all()
    for weights, places in zip(found.values(), (6 * 4, 3 * 2), strict=True):
        assert weights.shape == (3, 1, places, places)
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)


def test_in_the_form_of_sagan_it_starts_without_attention(x):
    net, plain = MEGANet(**SMALL), MEGANet(**SMALL, attention="none")
    variables = start(net, x)
    params = {
        name: {key: leaf for key, leaf in layer.items() if key not in ("Attention_0", "gamma")}
        for name, layer in variables["params"].items()
    }
    logits, _ = maps(plain, variables | {"params": params}, x)
    np.testing.assert_allclose(maps(net, variables, x)[0], logits, atol=1e-6)


ABLATIONS = [
    {"attention": "printed"},
    {"attention": "none"},
    {"attention": "printed", "residual": False},
    {"attention": "none", "gradient": False},
    {"attention": "printed", "norm": "group", "widths": (8, 8)},
]


@pytest.mark.parametrize("changes", ABLATIONS)
def test_gradients_reach_every_parameter(x, changes):
    assert untrained(MEGANet(**SMALL | changes), x) == set()


def test_in_the_form_of_sagan_only_queries_keys_and_values_wait_for_gamma(x):
    """At gamma = 0 what they give is multiplied by 0; gamma itself is trained, and then so are they."""
    net = MEGANet(**SMALL)
    waiting = {f"ResidualAttention_{i}/Attention_0/{n}/kernel" for i in (0, 1) for n in ("query", "key", "value")}
    assert untrained(net, x) == waiting
    assert untrained(net, x, lambda path, p: p + 0.1 if path.endswith("gamma") else p) == set()


def test_the_printed_form_would_be_dead_with_gamma_0(x):
    """Why gamma starts at 1 there: from 0 nothing but the last bias would ever change."""
    net = MEGANet(**SMALL, attention="printed")
    trained = untrained(net, x, lambda path, p: p * 0 if path.endswith("gamma") else p)
    paths = jax.tree.leaves_with_path(start(net, x)["params"])
    assert {"/".join(k.key for k in path) for path, _ in paths} - trained == {"Dense_0/bias"}


def test_it_takes_every_size_and_stands_in_a_stack_of_folds(x):
    check_sizes(MEGANet(classes=3, stem_width=4, widths=(8, 16, 32)), 28, 64, 96, 224)
    check_sizes(MEGANet(classes=3, stem_width=4, widths=(8, 16, 32, 32), stem="small", attention="printed"), 28)
    check_folds(MEGANet(**SMALL | {"attention": "printed"}), x)


@pytest.mark.parametrize(("widths", "total"), [((128, 256), 1_261_666), ((128, 256, 512), 5_262_691)])
def test_parameters_by_hand(widths, total):
    """Of a block from a to b channels: 1 x 1, two 3 x 3, two norms, query and key with b / 8, value, gamma."""
    pairs = zip((64, *widths), widths, strict=False)
    blocks = sum(a * b + 9 * a * b + 9 * b * b + 4 * b + 2 * b * (b // 8) + b * b + 1 for a, b in pairs)
    by_hand = 9 * 3 + 49 * 3 * 64 + 2 * 64 + blocks + widths[-1] * 5 + 5
    net = MEGANet(classes=5, widths=widths)
    assert count(net, 224) == by_hand == total


def test_an_unknown_name_is_refused():
    with pytest.raises(InputError, match=r"model\.meganet\.attention is 'gan'; it can be sagan, printed, none"):
        MEGANet(classes=3, attention="gan")
