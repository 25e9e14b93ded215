"""Flow as a field of vectors: what counts as no motion, what one unit of length is, and how two fields combine.

Flow is (u right, v down). Its two components are kept as two maps: XLA reads maps much faster than pairs.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from merjax.types import pick

UNITS = ("range", "largest", "pixel", "given")
# A median needs no more than about a thousand pixels. Larger images are thinned to a grid: OUR CHOICE, for speed.
MEDIAN_PIXELS = 1024

Map = Float[Array, "h w"]
Bounds = tuple[tuple[Float[Array, ""], Float[Array, ""]], ...]


@jax.custom_jvp
@jax.jit  # one compilation also where the caller is not compiled
def extremes(*maps: Float[Array, "h w"]) -> Bounds:
    """Smallest and largest value of every map, in one reading of all of them."""

    def narrow(a: tuple[Array, ...], b: tuple[Array, ...]) -> tuple[Array, ...]:
        return tuple((jnp.minimum, jnp.maximum)[n % 2](*pair) for n, pair in enumerate(zip(a, b, strict=True)))

    start = tuple(jnp.array(end, one.dtype) for one in maps for end in (jnp.inf, -jnp.inf))
    found = lax.reduce(tuple(one for one in maps for _ in range(2)), start, narrow, (0, 1))
    return tuple(zip(found[::2], found[1::2], strict=True))


@extremes.defjvp
def _extremes_jvp(primals: tuple[Map, ...], tangents: tuple[Map, ...]) -> tuple[Bounds, Bounds]:
    """A reduction to several numbers has no derivative of its own."""
    return jax.jvp(lambda *maps: tuple((one.min(), one.max()) for one in maps), primals, tangents)


def minmax(image: Float[Array, "h w"]) -> Float[Array, "h w"]:
    """Scales one map to 0..1; a constant map gives zero.

    Source: M_norm = (M - min M) / (max M - min M) per map, STATED (arXiv 2510.07810).
    """
    ((low, high),) = extremes(image)
    return (image - low) / jnp.where(high > low, high - low, 1.0)


def speed(u: Float[Array, "h w"], v: Float[Array, "h w"]) -> Float[Array, "h w"]:
    """Length of every vector; its derivative at a zero vector is zero, not undefined."""
    square = u * u + v * v
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)


@jax.custom_jvp
@jax.jit  # one compilation also where the caller is not compiled
def median(values: Float[Array, " n"]) -> Float[Array, ""]:
    """The exact median, by halving an interval 32 times and counting.

    On a CPU some 20 times as fast as sorting (`benchmarks/cof.py`).

    Args:
        values: finite numbers, float32.

    Returns:
        What `jnp.median` gives: the mean of both middle values where n is even.
    """
    middle = (values.shape[0] + 1) // 2
    order = _ordered(lax.bitcast_convert_type(values, jnp.int32))

    def halve(bit: Int[Array, ""], least: Int[Array, ""]) -> Int[Array, ""]:
        # The largest number with fewer than `middle` values below it, bit by bit from the top.
        higher = least + lax.shift_right_logical(jnp.int32(-(2**31)), bit)
        return jnp.where((order < higher).sum() < middle, higher, least)

    lower = lax.fori_loop(0, 32, halve, jnp.int32(-(2**31)))
    lower = lax.bitcast_convert_type(_ordered(lower), jnp.float32)
    above = jnp.where(values > lower, values, jnp.inf).min()
    upper = jnp.where((values <= lower).sum() > values.shape[0] // 2, lower, above)
    return (lower + upper) / 2.0


@median.defjvp
def _median_jvp(
    primals: tuple[Float[Array, " n"]], tangents: tuple[Float[Array, " n"]]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Counting has no derivative; that of a median is the derivative of the values in the middle."""
    return jax.jvp(jnp.median, primals, tangents)


def _ordered(bits: Int[Array, "..."]) -> Int[Array, "..."]:
    """Bits of floats as integers in the same order; applied twice it gives the bits back."""
    return jnp.where(bits < 0, bits ^ 0x7FFFFFFF, bits)


def thin(image: Float[Array, "h w"], least: int = MEDIAN_PIXELS) -> Float[Array, " n"]:
    """Every k-th pixel of every k-th row, with the largest odd k that leaves `least` or more pixels.

    An odd step lets the grid be its own mirror image, so that a flipped image gives the same pixels. Images of fewer
    than about 3 x 3 x `least` pixels stay whole. OUR CHOICE.
    """

    def axis(size: int, step: int) -> range:
        steps = (size - 1) // step
        steps -= (size - 1 - steps * step) % 2  # as much left out before the first as after the last
        first = (size - 1 - steps * step) // 2
        return range(first, first + steps * step + 1, step)

    height, width = image.shape
    step = 1
    while len(axis(height, step + 2)) * len(axis(width, step + 2)) >= least:
        step += 2
    rows, columns = axis(height, step), axis(width, step)
    return image[rows.start : rows.stop : step, columns.start : columns.stop : step].ravel()


def centred(*flows: Float[Array, "h w _"], unit: str) -> list[tuple[Map, Map]]:
    """The components (u, v) of each flow, each with its own zero and unit; see `centre`."""
    pick(dict.fromkeys(UNITS), "unit", unit)
    maps = [flow[..., component] for flow in flows for component in (0, 1)]
    moved = maps
    if unit != "given":
        zeros = jax.vmap(median)(jnp.stack([thin(one) for one in maps]))  # one loop for all
        moved = [one - zero for one, zero in zip(maps, zeros, strict=True)]
    if unit == "range":
        moved = [2.0 * one * _inverse(high - low) for one, (low, high) in zip(moved, extremes(*maps), strict=True)]
    pairs = list(zip(moved[::2], moved[1::2], strict=True))
    if unit == "largest":
        scales = [_inverse(speed(u, v).max()) for u, v in pairs]
        pairs = [(u * scale, v * scale) for (u, v), scale in zip(pairs, scales, strict=True)]
    return pairs


def _inverse(number: Float[Array, ""]) -> Float[Array, ""]:
    """1 / number, but 0 for 0: a constant map stays zero."""
    return jnp.where(number > 0, 1.0 / jnp.where(number > 0, number, 1.0), 0.0)


def centre(flow: Float[Array, "h w c"], *, unit: str = "range") -> Float[Array, "h w 2"]:
    """Flow vectors with the median taken away, in a unit of their own.

    Most of a face does not move, so the median of u and of v is the best estimate of their zero in flow images that
    were min-max scaled, and of head drift in flow that was not. OUR CHOICE, as are all units. The median is that of
    `thin`: exact for 28 x 28 pixels, of 1024 pixels on a grid for 224 x 224.

    Args:
        flow: (u, v, ...) in any unit.
        unit: what 1 means in the result. "range": half the range of that component, for ready-made flow images,
            whose authors scaled u and v apart; it changes the directions of flow in pixels. "largest": the longest
            vector, which keeps directions; for flow in pixels. "pixel": what it was, so that large motion stays
            large. "given": as "pixel", and no median is taken away.

    Returns:
        (u, v); zero for a constant field, unless "given". About -2..2 in "range", -1..1 in "largest".

    Raises:
        InputError: an unknown unit.
    """
    (pair,) = centred(flow, unit=unit)
    return jnp.stack(pair, axis=-1)


def reverse(flow: Float[Array, "h w c"]) -> Float[Array, "h w c"]:
    """The same motion run backwards: u and v change sign, the other channels stay."""
    return jnp.concatenate([-flow[..., :2], flow[..., 2:]], axis=-1)
