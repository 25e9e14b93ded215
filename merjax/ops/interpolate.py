"""Clips of any length brought to one number of frames: linear interpolation and the temporal interpolation model.

A clip comes padded: of `frames` the first `length` count, so that clips of many lengths share one compilation. A new
clip is a weighted sum of the old frames, made image by image: no float copy of a clip exists.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt8

from merjax.types import InputError


def positions(length: Int[Array, ""], *, to: int) -> Float[Array, " to"]:
    """Where the new frames lie in the old clip: frame i at i (length - 1) / (to - 1), so that both ends are kept.

    Args:
        length: number of old frames that count.
        to: number of new frames. One new frame lies at 0, as `numpy.linspace` has it (OUR CHOICE).

    Returns:
        Positions in old frames, 0 for the first.

    Raises:
        InputError: no frame is asked for.
    """
    if to < 1:
        raise InputError(f"to is {to}; it must be 1 or more frames")
    # Multiplied first: whole positions then come out whole.
    return jnp.arange(to, dtype=jnp.float32) * (length - 1) / max(to - 1, 1)


def move_apex(apex: Int[Array, ""], length: Int[Array, ""], *, to: int) -> Int[Array, ""]:
    """The new frame nearest to the apex.

    An apex inside the clip stays inside, next to the end at worst: on the first frame it would leave no motion from
    onset to apex (OUR CHOICE). It can't with fewer than three frames.

    Args:
        apex: 0-based position in the old clip.
        length: number of old frames that count.
        to: number of new frames.

    Returns:
        0-based position in the new clip.

    Raises:
        InputError: no frame is asked for.
    """
    if to < 1:
        raise InputError(f"to is {to}; it must be 1 or more frames")
    last = jnp.maximum(length - 1, 1)
    moved = (2 * apex * (to - 1) + last) // (2 * last)  # rounds half up, in whole numbers
    inside = (apex > 0) & (apex < length - 1) & (to > 2)
    return jnp.where(inside, jnp.clip(moved, 1, max(to - 2, 1)), jnp.clip(moved, 0, to - 1))


def linear(frames: UInt8[Array, "t h w c"], length: Int[Array, ""], *, to: int) -> UInt8[Array, "to h w c"]:
    """Every new frame is the mean of its two neighbours in the old clip, weighted by nearness.

    Args:
        frames: the clip, padded.
        length: number of frames that count.
        to: number of new frames.

    Returns:
        The new clip, rounded; nothing of it is padding.

    Raises:
        InputError: no frame is asked for.

    Source: customary; ends kept is OUR CHOICE.
    """

    def one(position: Float[Array, ""]) -> UInt8[Array, "h w c"]:
        before = jnp.floor(position).astype(jnp.int32)
        first = frames[before].astype(jnp.float32)
        second = frames[jnp.minimum(before + 1, length - 1)].astype(jnp.float32)
        return jnp.round(first + (position - before) * (second - first)).astype(jnp.uint8)

    return jax.lax.map(one, positions(length, to=to))


def tim_weights(length: Int[Array, ""], *, t: int, to: int) -> Float[Array, "to t"]:
    """The temporal interpolation model as weights of the old frames.

    w_j(i) = 1/n + 2/n sum_{k=1}^{n-1} f_k(t_j) cos(pi k (i - 1/2) / n), frames i = 1..n, with the model's curve
    f_k(t) = sin(pi k t + pi (n - k) / (2 n)) = cos(pi k (t - 1 / (2 n))) and times t_j from 1/n to 1.

    The published steps are: take the mean image away, X = U S V^T, embed the frames by the eigenvectors Y of the path
    graph's Laplacian, find the linear map A from images to Y, and carry the curve back by its inverse. The rows of
    S V^T and the columns of Y span the same space, all that sums to zero over frames, so the inverse of A is X Y: a
    new image is the mean + X Y y(t), and its weights do not depend on what the clip shows. Y is the cosine basis
    above: the model is cosine interpolation in time. With linearly dependent frames A has no inverse, and published
    programs stop; its pseudo-inverse gives the very same weights, which is why no other rule is needed here.

    Args:
        length: n, the number of old frames that count.
        t: number of old frames, padding included.
        to: number of new frames.

    Returns:
        Weights that sum to one for every new frame, some of them negative; zero for padding.

    Raises:
        InputError: no frame is asked for.

    Source: Zhou et al. 2011, Pfister et al. 2011; the closed form follows from the published steps (INFERRED), times
    from 1/n to 1 so that the ends are kept (OUR CHOICE: some programs start at 0, which is before the first frame).
    """
    index = jnp.arange(t)
    wave = jnp.pi * index / length
    curve = jnp.cos((positions(length, to=to)[:, None] + 0.5) * wave[None])
    embedding = jnp.cos((index[:, None] + 0.5) * wave[None])
    scale = jnp.where(index == 0, 1.0, 2.0) / length
    scale = jnp.where(index < length, scale, 0.0)
    # Accelerators round factors of a product to fewer digits unless told otherwise.
    weights = jnp.matmul(curve * scale[None], embedding.T, precision=jax.lax.Precision.HIGHEST)
    return jnp.where(index[None] < length, weights, 0.0)


def tim(frames: UInt8[Array, "t h w c"], length: Int[Array, ""], *, to: int) -> UInt8[Array, "to h w c"]:
    """Temporal interpolation model: a smooth curve through all frames, read at new times.

    As many frames as there were give the same clip. Weights may be negative: at a sudden change the curve swings past
    0 or 255, where it is clipped. See `tim_weights` for the formula, the source and linearly dependent frames.

    Args:
        frames: the clip, padded.
        length: number of frames that count.
        to: number of new frames.

    Returns:
        The new clip, rounded and clipped; nothing of it is padding.

    Raises:
        InputError: no frame is asked for.
    """

    def one(weights: Float[Array, " t"]) -> UInt8[Array, "h w c"]:
        def add(i: Int[Array, ""], total: Float[Array, "h w c"]) -> Float[Array, "h w c"]:
            return total + weights[i] * frames[i].astype(jnp.float32)

        total = jax.lax.fori_loop(0, len(frames), add, jnp.zeros(frames.shape[1:], jnp.float32))
        return jnp.clip(jnp.round(total), 0, 255).astype(jnp.uint8)

    return jax.lax.map(one, tim_weights(length, t=frames.shape[0], to=to))


INTERPOLATIONS = {"linear": linear, "tim": tim}
