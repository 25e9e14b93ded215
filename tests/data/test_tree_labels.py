from collections import Counter

import openpyxl
import pytest

from merjax.data import casme2, samm, schemes
from merjax.data.trees.labels import TABLES, label_table


def cells(path):
    book = openpyxl.load_workbook(path)
    return [list(row) for row in book.worksheets[0].iter_rows(values_only=True)]


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    return {name: label_table(tmp_path_factory.mktemp(name), name) for name in TABLES}


NEGATIVE = {"anger", "contempt", "disgust", "fear", "sadness", "sad"}
BASIC = {"happiness", "disgust", "repression", "surprise"}
MEGC_OUT = {("sub04", "EP12_01f"), ("sub05", "EP09_05f")}


@pytest.mark.parametrize(
    ("name", "kept", "clips", "folds"),
    [
        ("casme2_2014", None, 255, 26),
        ("casme2_2014", BASIC | {"others"}, 246, 26),
        ("casme2_2019", BASIC | {"others"}, 249, 26),
        ("casme2_256", BASIC | {"others"}, 247, 26),
        ("casme2_2014", BASIC, 147, 24),
        ("casme2_2019", BASIC, 150, 24),
        ("casme2_2014", BASIC | {"sadness", "fear"}, 156, 25),
        ("samm", None, 159, 29),
        ("samm", NEGATIVE | {"happiness", "surprise"}, 133, 28),
        ("samm", {"anger", "happiness", "contempt", "surprise", "other"}, 136, 27),
        ("samm", {"anger", "happiness", "contempt", "surprise"}, 110, 26),
        ("casme3a", None, 860, 94),
        ("casme3a", NEGATIVE | {"happy", "surprise"}, 699, 88),
        ("casme3c", None, 165, 30),
        ("mmew", None, 300, 30),
        ("casme", {"tense", "disgust", "repression", "surprise"}, 171, 19),
        ("4dme", None, 267, 41),
    ],
)
def test_label_tables_come_to_the_published_totals_and_folds(labels, name, kept, clips, folds):
    rows = [(subject, emotion) for subject, _, emotion in _labelled(labels[name]) if not kept or emotion in kept]
    assert len(rows) == clips
    assert len({subject for subject, _ in rows}) == folds


def _labelled(tree):
    """Subject, clip and emotion of each row, read from the first workbook."""
    rows = cells(next(iter(tree.sheets.values())))
    top = next(k for k, row in enumerate(rows) if {"Filename", "fold_name", "count"} & set(row))
    names = [str(name).lower().replace("estimated ", "") for name in rows[top]]
    clip = next(names.index(n) for n in ("filename", "fold_name", "count") if n in names)
    return [(row[0], row[clip], row[names.index("emotion")].lower()) for row in rows[top + 1 :]]


def test_label_tables_of_objective_classes(labels):
    for name, file, clips, folds in (
        ("casme2_2014", "CASME2-ObjectiveClasses.xlsx", 185, 26),
        ("casme2_2019", "CASME2-coding-20190701.xlsx", 174, 26),
        ("samm", "SAMM_Micro_FACS_Codes_v2.xlsx", 68, 21),
    ):
        rows = cells(labels[name].sheets[file])
        top = next(k for k, row in enumerate(rows) if "Filename" in row)
        column = next(k for k, cell in enumerate(rows[top]) if str(cell).startswith("Objective"))
        kept = [row[0] for row in rows[top + 1 :] if row[column] <= 5]
        assert (len(kept), len(set(kept))) == (clips, folds)


def test_label_table_of_smic_is_a_tree(labels):
    per_subject = Counter(s.subject for s in labels["smic_hs"].samples)
    assert list(per_subject.values()) == [6, 6, 39, 19, 2, 4, 13, 4, 7, 9, 10, 10, 4, 7, 2, 22]
    assert Counter(s.emotion for s in labels["smic_hs"].samples) == {"negative": 70, "positive": 51, "surprise": 43}
    assert Counter(s.emotion for s in labels["smic_vis"].samples) == {"positive": 28, "negative": 24, "surprise": 19}
    assert len(list(labels["smic_hs"].root.rglob("*.bmp"))) == 2 * 164


def test_megc_2019_comes_to_its_totals(labels):
    rows = [(f"sub{s}", clip, e) for s, clip, e in _labelled(labels["casme2_2014"]) if e in BASIC]
    assert {(s, clip, e) for s, clip, e in rows if (s, clip) in MEGC_OUT} == {(*key, "disgust") for key in MEGC_OUT}
    casme2 = [row for row in rows if (row[0], row[1]) not in MEGC_OUT]
    samm = [row for row in _labelled(labels["samm"]) if row[2] != "other"]
    smic = [(s.subject, s.clip, s.emotion) for s in labels["smic_hs"].samples]
    assert (len(smic), len(casme2), len(samm)) == (164, 145, 133)
    assert [len({subject for subject, *_ in part}) for part in (smic, casme2, samm)] == [16, 24, 28]
    total = Counter(
        {"happiness": "positive", "positive": "positive", "surprise": "surprise"}.get(emotion, "negative")
        for *_, emotion in smic + casme2 + samm
    )
    assert total == {"negative": 250, "positive": 109, "surprise": 83}


def test_megc_2018_comes_to_its_totals_as_the_readers_read_the_sheets(labels):
    records = [*casme2.records(labels["casme2_2014"].root), *samm.records(labels["samm"].root)]
    found = schemes.apply(records, schemes.SCHEMES["megc2018"])
    assert len(found.records) == 253
    assert len({(record.dataset, record.subject) for record in found.records}) == 47
    per_class = Counter((record.dataset, record.objective_class) for record in found.records)
    assert [per_class["casme2", k] for k in range(1, 6)] == [25, 15, 99, 26, 20]
    assert [per_class["samm", k] for k in range(1, 6)] == [24, 13, 20, 8, 3]


def test_label_tables_differ_where_the_sheets_do(labels):
    old, new = (
        {(subject, clip): emotion for subject, clip, emotion in _labelled(labels[f"casme2_{year}"])}
        for year in (2014, 2019)
    )
    assert {key for key in old if old[key] != new[key]} == {("24", "EP07_01"), ("24", "EP07_04f"), ("24", "EP10_03")}
    assert ({(24, "EP02_07")}) <= {row[:2] for row in _labelled(labels["casme2_256"])}
    assert Counter(s.kind for s in labels["casme_sq"].samples) == {"micro": 57, "macro": 300}
    assert Counter(s.objective for s in labels["casme3a"].samples)[7] == 373


@pytest.mark.parametrize("name", TABLES)
def test_label_tables_name_every_sample_once(labels, name):
    keys = [(s.subject, s.clip, s.onset) for s in labels[name].samples]
    assert len(set(keys)) == len(keys)
    if labels[name].sheets:
        assert [bool(s.folders) for s in labels[name].samples] == [True] + [False] * (len(keys) - 1)
        assert len({p.parent for p in labels[name].root.rglob("*") if p.suffix == ".jpg"}) == 1
