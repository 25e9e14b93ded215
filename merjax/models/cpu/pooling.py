"""Pooling on a CPU, as maxima and sums of strided slices, whose gradients are cheaper than those of whole windows."""

import functools

import jax.numpy as jnp
from jaxtyping import Array, Float


def larger(a: Float[Array, "*s"], b: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """The larger of two numbers; of two equal ones the first, to which the gradient then goes.

    The gradient of `jnp.maximum` asks which number equals the maximum. A compiler may compute a number anew for that,
    with another rounding; then none is equal, and the gradient is lost.
    """
    return jnp.where((a >= b) | jnp.isnan(a), a, b)


def max_pool(x: Float[Array, "b h w c"], size: int, stride: int, padding: int) -> Float[Array, "b y x c"]:
    """Maximum over windows, rows first and then columns, each as a maximum of strided slices."""
    spread = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    x = jnp.pad(x, spread, constant_values=-jnp.inf)
    rows, columns = ((side - size) // stride * stride + 1 for side in x.shape[1:3])
    x = functools.reduce(larger, [x[:, i : i + rows : stride] for i in range(size)])
    return functools.reduce(larger, [x[:, :, j : j + columns : stride] for j in range(size)])


def halve(x: Float[Array, "b h w c"]) -> Float[Array, "b y x c"]:
    """Average over 2 x 2 windows; an odd last row or column is dropped."""
    rows, columns = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    quarters = [x[:, i:rows:2, j:columns:2] for i in (0, 1) for j in (0, 1)]
    return functools.reduce(jnp.add, quarters) / 4.0
