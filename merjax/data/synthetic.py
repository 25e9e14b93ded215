"""Drawn faces that make small, known movements: the data set for everyone without a licence.

Every subject is a cartoon face with skin texture; every clip warps it by a smooth displacement field that belongs to
one facial action. A clip rests in its own random expression, whose spread is larger than the action, so a single frame
tells little about the class; the movement tells it. All of this model is OUR CHOICE; the action units are the field's.

Lengths and positions are fractions of the image side (x right, y down) until they become pixels in `draw`.
"""

import functools
import math
from types import SimpleNamespace
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from merjax.data.faces import Grid, Image, grid, stream, subject_face
from merjax.types import Annotation, Clip, Dataset, InputError

ACTIONS = {
    "negative": "brow_lowerer",  # AU4: brows down and together
    "positive": "lip_corner_puller",  # AU12: mouth corners up and out, cheeks follow
    "surprise": "brow_raiser",  # AU1 + AU2 with AU5: brows and upper lids up
}


class Dials(NamedTuple):
    """What makes a data set easy or hard; `read` explains them."""

    amplitude: float = 1.4
    drift: float = 0.2
    light: float = 0.03
    noise: float = 2.0
    rest: float = 3.2


DEFAULT = Dials()


class Truth(NamedTuple):
    """A drawn clip and what is known about it.

    Displacement is (u right, v down) in pixels: what lies at pixel x in frame 0 lies at x + displacement[t, x] in
    frame t.
    """

    frames: UInt8[np.ndarray, "t h w 3"]  # RGB
    apex: int  # 0-based position in frames
    displacement: Float[np.ndarray, "t h w 2"]
    intensity: Float[np.ndarray, " t"]  # of the action: 0 at onset, 1 at apex, near 0 at offset


class Bump(NamedTuple):
    """A Gaussian patch of movement: centre, direction with strength, and width."""

    x: float
    y: float
    u: float
    v: float
    width: float


def _bumps(action: str, face: SimpleNamespace) -> list[Bump]:
    """Both halves of a symmetric action, strengths relative to one another."""
    brow_in, brow_out = face.eye_x - 0.7 * face.brow_half, face.eye_x + 0.7 * face.brow_half
    half = {
        "brow_lowerer": [
            Bump(brow_in, face.brow_y, -0.5, 1.0, 0.06),
            Bump(face.eye_x, face.brow_y, -0.25, 0.5, 0.06),
        ],
        "lip_corner_puller": [
            Bump(face.mouth_half, face.mouth_y, 0.65, -0.9, 0.06),
            Bump(face.mouth_half + 0.08, face.mouth_y - 0.13, 0.05, -0.35, 0.07),
        ],
        "brow_raiser": [
            Bump(brow_in, face.brow_y, 0.0, -0.9, 0.06),
            Bump(brow_out, face.brow_y, 0.0, -1.0, 0.065),
            Bump(face.eye_x, face.eye_y - face.lid, 0.0, -0.35, 0.045),
        ],
    }[action]
    return half + [Bump(-b.x, b.y, -b.u, b.v, b.width) for b in half]


def _field(bumps: list[Bump], x: Grid, y: Grid) -> Float[np.ndarray, "*grid 2"]:
    total = np.zeros((*x.shape, 2), np.float32)
    for b in bumps:
        weight = np.exp(((x - 0.5 - b.x) ** 2 + (y - b.y) ** 2) / np.float32(-2 * b.width**2))
        total[..., 0] += b.u * weight
        total[..., 1] += b.v * weight
    return total


def _peak(bumps: list[Bump]) -> float:
    return float(np.hypot(*np.moveaxis(_field(bumps, *grid(64)), -1, 0)).max())


def _invert(displacement: Float[np.ndarray, "h w 2"], x: Grid, y: Grid) -> tuple[Grid, Grid]:
    """The pixel positions (x, y) in the moved picture, traced back to where they came from."""
    back_x, back_y = x, y
    for _ in range(4):
        d = cv2.remap(displacement, back_x, back_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        back_x, back_y = x - d[..., 0], y - d[..., 1]
    return back_x, back_y


def _rest(rng: np.random.Generator, face: SimpleNamespace, spread: float) -> list[Bump]:
    """A random expression from the same movements as the actions, so that no shape of a face belongs to one class."""
    bumps = []
    for action in ACTIONS.values():
        basis = _bumps(action, face)
        scale = spread * rng.uniform(-1, 1) * 3**0.5 / _peak(basis)
        bumps += [b._replace(u=b.u * scale, v=b.v * scale) for b in basis]
    return bumps


def _follow(bumps: list[Bump], rest: list[Bump]) -> list[Bump]:
    """The same bumps where a resting expression has carried their centres."""
    x, y = np.array([b.x + 0.5 for b in bumps]), np.array([b.y for b in bumps])
    moved = _field(rest, x, y)
    return [b._replace(x=b.x + float(u), y=b.y + float(v)) for b, (u, v) in zip(bumps, moved, strict=True)]


def _wander(rng: np.random.Generator, time: Grid, count: int) -> list[Grid]:
    """Slow random curves, about -1..1, zero at the first frame."""
    rate, phase = rng.uniform(0.2, 0.7, (count, 1)), rng.uniform(0, 2 * np.pi, (count, 1))
    curve = np.sin(2 * np.pi * (rate * time + phase)) / 1.5
    return list((curve - curve[:, :1]).astype(np.float32))


def _course(rng: np.random.Generator) -> tuple[int, Float[np.ndarray, " t"]]:
    """Apex position and intensity: a rise and a longer fall of another shape, which may stop short of neutral.

    A fall that mirrored the rise would cancel it in the dynamic image of the whole clip.
    """
    rise, fall = int(rng.integers(8, 15)), int(rng.integers(18, 46))
    up = np.linspace(0, 1, rise + 1) ** rng.uniform(0.6, 1.1)
    down = np.linspace(0, 1, fall + 1)[1:] ** rng.uniform(0.5, 0.8)
    left = max(0.0, rng.uniform(-0.1, 0.15))
    up, down = (s * s * (3 - 2 * s) for s in (up, down))
    return rise, np.concatenate([up, 1 - (1 - left) * down]).astype(np.float32)


def draw(*, subject: int, clip: int, action: str, seed: int, size: int, **dials: float) -> Truth:
    """Draw one clip; the same arguments give the same clip.

    Args:
        subject: number of the face.
        clip: number of the clip among this subject's.
        action: one of the values of ACTIONS.
        seed: of the whole data set.
        size: side of a frame in pixels.
        **dials: fields of Dials that differ from the default.

    Returns:
        Frames from onset to offset with their true displacement.

    Raises:
        InputError: there is no such action.
    """
    actions = list(ACTIONS.values())
    if action not in actions:
        raise InputError(f"synthetic data: action is {action!r} and must be one of {', '.join(actions)}.")
    amplitude, drift, light, noise, rest = Dials(**dials)
    face, texture = subject_face(seed, subject, size)
    rng = stream(seed, 1, subject, clip, actions.index(action))
    x, y = grid(size)
    columns, rows = x * size - 0.5, y * size - 0.5

    resting = _rest(rng, face, rest / 100)
    fine = grid(2 * size)
    back = _invert(_field(resting, *fine) * 2 * size, *(g * 2 * size - 0.5 for g in fine))
    texture = cv2.remap(texture, *back, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)

    bumps = _follow(_bumps(action, face), resting)
    strength = amplitude / 100 * size * face.gain * rng.uniform(0.75, 1.25) / _peak(bumps)
    movement = _field(bumps, x, y) * np.float32(strength)
    apex, intensity = _course(rng)
    time = np.linspace(0, 1, len(intensity))
    right, down, turn = (drift / 100 * size * path for path in _wander(rng, time, 3))
    gain, slope_x, slope_y = (light * path for path in _wander(rng, time, 3))

    frames = np.empty((len(intensity), size, size, 3), np.uint8)
    displacement = np.empty((len(intensity), size, size, 2), np.float32)
    for t in range(len(intensity)):
        # The head turns about the neck; `turn` is the path of a point one side length above it.
        head = np.stack([right[t] + turn[t] * (1 - y), down[t] + turn[t] * (x - 0.5)], axis=-1)
        displacement[t] = intensity[t] * movement + head
        at_x, at_y = (2 * back + 0.5 for back in _invert(displacement[t], columns, rows))
        frame = cv2.remap(texture, at_x, at_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        shine = (1 + gain[t] + slope_x[t] * (x - 0.5) + slope_y[t] * (y - 0.5))[..., None]
        grain = noise * rng.standard_normal(frame.shape, np.float32)
        frames[t] = np.clip(frame * shine + grain + 0.5, 0, 255)  # uint8 cuts: the half makes it round
    return Truth(frames, apex, displacement, intensity)


def _flow_image(flow: Float[np.ndarray, "h w 2"]) -> Image:
    """Append optical strain, the norm of the symmetric gradient, to (u, v)."""
    (u_y, u_x), (v_y, v_x) = (np.gradient(flow[..., axis]) for axis in (0, 1))
    strain = np.sqrt(u_x**2 + v_y**2 + (u_y + v_x) ** 2 / 2)
    return np.dstack([flow, strain]).astype(np.float32)


def _from_apex(truth: Truth) -> Float[np.ndarray, "h w 2"]:
    """Where each pixel of the apex frame goes until the offset frame."""
    size = truth.frames.shape[1]
    x, y = (g * size - 0.5 for g in grid(size))
    at_apex, at_offset = truth.displacement[truth.apex], truth.displacement[-1]
    back = _invert(at_apex, x, y)
    return cv2.remap(at_offset - at_apex, *back, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _label(clip: int) -> int:
    return (clip - 1) % len(ACTIONS)


def _load(annotation: Annotation, *, seed: int, size: int, dials: dict[str, float]) -> Clip:
    clip = int(annotation.clip.rpartition("c")[2])
    # The number and not the label decides what is drawn: shuffled labels must not draw other faces.
    action = list(ACTIONS.values())[_label(clip)]
    truth = draw(subject=int(annotation.subject[1:]), clip=clip, action=action, seed=seed, size=size, **dials)
    return Clip(
        frames=truth.frames,
        apex=truth.apex,
        onset_apex=_flow_image(truth.displacement[truth.apex]),
        apex_offset=_flow_image(_from_apex(truth)),
    )


def read(
    *,
    seed: int = 0,
    subjects: int = 16,
    clips_per_class: int = 4,
    size: int = 96,
    amplitude: float = DEFAULT.amplitude,
    drift: float = DEFAULT.drift,
    light: float = DEFAULT.light,
    noise: float = DEFAULT.noise,
    rest: float = DEFAULT.rest,
) -> Dataset:
    """A data set of drawn faces with three classes, each clip drawn when it is loaded.

    Args:
        seed: another number gives other faces and clips.
        subjects: how many faces.
        clips_per_class: clips of each class for each subject.
        size: side of a frame in pixels.
        amplitude: peak displacement of an average action at its apex, in percent of the side; subjects and clips
            scatter around it.
        drift: size of the head's slow movement, in percent of the side.
        light: size of the slow change of brightness and of its gradients over a clip, as a fraction.
        noise: standard deviation of the camera's noise, in grey levels.
        rest: standard deviation of each movement of the resting expression, in percent of the side. Below about
            twice the amplitude the apex frame alone begins to tell the class.

    Returns:
        A Dataset whose clips hold frames, apex and both flow images, (u, v) in pixels and strain in pixels a pixel.

    Raises:
        InputError: an argument is out of its range.
    """
    limits = {
        "seed": (seed, 0, math.inf),
        "subjects": (subjects, 2, math.inf),
        "clips_per_class": (clips_per_class, 1, math.inf),
        "size": (size, 32, 512),
        "amplitude": (amplitude, 0, 3),  # more would fold the face over itself
        "drift": (drift, 0, 5),
        "light": (light, 0, 0.5),
        "noise": (noise, 0, 64),
        "rest": (rest, 0, 4),
    }
    for name, (value, low, high) in limits.items():
        if not low <= value <= high:
            wanted = f"at least {low}" if high == math.inf else f"between {low} and {high}"
            raise InputError(f"synthetic data: {name} is {value} and must be {wanted}.")
    classes = tuple(ACTIONS)
    annotations = [
        Annotation("synthetic", f"S{subject:02d}", f"S{subject:02d}_c{clip:02d}", _label(clip))
        for subject in range(1, subjects + 1)
        for clip in range(1, clips_per_class * len(classes) + 1)
    ]
    dials = {"amplitude": amplitude, "drift": drift, "light": light, "noise": noise, "rest": rest}
    load = functools.partial(_load, seed=seed, size=size, dials=dials)
    return Dataset("synthetic", classes, tuple(annotations), load)
