"""Everything that a run leaves to be read: scores, tables, and one self-contained page."""

import re
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from merjax.files import write_json, write_text
from merjax.folder import Folder
from merjax.models.inside import Look
from merjax.report.charts import Evidence, charts
from merjax.report.detail import detail, subjects
from merjax.report.environment import ran_on
from merjax.report.gallery import Picture
from merjax.report.page import page
from merjax.report.scores import (
    SELECT,
    Outcome,
    cautions,
    chosen,
    chosen_epochs,
    gather,
    scores,
    stopped,
    uf1_by_epoch,
    write_tables,
)
from merjax.report.svg import alone

__all__ = [
    "FILES",
    "SELECT",
    "Outcome",
    "cautions",
    "chosen",
    "explained",
    "gather",
    "scores",
    "shown",
    "stopped",
    "summary",
    "write",
]

# The files of a run's folder that `write` always makes, beside its figures.
FILES = ("environment.json", "predictions.csv", "subjects.csv", "curves.csv", "scores.json", "report.html")


def write(
    folder: Folder,
    outcome: Outcome,
    *,
    select: str,
    patience: int = 0,
    config: dict,
    inputs: Float[np.ndarray, "n p h w c"],
    vector: bool,
    looks: dict[int, Look],
    facts: dict,
) -> dict:
    """Writes scores.json, the tables figures/ and report.html of a run.

    Args:
        folder: the run's folder.
        outcome: predictions and curves.
        select: how the epoch was chosen.
        patience: see `inner.best_epoch`.
        config: what was asked for.
        inputs: network input of every clip of the data set.
        vector: channels 0 and 1 are flow.
        looks: place of a tested clip to what it does inside its network; the page shows these clips, see `shown`.
        facts: further fields of scores.json (seconds, notes, clips left out).

    Returns:
        The content of scores.json.
    """
    content, machine = scores(outcome, select, patience) | detail(outcome, select, patience) | facts, ran_on()
    write_json(folder.own("environment.json"), machine)
    write_tables(folder, outcome, select, patience)
    write_json(folder.own("scores.json"), content)
    pictures: dict[str, list[Picture]] = {name: [] for name in outcome.classes}
    for i, asked in zip(looks, explained(outcome, np.array(list(looks), np.int64)), strict=True):
        predicted, truth = (outcome.classes[k] for k in asked)
        first, second = outcome.probability[0, -1, i, asked].tolist()
        name, x = outcome.clips[i].sample_id, inputs[outcome.rows[i]]
        pictures[truth].append(Picture(name, x, predicted, truth, (first, second), looks[i]))
    evidence = Evidence(
        loss=outcome.loss.reshape(-1, outcome.loss.shape[-1]),
        uf1=uf1_by_epoch(outcome),
        epochs={name: chosen_epochs(outcome, name, patience) for name in content["selections"] if name != "last"},
        subjects=subjects(outcome, select, patience),
        shape=inputs.shape[1:],
        vector=vector,
        pictures=pictures,
    )
    drawn = charts(content, evidence)
    words = ", ".join(cautions(content))
    for name, drawing in drawn.items():
        write_text(folder.own(f"figures/{re.sub('[^a-zA-Z0-9_.-]', '_', name)}.svg"), alone(drawing, words))
    html = page(
        title=f"{config['model']['name']} on {config['data']['name']}, input {config['input']['name']}",
        scores=content,
        config=config,
        environment=machine,
        evidence=evidence,
        drawn=drawn,
    )
    write_text(folder.own("report.html"), html)
    return content


def shown(outcome: Outcome, count: int) -> Int[np.ndarray, " m"]:
    """Places of the tested clips that the page shows: at most `count` of each class."""
    each = [np.flatnonzero(outcome.label == k) for k in range(len(outcome.classes))]
    return np.concatenate([spread(rows, count) for rows in each])


def explained(outcome: Outcome, clips: Int[np.ndarray, " m"]) -> Int[np.ndarray, "m 2"]:
    """The classes that are explained for a clip: the one predicted by the first seed's last epoch, and the true one."""
    return np.stack([outcome.probability[0, -1, clips].argmax(-1), outcome.label[clips]], axis=1)


def spread(rows: np.ndarray, count: int) -> np.ndarray:
    """At most `count` rows, evenly spread, so that a gallery shows several subjects."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))]


def summary(scores: dict, folder: Path) -> str:
    """The scores of a run as a table for the terminal, and where its report lies."""
    rows = [("", "clips", "subjects", "ACC", "UF1", "95 % interval", "WF1", "UAR", "95 % interval")]
    for name, part in [("all", scores["whole"]), *scores["databases"].items()]:
        bounds = ["[{:.3f}, {:.3f}]".format(*part[f"{score}_interval"]) for score in ("uf1", "uar")]
        rows.append(
            (
                *(name, str(part["n"]), str(part["subjects"]), f"{part['accuracy']:.3f}"),
                *(f"{part['uf1']:.3f}", bounds[0], f"{part['wf1']:.3f}", f"{part['uar']:.3f}", bounds[1]),
            )
        )
    if len(scores["databases"]) == 1:
        rows.pop()  # the only database is all
    if mean := scores.get("mean_of_databases"):
        bound = "[{:.3f}, {:.3f}]".format(*mean["uar_interval"])
        told = (f"{mean['accuracy']:.3f}", "", "", "", f"{mean['uar']:.3f}", bound)
        rows.append(("mean of databases", "", "", *told))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines += [f"note: {note}" for note in scores["notes"]]
    lines += [f"left out: {sentence}" for sentence in scores["left_out"]]
    others = [one for name, one in scores["selections"].items() if name != scores["select"]]
    lines += [f"the same run, {one['words']}: UF1 {one['uf1']:.3f}, UAR {one['uar']:.3f}" for one in others]
    seeds = f"mean of {len(scores['seeds'])} seeds, " if len(scores["seeds"]) > 1 else ""
    lines.append(f"{scores['protocol']}, {seeds}{chosen(scores)}; report: {folder / 'report.html'}")
    return "\n".join(lines)
