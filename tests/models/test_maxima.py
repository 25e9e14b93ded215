"""No gradient hangs on a number that equals another: a compiler may compute either anew, with another rounding."""

import jax
import jax.numpy as jnp
import pytest
from jax.extend.core import Literal
from jax.interpreters import partial_eval
from test_models import batch, build

from merjax.models import MODELS, cpu


def comparisons(jaxpr):
    """The comparisons for equality of floats in a traced program."""
    found = []
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("eq", "ne") and jnp.issubdtype(equation.invars[0].aval.dtype, jnp.floating):
            one, other = equation.invars
            constant = isinstance(one, Literal) or isinstance(other, Literal)
            found += [] if one is other or constant else [equation]  # a number is compared with itself to find NaN
        for value in equation.params.values():
            for inner in value if isinstance(value, tuple | list) else [value]:
                inner = getattr(inner, "jaxpr", inner)
                found += comparisons(inner) if hasattr(inner, "eqns") else []
    return found


# STSTNet on a CPU compares a maximum with the numbers that it was just taken of, which a product has written to memory.
CASES = [(name, here) for name in MODELS for here in (True, False) if (name, here) != ("ststnet", True)]


@pytest.mark.parametrize(("name", "here"), CASES)
def test_no_gradient_of_a_network_asks_which_number_is_the_maximum(rng, monkeypatch, name, here):
    monkeypatch.setattr(cpu, "here", lambda _: here)
    net = build(name)
    x = batch(rng, net)
    variables = jax.eval_shape(lambda key: net.init(key, x, train=False), jax.random.key(0))

    def loss(params, rest, x):
        logits, _ = net.apply(
            {"params": params, **rest}, x, train=True, mutable=["batch_stats"], rngs={"dropout": jax.random.key(1)}
        )
        return (logits**2).sum()

    rest = {k: v for k, v in variables.items() if k != "params"}
    whole = jax.make_jaxpr(jax.grad(loss))(variables["params"], rest, x).jaxpr
    used, _ = partial_eval.dce_jaxpr(whole, [True] * len(whole.outvars))  # without tangents that nothing needs
    assert [f"{equation} in {equation.source_info.name_stack}" for equation in comparisons(used)] == []


def test_the_search_finds_the_gradient_of_a_maximum():
    gradient = jax.make_jaxpr(jax.grad(lambda x: jax.nn.relu(x).max(-1).sum()))(jnp.ones((2, 3)))
    assert comparisons(gradient.jaxpr)
