"""What is done to the frames of a clip before an input is made of them: equalised, magnified, brought to one length."""

import jax.numpy as jnp
from jaxtyping import Array, Int, UInt8

from merjax.ops.equalise import equalise as equalise_luma
from merjax.ops.interpolate import INTERPOLATIONS, move_apex
from merjax.ops.magnify import magnify
from merjax.types import InputError, pick

EQUALISATIONS = ("none", "global", "clahe")


def edit(
    frames: UInt8[Array, "t h w c"],
    length: Int[Array, ""],
    apex: Int[Array, ""],
    *,
    equalise: str = "none",
    clip: float = 2.0,
    tiles: int = 8,
    alpha: float = 0.0,
    low_hz: float = 1.0,
    high_hz: float = 8.0,
    cutoff: float = 16.0,
    fps: float = 0.0,
    interpolate: str = "none",
    to: int = 10,
) -> tuple[UInt8[Array, "s h w c"], Int[Array, ""], Int[Array, ""]]:
    """Equalises, then magnifies, then interpolates: magnification needs the camera's own speed.

    Args:
        frames: the clip, padded.
        length: number of frames that count.
        apex: 0-based position.
        equalise: histogram equalisation of the luma: "none", "global" or "clahe". STATED for paper 6, the variant is
            UNKNOWN; "none" is OUR CHOICE.
        clip: "clahe" only: limit of contrast.
        tiles: "clahe" only: tiles along each side.
        alpha: Eulerian magnification: factor of the band; 0 for none. No paper of the six states one.
        low_hz: lower edge of the band.
        high_hz: upper edge of the band. 1 to 8 Hz holds rises of about 60 to 500 ms (OUR CHOICE).
        cutoff: wavelength in pixels below which the factor falls.
        fps: frames per second of the clips; needed to magnify.
        interpolate: number of frames brought to `to`: "none", "linear" or "tim".
        to: number of frames of the new clip.

    Returns:
        The new clip with its length and its apex.

    Raises:
        InputError: an unknown name, or no `fps` where one is needed.
    """
    pick(dict.fromkeys(EQUALISATIONS), "frames.equalise", equalise)
    pick(dict.fromkeys(("none", *INTERPOLATIONS)), "frames.interpolate", interpolate)
    if equalise != "none":
        frames = equalise_luma(frames, method=equalise, clip=clip, tiles=tiles)
    if alpha != 0:
        if fps <= 0:
            raise InputError("frames.fps is 0; magnification (frames.alpha) needs the camera's frames per second")
        frames = magnify(frames, length, alpha=alpha, low_hz=low_hz, high_hz=high_hz, fps=fps, cutoff=cutoff)
    if interpolate != "none":
        resample = INTERPOLATIONS[interpolate]
        frames, apex = resample(frames, length, to=to), move_apex(apex, length, to=to)
        length = jnp.full_like(length, to)
    return frames, length, apex
