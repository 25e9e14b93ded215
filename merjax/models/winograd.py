"""3 x 3 convolutions of stride 1 with 4 products where the plain one has 9 (Lavin and Gray, CVPR 2016).

For every 2 x 2 pixels of the result, a 4 x 4 tile of the image becomes 16 sums, and so does the kernel; between them
stand 16 matrix products. F(2 x 2, 3 x 3) is STATED there. F(4 x 4, 3 x 3) has fewer products still, but its gradient
was slower here, and it rounds ten times worse.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

SUM_BYTES = 2**22  # of an image's sums at a time: a share of the cache that the cores have in common


def conv_winograd(x: Float[Array, "b h w c"], kernel: Float[Array, "3 3 c o"]) -> Float[Array, "b y x o"]:
    """The convolution, without padding; a few images at a time, whose sums are made again for the gradient."""
    images, height, width, channels = x.shape
    high, wide = (height - 1) // 2, (width - 1) // 2  # tiles, the last ones perhaps half outside
    x = jnp.pad(x, ((0, 0), (0, 2 * high + 2 - height), (0, 2 * wide + 2 - width), (0, 0)))
    kernels = [jnp.stack(of_kernel([row[j] for j in range(3)])) for row in of_kernel([kernel[i] for i in range(3)])]

    def convolve(x: Float[Array, "i h w c"], kernels: list[Float[Array, "4 c o"]]) -> Float[Array, "i y x o"]:
        rows = of_image([x[:, i : i + 2 * high - 1 : 2] for i in range(4)])
        tiles = [jnp.stack(of_image([row[:, :, j : j + 2 * wide - 1 : 2] for j in range(4)])) for row in rows]
        # Four products at once: fewer parts to compile than 16, and smaller copies than one of all.
        products = [jnp.einsum("jiyxc,jco->jiyxo", *pair) for pair in zip(tiles, kernels, strict=True)]
        pixels = [jnp.stack(of_products(list(row)), axis=3) for row in of_products(products)]
        return jnp.stack(pixels, axis=2).reshape(len(x), 2 * high, 2 * wide, -1)

    # More at a time where the kernel's sums are larger than the images': every block reads all of them.
    most = max(1, max(SUM_BYTES, 64 * kernel[0, 0].size) // (64 * high * wide * channels))
    block = max(size for size in range(1, min(most, images) + 1) if images % size == 0)
    if block == images:
        y = convolve(x, kernels)
    else:
        parts = x.reshape(-1, block, *x.shape[1:])
        y = jax.lax.map(lambda part: jax.checkpoint(convolve)(part, kernels), parts)
        y = y.reshape(images, *y.shape[2:])
    return y[:, : height - 2, : width - 2]


def of_image(d: Sequence[Array]) -> tuple[Array, Array, Array, Array]:
    """Sums of four lines of an image."""
    return d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]


def of_kernel(g: Sequence[Array]) -> tuple[Array, Array, Array, Array]:
    """Sums of the three lines of a kernel."""
    return g[0], (g[0] + g[1] + g[2]) / 2, (g[0] - g[1] + g[2]) / 2, g[2]


def of_products(m: Sequence[Array]) -> tuple[Array, Array]:
    """Two lines of the result."""
    return m[0] + m[1] + m[2], m[1] - m[2] - m[3]
