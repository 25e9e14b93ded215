"""Draws the pictures of these pages: of inputs of one clip of drawn faces, and of what such clips do.

python docs/pictures.py
"""

from pathlib import Path

import actions_picture

from merjax.data import synthetic
from merjax.files import write_text
from merjax.ops import INPUTS
from merjax.prepare import Maker, Recipe
from merjax.report.inputs import Card, picture

EDITS = {
    "as it is": {},
    "equalise=global": {"equalise": "global"},
    "equalise=clahe": {"equalise": "clahe"},
    "alpha=8": {"alpha": 8.0, "fps": 100.0},
}
# page: cards, each (name, what it shows, recipe)
PAGES = {
    "active_image": [
        ("apex", "the apex frame", Recipe("apex")),
        ("onset_apex_difference", "apex minus onset", Recipe("onset_apex_difference")),
        ("active_image", "scale=minmax", Recipe("active_image")),
    ],
    "dynamic_image": [
        ("dynamic_image", "coefficients=harmonic", Recipe("dynamic_image")),
        ("dynamic_image", "coefficients=linear", Recipe("dynamic_image", {"coefficients": "linear"})),
        ("dynamic_image", "coefficients=faulty_port", Recipe("dynamic_image", {"coefficients": "faulty_port"})),
        ("phase_dynamic_images", "the rise and the fall", Recipe("phase_dynamic_images")),
    ],
    "mesti": [
        ("apex", "the apex frame", Recipe("apex")),
        ("mesti", "scale=minmax", Recipe("mesti")),
        ("mesti", "scale=symmetric", Recipe("mesti", {"scale": "symmetric"})),
        ("dynamic_image", "for comparison", Recipe("dynamic_image")),
    ],
    "trdi_midi": [
        ("trdi_midi", "in time order, and by frame difference", Recipe("trdi_midi")),
        ("midi_flow", "by the mean length of the flow", Recipe("midi_flow", flow="dis")),
    ],
    "optical_flow": [
        ("onset_apex", "true flow of the drawing", Recipe("onset_apex", {"unit": "largest"})),
        ("two_phases", "TV-L1, the fall negated", Recipe("two_phases", {"unit": "largest"}, flow="tvl1")),
        ("two_phases", "Farneback", Recipe("two_phases", {"unit": "largest"}, flow="farneback")),
    ],
    "cof": [
        ("two_phases", "both phases, TV-L1", Recipe("two_phases", {"unit": "largest"}, flow="tvl1")),
        ("cof", "theta=0.5", Recipe("cof", {"unit": "largest"}, flow="tvl1")),
        ("cof_hsv", "the same as colours", Recipe("cof_hsv", {"unit": "largest"}, flow="tvl1")),
    ],
    "mm_cof": [
        ("cof", "not modulated", Recipe("cof", {"unit": "largest"}, flow="tvl1")),
        ("mm_cof", "low=0.1, high=0.4", Recipe("mm_cof", {"unit": "largest"}, flow="tvl1")),
        ("mm_cof", "gain_low=0", Recipe("mm_cof", {"unit": "largest", "gain_low": 0.0}, flow="tvl1")),
    ],
    "dynamic_flow": [
        ("onset_apex", "the rise", Recipe("onset_apex", {"unit": "largest"}, flow="tvl1")),
        ("dynamic_flow", "coefficients=harmonic", Recipe("dynamic_flow", flow="tvl1")),
        ("dynamic_flow", "coefficients=linear", Recipe("dynamic_flow", {"coefficients": "linear"}, flow="tvl1")),
    ],
    "frames": [
        *((name, "the apex frame", Recipe("apex", edit=edit)) for name, edit in EDITS.items()),
        *((name, "apex minus onset", Recipe("onset_apex_difference", edit=edit)) for name, edit in EDITS.items()),
    ],
}


def main() -> None:
    """Writes pictures/*.svg beside this file."""
    dataset = synthetic.read()
    annotation = next(clip for clip in dataset.clips if clip.clip == "S03_c02")
    clip = dataset.load(annotation)
    drawings = {"synthetic": actions_picture.picture()}
    for page, cards in PAGES.items():
        drawn = [Card(name, caption, Maker(recipe)(clip), INPUTS[recipe.input].kind) for name, caption, recipe in cards]
        drawings[page] = picture(f"{page}: {annotation.sample_id}", drawn)
    for page, drawing in drawings.items():
        path = Path(__file__).parent / "pictures" / f"{page}.svg"
        path.parent.mkdir(exist_ok=True)
        write_text(path, drawing)
        print(path, path.stat().st_size // 1024, "KiB")


if __name__ == "__main__":
    main()
