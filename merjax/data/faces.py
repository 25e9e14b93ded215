"""Cartoon faces: their geometry, drawn per subject, and their painted texture. All of it is OUR CHOICE.

Lengths and positions are fractions of the image side (x right, y down), so one face can be painted at any size.
"""

import functools
from types import SimpleNamespace

import cv2
import numpy as np
from jaxtyping import Float

FACE = {  # the range of each measure; a half is half a width, and x is counted from the middle line
    "half": (0.33, 0.38),
    "eye_x": (0.145, 0.175),
    "eye_y": (0.43, 0.46),
    "eye_half": (0.064, 0.076),
    "lid": (0.03, 0.04),  # from the eye's axis up
    "brow_y": (0.315, 0.345),
    "brow_half": (0.085, 0.105),
    "brow_thick": (0.014, 0.024),
    "brow_tilt": (-0.1, 0.2),
    "brow_arch": (0.005, 0.025),
    "mouth_y": (0.745, 0.785),
    "mouth_half": (0.105, 0.14),
    "mouth_bend": (-0.02, 0.02),
    "lip": (0.016, 0.028),
    "gain": (0.75, 1.25),  # the subject's strength of expression, 1 on average
}

Grid = Float[np.ndarray, "*grid"]
Image = Float[np.ndarray, "h w 3"]
Colour = Float[np.ndarray, "*h_w 3"]


def stream(*numbers: int) -> np.random.Generator:
    """Random numbers that depend on these numbers alone, the same on every machine."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(numbers)))


def grid(size: int) -> tuple[Grid, Grid]:
    """The centres of all pixels, x and y, as fractions of the side."""
    centres = (np.arange(size, dtype=np.float32) + 0.5) / np.float32(size)
    x, y = np.meshgrid(centres, centres)
    return x, y


def _soft(inside: Grid, edge: float = 0.012) -> Grid:
    """Turn a signed distance, positive inside, into coverage between 0 and 1."""
    return np.clip(inside / edge + 0.5, 0, 1)


def _ellipse(x: Grid, y: Grid, half_x: float, half_y: float) -> Grid:
    return _soft((1 - np.hypot(x / half_x, y / half_y)) * min(half_x, half_y))


def _stroke(x: Grid, y: Grid, half: float, thick: float, tilt: float = 0.0, bend: float = 0.0) -> Grid:
    """A line of length 2 half around the origin that thins to its ends; bend moves the ends down against the middle."""
    s = np.clip(x / half, -1, 1)
    middle = tilt * x + bend * (s * s - 0.5)
    return _soft(thick * (1 - 0.7 * s * s) - np.abs(y - middle)) * _soft(half - np.abs(x))


def _blend(image: Image, cover: Grid, colour: Colour) -> None:
    image += cover[..., None] * (colour - image)


def _mottle(rng: np.random.Generator, size: int, cells: tuple[int, ...], stretch: int = 1) -> Grid:
    """Band-limited noise of about unit spread: random grids of so many cells, enlarged; stretch makes them tall."""
    layers = [rng.standard_normal((max(c // stretch, 2), c)).astype(np.float32) for c in cells]
    return sum(cv2.resize(layer, (size, size), interpolation=cv2.INTER_CUBIC) for layer in layers) / len(cells) ** 0.5


def _paint(face: SimpleNamespace, rng: np.random.Generator, size: int) -> Image:
    """The neutral face, RGB 0..255, at `size` pixels a side."""
    x, y = grid(size)
    x = x - 0.5
    tone = rng.uniform(0, 1)
    skin = (1 - tone) * np.array([236, 196, 170]) + tone * np.array([134, 88, 62]) + rng.uniform(-8, 8, 3)
    hair = np.array([[38, 28, 24], [84, 56, 36], [150, 112, 66], [112, 108, 106]])[rng.integers(4)]
    hair = hair * rng.uniform(0.8, 1.2) * (1 + 0.12 * _mottle(rng, size, (24, 64), stretch=4)[..., None])
    iris = np.array([[70.0, 46, 30], [62, 96, 130], [78, 100, 62]])[rng.integers(3)]
    lips = skin * np.array([0.86, 0.58, 0.58])
    dark = skin * np.array([0.62, 0.52, 0.48])
    wall = rng.uniform(90, 190) + rng.uniform(-14, 14, 3)

    image = (wall * (1 + 0.06 * _mottle(rng, size, (4, 10))[..., None])).astype(np.float32)
    head = _ellipse(x, y - 0.45, face.half + 0.075, 0.49)
    _blend(image, head, hair)
    _blend(image, _soft(face.half * 0.62 - np.abs(x)) * _soft(y - 0.8), skin * 0.72)  # neck
    wide = x * (1 + np.float32(0.6) * np.clip(y - 0.5, 0, 1) ** 2)  # the oval narrows to a chin
    oval = _ellipse(wide, y - 0.52, face.half, 0.45)
    _blend(image, oval, skin)
    _blend(image, 0.35 * oval * np.clip(np.hypot(wide / face.half, (y - 0.52) / 0.45), 0, 1) ** 4, dark)
    fringe = rng.uniform(0.13, 0.19) - rng.uniform(0.2, 0.9) * x * x + rng.uniform(-0.15, 0.15) * x
    _blend(image, head * _soft(fringe - y), hair)

    for line in range(3):  # of the forehead
        _blend(image, rng.uniform(0.1, 0.3) * _stroke(x, y - 0.2 - 0.04 * line, 0.2, 0.006, bend=-0.01), dark)
    for out in (-x, x):  # the left and the right half, counted outwards
        _blend(image, 0.25 * np.exp(-((out - 0.2) ** 2 + (y - 0.63) ** 2) / 0.006), lips)  # cheek
        _paint_eye(image, face, out - face.eye_x, y - face.eye_y, iris, dark)
        shape = face.brow_half, face.brow_thick, face.brow_tilt, face.brow_arch
        _blend(image, 0.9 * _stroke(out - face.eye_x, y - face.brow_y, *shape), hair * 0.7)
        _blend(image, 0.4 * _stroke(y - 0.53, out - 0.035, 0.09, 0.009, tilt=0.25), dark)  # bridge of the nose
        _blend(image, 0.8 * _ellipse(out - 0.026, y - 0.628, 0.017, 0.01), dark * 0.6)  # nostril
        _blend(image, 0.35 * _stroke(y - 0.7, out - 0.125, 0.08, 0.008, tilt=0.45), dark)  # from nose to mouth
    _blend(image, 0.5 * _stroke(x, y - 0.648, 0.045, 0.008, bend=-0.012), dark)  # base of the nose

    mouth, bend = y - face.mouth_y, face.mouth_bend
    _blend(image, _stroke(x, mouth + 0.4 * face.lip, face.mouth_half * 0.95, face.lip, bend=bend), lips * 0.92)
    _blend(image, _stroke(x, mouth - 0.6 * face.lip, face.mouth_half * 0.85, face.lip, bend=bend), lips)
    _blend(image, 0.85 * _stroke(x, mouth, face.mouth_half, 0.008, bend=bend), dark * 0.45)
    _blend(image, 0.3 * _stroke(x, mouth - 0.065, 0.06, 0.008, bend=-0.008), dark)  # above the chin

    image *= 1 + 0.035 * _mottle(rng, size, (12, 24, 44))[..., None]
    freckles, radius = np.zeros((size, size), np.float32), 0.006 * size
    freckles[tuple((rng.random((2, rng.integers(0, 400))) * size).astype(int))] = 2 * np.pi * radius**2
    cover = np.clip(cv2.GaussianBlur(freckles, (0, 0), radius), 0, 1)
    _blend(image, 0.35 * cover * _ellipse(x, y - 0.56, face.half * 0.9, 0.3), dark)
    # Frames are sampled from this picture at half its resolution: what they can't hold must go first.
    return cv2.GaussianBlur(image, (0, 0), 1.1)


def _paint_eye(image: Image, face: SimpleNamespace, x: Grid, y: Grid, iris: Colour, dark: Colour) -> None:
    arc = np.clip(1 - (x / face.eye_half) ** 2, 0, 1)
    inside = _soft(face.eye_half - np.abs(x))
    opening = inside * _soft(np.minimum(y + face.lid * arc, 0.65 * face.lid * arc - y), 0.008)
    _blend(image, 0.3 * _ellipse(x, y, face.eye_half * 1.3, face.lid * 2), dark)
    _blend(image, opening, np.array([238.0, 234, 230]))
    _blend(image, opening * _ellipse(x, y + 0.005, 0.03, 0.03), iris)
    _blend(image, opening * _ellipse(x, y + 0.005, 0.013, 0.013), np.array([16.0, 14, 14]))
    _blend(image, opening * _ellipse(x - 0.01, y + 0.014, 0.007, 0.007), np.array([250.0, 250, 250]))
    _blend(image, 0.9 * inside * _soft(0.007 - np.abs(y + face.lid * arc)), dark * 0.35)
    _blend(image, 0.4 * inside * _soft(0.004 - np.abs(y - 0.65 * face.lid * arc)), dark)
    _blend(image, 0.4 * inside * _soft(0.004 - np.abs(y + 0.022 + face.lid * arc)), dark)


@functools.lru_cache(maxsize=32)
def subject_face(seed: int, subject: int, size: int) -> tuple[SimpleNamespace, Image]:
    """A subject's measures (see FACE) and texture, RGB 0..255 at twice the size of a frame."""
    rng = stream(seed, 0, subject)
    face = SimpleNamespace(**{name: rng.uniform(*ends) for name, ends in FACE.items()})
    return face, _paint(face, rng, 2 * size)
