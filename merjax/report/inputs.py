"""One picture of all inputs of a clip: a labelled card for each, as SVG that stands alone."""

import textwrap
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from merjax.report import paint

TILE, GAP, MARGIN, WIDTH = 132, 8, 24, 1080  # pixels
HEAD, FOOT, LINE = 24, 22, 15  # above and below the tiles of a card, and a line of its text
LETTER = 8.6  # width of a letter of a card's name, at most


class Card(NamedTuple):
    """One input of a clip.

    Attributes:
        name: as a config names it.
        told: what it is, a sentence.
        x: the input; every stream becomes a tile.
        kind: see `ops.Input`.
    """

    name: str
    told: str
    x: Float[np.ndarray, "p h w c"]
    kind: str


def picture(title: str, cards: Sequence[Card]) -> str:
    """Draws the cards in rows under a title; flow in the customary colours, with their wheel."""
    body, x, y = [], float(MARGIN), 64.0
    height = HEAD + TILE + FOOT + 4 * LINE
    for card in cards:
        wide = max(float(len(card.x) * (TILE + GAP) - GAP), LETTER * len(card.name))
        if x + wide > WIDTH - MARGIN:
            x, y = float(MARGIN), y + height + 18
        body.append(f'<g transform="translate({x:.0f} {y:.0f})">{_card(card, wide)}</g>')
        x += wide + 3 * GAP
    if any(card.kind == "flow" for card in cards):
        body.append(f'<g transform="translate({WIDTH - 150} 2)">{_wheel()}</g>')
    bottom = y + height + 8
    font = 'font-family="system-ui, sans-serif" font-size="12" fill="#1c2329"'
    head = f'<text x="{MARGIN}" y="36" font-size="20" font-weight="600">{escape(title)}</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom:.0f}" width="{WIDTH}" '
        f'height="{bottom:.0f}" role="img" aria-label="Inputs of {escape(title)}" {font}>'
        f'<rect width="100%" height="100%" fill="#fff"/>{head}{"".join(body)}</svg>\n'
    )


def _card(card: Card, wide: float) -> str:
    full = paint.full_speed(card.x) if card.kind == "flow" else 0.0
    signed = paint.is_signed(card.x)
    parts = [f'<text y="14" font-size="13" font-weight="600">{escape(card.name)}</text>']
    for i, stream in enumerate(card.x):
        shown = paint.flow_picture(stream, full) if card.kind == "flow" else paint.image_picture(stream, signed)
        place = f'x="{i * (TILE + GAP)}" y="{HEAD}" width="{TILE}" height="{TILE}"'
        parts.append(f'<image href="{paint.png(shown, TILE)}" {place} preserveAspectRatio="none"/>')
        parts.append(f'<rect {place} fill="none" stroke="#d9dee2"/>')
    values = f"full colour {full:.3g}" if card.kind == "flow" else f"{card.x.min():.2g} to {card.x.max():.2g}"
    lines = [values, *textwrap.wrap(card.told, max(25, int(wide / 6.2)), max_lines=3, placeholder=" …")]
    for i, line in enumerate(lines):
        colour = "#5d6872" if i == 0 else "#1c2329"
        parts.append(f'<text y="{HEAD + TILE + 16 + i * LINE}" font-size="11" fill="{colour}">{escape(line)}</text>')
    return "".join(parts)


def _wheel() -> str:
    image = paint.png(paint.wheel_picture(97), 97)
    return (
        f'<image href="{image}" x="0" y="4" width="56" height="56"/>'
        '<text x="62" y="36" font-size="11">u right →</text><text x="62" y="56" font-size="11">v down ↓</text>'
    )
