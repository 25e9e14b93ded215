"""What of a run is drawn: every chart of the page, which is a file of the run's folder too."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from merjax.report import dots, figures
from merjax.report.gallery import Picture
from merjax.report.svg import ACCENT, WARM


class Evidence(NamedTuple):
    """What the page shows beside the content of scores.json."""

    loss: Float[np.ndarray, "runs epochs"]  # mean training loss of every seed and fold after each epoch
    uf1: Float[np.ndarray, "seeds epochs"]  # pooled over all tested clips after each epoch
    epochs: dict[str, Int[np.ndarray, "r f"]]  # from 0, by every way to choose them but the last
    subjects: dict[str, list[dots.Dot]]  # of every database
    shape: tuple[int, ...]  # of a clip's input: streams, height, width, channels
    vector: bool  # channels 0 and 1 of it are flow
    pictures: dict[str, list[Picture]]  # class name to some of its clips


def parts(scores: dict) -> dict[str, dict]:
    """What has a row of its own: the whole, and the databases unless the only one is the whole."""
    whole, databases = {"all together": scores["whole"]}, scores["databases"]
    return databases if len(databases) == 1 else whole | databases


def charts(scores: dict, evidence: Evidence) -> dict[str, str]:
    """Draws every chart, by its file's name, as SVG.

    Args:
        scores: the content of scores.json.
        evidence: what is not there.
    """
    drawn = {f"intervals_{key}": _intervals(scores, key) for key in ("uf1", "uar")}
    for name, part in {"all": scores["whole"], **(parts(scores) if len(parts(scores)) > 1 else {})}.items():
        if name != "all together":
            counts = np.asarray(part["confusion"], np.int64)
            drawn[f"confusion_{name}"] = figures.confusion(counts, scores["classes"])
    if evidence.loss.size and evidence.uf1.size:
        drawn["loss"] = figures.curves(evidence.loss, "training loss", band=True)
        drawn["uf1"] = _uf1(scores, evidence)
    if evidence.subjects:
        rows = {name: (each, scores["databases"][name]["accuracy"]) for name, each in evidence.subjects.items()}
        drawn["subjects"] = dots.strips(rows)
    bins = scores["calibration"]
    drawn["calibration"] = dots.reliability(bins["counts"], bins["confidence"], bins["accuracy"])
    return drawn


def _intervals(scores: dict, key: str) -> str:
    rows = []
    for name, part in parts(scores).items():
        low, high = part[f"{key}_interval"]
        present = len(scores["classes"]) - len(part["absent"])
        rows.append(figures.Interval(name, part[key], low, high, 1 / max(1, present)))
    return figures.intervals(rows, key.upper())


def _uf1(scores: dict, evidence: Evidence) -> str:
    choices = [
        figures.Choice(found["words"], evidence.epochs[name].ravel(), found["uf1"], WARM if name == "test" else ACCENT)
        for name, found in scores["selections"].items()
        if name in evidence.epochs
    ]
    what = f"UF1, held-out {scores['held_out']}s"
    return figures.curves(evidence.uf1, what, band=False, ceiling=1.0, choices=choices)
