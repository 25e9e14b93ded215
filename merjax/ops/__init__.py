"""Pure functions of one clip: from frames or flow to network input.

`INPUTS` is the table that a config's `input.name` is looked up in.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt8

from merjax.ops import flow, rank_pool


class Input(NamedTuple):
    """How a network input is made from a clip.

    Attributes:
        make: takes the clip's parts named in `needs`, then keyword arguments; gives [p h w c].
        needs: "frames" (padded), "length", "apex" (0-based), "onset_apex", "apex_offset".
        streams: p.
        vector: channels 0 and 1 are flow, so that flips and rotations act on them as on vectors.
    """

    make: Callable[..., Float[Array, "p h w c"]]
    needs: tuple[str, ...]
    streams: int = 1
    vector: bool = False


def apex(frames: UInt8[Array, "t h w c"], apex: Int[Array, ""]) -> Float[Array, "1 h w c"]:
    """The apex frame alone, 0..1: what an input without motion gives."""
    return frames[apex][None] / 255.0


def dynamic_image(
    frames: UInt8[Array, "t h w c"], length: Int[Array, ""], *, coefficients: str = "harmonic", scale: str = "minmax"
) -> Float[Array, "1 h w c"]:
    """One dynamic image of the whole clip; see `rank_pool.dynamic_image`."""
    return rank_pool.dynamic_image(frames, length, coefficients=coefficients, scale=scale)[None]


def midi(frames: UInt8[Array, "t h w c"], length: Int[Array, ""], *, scale: str = "minmax") -> Float[Array, "1 h w c"]:
    """One motion-intensity dynamic image; see `rank_pool.midi`."""
    return rank_pool.midi(frames, length, scale=scale)[None]


def trdi_midi(
    frames: UInt8[Array, "t h w c"], length: Int[Array, ""], *, coefficients: str = "harmonic", scale: str = "minmax"
) -> Float[Array, "2 h w c"]:
    """TRDI and MIDI of one clip, the two streams of AFN."""
    first = rank_pool.dynamic_image(frames, length, coefficients=coefficients, scale=scale)
    return jnp.stack([first, rank_pool.midi(frames, length, scale=scale)])


INPUTS: dict[str, Input] = {
    "apex": Input(apex, ("frames", "apex")),
    "dynamic_image": Input(dynamic_image, ("frames", "length")),
    "midi": Input(midi, ("frames", "length")),
    "trdi_midi": Input(trdi_midi, ("frames", "length"), streams=2),
    "onset_apex": Input(flow.onset_apex, ("onset_apex",), vector=True),
    "apex_offset": Input(flow.apex_offset, ("apex_offset",), vector=True),
    "two_phases": Input(flow.two_phases, ("onset_apex", "apex_offset"), streams=2, vector=True),
    "cof": Input(flow.cof, ("onset_apex", "apex_offset"), vector=True),
    "mm_cof": Input(flow.mm_cof, ("onset_apex", "apex_offset"), vector=True),
}
