"""Batch and group normalisation, as `flax.linen` has them, as one factor and one term a channel.

flax takes the variance as a maximum with zero, whose gradient compares two numbers that a compiler may compute apart:
where they differ in a last bit, it is lost. Here no gradient asks whether two computed numbers are equal. On a CPU it
is also quicker (docs/speed.md). Images are channels-last, [b, h, w, c].
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Moments = tuple[Float[Array, "*s"], Float[Array, "*s"]]


class BatchNorm(nn.Module):
    """Batch normalisation, as `flax.linen`'s: biased variances, running means of both for testing.

    Attributes:
        channels: of the images.
        momentum: of the running statistics.
        epsilon: added to the variance.
    """

    channels: int
    momentum: float = 0.9
    epsilon: float = 1e-5

    def setup(self) -> None:
        """Parameters and running statistics."""
        width = (self.channels,)
        self.scale = self.param("scale", nn.initializers.ones, width)
        self.bias = self.param("bias", nn.initializers.zeros, width)
        self.mean = self.variable("batch_stats", "mean", jnp.zeros, width)
        self.var = self.variable("batch_stats", "var", jnp.ones, width)

    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h w c"]:
        """Normalises by the batch in training, by the running statistics otherwise."""
        wide = x.astype(jnp.float32)
        factor, term = self.affine(moments(wide, (0, 1, 2)) if train else None)
        return (wide * factor[None, None, None] + term[None, None, None]).astype(x.dtype)

    def affine(self, batch: Moments | None) -> tuple[Float[Array, " c"], Float[Array, " c"]]:
        """Factor and term of every channel.

        Args:
            batch: mean and mean square of a batch in training, which move the running statistics; None to test.
        """
        mean, var = self.mean.value, self.var.value
        if batch is not None:
            mean, var = batch[0], variance(*batch)
            if not self.is_initializing():
                self.mean.value = self.momentum * self.mean.value + (1.0 - self.momentum) * mean
                self.var.value = self.momentum * self.var.value + (1.0 - self.momentum) * var
        factor = self.scale * jax.lax.rsqrt(var + self.epsilon)
        return factor, self.bias - mean * factor


# flax's own variance of two passes, which compares nothing either.
LayerNorm = partial(nn.LayerNorm, use_fast_variance=False)


class GroupNorm(nn.Module):
    """Group normalisation, as `flax.linen`'s.

    Attributes:
        groups: must divide the channels.
        epsilon: added to the variance.
    """

    groups: int
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        """Normalises every image by itself."""
        images, channels = x.shape[0], x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))

        def of_group(a: Float[Array, "b c"]) -> Float[Array, "b c"]:
            means = a.reshape(images, self.groups, -1).mean(-1)
            return jnp.repeat(means, channels // self.groups, axis=-1)

        wide = x.astype(jnp.float32)
        mean, square = map(of_group, moments(wide, (1, 2)))
        factor = scale[None] * jax.lax.rsqrt(variance(mean, square) + self.epsilon)
        term = bias[None] - mean * factor
        return (wide * factor[:, None, None] + term[:, None, None]).astype(x.dtype)


def moments(x: Float[Array, "b h w c"], axes: tuple[int, ...]) -> Moments:
    """Mean and mean square over some axes."""
    return x.mean(axes), (x * x).mean(axes)


def variance(mean: Float[Array, "*s"], square: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """The biased variance; rounding makes none below zero."""
    found = square - mean * mean
    return jnp.where(found > 0, found, 0.0)
