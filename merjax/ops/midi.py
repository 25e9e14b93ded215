"""Motion-intensity dynamic images: rank pooling in the order of motion instead of time.

Frames come padded, uint8 or float, as in `rank_pool`.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from merjax.ops.rank_pool import Frames, dynamic_image, linear_weights, rank_pool, rescale


def grey(image: Float[Array, "*n c"]) -> Float[Array, "*n"]:
    """Luma of an RGB image (0.299, 0.587, 0.114); the mean of the channels of any other, signed images included."""
    if image.shape[-1] == 3:
        return jnp.dot(image, jnp.array([0.299, 0.587, 0.114], jnp.float32), precision="highest")
    return image.mean(-1)


def frame_difference(frames: Frames) -> Float[Array, " t"]:
    """Mean absolute grey-level difference of every frame to the onset frame.

    Args:
        frames: the clip; frame 0 is the onset.

    Returns:
        Intensity per frame in grey levels, 0 for the onset.

    Source: the paper does not say how intensity is measured; OUR CHOICE, on frames as they come: histogram
    equalisation, if wanted, belongs before.
    """

    def difference(frames: Frames) -> Float[Array, " t"]:
        return jnp.abs(grey(frames.astype(jnp.float32) - onset)).mean((1, 2))

    def one_by_one(frames: Frames) -> Float[Array, " t"]:  # on a CPU a float copy of a clip costs more than a loop
        return jax.lax.map(lambda frame: difference(frame[None])[0], frames)

    onset = frames[:1].astype(jnp.float32)
    return jax.lax.platform_dependent(frames, cpu=one_by_one, default=difference)


def midi_of(
    frames: Frames, length: Int[Array, ""], intensity: Float[Array, " t"], *, scale: str = "minmax"
) -> Float[Array, "1 h w c"]:
    """Dynamic image of frames ranked by a given intensity, for example the mean length of the flow from the onset.

    The sort is stable and ascending, so the frame with most motion has the largest weight. The weights are the linear
    ones: a running mean over an order that is not time has no meaning.

    Args:
        frames: the clip from onset to offset, padded.
        length: number of frames that count.
        intensity: of every frame, in any unit; what it holds for padding does not matter.
        scale: see `rank_pool.rescale`.

    Source: re-ordering by motion before ranking is STATED (paper 4); direction and weights are OUR CHOICE.
    """
    padding = jnp.arange(frames.shape[0]) >= length
    order = jnp.lexsort((intensity, padding))  # by intensity, padding after all that counts; lexsort is stable
    rank = jnp.argsort(order) + 1
    return rescale(rank_pool(frames, linear_weights(rank, length)), scale)[None]


def midi(frames: Frames, length: Int[Array, ""], *, scale: str = "minmax") -> Float[Array, "1 h w c"]:
    """Motion-intensity dynamic image: `midi_of` with the grey-level difference to the onset as intensity.

    Args:
        frames: the clip from onset to offset, padded.
        length: number of frames that count.
        scale: see `rank_pool.rescale`.
    """
    return midi_of(frames, length, frame_difference(frames), scale=scale)


def trdi_midi(
    frames: Frames, length: Int[Array, ""], *, coefficients: str = "harmonic", scale: str = "minmax"
) -> Float[Array, "2 h w c"]:
    """TRDI, the dynamic image in time order, and MIDI of one clip: the two streams of AFN.

    Arguments as `rank_pool.dynamic_image` and `midi`.
    """
    return trdi_midi_of(frames, length, frame_difference(frames), coefficients=coefficients, scale=scale)


def trdi_midi_of(
    frames: Frames,
    length: Int[Array, ""],
    intensity: Float[Array, " t"],
    *,
    coefficients: str = "harmonic",
    scale: str = "minmax",
) -> Float[Array, "2 h w c"]:
    """TRDI, and the MIDI of a given intensity (see `midi_of`)."""
    first = dynamic_image(frames, length, coefficients=coefficients, scale=scale)
    return jnp.concatenate([first, midi_of(frames, length, intensity, scale=scale)])
