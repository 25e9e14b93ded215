"""Cutting the face out of a clip: found once, on the onset frame, and cut from every frame in the same way.

A detector that looks at every frame anew jitters by more than a micro-expression moves. So one square, turned so that
the eyes lie level, is found on the onset frame, and one affine warp takes it from each original frame. docs/faces.md
says how well that went.

Positions are (x right, y down) in pixels of the frame; the centre of its first pixel is (0, 0).
"""

import functools
import importlib.util
import math
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, Num, UInt8

from merjax.types import InputError, pick

Image = UInt8[np.ndarray, "h w 3"]
Frames = UInt8[np.ndarray, "t h w 3"]
Number = float | int
Box = tuple[Number, Number, Number, Number]  # left, top, width, height; pixels at the edges count whole
Eyes = Num[np.ndarray, "2 2"]  # centres, first the one further left in the picture
Landmarks = Num[np.ndarray, "68 2"]  # in the order of 300-W

LARGE_FACE, SMALLEST_FACE = 0.4, 0.2  # of a frame's shorter side (OUR CHOICE); the large are looked for first
EYE_SIZES = 0.14, 0.45  # of a face's width, smallest and largest (OUR CHOICE)
SCALES = 1.1  # from one size that is looked for to the next
EYE_ROWS = 0.6  # of a face's box, from above
STEEPEST = math.radians(30)  # a line from eye to eye that is steeper joins no pair of eyes
NEAREST = 0.25  # of a face's box; what lies closer is no pair of eyes
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)  # of the landmarks, as seen in the picture
_READ = threading.local()  # cascades of this thread
LINE = 14  # pixels of the contact sheet that a line of text is high


class Region(NamedTuple):
    """A rectangle in a frame that becomes the crop.

    Attributes:
        x: of its centre.
        y: of its centre.
        width: in pixels of the frame.
        height: in pixels of the frame.
        angle: of its upper edge to the frame's, clockwise as seen, in radians.
    """

    x: float
    y: float
    width: float
    height: float
    angle: float = 0.0


class Crop(NamedTuple):
    """A clip cut to its face.

    Attributes:
        frames: the crops, square and of one size.
        region: what was cut out of every frame.
        finder: what it was found by: "given" or "haar", "lbp", "landmarks", "none", "centre".
        issues: "no_face" where a centre crop stands in for the face, "no_eyes" where a found face was not turned.
    """

    frames: UInt8[np.ndarray, "t size size 3"]
    region: Region
    finder: str
    issues: tuple[str, ...]


def crop(
    frames: Frames,
    *,
    size: int = 224,
    find: str = "auto",
    box: Box | None = None,
    landmarks: Landmarks | None = None,
    box_margin: float = 0.1,
    face_margin: float = 0.05,
    brow_margin: float = 0.2,
) -> Crop:
    """Cuts the face out of a clip, upright, by a region that the onset frame gives.

    Given landmarks count before a given box, and both before `find`. A clip does not fail for a face that is not found:
    it gets the centre crop and the issue "no_face".

    Args:
        frames: one clip, RGB, onset first.
        size: side of the crops in pixels.
        find: "haar" or "lbp", detectors of a face's box; "auto", the first of these that is installed and finds one;
            "landmarks", 68 points by dlib; "none", the whole frame, which is a crop already; "centre", the largest
            square in the middle.
        box: of the face on the onset frame, as (left, top, width, height); taken without a margin.
        landmarks: of the onset frame.
        box_margin: share of a detected box's side that is added at each edge (OUR CHOICE).
        face_margin: share of the landmarks' extent that is added at the left, at the right and below (OUR CHOICE).
        brow_margin: share of the landmarks' height that is added above the brows (0.2 is INFERRED from public code).

    Returns:
        The crops and how they came about.

    Raises:
        InputError: an argument out of range, an unknown name, or a finder that is not installed.

    Source: one box and angle for all frames, and the angle by the eyes, are STATED; a square by the longer side is OUR
        CHOICE.
    """
    if size < 1:
        raise InputError(f"size is {size} pixels; it must be 1 or more.")
    if min(box_margin, face_margin, brow_margin) < 0:
        raise InputError(f"margins are {box_margin}, {face_margin} and {brow_margin}; they must be 0 or more.")
    if box is not None and min(box[2:]) <= 0:
        raise InputError(f"box is {box}; its width and height must be above 0.")
    onset, finder = frames[0], find
    pick(dict.fromkeys(("auto", *DETECTORS, "landmarks", "none", "centre")), "find", find)
    if landmarks is not None or box is not None:
        finder = "given"
    elif find == "landmarks":
        landmarks = dlib_landmarks(onset)
    elif find == "auto" or find in DETECTORS:
        finder, box = _detect(onset, find)
        box = box and _enlarge(box, box_margin)

    issues: tuple[str, ...] = ()
    height, width = onset.shape[:2]
    if landmarks is not None:
        region = landmark_region(landmarks, face_margin=face_margin, brow_margin=brow_margin)
    elif box is not None:
        pair = eyes(onset, box)
        region, issues = box_region(box, pair), () if pair is not None else ("no_eyes",)
    elif find == "none":
        region = Region((width - 1) / 2, (height - 1) / 2, width, height)
    else:
        side = min(height, width)
        region = Region((width - 1) / 2, (height - 1) / 2, side, side)
        finder, issues = "centre", () if find == "centre" else ("no_face",)
    return Crop(np.stack([warp(frame, region, size) for frame in frames]), region, finder, issues)


def landmark_region(landmarks: Landmarks, *, face_margin: float = 0.05, brow_margin: float = 0.2) -> Region:
    """The square around landmarks along the line of the eyes. Margins as `crop`."""
    angle = _tilt(np.stack([landmarks[LEFT_EYE].mean(0), landmarks[RIGHT_EYE].mean(0)]))
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    upright = landmarks @ turn  # in axes along and across the line of the eyes
    low, high = upright.min(0), upright.max(0)
    extent = high - low
    low, high = low - extent * (face_margin, brow_margin), high + extent * face_margin
    x, y = turn @ ((low + high) / 2)
    side = float(max(high - low))
    return Region(float(x), float(y), side, side, angle)


def box_region(box: Box, pair: Eyes | None) -> Region:
    """The square on a box's centre, by its longer side, along the line of the eyes if they are known."""
    left, top, width, height = box
    side = max(width, height)
    angle = 0.0 if pair is None else _tilt(pair)
    return Region(left + (width - 1) / 2, top + (height - 1) / 2, side, side, angle)


def warp(frame: Image, region: Region, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """Cuts a region out of a frame, turned and resized in one affine warp of the original.

    A warp that shrinks would skip pixels, and fine texture would turn into a coarse one. So the warp goes to a grid of
    k times the size, with k just large enough that it skips none, and each k x k pixels are averaged (INTER_AREA). What
    lies outside a frame repeats its border.
    """
    matrix, across, down = _grid(region, size)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    grid = cv2.warpAffine(frame, matrix, (across, down), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(grid, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


@functools.lru_cache(maxsize=64)
def _grid(region: Region, size: int) -> tuple[Float[np.ndarray, "2 3"], int, int]:
    """The way from the grid that `warp` fills to the frame, and the grid's width and height; the same for a clip."""
    k, n = math.ceil(region.width / size), math.ceil(region.height / size)
    across, down = size * max(k, 1), size * max(n, 1)
    axes = _axes(region, across, down)
    origin = np.array([region.x, region.y]) - axes @ np.array([(across - 1) / 2, (down - 1) / 2])
    return np.column_stack([axes, origin]), across, down


def to_crop(points: Num[np.ndarray, "n 2"], region: Region, size: int) -> Float[np.ndarray, "n 2"]:
    """Where points of a frame lie in its crop, in pixels of the crop."""
    axes = _axes(region, size, size)
    return (points - np.array([region.x, region.y])) @ np.linalg.inv(axes).T + (size - 1) / 2


def haar(image: Image) -> Box | None:
    """The largest face that OpenCV's Haar cascade finds; None without one.

    Raises:
        InputError: OpenCV has no cascades.
    """
    grey, cascade = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), _cascade("frontalface_default")
    for share in (LARGE_FACE, SMALLEST_FACE):  # small ones are most of the work, and the largest face is wanted
        smallest = max(round(share * min(grey.shape)), 1)
        found = cascade.detectMultiScale(grey, SCALES, 5, minSize=(smallest, smallest))
        if len(found):
            break
    return _largest([tuple(map(float, box)) for box in found])


def lbp(image: Image) -> Box | None:
    """The largest face that scikit-image's cascade of local binary patterns finds; None without one.

    Raises:
        InputError: scikit-image is not installed.
    """
    try:
        from skimage.data import lbp_frontal_face_cascade_filename
        from skimage.feature import Cascade
    except ImportError as error:
        raise InputError("find is 'lbp', which needs scikit-image: pip install scikit-image.") from error
    smallest, largest = max(round(SMALLEST_FACE * min(image.shape[:2])), 1), min(image.shape[:2])
    found = Cascade(lbp_frontal_face_cascade_filename()).detect_multi_scale(
        img=cv2.cvtColor(image, cv2.COLOR_RGB2GRAY),
        scale_factor=1.2,
        step_ratio=1,
        min_size=(smallest, smallest),
        max_size=(largest, largest),
    )
    return _largest([tuple(float(box[side]) for side in ("c", "r", "width", "height")) for box in found])


DETECTORS: dict[str, Callable[[Image], Box | None]] = {"haar": haar, "lbp": lbp}


def eyes(image: Image, box: Box) -> Eyes | None:
    """Centres of the eyes in a face's box by OpenCV's cascade; None if there is no pair or no cascade.

    One eye lies in each half of the box, a quarter of its width or more apart, and the line between them is no steeper
    than 30 degrees. Of several such pairs the lowest one counts, for what else is taken for eyes is brows and hair (OUR
    CHOICE).
    """
    try:
        cascade = _cascade("eye")
    except InputError:
        return None
    left, top, width, height = (round(part) for part in box)
    x, y = max(left, 0), max(top, 0)
    face = image[y : max(top + round(EYE_ROWS * height), 0), x : max(left + width, 0)]
    if not face.size:
        return None
    smallest, largest = max(round(EYE_SIZES[0] * width), 1), max(round(EYE_SIZES[1] * width), 1)
    found = cascade.detectMultiScale(
        cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), SCALES, 3, minSize=(smallest, smallest), maxSize=(largest, largest)
    )
    centres = [(x + a + (w - 1) / 2, y + b + (h - 1) / 2) for a, b, w, h in found]
    middle = left + (width - 1) / 2
    pairs = [np.array([one, two]) for one in centres for two in centres if one[0] < middle < two[0]]
    pairs = [pair for pair in pairs if np.ptp(pair[:, 0]) >= NEAREST * width and abs(_tilt(pair)) <= STEEPEST]
    return max(pairs, key=lambda pair: pair[:, 1].sum(), default=None)


def dlib_landmarks(image: Image) -> Landmarks | None:
    """68 landmarks of the largest face that dlib's detector finds; None without one.

    Raises:
        InputError: dlib or its model is not installed.
    """
    detect, predict = _dlib()
    found = [((f.left(), f.top(), f.width(), f.height()), f) for f in detect(image, 1)]
    if not found:
        return None
    _, face = max(found, key=lambda pair: pair[0][2] * pair[0][3])
    return np.array([(point.x, point.y) for point in predict(image, face).parts()], np.float64)


def contact_sheet(
    images: Sequence[UInt8[np.ndarray, "_ _ 3"]], labels: Sequence[str], *, columns: int = 8, side: int = 128
) -> UInt8[np.ndarray, "rows columns 3"]:
    """All crops on one white picture, to be looked through at a glance.

    Args:
        images: one crop for each clip, as of its onset frame; of any size.
        labels: what stands below each, a line for each part between strokes, as in subject/clip.
        columns: crops in a row.
        side: of a crop on the sheet, in pixels.

    Returns:
        RGB; text that is too long is made smaller.

    Raises:
        InputError: no crops, or not as many labels.
    """
    if not images or len(images) != len(labels):
        raise InputError(f"images are {len(images)} and labels {len(labels)}; give one label for each image.")
    lines = [label.split("/") for label in labels]
    height = side + LINE * max(map(len, lines))
    columns = min(columns, len(images))
    sheet = np.full((-(-len(images) // columns) * height, columns * side, 3), 255, np.uint8)
    for i, (image, parts) in enumerate(zip(images, lines, strict=True)):
        top, left = i // columns * height, i % columns * side
        whole = Region((image.shape[1] - 1) / 2, (image.shape[0] - 1) / 2, image.shape[1], image.shape[0])
        sheet[top : top + side, left : left + side] = warp(image, whole, side)
        for row, text in enumerate(parts):
            (wide, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 1)
            scale, base = 0.4 * min(1.0, (side - 6) / max(wide, 1)), top + side + LINE * (row + 1) - 4
            cv2.putText(sheet, text, (left + 3, base), cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 1, cv2.LINE_AA)
    return sheet


def _detect(image: Image, find: str) -> tuple[str, Box | None]:
    """Name and box of the first detector that finds a face; one that is missing is passed over for another."""
    missing = []
    names = tuple(DETECTORS) if find == "auto" else (find,)
    for name in names:
        try:
            box = DETECTORS[name](image)
        except InputError as error:
            missing.append(error)
            continue
        if box is not None:
            return name, box
    if len(missing) == len(names):
        raise missing[0]
    return "", None


def _cascade(name: str) -> Any:
    """A cascade that comes with OpenCV 4; every thread reads its own once, for they may not share one."""
    if not hasattr(_READ, name):
        path = Path(cv2.__file__).parent / "data" / f"haarcascade_{name}.xml"
        if not hasattr(cv2, "CascadeClassifier") or not path.exists():
            raise InputError("find is 'haar', which needs OpenCV below 5: pip install 'opencv-python-headless<5'.")
        setattr(_READ, name, cv2.CascadeClassifier(str(path)))
    return getattr(_READ, name)


@functools.cache
def _dlib() -> tuple[Any, Any]:
    """Detector and predictor. The package with the model is located, not imported: its import needs pkg_resources."""
    package = importlib.util.find_spec("face_recognition_models")
    if importlib.util.find_spec("dlib") is None or package is None:
        wanted = "pip install dlib-bin face-recognition-models"
        raise InputError(f"find is 'landmarks', which needs dlib and its model: {wanted}.")
    import dlib

    folder = Path((package.submodule_search_locations or [""])[0])
    model = folder / "models" / "shape_predictor_68_face_landmarks.dat"
    return dlib.get_frontal_face_detector(), dlib.shape_predictor(str(model))


def _largest(boxes: Sequence[Any]) -> Box | None:
    return max(boxes, key=lambda box: box[2] * box[3], default=None)


def _enlarge(box: Box, margin: float) -> Box:
    left, top, width, height = box
    return left - margin * width, top - margin * height, (1 + 2 * margin) * width, (1 + 2 * margin) * height


def _tilt(pair: Eyes) -> float:
    """Angle of the line from the left eye in the picture to the right one, clockwise as seen, in radians."""
    right, down = pair[1] - pair[0]
    return math.atan2(down, right)


def _axes(region: Region, across: int, down: int) -> Float[np.ndarray, "2 2"]:
    """The steps in the frame, as columns, of one pixel to the right and one down in a grid over the region."""
    cos, sin = math.cos(region.angle), math.sin(region.angle)
    step_x, step_y = region.width / across, region.height / down
    return np.array([[cos * step_x, -sin * step_y], [sin * step_x, cos * step_y]])
