"""Histogram equalisation of a clip's luma, frame by frame: global, or in tiles with limited contrast (CLAHE).

Frames are done one after another, so that memory does not grow with the clip. Padding repeats the last frame and so
does its result.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt8

from merjax.types import InputError, pick

LumaMap = Callable[[UInt8[Array, "h w"]], UInt8[Array, "h w"]]


def luma(frame: UInt8[Array, "h w c"]) -> UInt8[Array, "h w"]:
    """Brightness of a frame in grey levels: 0.299 R + 0.587 G + 0.114 B, or its only channel.

    Raises:
        InputError: neither one channel nor three.

    Agrees with OpenCV's conversion of RGB to the Y of YCrCb, which counts in 1/16384.
    """
    if frame.shape[-1] == 1:
        return frame[..., 0]
    if frame.shape[-1] != 3:
        raise InputError(f"frames have {frame.shape[-1]} channels; they must have 1 (grey) or 3 (RGB)")
    parts = frame.astype(jnp.int32) * jnp.array([[[4899, 9617, 1868]]])
    return ((parts.sum(-1) + 8192) >> 14).astype(jnp.uint8)


def histogram(grey: UInt8[Array, " n"]) -> Int[Array, " 256"]:
    """How often every grey level occurs."""
    # Adding ones in place: on a CPU many times faster than sums or products of one-hot rows, and than sorting.
    return jnp.zeros(256, jnp.int32).at[grey].add(1)


def global_map(grey: UInt8[Array, "h w"]) -> UInt8[Array, "h w"]:
    """Spreads the grey levels of an image so that each range of them is about equally frequent.

    level(v) = 255 (H_v - H_min) / (N - H_min) with the cumulative histogram H and H_min its first value above zero; an
    image of one grey level stays as it is.

    Agrees exactly with `cv2.equalizeHist`.
    """
    counts = histogram(grey.ravel())
    total = grey.size
    lowest = counts[jnp.argmax(counts > 0)]
    scale = 255.0 / jnp.maximum(total - lowest, 1).astype(jnp.float32)
    above = (jnp.cumsum(counts) - lowest).astype(jnp.float32)
    table = jnp.clip(jnp.round(above * scale), 0, 255).astype(jnp.uint8)
    return jnp.where(lowest == total, grey, table[grey])


def clahe_table(grey: UInt8[Array, " n"], clip: float) -> Float[Array, " 256"]:
    """New grey levels of one tile: its cumulative histogram after counts above the limit went to all levels alike.

    Args:
        grey: all pixels of the tile.
        clip: limit of a level's count, in mean counts (n / 256).
    """
    limit = max(int(clip * grey.size / 256), 1)
    counts = histogram(grey)
    excess = jnp.maximum(counts - limit, 0).sum()
    share, rest = excess // 256, excess % 256
    # What 256 does not divide goes to every step-th level from 0 on, one each, until it is used up.
    level = jnp.arange(256)
    step = jnp.maximum(256 // jnp.maximum(rest, 1), 1)
    extra = (level % step == 0) & (level // step < rest)
    counts = jnp.minimum(counts, limit) + share + extra
    return jnp.clip(jnp.round(jnp.cumsum(counts) * jnp.float32(255 / grey.size)), 0, 255)


def neighbours(size: int, tile: int, tiles: int) -> tuple[Int[Array, " n"], Int[Array, " n"], Float[Array, " n"]]:
    """For every pixel along one axis: the tiles whose centres lie before and after it, and how near the second is."""
    position = (jnp.arange(size, dtype=jnp.float32) / tile) - 0.5
    before = jnp.floor(position).astype(jnp.int32)
    return jnp.maximum(before, 0), jnp.minimum(before + 1, tiles - 1), position - before


def clahe_map(grey: UInt8[Array, "h w"], *, clip: float, tiles: int) -> UInt8[Array, "h w"]:
    """Contrast-limited adaptive histogram equalisation: every tile has its table, pixels blend the nearest four.

    Sides that `tiles` does not divide are padded for the tables by reflection about the last row and column, as OpenCV
    does; as there, a side that it does divide then grows by one pixel per tile too if the other does not.

    Args:
        grey: the image.
        clip: limit of a level's count in a tile, in mean counts; larger is more contrast.
        tiles: tiles along each side.

    Returns:
        The new image.

    Raises:
        InputError: no contrast is left, or a tile would be smaller than a pixel.

    Agrees with `cv2.createCLAHE(clip, (tiles, tiles))` within one grey level.

    Source: Zuiderveld 1994.
    """
    height, width = grey.shape
    if clip <= 0:
        raise InputError(f"clip is {clip}; it must be above 0")
    if not 1 <= tiles <= min(height, width):
        raise InputError(f"tiles is {tiles}; it must be from 1 to the shorter side of a frame, {min(height, width)}")
    grow = [0, 0] if height % tiles == width % tiles == 0 else [tiles - side % tiles for side in grey.shape]
    padded = jnp.pad(grey, ((0, grow[0]), (0, grow[1])), mode="reflect")
    tall, wide = padded.shape[0] // tiles, padded.shape[1] // tiles
    cells = padded.reshape(tiles, tall, tiles, wide).transpose(0, 2, 1, 3).reshape(tiles * tiles, tall * wide)
    tables = jax.vmap(partial(clahe_table, clip=clip))(cells).reshape(tiles, tiles, 256)
    top, bottom, down = (row[:, None] for row in neighbours(height, tall, tiles))
    left, right, across = (column[None] for column in neighbours(width, wide, tiles))
    upper = (1 - across) * tables[top, left, grey] + across * tables[top, right, grey]
    lower = (1 - across) * tables[bottom, left, grey] + across * tables[bottom, right, grey]
    return jnp.round((1 - down) * upper + down * lower).astype(jnp.uint8)


def equalise(
    frames: UInt8[Array, "t h w c"], *, method: str = "global", clip: float = 2.0, tiles: int = 8
) -> UInt8[Array, "t h w c"]:
    """Equalises the luma of every frame by its own histogram and keeps the chroma.

    Chroma is the difference of a colour to the luma, so every channel moves by what the luma moves, then is clipped.

    Args:
        frames: the clip, grey or RGB.
        method: "global", one histogram for the whole frame, or "clahe", see `clahe_map`.
        clip: "clahe" only: limit of contrast.
        tiles: "clahe" only: tiles along each side.

    Returns:
        The clip with new luma.

    Raises:
        InputError: unknown method, no limit or no tiles, tiles larger than the frame, or neither 1 nor 3 channels.

    Source: that frames are equalised is STATED (paper 6); the variant is UNKNOWN. Global, on luma, and the values for
    CLAHE are OUR CHOICE.
    """
    maps: dict[str, LumaMap] = {"global": global_map, "clahe": partial(clahe_map, clip=clip, tiles=tiles)}
    new_luma = pick(maps, "method", method)

    def one(frame: UInt8[Array, "h w c"]) -> UInt8[Array, "h w c"]:
        old = luma(frame)
        change = new_luma(old).astype(jnp.int32) - old
        return jnp.clip(frame + change[..., None], 0, 255).astype(jnp.uint8)

    return jax.lax.map(one, frames)
