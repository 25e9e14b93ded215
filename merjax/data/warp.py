"""Displacement fields of one picture: traced back, from one frame to another, and as flow images.

A field is (u right, v down) in pixels: what lies at pixel x of the first picture lies at x + d[x] in the second.
"""

import cv2
import numpy as np
from jaxtyping import Float

from merjax.data.faces import Grid, grid


def inverse(displacement: Float[np.ndarray, "h w 2"], x: Grid, y: Grid) -> tuple[Grid, Grid]:
    """The pixel positions (x, y) in the moved picture, traced back to where they came from."""
    back_x, back_y = x, y
    for _ in range(4):
        d = cv2.remap(displacement, back_x, back_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        back_x, back_y = x - d[..., 0], y - d[..., 1]
    return back_x, back_y


def between(displacement: Float[np.ndarray, "t h w 2"], first: int, second: int) -> Float[np.ndarray, "h w 2"]:
    """Where each pixel of frame `first` lies in frame `second`, from the displacements since frame 0."""
    x, y = (g * displacement.shape[1] - 0.5 for g in grid(displacement.shape[1]))
    back = inverse(displacement[first], x, y)
    moved = displacement[second] - displacement[first]
    return cv2.remap(moved, *back, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def flow_image(flow: Float[np.ndarray, "h w 2"]) -> Float[np.ndarray, "h w 3"]:
    """Append optical strain, the norm of the symmetric gradient, to (u, v)."""
    (u_y, u_x), (v_y, v_x) = (np.gradient(flow[..., axis]) for axis in (0, 1))
    strain = np.sqrt(u_x**2 + v_y**2 + (u_y + v_x) ** 2 / 2)
    return np.dstack([flow, strain]).astype(np.float32)
