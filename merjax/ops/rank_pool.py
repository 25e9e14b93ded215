"""Rank pooling of one clip: dynamic images of the whole, by phase, and around the apex.

A clip comes padded: `frames` holds `t` frames of which the first `length` count, and `apex` is a 0-based position among
them, so that clips of many lengths share one compilation. Inputs give [p h w c], one image for each stream.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from merjax.ops.vectors import minmax
from merjax.types import pick

Frames = UInt8[Array, "t h w c"] | Float[Array, "t h w c"]  # grey levels, 0..255
FRAMES_A_STEP = 8  # one pass over the float sum adds this many: it is read and written less often


def _running_mean_weights(rank: Int[Array, " t"], length: Int[Array, ""], offset: Int[Array, ""]) -> Float[Array, " t"]:
    """alpha_i = sum over j = i..N of (2 j - offset) / j, in closed form with harmonic numbers."""
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, rank.shape[0] + 1))])  # harmonic[i] = H_i
    table = jnp.asarray(harmonic, jnp.float32)
    rest = table[length] - table[jnp.clip(rank - 1, 0, rank.shape[0])]
    return _only(rank, length, 2.0 * (length - rank + 1) - offset * rest)


def _only(rank: Int[Array, " t"], length: Int[Array, ""], weights: Float[Array, " t"]) -> Float[Array, " t"]:
    """Weights of ranks 1 to `length`, zero for others."""
    return jnp.where((rank >= 1) & (rank <= length), weights, 0.0)


def harmonic_weights(rank: Int[Array, " t"], length: Int[Array, ""]) -> Float[Array, " t"]:
    """Approximate rank pooling on running means.

    alpha_i = sum over j = i..N of (2 j - N - 1) / j = 2 (N - i + 1) - (N + 1) (H_N - H_{i-1}), rank i = 1..N.

    Args:
        rank: 1-based rank of every frame; below 1 and above `length` a frame does not count.
        length: N, the number of frames that count.

    Returns:
        Weights that sum to zero. The only frame of a clip of one frame gets 0, as it shows no motion (OUR CHOICE: the
        author's layer gives it 1).

    Source: Bilen et al. 2016, author's layer; STATED.
    """
    return _running_mean_weights(rank, length, length + 1)


def linear_weights(rank: Int[Array, " t"], length: Int[Array, ""]) -> Float[Array, " t"]:
    """Approximate rank pooling without running means: alpha_i = 2 i - N - 1. Arguments as `harmonic_weights`.

    Returns:
        Weights that sum to zero and grow with the rank.

    Source: the form that the derivation of MESTI extends; STATED there.
    """
    return _only(rank, length, 2.0 * rank - length - 1.0)


def faulty_port_weights(rank: Int[Array, " t"], length: Int[Array, ""]) -> Float[Array, " t"]:
    """What a widespread Python port computes: (2 j - N) / j in the sum of `harmonic_weights`. Arguments as there.

    Returns:
        Weights that sum to N and not to zero, so that N times a mean face leaks into the motion image. Only to compare
        with results that were made so.

    Source: public code of dynamic images in Python; STATED.
    """
    return _running_mean_weights(rank, length, length)


def mesti_weights(index: Int[Array, " t"], length: Int[Array, ""], apex: Int[Array, ""]) -> Float[Array, " t"]:
    """Weights that grow towards the apex from both ends, in each phase for itself.

    With t and a counted from 1 and T frames: alpha_t = 2 t - a - 1 up to the apex, T - 2 t + a + 1 after it.

    Args:
        index: 0-based position of every frame.
        length: T, the number of frames that count.
        apex: 0-based position of the apex, a - 1.

    Returns:
        Weights that sum to zero in each phase; zero for padding.

    Source: MESTI, eq. 4; STATED (its eq. 2 and 3 print the index sets the other way round).
    """
    weights = jnp.where(index <= apex, 2.0 * index - apex, length + apex - 2.0 * index)
    return _only(index + 1, length, weights)


SCALES = ("minmax", "symmetric", "saturated", "none")
COEFFICIENTS = {"harmonic": harmonic_weights, "linear": linear_weights, "faulty_port": faulty_port_weights}


def _add_at_once(frames: Frames, weights: Float[Array, " t"]) -> Float[Array, "h w c"]:
    """Weighted sum of frames in one launch; true float32, which an accelerator's products are not by default.

    Frames keep their shape: a flattened clip costs a TPU a copy of it in another layout.
    """
    return jnp.tensordot(weights, frames.astype(jnp.float32), 1, precision="highest")


def _add_in_turn(frames: Frames, weights: Float[Array, " t"]) -> Float[Array, "h w c"]:
    """The same sum, FRAMES_A_STEP frames at a time.

    The bytes of a large clip are then read once and no float copy is made, which on a CPU costs more than the sum.
    """
    rows = frames.reshape(len(frames), -1)  # one long axis per frame is what the compiler vectorises best

    def add(start: int | Int[Array, ""], count: int, image: float | Float[Array, " n"]) -> Float[Array, " n"]:
        for i in range(count):
            image += weights[start + i] * rows[start + i].astype(jnp.float32)
        return jnp.asarray(image)

    # Those that fill no whole step come first, so that nothing need be set to zero: every pass wakes all threads.
    rest = (len(rows) - 1) % FRAMES_A_STEP + 1
    steps = (len(rows) - rest) // FRAMES_A_STEP
    image = add(0, rest, 0.0)
    image = jax.lax.fori_loop(
        0, steps, lambda step, image: add(rest + step * FRAMES_A_STEP, FRAMES_A_STEP, image), image
    )
    return image.reshape(frames.shape[1:])


def rank_pool(frames: Frames, weights: Float[Array, " t"]) -> Float[Array, "h w c"]:
    """Weighted sum of frames.

    Weights that sum to zero leave nothing of a pixel that never changes but what rounding leaves; that is set to zero,
    for the scaling of a still clip would blow it up to a faint face.

    Args:
        frames: the clip, padding included.
        weights: one per frame, zero for padding.

    Returns:
        The pooled image, unscaled and signed, in grey levels times weight.
    """
    image = jax.lax.platform_dependent(frames, weights, cpu=_add_in_turn, default=_add_at_once)
    rounding = len(frames) * jnp.finfo(jnp.float32).eps * jnp.abs(weights).sum()  # of sums of numbers like these
    still = jnp.abs(image) <= rounding * jnp.abs(frames[jnp.argmax(weights != 0)].astype(jnp.float32))
    return jnp.where(still, 0.0, image)


def rescale(image: Float[Array, "h w c"], scale: str = "minmax") -> Float[Array, "h w c"]:
    """Scales a pooled image jointly over height, width and channels.

    Args:
        image: a pooled image, signed, in grey levels times weight.
        scale: "minmax" to 0..1, as the authors of dynamic images display them (STATED), which moves the zero of motion
            from clip to clip; "symmetric" divides by the largest absolute value, to -1..1 with zero kept at zero (OUR
            CHOICE); "saturated" cuts to 0..255 and divides by 255, which is what OpenCV writes into a file when it is
            given unscaled floats; "none" leaves the image as it is.

    Returns:
        The scaled image; a constant one gives zero under "minmax" and "symmetric" leaves zero at zero.

    Raises:
        InputError: an unknown scale.
    """
    pick(dict.fromkeys(SCALES), "scale", scale)
    if scale == "none":
        return image
    if scale == "saturated":
        return jnp.clip(image, 0.0, 255.0) / 255.0
    if scale == "symmetric":
        largest = jnp.abs(image).max()
        return image / jnp.where(largest > 0, largest, 1.0)
    return minmax(image.reshape(len(image), -1)).reshape(image.shape)


def pool_range(
    frames: Frames, first: Int[Array, ""] | int, last: Int[Array, ""], *, coefficients: str = "harmonic"
) -> Float[Array, "h w c"]:
    """Unscaled dynamic image of the frames `first` to `last`, both included; zero for a range of one frame.

    Raises:
        InputError: unknown coefficients.
    """
    length = last - first + 1
    rank = jnp.arange(1, frames.shape[0] + 1) - first
    return rank_pool(frames, pick(COEFFICIENTS, "coefficients", coefficients)(rank, length))


def dynamic_image(
    frames: Frames, length: Int[Array, ""], *, coefficients: str = "harmonic", scale: str = "minmax"
) -> Float[Array, "1 h w c"]:
    """Dynamic image of a clip, frames ranked by time; what the AFN paper calls TRDI.

    Args:
        frames: the clip from onset to offset, padded.
        length: number of frames that count.
        coefficients: "harmonic" (Bilen), "linear" or "faulty_port"; which one the micro-expression papers use is
            UNKNOWN, so OUR CHOICE.
        scale: see `rescale`.
    """
    return rescale(pool_range(frames, 0, length - 1, coefficients=coefficients), scale)[None]


def rise_dynamic_image(
    frames: Frames, apex: Int[Array, ""], *, coefficients: str = "harmonic", scale: str = "minmax"
) -> Float[Array, "1 h w c"]:
    """Dynamic image of onset to apex, both included. Arguments as `phase_dynamic_images`."""
    return rescale(pool_range(frames, 0, apex, coefficients=coefficients), scale)[None]


def fall_dynamic_image(
    frames: Frames,
    length: Int[Array, ""],
    apex: Int[Array, ""],
    *,
    coefficients: str = "harmonic",
    scale: str = "minmax",
) -> Float[Array, "1 h w c"]:
    """Dynamic image of apex to offset, both included. Arguments as `phase_dynamic_images`."""
    return rescale(pool_range(frames, apex, length - 1, coefficients=coefficients), scale)[None]


def phase_dynamic_images(
    frames: Frames,
    length: Int[Array, ""],
    apex: Int[Array, ""],
    *,
    coefficients: str = "harmonic",
    scale: str = "minmax",
) -> Float[Array, "2 h w c"]:
    """One dynamic image of the rise and one of the fall, the two streams of DIANet.

    Args:
        frames: the clip from onset to offset, padded.
        length: number of frames that count.
        apex: 0-based position of the apex, which belongs to both phases (OUR CHOICE). A phase of one frame gives a
            zero image.
        coefficients: as `dynamic_image`.
        scale: see `rescale`; each image is scaled by itself.

    Source: one dynamic image for each phase is STATED (papers 2 and 3), in forward time order INFERRED.
    """
    rise = rise_dynamic_image(frames, apex, coefficients=coefficients, scale=scale)
    return jnp.concatenate([rise, fall_dynamic_image(frames, length, apex, coefficients=coefficients, scale=scale)])


def dynamic_views(
    frames: Frames,
    length: Int[Array, ""],
    apex: Int[Array, ""],
    *,
    coefficients: str = "harmonic",
    scale: str = "minmax",
) -> Float[Array, "3 h w c"]:
    """Three views of one clip: the dynamic image of the whole, of its rise and of its fall.

    They are training images of one sample, with one label and on one side of a split. Arguments as
    `phase_dynamic_images`.

    Source: phase images as extra training images are STATED (paper 2).
    """
    whole = dynamic_image(frames, length, coefficients=coefficients, scale=scale)
    return jnp.concatenate([whole, phase_dynamic_images(frames, length, apex, coefficients=coefficients, scale=scale)])


def mesti(
    frames: Frames, length: Int[Array, ""], apex: Int[Array, ""], *, scale: str = "minmax"
) -> Float[Array, "1 h w c"]:
    """Micro-expression spatio-temporal image: frames ranked by their nearness to the apex, in each phase.

    Args:
        frames: the clip from onset to offset, padded.
        length: number of frames that count.
        apex: 0-based position of the apex.
        scale: see `rescale`; the paper does not say how the sum becomes an image, so OUR CHOICE.

    Source: MESTI-MEGANet, eq. 4; STATED.
    """
    weights = mesti_weights(jnp.arange(frames.shape[0]), length, apex)
    return rescale(rank_pool(frames, weights), scale)[None]
