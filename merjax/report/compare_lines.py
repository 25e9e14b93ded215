"""A comparison as a tidy table, one number a line, to be read by a program."""

import math
from collections.abc import Iterable

from merjax.report.compare import Comparison
from merjax.report.finished import Run
from merjax.report.published import RULES, TITLES, Beside

HEAD = (
    *("run", "against", "epoch", "protocol", "part", "class", "score", "value", "low", "high", "p", "p_holm"),
    *("clips", "subjects", "seeds", "source", "known_defect"),
)


def lines(comparison: Comparison, beside: Beside) -> Iterable[list[object]]:
    """The rows under `HEAD`; every one says how its epochs were chosen."""
    yield from _of_runs(comparison)
    yield from _of_published(beside)


def _of_runs(comparison: Comparison) -> Iterable[list[object]]:
    for one in comparison.scored:
        run, whole = one.run, one.whole
        words, protocol, seeds = run.words, run.scores["protocol"], len(run.prediction)
        for name, part in {"all": whole, **one.databases}.items():
            size = [part.clips, part.subjects, seeds, "", ""]
            start = [run.name, "", words, protocol, name, ""]
            yield [*start, "accuracy", part.accuracy, *[""] * 4, *size]
            for score in ("uf1", "wf1", "uar"):
                yield [*start, score, *getattr(part, score), "", "", *size]
        for k, (name, clips) in enumerate(comparison.classes.items()):
            for score, value in (("f1", one.f1[k]), ("recall", one.recall[k])):
                told = float(value) if clips else ""
                size = [clips, "", seeds, "", ""]
                yield [run.name, "", words, protocol, "all", name, score, told, *[""] * 4, *size]
    size = [comparison.scored[0].whole.clips, comparison.scored[0].whole.subjects, "", "", ""]
    for pair in comparison.differences:
        score, epoch = f"{pair.score}_difference", f"{pair.first.words} / {pair.second.words}"
        start = [pair.first.name, pair.second.name, epoch, _of_both(pair.first, pair.second), "all", "", score]
        yield [*start, *pair.estimate, pair.p, pair.holm, *size]
    for both in comparison.agreements:
        names = [both.first.name, both.second.name, f"{both.first.words} / {both.second.words}"]
        start = [*names, _of_both(both.first, both.second), "all", ""]
        yield [*start, "kappa", both.kappa if math.isfinite(both.kappa) else "", *[""] * 4, *size]
        for score in ("both", "first_only", "second_only", "neither"):
            yield [*start, f"right_{score}", getattr(both, score), *[""] * 4, *size]
        yield [*start, "mcnemar", "", "", "", both.mcnemar, "", *size]


def _of_both(first: Run, second: Run) -> str:
    return " / ".join(dict.fromkeys((first.scores["protocol"], second.scores["protocol"])))


def _of_published(beside: Beside) -> Iterable[list[object]]:
    """The published scores, and what the runs beside them score by the other ways to choose an epoch."""
    for run in beside.runs:
        whole, protocol = run.scores["whole"], run.scores["protocol"]
        size = [whole["n"], whole["subjects"], len(run.prediction), "", ""]
        for name, one in run.scores["selections"].items():
            if name != run.scores["select"]:
                start = [run.name, "", one["words"], protocol, "all", ""]
                yield [*start, "accuracy", one["accuracy"], *[""] * 4, *size]
                for score in ("uf1", "wf1", "uar"):
                    yield [*start, score, one[score], *one[f"{score}_interval"], "", "", *size]
    for row in beside.rows:
        for column in ("accuracy", "uf1", "uar", *(f"{name}_{score}" for name in TITLES for score in ("uf1", "uar"))):
            if value := getattr(row, column):
                name, _, score = column.rpartition("_")
                start = [f"{row.method} (published)", "", RULES[row.epoch], row.protocol, name or "all", "", score]
                yield [*start, value, *[""] * 4, row.clips, "", "", row.source, row.defect]
