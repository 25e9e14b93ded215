"""The picture of docs/synthetic.md: the field of every action unit on one face, and the courses of intensity."""

import numpy as np

from merjax.data import synthetic
from merjax.data.actions import UNITS
from merjax.data.course import CURVES, course
from merjax.data.tasks import TASKS, Script
from merjax.report import paint

SIDE, STEP, MARGIN, WIDTH = 132, 148, 24, 1080  # pixels: of a face, to the next one, around all, of the whole
GAIN, EVERY = 6.0, 6  # an arrow is so many times the true movement, and one stands on every so many pixels
INKS = ("#1b6a8c", "#b3622a", "#5d6872")
STILL = synthetic.DEFAULT._replace(rest=0.0, drift=0.0, light=0.0, noise=0.0)


def arrows(flow: np.ndarray) -> str:
    """Where (u, v) leads, enlarged, from pixels that move."""
    strokes = []
    for y, x in np.ndindex(SIDE // EVERY, SIDE // EVERY):
        row, column = y * EVERY + EVERY // 2, x * EVERY + EVERY // 2
        u, v = GAIN * flow[row, column]
        if np.hypot(u, v) > 1.5:
            back = np.array([[-0.8, 0.6], [-0.8, -0.6]]) @ np.array([[u, v], [-v, u]]) * 0.4
            head = "".join(f"M{column + u:.1f} {row + v:.1f}l{a:.1f} {b:.1f}" for a, b in back)
            strokes.append(f"M{column} {row}l{u:.1f} {v:.1f}{head}")
    return f'<path d="{"".join(strokes)}" stroke="#0a3cff" stroke-width="1" fill="none"/>'


def plot(name: str, curves: dict[str, np.ndarray]) -> str:
    """Intensities over frames, 0 at the bottom and 1 at the top, each curve with its name below in its ink."""
    body = [f'<text y="-8" font-weight="600">{name}</text><path d="M0 90H220" stroke="#d9dee2"/>']
    longest = max(map(len, curves.values())) - 1
    for i, (told, curve) in enumerate(curves.items()):
        steps = "L".join(f"{220 * t / longest:.1f} {90 - 86 * value:.1f}" for t, value in enumerate(curve))
        body.append(f'<path d="M{steps}" stroke="{INKS[i]}" stroke-width="1.8" fill="none"/>')
        body.append(f'<text y="{108 + 15 * i}" fill="{INKS[i]}">{told}</text>')
    return "".join(body)


def picture() -> str:
    """Draws it."""
    clips = {
        number: synthetic.perform(Script(name), subject=1, clip=1, seed=0, size=SIDE, dial=STILL)
        for number, name in UNITS.items()
    }
    face = f'<image id="face" width="{SIDE}" height="{SIDE}" href="{paint.png(clips[1].frames[0], SIDE)}"/>'
    body = [f'<defs>{face}</defs><text x="{MARGIN}" y="36" font-size="20" font-weight="600">Drawn actions</text>']
    for place, (number, clip) in enumerate(clips.items()):
        x, y = MARGIN + STEP * (place % 7), 76 + (SIDE + 36) * (place // 7)
        name = f'<tspan font-weight="600">AU{number}</tspan> {UNITS[number].replace("_", " ")}'
        drawn = f'<use href="#face"/>{arrows(clip.displacement[clip.apex])}'
        body.append(f'<g transform="translate({x} {y})"><text y="-8" font-size="10">{name}</text>{drawn}</g>')

    def intensity(script: Script, curve: str = "eased") -> np.ndarray:
        return course(np.random.default_rng(1), curve, script.peaks)[1]

    back = intensity(Script("brow_raiser"))
    plots = {
        "curve": {name: intensity(Script("brow_raiser"), name) for name in CURVES},
        "task=fall": {
            "brows, in every class": back,
            "mouth, in two classes": np.where(np.arange(len(back)) > back.argmax(), 1 - back, 0),
        },
        "task=order": {name: intensity(script) for name, script in TASKS["order"].items()},
    }
    for place, (name, curves) in enumerate(plots.items()):
        body.append(f'<g transform="translate({MARGIN + 280 * place} 430)">{plot(name, curves)}</g>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} 580" width="{WIDTH}" height="580" role="img" '
        'aria-label="Thirteen action units as arrows on a face, and courses of intensity" '
        'font-family="system-ui, sans-serif" font-size="11" fill="#1c2329">'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(body)}</svg>\n'
    )
