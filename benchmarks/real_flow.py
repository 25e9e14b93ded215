"""Inputs by networks on real dual-phase flow: the tables of docs/results.md.

    python benchmarks/real_flow.py FOLDER --out=SWEEP

FOLDER holds flow images as `data.name=flow_folder` reads them. Runs what is missing of the grid of configs/real_flow.py
in SWEEP (as `merjax sweep` does, and it goes on where it was cut off), then prints Markdown: the scores of every point
at the last epoch and at the epochs that suit the test subjects best, and the paired differences that the papers' claim
is about: of every input to the rise alone under the same network, and of every network to the linear floor on both
phases. Intervals come from resampling subjects, p from exchanging whole subjects, corrected by Holm within each table.

One more run is the mean of the probabilities of three, which were chosen on subjects held out inside the folds.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from experiments import load
from ml_collections import ConfigDict

from merjax import metrics, sweep
from merjax.report.compare import Estimate, compare
from merjax.report.compare_tables import chance, estimated
from merjax.report.finished import Run, read_run, together

FLOOR = ("linear", "two_phases")
RISE = "onset_apex"
CHOSEN = (("linear", "onset_apex"), ("off_apexnet", "cof"), ("off_apexnet", "mm_cof"))  # by benchmarks/inner_choice.py


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    points = grid(given.folder)
    with contextlib.redirect_stdout(sys.stderr):  # what is printed is the tables
        sweep.sweep(points, given.out, "Inputs by networks on real flow", debug=True)
    runs = {
        (one.config.model.name, one.config.input.name): read_run(given.out / one.name, named(one.config))
        for one in points
    }
    mean = together([runs[one] for one in CHOSEN], "the mean of the three chosen")
    against_rise = [(run, runs[net, RISE]) for (net, name), run in runs.items() if name != RISE and (net, RISE) in runs]
    against_floor = [(run, runs[FLOOR]) for run in (*runs.values(), mean) if run is not runs[FLOOR]]
    for title, table in (
        ("Scores", scores([*runs.values(), mean])),
        ("Against the rise alone, the same network", differences(against_rise)),
        ("Against the floor", differences(against_floor)),
    ):
        print(f"\n{title}\n\n" + "\n".join(table))


def grid(folder: Path) -> list[sweep.Point]:
    """All points of configs/real_flow.py, on the flow images of a folder."""
    module = load("real_flow")
    config = module.get_config()
    config.data.root = str(folder)
    return sweep.points(config.lock(), module.get_grid())


def named(config: ConfigDict) -> str:
    """A point in a table."""
    return f"`{config.model.name}`, `{config.input.name}`"


def scores(runs: Sequence[Run]) -> list[str]:
    """Rows of UF1 and UAR at the last epoch, and of UF1 at test-chosen epochs where one run has both."""
    lines = [
        "| network, input | last epoch: UF1 | UAR | UF1 of the seeds | CASME II | SAMM | "
        "epoch chosen on the test subject: UF1 |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for run in runs:
        (mine,) = compare([run]).scored
        seeds = sorted(of_seed(run, answers) for answers in run.prediction.values())
        test = run.scores["selections"].get("test")
        cells = [
            *(run.name, estimated(mine.whole.uf1), estimated(mine.whole.uar), f"{seeds[0]:.3f} to {seeds[-1]:.3f}"),
            *(f"{part.uf1.value:.3f}" for part in mine.databases.values()),
            estimated(Estimate(test["uf1"], *test["uf1_interval"])) if test else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def of_seed(run: Run, answers: dict[str, str]) -> float:
    """UF1 of one seed's predictions."""
    classes = run.scores["classes"]
    label, prediction = (
        np.array([classes.index(name) for name in names])
        for names in ([run.clips[clip][2] for clip in answers], answers.values())
    )
    return float(metrics.uf1(metrics.confusion(label, prediction, len(classes))))


def differences(pairs: Sequence[tuple[Run, Run]]) -> list[str]:
    """Rows of paired differences in UF1, p corrected for all of them together."""
    found = [one for pair in pairs for one in compare(pair).differences if one.score == "uf1"]
    corrected = metrics.holm(np.array([one.p for one in found]))
    lines = ["| minus | difference in UF1 | p | p, Holm |", "| --- | --- | --- | --- |"]
    for one, holm in zip(found, corrected, strict=True):
        names = f"{one.first.name} minus {one.second.name}"
        lines.append(f"| {names} | {estimated(one.estimate, '+')} | {chance(one.p)} | {chance(holm)} |")
    return lines


if __name__ == "__main__":
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path.home() / ".cache" / "merjax" / "compiled"))
    main()
