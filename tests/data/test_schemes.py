"""Label schemes on invented tables, of which only the numbers of clips and of people are those of the real sheets."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merjax import loso
from merjax.data import schemes
from merjax.data.record import Record
from merjax.data.schemes import SCHEMES
from merjax.prepare import subjects_of
from merjax.types import Annotation, Clip, Dataset, InputError


def record(dataset, subject, clip, text="", objective=None):
    return Record(
        *(dataset, "cropped", subject, clip, f"{dataset}/{subject}/{clip}", (), ()),
        *(1, 2, 3, 0, 1, 2, "annotated", text, schemes.emotion(text), "", (), objective, 200.0, ()),
    )


def table(dataset, people, counts, only=None):
    """Invented clips: each label of `counts` as often as it says, dealt round to the people who may have it.

    `only` names the labels of some people, who are dealt to first; everyone else may have all. A label is an emotion
    or an objective class.
    """
    only, rows = only or {}, []
    for label, count in counts.items():
        allowed = sorted((p for p in people if label in only.get(p, counts)), key=lambda p: p not in only)
        for i, person in zip(range(count), itertools.cycle(allowed), strict=False):
            value = {"objective": label} if isinstance(label, int) else {"text": label}
            rows.append(record(dataset, person, f"{label}_{i}", **value))
    return rows


def fold_count(records, labels):
    clips = tuple(Annotation(r.dataset, r.subject, r.clip, int(k)) for r, k in zip(records, labels, strict=True))
    subject, _ = subjects_of(Dataset("invented", ("any",), clips, lambda _: Clip()))
    return len(loso.folds(labels, subject).subject)


def kept(name, records):
    """Clips of each class, and folds."""
    scheme = SCHEMES[name]
    found = schemes.apply(records, scheme)
    assert len(found.records) + len(found.left_out) == len(records)
    per_class = np.bincount(found.labels, minlength=len(scheme.classes))
    return dict(zip(scheme.classes, per_class.tolist(), strict=True)), fold_count(found.records, found.labels)


CASME2_PEOPLE = [f"sub{i:02}" for i in range(1, 27)]
# Of two people all clips are others, but for a single clip of fear.
CASME2_ONLY = {"sub10": ("others",), "sub18": ("others", "fear")}
OFFICIALLY_OUT = [("sub04", "EP12_01f"), ("sub05", "EP09_05f")]
CHANGED = [("sub24", "EP07_01"), ("sub24", "EP07_04f"), ("sub24", "EP10_03")]


def casme2(sheet):
    """The invented sheet of a year; the clips that MEGC 2019 names have their real keys and emotions."""
    counts = {"others": 99, "disgust": 61, "happiness": 32, "repression": 27, "surprise": 25, "sadness": 4, "fear": 2}
    rows = table("casme2", CASME2_PEOPLE, counts, CASME2_ONLY)
    rows += [record("casme2", *key, "disgust") for key in OFFICIALLY_OUT]
    rows += [record("casme2", *key, "surprise" if sheet == "2019" else "sadness") for key in CHANGED]
    return rows + [record("casme2", "sub24", "EP02_07", "disgust")] * (sheet == "256")


def casme2_objective(counts):
    return table("casme2", CASME2_PEOPLE, dict(enumerate(counts, 1)))


SAMM_PEOPLE = [f"{i:03}" for i in (6, 7, *range(9, 27), 28, *range(30, 38))]
SAMM_ONLY = {"025": ("Other",), "024": ("Disgust", "Fear", "Sadness"), "036": ("Disgust", "Fear", "Sadness")}
SAMM_COUNTS = {"Anger": 57, "Other": 26, "Happiness": 26, "Surprise": 15, "Contempt": 12, "Disgust": 9}
SAMM_ROWS = table("samm", SAMM_PEOPLE, SAMM_COUNTS | {"Fear": 8, "Sadness": 6}, SAMM_ONLY)
SAMM_OBJECTIVE = table(
    *("samm", SAMM_PEOPLE, dict(enumerate((24, 13, 20, 8, 3, 7, 84), 1))),
    {person: (6, 7) for person in SAMM_PEOPLE[21:]},
)
SMIC_PEOPLE = [f"s{i:02}" for i in (*range(1, 7), 8, 9, *range(11, 16), *range(18, 21))]
SMIC_ROWS = table("smic_hs", SMIC_PEOPLE, {"negative": 70, "positive": 51, "surprise": 43})
SMIC_VIS = table("smic_vis", SMIC_PEOPLE[8:], {"positive": 28, "negative": 24, "surprise": 19})
CASME3A_PEOPLE = [f"spNO.{i}" for i in range(1, 95)]
CASME3A_COUNTS = {"disgust": 250, "surprise": 187, "others": 158, "Others": 3, "fear": 86, "anger": 64}
CASME3A_ROWS = table(
    *("casme3a", CASME3A_PEOPLE, CASME3A_COUNTS | {"sad": 57, "happy": 55}),
    {person: ("others",) for person in CASME3A_PEOPLE[-6:]},
)
CASME3C_COUNTS = {"negative": 99, "surprise": 30, "others": 20, "positive": 16}
CASME3C_ROWS = table("casme3c", [f"{i:02}" for i in (*range(1, 22), *range(23, 32))], CASME3C_COUNTS)

C2 = ("others", "disgust", "happiness", "repression", "surprise", "sadness", "fear")
FIVE = ("happiness", "disgust", "repression", "surprise", "others")
THREE = ("negative", "positive", "surprise")
I_TO_V = ("I", "II", "III", "IV", "V")
Y2014, Y2019, Y256 = "CASME2-coding-20140508.xlsx", "CASME2-coding-20190701.xlsx", "CASME2_label_Ver_2.xls"
EIGHT = ("anger", "others", "happiness", "surprise", "contempt", "disgust", "fear", "sadness")
SAMM = "SAMM_Micro_FACS_Codes_v2.xlsx"
CASME3A = "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"
FILE_185, COLUMN_174 = (25, 15, 99, 26, 20, 1, 69), (30, 18, 93, 15, 18, 2, 79)
SEPARATE = "CASME2-ObjectiveClasses.xlsx"

# scheme, rows, classes and their clips, folds, the sheet whose counts these are
DOCUMENTED = [
    ("casme2_7", casme2("2014"), C2, (99, 63, 32, 27, 25, 7, 2), 26, Y2014),
    ("casme2_7", casme2("2019"), C2, (99, 63, 32, 27, 28, 4, 2), 26, Y2019),
    ("casme2_7", casme2("256"), C2, (99, 64, 32, 27, 25, 7, 2), 26, Y256),
    ("casme2_5", casme2("2014"), FIVE, (32, 63, 27, 25, 99), 26, Y2014),
    ("casme2_5", casme2("2019"), FIVE, (32, 63, 27, 28, 99), 26, Y2019),
    ("casme2_5", casme2("256"), FIVE, (32, 64, 27, 25, 99), 26, Y256),
    ("casme2_4", casme2("2014"), FIVE[:4], (32, 63, 27, 25), 24, Y2014),
    ("casme2_4", casme2("2019"), FIVE[:4], (32, 63, 27, 28), 24, Y2019),
    ("casme2_3", casme2("2014"), THREE, (88, 32, 25), 24, Y2014),
    ("casme2_3_sadness_fear", casme2("2014"), THREE, (99, 32, 25), 25, Y2014),
    ("casme2_objective", casme2_objective(FILE_185), I_TO_V, FILE_185[:5], 26, SEPARATE),
    ("casme2_objective", casme2_objective(COLUMN_174), I_TO_V, COLUMN_174[:5], 26, Y2019),
    ("samm_8", SAMM_ROWS, EIGHT, (57, 26, 26, 15, 12, 9, 8, 6), 29, SAMM),
    ("samm_7", SAMM_ROWS, (EIGHT[0], *EIGHT[2:]), (57, 26, 15, 12, 9, 8, 6), 28, SAMM),
    ("samm_5", SAMM_ROWS, ("anger", "happiness", "contempt", "surprise", "others"), (57, 26, 12, 15, 26), 27, SAMM),
    ("samm_4", SAMM_ROWS, ("anger", "happiness", "contempt", "surprise"), (57, 26, 12, 15), 26, SAMM),
    ("samm_3", SAMM_ROWS, THREE, (92, 26, 15), 28, SAMM),
    ("samm_objective", SAMM_OBJECTIVE, I_TO_V, (24, 13, 20, 8, 3), 21, SAMM),
    ("smic_3", SMIC_ROWS, THREE, (70, 51, 43), 16, "folders of HS"),
    ("smic_3", SMIC_VIS, THREE, (24, 28, 19), 8, "folders of VIS"),
    (
        *("casme3a_7", CASME3A_ROWS, ("disgust", "surprise", "others", "fear", "anger", "sadness", "happiness")),
        *((250, 187, 161, 86, 64, 57, 55), 94, CASME3A),
    ),
    ("casme3a_4", CASME3A_ROWS, (*THREE, "others"), (457, 55, 187, 161), 94, CASME3A),
    ("casme3a_3", CASME3A_ROWS, THREE, (457, 55, 187), 88, CASME3A),
    ("casme3c_4", CASME3C_ROWS, (*THREE, "others"), (99, 16, 30, 20), 30, "CAS(ME)3_part_C_ME.xlsx"),
    ("megc2019", [*SMIC_ROWS, *casme2("2014"), *SAMM_ROWS], THREE, (250, 109, 83), 68, Y2014),
    (
        *("megc2018", [*casme2_objective(FILE_185), *SAMM_OBJECTIVE]),
        *(I_TO_V, (25 + 24, 15 + 13, 99 + 20, 26 + 8, 20 + 3), 47, SEPARATE),
    ),
]


@pytest.mark.parametrize(
    ("name", "records", "classes", "counts", "folds", "sheet"),
    DOCUMENTED,
    ids=[f"{row[0]}-{row[-1]}" for row in DOCUMENTED],
)
def test_a_complete_data_set_gives_the_documented_totals(name, records, classes, counts, folds, sheet):
    per_class, found = kept(name, records)
    assert tuple(per_class.items()) == tuple(zip(classes, counts, strict=True))
    assert found == folds
    assert SCHEMES[name].counts[sheet] == (sum(counts), folds)


def test_every_documented_count_is_tested():
    assert {(row[0], row[-1]) for row in DOCUMENTED} == {
        (s.name, sheet) for s in SCHEMES.values() for sheet in s.counts
    }


# Nobody counted these sheets, so the numbers are invented: powers of two, whose sums tell which labels made a class.
SEVEN = ("happiness", "surprise", "disgust", "others", "fear", "sadness", "anger")
UNCOUNTED = [
    ("mmew_7", SEVEN, {label: 1 << i for i, label in enumerate(SEVEN)}),
    ("mmew_6", SEVEN, {label: 1 << i for i, label in enumerate(SEVEN) if label != "others"}),
    ("mmew_4", SEVEN, {label: 1 << i for i, label in enumerate(SEVEN[:4])}),
    ("mmew_3", SEVEN, {"negative": 4 + 16 + 32 + 64, "positive": 1, "surprise": 2}),
    (
        *("casme_4", ("tense", "disgust", "repression", "surprise", "happiness", "sadness", "fear", "comtempt")),
        {"tense": 1, "disgust": 2, "repression": 4, "surprise": 8},
    ),
    (
        *("4dme_5", ("Positive", "Negative", "Surprise", "Repression", "Others", "Surprise+Positive")),
        {"positive": 1, "negative": 2, "surprise": 4, "repression": 8, "others": 16},
    ),
    ("casme_sq_4", (*THREE, "others"), {"negative": 1, "positive": 2, "surprise": 4, "others": 8}),
    (
        *("dfme_7", ("happiness", "surprise", "disgust", "fear", "sadness", "anger", "contempt", "others")),
        {label: 1 << i for i, label in enumerate(("happiness", "surprise", "disgust", "fear", "sadness", "anger"))}
        | {"contempt": 64},
    ),
]


@pytest.mark.parametrize(("name", "emotions", "expected"), UNCOUNTED, ids=[row[0] for row in UNCOUNTED])
def test_schemes_of_uncounted_data_sets_merge_the_named_emotions(name, emotions, expected):
    (dataset,) = SCHEMES[name].datasets
    records = table(dataset, ["p1", "p2"], {text: 1 << i for i, text in enumerate(emotions)})
    assert kept(name, records)[0] == expected
    assert not SCHEMES[name].counts


def test_every_scheme_is_covered():
    assert {row[0] for row in (*DOCUMENTED, *UNCOUNTED)} == set(SCHEMES)
    assert all(len({tuple(groups) for groups in s.groups.values()}) == 1 for s in SCHEMES.values())


@pytest.mark.parametrize("sheet", ["2014", "2019", "256"])
def test_megc_2019_has_the_official_members_whatever_the_sheet(sheet):
    found = schemes.apply([*SMIC_ROWS, *casme2(sheet), *SAMM_ROWS], SCHEMES["megc2019"])
    people = {(r.dataset, r.subject) for r in found.records}
    for dataset, clips, subjects in (("smic_hs", 164, 16), ("casme2", 145, 24), ("samm", 133, 28)):
        assert sum(r.dataset == dataset for r in found.records) == clips
        assert sum(name == dataset for name, _ in people) == subjects
    assert np.bincount(found.labels).tolist() == [250, 109, 83]
    members = {(r.subject, r.clip) for r in found.records if r.dataset == "casme2"}
    assert not members & {*OFFICIALLY_OUT, *CHANGED, ("sub24", "EP02_07")}


def test_exclusions_go_by_data_set_subject_and_clip_and_never_by_place(rng):
    records = casme2("2014")
    twins = [record("casme2", "sub05", "EP12_01f", "disgust"), record("casme2", "sub04", "EP09_05f", "disgust")]
    records += twins
    scheme = SCHEMES["casme2_3"]
    before = schemes.apply(records, scheme)
    assert set(twins) <= set(before.records)
    shuffled = schemes.apply([records[i] for i in rng.permutation(len(records))], scheme)
    assert set(shuffled.records) == set(before.records)
    assert sorted(shuffled.left_out) == sorted(before.left_out)
    out = record("casme2", "sub04", "EP12_01f", "disgust")
    assert schemes.label(out, scheme) == -1
    assert schemes.label(out, SCHEMES["casme2_5"]) == 1
    own = scheme._replace(groups={"samm": scheme.groups["casme2"]})
    assert schemes.label(out._replace(dataset="samm"), own) == 0


def test_each_clip_that_stays_out_is_told_with_its_reason():
    records = [
        record("casme2", "sub04", "EP12_01f", "disgust"),
        record("casme2", "sub01", "a", "Fear"),
        record("casme2", "sub01", "b", ""),
        record("casme2", "sub01", "c", "happiness"),
    ]
    found = schemes.apply(records, SCHEMES["casme2_3"])
    assert found.records == (records[3],)
    assert found.labels.tolist() == [1]
    apex, fear, empty = found.left_out
    assert apex == "casme2/sub04/EP12_01f: MEGC 2019 leaves it out, for its sheet gives no apex."
    assert fear == "casme2/sub01/a: its emotion 'fear' is in no class of scheme 'casme2_3'."
    assert empty == "casme2/sub01/b: its sheet gives no emotion."


def test_a_joint_label_has_a_class_only_where_its_parts_agree():
    both, mild = record("4dme", "S01", "a", "Surprise + Positive"), record("4dme", "S01", "b", "Negative+Repression")
    plain = record("4dme", "S02", "c", "Others")
    scheme = SCHEMES["4dme_5"]
    assert both.emotion == "surprise+positive"
    assert schemes.labels(both, scheme) == (2, 0)
    assert schemes.label(both, scheme) == -1
    _, told = schemes.apply([both, plain, mild], scheme).left_out
    assert told == "4dme/S01/b: its emotion 'negative+repression' is of several classes of scheme '4dme_5'."
    own = schemes.own({"low": ["Negative", "repression"], "high": ["positive"]}, [both, mild, plain])
    assert schemes.label(mild, own) == 0
    assert schemes.labels(both, own) == (-1, 1)
    assert schemes.label(both, own) == -1


def test_spellings_become_one():
    assert schemes.emotion(" comtempt ") == "contempt"
    assert schemes.emotion("Other") == schemes.emotion("OTHERS") == "others"
    assert [schemes.emotion(text) for text in ("sad", "Happy", "Tense", "")] == ["sadness", "happiness", "tense", ""]


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=12))
def test_a_spelling_that_is_read_again_stays(text):
    once = schemes.emotion(text)
    assert schemes.emotion(once) == once


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(list(SAMM_COUNTS)), st.integers(1, 3)), min_size=1, max_size=20))
def test_apply_keeps_the_order_and_the_labels_of_the_clips(draws):
    records = [record("samm", f"{person:03}", str(i), text) for i, (text, person) in enumerate(draws)]
    records.append(record("samm", "009", "sure", "Anger"))
    found = schemes.apply(records, SCHEMES["samm_4"])
    assert list(found.records) == [r for r in records if schemes.label(r, SCHEMES["samm_4"]) >= 0]
    names = [SCHEMES["samm_4"].classes[k] for k in found.labels]
    assert names == [r.emotion for r in found.records]


def test_people_of_two_data_sets_with_one_name_are_two_folds():
    records = [
        record("casme", "sub01", "a", "disgust"),
        record("casme2", "sub01", "b", "surprise"),
        record("casme", "sub02", "c", "surprise"),
        record("casme2", "sub01", "d", "disgust"),
    ]
    found = schemes.apply(records, schemes.own({"low": ["disgust"], "high": ["surprise"]}, records))
    assert found.labels.tolist() == [0, 1, 1, 0]
    assert fold_count(found.records, found.labels) == 3


def test_a_scheme_for_other_data_or_without_clips_is_refused():
    clip = record("samm", "006", "a", "anger")
    with pytest.raises(InputError, match=r"'casme2_5' is for casme2, not for samm; schemes for it are samm_8, "):
        schemes.apply([clip], SCHEMES["casme2_5"])
    with pytest.raises(InputError, match=r"keeps no clip of casme2.*gives no objective class; .*CASME2-Obj"):
        schemes.apply([clip._replace(objective_class=1), *casme2("2014")], SCHEMES["megc2018"])
    with pytest.raises(InputError, match="there is none for mine: give your own"):
        schemes.apply([clip._replace(dataset="mine")], SCHEMES["samm_8"])


def test_an_own_scheme_goes_by_emotions_or_by_objective_classes():
    records = [record("samm", "006", str(n), "Other", n) for n in range(1, 8)]
    found = schemes.apply(records, schemes.own({"few": [1, 2], "many": [7]}, records))
    assert found.labels.tolist() == [0, 0, 1]
    assert found.left_out[0] == "samm/006/3: its objective class '3' is in no class of scheme 'own'."
    records += [record("samm", "007", "a", "Sadness")]
    scheme = schemes.own({"low": ["sad"], "rest": ["Other"]}, records)
    assert scheme.classes == ("low", "rest")
    assert schemes.apply(records, scheme).labels.tolist() == [1] * 7 + [0]


@pytest.mark.parametrize(
    ("groups", "sentence"),
    [
        ({"one": ["fear"]}, "has 1 class; it should have at least 2"),
        ({"a": ["fear"], "b": []}, r"class 'b' is \[\]; it should be a list"),
        ({"a": ["fear"], "b": "sad"}, "class 'b' is 'sad'; it should be a list"),
        ({"a": ["fear", "sad"], "b": ["Sadness"]}, "emotion 'sadness' twice, in 'a' and in 'b'"),
        ({"a": ["fear"], "b": ["joy"]}, "class 'b' has emotion 'joy', but the clips have fear, sadness"),
        ({"a": ["fear"], "b": [3]}, "mixes emotions and objective classes"),
        ({"a": [1], "b": [9]}, "class 'b' has objective class '9', but the clips have 1, 2"),
    ],
)
def test_an_own_scheme_that_cannot_work_is_refused(groups, sentence):
    records = [record("samm", "006", "a", "Fear", 1), record("samm", "007", "b", "Sadness", 2)]
    with pytest.raises(InputError, match=sentence):
        schemes.own(groups, records)
