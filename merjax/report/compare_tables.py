"""A comparison as tables to read, and as files; every caption says how epochs were chosen."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from merjax.files import write_csv, write_text
from merjax.report import figures
from merjax.report.compare import Comparison, Difference, Estimate, Part, Scored
from merjax.report.compare_lines import HEAD, lines
from merjax.report.finished import Run
from merjax.report.published import Beside
from merjax.report.scores import cautions
from merjax.report.tables import Table, latex, markdown, page, text
from merjax.types import InputError

TITLE = "Runs compared"
SUFFIXES = (".csv", ".md", ".tex", ".html")
CHOSEN = "test-chosen"  # stands in the name of every file with a score whose epochs were chosen on what it tests


def tables(comparison: Comparison) -> list[Table]:
    """The comparison in tables, runs in the order given: no table ranks them."""
    made = [_scores(comparison)]
    if len(comparison.scored[0].databases) > 1:
        made.append(_databases(comparison))
    made.append(_classes(comparison))
    if comparison.differences:
        made += [_differences(comparison), _agreements(comparison)]
    return made


def _warn(runs: Iterable[Run]) -> str:
    """The words that the caption of a table with such runs can't be without."""
    names = [
        f"{run.name}: {', '.join(cautions(run.scores))}, so too high for an unseen one"
        for run in runs
        if cautions(run.scores)
    ]
    return f"[{'; '.join(names)}]" if names else ""


def _runs(comparison: Comparison) -> list[Run]:
    return [one.run for one in comparison.scored]


def _of_each(runs: Sequence[Run], words: Sequence[str]) -> str:
    """What is said of each run, once if it is the same of all."""
    if len(set(words)) == 1:
        return words[0]
    return "; ".join(f"{run.name}: {told}" for run, told in zip(runs, words, strict=True))


def _epochs(comparison: Comparison) -> str:
    """How the epochs of a comparison were chosen, for a caption."""
    runs = _runs(comparison)
    return f"Epochs: {_of_each(runs, [run.words for run in runs])}."


def _value(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "–"


def estimated(one: Estimate, sign: str = "") -> str:
    """A score or a difference with its interval, in words."""
    return f"{one.value:{sign}.3f} [{one.low:{sign}.3f}, {one.high:{sign}.3f}]"


def chance(p: float) -> str:
    """A p in words."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _cells(one: Part) -> tuple[str, ...]:
    scores = (one.uf1, one.wf1, one.uar)
    return (str(one.clips), str(one.subjects), f"{one.accuracy:.3f}", *map(estimated, scores))


def _scores(comparison: Comparison) -> Table:
    runs = _runs(comparison)
    rows = [(one.run.label, *_cells(one.whole)) for one in comparison.scored]
    head = ("", "clips", "subjects", "ACC", "UF1", "WF1", "UAR")
    seeds = _of_each(runs, [str(len(run.prediction)) for run in runs])
    protocol = _of_each(runs, [run.scores["protocol"] for run in runs])
    caption = (
        "Predictions pooled over all folds, never a mean of folds; mean over seeds; in brackets the 95 % interval from "
        f"resampling subjects. In the order given, not ranked. {_epochs(comparison)} Seeds: {seeds}. "
        f"Protocol: {protocol}."
    )
    plots = "".join(f"<div>{_plot(comparison.scored, score)}</div>" for score in ("uf1", "uar"))
    figure = f'<div class="pair">{plots}</div>'
    return Table("Scores", head, tuple(rows), caption, _warn(runs), figure=figure)


def _plot(scored: Sequence[Scored], score: str) -> str:
    """Scores as dots with intervals, chance marked as in a run's report."""
    present = sum(math.isfinite(value) for value in scored[0].recall)
    rows = []
    for one in scored:
        value, low, high = getattr(one.whole, score)
        words = ", ".join(CHOSEN if word == one.run.words else word for word in cautions(one.run.scores))
        name = f"{one.run.name} [{words}]" if words else one.run.name  # short enough to draw
        rows.append(figures.Interval(name, value, low, high, 1 / max(1, present)))
    return figures.intervals(rows, score.upper())


def _databases(comparison: Comparison) -> Table:
    rows = [
        (f"{name}, {one.run.label}", *_cells(part))
        for name in comparison.scored[0].databases
        for one in comparison.scored
        for part in [one.databases[name]]
    ]
    head = ("", "clips", "subjects", "ACC", "UF1", "WF1", "UAR")
    caption = (
        "Each database by itself, its own subjects resampled; a class without clips in it is left out of UF1 and UAR. "
        f"{_epochs(comparison)}"
    )
    return Table("By database", head, tuple(rows), caption, _warn(_runs(comparison)))


def _classes(comparison: Comparison) -> Table:
    head = ("", *(f"{name} {score}" for name in comparison.classes for score in ("F1", "recall")))
    rows = [
        (one.run.label, *(_value(value) for pair in zip(one.f1, one.recall, strict=True) for value in pair))
        for one in comparison.scored
    ]
    counts = ", ".join(f"{name} {count}" for name, count in comparison.classes.items())
    caption = f"Clips of each class: {counts}. UF1 is the mean of the F1, UAR of the recalls. {_epochs(comparison)}"
    return Table("By class", head, tuple(rows), caption, _warn(_runs(comparison)))


def _unlike(one: Difference) -> str:
    """What sets two runs apart beside their methods."""
    parts = ["epochs"] * (one.first.words != one.second.words)
    parts += ["protocols"] * (one.first.protocol != one.second.protocol)
    return f"no: {' and '.join(parts)} differ" if parts else "yes"


def _differences(comparison: Comparison) -> Table:
    found = comparison.differences
    rows = [
        (
            f"{one.first.label} minus {one.second.label}",
            *(one.score.upper(), estimated(one.estimate, "+"), chance(one.p), chance(one.holm), _unlike(one)),
        )
        for one in found
    ]
    head = ("", "score", "difference", "p", "p, Holm", "like with like")
    caption = (
        "Interval: 95 %, the same resampled subjects for both. p: two-sided, from exchanging whole subjects between "
        f"the two runs; Holm: corrected for the {len(found)} differences here. The intervals are not corrected. "
        f"{_epochs(comparison)}"
    )
    return Table("Differences", head, tuple(rows), caption, _warn(_runs(comparison)))


def _agreements(comparison: Comparison) -> Table:
    rows = [
        (
            f"{one.first.label} and {one.second.label}",
            *(_value(one.kappa), str(one.both), str(one.first_only), str(one.second_only), str(one.neither)),
            chance(one.mcnemar),
        )
        for one in comparison.agreements
    ]
    head = ("", "kappa", "both right", "first only", "second only", "both wrong", "McNemar p")
    caption = (
        "Cohen's kappa of the answers, and clips by who is right, from the first seed of each run. McNemar's exact p "
        "takes clips as independent; those of one subject are not, so it describes and proves nothing. "
        f"{_epochs(comparison)}"
    )
    return Table("Agreement of predictions", head, tuple(rows), caption, _warn(_runs(comparison)))


def check_name(path: Path, runs: Sequence[Run], beside: Beside) -> None:
    """Refuses the name of a file to write.

    Raises:
        InputError: another suffix than those known; or the file would hold a score whose epochs were chosen on what is
            tested, and its name does not say so.
    """
    if path.suffix not in SUFFIXES:
        raise InputError(f"--out={path} must end in {', '.join(SUFFIXES)}")
    names = [run.name for run in runs if run.scores["select"] == "test"]
    if (names or any(table.warn for table in beside.tables)) and CHOSEN not in path.name:
        of = ", ".join(names) or "some published scores"
        better = path.with_name(f"{path.stem}-{CHOSEN}{path.suffix}")
        raise InputError(
            f"--out={path} must have '{CHOSEN}' in its name, for epochs of {of} were chosen on what is tested; "
            f"{better} would do"
        )


def write(path: Path, comparison: Comparison, beside: Beside) -> None:
    """Writes a comparison in the form that the file's suffix names, one of `SUFFIXES`; a .csv holds a number a line.

    Raises:
        InputError: see `check_name`, or the file can't be written.
    """
    check_name(path, _runs(comparison), beside)
    shown, remarks = [*tables(comparison), *beside.tables], [*comparison.remarks, *beside.told]
    if path.suffix == ".csv":
        write_csv(path, HEAD, lines(comparison, beside))
    elif path.suffix == ".md":
        write_text(path, markdown(TITLE, shown, remarks))
    elif path.suffix == ".tex":
        write_text(path, latex(shown, remarks))
    else:
        write_text(path, page(TITLE, shown, remarks))


def told(comparison: Comparison, beside: Beside) -> str:
    """A comparison for the terminal."""
    return text([*tables(comparison), *beside.tables], [*comparison.remarks, *beside.told])
