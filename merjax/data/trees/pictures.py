"""Image files of drawn faces, encoded once and used for many frames. The pictures are OUR CHOICE and invented."""

import functools

import cv2
import numpy as np
from jaxtyping import UInt8

from merjax.data.synthetic import draw

FACES = 3  # so many are drawn; subjects share them, for drawing is what takes time
KEPT = 128  # encoded clips, for the next sample with the same face and action


@functools.lru_cache(maxsize=3 * FACES)
def _drawn(seed: int, face: int, action: str, size: int) -> tuple[UInt8[np.ndarray, "t h w 3"], int]:
    truth = draw(subject=face, clip=1, action=action, seed=seed, size=size)
    return truth.frames, truth.apex


def _shaped(frame: UInt8[np.ndarray, "h w 3"], width: int, height: int) -> UInt8[np.ndarray, "h2 w2 3"]:
    """A wide picture keeps the face's form and continues the background; a narrow one squeezes it a little."""
    side = frame.shape[0]
    spare = width - side
    if spare <= 0 or height != side:
        return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.copyMakeBorder(frame, 0, 0, spare // 2, spare - spare // 2, cv2.BORDER_REPLICATE)


def _pixels(frame: UInt8[np.ndarray, "h w 3"], kind: str) -> np.ndarray:
    if kind == "colour":
        return cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return grey if kind == "grey" else 600 + 2 * grey.astype(np.uint16)  # a depth in millimetres, 16 bits


@functools.lru_cache(maxsize=KEPT)
def encoded(
    seed: int, face: int, action: str, size: int, shape: tuple[int, int], kind: str, suffix: str
) -> tuple[tuple[bytes, ...], int]:
    """The files of a drawn clip from onset to offset.

    Args:
        seed: of the whole tree.
        face: number of the subject; subjects share FACES faces.
        action: one of the values of `merjax.data.tasks.ACTIONS`.
        size: side in pixels at which the face is drawn.
        shape: width and height of the files in pixels.
        kind: "colour", "grey" or "depth" (one channel of 16 bits).
        suffix: of the file name, which decides the format.

    Returns:
        The content of each frame's file, and the 0-based position of the apex.
    """
    frames, apex = _drawn(seed, face % FACES, action, size)
    options = [cv2.IMWRITE_JPEG_QUALITY, 90] if suffix == ".jpg" else []
    files = [cv2.imencode(suffix, _pixels(_shaped(f, *shape), kind), options)[1].tobytes() for f in frames]
    return tuple(files), apex


def position(number: int, first: int, peak: int, last: int, apex: int, count: int) -> int:
    """Which of `count` drawn frames shows the frame of this number: onset, apex and offset fall on their own."""
    if number == peak:
        return apex
    return round(float(np.interp(number, (first, peak, last), (0, apex, count - 1))))
