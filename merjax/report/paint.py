"""Network inputs as small pictures: flow in its customary colours, images, PNG as data URIs."""

import base64

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from merjax.ops.colour import flow_to_colour
from merjax.report.svg import svg, text


def full_speed(x: Float[np.ndarray, "... c"]) -> float:
    """The speed of (u, v) = x[..., :2] that gets the full colour: the 99th percentile of what moves, 0 when still."""
    speed = np.hypot(*np.moveaxis(np.nan_to_num(x[..., :2]), -1, 0))
    return float(np.quantile(speed[speed > 0], 0.99)) if (speed > 0).any() else 0.0


def flow_picture(x: Float[np.ndarray, "h w c"], full: float) -> UInt8[np.ndarray, "h w 3"]:
    """Colours flow (u right, v down, ...) in the customary way; what is faster than `full` is drawn as fast as it."""
    uv = np.nan_to_num(x[..., :2]).astype(np.float32) / (full or 1.0)
    return flow_to_colour(uv / np.maximum(np.hypot(*np.moveaxis(uv, -1, 0)), 1.0)[..., None], largest=1.0 + 1e-6)


def is_signed(x: Float[np.ndarray, "..."]) -> bool:
    """Whether an image has values below zero, not counting rounding."""
    return bool(np.nan_to_num(x).min(initial=0.0) < -1e-3)


def image_picture(x: Float[np.ndarray, "h w c"], signed: bool) -> UInt8[np.ndarray, "h w 3"]:
    """Shows an image of values in 0..1, or in -1..1 when `signed`, as RGB; fewer than three channels become grey."""
    x = np.nan_to_num(x[..., :3] if x.shape[-1] >= 3 else np.repeat(x[..., :1], 3, -1))
    return np.round(255 * np.clip((x + 1) / 2 if signed else x, 0, 1)).astype(np.uint8)


def png(image: UInt8[np.ndarray, "h w c"], width: int = 112) -> str:
    """Packs RGB or RGBA pixels as a data URI: small ones enlarged by whole pixels, large ones cut to twice `width`."""
    h, w = image.shape[:2]
    if w > 2 * width:
        image = cv2.resize(image, (2 * width, max(1, round(h * 2 * width / w))), interpolation=cv2.INTER_AREA)
    factor = max(1, round(width / w))
    image = image.repeat(factor, 0).repeat(factor, 1)
    order = cv2.COLOR_RGBA2BGRA if image.shape[2] == 4 else cv2.COLOR_RGB2BGR
    done, data = cv2.imencode(".png", cv2.cvtColor(image, order))
    assert done
    return "data:image/png;base64," + base64.b64encode(data.tobytes()).decode()


def wheel_picture(size: int = 65) -> UInt8[np.ndarray, "h w 4"]:
    """The flow whose (u, v) is the place in the disc itself, coloured as `flow_picture` does; clear outside."""
    v, u = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j].astype(np.float32)
    inside = np.clip((1 - np.hypot(u, v)) * size / 2, 0, 1)
    return np.dstack([flow_picture(np.stack([u, v], -1), 1.0), np.round(255 * inside).astype(np.uint8)])


def wheel() -> str:
    """Draws the legend of `flow_picture`: a colour wheel with the two axes named."""
    body = [f'<image href="{png(wheel_picture(), 65)}" x="8" y="8" width="84" height="84"/>']
    body += [text(98, 54, "u right →", "start"), text(50, 108, "v down ↓")]
    return svg(160, 114, "Colour wheel of the flow: hue is the direction, u right, v down; white is still", body)
