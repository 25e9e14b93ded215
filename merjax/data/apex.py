"""Spotting the apex of a clip that has no annotated one.

A spotter takes the frames from onset to offset (RGB, on a crop of the face that is the same for all) and their rate in
frames a second. It gives the apex as a 0-based position between 1 and the last. It sees no label. All but `midpoint`
make a curve of how far each frame is from the onset, smooth it, and take its highest point.

`SPOTTERS` is the table that a name is looked up in. docs/apex.md says how far off each is on drawn clips.
"""

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, Num, UInt8

from merjax.types import InputError, pick

Frames = UInt8[np.ndarray, "t h w 3"]
Grey = Float[np.ndarray, "t h w"]
Curve = Float[np.ndarray, " t"]

SMOOTH = 0.032  # seconds: 7 frames at 200 a second, 5 at 100, 3 at 60 and below
EDGE = 0.05  # of the clip's length, at either end
EYES, MOUTH = (0.15, 0.55), (0.6, 0.95)  # rows of a crop, as fractions of its height
CELLS = ((48,), (54,), (8,), (31,), (35,), range(36, 42), range(42, 48), (21, 22), range(17, 22), range(22, 27))
FORMS = {"half": 0.5, "quarter": 0.25}  # weight of the shear in optical strain
SMALLEST = 12  # pixels, of a frame's longer side; OpenCV's DIS refuses less


def midpoint(frames: Frames, fps: float) -> int:
    """The middle between onset and offset, (t - 1) // 2, but 1 at least.

    Args:
        frames: one clip, onset first and offset last.
        fps: frames a second; without influence here.

    Returns:
        0-based position of the apex.

    Raises:
        InputError: fewer than two frames.

    Source: in common use where no apex is annotated; STATED.
    """
    return max(_middle(len(frames)), 1)


def framediff(frames: Frames, fps: float, *, blur: float = 1.0, smooth: float = SMOOTH, edge: float = EDGE) -> int:
    """Where the mean absolute difference to the onset frame is largest, over grey and blurred frames.

    Frames are first brought to the onset's mean grey level (OUR CHOICE): a flicker of the lamp is no movement.

    Args:
        frames: one clip, onset first and offset last.
        fps: frames a second.
        blur: standard deviation of the Gaussian that takes out noise, in pixels (OUR CHOICE).
        smooth: seconds over which the curve is averaged, though over three frames at least; 0 leaves it as it is
            (OUR CHOICE, to give the 3 to 7 frames in common use).
        edge: share of the clip, at either end, that is not looked at; STATED.

    Returns:
        0-based position of the apex. Of equal heights the one nearest the middle counts, so a still clip gives its
        midpoint (OUR CHOICE).

    Raises:
        InputError: fewer than two frames, or an argument out of range.

    Source: the usual baseline; STATED.
    """
    grey = _grey(frames, blur)
    return _peak(np.abs(grey - grey[0]).mean((1, 2)), fps, smooth, edge)


def lbp_dc(
    frames: Frames,
    fps: float,
    *,
    blur: float = 1.0,
    radius: int = 2,
    blocks: int = 6,
    smooth: float = SMOOTH,
    edge: float = EDGE,
) -> int:
    """Divide and conquer on local binary patterns of the eyes with the brows, and of the mouth.

    A frame's distance is 1 - correlation of its histograms with the onset's. The range is split in two; the half whose
    local maxima have the larger sum is kept, until one maximum is left. Both regions are fixed rows of the crop, with
    `blocks` x `blocks` histograms each; a pattern's eight neighbours are `radius` pixels away. These constants are OUR
    CHOICE. Other arguments, result and errors as `framediff`.

    Source: Liong et al. 2015; INFERRED from accounts of it.
    """
    grey = _grey(frames, blur)
    height = grey.shape[1]
    regions = [grey[:, round(top * height) : round(bottom * height)] for top, bottom in (EYES, MOUTH)]
    if radius < 1 or blocks < 1 or min(min(region.shape[1:]) for region in regions) < 2 * radius + blocks:
        raise InputError(f"lbp_dc: {blocks} blocks and radius {radius} don't fit frames of {grey.shape[1:]} pixels.")
    histograms = np.stack(
        [np.concatenate([_patterns(r[t], radius, blocks) for r in regions]) for t in range(len(grey))]
    )
    histograms -= histograms.mean(1, keepdims=True)
    length = np.linalg.norm(histograms, axis=1)
    product = length * length[0]
    likeness = np.divide(histograms @ histograms[0], product, out=np.ones_like(product), where=product > 0)
    return _divide(_smooth(1 - likeness, fps, smooth), edge)


def flow(
    frames: Frames, fps: float, *, method: str = "dis", blur: float = 1.0, smooth: float = SMOOTH, edge: float = EDGE
) -> int:
    """Where the mean length of the flow from the onset is largest, its median taken away for the head's drift.

    `method` is "dis" or "farneback", both by OpenCV. Other arguments, result and errors as `framediff`.

    Source: in common use; STATED. The median is OUR CHOICE.
    """
    return _peak(_along(frames, method, blur, _length), fps, smooth, edge)


def strain(
    frames: Frames,
    fps: float,
    *,
    method: str = "dis",
    form: str = "half",
    blur: float = 2.0,
    smooth: float = SMOOTH,
    edge: float = EDGE,
) -> int:
    """Where the mean optical strain of the flow from the onset is largest: sqrt(u_x^2 + v_y^2 + 1/2 (u_y + v_x)^2).

    `form` "quarter" has 1/4 in place of 1/2, as public code often does. More blur, for a derivative doubles the noise
    (OUR CHOICE). Other arguments, result and errors as `flow`.

    Source: in common use; STATED.
    """
    shear = pick(FORMS, "form", form)
    return _peak(_along(frames, method, blur, lambda field: _strain(field, shear)), fps, smooth, edge)


def freq(
    frames: Frames,
    fps: float,
    *,
    span: float = 0.05,
    cutoff: float = 0.12,
    blur: float = 1.0,
    smooth: float = SMOOTH,
    edge: float = EDGE,
) -> int:
    """Where a sliding window holds most energy of high frequency, by a Fourier transform over time and both axes.

    What is transformed is the difference to the onset frame (OUR CHOICE): the texture of a still face would be most of
    the energy else. The window lasts `span` seconds, three frames at least; frequencies count whose radius over all
    three axes, in cycles per frame and per pixel alike, is `cutoff` or more (both OUR CHOICE). Other arguments, result
    and errors as `framediff`.

    Source: papers on the apex frame in the frequency domain; INFERRED from accounts of them.
    """
    grey = _grey(frames, blur)
    half = _half_window(fps, span, "span")
    spectrum = np.fft.rfft2(grey - grey[0])
    spectrum = np.concatenate([spectrum[:1]] * half + [spectrum] + [spectrum[-1:]] * half)
    down, right = np.fft.fftfreq(grey.shape[1])[:, None], np.fft.rfftfreq(grey.shape[2])
    time = np.fft.fftfreq(2 * half + 1)[:, None, None]
    high = np.sqrt(time**2 + down**2 + right**2) >= cutoff
    windows = (np.fft.fft(spectrum[t : t + 2 * half + 1], axis=0)[high] for t in range(len(grey)))
    return _peak(np.array([np.sum(np.abs(window) ** 2) for window in windows]), fps, smooth, edge)


def cell_ratio(
    frames: Frames,
    landmarks: Num[np.ndarray, "t 68 2"],
    fps: float,
    *,
    lag: int = 1,
    blur: float = 1.0,
    smooth: float = SMOOTH,
    edge: float = EDGE,
) -> int:
    """Where ten squares around landmarks differ most from the onset, in proportion to how they differ from just before.

    The squares lie on mouth corners, chin, sides of the nose, eyes, between the brows and on both; half the mouth's
    width at onset is their side. The curve is the mean over squares of (|I_t - I_onset| + 1) / (|I_t - I_{t-lag}| + 1),
    each difference a mean over the square (OUR CHOICE), which stays where frame t has its landmarks (OUR CHOICE).

    Args:
        frames: one clip, onset first and offset last.
        landmarks: (x right, y down) in pixels, of every frame, in the order of the 68 points of 300-W.
        fps: frames a second.
        lag: frames between t and the one just before.
        blur: as `framediff`, and so are the others, result and errors.
        smooth: as `framediff`.
        edge: as `framediff`.

    Source: public code that filled in the apexes of SMIC; INFERRED from accounts of it.
    """
    if len(landmarks) != len(frames):
        raise InputError(f"landmarks are of {len(landmarks)} frames; they must be of all {len(frames)}.")
    if lag < 1:
        raise InputError(f"lag is {lag} frames; it must be 1 or more.")
    grey = _grey(frames, blur)
    side = max(round(float(np.linalg.norm(landmarks[0, 54] - landmarks[0, 48]) / 2)), 1)
    curve = np.ones(len(grey))
    for t in range(1, len(grey)):
        centres = [landmarks[t, list(points)].mean(0) for points in CELLS]
        onset, before = (np.abs(grey[t] - grey[i]) for i in (0, max(t - lag, 0)))
        ratios = [(_cell(onset, centre, side) + 1) / (_cell(before, centre, side) + 1) for centre in centres]
        curve[t] = np.mean(ratios)
    return _peak(curve, fps, smooth, edge)


SPOTTERS: dict[str, Callable[..., int]] = {
    "midpoint": midpoint,
    "framediff": framediff,
    "lbp_dc": lbp_dc,
    "flow": flow,
    "strain": strain,
    "freq": freq,
}


def _middle(length: int) -> int:
    if length < 2:
        raise InputError(f"frames are {length}; an apex needs two or more, onset and offset among them.")
    return (length - 1) // 2


def _grey(frames: Frames, blur: float) -> Grey:
    """Blurred grey levels; every frame has the mean of the first, so that a flicker of the whole picture is gone."""
    if blur < 0:
        raise InputError(f"blur is {blur} pixels; it must be 0 or more.")
    grey = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]).astype(np.float32)
    mean = grey.mean((1, 2), keepdims=True)
    grey *= np.divide(mean[:1], mean, out=np.ones_like(mean), where=mean > 0)
    return np.stack([cv2.GaussianBlur(image, (0, 0), blur) for image in grey]) if blur else grey


def _half_window(fps: float, seconds: float, name: str) -> int:
    """Frames on either side of the middle one of a window so long: one at least, none for 0 seconds."""
    if fps <= 0 or seconds < 0:
        raise InputError(f"fps is {fps} and {name} {seconds} seconds; fps must be above 0 and {name} 0 or more.")
    return max(round(fps * seconds / 2), 1) if seconds else 0


def _smooth(curve: Curve, fps: float, seconds: float) -> Curve:
    half = _half_window(fps, seconds, "smooth")
    return np.convolve(np.pad(curve, half, mode="edge"), np.full(2 * half + 1, 1 / (2 * half + 1)), "valid")


def _range(length: int, edge: float) -> tuple[int, int]:
    """First and last position that may be the apex."""
    if not 0 <= edge < 0.5:
        raise InputError(f"edge is {edge}; it must be 0 or more and below 0.5.")
    first = min(max(math.ceil(edge * (length - 1)), 1), max(_middle(length), 1))
    return first, max(math.floor((1 - edge) * (length - 1)), first)


def _peak(curve: Curve, fps: float, smooth: float, edge: float) -> int:
    """The highest point of a smoothed curve; of equal ones that nearest the middle."""
    first, last = _range(len(curve), edge)
    inside = _smooth(curve, fps, smooth)[first : last + 1]
    highest = first + np.flatnonzero(inside >= inside.max() * (1 - 1e-9))  # equal but for rounding
    return int(min(highest, key=lambda t: abs(t - _middle(len(curve)))))


def _divide(curve: Curve, edge: float) -> int:
    """Halves the range until it holds one local maximum; the half whose maxima have the larger sum goes on."""
    first, last = _range(len(curve), edge)
    inside = np.concatenate([[-np.inf], curve[first : last + 1], [-np.inf]])
    maxima = first + np.flatnonzero((inside[1:-1] > inside[:-2]) & (inside[1:-1] >= inside[2:]))
    if np.ptp(curve[first : last + 1]) < 1e-9:  # nothing but rounding: no maximum means anything
        return max(_middle(len(curve)), 1)
    while len(maxima) > 1:
        middle = (first + last) // 2
        left, right = maxima[maxima <= middle], maxima[maxima > middle]
        if curve[left].sum() >= curve[right].sum():
            maxima, last = left, middle
        else:
            maxima, first = right, middle + 1
    return int(maxima[0])


def _patterns(image: Float[np.ndarray, "h w"], radius: int, blocks: int) -> Float[np.ndarray, " bins"]:
    """Histograms of local binary patterns in blocks x blocks parts of a region, one after the other."""
    height, width = image.shape[0] - 2 * radius, image.shape[1] - 2 * radius
    middle = image[radius : radius + height, radius : radius + width]
    code = np.zeros((height, width), np.int64)
    ring = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
    for bit, (down, right) in enumerate(ring):
        neighbour = image[down * radius :, right * radius :][:height, :width]
        code |= (neighbour >= middle).astype(np.int64) << bit
    block = (np.arange(height) * blocks // height)[:, None] * blocks + np.arange(width) * blocks // width
    return np.bincount((256 * block + code).ravel(), minlength=256 * blocks**2).astype(np.float64)


def _along(frames: Frames, method: str, blur: float, measure: Callable[[Any], float]) -> Curve:
    """A measure of the flow from the onset to every frame; the onset itself has 0."""
    compute = pick({"dis": _dis, "farneback": _farneback}, "method", method)
    if max(frames.shape[1:3]) < SMALLEST:
        raise InputError(f"frames are {frames.shape[1:3]} pixels; for flow one side must be {SMALLEST} or more.")
    grey = np.clip(np.rint(_grey(frames, blur)), 0, 255).astype(np.uint8)
    return np.array([0.0] + [measure(compute(grey[0], image)) for image in grey[1:]])


def _dis(first: UInt8[np.ndarray, "h w"], second: UInt8[np.ndarray, "h w"]) -> Float[np.ndarray, "h w 2"]:
    search: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)  # its type stub asks for a flow below
    return search.calc(first, second, None)


def _farneback(first: UInt8[np.ndarray, "h w"], second: UInt8[np.ndarray, "h w"]) -> Float[np.ndarray, "h w 2"]:
    start = np.zeros((*first.shape, 2), np.float32)
    return cv2.calcOpticalFlowFarneback(first, second, start, 0.5, 3, 15, 3, 5, 1.2, 0)


def _length(field: Float[np.ndarray, "h w 2"]) -> float:
    return float(np.linalg.norm(field - np.median(field, axis=(0, 1)), axis=-1).mean())


def _strain(field: Float[np.ndarray, "h w 2"], shear: float) -> float:
    (u_y, u_x), (v_y, v_x) = (np.gradient(field[..., axis]) for axis in (0, 1))
    return float(np.sqrt(u_x**2 + v_y**2 + shear * (u_y + v_x) ** 2).mean())


def _cell(image: Float[np.ndarray, "h w"], centre: Num[np.ndarray, "2"], side: int) -> float:
    """Mean over a square; what of it lies outside the image repeats its border."""
    x, y = (float(part) for part in centre)
    return float(cv2.getRectSubPix(image, (side, side), (x, y)).mean())
