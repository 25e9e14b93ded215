"""STSTNet (Liong et al., FG 2019), the shallow three-stream network that most flow papers compare with.

Its cost is memory, not arithmetic: the map after the convolution is 16 times the input, and convolution, relu, batch
norm and maximum would each read and write it. Here a few images at a time pass through all of them within a core's
cache. Two facts allow it: a maximum commutes with the increasing affine map that a norm is (a minimum where the scale
is negative), and batch statistics need nothing but two sums (benchmarks/ststnet_loso.py).
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from merjax.models.inside import keep
from merjax.models.layers import Dropout, halve

NINE = tuple((i, j) for i in range(3) for j in range(3))  # the places of a 3 x 3 window, of kernel and pooling alike
BLOCK = 16  # images that pass through together


class STSTNet(nn.Module):
    """Three shallow branches over (u, v, strain), concatenated, one linear layer: 1,683 parameters for 3 classes.

    | layer | output at 28 x 28 |
    | --- | --- |
    | three 3 x 3 convolutions of 3, 5 and 8 filters, padding 2, with bias, relu, batch norm | b, 30, 30, 16 |
    | 3 x 3 maximum, stride 3, padding 1; dropout | b, 10, 10, 16 |
    | 2 x 2 average | b, 5, 5, 16 |
    | flatten, dense | b, classes |

    The branches see the same input, so one convolution of 16 filters is the same function with the same parameters;
    batch norm and dropout act per channel and per entry. The bias stays: it comes before relu, not before the norm.

    Source: authors' PyTorch code, from summaries (methods 10); STATED.

    Attributes:
        classes: number of classes.
        dropout: rate after pooling; 0.5 in the authors' code.
    """

    classes: int
    dropout: float = 0.5

    @property
    def streams(self) -> int:
        """Streams that the input must have."""
        return 1

    @nn.compact
    def __call__(self, x: Float[Array, "b p h w c"], *, train: bool) -> Float[Array, "b {self.classes}"]:
        """Logits of a batch."""
        y = PooledConv(3 + 5 + 8)(x[:, 0], train=train)
        y = keep(self, y, "stream_1")
        y = Dropout(self.dropout)(y, train=train)
        y = halve(y)
        return nn.Dense(self.classes)(jnp.reshape(y, (y.shape[0], -1)))


class PooledConv(nn.Module):
    """Convolution 3 x 3 (padding 2, bias), relu, batch norm, maximum 3 x 3 (stride 3, padding 1), as one layer.

    Batch norm is that of `layers.Norm`: momentum 0.9, epsilon 1e-5, biased variance. Places of a window that are
    equally large share its gradient.

    Attributes:
        features: output channels.
    """

    features: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b y x {self.features}"]:
        """Applies the layer; see the class."""
        width = (self.features,)
        kernel = self.param("kernel", nn.initializers.he_normal(), (3, 3, x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, width)
        scale = self.param("scale", nn.initializers.ones, width)
        shift = self.param("shift", nn.initializers.zeros, width)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, width)
        running_var = self.variable("batch_stats", "var", jnp.ones, width)

        one = jax.checkpoint(
            functools.partial(conv_pool, size=(x.shape[1], x.shape[2]))
        )  # made again for the gradient: cheaper
        sign = jnp.where(scale < 0, -1.0, 1.0)
        peak, total, squares = jax.lax.map(lambda part: one(part, kernel, bias, sign), tiles(x))
        mean, var = running_mean.value, running_var.value
        if train:
            places = x.shape[0] * (x.shape[1] + 2) * (x.shape[2] + 2)
            mean = total.sum(0) / places
            var = jnp.maximum(squares.sum(0) / places - mean**2, 0.0)
            if not self.is_initializing():
                running_mean.value = 0.9 * running_mean.value + 0.1 * mean
                running_var.value = 0.9 * running_var.value + 0.1 * var
        gain = scale * jax.lax.rsqrt(var + 1e-5)
        y = (peak - mean[None, :, None]) * gain[None, :, None] + shift[None, :, None]
        rows, columns = cells(x.shape[1]), cells(x.shape[2])
        y = y.reshape(len(peak), self.features, rows, columns, -1)
        return y.transpose(0, 4, 2, 3, 1).reshape(x.shape[0], rows, columns, self.features)


def cells(side: int) -> int:
    """Pooling windows along a side of the input."""
    return (side + 1) // 3 + 1


def tiles(x: Float[Array, "b h w c"]) -> Float[Array, "blocks c 3 3 y x m"]:
    """The input padded, in blocks of images, cut by the place of a pixel in its 3 x 3 tile; images lie innermost.

    Every place of every pooling window is then one contiguous slice. When h + 2 is a multiple of 3, pooling leaves out
    the last row of the convolution's map and has a row of padding before the first; the statistics need that last
    row, so the padding is filled such that it appears there. The same for columns.
    """
    batch, _, _, channels = x.shape
    for axis in (1, 2):
        side = x.shape[axis]
        last = jax.lax.slice_in_dim(x, side - 1, side, axis=axis)
        if (side + 2) % 3:
            last = jnp.zeros_like(last)
        x = jnp.concatenate([last, jnp.zeros_like(last), jnp.zeros_like(last), x], axis)
        spread = [(0, 0)] * 4
        spread[axis] = (0, 3 * cells(side) - side)
        x = jnp.pad(x, spread)
    block = max(size for size in range(1, min(BLOCK, batch) + 1) if batch % size == 0)
    x = x.reshape(batch // block, block, x.shape[1] // 3, 3, x.shape[2] // 3, 3, channels)
    return x.transpose(0, 6, 3, 5, 2, 4, 1)


def conv_pool(
    x: Float[Array, "c 3 3 y x m"],
    kernel: Float[Array, "3 3 c o"],
    bias: Float[Array, " o"],
    sign: Float[Array, " o"],
    *,
    size: tuple[int, int],
) -> tuple[Float[Array, "o places"], Float[Array, " o"], Float[Array, " o"]]:
    """Convolves and pools one block of `tiles` of images of a size (h, w); see `pool`."""
    channels, _, _, rows, columns, images = x.shape
    slices = []
    for di, dj in NINE:
        for c in range(channels):
            for i, j in NINE:
                row, column = (i + di) // 3, (j + dj) // 3
                place = x[c, (i + di) % 3, (j + dj) % 3, row : row + rows - 1, column : column + columns - 1]
                slices.append(place.reshape(-1))
    patches = jnp.concatenate(slices).reshape(9 * channels, -1)
    z = kernel.reshape(9 * channels, -1).T @ patches
    return pool(z.reshape(len(z), 9, -1) + bias[:, None, None], sign, size, images)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def pool(
    z: Float[Array, "o 9 places"], sign: Float[Array, " o"], size: tuple[int, int], images: int
) -> tuple[Float[Array, "o places"], Float[Array, " o"], Float[Array, " o"]]:
    """The maximum of relu(z) over every window (the minimum where `sign` is -1), and the sums for batch statistics.

    Args:
        z: the convolution's map, the nine places of a window by themselves.
        sign: 1 or -1 per channel.
        size: (h, w) of the input.
        images: images in the block.

    Returns:
        Maximum per window; sum and sum of squares of relu(z) over the whole map.
    """
    return pool_forward(z, sign, size, images)[0]


def pool_forward(z: Array, sign: Array, size: tuple[int, int], images: int) -> tuple:
    """`pool` and what its gradient needs."""
    pooled, counted = places(size, images)
    y = jnp.where(counted, jax.nn.relu(z), 0.0)
    signed = jnp.where(pooled, sign[:, None, None] * y, -jnp.inf)
    peak, total, squares = signed[:, 0], y[:, 0], y[:, 0] ** 2
    for i in range(1, 9):  # nine slices, not a reduction: these stay one loop over contiguous memory
        peak, total, squares = jnp.maximum(peak, signed[:, i]), total + y[:, i], squares + y[:, i] ** 2
    return (sign[:, None] * peak, total.sum(1), squares.sum(1)), (z, sign, peak)


def pool_backward(size: tuple[int, int], images: int, kept: tuple, gradients: tuple) -> tuple:
    """Gradient of `pool`: only places that equal their window's maximum, and the sums', reach z."""
    (z, sign, peak), (d_peak, d_total, d_squares) = kept, gradients
    pooled, counted = places(size, images)
    is_peak = pooled & (sign[:, None, None] * jax.nn.relu(z) == peak[:, None])
    count = is_peak[:, 0].astype(jnp.float32)
    for i in range(1, 9):
        count += is_peak[:, i]
    share = jnp.where(is_peak, (d_peak / count)[:, None], 0.0)
    dz = d_total[:, None, None] + 2.0 * z * d_squares[:, None, None] + share
    return jnp.where(counted & (z > 0), dz, 0.0), jnp.zeros_like(sign)


pool.defvjp(pool_forward, pool_backward)


def places(size: tuple[int, int], images: int) -> tuple[Bool[np.ndarray, "1 9 places"], Bool[np.ndarray, "1 9 places"]]:
    """Which places of `tiles` take part in pooling, and which in the statistics (see `tiles`)."""

    def along(side: int) -> tuple[np.ndarray, np.ndarray]:
        row = 3 * np.arange(cells(side)) + np.arange(3)[:, None] - 1  # [3, cells], in the convolution's map
        return (row >= 0) & (row < side + 2), row % (3 * cells(side)) < side + 2

    def over(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        both = rows[:, None, :, None] & columns[None, :, None, :]
        return np.repeat(both.reshape(1, 9, -1), images, axis=2)

    (rows_pooled, rows_counted), (columns_pooled, columns_counted) = along(size[0]), along(size[1])
    return over(rows_pooled, columns_pooled), over(rows_counted, columns_counted)
