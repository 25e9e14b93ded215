"""A convolution, relu, batch norm and maximum in one passage through a core's cache: the whole of STSTNet, on a CPU.

Its cost is memory, not arithmetic: the map after the convolution is 16 times the input, and each operation would read
and write it. Here a few images at a time pass through all of them, in both directions. Two facts allow it: a maximum
commutes with the increasing affine map that a norm is (a minimum where the scale is negative), and batch statistics
need nothing but two sums (benchmarks/fold_step.py).
"""

import functools
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from merjax.models.norms import BatchNorm

if TYPE_CHECKING:
    from merjax.models.layers import Conv

NINE = tuple((i, j) for i in range(3) for j in range(3))  # the places of a 3 x 3 window, of kernel and pooling alike
BITS = (1 << np.arange(9, dtype=np.int32)).reshape(1, 1, 3, 1, 3, 1)  # of the places
BLOCK = 8  # images that pass through together: what is made of them stays in the second-level cache


def pooled_conv(x: Float[Array, "b h w c"], conv: "Conv", norm: BatchNorm, *, train: bool) -> Float[Array, "b y x o"]:
    """A 3 x 3 convolution with padding 2 and bias, relu, batch norm, and a 3 x 3 maximum with stride 3 and padding 1.

    Places of a window that are equally large share its gradient.
    """
    kernel, bias = conv.weights(x.shape[-1])
    assert bias is not None
    # Statistics are sums over all places, so everything is computed in float32 whatever the network's precision.
    x, kernel, bias = (a.astype(jnp.float32) for a in (x, kernel, bias))
    weights = jnp.concatenate([kernel.reshape(-1, bias.size), bias.reshape(1, -1)])
    sign = jnp.where(norm.scale < 0, -1.0, 1.0)
    peak, total, squares = conv_pool(blocked(x), weights, sign, x.shape[1:3])
    places = len(x) * (x.shape[1] + 2) * (x.shape[2] + 2)
    factor, term = norm.affine((total.sum(0) / places, squares.sum(0) / places) if train else None)
    y = peak.transpose(0, 4, 2, 3, 1).reshape(len(x), *peak.shape[2:4], -1)
    return y * factor[None, None, None] + term[None, None, None]


def cells(side: int) -> int:
    """Pooling windows along a side of the input."""
    return (side + 1) // 3 + 1


def blocked(x: Float[Array, "b h w c"]) -> Float[Array, "blocks c rows columns m"]:
    """The input padded, in blocks of images that lie innermost: every shift of it is then made of long slices.

    The map of it has 3 places for every pooling window, the first of them being padding of the pooling. When h + 2 is a
    multiple of 3, pooling leaves out the last row of the convolution's map; the statistics need that row, so the
    padding is filled such that it appears in the first. The same for columns.
    """
    batch = x.shape[0]
    for axis in (1, 2):
        side = x.shape[axis]
        last = jax.lax.slice_in_dim(x, side - 1, side, axis=axis)
        if (side + 2) % 3:
            last = jnp.zeros_like(last)
        x = jnp.concatenate([last, jnp.zeros_like(last), jnp.zeros_like(last), x], axis)
        spread = [(0, 0)] * 4
        spread[axis] = (0, 3 * cells(side) - side - 1)
        x = jnp.pad(x, spread)
    block = max(size for size in range(1, min(BLOCK, batch) + 1) if batch % size == 0)
    return x.reshape(batch // block, block, *x.shape[1:]).transpose(0, 4, 2, 3, 1)


def seen_by(x: Float[Array, "c rows columns m"]) -> Float[Array, "k places"]:
    """Takes the 3 x 3 windows of every place, and a last line of ones for the bias: k = 9 c + 1."""
    rows, columns = x.shape[1] - 2, x.shape[2] - 2
    shifts = [x[:, i : i + rows, j : j + columns] for i, j in NINE]
    return jnp.concatenate([*shifts, jnp.ones_like(shifts[0][:1])]).reshape(9 * len(x) + 1, -1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def conv_pool(
    x: Float[Array, "blocks c rows columns m"],
    weights: Float[Array, "k o"],
    sign: Float[Array, " o"],
    size: tuple[int, int],
) -> tuple[Float[Array, "blocks o y x m"], Float[Array, "blocks o"], Float[Array, "blocks o"]]:
    """Convolution, relu and maximum (the minimum where `sign` is -1), and the sums for the norm, block by block.

    Args:
        x: from `blocked`.
        weights: kernel and bias, as `seen_by` has its rows.
        sign: 1 or -1 per channel.
        size: (h, w) of the input before it was padded.

    Returns:
        Maximum per window; sum and sum of squares over the map.
    """
    return conv_pool_forward(x, weights, sign, size)[0]


def conv_pool_forward(x: Array, weights: Array, sign: Array, size: tuple[int, int]) -> tuple:
    """`conv_pool` and what its gradient needs: not the map, which costs less to make again than to write and read."""

    def one(x: Float[Array, "c rows columns m"]) -> tuple:
        z = pooled_windows(weights, seen_by(x), x.shape)
        peak = peaks(z, sign, size)
        return (peak, *sums(z, size)), places_of(peak, z, size)

    out, places = jax.lax.map(one, x)
    return out, (x, weights, places)


def conv_pool_backward(size: tuple[int, int], kept: tuple, gradients: tuple) -> tuple:
    """Gradient of `conv_pool`: only places that equal their window's maximum, and the sums', reach the map.

    Which they are is what the forward pass saw: the map made here may differ from it in a last bit.
    """
    (x, weights, places), (d_peak, d_total, d_squares) = kept, gradients
    counted = taking_part(size)[1][None, ..., None]
    share = d_peak / jnp.maximum(jax.lax.population_count(places), 1).astype(jnp.float32)

    def one(block: tuple) -> tuple:
        x, places, share, d_total, d_squares = block
        seen = seen_by(x)
        z = pooled_windows(weights, seen, x.shape)
        dz = jnp.where(places[:, :, None, :, None] & BITS != 0, share[:, :, None, :, None], 0.0)
        dz += d_total.reshape(-1, *[1] * 5) + 2.0 * d_squares.reshape(-1, *[1] * 5) * z
        dz = jnp.where((z > 0) & counted, dz, 0.0).reshape(len(z), -1)
        d_seen = (weights[:-1] @ dz).reshape(9, len(x), x.shape[1] - 2, x.shape[2] - 2, -1)
        shifted = [jnp.pad(d_seen[n], ((0, 0), (i, 2 - i), (j, 2 - j), (0, 0))) for n, (i, j) in enumerate(NINE)]
        return seen @ dz.T, functools.reduce(jnp.add, shifted)

    d_weights, dx = jax.lax.map(one, (x, places, share, d_total, d_squares))
    return dx, d_weights.sum(0), jnp.zeros_like(gradients[1][0])


conv_pool.defvjp(conv_pool_forward, conv_pool_backward)


def pooled_windows(
    weights: Float[Array, "k o"], seen: Float[Array, "k places"], shape: tuple[int, ...]
) -> Float[Array, "o y 3 x 3 m"]:
    """The convolution's map, cut into the windows of the pooling."""
    _, rows, columns, images = shape
    return (weights.T @ seen).reshape(-1, rows // 3, 3, columns // 3, 3, images)


def rectified(z: Array) -> Array:
    """Relu as one instruction, which lets NaN through."""
    return jnp.where(z <= 0, 0.0, z)


def peaks(z: Float[Array, "o y 3 x 3 m"], sign: Float[Array, " o"], size: tuple[int, int]) -> Float[Array, "o y x m"]:
    """The maximum of relu(z) over every window, the minimum where `sign` is -1."""
    pooled, _ = taking_part(size)
    sign = sign[:, None, None, None]
    parts = [jnp.where(at(pooled, i, j), sign * rectified(z[:, :, i, :, j]), -jnp.inf) for i, j in NINE]
    return sign * functools.reduce(lambda a, b: jnp.where(a > b, a, b), parts)


def places_of(
    peak: Float[Array, "o y x m"], z: Float[Array, "o y 3 x 3 m"], size: tuple[int, int]
) -> Int[Array, "o y x m"]:
    """One of `BITS` for every place of a window that equals its maximum; none where relu has cut it."""
    pooled, _ = taking_part(size)
    bits = [jnp.where((z[:, :, i, :, j] == peak) & at(pooled, i, j), 1 << n, 0) for n, (i, j) in enumerate(NINE)]
    return functools.reduce(jnp.bitwise_or, bits)


def sums(z: Float[Array, "o y 3 x 3 m"], size: tuple[int, int]) -> tuple[Float[Array, " o"], Float[Array, " o"]]:
    """Sum and sum of squares of relu(z) over the map; slices first, which are one loop over contiguous memory."""
    _, counted = taking_part(size)
    y = [jnp.where(at(counted, i, j), rectified(z[:, :, i, :, j]), 0.0) for i, j in NINE]
    total, squares = (functools.reduce(jnp.add, part) for part in (y, [part**2 for part in y]))

    def over_places(a: Float[Array, "o y x m"]) -> Float[Array, " o"]:
        return functools.reduce(jnp.add, [a[:, row] for row in range(a.shape[1])]).sum((1, 2))

    return over_places(total), over_places(squares)


def at(mask: Bool[np.ndarray, "y 3 x 3"], i: int, j: int) -> Bool[np.ndarray, "1 y x 1"]:
    """The mask of one place of all windows, to go with [o, y, x, m]."""
    return mask[:, i, :, j][None, :, :, None]


def taking_part(size: tuple[int, int]) -> tuple[Bool[np.ndarray, "y 3 x 3"], Bool[np.ndarray, "y 3 x 3"]]:
    """Masks of the places of the map of `blocked`: those that pooling reads, and those that statistics count."""

    def along(side: int) -> tuple[np.ndarray, np.ndarray]:
        row = np.arange(3 * cells(side)) - 1  # in the convolution's map
        return (row >= 0) & (row < side + 2), row % (3 * cells(side)) < side + 2

    def over(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return (rows[:, None] & columns).reshape(cells(size[0]), 3, cells(size[1]), 3)

    (rows_pooled, rows_counted), (columns_pooled, columns_counted) = along(size[0]), along(size[1])
    return over(rows_pooled, columns_pooled), over(rows_counted, columns_counted)
