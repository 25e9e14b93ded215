"""Linear Eulerian video magnification: small changes of brightness in a band of frequencies are made larger.

A clip comes padded: of `frames` the first `length` count. The temporal filter runs forward in time, frame by frame, so
no frame knows of padding after it and no float copy of a clip exists. Filtering in time and splitting into wavelengths
are both linear and swap places: the pixels are filtered once, and only the band is split.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt8

from merjax.types import InputError

Filter = tuple[Float[Array, "h w c"], Float[Array, "h w c"], Float[Array, "h w c"]]


def low_pass(hz: float, fps: float) -> tuple[float, float]:
    """First-order Butterworth low-pass, y_i = gain (x_i + x_{i-1}) + keep y_{i-1}.

    Args:
        hz: where the amplitude has fallen to 1/sqrt(2), below half of `fps`; 0 lets nothing through.
        fps: frames per second.

    Returns:
        gain and keep.

    Agrees with `scipy.signal.butter(1, hz, fs=fps)`.
    """
    c = math.tan(math.pi * hz / fps)
    return c / (1 + c), (1 - c) / (1 + c)


def halve_rows(image: Float[Array, "n ..."]) -> Float[Array, "m ..."]:
    """Blurs along the first axis with (1, 4, 6, 4, 1) / 16, mirrored at the ends, and keeps every other row."""
    n = image.shape[0]
    x = jnp.pad(image, ((2, 2), *[(0, 0)] * (image.ndim - 1)), mode="reflect")
    a, b, c, d, e = (x[i : i + n : 2] for i in range(5))
    return (a + e + 4 * (b + d) + 6 * c) / 16


def double_rows(image: Float[Array, "m ..."], n: int) -> Float[Array, "n ..."]:
    """Puts a row after each and blurs with (1, 4, 6, 4, 1) / 8: n rows, n the size before `halve_rows`."""
    x = jnp.concatenate([image[min(1, len(image) - 1)][None], image, image[-1:]])
    kept = (x[:-2] + 6 * x[1:-1] + x[2:]) / 8
    between = (x[1:-1] + x[2:]) / 2
    return jnp.stack([kept, between], axis=1).reshape(-1, *image.shape[1:])[:n]


def halve(image: Float[Array, "h w c"]) -> Float[Array, "h2 w2 c"]:
    """One step down a Gaussian pyramid. Agrees with `cv2.pyrDown`."""
    return jax.vmap(halve_rows)(halve_rows(image))


def double(image: Float[Array, "h2 w2 c"], size: tuple[int, int]) -> Float[Array, "h w c"]:
    """One step up to a given (height, width). Agrees with `cv2.pyrUp`."""
    return double_rows(jax.vmap(lambda row: double_rows(row, size[1]))(image), size[0])


def amplify(
    band: Float[Array, "h w c"], *, alpha: float, cutoff: float, wavelength: float = 4.0
) -> Float[Array, "h w c"]:
    """Multiplies every level of the Laplacian pyramid by its own factor and adds the levels up.

    From wavelength `cutoff` on the factor is alpha. Below it falls in proportion to the wavelength until 0:
    (1 + alpha) wavelength / cutoff - 1, which keeps (1 + alpha) times the motion below one share of the wavelength.
    What is coarser than all levels below `cutoff` needs no levels of its own: its factor is alpha throughout.

    Args:
        band: an image.
        alpha: largest factor.
        cutoff: in pixels.
        wavelength: of the finest level of `band`, in pixels; the next level has twice that. 4 for pixels as they are:
            a Laplacian level's octave about a quarter of the sampling rate (OUR CHOICE).

    Returns:
        The image with its wavelengths amplified.

    Source: Wu et al. 2012, the bound (1 + alpha) motion < wavelength / 8 and the linear fall below it.
    """
    if wavelength >= cutoff or min(band.shape[:2]) < 2:
        return alpha * band
    height, width = band.shape[:2]
    small = halve(band)
    detail = band - double(small, (height, width))
    factor = max((1 + alpha) * wavelength / cutoff - 1, 0.0)
    rest = amplify(small, alpha=alpha, cutoff=cutoff, wavelength=2 * wavelength)
    return factor * detail + double(rest, (height, width))


def magnify(
    frames: UInt8[Array, "t h w c"],
    length: Int[Array, ""],
    *,
    alpha: float,
    low_hz: float,
    high_hz: float,
    fps: float,
    cutoff: float = 16.0,
) -> UInt8[Array, "t h w c"]:
    """Adds to every frame what changed in a band of frequencies, alpha times.

    The band is the difference of two first-order low-passes, at `high_hz` and at `low_hz`, of the departure from the
    first frame: the filter starts as if the first frame had stood for ever. Its slopes are gentle: the gain is
    (tan b - tan a) / (tan b + tan a) at the middle of the band, a = pi low_hz / fps, b = pi high_hz / fps, and it
    halves per octave far from it. It looks back only, so slow changes come early and quick ones late: an apex may move.

    Args:
        frames: the clip, padded.
        length: number of frames that count.
        alpha: factor of the band; 0 changes nothing. Customary for faces: 4 to 20.
        low_hz: lower edge of the band. 0 keeps all slow change since the first frame.
        high_hz: upper edge, below half of `fps`.
        fps: frames per second of this clip; the band means another speed of motion if it is wrong.
        cutoff: wavelength in pixels below which the factor falls, see `amplify`. A motion of (1 + alpha) times its own
            size stays in order up to cutoff / 8 pixels; 16 is OUR CHOICE, for 2 pixels.

    Returns:
        The clip with changes enlarged, rounded and clipped; padding repeats its last frame.

    Raises:
        InputError: a negative alpha, no band between 0 and half of fps, or a negative cutoff.

    Source: Wu et al. 2012, who also use a sharp band over the whole clip. The first-order filter is OUR CHOICE, as
    are equal factors for all colour channels.
    """
    if alpha < 0:
        raise InputError(f"alpha is {alpha}; it must be 0 or more")
    if not 0 <= low_hz < high_hz < fps / 2:
        raise InputError(f"low_hz and high_hz are {low_hz} and {high_hz}; they must rise from 0 to below {fps / 2}")
    if cutoff < 0:
        raise InputError(f"cutoff is {cutoff}; it must be 0 pixels or more")
    (gain_low, keep_low), (gain_high, keep_high) = low_pass(low_hz, fps), low_pass(high_hz, fps)
    first = frames[0].astype(jnp.float32)

    def step(state: Filter, frame: UInt8[Array, "h w c"]) -> tuple[Filter, UInt8[Array, "h w c"]]:
        previous, low, high = state
        now = frame.astype(jnp.float32) - first
        low = gain_low * (now + previous) + keep_low * low
        high = gain_high * (now + previous) + keep_high * high
        image = frame + amplify(high - low, alpha=alpha, cutoff=cutoff)
        return (now, low, high), jnp.clip(jnp.round(image), 0, 255).astype(jnp.uint8)

    rest = jnp.zeros_like(first)
    _, magnified = jax.lax.scan(step, (rest, rest, rest), frames)
    return magnified[jnp.minimum(jnp.arange(len(frames)), length - 1)]
