"""Pooling on a CPU, as maxima and sums of strided slices, whose gradients are cheaper than those of whole windows."""

import functools

import jax.numpy as jnp
from jaxtyping import Array, Float

from merjax.models.maxima import larger


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
