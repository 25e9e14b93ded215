import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_network import untrained

from merjax.models import MODELS, cpu
from merjax.models.afn import AFN, Fusion
from merjax.models.fmanet import FMANet
from merjax.types import InputError

SMALL = {
    "afn": {"width": 4, "blocks": (1, 1), "stem": "small"},
    "fmanet": {"width": 4, "blocks": (1, 1), "stem": "small"},
    "dianet": {"width": 4, "blocks": (1, 1), "stem": "small", "attention": 8},
    "meganet": {"stem_width": 4, "widths": (8, 16), "stem": "small", "attention": "printed"},  # sagan: test_meganet
    "micro_attention": {"stem_width": 4, "widths": (4, 6), "hidden": 8, "stem": "small"},
    "off_apexnet": {"hidden": 8},
    "plain": {"width": 4},
    "vgg19": {"width": 4, "blocks": (1, 2), "hidden": 8},
    "resnet18": {"width": 4, "blocks": (1, 2)},
    "resnet50": {"width": 4, "blocks": (1, 2)},
    "efficientnet_b0": {"width": 0.25, "depth": 0.1},
    "vit_b16": {"patch": 8, "width": 16, "depth": 2, "heads": 2},
}


def build(name, **changes):
    return MODELS[name](classes=3, **SMALL.get(name, {}) | changes)


def batch(rng, net, size=28):
    return jnp.asarray(rng.normal(size=(4, net.streams or 2, size, size, 3)).astype(np.float32))


def count(net, x):
    shapes = jax.eval_shape(lambda k: net.init(k, x, train=False), jax.random.key(0))
    return sum(p.size for p in jax.tree.leaves(shapes["params"]))


def test_ststnet_has_the_stated_number_of_parameters():
    assert count(MODELS["ststnet"](classes=3), jnp.zeros((1, 1, 28, 28, 3))) == 1683


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("size", [28, 64, 96])
def test_every_network_takes_every_size(name, size):
    net = build(name)
    x = jnp.zeros((2, net.streams or 2, size, size, 3))
    variables = jax.eval_shape(lambda k: net.init(k, x, train=False), jax.random.key(0))
    assert jax.eval_shape(lambda v: net.apply(v, x, train=False), variables).shape == (2, 3)


CASES = [(name, {}) for name in MODELS]
CASES += [("afn", {"fusion": f}) for f in ("scalar", "sum", "concat", "none")]
CASES += [("fmanet", {"fusion": "mean"}), ("fmanet", {"attention": False}), ("fmanet", {"norm": "group"})]


@pytest.mark.parametrize(("name", "changes"), CASES)
def test_gradients_reach_every_parameter(rng, monkeypatch, name, changes):
    net = build(name, dropout=0.0, **changes) if name != "linear" else build(name)
    monkeypatch.setattr(cpu, "here", lambda _: False)  # plain convolutions are compiled in the least time
    assert untrained(net, batch(rng, net)) == set()


def test_afn_returns_equal_streams(rng):
    """With f1 = f2 the gate has nothing to choose: g f + (1 - g) f = f."""
    f = jnp.asarray(rng.normal(size=(5, 8)).astype(np.float32))
    for fusion in ("gate", "scalar"):
        fused, _ = Fusion(fusion).init_with_output(jax.random.key(0), f, f)
        np.testing.assert_allclose(fused, f, atol=1e-6)


def test_afn_gate_lies_between_its_streams(rng):
    a, b = (jnp.asarray(rng.normal(size=(5, 8)).astype(np.float32)) for _ in range(2))
    fused, _ = Fusion("gate").init_with_output(jax.random.key(0), a, b)
    assert ((fused >= jnp.minimum(a, b)) & (fused <= jnp.maximum(a, b))).all()


def test_an_unknown_fusion_is_refused():
    with pytest.raises(InputError, match=r"model\.afn\.fusion is 'vote'; it can be gate"):
        AFN(classes=3, fusion="vote")
    with pytest.raises(InputError, match=r"model\.fmanet\.fusion is 'vote'"):
        FMANet(classes=3, fusion="vote")


def test_linear_starts_undecided_and_is_linear(rng):
    net = build("linear")
    x = batch(rng, net)
    variables = net.init(jax.random.key(0), x, train=False)
    assert (net.apply(variables, x, train=False) == 0).all()
    drawn = jax.tree.map(lambda p: jnp.asarray(rng.normal(size=p.shape).astype(np.float32)), variables)
    at = [net.apply(drawn, z, train=False) for z in (x, -x, 0 * x)]
    np.testing.assert_allclose(at[0] + at[1], 2 * at[2], atol=1e-4)
