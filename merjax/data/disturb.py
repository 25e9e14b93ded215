"""What disturbs a drawn clip: the head, the lamp, the camera, the file and the annotator. All of it is OUR CHOICE.

Turning a dial changes nothing that another has drawn, but that a clip with an early onset is longer.
"""

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import UInt8

from merjax.data.faces import Grid, Image


class Dials(NamedTuple):
    """What makes a data set easy or hard; `synthetic.read` explains them."""

    amplitude: float = 1.4
    curve: str = "eased"
    rest: float = 3.2
    drift: float = 0.2
    shake: float = 0.0
    light: float = 0.03
    flicker: float = 0.0
    blur: float = 0.0
    noise: float = 2.0
    jpeg: int = 0
    apex_late: int = 0
    onset_late: int = 0


LIMITS = {
    "amplitude": (0, 3),  # more would fold the face over itself
    "rest": (0, 4),
    "drift": (0, 5),
    "shake": (0, 2),
    "light": (0, 0.5),
    "flicker": (0, 0.5),
    "blur": (0, 5),
    "noise": (0, 64),
    "jpeg": (0, 100),
    "apex_late": (-40, 40),
    "onset_late": (-40, 7),  # a rise takes 8 frames at least
}


def wander(rng: np.random.Generator, time: Grid, count: int) -> list[Grid]:
    """Slow random curves over a time from 0 to 1, about -1..1, zero at the first frame."""
    rate, phase = rng.uniform(0.2, 0.7, (count, 1)), rng.uniform(0, 2 * np.pi, (count, 1))
    curve = np.sin(2 * np.pi * (rate * time + phase)) / 1.5
    return list((curve - curve[:, :1]).astype(np.float32))


def jitter(rng: np.random.Generator, length: int, count: int) -> list[Grid]:
    """Independent random numbers of unit spread for every frame, zero at the first frame."""
    curve = rng.standard_normal((count, length), np.float32)
    return list(curve - curve[:, :1])


def flicker(depth: float, frame: int) -> float:
    """The gain of a lamp that is darker by `depth` in every other frame, from the second on."""
    return 1 - depth * (frame % 2)


def photograph(scene: Image, grain: Image, *, noise: float, blur: float, jpeg: int) -> UInt8[np.ndarray, "h w 3"]:
    """What camera and file make of a scene.

    Args:
        scene: RGB, 0..255.
        grain: random numbers of unit spread.
        noise: standard deviation of the sensor's noise, in grey levels.
        blur: standard deviation of the lens's blur in pixels; 0 for none.
        jpeg: quality of the file, 1..100; 0 for no compression.
    """
    if blur:
        scene = cv2.GaussianBlur(scene, (0, 0), blur)
    frame = np.clip(scene + noise * grain + 0.5, 0, 255).astype(np.uint8)  # uint8 cuts: the half makes it round
    if jpeg:
        blue_first = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        file = cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, jpeg])[1]
        frame = np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
    return frame


def annotated(apex: int, onset: int, length: int, *, apex_late: int, onset_late: int) -> tuple[int, int]:
    """The frames that an annotator takes for onset and apex; an apex stays between the onset and the last frame."""
    start = onset + onset_late
    return start, min(max(apex + apex_late, start + 1), max(length - 2, start + 1))
