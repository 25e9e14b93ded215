"""Inputs by networks on real dual-phase flow: the tables of docs/results.md.

    python benchmarks/real_flow.py FOLDER --out=SWEEP [--beside=RUN ...]

FOLDER holds flow images as `data.name=flow_folder` reads them. Runs what is missing of the grid of configs/real_flow.py
in SWEEP (as `merjax sweep` does, and it goes on where it was cut off), then prints Markdown: the scores of every point
at the last epoch and at the epochs that suit the test subjects best, and the paired differences that the papers' claim
is about: of every input to the rise alone under the same network, and of every network to the linear floor on both
phases. Intervals come from resampling subjects, p from exchanging whole subjects, corrected by Holm within each table.
Runs of --beside stand in the first and last table too.
"""

import argparse
import contextlib
import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from merjax import metrics, sweep
from merjax.report.compare import Difference, Estimate, compare
from merjax.report.finished import Run, read_run

CONFIG = Path(__file__).parents[1] / "configs" / "real_flow.py"
FLOOR = ("linear", "two_phases")
RISE = "onset_apex"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--beside", type=Path, nargs="*", default=[])
    given = parser.parse_args()
    grid = sweep.load(CONFIG)
    config = runpy.run_path(str(CONFIG))["get_config"]()
    config.data.root = str(given.folder)
    points = sweep.points(config.lock(), grid)
    with contextlib.redirect_stdout(sys.stderr):  # what is printed is the tables
        sweep.sweep(points, given.out, "Inputs by networks on real flow", debug=True)
    runs = {
        (one.config.model.name, one.config.input.name): read_run(given.out / one.name, named(one.config))
        for one in points
    }
    beside = [read_run(folder, folder.name) for folder in given.beside]
    print("\n".join(scores([*runs.values(), *beside])))
    print("\nAgainst the rise alone, the same network:\n")
    against_rise = [(run, runs[net, RISE]) for (net, name), run in runs.items() if name != RISE and (net, RISE) in runs]
    print("\n".join(differences(against_rise)))
    print("\nAgainst the floor:\n")
    print("\n".join(differences([(run, runs[FLOOR]) for run in [*runs.values(), *beside] if run is not runs[FLOOR]])))


def named(config) -> str:
    """A run in a table."""
    return f"`{config.model.name}`, `{config.input.name}`"


def scores(runs: Sequence[Run]) -> list[str]:
    """Rows of UF1 and UAR at the last epoch, and of UF1 at test-chosen epochs."""
    lines = [
        "| network, input | last epoch: UF1 | UAR | UF1 of the seeds | CASME II | SAMM | "
        "epoch chosen on the test subject: UF1 |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for run in runs:
        whole, test = run.scores["whole"], run.scores["selections"]["test"]
        seeds = sorted(one["uf1"] for one in whole["per_seed"])
        parts = [f"{part['uf1']:.3f}" for part in run.scores["databases"].values()]
        both = [
            f"{one['uf1']:.3f} [{one['uf1_interval'][0]:.3f}, {one['uf1_interval'][1]:.3f}]" for one in (whole, test)
        ]
        uar = f"{whole['uar']:.3f} [{whole['uar_interval'][0]:.3f}, {whole['uar_interval'][1]:.3f}]"
        cells = [run.name, both[0], uar, f"{seeds[0]:.3f} to {seeds[-1]:.3f}", *parts, both[1]]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def differences(pairs: Sequence[tuple[Run, Run]]) -> list[str]:
    """Rows of paired differences in UF1, p corrected for all of them together."""
    found = [one for pair in pairs for one in compare(pair).differences if one.score == "uf1"]
    corrected = metrics.holm([one.p for one in found])
    lines = ["| minus | difference in UF1 | p | p, Holm |", "| --- | --- | --- | --- |"]
    for one, holm in zip(found, corrected, strict=True):
        lines.append(f"| {told(one)} | {signed(one.estimate)} | {one.p:.3f} | {holm:.3f} |")
    return lines


def told(one: Difference) -> str:
    """Which run minus which."""
    return f"{one.first.name} minus {one.second.name}"


def signed(one: Estimate) -> str:
    """A difference with its interval."""
    return f"{one.value:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"


if __name__ == "__main__":
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path.home() / ".cache" / "merjax" / "compiled"))
    main()
