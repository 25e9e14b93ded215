"""Augmentation of one sample on the device. Geometry moves all streams of a clip together, and flow is a vector.

The plain operations come first; `random_augment` draws and applies them. With `vector`, channels 0 and 1 are (u right,
v down): a flip negates u, a rotation rotates (u, v). For flow encoded as colours see `through_hsv`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Bool, Float, Int, Key

from merjax.ops.colour import from_hsv, hsv


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
    rows = jnp.clip(jnp.arange(h) - offset[0], 0, h - 1)
    columns = jnp.clip(jnp.arange(w) - offset[1], 0, w - 1)
    return x[:, rows][:, :, columns]  # under vmap three times as fast on a CPU as a slice of a padded image


def rotate(x: Float[Array, "p h w c"], degrees: Float[Array, ""], *, vector: bool) -> Float[Array, "p h w c"]:
    """Rotates the content about the centre, bilinear, the border repeated.

    Args:
        x: one sample.
        degrees: positive turns right towards down: clockwise as seen on the screen.
        vector: also rotate (u, v) by the same angle.
    """
    p, h, w, c = x.shape
    cos, sin = jnp.cos(jnp.deg2rad(degrees)), jnp.sin(jnp.deg2rad(degrees))
    if vector:  # before the pixels move, which comes to the same and lets XLA fetch each pixel once
        u, v = x[..., :1], x[..., 1:2]
        x = jnp.concatenate([cos * u - sin * v, sin * u + cos * v, x[..., 2:]], axis=-1)
    down, right = jnp.meshgrid(jnp.arange(h) - (h - 1) / 2, jnp.arange(w) - (w - 1) / 2, indexing="ij")
    source = jnp.stack([cos * down - sin * right + (h - 1) / 2, sin * down + cos * right + (w - 1) / 2])

    def plane(image: Float[Array, "h w"]) -> Float[Array, "h w"]:
        return map_coordinates(image, list(source), order=1, mode="nearest")

    planes = jax.vmap(plane)(x.transpose(0, 3, 1, 2).reshape(p * c, h, w))
    # The barrier keeps XLA from fetching again for every reader of the result.
    return jax.lax.optimization_barrier(planes).reshape(p, c, h, w).transpose(0, 2, 3, 1)


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
        degrees: largest rotation, 0 for none; uniform.
        brightness: largest amount added or taken away, in the unit of x, 0 for none; uniform. Flow has no
            brightness: with `vector`, this and contrast do nothing.
        contrast: largest relative change of contrast, 0 for none; uniform.
    """
    key_flip, key_rotate, key_shift, key_light = jax.random.split(key, 4)
    if flips:
        mirrored: Bool[Array, ""] = jax.random.bernoulli(key_flip)
        x = jnp.where(mirrored, flip(x, vector=vector), x)
    if degrees:
        x = rotate(x, jax.random.uniform(key_rotate, (), minval=-degrees, maxval=degrees), vector=vector)
    if shifts:
        x = shift(x, jax.random.randint(key_shift, (2,), -shifts, shifts + 1))
    if (brightness or contrast) and not vector:
        more, spread = jax.random.uniform(key_light, (2,), minval=-1.0)
        x = light(x, brightness * more, contrast * spread)
    return x
