"""Optical flow of the two phases of one clip as network input: single phases, both, COF and MM-COF.

A flow image holds (u right, v down, third channel). Flow comes in any unit: ready-made flow images are scaled per
image by their authors, so that only directions and relative speeds inside one image mean something.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from merjax.types import pick

THIRDS = ("strain", "magnitude")


def minmax(image: Float[Array, "h w"]) -> Float[Array, "h w"]:
    """Scales one map to 0..1; a constant map gives zero.

    Source: M_norm = (M - min M) / (max M - min M) per map, STATED (paper 5).
    """
    low, high = image.min(), image.max()
    return (image - low) / jnp.where(high > low, high - low, 1.0)


def centre(flow: Float[Array, "h w c"]) -> Float[Array, "h w 2"]:
    """Flow vectors with the median taken away and half the range as unit.

    Most of a face does not move, so the median of u and of v is the best estimate of their zero in flow images that
    were min-max scaled, and of head drift in flow that was not. One unit is half the range of that component, which
    makes flow in pixels and ready-made flow images alike. OUR CHOICE.

    Args:
        flow: (u, v, ...) in any unit.

    Returns:
        (u, v) about -2..2, zero for a constant field.
    """
    uv = flow[..., :2]
    span = uv.max((0, 1), keepdims=True) - uv.min((0, 1), keepdims=True)
    return 2.0 * (uv - jnp.median(uv, axis=(0, 1), keepdims=True)) / jnp.where(span > 0, span, 1.0)


def phase(flow: Float[Array, "h w 3"], *, third: str = "strain") -> Float[Array, "h w 3"]:
    """One phase as network input: centred (u, v) and a third channel in 0..1.

    Args:
        flow: (u, v, strain) in any unit.
        third: "strain" (as STSTNet) or "magnitude" (of the centred vectors, as FMANet; OUR CHOICE).

    Returns:
        (u, v, third).
    """
    pick(dict.fromkeys(THIRDS), "third", third)
    uv = centre(flow)
    channel = flow[..., 2] if third == "strain" else jnp.linalg.norm(uv, axis=-1)
    return jnp.concatenate([uv, minmax(channel)[..., None]], axis=-1)


def onset_apex(onset_apex: Float[Array, "h w 3"], *, third: str = "strain") -> Float[Array, "1 h w 3"]:
    """Flow of the rising phase alone. Arguments as `phase`."""
    return phase(onset_apex, third=third)[None]


def apex_offset(apex_offset: Float[Array, "h w 3"], *, third: str = "strain") -> Float[Array, "1 h w 3"]:
    """Flow of the falling phase alone, negated so that it points as the rise does. Arguments as `phase`."""
    return reverse(phase(apex_offset, third=third))[None]


def reverse(flow: Float[Array, "h w c"]) -> Float[Array, "h w c"]:
    """The same motion run backwards: u and v change sign, the other channels stay."""
    return jnp.concatenate([-flow[..., :2], flow[..., 2:]], axis=-1)


def two_phases(
    onset_apex: Float[Array, "h w 3"], apex_offset: Float[Array, "h w 3"], *, third: str = "magnitude"
) -> Float[Array, "2 h w 3"]:
    """Both phases as two streams, the second negated: the face moves back after the apex (OUR CHOICE)."""
    return jnp.stack([phase(onset_apex, third=third), reverse(phase(apex_offset, third=third))])


def combine(
    onset_apex: Float[Array, "h w c"], apex_offset: Float[Array, "h w c"], theta: float
) -> tuple[Float[Array, "h w 2"], Float[Array, "h w"]]:
    """Combined vectors and combined magnitude of both phases.

    M_c = theta M1 + (1 - theta) M2 with per-map min-max magnitudes (STATED, paper 5; the weights' values are UNKNOWN);
    (u_c, v_c) = theta M1 e1 - (1 - theta) M2 e2 with unit directions e, the second phase negated (OUR CHOICE).
    """
    vectors, magnitudes = [], []
    for flow in (onset_apex, apex_offset):
        uv = centre(flow)
        length = jnp.linalg.norm(uv, axis=-1)
        magnitude = minmax(length)
        vectors.append(uv * (magnitude / jnp.where(length > 0, length, 1.0))[..., None])
        magnitudes.append(magnitude)
    return (
        theta * vectors[0] - (1.0 - theta) * vectors[1],
        theta * magnitudes[0] + (1.0 - theta) * magnitudes[1],
    )


def cof(
    onset_apex: Float[Array, "h w 3"], apex_offset: Float[Array, "h w 3"], *, theta: float = 0.5
) -> Float[Array, "1 h w 3"]:
    """Combined optical flow of both phases, encoded as (u_c, v_c, M_c).

    Args:
        onset_apex: flow of the rise, (u, v, ...) in any unit.
        apex_offset: flow of the fall.
        theta: weight of the rise, 1 - theta that of the fall. OUR CHOICE: the papers' values are UNKNOWN.

    Returns:
        One stream: u_c, v_c in -1..1, M_c in 0..1. The encoding is OUR CHOICE (methods 2).
    """
    uv, magnitude = combine(onset_apex, apex_offset, theta)
    return jnp.concatenate([uv, magnitude[..., None]], axis=-1)[None]


def modulate(
    magnitude: Float[Array, "h w"],
    *,
    low: float = 0.1,
    high: float = 0.4,
    gain_low: float = 0.5,
    gain_high: float = 1.5,
) -> Float[Array, "h w"]:
    """Raises salient motion and damps noise by two thresholds, clipped to 0..1.

    Modulation by thresholds is STATED as an idea (paper 5); their number, values and gains are OUR CHOICE.

    Args:
        magnitude: combined magnitude, 0..1.
        low: below it the magnitude is multiplied by `gain_low`.
        high: from it on the magnitude is multiplied by `gain_high`.
        gain_low: below 1 damps; 0 removes.
        gain_high: above 1 raises.
    """
    gain = jnp.where(magnitude >= high, gain_high, jnp.where(magnitude < low, gain_low, 1.0))
    return jnp.clip(gain * magnitude, 0.0, 1.0)


def mm_cof(
    onset_apex: Float[Array, "h w 3"],
    apex_offset: Float[Array, "h w 3"],
    *,
    theta: float = 0.5,
    low: float = 0.1,
    high: float = 0.4,
    gain_low: float = 0.5,
    gain_high: float = 1.5,
) -> Float[Array, "1 h w 3"]:
    """Magnitude-modulated combined optical flow, encoded as (u_c, v_c, M'): `cof` with `modulate` applied.

    The vectors are rescaled by M' / M_c (OUR CHOICE). Arguments as `cof` and `modulate`.
    """
    uv, magnitude = combine(onset_apex, apex_offset, theta)
    changed = modulate(magnitude, low=low, high=high, gain_low=gain_low, gain_high=gain_high)
    ratio = changed / jnp.where(magnitude > 0, magnitude, 1.0)
    return jnp.concatenate([uv * ratio[..., None], changed[..., None]], axis=-1)[None]
