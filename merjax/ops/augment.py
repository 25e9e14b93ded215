"""Augmentation of one sample on the device. Geometry moves all streams of a clip together, and flow is a vector.

The plain operations come first; `random_augment` draws and applies them. With `vector`, channels 0 and 1 are (u right,
v down): a flip negates u, a rotation rotates (u, v). For flow encoded as colours see `through_hsv`.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from merjax.ops.colour import from_hsv, hsv
from merjax.types import InputError

STEEPEST = 45  # degrees; two passes turn further only at a loss of detail


def flip(x: Float[Array, "p h w c"], *, vector: bool) -> Float[Array, "p h w c"]:
    """Mirror image, left to right."""
    mirrored = x[:, :, ::-1]
    if not vector:
        return mirrored
    return jnp.concatenate([-mirrored[..., :1], mirrored[..., 1:]], axis=-1)


def shift(x: Float[Array, "p h w c"], offset: Int[Array, "2"]) -> Float[Array, "p h w c"]:
    """Moves the content by whole pixels; what is uncovered repeats the border.

    Args:
        x: one sample.
        offset: pixels (down, right).
    """
    _, h, w, _ = x.shape

    def by_number(x: Float[Array, "p h w c"], offset: Int[Array, "2"]) -> Float[Array, "p h w c"]:
        rows = jnp.clip(jnp.arange(h) - offset[0], 0, h - 1)
        columns = jnp.clip(jnp.arange(w) - offset[1], 0, w - 1)
        return x[:, rows][:, :, columns]

    def by_products(x: Float[Array, "p h w c"], offset: Int[Array, "2"]) -> Float[Array, "p h w c"]:
        rows, columns = (
            jax.nn.one_hot(jnp.clip(jnp.arange(side) - by, 0, side - 1), side, dtype=x.dtype)
            for side, by in ((h, offset[0]), (w, offset[1]))
        )
        x = jnp.einsum("yh,phwc->pywc", rows, x, precision="highest")
        return jnp.einsum("xw,pywc->pyxc", columns, x, precision="highest")

    # The same to the bit. A TPU fetches row after row; as products with zeros and ones it moves all of them at once.
    return jax.lax.platform_dependent(x, offset, tpu=by_products, default=by_number)


def rotate(
    x: Float[Array, "p h w c"], degrees: Float[Array, ""], *, vector: bool, most: float
) -> Float[Array, "p h w c"]:
    """Rotates the content about the centre in two passes, first along the rows, then along the columns.

    A pass interpolates linearly along its lines and repeats their ends, so affine images stay exact away from the
    border.

    Args:
        x: one sample.
        degrees: positive turns right towards down: clockwise as seen on the screen. From -most to most.
        vector: also rotate (u, v) by the same angle.
        most: largest angle; a smaller one makes a quicker program.

    Raises:
        InputError: `most` is above 45, where the first pass squeezes the rows too much.

    Source: Catmull and Smith 1980, STATED. Linear interpolation is OUR CHOICE. There is no gather: TPUs fetch single
    pixels very slowly.
    """
    if most > STEEPEST:
        raise InputError(f"degrees is {most:g}; the largest rotation can be {STEEPEST}")
    p, h, w, c = x.shape
    largest, angle = math.radians(most), jnp.deg2rad(degrees)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    bottom, end = (h - 1) / 2, (w - 1) / 2
    row, column = (jnp.arange(h) - bottom)[None, :, None], (jnp.arange(w) - end)[None, None, :]
    across = _reach(math.tan(largest) * bottom, (1 / math.cos(largest) - 1) * end)
    down = _reach(math.sin(largest) * end, (1 - math.cos(largest)) * bottom)

    x = _widen(x, sum(across), axis=2)
    if vector:
        u, v = x[..., :1], x[..., 1:2]
        x = jnp.concatenate([cos * u - sin * v, sin * u + cos * v, x[..., 2:]], axis=-1)
    planes = x.transpose(0, 3, 1, 2).reshape(p * c, h, -1)  # channels, only 3 long, not innermost
    planes = _resample(planes, sin / cos * row, (1 / cos - 1) * column, across, axis=2)
    planes = _resample(_widen(planes, sum(down), axis=1), -sin * column, (cos - 1) * row, down, axis=1)
    return planes.reshape(p, c, h, w).transpose(0, 2, 3, 1)


def slide(wide: Float[Array, "..."], start: Int[Array, "..."], most: int, axis: int) -> Float[Array, "..."]:
    """Slices along an axis, each line's from its own start, by selects in place of a gather.

    Args:
        wide: lines that are longer than the slices by `most`.
        start: 0..most, a scalar or of the rank of `wide` and of size 1 along the axis.
        most: the largest start.
        axis: along which the lines run.
    """
    while most:
        step = (most + 1) // 2  # halves what is left of the way, whatever its length
        length = wide.shape[axis] - step
        near, far = (jax.lax.slice_in_dim(wide, begin, begin + length, axis=axis) for begin in (0, step))
        wide = jnp.where(start >= step, far, near)
        start = jnp.where(start >= step, start - step, start)
        most -= step
    return wide


def _widen(x: Float[Array, "..."], width: int, axis: int) -> Float[Array, "..."]:
    """Repeats the border `width` times at both ends of an axis."""
    return jnp.pad(x, [(width, width) if i == axis else (0, 0) for i in range(x.ndim)], mode="edge")


def _reach(steady: float, rest: float) -> tuple[int, int]:
    """Whole pixels that lines are slid by, and pixels to each side that the sum after that takes.

    Args:
        steady: largest offset that all pixels of a line share.
        rest: largest further offset of a pixel.
    """
    return math.ceil(steady - 0.5), math.ceil(0.5 + rest)


def _resample(
    wide: Float[Array, "n _ _"],
    steady: Float[Array, "1 _ _"],
    rest: Float[Array, "1 _ _"],
    reach: tuple[int, int],
    axis: int,
) -> Float[Array, "n h w"]:
    """Every line seen at steady + rest pixels further on, by linear interpolation.

    Lines slide by the nearest whole pixel, then a few shifted slices are summed, weighed by the tent max(0, 1 - |t|):
    a sum over all offsets takes several times as long on a CPU.

    Args:
        wide: planes, widened along the axis by the sum of `reach`.
        steady: offset of each line, of size 1 along the axis.
        rest: further offset along a line, of size 1 across.
        reach: of `_reach`.
        axis: along which the lines run.
    """
    whole, spread = reach
    nearest = jnp.clip(jnp.round(steady), -whole, whole)
    wide = slide(wide, nearest.astype(jnp.int32) + whole, 2 * whole, axis)
    offset = steady - nearest + rest
    length = wide.shape[axis] - 2 * spread

    def tap(k: int) -> Float[Array, "n h w"]:
        weight = jnp.maximum(0.0, 1.0 - jnp.abs(k - offset))
        return weight * jax.lax.slice_in_dim(wide, k + spread, k + spread + length, axis=axis)

    return sum((tap(k) for k in range(1 - spread, spread + 1)), tap(-spread))


def light(
    x: Float[Array, "p h w c"], brightness: Float[Array, ""], contrast: Float[Array, ""]
) -> Float[Array, "p h w c"]:
    """Changes the light of an image: spreads its values about their mean, then adds to all of them.

    Args:
        x: one sample, an image in any range; nothing is clipped.
        brightness: what is added, in the unit of x.
        contrast: the factor is 1 + contrast; 0 changes nothing, -1 leaves the mean.
    """
    mean = x.mean()
    return mean + (1.0 + contrast) * (x - mean) + brightness


def through_hsv(
    change: Callable[..., Float[Array, "p h w 3"]],
) -> Callable[..., Float[Array, "p h w 3"]]:
    """Lifts a change of flow to flow that `colour.hsv` encoded: decodes, changes the vectors, encodes again.

    A mirror image of the colours alone would keep every hue and so every direction.

    Args:
        change: takes a sample as its last positional argument: `flip`, or `random_augment`, with `vector=True`.

    Returns:
        The same of a sample that holds colours.
    """

    def lifted(*arguments: Array) -> Float[Array, "p h w 3"]:
        return hsv(change(*arguments[:-1], from_hsv(arguments[-1])))

    return lifted


def random_augment(
    key: Key[Array, ""],
    x: Float[Array, "p h w c"],
    *,
    vector: bool,
    flips: bool,
    shifts: int,
    degrees: float,
    brightness: float = 0.0,
    contrast: float = 0.0,
) -> Float[Array, "p h w c"]:
    """A random flip, rotation, shift and change of light of one sample.

    Flips and rotations of 5 and 10 degrees are STATED (arXiv 2509.00056, MESTI); uniform angles, shifts and changes of
    light are OUR CHOICE.

    Args:
        key: random key.
        x: one sample, all its streams.
        vector: channels 0 and 1 are flow.
        flips: mirror every second sample on average.
        shifts: largest shift in pixels, 0 for none; whole pixels, uniform.
        degrees: largest rotation, 0 for none, at most 45; uniform.
        brightness: largest amount added or taken away, in the unit of x, 0 for none; uniform. Flow has no
            brightness: with `vector`, this and contrast do nothing.
        contrast: largest relative change of contrast, 0 for none; uniform.

    Raises:
        InputError: `degrees` is above 45.
    """
    key_flip, key_rotate, key_shift, key_light = jax.random.split(key, 4)
    if flips:
        mirrored: Bool[Array, ""] = jax.random.bernoulli(key_flip)
        x = jnp.where(mirrored, flip(x, vector=vector), x)
    if degrees:
        angle = jax.random.uniform(key_rotate, (), minval=-degrees, maxval=degrees)
        x = rotate(x, angle, vector=vector, most=degrees)
    if shifts:
        x = shift(x, jax.random.randint(key_shift, (2,), -shifts, shifts + 1))
    if (brightness or contrast) and not vector:
        more, spread = jax.random.uniform(key_light, (2,), minval=-1.0)
        x = light(x, brightness * more, contrast * spread)
    return x
