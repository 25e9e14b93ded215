"""Action units as displacement fields on a drawn face: a few Gaussian bumps each, placed by the face's measures.

Numbers and names of the units are those of FACS (Ekman and Friesen 1978); where and which way the skin moves is
INFERRED from their names; widths and strengths are OUR CHOICE, and so is that both halves of the face move alike.

Lengths and positions are fractions of the image side (x right, y down).
"""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from merjax.data.faces import Grid, grid

UNITS = {
    1: "inner_brow_raiser",
    2: "outer_brow_raiser",
    4: "brow_lowerer",
    5: "upper_lid_raiser",
    6: "cheek_raiser",
    7: "lid_tightener",
    9: "nose_wrinkler",
    10: "upper_lip_raiser",
    12: "lip_corner_puller",
    14: "dimpler",
    15: "lip_corner_depressor",
    17: "chin_raiser",
    20: "lip_stretcher",
}
# What a face can do, and the units that it is made of. The place in this table is part of a clip's random stream: new
# entries go to the end.
MOVEMENTS = {
    "brow_lowerer": (4,),
    "lip_corner_puller": (12,),
    "brow_raiser": (1, 2, 5),
    **{name: (number,) for number, name in UNITS.items() if number not in (4, 12)},
}


class Bump(NamedTuple):
    """A Gaussian patch of movement: centre, direction with strength, and width."""

    x: float
    y: float
    u: float
    v: float
    width: float


def bumps(action: str, face: SimpleNamespace) -> list[Bump]:
    """The movement of a face at rest, x counted from its middle line, strengths relative to one another.

    Args:
        action: a name in MOVEMENTS.
        face: measures, see `faces.FACE`.
    """
    half = [bump for unit in MOVEMENTS[action] for bump in _half(unit, face)]
    return half + [Bump(-b.x, b.y, -b.u, b.v, b.width) for b in half]


def _half(unit: int, face: SimpleNamespace) -> list[Bump]:
    """One half of a unit's movement, x and u counted outwards from the middle line."""
    brow_in, brow_out = face.eye_x - 0.7 * face.brow_half, face.eye_x + 0.7 * face.brow_half
    corner, mouth = face.mouth_half, face.mouth_y
    return {
        1: [Bump(brow_in, face.brow_y, 0.0, -0.9, 0.06)],
        2: [Bump(brow_out, face.brow_y, 0.0, -1.0, 0.065)],
        4: [Bump(brow_in, face.brow_y, -0.5, 1.0, 0.06), Bump(face.eye_x, face.brow_y, -0.25, 0.5, 0.06)],
        5: [Bump(face.eye_x, face.eye_y - face.lid, 0.0, -0.35, 0.045)],
        # The cheek goes up, and draws the skin beside the eye in.
        6: [
            Bump(face.eye_x + 0.03, face.eye_y + 0.13, 0.0, -1.0, 0.06),
            Bump(face.eye_x + face.eye_half + 0.03, face.eye_y + 0.03, -0.5, 0.0, 0.05),
        ],
        # The lids draw near each other, the lower one more.
        7: [
            Bump(face.eye_x, face.eye_y + 0.65 * face.lid, 0.0, -1.0, 0.05),
            Bump(face.eye_x, face.eye_y - face.lid, 0.0, 0.3, 0.05),
        ],
        9: [Bump(0.04, 0.57, 0.0, -1.0, 0.05), Bump(brow_in, face.brow_y, -0.2, 0.5, 0.05)],
        10: [Bump(0.06, mouth - face.lip - 0.02, 0.1, -1.0, 0.05)],
        12: [Bump(corner, mouth, 0.65, -0.9, 0.06), Bump(corner + 0.08, mouth - 0.13, 0.05, -0.35, 0.07)],
        14: [Bump(corner + 0.05, mouth, -1.0, -0.1, 0.05)],  # skin beside the mouth is drawn in
        15: [Bump(corner, mouth, 0.2, 1.0, 0.055)],
        17: [Bump(0.04, mouth + 0.11, 0.0, -1.0, 0.06), Bump(0.04, mouth + face.lip, 0.0, -0.5, 0.045)],
        20: [Bump(corner, mouth, 1.0, 0.1, 0.06)],
    }[unit]


def field(parts: Sequence[Bump], x: Grid, y: Grid) -> Float[np.ndarray, "*grid 2"]:
    """The sum of bumps as (u right, v down) at the places (x, y)."""
    total = np.zeros((*x.shape, 2), np.float32)
    for b in parts:
        weight = np.exp(((x - 0.5 - b.x) ** 2 + (y - b.y) ** 2) / np.float32(-2 * b.width**2))
        total[..., 0] += b.u * weight
        total[..., 1] += b.v * weight
    return total


def peak(parts: Sequence[Bump]) -> float:
    """The largest length of the field."""
    return float(np.hypot(*np.moveaxis(field(parts, *grid(64)), -1, 0)).max())


def resting(rng: np.random.Generator, face: SimpleNamespace, spread: float, actions: Sequence[str]) -> list[Bump]:
    """A random expression made of the same movements as the clips', so that no shape of a face belongs to one class.

    Args:
        rng: random numbers.
        face: measures, see `faces.FACE`.
        spread: standard deviation of each movement if there are three; more movements are each smaller, so that the
            sum of their variances stays.
        actions: the movements.
    """
    parts = []
    for action in actions:
        basis = bumps(action, face)
        scale = spread * (3 / len(actions)) ** 0.5 * rng.uniform(-1, 1) * 3**0.5 / peak(basis)
        parts += [b._replace(u=b.u * scale, v=b.v * scale) for b in basis]
    return parts


def follow(parts: Sequence[Bump], rest: Sequence[Bump]) -> list[Bump]:
    """The same bumps where a resting expression has carried their centres."""
    x, y = np.array([b.x + 0.5 for b in parts]), np.array([b.y for b in parts])
    moved = field(rest, x, y)
    return [b._replace(x=b.x + float(u), y=b.y + float(v)) for b, (u, v) in zip(parts, moved, strict=True)]
