import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_network import check_folds, check_sizes, count, maps, start, untrained

from merjax.models.micro_attention import MicroAttention, MicroAttentionBlock
from merjax.types import InputError

SMALL = {"classes": 3, "stem_width": 4, "widths": (4, 6), "hidden": 8, "stem": "small", "dropout": 0.0}


@pytest.fixture
def x(rng):
    return jnp.asarray(rng.normal(size=(3, 1, 24, 16, 3)).astype(np.float32))


def conv(x, kernel):
    """Convolution 3 x 3 or 1 x 1 of [h w c] with zeros around, one sum per place."""
    side, (h, w, _) = len(kernel), x.shape
    padded = np.pad(x, ((side // 2, side // 2), (side // 2, side // 2), (0, 0)))
    y = [[np.einsum("ijc,ijco->o", padded[i : i + side, j : j + side], kernel) for j in range(w)] for i in range(h)]
    return np.array(y)


def test_a_block_is_its_formula(rng):
    x = rng.normal(size=(4, 5, 3)).astype(np.float32)
    block = MicroAttentionBlock(2, "batch")
    variables = block.init(jax.random.key(0), jnp.asarray(x[None]), train=False)
    y, kept = block.apply(variables, jnp.asarray(x[None]), train=False, mutable=["intermediates"])
    kernels = [np.asarray(variables["params"][f"Conv_{i}"]["kernel"]) for i in range(4)]
    l1 = np.maximum(conv(x, kernels[0]) / np.sqrt(1 + 1e-5), 0)
    l2 = np.maximum(conv(l1, kernels[1]) / np.sqrt(1 + 1e-5), 0)
    m = conv(x, kernels[2])
    r = conv(np.concatenate([l1, l2, m], axis=-1), kernels[3]).mean(-1)
    w = np.exp(r) / np.exp(r).sum()
    np.testing.assert_allclose(kept["intermediates"]["attention"][0][0], w, rtol=1e-4)
    np.testing.assert_allclose(y[0], (l2 + m) * (1 + w[..., None]), atol=1e-4)


def test_attention_over_the_places_sums_to_one(x):
    net = MicroAttention(**SMALL)
    _, found = maps(net, start(net, x), x)
    assert [m.shape for m in found.values()] == [(3, 12, 8), (3, 6, 4)]
    for weights in found.values():
        np.testing.assert_allclose(weights.sum((1, 2)), 1, atol=1e-5)


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_gradients_reach_every_parameter(x, norm):
    assert untrained(MicroAttention(**SMALL, norm=norm), x) == set()


def test_on_one_place_the_weight_is_1_and_no_parameter_waits_for_it(x):
    net, x = MicroAttention(**SMALL), x[:, :, :4, :4]  # the second map is 1 x 1
    _, found = maps(net, start(net, x), x)
    np.testing.assert_array_equal(found["MicroAttentionBlock_1/attention"], np.ones((3, 1, 1)))
    assert untrained(net, x) == set()


def test_it_takes_every_size_and_stands_in_a_stack_of_folds(x):
    check_sizes(MicroAttention(classes=3, stem_width=4, widths=(4, 6, 8), hidden=8), 28, 64, 96, 224)
    check_sizes(MicroAttention(**SMALL | {"dropout": 0.5}), 28)
    check_folds(MicroAttention(**SMALL), x)


def test_parameters_by_hand():
    """Of a block from a to b channels: two 3 x 3 with norms, 1 x 1 with bias, 1 x 1 of 3 b; 7 x 7 x 256 to 4096."""
    blocks = sum(9 * a * b + 9 * b * b + 4 * b + a * b + b + 9 * b * b for a, b in ((32, 64), (64, 128), (128, 256)))
    by_hand = (49 * 3 * 32 + 32) + blocks + (7 * 7 * 256 * 4096 + 4096) + (4096 * 5 + 5)
    net = MicroAttention(classes=5)
    assert count(net, 224) == by_hand == 53_390_149


def test_an_unknown_name_is_refused():
    with pytest.raises(InputError, match=r"model\.micro_attention\.stem is 'tiny'; it can be imagenet, small"):
        MicroAttention(classes=3, stem="tiny")
