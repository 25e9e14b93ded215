"""Everything that a run leaves to be read: scores, tables, and one self-contained page."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from merjax.files import write_json, write_text
from merjax.report.environment import ran_on
from merjax.report.page import Picture, page
from merjax.report.scores import SELECT, Outcome, gather, scores, uf1_by_epoch, write_tables

__all__ = ["SELECT", "Outcome", "gather", "scores", "summary", "write"]


def write(
    folder: Path,
    outcome: Outcome,
    *,
    select: str,
    config: dict,
    inputs: Float[np.ndarray, "n p h w c"],
    vector: bool,
    gallery: int,
    facts: dict,
) -> dict:
    """Writes scores.json, the tables and report.html of a run.

    Args:
        folder: the run's folder.
        outcome: predictions and curves.
        select: how the epoch was chosen.
        config: what was asked for.
        inputs: network input of every clip.
        vector: channels 0 and 1 are flow.
        gallery: clips of each class to show.
        facts: further fields of scores.json (seconds, notes, clips left out).

    Returns:
        The content of scores.json.
    """
    content, machine = scores(outcome, select) | facts, ran_on()
    write_json(folder / "environment.json", machine)
    write_tables(folder, outcome, select)
    write_json(folder / "scores.json", content)
    pictures = {
        name: [
            Picture(outcome.clips[i].sample_id, inputs[i]) for i in spread(np.flatnonzero(outcome.label == k), gallery)
        ]
        for k, name in enumerate(outcome.classes)
    }
    html = page(
        title=f"{config['model']['name']} on {config['data']['name']}, input {config['input']['name']}",
        scores=content,
        config=config,
        environment=machine,
        loss=outcome.loss.reshape(-1, outcome.loss.shape[-1]),
        uf1=uf1_by_epoch(outcome),
        gallery=pictures,
        vector=vector,
    )
    write_text(folder / "report.html", html)
    return content


def spread(rows: np.ndarray, count: int) -> np.ndarray:
    """At most `count` rows, evenly spread, so that a gallery shows several subjects."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))]


def summary(scores: dict, folder: Path) -> str:
    """The scores of a run as a table for the terminal, and where its report lies."""
    rows = [("", "clips", "subjects", "ACC", "UF1", "95 % interval", "UAR", "95 % interval")]
    for name, part in [("all", scores["whole"]), *scores["databases"].items()]:
        bounds = ["[{:.3f}, {:.3f}]".format(*part[f"{score}_interval"]) for score in ("uf1", "uar")]
        rows.append(
            (
                *(name, str(part["n"]), str(part["subjects"]), f"{part['accuracy']:.3f}"),
                *(f"{part['uf1']:.3f}", bounds[0], f"{part['uar']:.3f}", bounds[1]),
            )
        )
    if len(scores["databases"]) == 1:
        rows.pop()  # the only database is all
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines += [f"note: {note}" for note in scores["notes"]]
    lines += [f"left out: {sentence}" for sentence in scores["left_out"]]
    seeds = f"mean of {len(scores['seeds'])} seeds, " if len(scores["seeds"]) > 1 else ""
    lines.append(f"{scores['protocol']}, {seeds}{SELECT[scores['select']]}; report: {folder / 'report.html'}")
    return "\n".join(lines)
