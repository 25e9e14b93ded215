"""Rank pooling of one clip: dynamic images, in time order or in the order of motion intensity.

A clip comes padded: `frames` holds `t` frames of which the first `length` count, so that clips of many lengths share
one compilation. Frames stay uint8 and are accumulated one by one: a float copy of a clip costs more than the sum.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt8

from merjax.types import pick


def harmonic_weights(rank: Int[Array, " t"], length: Int[Array, ""]) -> Float[Array, " t"]:
    """Approximate rank pooling on running means.

    alpha_i = 2 (N - i + 1) - (N + 1) (H_N - H_{i-1}), with rank i = 1..N and the harmonic numbers H.

    Args:
        rank: 1-based rank of every frame; ranks above `length` are padding.
        length: N, the number of frames that count.

    Returns:
        Weights that sum to zero, zero for padding; 1 for the only frame of a clip of one frame.

    Source: Bilen et al. 2016, author's layer; STATED (methods 9.1).
    """
    harmonic = jnp.cumsum(1.0 / jnp.arange(1, rank.shape[0] + 1, dtype=jnp.float32))
    harmonic = jnp.concatenate([jnp.zeros(1, jnp.float32), harmonic])  # harmonic[i] = H_i
    rest = harmonic[length] - harmonic[jnp.clip(rank - 1, 0, rank.shape[0])]
    weights = 2.0 * (length - rank + 1) - (length + 1) * rest
    weights = jnp.where(length == 1, 1.0, weights)
    return jnp.where(rank <= length, weights, 0.0)


def linear_weights(rank: Int[Array, " t"], length: Int[Array, ""]) -> Float[Array, " t"]:
    """Approximate rank pooling without running means: alpha_i = 2 i - N - 1.

    Args:
        rank: 1-based rank of every frame; ranks above `length` are padding.
        length: N, the number of frames that count.

    Returns:
        Weights that sum to zero and grow with the rank, zero for padding.

    Source: methods 9.2; STATED there as the form that MESTI extends.
    """
    return jnp.where(rank <= length, 2.0 * rank - length - 1.0, 0.0)


SCALES = ("minmax", "symmetric")
COEFFICIENTS = {"harmonic": harmonic_weights, "linear": linear_weights}


def rank_pool(frames: UInt8[Array, "t h w c"], weights: Float[Array, " t"]) -> Float[Array, "h w c"]:
    """Weighted sum of frames, in grey levels (0 to 255 per unit of weight).

    A static clip gives zero wherever the weights sum to zero.

    Args:
        frames: the clip, padding included.
        weights: one per frame, zero for padding.

    Returns:
        The pooled image, unscaled and signed.
    """

    def add(i: Int[Array, ""], total: Float[Array, "h w c"]) -> Float[Array, "h w c"]:
        return total + weights[i] * frames[i].astype(jnp.float32)

    return jax.lax.fori_loop(0, frames.shape[0], add, jnp.zeros(frames.shape[1:], jnp.float32))


def motion_intensity(frames: UInt8[Array, "t h w c"]) -> Float[Array, " t"]:
    """Mean absolute grey-level difference of every frame to the onset frame.

    Args:
        frames: the clip; frame 0 is the onset.

    Returns:
        Intensity per frame in grey levels, 0 for the onset.

    Source: the paper does not say how intensity is measured; OUR CHOICE (methods 5), on frames as they come:
    histogram equalisation, if wanted, belongs before.
    """
    grey = jnp.array([0.299, 0.587, 0.114]) if frames.shape[-1] == 3 else jnp.full(frames.shape[-1], 1.0)

    def one(frame: UInt8[Array, "h w c"]) -> Float[Array, ""]:
        return jnp.abs((frame.astype(jnp.float32) - frames[0].astype(jnp.float32)) @ grey).mean()

    return jax.lax.map(one, frames)


def rescale(image: Float[Array, "h w c"], scale: str = "minmax") -> Float[Array, "h w c"]:
    """Scales a pooled image jointly over height, width and channels.

    Args:
        image: a pooled image, signed.
        scale: "minmax" to 0..1, as the authors of dynamic images display them (STATED, methods 9.1), which moves the
            zero of motion from clip to clip; "symmetric" divides by the largest absolute value, to -1..1 with zero
            kept at zero (OUR CHOICE).

    Returns:
        The scaled image; all zero for a constant one.
    """
    pick(dict.fromkeys(SCALES), "scale", scale)
    if scale == "symmetric":
        largest = jnp.abs(image).max()
        return image / jnp.where(largest > 0, largest, 1.0)
    low, high = image.min(), image.max()
    return (image - low) / jnp.where(high > low, high - low, 1.0)


def dynamic_image(
    frames: UInt8[Array, "t h w c"],
    length: Int[Array, ""],
    *,
    coefficients: str = "harmonic",
    scale: str = "minmax",
) -> Float[Array, "h w c"]:
    """Dynamic image of a clip, frames ranked by time; what the AFN paper calls TRDI.

    Args:
        frames: the clip from onset to offset, padded.
        length: number of frames that count.
        coefficients: "harmonic" (Bilen; which form papers 2 to 4 use is UNKNOWN, so OUR CHOICE) or "linear".
        scale: see `rescale`.

    Returns:
        The scaled dynamic image.
    """
    rank = jnp.arange(1, frames.shape[0] + 1)
    return rescale(rank_pool(frames, pick(COEFFICIENTS, "coefficients", coefficients)(rank, length)), scale)


def midi(frames: UInt8[Array, "t h w c"], length: Int[Array, ""], *, scale: str = "minmax") -> Float[Array, "h w c"]:
    """Motion-intensity dynamic image: frames ranked by motion intensity, not by time.

    The sort is stable and ascending, so the frame with most motion has the largest weight. The weights are the linear
    ones: a running mean over an order that is not time has no meaning.

    Args:
        frames: the clip from onset to offset, padded.
        length: number of frames that count.
        scale: see `rescale`.

    Returns:
        The scaled image.

    Source: re-ordering before ranking is STATED (paper 4); intensity, direction and weights are OUR CHOICE.
    """
    index = jnp.arange(frames.shape[0])
    intensity = jnp.where(index < length, motion_intensity(frames), jnp.inf)  # padding sorts last
    rank = jnp.argsort(jnp.argsort(intensity, stable=True)) + 1
    return rescale(rank_pool(frames, linear_weights(rank, length)), scale)
