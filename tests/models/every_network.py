"""What every network must do: train all of its parameters, take every size, stand in a stack of folds."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np

quick = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})  # compiling is most of the time here


def start(net, x):
    """The variables that a network starts with."""
    return start_at(net, x.shape)


@cache
def start_at(net, shape):
    return quick(lambda: net.init(jax.random.key(1), jnp.zeros(shape), train=False))()


def maps(net, variables, x):
    """Logits, and all maps that the network keeps, by path."""
    logits, kept = quick(partial(net.apply, train=False, mutable=["intermediates"]))(variables, x)
    return logits, {path(keys[:-1]): m for keys, m in jax.tree.leaves_with_path(kept.get("intermediates", {}))}


def count(net, side):
    """Number of parameters for images of a side."""
    x = jax.ShapeDtypeStruct((1, net.streams or 1, side, side, 3), jnp.float32)
    variables = jax.eval_shape(lambda x: net.init(jax.random.key(0), x, train=False), x)
    return sum(p.size for p in jax.tree.leaves(variables["params"]))


def untrained(net, x, change=lambda name, leaf: leaf):
    """Paths of the parameters that get no gradient; `change` may alter them first."""
    variables = start(net, x)
    params = jax.tree.map_with_path(lambda keys, p: change(path(keys), p), variables["params"])
    rest = {k: v for k, v in variables.items() if k != "params"}

    def loss(params):
        logits, _ = net.apply({"params": params, **rest}, x, train=True, mutable=["batch_stats"])
        return (logits * jnp.sin(jnp.arange(1.0, logits.size + 1)).reshape(logits.shape)).sum()

    gradients = jax.tree.leaves_with_path(quick(jax.grad(loss))(params))
    return {path(keys) for keys, g in gradients if not jnp.abs(g).max() > 0}


def check_sizes(net, *sides):
    """Traces training and testing with images of every side."""
    for side in sides:
        x = jax.ShapeDtypeStruct((2, net.streams or 1, side, side, 3), jnp.float32)

        def run(x):
            tested, variables = net.init_with_output(jax.random.key(0), x, train=False)
            rngs = {"dropout": jax.random.key(1)}
            return tested, net.apply(variables, x, train=True, mutable=["batch_stats"], rngs=rngs)[0]

        tested, trained = jax.eval_shape(run, x)
        assert tested.shape == trained.shape == (2, net.classes)


def check_folds(net, x):
    """Two folds' parameters in one stack give, on each one's images, what each gives alone."""
    first = start(net, x)
    second = jax.tree.map(lambda p: 0.8 * p + 0.1, first)
    logits = partial(net.apply, train=False)
    stack = jax.tree.map(lambda *p: jnp.stack(p), first, second)
    together = quick(jax.vmap(logits))(stack, jnp.stack([x, x[::-1]]))
    alone = quick(logits)
    np.testing.assert_allclose(together[0], alone(first, x), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(together[1], alone(second, x[::-1]), rtol=1e-3, atol=1e-4)
    assert float(jnp.abs(together[0] - together[1]).max()) > 1e-3


def path(keys):
    return "/".join(key.key for key in keys)
