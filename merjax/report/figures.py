"""Figures as text: inline SVG that takes its colours from the page, and small PNG images as data URIs.

Every function is pure and draws from plain numbers. Lines and text follow `currentColor` and the CSS variables
`--accent`, `--warm`, `--soft`, `--line` and `--paper`; the fallbacks let a figure stand alone too.
"""

import base64
import math
import textwrap
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from merjax.ops.colour import flow_to_colour

ACCENT, WARM = "var(--accent, #1b6a8c)", "var(--warm, #b3622a)"
SOFT, LINE, PAPER = "var(--soft, #5d6872)", "var(--line, #d9dee2)", "var(--paper, #fff)"
WIDTH = 440  # of a plot, in CSS pixels: two stand side by side on a page, one still reads well on a telephone
LETTER = 6.9  # mean advance of a letter at the 12 px used here; wide enough for the usual system fonts
Number = float | int


class Interval(NamedTuple):
    """One row of `intervals`: a score, its interval, and what guessing would score."""

    name: str
    value: float
    low: float
    high: float
    chance: float


def confusion(counts: Int[np.ndarray, "k k"], classes: Sequence[str]) -> str:
    """Draws a confusion matrix with counts and, below each, its share of the row (rows true, columns predicted)."""
    longest = max(len(word) for name in classes for word in [*name.replace("-", "- ").split(), ""])
    cell = min(max(LETTER * longest + 12, 72.0), 94.0)
    heads = [_wrapped(name, int(cell / LETTER), 3) for name in classes]
    sides = [_wrapped(name, 24, 3) for name in classes]
    left = max(LETTER * max(len(line) for lines in sides for line in lines) + 14, 56)
    top, high = 28 + 15 * max(map(len, heads)), 52
    totals = counts.sum(1)
    rates = counts / np.maximum(totals, 1)[:, None]
    body = [_text(left + 3, 13, "predicted →", "start", SOFT), _text(left - 10, top - 9, "true ↓", "end", SOFT)]
    for j, lines in enumerate(heads):
        body.append(_lines(left + (j + 0.5) * cell, top - 9 - 15 * (len(lines) - 1), lines, "middle"))
    for i, lines in enumerate(sides):
        y = top + i * high
        body.append(_lines(left - 10, y + high / 2 + 4 - 7.5 * (len(lines) - 1), lines, "end"))
        for j, (count, rate) in enumerate(zip(counts[i].tolist(), rates[i].tolist(), strict=True)):
            x, share = left + j * cell, f"{rate:.3f}" if totals[i] else "–"
            told = f"true {classes[i]}, predicted {classes[j]}: {count} of {totals[i]} ({share})"
            words = _text(x + cell / 2, y + 24, str(count), size=15) + _text(x + cell / 2, y + 41, share, size=11)
            # The tint stays pale enough for one ink colour to be legible on all of it, in light and in dark.
            tint = f"fill:{ACCENT if i == j else WARM};fill-opacity:{0.05 + 0.5 * rate:.3f}"
            body.append(
                f"<g><title>{escape(told)}</title>"
                f'<rect x="{x + 1.5:.1f}" y="{y + 1.5}" width="{cell - 3:.1f}" height="{high - 3}" rx="4" '
                f'style="{tint}"/>{words}</g>'
            )
    told = "; ".join(f"{name} {rate:.3f}" for name, rate, n in zip(classes, rates.diagonal(), totals, strict=True) if n)
    label = f"Confusion matrix, rows true and columns predicted. Share recognised: {told}"
    return _svg(left + cell * len(classes), top + high * len(classes), label, body)


def intervals(rows: Sequence[Interval], what: str) -> str:
    """Draws each score as a dot on an axis from 0 to 1, with its interval and a dashed mark at its chance level."""
    left, right, step, top = 12, WIDTH - 12, 50, 26
    bottom = top + step * len(rows) + 6
    scale = [left, right, 0.0, 1.0]
    body = [_text(left, 14, what, "start", size=14)]
    body += [_axis_mark(_at(t / 5, *scale), top + 4, bottom, f"{t / 5:.1f}") for t in range(6)]
    for i, row in enumerate(rows):
        y = top + i * step + 36
        shown = _told(row.value, row.low, row.high)
        name = textwrap.shorten(row.name, 30, placeholder="…") if " " in row.name else row.name[:30]
        body.append(f"<g><title>{escape(f'{row.name}: {what} {shown}; chance {row.chance:.3f}')}</title>")
        body.append(_backed(left + 5, y - 16, name, "start") + _backed(right, y - 16, shown, "end", SOFT))
        x = _at(row.chance, *scale)
        body.append(_stroke(f"M{x:.1f} {y - 10}V{y + 10}", SOFT, 1.5, ' stroke-dasharray="3 2.5"'))
        if np.isfinite([row.low, row.high]).all():
            ends = _at(row.low, *scale), _at(row.high, *scale)
            body.append(_stroke(f"M{ends[0]:.1f} {y}H{ends[1]:.1f}", ACCENT, 5, ' stroke-opacity="0.4"'))
        if math.isfinite(row.value):
            body.append(_dot(_at(row.value, *scale), y, 5.5))
        body.append("</g>")
    told = "; ".join(f"{row.name} {_told(row.value, row.low, row.high)}" for row in rows)
    return _svg(WIDTH, bottom + 22, f"{what} with 95 % interval: {told}", body)


def curves(values: Float[np.ndarray, "r e"], what: str, *, band: bool, ceiling: float | None = None) -> str:
    """Draws runs over epochs, the last epoch marked.

    Args:
        values: one row per run, one column per epoch; values that are not finite leave a gap.
        what: name of the vertical axis.
        band: draw the median with a band from the 10th to the 90th percentile, in place of one thin line for each run
          and their median.
        ceiling: top of the axis; None takes it from the values.
    """
    epochs = values.shape[1]
    low, middle, high = (_quantile(values, q) for q in (0.1, 0.5, 0.9))
    drawn = np.concatenate([low, high] if band else list(values))
    drawn = drawn[np.isfinite(drawn)]
    ticks = _ticks(min(drawn.min(initial=0.0), 0.0), ceiling or drawn.max(initial=0.0) or 1.0)
    left, right, top, bottom = 42, WIDTH - 14, 30, 226
    across = np.array([_at(n, left, right, 1, epochs) for n in range(1, epochs + 1)])

    def up(values: np.ndarray) -> np.ndarray:
        return bottom - (bottom - top) * (values - ticks[0]) / (ticks[-1] - ticks[0])

    body = [_stroke(f"M{left} {y:.1f}H{right}", LINE, 1) for y in up(ticks)]
    body += [_text(left - 7, y + 4, f"{t:.4g}", "end", SOFT) for t, y in zip(ticks, up(ticks), strict=True)]
    body += [_text(across[n - 1], bottom + 18, str(n), "middle", SOFT) for n in _epoch_ticks(epochs)]
    body += [_text(left, 13, what, "start"), _text(right, bottom + 36, "epoch", "end", SOFT)]
    body += [_stroke(f"M{across[-1]:.1f} {top - 6}V{bottom}", SOFT, 1, ' stroke-dasharray="3 3"')]
    body += [_text(across[-1], 13, "last epoch", "end" if epochs > 1 else "middle", SOFT)]
    if band:
        body += _band(across, up(low), up(high))
    elif len(values) > 1:
        body += [_stroke(_path(across, up(run)), ACCENT, 1, ' stroke-opacity="0.5"') for run in values]
    body.append(_stroke(_path(across, up(middle)), ACCENT, 2))
    ends = middle[-1:] if band else values[:, -1]
    body += [_dot(across[-1], y, 4) for y in up(ends[np.isfinite(ends)])]
    first, last = (f"{value:.3f}" if math.isfinite(value) else "not finite" for value in middle[[0, -1]])
    told = f"{first} after the first epoch, {last} after the last"
    return _svg(WIDTH, bottom + 42, f"{what} by epoch, 1 to {epochs}, median of {len(values)}: {told}", body)


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
    body += [_text(98, 54, "u right →", "start"), _text(50, 108, "v down ↓")]
    return _svg(160, 114, "Colour wheel of the flow: hue is the direction, u right, v down; white is still", body)


def _svg(width: Number, height: Number, label: str, body: Sequence[str]) -> str:
    w, h = math.ceil(width), math.ceil(height)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" '
    font = 'font-family="system-ui, sans-serif" font-size="12" fill="currentColor"'
    return f'{head}{font} aria-label="{escape(label)}">{"".join(body)}</svg>'


def _text(
    x: Number, y: Number, text: str, anchor: str = "middle", fill: str = "currentColor", *, size: int = 12
) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
    return f'<text {place} style="fill:{fill}">{escape(text)}</text>'


def _backed(x: Number, y: Number, text: str, anchor: str, fill: str = "currentColor") -> str:
    # A halo in the colour of the paper keeps a grid line from crossing the letters.
    style = f"paint-order:stroke;stroke:{PAPER};stroke-width:4px;fill:{fill}"
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="{style}">{escape(text)}</text>'


def _band(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> list[str]:
    if len(x) == 1:
        x, low, high = x[0] + np.array([-4, 4]), low.repeat(2), high.repeat(2)
    whole = np.flatnonzero(np.isfinite(low[:-1] + low[1:]))  # one piece per step lets a gap be a gap
    pieces = [
        f"M{x[i]:.1f} {low[i]:.1f}V{high[i]:.1f}L{x[i + 1]:.1f} {high[i + 1]:.1f}V{low[i + 1]:.1f}Z" for i in whole
    ]
    return [f'<path d="{"".join(pieces)}" style="fill:{ACCENT};fill-opacity:0.2"/>'] if pieces else []


def _lines(x: Number, y: Number, lines: Sequence[str], anchor: str) -> str:
    return "".join(_text(x, y + 15 * i, line, anchor) for i, line in enumerate(lines))


def _stroke(path: str, colour: str, width: Number, more: str = "") -> str:
    return f'<path d="{path}" fill="none" stroke-width="{width}" style="stroke:{colour}"{more}/>' if path else ""


def _dot(x: Number, y: Number, radius: Number) -> str:
    place = f'cx="{x:.1f}" cy="{y:.1f}" r="{radius}"'
    return f'<circle {place} style="fill:{ACCENT};stroke:{PAPER};stroke-width:1.5"/>'


def _axis_mark(x: Number, top: Number, bottom: Number, text: str) -> str:
    return _stroke(f"M{x:.1f} {top}V{bottom}", LINE, 1) + _text(x, bottom + 16, text, "middle", SOFT)


def _at(value: Number, start: Number, end: Number, low: Number, high: Number) -> float:
    return start + (end - start) * ((value - low) / (high - low) if high > low else 0.5)


def _path(x: np.ndarray, y: np.ndarray) -> str:
    steps, pen = [], "M"
    for a, b in zip(x, y, strict=True):
        if math.isfinite(b):
            steps.append(f"{pen}{a:.1f} {b:.1f}")
        pen = "L" if math.isfinite(b) else "M"
    return "".join(steps)


def _wrapped(name: str, width: int, lines: int) -> list[str]:
    return textwrap.wrap(name, width, max_lines=lines, placeholder="…") or [""]


def _told(value: float, low: float, high: float) -> str:
    told = f"{value:.3f}" if math.isfinite(value) else "–"
    return f"{told} [{low:.3f}, {high:.3f}]" if np.isfinite([low, high]).all() else told


def _quantile(values: Float[np.ndarray, "r e"], q: float) -> Float[np.ndarray, " e"]:
    finite = [column[np.isfinite(column)] for column in values.astype(np.float64).T]
    return np.array([np.quantile(column, q) if len(column) else np.nan for column in finite], np.float64)


def _ticks(low: Number, high: Number) -> np.ndarray:
    size = 10.0 ** math.floor(math.log10((high - low) / 4))
    step = next(size * m for m in (1, 2, 2.5, 5, 10) if size * m >= (high - low) / 5 * 0.999)
    return step * np.arange(math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9) + 1)


def _epoch_ticks(epochs: int) -> list[int]:
    step = max(1, int(_ticks(0, epochs)[1]))
    inner = [n for n in range(step, epochs, step) if n > max(1, step / 3) and epochs - n > 0.6 * step]
    return sorted({1, *inner, epochs})
