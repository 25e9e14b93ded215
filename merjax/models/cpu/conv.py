"""Convolutions on a CPU: in the form that XLA hands to a library, or as matrix products that fit a core's cache."""

import functools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

PATCH_BYTES = 2**20  # of a block, about what a core's second-level cache holds; a larger kernel makes blocks as large
FEW = 4  # channels; of so few the library makes less than a product of patches does
SMALL = 4  # pixels; on smaller maps the library's convolution, or XLA's in its place, is many times slower


def convolve(
    x: Float[Array, "b h w c"], kernel: Float[Array, "i j c o"], stride: int, padding: int
) -> Float[Array, "b y x o"]:
    """A convolution by the way that suits its shape; the arguments of `models.conv.convolve`."""
    size, channels, sides = len(kernel), x.shape[-1], x.shape[1:3]
    dense = all(side + 2 * padding == size for side in sides)  # a kernel as large as the image
    if stride == 1 and size > 1 and channels > FEW and min(sides) >= SMALL and not dense:
        return direct(x, kernel, padding)
    return blocks(jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0))), kernel, stride)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def direct(x: Float[Array, "b h w c"], kernel: Float[Array, "i j c o"], padding: int) -> Float[Array, "b y x o"]:
    """A convolution of stride 1 whose two gradients are convolutions of the same form.

    A library takes that form alone: XLA's own gradients (a kernel turned round, images and channels exchanged) run in
    loops tens of times slower. Under `vmap` folds go one after another, since a library takes no grouped convolution
    either.
    """

    def plain(x: Float[Array, "b h w c"], kernel: Float[Array, "i j c o"]) -> Float[Array, "b y x o"]:
        zeros, numbers = [(padding, padding)] * 2, ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, kernel, (1, 1), zeros, dimension_numbers=numbers)

    return jax.custom_batching.sequential_vmap(plain)(x, kernel)


def _forward(x: Array, kernel: Array, padding: int) -> tuple[Array, tuple[Array, Array]]:
    return direct(x, kernel, padding), (x, kernel)


def _gradients(padding: int, kept: tuple[Array, Array], g: Float[Array, "b y x o"]) -> tuple[Array, Array]:
    x, kernel = kept
    turned = kernel[::-1, ::-1].swapaxes(2, 3)
    of_kernel = direct(x.transpose(3, 1, 2, 0), g.transpose(1, 2, 0, 3), padding).transpose(1, 2, 0, 3)
    return direct(g, turned, len(kernel) - 1 - padding), of_kernel


direct.defvjp(_forward, _gradients)


def blocks(x: Float[Array, "b h w c"], kernel: Float[Array, "i j c o"], stride: int) -> Float[Array, "b y x o"]:
    """A convolution without padding as matrix products, of a few images at a time, whose patches fit a core's cache.

    The patches are made again for the gradient: that costs less than to write and to read them.
    """
    block = images_at_once(x.shape, kernel.shape, stride)
    if block == len(x):
        return patches(x, kernel, stride)
    convolve = jax.checkpoint(lambda images: patches(images, kernel, stride))
    y = jax.lax.map(convolve, x.reshape(-1, block, *x.shape[1:]))
    return y.reshape(-1, *y.shape[2:])


def images_at_once(x: tuple[int, ...], kernel: tuple[int, ...], stride: int) -> int:
    """Images whose patches fit a core's cache; divides their number. By the shapes of all images and of the kernel.

    A kernel that does not fit by itself is read, and its gradient added to, once a block: then patches may be as large.
    """
    if kernel[0] == 1:
        return x[0]  # the patches are the images themselves
    one_image = 4 * x[1] * x[2] * kernel[0] ** 2 * x[3] // stride**2
    most = max(one_image, PATCH_BYTES, 4 * math.prod(kernel)) // one_image
    return max(size for size in range(1, min(most, x[0]) + 1) if x[0] % size == 0)


def patches(x: Float[Array, "b h w c"], kernel: Float[Array, "i j c o"], stride: int) -> Float[Array, "b y x o"]:
    """A convolution without padding as one matrix product: shifted slices side by side times the kernel."""
    slices = windows(x, len(kernel), stride)
    # Two axes alone: of more, XLA would first turn the gradient round in memory.
    seen = jnp.concatenate(slices, axis=-1).reshape(-1, kernel[..., 0].size)
    return (seen @ kernel.reshape(-1, kernel.shape[-1])).reshape(*slices[0].shape[:-1], -1)


def windows(x: Float[Array, "b h w c"], size: int, stride: int) -> list[Float[Array, "b y x c"]]:
    """The size x size strided slices whose same entries are one window of a convolution."""
    rows, columns = ((side - size) // stride * stride + 1 for side in x.shape[1:3])
    return [x[:, i : i + rows : stride, j : j + columns : stride] for i in range(size) for j in range(size)]
