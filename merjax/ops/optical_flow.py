"""Dense optical flow between two grey images of one clip, by name.

`FLOWS` is the table that a name is looked up in. Every method takes two images [h w] with grey levels 0..255 and gives
(u right, v down) in pixels: what is at p in the first image is at p + (u, v) in the second. docs/flow_methods.md says
how they differ and how far each is off.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, Num

from merjax.ops import tvl1
from merjax.types import Host, InputError, pick

PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}
DIS_SMALLEST = 12  # pixels, of the longer side; OpenCV refuses less
LUMA = (0.299, 0.587, 0.114)  # of red, green and blue; ITU-R BT.601


class Flow(NamedTuple):
    """A method of optical flow.

    Attributes:
        compute: takes two grey images and keyword arguments, gives [h w 2].
        host: works on NumPy arrays in host memory, so that it cannot be traced, jitted or vmapped.
    """

    compute: Callable[..., Float[Host, "h w 2"]]
    host: bool


def grey(frame: Num[Host, "h w c"]) -> Float[Host, "h w"]:
    """Luma of a frame in grey levels, unrounded.

    Args:
        frame: red, green and blue, or one channel that is grey already, in 0..255.

    Returns:
        float32 in 0..255, of the array type of `frame`.

    Raises:
        InputError: neither 1 nor 3 channels.
    """
    if frame.shape[-1] not in (1, 3):
        raise InputError(f"frame has {frame.shape[-1]} channels; it must have 1 or 3")
    frame = frame.astype(np.float32)
    if frame.shape[-1] == 1:
        return frame[..., 0]
    red, green, blue = LUMA
    return red * frame[..., 0] + green * frame[..., 1] + blue * frame[..., 2]


def farneback(
    first: Num[Host, "h w"],
    second: Num[Host, "h w"],
    *,
    pyr_scale: float = 0.5,
    levels: int = 3,
    winsize: int = 15,
    iterations: int = 3,
    poly_n: int = 5,
    poly_sigma: float = 1.2,
) -> Float[np.ndarray, "h w 2"]:
    """Farneback's flow from local quadratic polynomials, by OpenCV. Images and result as the module says.

    Args:
        first: grey levels 0..255.
        second: as `first`, of the same size.
        pyr_scale: size of a level relative to the next finer one.
        levels: levels of the pyramid, the finest counted.
        winsize: pixels over which displacements are averaged.
        iterations: per level.
        poly_n: side of the neighbourhood that a polynomial is fitted to.
        poly_sigma: its Gaussian weighting, in pixels.

    Returns:
        The flow in pixels.

    Source: Farneback 2003. That papers use it is UNKNOWN; the constants are OUR CHOICE (methods 1.4).
    """
    flow = np.zeros((*first.shape, 2), np.float32)  # filled by OpenCV
    images = np.asarray(first, np.float32), np.asarray(second, np.float32)
    cv2.calcOpticalFlowFarneback(*images, flow, pyr_scale, levels, winsize, iterations, poly_n, poly_sigma, flags=0)
    return flow


def dis(first: Num[Host, "h w"], second: Num[Host, "h w"], *, preset: str = "medium") -> Float[np.ndarray, "h w 2"]:
    """Dense inverse search by OpenCV. Images and result as the module says.

    Args:
        first: grey levels 0..255; rounded, for OpenCV takes bytes.
        second: as `first`, of the same size.
        preset: "ultrafast", "fast" or "medium", OpenCV's sets of constants.

    Returns:
        The flow in pixels.

    Raises:
        InputError: both sides are below 12 pixels, or an unknown preset.

    Source: Kroeger et al. 2016. OUR CHOICE, as the fastest of the three (docs/flow_methods.md).
    """
    if max(first.shape) < DIS_SMALLEST:
        raise InputError(f"first is {first.shape} pixels; for dis one side must be {DIS_SMALLEST} or more")
    one, two = (np.clip(np.rint(np.asarray(image)), 0, 255).astype(np.uint8) for image in (first, second))
    search: Any = cv2.DISOpticalFlow.create(pick(PRESETS, "preset", preset))  # its type stub asks for a flow below
    return search.calc(one, two, None)  # None, for an array of zeros would be a flow to start from


FLOWS: dict[str, Flow] = {
    "tvl1": Flow(tvl1.tvl1, host=False),
    "farneback": Flow(farneback, host=True),
    "dis": Flow(dis, host=True),
}
