"""Augmentation of one sample on the device. Geometry moves all streams of a clip together, and flow is a vector.

The plain operation comes first, its random twin draws and applies. With `vector`, channels 0 and 1 are (u right,
v down): a flip negates u, a rotation rotates (u, v).
"""

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Bool, Float, Int, Key


def flip(x: Float[Array, "p h w c"], *, vector: bool) -> Float[Array, "p h w c"]:
    """Mirror image, left to right."""
    mirrored = x[:, :, ::-1]
    if not vector:
        return mirrored
    return jnp.concatenate([-mirrored[..., :1], mirrored[..., 1:]], axis=-1)


def shift(x: Float[Array, "p h w c"], offset: Int[Array, "2"], *, most: int) -> Float[Array, "p h w c"]:
    """Moves the content by whole pixels; what is uncovered repeats the border.

    Args:
        x: one sample.
        offset: pixels (down, right), each within -most..most.
        most: the largest shift that will ever be asked for; static.
    """
    padded = jnp.pad(x, ((0, 0), (most, most), (most, most), (0, 0)), mode="edge")
    start = most - offset
    zero = jnp.zeros((), start.dtype)
    return jax.lax.dynamic_slice(padded, (zero, start[0], start[1], zero), x.shape)


def rotate(x: Float[Array, "p h w c"], degrees: Float[Array, ""], *, vector: bool) -> Float[Array, "p h w c"]:
    """Rotates the content about the centre, bilinear, the border repeated.

    Args:
        x: one sample.
        degrees: positive turns right towards down: clockwise as seen on the screen.
        vector: also rotate (u, v) by the same angle.
    """
    p, h, w, c = x.shape
    cos, sin = jnp.cos(jnp.deg2rad(degrees)), jnp.sin(jnp.deg2rad(degrees))
    down, right = jnp.meshgrid(jnp.arange(h) - (h - 1) / 2, jnp.arange(w) - (w - 1) / 2, indexing="ij")
    source = jnp.stack([cos * down - sin * right + (h - 1) / 2, sin * down + cos * right + (w - 1) / 2])

    def plane(image: Float[Array, "h w"]) -> Float[Array, "h w"]:
        return map_coordinates(image, list(source), order=1, mode="nearest")

    planes = jax.vmap(plane)(x.transpose(0, 3, 1, 2).reshape(p * c, h, w))
    turned = planes.reshape(p, c, h, w).transpose(0, 2, 3, 1)
    if not vector:
        return turned
    u, v, rest = turned[..., :1], turned[..., 1:2], turned[..., 2:]
    return jnp.concatenate([cos * u - sin * v, sin * u + cos * v, rest], axis=-1)


def random_augment(
    key: Key[Array, ""], x: Float[Array, "p h w c"], *, vector: bool, flips: bool, shifts: int, degrees: float
) -> Float[Array, "p h w c"]:
    """A random flip, rotation and shift of one sample.

    Args:
        key: random key.
        x: one sample, all its streams.
        vector: channels 0 and 1 are flow.
        flips: mirror every second sample on average.
        shifts: largest shift in pixels, 0 for none; whole pixels, uniform.
        degrees: largest rotation, 0 for none; uniform.
    """
    key_flip, key_rotate, key_shift = jax.random.split(key, 3)
    if flips:
        mirrored: Bool[Array, ""] = jax.random.bernoulli(key_flip)
        x = jnp.where(mirrored, flip(x, vector=vector), x)
    if degrees:
        x = rotate(x, jax.random.uniform(key_rotate, (), minval=-degrees, maxval=degrees), vector=vector)
    if shifts:
        x = shift(x, jax.random.randint(key_shift, (2,), -shifts, shifts + 1), most=shifts)
    return x
