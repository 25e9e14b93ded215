import os
import shutil

import openpyxl
import pytest
from test_casme import SMALL, check_consistent, check_sound, check_undisturbed, check_unreadable, facts, rewritten

from merjax.data import casme_squared
from merjax.data.trees import RECIPES, TREES
from merjax.data.trees.labels import label_table
from merjax.types import InputError

BOOK = "CAS(ME)^2code_final.xlsx"
KEYS = ("subject", "clip", "onset")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return TREES["casme_sq"](tmp_path_factory.mktemp("casme_sq"), **SMALL)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return TREES["casme_sq"](tmp_path_factory.mktemp("casme_sq"), **SMALL, faults=())


def by_clip(records):
    return {f"{one.subject} {one.clip}": one for one in records}


@pytest.mark.parametrize("release", casme_squared.RELEASES)
def test_a_sound_tree_is_read_as_it_is(sound, release):
    records = casme_squared.records(sound.root, release=release)
    check_sound(records, sound.samples, KEYS)
    check_consistent(records)
    assert ({one.release for one in records}, {one.fps for one in records}) == ({release}, {30.0})
    assert any(sample.kind == "macro" for sample in sound.samples)  # left out


def test_long_videos_are_kept_whole_and_found_by_their_code(sound):
    one = by_clip(casme_squared.records(sound.root, release="raw_full"))["s16 disgust1_1"]
    assert {os.path.dirname(path) for path in one.frames} == {str(sound.root / "rawpic/s16/16_0101disgustingteeth")}
    assert one.frame_numbers[0] < one.onset_no == 104
    assert one.frame_numbers[-1] > one.offset_no
    names = [os.path.basename(path) for path in one.frames]
    assert {"img099.jpg", "img100.jpg"} <= set(names)


def test_a_video_holds_several_samples(sound):
    macro = {(sample.subject, sample.clip.split("_")[0]) for sample in sound.samples if sample.kind == "macro"}
    for one in casme_squared.records(sound.root, release="raw_full"):
        if (one.subject, one.clip.split("_")[0]) in macro:
            assert len(one.frames) > 2 * (one.offset_no - one.onset_no + 1)
    one = casme_squared.records(sound.root)[0]
    assert one.sample_id == f"casme_sq/{one.subject}/{one.clip}/{one.onset_no}"


EXPECTED = {
    "s15 anger1_91": ((201, 205, 209), (0, 4, 8), "annotated", ("offset_zero",)),  # 205 + (205 - 201)
    "s16 anger1_92": ((201, None, 209), (0, None, 8), "missing", ("apex_unknown",)),
    "s23 happy2_93": ((11, 15, 19), (0, 4, 8), "annotated", ()),
    "s40 anger1_94": ((11, 15, 19), (-1, None, -1), "annotated", ("folder_missing",)),
    "s19 anger1_95": ((201, 205, 209), (0, 4, 8), "annotated", ()),
    "s20 anger1_96": ((201, 205, 209), (0, 4, 8), "annotated", ()),
}


@pytest.mark.parametrize("release", casme_squared.RELEASES)
def test_every_fault_gives_its_record_and_codes(tree, release):
    records = casme_squared.records(tree.root, release=release)
    check_consistent(records)
    faulty = {f"{sample.subject} {sample.clip}" for sample in tree.samples if sample.fault}
    assert faulty == set(EXPECTED)
    assert set(tree.faults) == set(RECIPES["casme_sq"].faults)
    expected = EXPECTED
    if release == "raw_full":
        first = {name: one.frame_numbers[:1] for name, one in by_clip(records).items()}
        expected = {name: _moved(fact, *first[name]) for name, fact in EXPECTED.items()}
        expected["s23 happy2_93"] = (*expected["s23 happy2_93"][:3], ("folder_misplaced",))
    found = {name: facts(one) for name, one in by_clip(records).items()}
    assert {name: fact for name, fact in found.items() if name in faulty} == expected
    assert all(fact[3] == () for name, fact in found.items() if name not in faulty)


def _moved(fact, *first):
    """The same with positions in a video that starts earlier."""
    numbers, _, source, codes = fact
    places = tuple(number - first[0] if number else None for number in numbers) if first else fact[1]
    return numbers, places, source, codes


def test_the_misplaced_folder_is_its_subjects(tree):
    one = by_clip(casme_squared.records(tree.root, release="raw_full"))["s23 happy2_93"]
    folder = os.path.dirname(one.frames[0])
    assert (os.path.basename(folder), os.path.basename(os.path.dirname(folder))) == ("23_0502funnyerrors", "s19")
    own = by_clip(casme_squared.records(tree.root, release="raw_full"))["s19 happy2_1"]
    assert os.path.basename(os.path.dirname(own.frames[0])) == "19_0502funnyerrors"


def test_a_folder_in_its_place_comes_before_a_misplaced_one(tmp_path):
    TREES["casme_sq"](tmp_path, **SMALL, faults=("misplaced_folder",))
    shutil.copytree(tmp_path / "rawpic/s19/23_0502funnyerrors", tmp_path / "rawpic/s23/23_0502funnyerrors")
    one = by_clip(casme_squared.records(tmp_path, release="raw_full"))["s23 happy2_93"]
    assert os.path.dirname(one.frames[0]) == str(tmp_path / "rawpic/s23/23_0502funnyerrors")
    assert one.issues == ()


def test_a_video_without_a_code_has_no_folder(tmp_path, sound):
    book = openpyxl.load_workbook(sound.sheets[BOOK])
    book["naming rule2"]["B1"].value = "other1"
    book.save(tmp_path / "a.xlsx")
    records = casme_squared.records(sound.root, release="raw_full", sheet=str(tmp_path / "a.xlsx"))
    assert {one.clip.split("_")[0] for one in records if one.issues == ("folder_missing",)} == {"disgust1"}


def test_only_the_place_of_the_first_sheet_counts_and_codes_may_be_text(tmp_path, sound):
    book = openpyxl.load_workbook(sound.sheets[BOOK])
    book.worksheets[0].title = "CASMEcode_final"
    for cell in book["naming rule2"]["A"]:
        cell.value = f"{cell.value:04}"
    book.save(tmp_path / "code_final.xlsx")
    for release in casme_squared.RELEASES:
        records = casme_squared.records(sound.root, release=release, sheet=str(tmp_path / "code_final.xlsx"))
        assert records == casme_squared.records(sound.root, release=release)


def test_of_two_workbooks_the_updated_is_read(tmp_path):
    tree = TREES["casme_sq"](tmp_path, **SMALL, faults=())

    def label(row):
        row[6].value = "others"

    rewritten(tree.sheets[BOOK], tmp_path / "code_final(Updated).xlsx", label)
    assert {one.emotion for one in casme_squared.records(tmp_path)} == {"others"}
    assert len({one.emotion for one in casme_squared.records(tmp_path, sheet=BOOK)}) > 1


def test_faults_of_the_workbook_are_named(tmp_path, sound):
    book = openpyxl.load_workbook(sound.sheets[BOOK])
    book.worksheets[0]["A1"].value = 99
    book.save(tmp_path / "a.xlsx")
    message = r"a\.xlsx row 1: participant 99 should be listed in the sheet 'naming rule1'"
    with pytest.raises(InputError, match=message):
        casme_squared.records(sound.root, sheet=str(tmp_path / "a.xlsx"))
    for row in book.worksheets[0].iter_rows():
        row[7].value = "macro-expression"
    book.save(tmp_path / "b.xlsx")
    with pytest.raises(InputError, match=r"b\.xlsx has no rows: the eighth column .* micro-expression"):
        casme_squared.records(sound.root, sheet=str(tmp_path / "b.xlsx"))
    del book["naming rule1"]
    book.save(tmp_path / "c.xlsx")
    with pytest.raises(InputError, match=r"c\.xlsx has no sheet naming rule1"):
        casme_squared.records(sound.root, sheet=str(tmp_path / "c.xlsx"))


def test_a_complete_workbook_has_57_micro_expressions(tmp_path):
    tree = label_table(tmp_path, "casme_sq")
    records = casme_squared.records(tmp_path)
    assert len(tree.samples) == 357
    assert len(records) == 57
    assert {one.subject for one in records} == {sample.subject for sample in tree.samples if sample.kind == "micro"}


def test_a_frame_cut_short_is_taken_out_when_it_is_decoded(tree):
    check_unreadable(by_clip(casme_squared.records(tree.root))["s20 anger1_96"])


def test_strict_and_none(tree):
    everything = casme_squared.records(tree.root)
    assert casme_squared.records(tree.root, repair="strict") == tuple(one for one in everything if not one.issues)
    sheet = {f"{s.subject} {s.clip}": (s.onset, s.apex, s.offset) for s in tree.samples if s.kind == "micro"}
    none = by_clip(casme_squared.records(tree.root, repair="none"))
    assert {name: facts(one)[0] for name, one in none.items()} == sheet


@pytest.mark.parametrize("release", casme_squared.RELEASES)
def test_nothing_is_disturbed(tree, release, monkeypatch):
    check_undisturbed(lambda root: casme_squared.records(root, release=release), tree.root, monkeypatch)


def test_a_wrong_root_says_what_was_expected_and_found(tmp_path):
    (tmp_path / "holiday").mkdir()
    with pytest.raises(InputError, match=r"expected .* in cropped, selectedpic, rawpic; found holiday\."):
        casme_squared.records(tmp_path)
