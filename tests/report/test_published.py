"""Published scores: each has a source and a rule for its epoch, and stands beside runs of its own task only."""

import re
from pathlib import Path

import numpy as np
import pytest
from drawn_runs import clips_of, guess, write_run

from merjax import loso, report
from merjax.report.compare import compare
from merjax.report.compare_lines import HEAD, lines
from merjax.report.finished import read_runs
from merjax.report.published import RULES, TITLES, beside, published
from merjax.types import Annotation

SIZES = {"casme2": (145, 24), "samm": (133, 28), "smic_hs": (164, 16)}


def composite(sizes=SIZES):
    """Clips with the numbers of MEGC 2019, labels in turn."""
    return [
        Annotation(database, f"s{c % subjects}", f"c{c}", c // subjects % 3)
        for database, (clips, subjects) in sizes.items()
        for c in range(clips)
    ]


@pytest.fixture
def run(tmp_path, rng):
    """Writes a run on clips and reads it."""

    def make(clips, name="mine", seeds=1, **options):
        answers = np.stack([guess(rng, clips, right, seeds) for right in (0.5, 0.7)], axis=1)  # two epochs
        return read_runs([write_run(tmp_path / name, clips, answers, **options)])[0]

    return make


@pytest.mark.parametrize("one", published(), ids=lambda one: f"{one.method}, {one.databases}")
def test_every_score_has_a_source_a_rule_and_numbers_of_its_databases(one):
    assert one.method
    assert one.source
    assert one.epoch in RULES
    assert one.protocol in loso.PROTOCOLS
    assert one.databases.split() == sorted(one.databases.split())
    assert one.classes.split() == sorted(one.classes.split())
    assert one.clips.isdecimal() or (not one.clips and "number of clips" in one.defect)
    numbers = {name: getattr(one, name) for name in one._fields if re.search("uf1|uar|accuracy", name)}
    assert all(value == "" or 0.1 < float(value) < 1 for value in numbers.values())
    assert one.uf1
    for name in TITLES:
        if numbers[f"{name}_uf1"]:
            assert name in one.databases.split()


def test_a_run_of_the_composite_stands_beside_scores_of_all_its_442_clips(run):
    mine = run(composite(), seeds=2)
    found = beside([mine])
    assert {one.clips for one in found.rows} == {"442"}
    assert {one.method for one in found.rows} > {"STSTNet", "HTNet", "RCN"}
    assert not {one.method for one in found.rows} & {"CapsuleNet", "Graph-TCN", "MMNet"}
    assert found.told == ("Not beside mine and its 442 clips, for they tested others: CapsuleNet (435).",)


def test_no_table_holds_two_rules_and_a_run_stands_with_its_like(run):
    mine = run(composite())
    found = beside([mine])
    by_title = {table.title.partition(": ")[2]: table for table in found.tables}
    assert set(by_title) == {words for rule, words in RULES.items() if rule != "inner"}
    assert "HTNet* [3]" in [row[0] for row in by_title[RULES["test"]].rows]
    for rule, table in ((rule, by_title[RULES[rule]]) for rule in RULES if rule != "inner"):
        expected = {one.method for one in found.rows if one.epoch == rule}
        assert {row[0].partition("* [")[0] for row in table.rows if "* [" in row[0]} == expected
        own = [row for row in table.rows if "* [" not in row[0]]
        if rule not in ("last", "test"):
            assert not own
            told = "can't be told" if rule == "unknown" else "No run here was counted so"
            assert told in table.caption
            continue
        (row,) = own
        assert row[1].startswith(f"{mine.scores['selections'][rule]['uf1']:.3f} [")
        shown = f"{mine.scores['databases']['smic_hs']['uf1']:.3f}" if rule == "last" else "–"
        assert row[table.head.index("SMIC UF1")] == shown
        assert (RULES["test"] in row[0]) == (RULES["test"] in table.warn) == (rule == "test")
    assert all("none was measured here" in table.caption for table in found.tables)


def test_every_row_refers_to_its_own_source_and_defect(run):
    for table in beside([run(composite())]).tables:
        for row in table.rows:
            method, star, number = row[0].partition("* [")
            if star:
                note = table.notes[int(number.strip("]")) - 1]
                one = next(one for one in published() if one.method == method and one.clips == "442")
                assert one.source in note
                assert one.defect in note


@pytest.mark.parametrize(
    ("sizes", "options"),
    [
        ({name: SIZES[name] for name in ("casme2", "samm")}, {}),
        (SIZES, {"protocol": "database"}),
        (SIZES, {"classes": ("a", "b", "c")}),
    ],
    ids=["two databases", "another protocol", "other classes"],
)
def test_another_task_has_nothing_published_beside_it(run, sizes, options):
    found = beside([run(composite(sizes), **options)])
    assert not found.tables
    assert not found.rows
    assert found.told[0].startswith("No published score known here can stand beside mine: ")


def test_scores_of_an_unknown_number_of_clips_are_named_and_not_shown(tmp_path, rng):
    names = ("disgust", "happiness", "others", "repression", "surprise")
    clips = clips_of(("casme2",), subjects=4, each=10, classes=5)
    write_run(tmp_path / "five", clips, guess(rng, clips, 0.5, classes=5), names)
    found = beside(read_runs([tmp_path / "five"]))
    assert not found.tables
    assert "SRMCL (number not stated)" in found.told[0]


def test_the_csv_names_source_and_defect_of_every_published_number(run):
    mine = run(composite())
    found = [dict(zip(HEAD, map(str, row), strict=True)) for row in lines(compare([mine]), beside([mine]))]
    theirs = [row for row in found if row["run"].endswith(" (published)")]
    assert all(row["source"] and row["epoch"] in RULES.values() and row["clips"] == "442" for row in theirs)
    (ours,) = [row for row in found if row["run"] == "mine" and row["epoch"] == RULES["test"] and row["score"] == "uf1"]
    assert float(ours["value"]) == pytest.approx(mine.scores["selections"]["test"]["uf1"])


def test_the_table_travels_with_the_package():
    assert (Path(report.__file__).parent / "published.csv").is_file()
