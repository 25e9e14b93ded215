"""Optical flow of one clip as network input: single phases, both, COF, MM-COF and dynamic flow.

A flow image holds (u right, v down, third channel). Flow comes in any unit: ready-made flow images are scaled per
image by their authors, so that only directions and relative speeds inside one image mean something. What an input
does about it is its argument `unit`, see `vectors.centre`; its "range" is right for such images and "largest" for
flow in pixels.

COF is of arXiv 2510.15471, MM-COF of arXiv 2510.07810; the latter gives the formula.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from merjax.ops.colour import hsv
from merjax.ops.rank_pool import COEFFICIENTS
from merjax.ops.vectors import Map, centred, minmax, reverse, speed
from merjax.types import InputError, pick

THIRDS = ("strain", "magnitude")
SECOND = {"negated": -1.0, "as_is": 1.0}  # the factor of the second phase's vectors


def phase(flow: Float[Array, "h w c"], *, third: str = "strain", unit: str = "range") -> Float[Array, "h w 3"]:
    """One phase as network input: centred (u, v) and a third channel.

    Args:
        flow: (u, v, strain) in any unit; for the magnitude (u, v) is enough.
        third: "strain" (as STSTNet) or "magnitude" (of the centred vectors, as FMANet; OUR CHOICE).
        unit: see `vectors.centre`; OUR CHOICE.

    Returns:
        (u, v, third); the third in 0..1, but as it was where `unit` is "pixel" or "given".

    Raises:
        InputError: an unknown name.
    """
    pick(dict.fromkeys(THIRDS), "third", third)
    ((u, v),) = centred(flow, unit=unit)
    channel = flow[..., 2] if third == "strain" else speed(u, v)
    return jnp.stack([u, v, channel if unit in ("pixel", "given") else minmax(channel)], axis=-1)


def onset_apex(
    onset_apex: Float[Array, "h w 3"], *, third: str = "strain", unit: str = "range"
) -> Float[Array, "1 h w 3"]:
    """Flow of the rising phase alone. Arguments as `phase`."""
    return phase(onset_apex, third=third, unit=unit)[None]


def apex_offset(
    apex_offset: Float[Array, "h w 3"], *, third: str = "strain", unit: str = "range", second: str = "negated"
) -> Float[Array, "1 h w 3"]:
    """Flow of the falling phase alone. Arguments as `two_phases`."""
    return directed(phase(apex_offset, third=third, unit=unit), second)[None]


def directed(flow: Float[Array, "h w c"], second: str) -> Float[Array, "h w c"]:
    """The flow of a second phase: "negated", so that it points as the rise does, or "as_is"."""
    return reverse(flow) if pick(SECOND, "second", second) < 0 else flow


def two_phases(
    onset_apex: Float[Array, "h w 3"],
    apex_offset: Float[Array, "h w 3"],
    *,
    third: str = "magnitude",
    unit: str = "range",
    second: str = "negated",
) -> Float[Array, "2 h w 3"]:
    """Both phases as two streams.

    Args:
        onset_apex: flow of the rise, (u, v, strain) in any unit.
        apex_offset: flow of the fall.
        third: see `phase`.
        unit: see `vectors.centre`; OUR CHOICE.
        second: the second phase is "negated", because the face moves back after the apex, or "as_is". OUR CHOICE:
            the papers don't say.
    """
    fall = directed(phase(apex_offset, third=third, unit=unit), second)
    return jnp.stack([phase(onset_apex, third=third, unit=unit), fall])


def combine(
    onset_apex: Float[Array, "h w _"], apex_offset: Float[Array, "h w _"], *, theta: float, unit: str, second: str
) -> tuple[Map, Map, Map]:
    """Combined vectors and combined magnitude of both phases: (u_c, v_c, M_c). See `cof`."""
    sign = pick(SECOND, "second", second)
    if not 0.0 <= theta <= 1.0:
        raise InputError(f"theta is {theta}; it must be between 0, the fall alone, and 1, the rise alone")
    parts = []
    for u, v in centred(onset_apex, apex_offset, unit=unit):
        length = speed(u, v)
        magnitude = minmax(length)
        ratio = magnitude / jnp.where(length > 0, length, 1.0)
        parts.append((u * ratio, v * ratio, magnitude))
    (u1, v1, m1), (u2, v2, m2) = parts
    return (
        theta * u1 + sign * (1.0 - theta) * u2,
        theta * v1 + sign * (1.0 - theta) * v2,
        theta * m1 + (1.0 - theta) * m2,
    )


def cof(
    onset_apex: Float[Array, "h w _"],
    apex_offset: Float[Array, "h w _"],
    *,
    theta: float = 0.5,
    unit: str = "range",
    second: str = "negated",
) -> Float[Array, "1 h w 3"]:
    """Combined optical flow of both phases, encoded as (u_c, v_c, M_c).

    M_c = theta M1 + (1 - theta) M2 with per-map min-max magnitudes M1, M2, STATED (of MM-COF; that the paper on COF
    means the same is INFERRED); (u_c, v_c) = theta M1 e1 - (1 - theta) M2 e2 with unit directions e, OUR CHOICE.

    Args:
        onset_apex: flow of the rise, (u, v, ...) in any unit.
        apex_offset: flow of the fall.
        theta: weight of the rise, 1 - theta that of the fall. OUR CHOICE: the papers' values are UNKNOWN.
        unit: see `vectors.centre`; OUR CHOICE. "largest" and "pixel" give the same here, since magnitudes are scaled
            per map; "given" is the paper's formula to the letter, which takes no median away.
        second: "negated" gives the minus sign above, since the face moves back after the apex and would else cancel
            itself; "as_is" a plus sign. OUR CHOICE. M_c is the same for both.

    Returns:
        One stream: u_c, v_c in -1..1 with |(u_c, v_c)| <= M_c, M_c in 0..1. The encoding is OUR CHOICE.

    Raises:
        InputError: an unknown name, or theta outside 0..1.
    """
    combined = combine(onset_apex, apex_offset, theta=theta, unit=unit, second=second)
    return jnp.stack(combined, axis=-1)[None]


def cof_hsv(
    onset_apex: Float[Array, "h w _"],
    apex_offset: Float[Array, "h w _"],
    *,
    theta: float = 0.5,
    unit: str = "range",
    second: str = "negated",
) -> Float[Array, "1 h w 3"]:
    """`cof` as an RGB image, see `colour.hsv`: for networks trained on photographs. OUR CHOICE."""
    return hsv(cof(onset_apex, apex_offset, theta=theta, unit=unit, second=second))


def modulate(
    magnitude: Float[Array, "h w"],
    *,
    low: float = 0.1,
    high: float = 0.4,
    gain_low: float = 0.5,
    gain_high: float = 1.5,
) -> Float[Array, "h w"]:
    """Raises salient motion and damps noise by two thresholds, clipped to 0..1.

    Modulation by thresholds is STATED as an idea (of MM-COF); their number, values and gains are OUR CHOICE.

    Args:
        magnitude: combined magnitude, 0..1.
        low: below it the magnitude is multiplied by `gain_low`.
        high: from it on the magnitude is multiplied by `gain_high`.
        gain_low: below 1 damps; 0 removes; 1, with `gain_high` 1, changes nothing: COF.
        gain_high: above 1 raises.

    Raises:
        InputError: thresholds in the wrong order, or a negative gain.
    """
    if low > high:
        raise InputError(f"low is {low} and high is {high}; low must not be above high")
    if min(gain_low, gain_high) < 0:
        raise InputError(f"gain_low is {gain_low} and gain_high is {gain_high}; neither may be negative")
    gain = jnp.where(magnitude >= high, gain_high, jnp.where(magnitude < low, gain_low, 1.0))
    return jnp.clip(gain * magnitude, 0.0, 1.0)


def mm_cof(
    onset_apex: Float[Array, "h w _"],
    apex_offset: Float[Array, "h w _"],
    *,
    theta: float = 0.5,
    low: float = 0.1,
    high: float = 0.4,
    gain_low: float = 0.5,
    gain_high: float = 1.5,
    unit: str = "range",
    second: str = "negated",
) -> Float[Array, "1 h w 3"]:
    """Magnitude-modulated combined optical flow, encoded as (u_c, v_c, M'): `cof` with `modulate` applied.

    The vectors are rescaled by M' / M_c (OUR CHOICE). Arguments as `cof` and `modulate`.
    """
    u, v, magnitude = combine(onset_apex, apex_offset, theta=theta, unit=unit, second=second)
    changed = modulate(magnitude, low=low, high=high, gain_low=gain_low, gain_high=gain_high)
    ratio = changed / jnp.where(magnitude > 0, magnitude, 1.0)
    return jnp.stack([u * ratio, v * ratio, changed], axis=-1)[None]


def mm_cof_hsv(
    onset_apex: Float[Array, "h w _"],
    apex_offset: Float[Array, "h w _"],
    *,
    theta: float = 0.5,
    low: float = 0.1,
    high: float = 0.4,
    gain_low: float = 0.5,
    gain_high: float = 1.5,
    unit: str = "range",
    second: str = "negated",
) -> Float[Array, "1 h w 3"]:
    """`mm_cof` as an RGB image, see `colour.hsv`. OUR CHOICE."""
    thresholds = {"low": low, "high": high, "gain_low": gain_low, "gain_high": gain_high}
    return hsv(mm_cof(onset_apex, apex_offset, theta=theta, unit=unit, second=second, **thresholds))


def dynamic_flow(
    flows: Float[Array, "t h w 2"], length: Int[Array, ""], *, coefficients: str = "harmonic", unit: str = "largest"
) -> Float[Array, "1 h w 3"]:
    """Rank pooling of a clip's flow sequence in place of its frames: sum of alpha_i flow_i.

    The sequence is taken as given. Flow of consecutive frames is OUR CHOICE for whole clips: with linear weights it
    pools to (N - 1) d_N - 2 (d_1 + ... + d_{N-1}), where d_i is the way gone after i flows, so that a face that comes
    back to rest leaves minus twice its summed displacement. Flow from the onset to each frame would leave nothing of a
    rise and an equal fall. It points against the action, and steady motion pools to nothing.

    Args:
        flows: t flows in pixels, padded.
        length: number of frames of the clip; its first `length` - 1 flows count.
        coefficients: see `rank_pool.COEFFICIENTS`; OUR CHOICE.
        unit: see `vectors.centre`, of the pooled flow; OUR CHOICE. In "pixel" 1 is a pixel per unit of weight.

    Returns:
        One stream (u, v, magnitude), as `phase` gives it.

    Source: the weights are those of dynamic images; flow in place of frames is in none of the papers on
        micro-expressions that merjax follows, so OUR CHOICE.
    """
    rank = jnp.arange(1, flows.shape[0] + 1)
    weights = pick(COEFFICIENTS, "coefficients", coefficients)(rank, length - 1)
    pooled = jnp.tensordot(weights, flows, 1, precision="highest")
    return phase(pooled, third="magnitude", unit=unit)[None]
