"""Published scores, and which of them may stand beside a run: those of the same clips, classes and protocol.

`published.csv` holds them, one a line, each with its source, its rule for the epoch and its known defects. None was
measured here. Numbers that were only recalled are not in it.
"""

import csv
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from merjax.report.finished import Run
from merjax.report.scores import SELECT
from merjax.report.tables import Table

RULES = {  # of `epoch` in the table, in words
    **{name: words.format(held_out="subject") for name, words in SELECT.items()},
    "none": "no epochs: a classifier on features made by hand",
    "unknown": "how the epoch was chosen is not stated",
}
SAME = {"smic_hs": "smic"}  # the part of SMIC that published tables call SMIC
TITLES = {"smic": "SMIC", "casme2": "CASME II", "samm": "SAMM"}


class Published(NamedTuple):
    """One published score; numbers as they were printed, empty where none was."""

    method: str
    databases: str  # names in order, by blanks
    classes: str  # names in order, by blanks
    protocol: str  # a name in `loso.PROTOCOLS`
    clips: str
    accuracy: str
    uf1: str
    uar: str
    smic_uf1: str
    smic_uar: str
    casme2_uf1: str
    casme2_uar: str
    samm_uf1: str
    samm_uar: str
    epoch: str  # a name in `RULES`
    defect: str
    source: str


class Beside(NamedTuple):
    """What is published beside some runs."""

    runs: tuple[Run, ...] = ()  # that have anything beside them
    rows: tuple[Published, ...] = ()
    tables: tuple[Table, ...] = ()  # one for each task and each rule for the epoch
    told: tuple[str, ...] = ()  # what was left out, in sentences


@cache
def published() -> tuple[Published, ...]:
    """All of them."""
    with Path(__file__).with_name("published.csv").open(newline="", encoding="utf-8") as file:
        return tuple(Published(**row) for row in csv.DictReader(file))


def fitting(run: Run) -> tuple[tuple[Published, ...], str]:
    """The published scores of a run's own task, and a sentence on those that are left out for their number of clips.

    The task is the same where protocol, databases and classes are; the clips are taken to be the same where there are
    as many.
    """
    databases = " ".join(sorted(SAME.get(name, name) for name in run.scores["databases"]))
    task = (databases, " ".join(sorted(run.scores["classes"])), run.protocol["name"])
    alike = [one for one in published() if (one.databases, one.classes, one.protocol) == task]
    n = run.scores["whole"]["n"]
    fit = tuple(one for one in alike if one.clips == str(n))
    other = [f"{one.method} ({one.clips or 'number not stated'})" for one in alike if one not in fit]
    if other:
        return fit, f"Not beside {run.name} and its {n} clips, for they tested others: {', '.join(other)}."
    if not fit:
        told = f"{n} clips of {databases} in the classes {', '.join(run.scores['classes'])}, {run.scores['protocol']}"
        return fit, f"No published score known here can stand beside {run.name}: {told}."
    return fit, ""


def beside(runs: Sequence[Run]) -> Beside:
    """Published scores beside those of runs.

    A run stands in the table of every rule for the epoch that its own predictions can be counted by, so that like
    stands with like; no table holds two rules.
    """
    told = []
    groups: dict[tuple[Published, ...], list[Run]] = {}
    for run in runs:
        fit, sentence = fitting(run)
        told += [sentence] * bool(sentence)
        if fit:
            groups.setdefault(fit, []).append(run)
    made = [
        _table(rule, rows, mine)
        for fit, mine in groups.items()
        for rule in RULES
        if (rows := [one for one in fit if one.epoch == rule])
    ]
    known = tuple(run for mine in groups.values() for run in mine)
    return Beside(known, tuple(one for fit in groups for one in fit), tuple(made), tuple(told))


def _table(rule: str, rows: Sequence[Published], runs: Sequence[Run]) -> Table:
    names = [name for name in TITLES if name in rows[0].databases.split() and " " in rows[0].databases]
    scores = [name for name in ("accuracy", "uf1", "uar") if any(getattr(one, name) for one in rows)]
    head = [{"accuracy": "ACC"}.get(name, name.upper()) for name in scores]
    head += [f"{TITLES[name]} {score}" for name in names for score in ("UF1", "UAR")]
    own = [_own(run, rule, scores, names) for run in runs if rule in run.scores["selections"]]
    notes = [f"{one.source}{f'; known defect: {one.defect}' * bool(one.defect)}" for one in rows]
    numbered = list(dict.fromkeys(notes))
    columns = [*scores, *(f"{name}_{score}" for name in names for score in ("uf1", "uar"))]
    theirs = [
        (f"{one.method}* [{numbered.index(note) + 1}]", *(getattr(one, column) or "–" for column in columns))
        for one, note in zip(rows, notes, strict=True)
    ]
    words, task = RULES[rule], rows[0]
    alone = "" if own else " No run here was counted so."
    if rule == "unknown":
        alone = " So whether any run here is like them can't be told."
    return Table(
        f"Beside published scores: {words}",
        ("", *head),
        (*own, *theirs),
        f"{task.clips} clips of {', '.join(task.databases.split())} in the classes {', '.join(task.classes.split())}, "
        f"leave one subject out; {words}. Rows with * are as published, none was measured here; 95 % intervals in "
        f"brackets. Flow, faces and apex frames differ between them.{alone}",
        f"[{words}: too high for an unseen person]" if rule == "test" else "",
        tuple(numbered),
    )


def _own(run: Run, rule: str, scores: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """The row of a run whose epochs are chosen by a rule; databases are known for the rule that it was counted by."""
    one = run.scores["selections"][rule]
    parts = {SAME.get(name, name): part for name, part in run.scores["databases"].items()}
    pairs = [
        f"{parts[name][score]:.3f}" if rule == run.scores["select"] else "–"
        for name in names
        for score in ("uf1", "uar")
    ]
    name = f"{run.name} [{one['words']}]" if rule == "test" else run.name
    return (name, *(_bounded(one, score) for score in scores), *pairs)


def _bounded(one: dict, score: str) -> str:
    """A score, with its interval where it has one."""
    ends = one.get(f"{score}_interval")
    return f"{one[score]:.3f}" + (f" [{ends[0]:.3f}, {ends[1]:.3f}]" if ends else "")
