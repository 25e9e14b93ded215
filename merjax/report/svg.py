"""Pieces of SVG that take their colours from the page, and a drawing as a file of its own.

Lines and text follow `currentColor` and the CSS variables `--accent`, `--warm`, `--soft`, `--line` and `--paper`.
"""

import math
import re
import textwrap
from collections.abc import Sequence
from html import escape

import numpy as np

ACCENT, WARM = "var(--accent, #1b6a8c)", "var(--warm, #b3622a)"
SOFT, LINE, PAPER = "var(--soft, #5d6872)", "var(--line, #d9dee2)", "var(--paper, #fff)"
INK = "#1c2227"  # of a file
Number = float | int


def svg(width: Number, height: Number, label: str, body: Sequence[str]) -> str:
    """A drawing; the label is what a screen reader says."""
    w, h = math.ceil(width), math.ceil(height)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" '
    font = 'font-family="system-ui, sans-serif" font-size="12" fill="currentColor"'
    return f'{head}{font} aria-label="{escape(label)}">{"".join(body)}</svg>'


def text(
    x: Number, y: Number, words: str, anchor: str = "middle", fill: str = "currentColor", *, size: int = 12
) -> str:
    """One line of text."""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
    return f'<text {place} style="fill:{fill}">{escape(words)}</text>'


def backed(x: Number, y: Number, words: str, anchor: str, fill: str = "currentColor") -> str:
    """A line of text on a halo."""
    # A halo in the colour of the paper keeps a grid line from crossing the letters.
    style = f"paint-order:stroke;stroke:{PAPER};stroke-width:4px;fill:{fill}"
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="{style}">{escape(words)}</text>'


def stacked(x: Number, y: Number, lines: Sequence[str], anchor: str) -> str:
    """Lines of text below one another."""
    return "".join(text(x, y + 15 * i, line, anchor) for i, line in enumerate(lines))


def stroke(d: str, colour: str, width: Number, more: str = "") -> str:
    """An outline; "" where there is nothing to draw."""
    return f'<path d="{d}" fill="none" stroke-width="{width}" style="stroke:{colour}"{more}/>' if d else ""


def path(x: np.ndarray, y: np.ndarray) -> str:
    """A line through points, with a gap where one is not finite."""
    steps, pen = [], "M"
    for a, b in zip(x, y, strict=True):
        if math.isfinite(b):
            steps.append(f"{pen}{a:.1f} {b:.1f}")
        pen = "L" if math.isfinite(b) else "M"
    return "".join(steps)


def wrapped(name: str, width: int, lines: int) -> list[str]:
    """A name broken into at most some lines."""
    return textwrap.wrap(name, width, max_lines=lines, placeholder="…") or [""]


def dot(x: Number, y: Number, radius: Number, colour: str = ACCENT) -> str:
    """A dot with a rim."""
    place = f'cx="{x:.1f}" cy="{y:.1f}" r="{radius}"'
    return f'<circle {place} style="fill:{colour};stroke:{PAPER};stroke-width:1.5"/>'


def axis_mark(x: Number, top: Number, bottom: Number, words: str) -> str:
    """A grid line across, with its number below."""
    return stroke(f"M{x:.1f} {top}V{bottom}", LINE, 1) + text(x, bottom + 16, words, "middle", SOFT)


def at(value: Number, start: Number, end: Number, low: Number, high: Number) -> float:
    """Where a value lies between two places."""
    return start + (end - start) * ((value - low) / (high - low) if high > low else 0.5)


def alone(drawing: str, words: str = "") -> str:
    """A drawing as a file: on white, in fixed colours that every program can read, and with words below it."""
    wide, high = map(int, re.findall(r'viewBox="0 0 (\d+) (\d+)"', drawing)[0])
    label = re.findall(r'aria-label="([^"]*)"', drawing)[0]
    foot = text(4, high + 16, words, "start", WARM) if words else ""
    wide, high = max(wide, 7 * len(words) + 8), high + 24 * bool(words)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" '
    font = 'font-family="system-ui, sans-serif" font-size="12"'
    paper = '<rect width="100%" height="100%" fill="#fff"/>'
    whole = f'{head}role="img" {font} aria-label="{label}">{paper}{drawing}{foot}</svg>'
    return re.sub(r"var\(--\w+, (#\w+)\)", r"\1", whole).replace("currentColor", INK) + "\n"
