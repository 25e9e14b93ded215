"""A convolution of every channel by itself, on a CPU."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from merjax.models.cpu.conv import windows


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def depthwise(x: Float[Array, "b h w c"], kernel: Float[Array, "k k 1 c"], stride: int) -> Float[Array, "b y x c"]:
    """One sum of shifted slices; the arguments of `models.conv.depthwise`.

    Its gradient keeps the image, where that of the sum would keep every slice of it.
    """
    weights = kernel.reshape(-1, 1, 1, 1, x.shape[-1])
    slices = around(x, len(kernel), stride)
    return functools.reduce(jnp.add, [one * w for one, w in zip(slices, weights, strict=True)])


def around(x: Float[Array, "b h w c"], size: int, stride: int) -> list[Float[Array, "b y x c"]]:
    """The shifted slices of images with zeros on every side."""
    pad = size // 2
    return windows(jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0))), size, stride)


def _gradients(
    stride: int, kept: tuple[Float[Array, "b h w c"], Float[Array, "k k 1 c"]], dy: Float[Array, "b y x c"]
) -> tuple[Float[Array, "b h w c"], Float[Array, "k k 1 c"]]:
    """By the image: the turned kernel over `dy` spread out. By the kernel: image by image, which stay in the cache."""
    x, kernel = kept
    edges = [(0, (side - 1) % stride, stride - 1) for side in x.shape[1:3]]
    spread = jax.lax.pad(dy, jnp.zeros((), dy.dtype), [(0, 0, 0), *edges, (0, 0, 0)])

    def add(sums: list[Float[Array, "x c"]], image: tuple[Array, Array]) -> tuple[list[Float[Array, "x c"]], None]:
        slices = around(image[0][None], len(kernel), stride)
        products = [(one[0] * image[1]).sum(0, dtype=jnp.float32) for one in slices]
        return [before + more for before, more in zip(sums, products, strict=True)], None

    zeros = 0.0 * dy[0, 0].astype(jnp.float32)  # as different from device to device as the sums will be
    sums, _ = jax.lax.scan(add, [zeros] * len(kernel) ** 2, (x, dy))
    by_kernel = jnp.stack([one.sum(0) for one in sums]).reshape(kernel.shape).astype(kernel.dtype)
    return depthwise(spread, kernel[::-1, ::-1], 1), by_kernel


depthwise.defvjp(lambda x, kernel, stride: (depthwise(x, kernel, stride), (x, kernel)), _gradients)
