"""A grid of experiments: every point is a run in a folder of its own; what is missing is run, and one table tells all.

A config file gives the grid by `get_grid`, a list of changes beside `get_config`, each a dictionary from dotted fields
to values. Points share prepared inputs through `cache`. A sweep can be cut off at any time: the same command goes on.
"""

import hashlib
import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from merjax import fingerprint, loop, main, report
from merjax.config import check, check_names, recipe, relevant
from merjax.files import write_csv, write_text
from merjax.folder import Folder
from merjax.prepare import prepare
from merjax.types import Dataset, InputError

LONGEST = 120  # letters of a folder's name
NOT_RUN = "not run yet"
SCORES = ("n", "subjects", "ACC", "UF1", "UF1 from", "UF1 to", "UAR", "UAR from", "UAR to")


class Point(NamedTuple):
    """One experiment of a grid.

    Attributes:
        name: of its folder, readable and unique.
        changed: dotted field to value.
        config: with these changes.
    """

    name: str
    changed: dict[str, Any]
    config: ConfigDict


class Told(NamedTuple):
    """What is known of a point: its scores, or why it has none."""

    scores: dict | None
    why: str = ""


def points(
    config: ConfigDict, grid: Sequence[dict[str, Any]], *, fixed: Sequence[str] = (), only: str = ""
) -> list[Point]:
    """The experiments of a grid, all of them checked before any is run.

    Args:
        config: what all have in common.
        grid: the changes of each.
        fixed: fields that the user has set, which the grid must not set too.
        only: keeps the points whose name contains it.

    Raises:
        InputError: a point that can't be run, two that are alike, a fixed field that the grid sets, or no point left.
    """
    made: list[Point] = []
    for changed in grid:
        name = name_of(changed)
        for field in fixed:
            if field in changed:
                raise InputError(f"--config.{field} is set by the grid; leave it out, and pick points by --only=TEXT")
        one = config.copy_and_resolve_references()
        try:
            check_names(changed)
            one.update_from_flattened_dict(changed)
            check(one.lock())
        except (InputError, TypeError, ValueError, KeyError) as error:
            raise InputError(f"point {name} of the grid: {' '.join(str(error).split())}") from error
        made.append(Point(name, changed, one))
    names = [point.name for point in made]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"the grid has point {twice[0]} twice; a point should be there once")
    kept = [point for point in made if only in point.name]
    if not kept:
        raise InputError(f"--only={only} is in the name of no point; they are {', '.join(names)}")
    return kept


def name_of(changed: dict[str, Any]) -> str:
    """The folder of a point: its fields and values, cut with a digest where that is too long for a file system."""
    parts = [f"{field.removesuffix('.name')}={worded(value)}" for field, value in changed.items()]
    name = re.sub(r"[^\w.,=+-]+", "_", ",".join(parts)) or "as_configured"
    if len(name) <= LONGEST:
        return name
    return f"{name[:LONGEST]}-{hashlib.blake2b(name.encode(), digest_size=4).hexdigest()}"


def worded(value: Any) -> str:
    """A value in a name or a table."""
    return "+".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


class Finished:
    """Finds the points of a sweep that are finished: run to their end, with the same config and the same data.

    Data of several points that are read and prepared alike are read once.

    Args:
        folder: of the sweep.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data: dict[str, tuple[Dataset, tuple[str, ...]]] = {}

    def __call__(self, point: Point) -> dict | None:
        """The scores of a point that is finished; else None, and running it says what is wrong."""
        place, config = self.folder / point.name, relevant(point.config)
        before = fingerprint.read(place)
        whole = before and all((place / name).is_file() for name in ("scores.json", "report.html"))
        if not before or not whole or fingerprint.changes(before["config"], config):
            return None
        alike = json.dumps([config.get(name) for name in ("data", "frames", "flow", "input")], default=str)
        try:
            if alike not in self.data:
                dataset = main.read(point.config)
                self.data[alike] = dataset, prepare(dataset, recipe(point.config))[1]
            dataset, digests = self.data[alike]
            now = main.made_of(point.config, dataset, main.divide(point.config, dataset), digests)
            scores = json.loads((place / "scores.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):  # an InputError is one
            return None
        return scores if fingerprint.same(before, now) else None


def sweep(points: Sequence[Point], folder: Path, title: str, *, debug: bool = False) -> dict[str, Told]:
    """Runs what is missing of a grid, one point after another, and keeps the table up to date.

    A point that fails gets one sentence in the table, and the others go on.

    Args:
        points: from `points`.
        folder: of the sweep; every point has a folder in it.
        title: what the table is of.
        debug: lets an error of a point through.

    Returns:
        What became of every point, by name.

    Raises:
        Interruption, KeyboardInterrupt: the sweep was asked to end; what was finished is kept.
        InputError: the folder can't be written.
    """
    with Folder(folder) as own:
        own.clean()
        return fill(points, own, title, debug=debug)


def fill(points: Sequence[Point], own: Folder, title: str, *, debug: bool) -> dict[str, Told]:
    """As `sweep`, in a folder that is locked."""
    folder, finished = own.path, Finished(own.path)
    told = {point.name: Told(finished(point), NOT_RUN) for point in points}
    missing = [point for point in points if told[point.name].scores is None]
    print(f"{len(points)} points, {len(points) - len(missing)} of them finished before", flush=True)
    write(points, told, own, title)
    began = time.monotonic()
    for i, point in enumerate(missing):
        rest = f"; about {duration((time.monotonic() - began) / i * (len(missing) - i))} for the rest" if i else ""
        print(f"\npoint {i + 1} of {len(missing)}: {point.name}{rest}", flush=True)
        told[point.name] = run(point, folder, debug)
        if told[point.name].scores is None:
            print(f"failed: {told[point.name].why}", flush=True)
        write(points, told, own, title)
        jax.clear_caches()  # what one point compiled is in the way of the next; disk keeps it
    return told


def run(point: Point, folder: Path, debug: bool = False) -> Told:
    """The scores of a point, or what stopped it in one sentence."""
    try:
        return Told(main.run(point.config, folder / point.name))
    except loop.Interruption:
        raise
    except Exception as error:  # whatever it is, it is this point's alone
        if debug:
            raise
        kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
        return Told(None, kind + " ".join(str(error).split())[:300])


def duration(seconds: float) -> str:
    """Seconds in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def write(points: Sequence[Point], told: dict[str, Told], folder: Folder, title: str) -> None:
    """Writes table.csv and table.md: a row for every point.

    The epoch rule stands in every row and in the caption, so that a score chosen on the test subject can't be mistaken.
    """
    fields = list(dict.fromkeys(field for point in points for field in point.changed))
    header = [*fields, *SCORES, "epoch", "protocol", "state", "folder"]
    rows = [row(point, told[point.name], fields) for point in points]
    write_csv(folder.own("table.csv"), header, rows)
    shown = [i for i, name in enumerate(header) if not name.endswith((" from", " to"))]
    lines = [[header[i] for i in shown], ["---"] * len(shown)]
    for cells in rows:
        text = [f"{cell:.3f}" if isinstance(cell, float) else str(cell).replace("|", "\\|") for cell in cells]
        for score in ("UF1", "UAR"):
            at = header.index(score)
            text[at] += f" [{text[at + 1]}, {text[at + 2]}]" if text[at] else ""
        lines.append([text[i] for i in shown])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    write_text(folder.own("table.md"), f"# {title}\n\n{caption(told)}\n\n{table}\n")


def caption(told: dict[str, Told]) -> str:
    """What the scores are: their number, the epoch rules among them, and what is missing."""
    scored = [one.scores for one in told.values() if one.scores is not None]
    rules = " / ".join(sorted({report.chosen(scores) for scores in scored}))
    words = f"{len(scored)} of {len(told)} points have scores"
    if not scored:
        return f"{words}."
    warned = sorted({caution for scores in scored for caution in report.cautions(scores)})
    warning = f" **Scores with {' or '.join(warned)} are inflated and not comparable with others.**" if warned else ""
    return (
        f"{words}, pooled over folds, with 95 % intervals from resampling subjects. Epoch: {rules}.{warning} The best "
        "row of a table is chosen on what it is tested on too: its score says less than that of a single run."
    )


def row(point: Point, told: Told, fields: Sequence[str]) -> list[Any]:
    """The cells of a point, in the order of `write`."""
    own = [worded(point.changed[field]) if field in point.changed else "" for field in fields]
    if told.scores is None:
        state = told.why if told.why == NOT_RUN else f"failed: {told.why}"
        return [*own, *[""] * len(SCORES), "", "", state, point.name]
    whole = told.scores["whole"]
    scores = [whole["n"], whole["subjects"], whole["accuracy"]]
    for name in ("uf1", "uar"):
        scores += [whole[name], *map(float, whole[f"{name}_interval"])]
    return [*own, *scores, report.chosen(told.scores), told.scores["protocol"], "finished", point.name]
