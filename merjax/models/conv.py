"""Convolutions of images, channels last, as every network has them."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from merjax.models import cpu
from merjax.models.cpu.conv import convolve as convolve_on_cpu
from merjax.models.cpu.depthwise import depthwise as depthwise_on_cpu


@cpu.instead(convolve_on_cpu)
def convolve(
    x: Float[Array, "b h w c"], kernel: Float[Array, "i j c o"], stride: int, padding: int
) -> Float[Array, "b y x o"]:
    """A convolution.

    Args:
        x: images.
        kernel: weights.
        stride: step in pixels.
        padding: zeros on every side.
    """
    return grouped(x, kernel, stride, padding, 1)


@cpu.instead(depthwise_on_cpu)
def depthwise(x: Float[Array, "b h w c"], kernel: Float[Array, "k k 1 c"], stride: int) -> Float[Array, "b y x c"]:
    """A convolution of every channel by itself, zeros on every side.

    Args:
        x: images.
        kernel: weights; k is odd.
        stride: step in pixels.
    """
    return grouped(x, kernel, stride, len(kernel) // 2, x.shape[-1])


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def grouped(
    x: Float[Array, "b h w c"], kernel: Float[Array, "i j d o"], stride: int, padding: int, groups: int
) -> Float[Array, "b y x o"]:
    """XLA's own convolution, whose gradients under `vmap` over folds are those of all folds' convolution at once.

    `vmap` of a gradient is a grouped convolution that XLA no longer knows as one for a filter: on a GPU it would run
    as a forward convolution whose window is the whole map. The gradient of a `vmap` is one that cuDNN has a kernel for.
    """
    zeros, numbers = [(padding, padding)] * 2, ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), zeros, dimension_numbers=numbers, feature_group_count=groups
    )


def _forward(x: Array, kernel: Array, *sizes: int) -> tuple[Array, tuple[Array, Array]]:
    return grouped(x, kernel, *sizes), (x, kernel)


def _gradients(
    stride: int, padding: int, groups: int, kept: tuple[Array, Array], g: Float[Array, "b y x o"]
) -> tuple[Array, Array]:
    plain = functools.partial(grouped.fun, stride=stride, padding=padding, groups=groups)

    @jax.custom_batching.custom_vmap
    def gradients(x: Array, kernel: Array, g: Array) -> tuple[Array, Array]:
        return _transposed(plain, x, kernel, g)

    @gradients.def_vmap
    def of_folds(count: int, batched: list[bool], *arguments: Array) -> tuple[tuple[Array, Array], tuple[bool, bool]]:
        x, kernel, g = (
            a if has_folds else jnp.broadcast_to(a, (count, *a.shape))
            for a, has_folds in zip(arguments, batched, strict=True)
        )
        return _transposed(jax.vmap(plain), x, kernel, g), (True, True)

    return gradients(*kept, g)


def _transposed(convolve: Callable[[Array, Array], Array], x: Array, kernel: Array, g: Array) -> tuple[Array, Array]:
    """The gradients of a function that is linear in the image and in the kernel, without computing it again."""
    (by_image,) = jax.linear_transpose(lambda x: convolve(x, kernel), x)(g)
    (by_kernel,) = jax.linear_transpose(lambda kernel: convolve(x, kernel), kernel)(g)
    return by_image, by_kernel


grouped.defvjp(_forward, _gradients)
