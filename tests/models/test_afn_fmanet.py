import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_network import check_folds, check_sizes, count, maps, start, untrained

from merjax.models.afn import AFN, Fusion
from merjax.models.fmanet import FMANet
from merjax.models.layers import standardise
from merjax.types import InputError

SMALL = {"classes": 3, "width": 4, "blocks": (1, 1), "stem": "small", "dropout": 0.0}


@pytest.fixture
def x(rng):
    return jnp.asarray(rng.normal(size=(3, 2, 16, 12, 3)).astype(np.float32))


@pytest.mark.parametrize(("kind", "gates"), [("gate", 8), ("scalar", 1)])
def test_the_gate_tells_how_much_of_each_stream_is_taken(rng, kind, gates):
    a, b = (jnp.asarray(rng.normal(size=(5, 8)).astype(np.float32)) for _ in range(2))
    variables = Fusion(kind).init(jax.random.key(0), a, b)
    fused, kept = Fusion(kind).apply(variables, a, b, mutable=["intermediates"])
    (gate,) = kept["intermediates"]["gate"]
    assert gate.shape == (5, gates)
    np.testing.assert_allclose(fused, gate * a + (1 - gate) * b, atol=1e-6)
    equal = Fusion(kind).apply(variables, a, a)
    np.testing.assert_allclose(equal, a, atol=1e-6)


def test_sum_and_concatenation_are_what_they_say(rng):
    a, b = (jnp.asarray(rng.normal(size=(5, 8)).astype(np.float32)) for _ in range(2))
    np.testing.assert_array_equal(Fusion("sum").apply({}, a, b), a + b)
    np.testing.assert_array_equal(Fusion("concat").apply({}, a, b), jnp.concatenate([a, b], axis=1))


@pytest.mark.parametrize("fusion", ["gate", "scalar", "sum", "concat", "none"])
def test_afn_keeps_its_gate_where_it_has_one(x, fusion):
    net = AFN(**SMALL, fusion=fusion)
    _, found = maps(net, start(net, x), x)
    assert {name: m.shape for name, m in found.items()} == {
        "gate": {"Fusion_0/gate": (3, 8)},
        "scalar": {"Fusion_0/gate": (3, 1)},
    }.get(fusion, {})


def test_afn_alone_reads_the_first_stream_only(x):
    net = AFN(**SMALL, fusion="none")
    variables = start(net, x[:, :1])
    np.testing.assert_array_equal(maps(net, variables, x)[0], maps(net, variables, x[:, :1])[0])
    assert net.streams == 1


def test_afn_scales_both_streams_for_pretrained_weights(x):
    net, scaled = AFN(**SMALL), AFN(**SMALL, standard="imagenet")
    variables = start(net, x)
    by_hand = jnp.stack([standardise(x[:, i], "imagenet") for i in (0, 1)], axis=1)
    np.testing.assert_allclose(maps(scaled, variables, x)[0], maps(net, variables, by_hand)[0], atol=1e-4)


def test_fmanet_keeps_gate_and_motion_attention(x):
    net = FMANet(**SMALL)
    _, found = maps(net, start(net, x), x)
    assert {name: m.shape for name, m in found.items()} == {"gate": (3, 8, 6, 4), "motion_attention": (3, 8, 6, 1)}
    for weights in found.values():
        assert ((weights > 0) & (weights < 1)).all()
    plain = FMANet(**SMALL, fusion="mean", attention=False)
    assert not maps(plain, start(plain, x), x)[1]


def test_an_undecided_gate_of_fmanet_is_the_mean(x):
    """With weights of zero the gate is 1/2 everywhere; without it the same parameters give the same logits."""
    net, mean = FMANet(**SMALL, attention=False), FMANet(**SMALL, attention=False, fusion="mean")
    variables = start(net, x)
    params = variables["params"] | {"Conv_0": jax.tree.map(jnp.zeros_like, variables["params"]["Conv_0"])}
    logits, found = maps(net, variables | {"params": params}, x)
    np.testing.assert_array_equal(found["gate"], 0.5)
    params.pop("Conv_0")
    np.testing.assert_allclose(maps(mean, variables | {"params": params}, x)[0], logits, atol=1e-5)


def test_shut_motion_attention_of_fmanet_changes_nothing(x):
    """A = sigmoid(-100) is 0, so F + A F = F."""
    net, without = FMANet(**SMALL), FMANet(**SMALL, attention=False)
    variables = start(net, x)
    shut = {"kernel": jnp.zeros((7, 7, 3, 1)), "bias": jnp.full((1, 1, 1, 1), -100.0)}
    logits, _ = maps(net, variables | {"params": variables["params"] | {"Conv_1": shut}}, x)
    params = {name: layer for name, layer in variables["params"].items() if name != "Conv_1"}
    np.testing.assert_allclose(maps(without, variables | {"params": params}, x)[0], logits, atol=1e-5)


@pytest.mark.parametrize("net", [AFN(**SMALL), AFN(**SMALL, fusion="scalar"), FMANet(**SMALL)])
def test_gradients_reach_every_parameter(x, net):
    assert untrained(net, x) == set()


@pytest.mark.parametrize("network", [AFN, FMANet])
def test_they_take_every_size_and_stand_in_a_stack_of_folds(x, network):
    check_sizes(network(classes=3, width=4, blocks=(1, 1, 1, 1)), 28, 64, 96, 224)
    check_folds(network(**SMALL), x)


def test_afn_has_the_parameters_of_two_resnets_and_its_gate():
    """11,176,512 in each trunk, the gate's two layers, the last."""
    by_hand = 2 * 11_176_512 + (1024 * 512 + 512) + (512 * 512 + 512) + (512 * 5 + 5)
    assert count(AFN(classes=5), 224) == by_hand == 23_143_045


def test_fmanet_has_the_parameters_of_a_resnet_and_a_half():
    """The first convolution, its norm and stages 1 and 2 twice; gate, motion attention, the last layer."""
    early = 9_408 + 128 + 147_968 + 525_568
    by_hand = 11_176_512 + early + (256 * 128 + 128) + (49 * 3 + 1) + (512 * 5 + 5)
    assert count(FMANet(classes=5), 224) == by_hand == 11_895_193


def test_an_unknown_name_is_refused():
    with pytest.raises(InputError, match=r"model\.afn\.standard is 'torch'; it can be none, imagenet, half"):
        AFN(classes=3, standard="torch")
    with pytest.raises(InputError, match=r"model\.fmanet\.norm is 'layer'; it can be batch, group"):
        FMANet(classes=3, norm="layer")
