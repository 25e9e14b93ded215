"""Flow in colours: as the customary picture for people, and as an RGB input for networks that were made for images.

The first works on the host with NumPy. The second, `hsv`, loses nothing: `from_hsv` gives the flow back.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

# The wheel of Baker et al.: steps from each colour to the next, and the two colours' red, green and blue.
WHEEL = (
    (15, (255, 0, 0), (255, 255, 0)),
    (6, (255, 255, 0), (0, 255, 0)),
    (4, (0, 255, 0), (0, 255, 255)),
    (11, (0, 255, 255), (0, 0, 255)),
    (13, (0, 0, 255), (255, 0, 255)),
    (6, (255, 0, 255), (255, 0, 0)),
)


def wheel() -> Float[np.ndarray, "55 3"]:
    """The colours of all directions, red, green and blue in 0..1; the first is motion to the right.

    Source: Baker et al. 2007 (Middlebury flow), the steps as in the authors' colour code.
    """
    parts = [
        np.floor(np.array(start) + (np.array(stop) - start) * np.arange(steps)[:, None] / steps)
        for steps, start, stop in WHEEL
    ]
    return np.concatenate(parts) / 255.0


def flow_to_colour(flow: Float[np.ndarray, "h w 2"], *, largest: float | None = None) -> UInt8[np.ndarray, "h w 3"]:
    """Draws flow in the customary colours: the colour is the direction, white is no motion.

    Args:
        flow: (u right, v down) in any unit; pixels that are not finite are drawn black.
        largest: the speed that gets the full colour, in the unit of `flow`; faster pixels are drawn darker. By
            default the largest speed, so that two pictures can be compared only when it is given.

    Returns:
        RGB. Right is red, down yellow, left a light blue, up violet.
    """
    known = np.isfinite(flow).all(-1)
    u, v = np.moveaxis(np.where(known[..., None], flow, 0.0).astype(np.float64), -1, 0)
    speed = np.hypot(u, v)
    speed /= (speed.max(initial=0.0) if largest is None else largest) or 1.0
    colours = wheel()
    # As its authors do, 54 steps for one turn: of the step from the last colour to the first only a seam is left.
    position = (np.arctan2(-v, -u) / np.pi + 1) / 2 * (len(colours) - 1)
    below = np.floor(position).astype(int)
    part = (position - below)[..., None]
    colour = (1 - part) * colours[below] + part * colours[(below + 1) % len(colours)]
    slow = 1 - speed[..., None] * (1 - colour)
    picture = np.where(speed[..., None] <= 1, slow, 0.75 * colour) * known[..., None]
    return np.floor(255 * picture).astype(np.uint8)


def hsv(flow: Float[Array, "... 3"]) -> Float[Array, "... 3"]:
    """Encodes (u, v, M) as the RGB of hue = direction, saturation = |(u, v)| / M, value = M.

    Hue 0, red, is right and a third of the wheel, green, is a third of a turn towards down. The encoding is
    OUR CHOICE: the papers on combined flow give none. The saturation fades where both phases disagree, and with it the
    picture holds all of (u, v, M).

    Args:
        flow: u and v with |(u, v)| <= M, M in 0..1.

    Returns:
        Red, green and blue in 0..1; black is no motion.
    """
    u, v, value = flow[..., 0], flow[..., 1], flow[..., 2]
    square = u * u + v * v
    still = square == 0
    chroma = jnp.where(still, 0.0, jnp.sqrt(jnp.where(still, 1.0, square)))
    sixths = jnp.arctan2(v, jnp.where(still, 1.0, u)) * (3 / jnp.pi)

    def channel(start: int) -> Float[Array, "..."]:
        place = (start + sixths) % 6.0
        return value - chroma * jnp.clip(jnp.minimum(place, 4.0 - place), 0.0, 1.0)

    return jnp.stack([channel(5), channel(3), channel(1)], axis=-1)


def from_hsv(colours: Float[Array, "... 3"]) -> Float[Array, "... 3"]:
    """Decodes what `hsv` made.

    Args:
        colours: red, green and blue in 0..1.

    Returns:
        (u, v, M).
    """
    red, green, blue = colours[..., 0], colours[..., 1], colours[..., 2]
    value = colours.max(-1)
    chroma = value - colours.min(-1)
    unit = jnp.where(chroma > 0, chroma, 1.0)
    sixths = jnp.where(
        red == value,
        (green - blue) / unit,
        jnp.where(green == value, 2.0 + (blue - red) / unit, 4.0 + (red - green) / unit),
    )
    angle = sixths * (jnp.pi / 3)
    return jnp.stack([chroma * jnp.cos(angle), chroma * jnp.sin(angle), value], axis=-1)
