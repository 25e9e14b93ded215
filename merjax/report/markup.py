"""Pieces of the page: sections, figures, tables, and numbers in words."""

import math
from collections.abc import Iterable, Sequence
from html import escape


def section(heading: str, content: str, name: str = "") -> str:
    """A part of the page under a heading."""
    anchor = f' id="{name}"' if name else ""
    return f"<section{anchor}><h2>{escape(heading)}</h2>{content}</section>"


def figure(content: str, caption: str, warn: str = "") -> str:
    """Something shown, with its caption; `warn` are the words of a score whose epoch was chosen on what is tested."""
    return f"<figure>{content}<figcaption>{caption}{warn}</figcaption></figure>"


def scroll(label: str, content: str) -> str:
    """What may be wider than the page."""
    # A keyboard can only scroll what it can reach.
    return f'<div class="scroll" tabindex="0" role="region" aria-label={quoted(label)}>{content}</div>'


def table(label: str, head: Sequence[str], rows: dict[str, list[str]]) -> str:
    """Rows of HTML cells under column names."""
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for name, cells in rows.items()
    )
    return scroll(label, f"<table><thead><tr><td></td>{top}</tr></thead><tbody>{body}</tbody></table>")


def facts(label: str, rows: dict[str, list[str]]) -> str:
    """Names and values, without column names."""
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for name, cells in rows.items()
    )
    return scroll(label, f'<table class="fields"><tbody>{body}</tbody></table>')


def quoted(text: str) -> str:
    """An attribute."""
    return f'"{escape(text)}"'


def score(value: float) -> str:
    """Three decimals, or a dash."""
    return f"{value:.3f}" if math.isfinite(value) else "–"


def interval(ends: Sequence[float]) -> str:
    """Both ends."""
    return f"[{score(ends[0])}, {score(ends[1])}]"


def many(count: int, noun: str) -> str:
    """A count and its noun."""
    return f"{count} {noun}{'s' * (count != 1)}"


def listed(names: Iterable[object]) -> str:
    """Names with commas and, before the last, "and"."""
    *most, last = map(str, names)
    return f"{', '.join(most)} and {last}" if most else last


def duration(seconds: float | int) -> str:
    """Seconds in words."""
    minutes, rest = divmod(round(seconds), 60)
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def share(value: float) -> str:
    """A part of a whole, in percent."""
    return f"{100 * value:.1f}&nbsp;%"


def whole_number(value: int) -> str:
    """With thin spaces between thousands."""
    return f"{value:,}".replace(",", "\u202f")
