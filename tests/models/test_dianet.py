import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_network import check_folds, check_sizes, maps, start, untrained

from merjax.models.attention import Attention
from merjax.models.dianet import DIANet
from merjax.types import InputError

SMALL = {"classes": 3, "width": 4, "blocks": (1, 1), "stem": "small", "attention": 8, "heads": 2, "dropout": 0.0}


@pytest.fixture
def x(rng):
    return jnp.asarray(rng.normal(size=(3, 2, 16, 12, 3)).astype(np.float32))


def swapped(tree):
    """The same parameters with the roles of both streams exchanged."""
    if not isinstance(tree, dict):
        return tree
    other = {"0": "1", "1": "0"}
    tree = {
        name[:-1] + other[name[-1]] if name.startswith(("Trunk", "LayerNorm", "CrossAttention")) else name: leaf
        for name, leaf in tree.items()
    }
    if "Dense_0" in tree:
        kernel = tree["Dense_0"]["kernel"]
        first, second = jnp.split(kernel, 2)
        tree["Dense_0"] = tree["Dense_0"] | {"kernel": jnp.concatenate([second, first])}
    return tree


def test_attention_is_what_a_loop_over_tokens_gives(rng):
    x, other = (rng.normal(size=(2, n, 5)).astype(np.float32) for n in (3, 4))
    net = Attention(6, 4, heads=2, scaled=True)
    (y, weights), variables = jax.jit(lambda x, o: net.init_with_output(jax.random.key(0), x, o))(x, other)
    kernel = {name: np.asarray(layer["kernel"]) for name, layer in variables["params"].items()}
    for b in range(2):
        for head in range(2):
            qk, v = slice(3 * head, 3 * head + 3), slice(2 * head, 2 * head + 2)
            for n in range(3):
                query = x[b, n] @ kernel["query"][:, qk]
                scores = [query @ (token @ kernel["key"][:, qk]) / np.sqrt(3) for token in other[b]]
                share = np.exp(scores) / np.exp(scores).sum()
                seen = sum(s * (token @ kernel["value"][:, v]) for s, token in zip(share, other[b], strict=True))
                np.testing.assert_allclose(weights[b, head, n], share, atol=1e-5)
                np.testing.assert_allclose(y[b, n, v], seen, atol=1e-5)


def test_attention_to_one_token_is_a_linear_layer(rng):
    """Its weight is 1 whatever asks, so there is nothing that query or key could learn."""
    other = jnp.asarray(rng.normal(size=(2, 1, 5)).astype(np.float32))
    variables = Attention(6, 4).init(jax.random.key(0), other, other)
    assert set(variables["params"]) == {"value"}
    for _ in range(2):
        y, weights = Attention(6, 4).apply(variables, jnp.asarray(rng.normal(size=(2, 3, 5)).astype(np.float32)), other)
        np.testing.assert_array_equal(weights, 1)
        seen = np.broadcast_to(other @ variables["params"]["value"]["kernel"], (2, 3, 4))
        np.testing.assert_allclose(y, seen, atol=1e-5)


def test_a_place_spreads_its_attention_over_the_other_face(x):
    net = DIANet(**SMALL)
    _, found = maps(net, start(net, x), x)
    assert set(found) == {"attention_12", "attention_21"}
    for weights in found.values():
        assert weights.shape == (3, 2, 12, 12)
        assert float(weights.std(-1).min()) > 0  # it does prefer some places
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("shared", [True, False])
def test_swapping_the_streams_swaps_the_attention(x, shared):
    net = DIANet(**SMALL, shared=shared)
    variables = start(net, x)
    logits, found = maps(net, variables, x)
    mirrored = variables | {"params": swapped(variables["params"])}
    if shared:  # nothing but the last layer tells the streams apart
        mirrored["params"] = variables["params"] | {"Dense_0": mirrored["params"]["Dense_0"]}
    logits_swapped, found_swapped = maps(net, mirrored, x[:, ::-1])
    np.testing.assert_allclose(found_swapped["attention_12"], found["attention_21"], atol=1e-5)
    np.testing.assert_allclose(found_swapped["attention_21"], found["attention_12"], atol=1e-5)
    np.testing.assert_allclose(logits_swapped, logits, atol=1e-4)
    assert float(jnp.abs(found["attention_12"] - found["attention_21"]).max()) > 1e-4


def test_without_what_attention_adds_it_is_concatenation(x):
    net, plain = DIANet(**SMALL), DIANet(**SMALL, fusion="concat")
    variables = start(net, x)
    params = variables["params"]
    for name in ("CrossAttention_0", "CrossAttention_1"):
        last = {"kernel": jnp.zeros_like(params[name]["Dense_0"]["kernel"])}
        params = params | {name: params[name] | {"Dense_0": last}}
    without = {key: params[key] for key in ("Trunk_0", "Trunk_1", "Dense_0")}
    logits, kept = maps(plain, variables | {"params": without}, x)
    assert not kept
    np.testing.assert_allclose(maps(net, variables | {"params": params}, x)[0], logits, atol=1e-5)
    assert float(jnp.abs(maps(net, variables, x)[0] - logits).max()) > 1e-3


@pytest.mark.parametrize(("fusion", "shared"), [("cross", False), ("pooled", False), ("cross", True)])
def test_gradients_reach_every_parameter(x, fusion, shared):
    assert untrained(DIANet(**SMALL, fusion=fusion, shared=shared), x) == set()


def test_it_takes_every_size_and_stands_in_a_stack_of_folds(x):
    check_sizes(DIANet(classes=3, width=4, blocks=(1, 1, 1, 1), attention=8), 28, 64, 96, 224)
    check_sizes(DIANet(**SMALL | {"dropout": 0.5}, shared=True), 28)
    check_folds(DIANet(**SMALL), x)


def test_it_has_the_parameters_of_two_resnets_and_its_attention():
    """11,176,512 in each trunk; layer norm, query, key, value and the layer after them for each direction; the last."""
    net = DIANet(classes=5)
    shapes = jax.eval_shape(lambda k: net.init(k, jnp.zeros((1, 2, 224, 224, 3)), train=False), jax.random.key(0))
    by_hand = 2 * (11_176_512 + 2 * 512 + 3 * 512 * 256 + 256 * 512) + 1024 * 5 + 5
    assert sum(p.size for p in jax.tree.leaves(shapes["params"])) == by_hand == 23_408_773


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"model\.dianet\.fusion is 'vote'; it can be cross, concat, pooled"):
        DIANet(classes=3, fusion="vote")
    with pytest.raises(InputError, match=r"model\.dianet\.heads is 3; it must divide the attention's 8"):
        DIANet(classes=3, attention=8, heads=3)
