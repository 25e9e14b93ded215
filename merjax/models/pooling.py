"""Pooling of images, channels last."""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from merjax.models import cpu
from merjax.models.cpu.pooling import halve as halve_on_cpu
from merjax.models.cpu.pooling import max_pool as max_pool_on_cpu


@cpu.instead(max_pool_on_cpu)
def max_pool(x: Float[Array, "b h w c"], size: int, stride: int, padding: int) -> Float[Array, "b y x c"]:
    """Maximum over windows of size x size pixels."""
    return nn.max_pool(x, (size, size), (stride, stride), ((padding, padding),) * 2)


@cpu.instead(halve_on_cpu)
def halve(x: Float[Array, "b h w c"]) -> Float[Array, "b y x c"]:
    """Average over 2 x 2 windows; an odd last row or column is dropped."""
    return nn.avg_pool(x, (2, 2), (2, 2))


def average_to(x: Float[Array, "b h w c"], size: int) -> Float[Array, "b y x c"]:
    """Averages to a grid of at most size x size cells, as even as the sides allow."""

    def bounds(side: int) -> list[tuple[int, int]]:
        count = min(size, side)
        return list(itertools.pairwise(-(-i * side // count) for i in range(count + 1)))

    return means(x, bounds(x.shape[1]), bounds(x.shape[2]))


def means(
    x: Float[Array, "b h w c"], rows: list[tuple[int, int]], columns: list[tuple[int, int]]
) -> Float[Array, "b y x c"]:
    """The mean of every cell of a grid.

    Args:
        x: images.
        rows: the first row of pixels of every row of cells, and that after its last.
        columns: the same of columns.
    """
    for axis, bounds in ((1, rows), (2, columns)):
        if bounds != [(i, i + 1) for i in range(x.shape[axis])]:
            cells = [jax.lax.slice_in_dim(x, start, stop, axis=axis).mean(axis) for start, stop in bounds]
            x = jnp.stack(cells, axis)
    return x
