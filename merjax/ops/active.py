"""The simplest motion images of one clip: its apex frame, apex minus onset, and the active image.

Frames come padded, uint8 or float, as in `rank_pool`.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from merjax.ops.midi import grey
from merjax.ops.rank_pool import Frames, rank_pool, rescale


def apex_frame(frames: Frames, apex: Int[Array, ""]) -> Float[Array, "1 h w c"]:
    """The apex frame alone, from 0 to 1: what an input without motion gives."""
    return frames[apex].astype(jnp.float32)[None] / 255.0


def onset_apex_difference(frames: Frames, apex: Int[Array, ""], *, scale: str = "symmetric") -> Float[Array, "1 h w c"]:
    """Apex frame minus onset frame; zero where nothing changed.

    Args:
        frames: the clip; frame 0 is the onset.
        apex: 0-based position of the apex.
        scale: see `rank_pool.rescale`; "symmetric" keeps rest at zero (OUR CHOICE).
    """
    return rescale(frames[apex].astype(jnp.float32) - frames[0].astype(jnp.float32), scale)[None]


def active_weights(index: Int[Array, " t"], length: Int[Array, ""]) -> Float[Array, " t"]:
    """Weights of the sum of I_j - I_k over all pairs k <= j - 2, as the author's program forms it.

    Frame j gets + (j - 1) as the later and - (N - 2 - j) as the earlier one of its pairs, neither below 0. That is
    2 j - N + 1, the linear weights of rank pooling, except that the first and the last frame weigh 1 less.

    Args:
        index: 0-based position of every frame.
        length: N, the number of frames that count.

    Returns:
        Weights that sum to zero, zero for padding; all zero for fewer than 3 frames.

    Source: OrigiNet, author's code; STATED, skipped neighbour (k = j - 1) included.
    """
    weights = jnp.maximum(index - 1.0, 0.0) - jnp.maximum(length - 2.0 - index, 0.0)
    return jnp.where(index < length, weights, 0.0)


def active_image(frames: Frames, length: Int[Array, ""], *, scale: str = "minmax") -> Float[Array, "1 h w c"]:
    """Active image of a clip, in grey, repeated over the channels that the frames have.

    Args:
        frames: the clip from onset to offset, padded. The author's program resizes to 128 x 128; here any size.
        length: number of frames that count.
        scale: see `rank_pool.rescale`. The author's program saves the unscaled sum with OpenCV, which is "saturated";
            as that leaves little more than the sign, the default is "minmax" (OUR CHOICE).

    Source: OrigiNet, author's code; STATED. Grey is taken after the sum, without rounding each frame (OUR CHOICE).
    """
    pooled = grey(rank_pool(frames, active_weights(jnp.arange(frames.shape[0]), length)))
    return rescale(jnp.repeat(pooled[..., None], frames.shape[-1], axis=-1), scale)[None]
