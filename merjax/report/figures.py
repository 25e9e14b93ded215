"""Figures as SVG text, drawn by pure functions from plain numbers."""

import math
import textwrap
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from merjax.report.svg import (
    ACCENT,
    LINE,
    SOFT,
    WARM,
    Number,
    at,
    axis_mark,
    backed,
    dot,
    path,
    stacked,
    stroke,
    svg,
    text,
    wrapped,
)

WIDTH = 440  # of a plot, in CSS pixels: two stand side by side on a page, one still reads well on a telephone
LETTER = 6.9  # mean advance of a letter at the 12 px used here; wide enough for the usual system fonts


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
    heads = [wrapped(name, int(cell / LETTER), 3) for name in classes]
    sides = [wrapped(name, 24, 3) for name in classes]
    left = max(LETTER * max(len(line) for lines in sides for line in lines) + 14, 56)
    top, high = 28 + 15 * max(map(len, heads)), 52
    totals = counts.sum(1)
    rates = counts / np.maximum(totals, 1)[:, None]
    body = [text(left + 3, 13, "predicted →", "start", SOFT), text(left - 10, top - 9, "true ↓", "end", SOFT)]
    for j, lines in enumerate(heads):
        body.append(stacked(left + (j + 0.5) * cell, top - 9 - 15 * (len(lines) - 1), lines, "middle"))
    for i, lines in enumerate(sides):
        y = top + i * high
        body.append(stacked(left - 10, y + high / 2 + 4 - 7.5 * (len(lines) - 1), lines, "end"))
        for j, (count, rate) in enumerate(zip(counts[i].tolist(), rates[i].tolist(), strict=True)):
            x, share = left + j * cell, f"{rate:.3f}" if totals[i] else "–"
            told = f"true {classes[i]}, predicted {classes[j]}: {count} of {totals[i]} ({share})"
            words = text(x + cell / 2, y + 24, str(count), size=15) + text(x + cell / 2, y + 41, share, size=11)
            # The tint stays pale enough for one ink colour to be legible on all of it, in light and in dark.
            tint = f"fill:{ACCENT if i == j else WARM};fill-opacity:{0.05 + 0.5 * rate:.3f}"
            body.append(
                f"<g><title>{escape(told)}</title>"
                f'<rect x="{x + 1.5:.1f}" y="{y + 1.5}" width="{cell - 3:.1f}" height="{high - 3}" rx="4" '
                f'style="{tint}"/>{words}</g>'
            )
    told = "; ".join(f"{name} {rate:.3f}" for name, rate, n in zip(classes, rates.diagonal(), totals, strict=True) if n)
    label = f"Confusion matrix, rows true and columns predicted. Share recognised: {told}"
    return svg(left + cell * len(classes), top + high * len(classes), label, body)


def intervals(rows: Sequence[Interval], what: str) -> str:
    """Draws each score as a dot on an axis from 0 to 1, with its interval and a dashed mark at its chance level."""
    left, right, step, top = 12, WIDTH - 12, 50, 26
    bottom = top + step * len(rows) + 6
    scale = [left, right, 0.0, 1.0]
    body = [text(left, 14, what, "start", size=14)]
    body += [axis_mark(at(t / 5, *scale), top + 4, bottom, f"{t / 5:.1f}") for t in range(6)]
    for i, row in enumerate(rows):
        y = top + i * step + 36
        shown = _told(row.value, row.low, row.high)
        name = textwrap.shorten(row.name, 30, placeholder="…") if " " in row.name else row.name[:30]
        body.append(f"<g><title>{escape(f'{row.name}: {what} {shown}; chance {row.chance:.3f}')}</title>")
        body.append(backed(left + 5, y - 16, name, "start") + backed(right, y - 16, shown, "end", SOFT))
        x = at(row.chance, *scale)
        body.append(stroke(f"M{x:.1f} {y - 10}V{y + 10}", SOFT, 1.5, ' stroke-dasharray="3 2.5"'))
        if np.isfinite([row.low, row.high]).all():
            ends = at(row.low, *scale), at(row.high, *scale)
            body.append(stroke(f"M{ends[0]:.1f} {y}H{ends[1]:.1f}", ACCENT, 5, ' stroke-opacity="0.4"'))
        if math.isfinite(row.value):
            body.append(dot(at(row.value, *scale), y, 5.5))
        body.append("</g>")
    told = "; ".join(f"{row.name} {_told(row.value, row.low, row.high)}" for row in rows)
    return svg(WIDTH, bottom + 22, f"{what} with 95 % interval: {told}", body)


class Choice(NamedTuple):
    """A way to choose epochs that `curves` marks: what it chose, and what that scores."""

    name: str
    epochs: Int[np.ndarray, " f"]  # from 0, of every fold and seed
    value: float
    colour: str


def curves(
    values: Float[np.ndarray, "r e"],
    what: str,
    *,
    band: bool,
    ceiling: float | None = None,
    choices: Sequence[Choice] = (),
) -> str:
    """Draws runs over epochs, the last epoch marked.

    Args:
        values: one row per run, one column per epoch; values that are not finite leave a gap.
        what: name of the vertical axis.
        band: draw the median with a band from the 10th to the 90th percentile, in place of one thin line for each run
          and their median.
        ceiling: top of the axis; None takes it from the values.
        choices: each a dashed line at its value, and bars below the axis that say how often it took which epoch.
    """
    epochs = values.shape[1]
    low, middle, high = (_quantile(values, q) for q in (0.1, 0.5, 0.9))
    drawn = np.concatenate([low, high] if band else list(values))
    drawn = drawn[np.isfinite(drawn)]
    ticks = _ticks(min(drawn.min(initial=0.0), 0.0), ceiling or drawn.max(initial=0.0) or 1.0)
    left, right, top, bottom = 42, WIDTH - 14, 30, 226
    across = np.array([at(n, left, right, 1, epochs) for n in range(1, epochs + 1)])

    def up(values: np.ndarray) -> np.ndarray:
        return bottom - (bottom - top) * (values - ticks[0]) / (ticks[-1] - ticks[0])

    body = [stroke(f"M{left} {y:.1f}H{right}", LINE, 1) for y in up(ticks)]
    body += [text(left - 7, y + 4, f"{t:.4g}", "end", SOFT) for t, y in zip(ticks, up(ticks), strict=True)]
    body += [text(across[n - 1], bottom + 18, str(n), "middle", SOFT) for n in _epoch_ticks(epochs)]
    body += [text(left, 13, what, "start"), text(right, bottom + 36, "epoch", "end", SOFT)]
    body += [stroke(f"M{across[-1]:.1f} {top - 6}V{bottom}", SOFT, 1, ' stroke-dasharray="3 3"')]
    body += [text(across[-1], 13, "last epoch", "end" if epochs > 1 else "middle", SOFT)]
    if band:
        body += _band(across, up(low), up(high))
    elif len(values) > 1:
        body += [stroke(path(across, up(run)), ACCENT, 1, ' stroke-opacity="0.5"') for run in values]
    body.append(stroke(path(across, up(middle)), ACCENT, 2))
    ends = middle[-1:] if band else values[:, -1]
    body += [dot(across[-1], y, 4) for y in up(ends[np.isfinite(ends)])]
    for i, choice in enumerate(choices):
        body += _choice(choice, across, bottom + 62 + 52 * i, float(up(np.array([choice.value]))[0]))
    first, last = (f"{value:.3f}" if math.isfinite(value) else "not finite" for value in middle[[0, -1]])
    told = f"{first} after the first epoch, {last} after the last"
    told += "".join(f"; {choice.name}: {choice.value:.3f}" for choice in choices)
    label = f"{what} by epoch, 1 to {epochs}, median of {len(values)}: {told}"
    return svg(WIDTH, bottom + 42 + 52 * len(choices), label, body)


def _choice(choice: Choice, across: np.ndarray, y: Number, level: float) -> list[str]:
    """A line at the height of a score, and from y on its name and a bar at every epoch that it took."""
    left, right = 42, WIDTH - 14
    dashed = ' stroke-dasharray="6 4"'
    body = [stroke(f"M{left} {level:.1f}H{right}", choice.colour, 1.5, dashed)]
    body += [stroke(f"M{left} {y - 4:.1f}h22", choice.colour, 1.5, dashed)]
    body += [text(left + 30, y, f"{choice.name}: {choice.value:.3f}", "start")]
    body += [stroke(f"M{left} {y + 28:.1f}H{right}", LINE, 1)]
    counts = np.bincount(choice.epochs, minlength=len(across))
    wide = min(10.0, 0.7 * (right - left) / max(1, len(across) - 1))
    for n in np.flatnonzero(counts):
        high = 20 * counts[n] / counts.max()
        box = f'x="{across[n] - wide / 2:.1f}" y="{y + 28 - high:.1f}" width="{wide:.1f}" height="{high:.1f}"'
        told = f"epoch {n + 1}: {counts[n]} of {len(choice.epochs)}"
        body.append(f'<rect {box} rx="1" style="fill:{choice.colour};fill-opacity:0.75"><title>{told}</title></rect>')
    return body


def _band(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> list[str]:
    if len(x) == 1:
        x, low, high = x[0] + np.array([-4, 4]), low.repeat(2), high.repeat(2)
    whole = np.flatnonzero(np.isfinite(low[:-1] + low[1:]))  # one piece per step lets a gap be a gap
    pieces = [
        f"M{x[i]:.1f} {low[i]:.1f}V{high[i]:.1f}L{x[i + 1]:.1f} {high[i + 1]:.1f}V{low[i + 1]:.1f}Z" for i in whole
    ]
    return [f'<path d="{"".join(pieces)}" style="fill:{ACCENT};fill-opacity:0.2"/>'] if pieces else []


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
