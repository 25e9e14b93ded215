"""The gallery of the report: a few clips as the network gets them, and what could be seen inside it."""

import re
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from merjax.models.inside import Look
from merjax.report import paint

FEW = 6  # more maps than these are folded away
HEAT = np.array([[255, 186, 8], [232, 93, 4], [157, 2, 8]], np.float32)  # RGB at a little, at half, at all
BINS = 20
ROWS, COLUMNS = ("top", "middle", "bottom"), ("left", "centre", "right")


class Picture(NamedTuple):
    """One clip of the gallery."""

    caption: str
    x: Float[np.ndarray, "p h w c"]  # network input
    predicted: str
    truth: str
    probability: tuple[float, float]  # of the class predicted and of the true one
    look: Look  # its Grad-CAM is for the class predicted and for the true one


def gallery(pictures: dict[str, list[Picture]], vector: bool, network: str) -> str:
    """Every clip as a card under its class: input, Grad-CAM, maps by name.

    Args:
        pictures: class name to some of its clips; at least one clip in all.
        vector: the channels of the inputs are flow (u right, v down, ...), not an image.
        network: which network looks at a clip, in words.

    Returns:
        HTML, every picture with words for those who can't see it.
    """
    every = [picture for shown in pictures.values() for picture in shown]
    signed = any(paint.is_signed(picture.x) for picture in every)
    told = _legend(every[0], vector, network)
    for name, shown in pictures.items():
        cards = "".join(_card(picture, vector, signed) for picture in shown)
        told += f"<h3>{escape(name)}</h3>{cards}" if shown else ""
    return told


def tinted(grey: Float[np.ndarray, "h w"], share: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """A grey picture 0..1, covered with colour where `share` 0..1 is high: yellow, then orange, then dark red."""
    place = np.clip(share, 0, 1) * (len(HEAT) - 1)
    below = np.minimum(place.astype(int), len(HEAT) - 2)
    colour = HEAT[below] + (place - below)[..., None] * (HEAT[below + 1] - HEAT[below])
    cover = 0.8 * np.sqrt(np.clip(share, 0, 1))[..., None]
    paper = (255 * (0.4 + 0.55 * np.clip(grey, 0, 1)))[..., None]
    return np.round((1 - cover) * paper + cover * colour).astype(np.uint8)


def place(m: Float[np.ndarray, "y x"]) -> str:
    """Where a map is highest, in words: "top left"."""
    row, column = np.unravel_index(m.argmax(), m.shape)
    words = ROWS[3 * int(row) // len(m)], COLUMNS[3 * int(column) // m.shape[1]]
    return "centre" if words == ("middle", "centre") else " ".join(words)


def _legend(first: Picture, vector: bool, network: str) -> str:
    p, h, w, c = first.x.shape
    told = f"Each clip reaches the network as {p} stream{'s' * (p != 1)} of {h} × {w} × {c}."
    if vector:
        told += (
            " Hue is the direction of motion, saturation its speed, white is still. Colour is full at the clip's own "
            "peak (its 99th percentile of speed): compare patterns across clips by eye, but speeds by the number."
        )
    told = f"<p>{told}</p>{paint.wheel() if vector else ''}<p>{escape(network)} {_method(first.look)}</p>"
    scale = np.tile(np.linspace(0, 1, 112), (10, 1))
    ramp = f'<img class="scale" alt="" src="{_packed(tinted(np.ones_like(scale), scale))}">'
    return f'{told}<p class="ramp"><span>least</span>{ramp}<span>most</span></p>'


def _method(look: Look) -> str:
    if any(name.startswith("input") for name in look.cams):
        told = "Colour on the grey input is gradient times input: what each place adds to the class, where it adds."
    else:
        told = "Colour on the grey input is Grad-CAM: where the last map of a stream speaks for the class."
    if len(look.cams) > 1:
        told += " The streams of a clip share one scale."
    if look.maps:
        told += " Maps of attention and gates follow, by the names under which the network keeps them."
    if any(m.ndim > 1 for m in look.maps.values()):
        told += (
            " Each is coloured from its least to its highest value; "
            "one between places shows how much each place is looked at."
        )
    if any(m.ndim == 1 for m in look.maps.values()):
        told += " One without places is a histogram, dashed at its mean."
    return f"{told} All of it says where a network looks, not why it decides."


def _card(picture: Picture, vector: bool, signed: bool) -> str:
    asked = [f"for {picture.predicted}, predicted", f"for {picture.truth}, true"]
    if picture.predicted == picture.truth:
        asked = [f"for {picture.truth}"]
    kept = picture.look.maps
    greys = [_grey(x, vector, signed) for x in picture.x]
    cams = [_cams(picture, number, what, greys) for number, what in enumerate(asked)]
    maps = [_map(picture.caption, name, np.asarray(kept[name])) for name in sorted(kept, key=_natural)]
    groups = [_inputs(picture, vector, signed), *cams, *([maps] if 0 < len(maps) <= FEW else [])]
    shown = f"<div>{''.join(f'<div>{_joined(group)}</div>' for group in groups)}</div>"
    if len(maps) > FEW:
        shown += f"<details><summary>{len(maps)} maps</summary><div>{_joined(maps)}</div></details>"
    return f'<figure class="clip"><figcaption>{escape(picture.caption)}{_verdict(picture)}</figcaption>{shown}</figure>'


def _verdict(picture: Picture) -> str:
    first, second = (f"{value:.2f}" for value in picture.probability)
    told = f"predicted {escape(picture.predicted)}, probability {first}"
    if picture.predicted == picture.truth:
        return f'<span>{told} <b class="hit">right</b></span>'
    return f'<span>{told}; {escape(picture.truth)} {second} <b class="miss">wrong</b></span>'


def _inputs(picture: Picture, vector: bool, signed: bool) -> list[str]:
    full, streams = paint.full_speed(picture.x) if vector else 0.0, len(picture.x)
    tiles = []
    for i, x in enumerate(picture.x):
        shown = paint.flow_picture(x, full) if vector else paint.image_picture(x, signed)
        of = f", stream {i + 1} of {streams}" if streams > 1 else ""
        alt = f"{'Flow' if vector else 'Image'} of {picture.caption}, {picture.truth}{of}"
        name = f"input {i + 1}" if streams > 1 else "input"
        tiles.append(_tile(shown, alt, name, *([f"peak {full:.3g}"] if vector else [])))
    return tiles


def _cams(picture: Picture, number: int, what: str, greys: list[np.ndarray]) -> list[str]:
    cams = {stream: np.asarray(m[number]) for stream, m in picture.look.cams.items()}
    most, tiles = max(m.max() for m in cams.values()) or 1.0, []
    for i, (stream, m) in enumerate(cams.items()):
        grey = greys[min(i, len(greys) - 1)]  # OFF-ApexNet makes two streams of one input
        name = "gradient × input" if stream.startswith("input") else "Grad-CAM"
        name += f" {stream.removeprefix('input_').removeprefix('stream_')}" if len(cams) > 1 else ""
        found, doubt = f"strongest at the {place(m)}", ""
        if m.size == 1:
            found = doubt = "its map is one place"
        if m.max() <= 0:
            found = doubt = "nothing speaks for it"
        share = cv2.resize(m / most, grey.shape[::-1], interpolation=cv2.INTER_LINEAR)
        alt = f"{name} of {picture.caption} {what}: {found}"
        tiles.append(_tile(tinted(grey, share), alt, name, *filter(None, (what, doubt))))
    return tiles


def _grey(x: Float[np.ndarray, "h w c"], vector: bool, signed: bool) -> Float[np.ndarray, "h w"]:
    if vector:
        speed = np.hypot(x[..., 0], x[..., 1])
        return 1 - 0.8 * np.minimum(np.nan_to_num(speed) / (paint.full_speed(x) or 1.0), 1)
    return cv2.cvtColor(paint.image_picture(x, signed), cv2.COLOR_RGB2GRAY).astype(np.float32) / 255


def _map(clip: str, name: str, m: np.ndarray) -> str:
    low, high = float(m.min()), float(m.max())
    values = f"{low:.3g} to {high:.3g}"
    if m.ndim == 1 or m.size == 1:
        told = [values, f"mean {m.mean():.3g}", f"{m.size} values"] if m.size > 1 else [f"{low:.3g}"]
        alt = f"{name} of {clip}: {', '.join(told)}"
        return _histogram(m.reshape(-1), alt) + _words(name, *told)
    share = (m - low) / ((high - low) or 1.0)
    alt = f"{name} of {clip}, {m.shape[0]} by {m.shape[1]} places, {values}, highest at the {place(m)}"
    return _tile(tinted(np.ones_like(share), share), alt, name, values)


def _histogram(values: Float[np.ndarray, " d"], label: str) -> str:
    """How many values lie where between 0 and 1, and a line at their mean."""
    counts, _ = np.histogram(np.clip(values, 0, 1), BINS, (0.0, 1.0))
    wide = 100 / BINS
    bars = "".join(
        f"M{6 + i * wide:.1f} 92v{-72 * count / counts.max():.1f}h{wide - 1:.1f}V92z" for i, count in enumerate(counts)
    )
    mean = 6 + 100 * np.clip(values, 0, 1).mean()
    return (
        f'<svg viewBox="0 0 112 112" width="112" height="112" role="img" aria-label="{escape(label)}" font-size="10" '
        f'fill="currentColor"><path d="M6 92.5h100" fill="none" style="stroke:var(--soft)"/>'
        f'<path d="{bars}" style="fill:var(--warm)" fill-opacity="0.8"/>'
        f'<path d="M{mean:.1f} 12v80" fill="none" stroke="currentColor" stroke-dasharray="3 2.5"/>'
        '<text x="6" y="106">0</text><text x="106" y="106" text-anchor="end">1</text></svg>'
    )


def _tile(image: UInt8[np.ndarray, "h w 3"], alt: str, *words: str) -> str:
    return f'<img alt="{escape(alt)}" src="{_packed(image)}">{_words(*words)}'


def _words(name: str, *more: str) -> str:
    # Long paths of maps break where they have a joint.
    name = escape(name).replace("/", "/<wbr>").replace("_", "_<wbr>")
    return f"<small>{'<br>'.join([f'<b>{name}</b>', *map(escape, more)])}</small>"


def _packed(image: UInt8[np.ndarray, "h w 3"]) -> str:
    """Small pictures as they are: the page enlarges them, and there may be many."""
    return paint.png(image, min(112, image.shape[1]))


def _joined(tiles: Sequence[str]) -> str:
    return "".join(f'<div class="tile">{tile}</div>' for tile in tiles)


def _natural(name: str) -> list[tuple[str, int]]:
    """Sorts blocks_2 before blocks_10."""
    return [(text, int(number or 0)) for text, number in re.findall(r"(\D+)(\d*)", name)]
