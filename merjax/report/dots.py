"""Figures of dots: subjects by the share of their clips, and probabilities by what they hold."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

import numpy as np

from merjax.report.figures import WIDTH
from merjax.report.svg import ACCENT, LINE, SOFT, WARM, Number, at, axis_mark, dot, stroke, svg, text


class Dot(NamedTuple):
    """A subject of `strips`: what it is called, its clips, and the share of them that is recognised."""

    name: str
    clips: int
    share: float


def strips(rows: Mapping[str, tuple[Sequence[Dot], float]]) -> str:
    """Draws subjects as dots on an axis from 0 to 1, a strip for each name.

    Args:
        rows: the subjects, and the share of all their clips, which is dashed.
    """
    left, right, y = 16.0, WIDTH - 16.0, 22.0
    body: list[str] = []
    for name, (dots, whole) in rows.items():
        largest = max(dot.clips for dot in dots)
        placed: list[tuple[float, float, float, Dot]] = []
        for one in sorted(dots, key=lambda each: (-each.clips, each.name)):
            x, radius = at(one.share, left, right, 0, 1), 3 + 5 * math.sqrt(one.clips / largest)
            placed.append((x, _free(x, radius, placed), radius, one))
        reach = max(abs(dy) + radius for _, dy, radius, _ in placed)
        middle, bottom = y + 12 + reach, y + 24 + 2 * reach
        for t in range(6):
            x = at(t / 5, left, right, 0, 1)
            body.append(axis_mark(x, y, bottom, f"{t / 5:.1f}"))
        x = at(whole, left, right, 0, 1)
        body += [
            text(left - 4, y - 8, name, "start"),
            text(right, y - 8, f"{len(dots)} subjects; all clips {whole:.3f}", "end", SOFT),
        ]
        for x_dot, dy, radius, one in placed:
            told = f"{one.name}: {one.share:.3f} of {one.clips} clip{'s' * (one.clips != 1)}"
            body.append(
                f'<g fill-opacity="0.8"><title>{escape(told)}</title>{dot(x_dot, middle + dy, round(radius, 1))}</g>'
            )
        body.append(stroke(f"M{x:.1f} {y}V{bottom}", WARM, 1.5, ' stroke-dasharray="4 3"'))
        y = bottom + 50
    told = "; ".join(_spread(name, dots) for name, (dots, _) in rows.items())
    return svg(WIDTH, y - 26, f"Share of clips recognised of every subject: {told}", body)


def _free(x: float, radius: float, placed: Sequence[tuple[float, float, float, Dot]]) -> float:
    """The height nearest to the middle where a dot touches none of those that stand."""
    near = [
        (dy, math.sqrt((radius + r) ** 2 - (x - other) ** 2))
        for other, dy, r, _ in placed
        if abs(x - other) < radius + r
    ]
    tries = [0.0, *(dy + side * gap for dy, gap in near for side in (-1, 1))]
    return min((t for t in tries if all(abs(t - dy) >= gap - 1e-6 for dy, gap in near)), key=abs)


def _spread(name: str, dots: Sequence[Dot]) -> str:
    low, middle, high = np.quantile([dot.share for dot in dots], [0, 0.5, 1])
    return f"{name}, {len(dots)} subjects from {low:.3f} to {high:.3f}, median {middle:.3f}"


def reliability(counts: Sequence[int], confidence: Sequence[float], accuracy: Sequence[float]) -> str:
    """Draws the share that is right over the probability claimed, a bar for each bin of it, and how many each holds.

    Args:
        counts: predictions in every bin; bins cut 0 to 1 into equal parts.
        confidence: mean probability of the class predicted; of any value in an empty bin.
        accuracy: share that is right.
    """
    left, right, top, bottom = 42, WIDTH - 14, 14, 230
    wide = (right - left) / len(counts)
    body = [stroke(f"M{left} {at(t / 5, bottom, top, 0, 1):.1f}H{right}", LINE, 1) for t in range(6)]
    body += [text(left - 7, at(t / 5, bottom, top, 0, 1) + 4, f"{t / 5:.1f}", "end", SOFT) for t in range(6)]
    body += [text(at(t / 5, left, right, 0, 1), bottom + 62, f"{t / 5:.1f}", "middle", SOFT) for t in range(6)]
    most = max(*counts, 1)
    for i, (count, claimed, right_share) in enumerate(zip(counts, confidence, accuracy, strict=True)):
        if not count:
            continue
        x, y = left + i * wide, at(right_share, bottom, top, 0, 1)
        told = f"{count} predictions of mean probability {claimed:.3f}: {right_share:.3f} right"
        bars = _box(x, y, wide, bottom - y, ACCENT) + _box(x, bottom + 6, wide, max(1.0, 36 * count / most), SOFT)
        body.append(f"<g><title>{told}</title>{bars}{dot(at(claimed, left, right, 0, 1), y, 4.5)}</g>")
    body.append(stroke(f"M{left} {bottom}L{right} {top}", WARM, 1.5, ' stroke-dasharray="6 4"'))
    body.append(text(right, bottom + 80, "probability of the class predicted", "end", SOFT))
    body.append(text(left + 4, top + 10, "share right", "start", SOFT))
    told = "; ".join(
        f"{claimed:.2f} claimed, {share:.2f} right ({count})"
        for count, claimed, share in zip(counts, confidence, accuracy, strict=True)
        if count
    )
    return svg(WIDTH, bottom + 86, f"Calibration by probability of the class predicted: {told}", body)


def _box(x: Number, y: Number, wide: Number, high: Number, colour: str) -> str:
    place = f'x="{x + 1.5:.1f}" y="{y:.1f}" width="{wide - 3:.1f}" height="{high:.1f}"'
    return f'<rect {place} rx="2" style="fill:{colour};fill-opacity:0.35"/>'
