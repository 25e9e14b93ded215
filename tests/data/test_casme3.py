import os
import shutil
from collections import Counter

import cv2
import numpy as np
import openpyxl
import pytest
from test_casme import SMALL, check_consistent, check_sound, check_undisturbed, check_unreadable, facts, rewritten

from merjax.data import casme3, frames, schemes
from merjax.data.trees import RECIPES, TREES
from merjax.data.trees.labels import label_table
from merjax.types import InputError

SHEET = "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"
SHEET_C = "CAS(ME)3_part_C_ME.xlsx"
KEYS = ("subject", "clip", "onset")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return TREES["casme3a"](tmp_path_factory.mktemp("casme3a"), **SMALL)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return TREES["casme3a"](tmp_path_factory.mktemp("casme3a"), **SMALL, faults=())


@pytest.fixture(scope="module")
def mock_crime(tmp_path_factory):
    return TREES["casme3c"](tmp_path_factory.mktemp("casme3c"), **SMALL)


def by_id(records):
    return {one.sample_id.partition("/")[2]: one for one in records}


def without_pack(tree, target):
    """Part A alone, as a link."""
    target.mkdir()
    (target / "part_A").symlink_to(tree.root / "part_A")
    return target


# Part A


@pytest.mark.parametrize("release", ["raw", "raw_full"])
def test_a_sound_part_a_is_read_as_it_is(sound, release):
    records = casme3.records(sound.root, release=release)
    check_sound(records, sound.samples, KEYS)
    check_consistent(records)
    assert {one.release for one in records} == {release}
    assert [one.objective_class for one in records] == [sample.objective for sample in sound.samples]


def test_a_clip_holds_several_samples_whose_names_end_with_the_onset(tmp_path):
    tree = TREES["casme3a"](tmp_path, subjects=1, clips=3, size=16, length=6, faults=())
    assert {(sample.subject, sample.clip) for sample in tree.samples} == {("spNO.301", "a")}
    records = casme3.records(tmp_path, release="raw_full")
    assert [one.sample_id for one in records] == [f"casme3a/spNO.301/a/{sample.onset}" for sample in tree.samples]
    assert len({one.frames for one in records}) == 1
    assert len({one.frames for one in casme3.records(tmp_path)}) == 3


# Key in the sheet: numbers, positions in onset to offset, source, codes
EXPECTED = {
    "spNO.1/k/21": ((21, 24, 28), (0, 3, 7), "annotated", ()),  # folder spNo.1
    "spNO.3/J/21": ((21, 24, 28), (0, 3, 7), "annotated", ()),  # folder j
    "spNO.401/a/21": ((21, 24, 28), (0, 3, 7), "annotated", ()),  # Others
    "spNO.216/e/0": ((1, 1, 25), (0, 0, 24), "placeholder", ("onset_zero", "apex_placeholder")),
    "spNO.40/e/1812": ((1812, 1824, 1845), (0, 12, 33), "annotated", ("offset_zero", "known_repair:offset")),
    "spNO.40/e/2327": ((2327, 2363, 2403), (0, 36, 76), "annotated", ("offset_zero", "known_repair:offset")),
    # 222 of its frames are not there.
    "spNO.149/d/112": ((112, 123, 358), (0, 11, 24), "repaired", ("frame_gap", "apex_outside", "known_repair:apex")),
    "spNO.216/d/3647": (
        (2647, 2668, 2694),
        (0, 21, 47),
        "annotated",
        ("offset_before_onset", "known_repair:onset"),
    ),
    "spNO.214/c/5": ((5, 5, 34), (0, 0, 29), "placeholder", ("known_repair:offset", "apex_placeholder")),
    "spNO.401/b/4": ((4, 4, 14), (0, 0, 10), "placeholder", ("apex_placeholder",)),
    "spNO.401/c/21": ((21, 25, 29), (0, 3, 7), "annotated", ("frame_gap",)),  # without 23
    "spNO.401/d/21": ((21, 24, 29), (0, 3, 7), "repaired", ("frame_gap", "frame_missing:apex")),  # without 25
    "spNO.401/f/21": ((21, 25, 29), (0, 4, 8), "annotated", ()),  # a frame is cut short
    "spNO.401/g/21": ((21, 25, 29), (-1, None, -1), "annotated", ("folder_missing",)),
    "spNO.401/h/21": ((21, 25, 29), (0, 4, 8), "annotated", ()),  # stray files
}


@pytest.mark.parametrize("place", ["clip pack", "whole clips"])
def test_every_fault_gives_its_record_and_codes(tmp_path, tree, place):
    root = tree.root if place == "clip pack" else without_pack(tree, tmp_path / "a")
    records = casme3.records(root)
    check_consistent(records)
    faulty = {f"{sample.subject}/{sample.clip}/{sample.onset}" for sample in tree.samples if sample.fault}
    assert faulty == set(EXPECTED)
    assert set(tree.faults) == set(RECIPES["casme3a"].faults)
    found = {name: facts(one) for name, one in by_id(records).items()}
    assert {name: fact for name, fact in found.items() if name in faulty} == EXPECTED
    assert all(fact[3] == () for name, fact in found.items() if name not in faulty)
    folder = "Part_A_ME_clip" if place == "clip pack" else "part_A"
    assert all(path.startswith(str(root / folder)) for one in records for path in one.frames)


def test_whole_clips_have_the_same_numbers_and_codes(tree):
    cut, whole = by_id(casme3.records(tree.root)), by_id(casme3.records(tree.root, release="raw_full"))
    assert cut.keys() == whole.keys()
    for name, one in whole.items():
        assert (facts(one)[0], *facts(one)[2:]) == (facts(cut[name])[0], *facts(cut[name])[2:])
        kept = one.frame_numbers[one.onset_idx : one.offset_idx + 1] if one.frames else ()
        assert kept == cut[name].frame_numbers
    assert len(whole["spNO.214/c/5"].frames) > len(cut["spNO.214/c/5"].frames)
    assert whole["spNO.216/e/0"].frame_numbers[0] == 1


def test_an_offset_of_zero_without_a_known_repair_lies_as_far_from_the_apex_as_the_onset(tmp_path):
    tree = TREES["casme3a"](tmp_path, **SMALL, faults=("stray_files",))

    def forget(row):
        row[4].value = "0" if row[0].value == "spNO.401" else row[4].value

    rewritten(tree.sheets[SHEET], tree.sheets[SHEET], forget)
    one = by_id(casme3.records(tmp_path, release="raw_full"))["spNO.401/h/21"]
    assert facts(one)[0] == (21, 25, 29)
    assert one.issues == ("offset_zero",)


def test_a_known_repair_needs_subject_clip_onset_and_the_wrong_number(tmp_path):
    tree = TREES["casme3a"](tmp_path, **SMALL, faults=("apex_below_onset",))

    def correct(row):
        row[3].value = "125" if row[0].value == "spNO.149" else row[3].value

    rewritten(tree.sheets[SHEET], tmp_path / "correct.xlsx", correct)
    one = by_id(casme3.records(tmp_path, sheet="correct.xlsx"))["spNO.149/d/112"]
    assert facts(one)[0] == (112, 125, 358)
    assert one.issues == ("frame_gap",)

    def later(row):
        row[2].value = "113" if row[0].value == "spNO.149" else row[2].value

    rewritten(tree.sheets[SHEET], tmp_path / "later.xlsx", later)
    one = by_id(casme3.records(tmp_path, sheet="later.xlsx", release="raw_full"))["spNO.149/d/113"]
    assert facts(one)[0] == (113, None, 358)
    assert one.issues == ("frame_gap", "apex_outside")


def test_the_pack_may_have_the_right_onset_in_a_folders_name(tmp_path):
    TREES["casme3a"](tmp_path, **SMALL, faults=("onset_zero", "onset_typo"), releases=("raw",))
    expected = casme3.records(tmp_path)
    pack = tmp_path / "Part_A_ME_clip/frame"
    (pack / "spNO.216_e_0").rename(pack / "spNO.216_e_1")
    (pack / "spNO.216_d_3647").rename(pack / "spNO.216_d_2647")
    assert [facts(one) for one in casme3.records(tmp_path)] == [facts(one) for one in expected]
    assert all(one.frames for one in expected)


def test_depth_is_never_taken_for_colour(tmp_path):
    tree = TREES["casme3a"](tmp_path, **SMALL, faults=())
    for release in ("raw", "raw_full"):
        for one in casme3.records(tmp_path, release=release):
            places = [os.path.relpath(path, tmp_path) for path in one.frames]
            assert all(place.endswith(".jpg") and "depth" not in place for place in places)
            image = frames.image(one.frames[0])
            assert (image != image[..., :1]).any()
    sample = tree.samples[0]
    depth = next((tmp_path / sample.folders["depth"]).glob("*.png"))
    assert cv2.imread(str(depth), cv2.IMREAD_UNCHANGED).dtype == np.uint16
    shutil.rmtree(tmp_path / sample.folders["raw"])
    shutil.rmtree(tmp_path / sample.folders["raw_full"])
    name = f"{sample.subject}/{sample.clip}/{sample.onset}"
    for release in ("raw", "raw_full"):
        assert by_id(casme3.records(tmp_path, release=release))[name].issues == ("folder_missing",)


@pytest.mark.parametrize(
    "place", ["", "part_A", "part_A/data", "part_A/data/part_A_split", "part_A/data/part_A_split/part_A"]
)
@pytest.mark.parametrize("release", ["", "raw_full"])
def test_the_root_may_be_any_folder_on_the_way(tmp_path, sound, place, release):
    root = without_pack(sound, tmp_path / "a") / place
    sheet = str(sound.sheets[SHEET])
    expected = casme3.records(tmp_path / "a", release=release)
    found = casme3.records(root, release=release, sheet=sheet)
    assert found == expected
    assert all(one.frames for one in found)


@pytest.mark.parametrize("place", ["Part_A_ME_clip", "Part_A_ME_clip/frame"])
def test_the_root_may_be_the_pack(sound, place):
    assert casme3.records(sound.root / place, sheet=str(sound.sheets[SHEET])) == casme3.records(sound.root)


def test_the_pack_may_be_in_the_parts_folder(tmp_path, sound):
    shutil.copytree(sound.root / "part_A/annotation", tmp_path / "part_A/annotation")
    (tmp_path / "part_A/Part_A_ME_clip").symlink_to(sound.root / "Part_A_ME_clip")
    records = casme3.records(tmp_path)
    assert [facts(one) for one in records] == [facts(one) for one in casme3.records(sound.root)]


def test_depth_alone_is_no_release(tmp_path):
    tree = TREES["casme3a"](tmp_path, **SMALL, faults=(), releases=("depth",))
    for root in (tmp_path, tmp_path / "Part_A_ME_clip", tmp_path / "Part_A_ME_clip/depth"):
        with pytest.raises(InputError, match=r"expected folders like .* in Part_A_ME_clip, frame, part_A"):
            casme3.records(root, sheet=str(tree.sheets[SHEET]))


def test_a_label_has_one_spelling_and_a_clip_its_own(tree):
    records = by_id(casme3.records(tree.root))
    assert (records["spNO.401/a/21"].emotion_raw, records["spNO.401/a/21"].emotion) == ("Others", "others")
    assert (records["spNO.149/d/112"].emotion_raw, records["spNO.149/d/112"].emotion) == ("sad", "sadness")
    assert records["spNO.214/c/5"].emotion == "happiness"
    assert (records["spNO.3/J/21"].clip, records["spNO.1/k/21"].subject) == ("J", "spNO.1")
    assert os.path.basename(os.path.dirname(records["spNO.1/k/21"].frames[0])) == "spNo.1_k_21"


def test_numbers_of_the_sheet_are_text(tree):
    row = openpyxl.load_workbook(tree.sheets[SHEET])["label"][2]
    assert {type(cell.value) for cell in row[2:5]} == {str}


def test_the_first_version_of_the_sheet_is_read_if_it_is_the_only_one(tmp_path):
    tree = TREES["casme3a"](tmp_path, **SMALL, faults=())
    expected = casme3.records(tmp_path)
    v2, annotation = tree.sheets[SHEET], tree.sheets[SHEET].parent
    first = annotation / "cas(me)3_part_A_ME_label_JpgIndex_v1.xls"
    book = openpyxl.load_workbook(v2)
    book["label"].title = "Tabelle1"
    for row in book.worksheets[0].iter_rows(min_row=2):
        row[7].value = "fear"
        book.worksheets[0].cell(row[0].row, 9, "a").value = "remark"
        book.worksheets[0].cell(row[0].row, 10).value = 7
    book.save(annotation / "v1.xlsx")
    (annotation / "v1.xlsx").rename(first)
    shutil.copy(first, annotation / "cas(me)3_part_A_MaE_label_JpgIndex_v2_emotion.xlsx")
    shutil.copy(first, annotation / "CAS(ME)3_part_A_wrongly_labeled_me_in_V1.xlsx")
    assert casme3.records(tmp_path) == expected
    assert {one.emotion for one in casme3.records(tmp_path, sheet=first.name)} == {"fear"}
    v2.unlink()
    assert {one.emotion for one in casme3.records(tmp_path)} == {"fear"}
    first.unlink()
    with pytest.raises(InputError, match=r"hold no sheet cas\*me\*3_part_a_me_label\*v2"):
        casme3.records(tmp_path)


def test_macro_expressions_are_left_out(tmp_path):
    tree = TREES["casme3a"](tmp_path, **SMALL, faults=())
    expected = casme3.records(tmp_path)
    book = openpyxl.load_workbook(tree.sheets[SHEET])
    page = book["label"]
    page.title = "AU+Emotion"
    page["I1"].value = "Expression type"
    rows = list(page.iter_rows(min_row=2, max_col=8, values_only=True))
    for at in range(len(rows)):
        page.cell(at + 2, 9).value = "Micro-expression"
    for cells in rows:  # a macro-expression may have a micro-expression's key
        page.append((*cells, "Macro-expression"))
    book.create_sheet("eye blink", 0).append(("Subject", "Filename", "Onset", "Offset"))
    book.save(tmp_path / "CAS(ME)3_part_A_v2.xlsx")
    tree.sheets[SHEET].unlink()
    assert casme3.records(tmp_path) == expected


def test_a_frame_cut_short_is_taken_out_when_it_is_decoded(tree):
    for release in ("raw", "raw_full"):
        check_unreadable(by_id(casme3.records(tree.root, release=release))["spNO.401/f/21"])


def test_strict_and_none(tree):
    everything = casme3.records(tree.root)
    assert casme3.records(tree.root, repair="strict") == tuple(one for one in everything if not one.issues)
    sheet = {f"{s.subject}/{s.clip}/{s.onset}": (s.onset, s.apex, s.offset) for s in tree.samples}
    assert {name: facts(one)[0] for name, one in by_id(casme3.records(tree.root, repair="none")).items()} == sheet


def test_a_complete_sheet_comes_to_the_published_totals(tmp_path):
    label_table(tmp_path, "casme3a")
    records = casme3.records(tmp_path)
    assert len(records) == 860
    assert Counter(one.objective_class for one in records) == {1: 15, 2: 151, 3: 234, 4: 37, 5: 47, 6: 3, 7: 373}
    for name in ("casme3a_7", "casme3a_4", "casme3a_3"):
        kept = schemes.apply(records, schemes.SCHEMES[name])
        counts = (len(kept.records), len({one.subject for one in kept.records}))
        assert counts == schemes.SCHEMES[name].counts[SHEET]


def test_every_folder_is_listed_once(tree, monkeypatch):
    listed, scan = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(str(path)) or scan(path))
    casme3.records(tree.root, release="raw_full")
    colour = [path for path in listed if os.path.basename(path) == "color"]
    assert len(colour) == len(set(colour)) < len(tree.samples)


@pytest.mark.parametrize("release", ["raw", "raw_full"])
def test_nothing_of_part_a_is_disturbed(tree, release, monkeypatch):
    check_undisturbed(lambda root: casme3.records(root, release=release), tree.root, monkeypatch)


def test_the_frames_a_second_are_unknown(sound):
    assert {one.fps for one in casme3.records(sound.root)} == {0.0}


# Part C


def part_c(root, **asked):
    return casme3.records(root, part="c", **asked)


@pytest.mark.parametrize("release", ["raw", "raw_full"])
def test_a_sound_part_c_is_read_as_it_is(tmp_path, release):
    tree = TREES["casme3c"](tmp_path, **SMALL, faults=())
    records = part_c(tmp_path, release=release)
    check_sound(records, tree.samples, KEYS)
    check_consistent(records)
    cells = next(openpyxl.load_workbook(tree.sheets[SHEET_C])["mockCrimeME"].iter_rows(min_row=2, values_only=True))
    assert [type(cell) for cell in cells[:2]] == [int, int]
    assert (records[0].subject, records[0].clip) == ("01", "1")
    assert {(one.apex_no, one.apex_source, one.objective_class) for one in records} == {(None, "missing", None)}


EXPECTED_C = {
    "01/91/21": ((21, None, 28), (0, None, 7), "missing", ()),
    "01/92/31": ((31, None, 38), (0, None, 7), "missing", ()),
    "02/93/31": ((31, None, 38), (0, None, 7), "missing", ()),
    "02/94/21": ((21, None, 29), (0, None, 7), "missing", ("frame_gap",)),
    "02/95/21": ((21, None, 28), (0, None, 7), "missing", ("frame_missing:offset", "frame_gap")),
    "02/96/21": ((21, None, 29), (-1, None, -1), "missing", ("folder_missing",)),
}


def test_every_fault_of_part_c_gives_its_record_and_codes(mock_crime):
    records = part_c(mock_crime.root)
    check_consistent(records)
    faulty = {f"{sample.subject}/{sample.clip}/{sample.onset}" for sample in mock_crime.samples if sample.fault}
    assert faulty == set(EXPECTED_C)
    assert set(mock_crime.faults) == set(RECIPES["casme3c"].faults)
    found = {name: facts(one) for name, one in by_id(records).items()}
    assert {name: fact for name, fact in found.items() if name in faulty} == EXPECTED_C
    assert all(fact[3] == () for name, fact in found.items() if name not in faulty)


def test_action_units_may_be_parted_by_commas_of_two_kinds(mock_crime):
    records = by_id(part_c(mock_crime.root))
    units = {name: [(unit.side, unit.number) for unit in records[name].au] for name in EXPECTED_C}
    assert units["01/91/21"] == [("R", 4), ("", 5)]
    assert units["01/92/31"] == [("", 4), ("", 11)]
    assert units["02/93/31"] == [("", 12)]
    assert records["01/92/31"].au_raw == "4，11"


def test_the_later_sheet_of_part_c_has_a_column_more(tmp_path, mock_crime):
    header = [cell.value for cell in openpyxl.load_workbook(mock_crime.sheets[SHEET_C])["mockCrimeME"][1]]
    assert header[-1] == "PHY"
    book = openpyxl.load_workbook(mock_crime.sheets[SHEET_C])
    book["mockCrimeME"].delete_cols(len(header))
    book.create_sheet("first", 0)
    book.save(tmp_path / "early.xlsx")
    assert part_c(mock_crime.root, sheet=str(tmp_path / "early.xlsx")) == part_c(mock_crime.root)


def test_a_complete_part_c_comes_to_the_published_totals(tmp_path):
    label_table(tmp_path, "casme3c")
    kept = schemes.apply(part_c(tmp_path), schemes.SCHEMES["casme3c_4"])
    assert (len(kept.records), len({one.subject for one in kept.records})) == (165, 30)
    assert Counter(kept.labels.tolist()) == {0: 99, 1: 16, 2: 30, 3: 20}


def test_nothing_of_part_c_is_disturbed(mock_crime, monkeypatch):
    check_undisturbed(part_c, mock_crime.root, monkeypatch)


def test_both_parts_may_lie_side_by_side(tmp_path, sound, mock_crime):
    for name in ("part_A", "Part_A_ME_clip"):
        (tmp_path / name).symlink_to(sound.root / name)
    (tmp_path / "part_C").symlink_to(mock_crime.root / "part_C")
    for records, alone in (
        (casme3.records(tmp_path), casme3.records(sound.root)),
        (part_c(tmp_path), part_c(mock_crime.root)),
    ):
        assert [(one.sample_id, *facts(one)) for one in records] == [(one.sample_id, *facts(one)) for one in alone]


def test_wrong_arguments_and_a_wrong_root_say_what_would_be_right(tmp_path):
    (tmp_path / "holiday").mkdir()
    with pytest.raises(InputError, match=r"expected .* in Part_A_ME_clip, frame, part_A, .*; found holiday\."):
        casme3.records(tmp_path)
    with pytest.raises(InputError, match=r"expected .* in part_C, .*the folder itself; found holiday\."):
        part_c(tmp_path)
    with pytest.raises(InputError, match=r"part is 'b'; it can be a, c"):
        casme3.records(tmp_path, part="b")
    with pytest.raises(InputError, match=r"data\.release is 'cooked'; it can be raw, raw_full"):
        casme3.records(tmp_path, release="cooked")
