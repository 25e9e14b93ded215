import os

import openpyxl
import pytest

from merjax.data import casme, frames, repair
from merjax.data.trees import RECIPES, TREES
from merjax.types import InputError

SMALL = {"size": 16, "clips": 6, "length": 6}

# Checks that every reader has to pass; the tests of others import them.


def facts(one):
    """Numbers, positions, apex source and codes."""
    numbers = (one.onset_no, one.apex_no, one.offset_no)
    return numbers, (one.onset_idx, one.apex_idx, one.offset_idx), one.apex_source, one.issues


def check_sound(records, samples, keys=("subject", "clip")):
    """Every micro-expression of a tree without faults is there, and as the tree says."""
    truth = {tuple(str(getattr(sample, key)) for key in keys): sample for sample in samples if sample.kind == "micro"}
    assert {tuple(one.sample_id.split("/")[1:]) for one in records} == set(truth)
    for one in records:
        sample = truth[tuple(one.sample_id.split("/")[1:])]
        assert (one.dataset, one.subject, one.clip) == (sample.dataset, sample.subject, sample.clip)
        assert one.sample_id.split("/")[0] == one.dataset
        assert (one.onset_no, one.apex_no, one.offset_no) == (sample.first, sample.apex, sample.last)
        kept = one.frame_numbers[one.onset_idx : one.offset_idx + 1]
        assert kept == sample.numbers
        assert one.apex_source == ("missing" if sample.apex is None else "annotated")
        assert (one.emotion_raw, one.au_raw) == (sample.emotion, str(sample.au))
        assert one.au
        assert one.issues == ()


def check_consistent(records):
    """Numbers, positions and files belong together, and no two samples have one name."""
    assert len({one.sample_id for one in records}) == len(records)
    assert list(records) == sorted(records, key=lambda one: frames.natural(one.sample_id))
    for one in records:
        assert [frames.number(os.path.basename(path).rpartition(".")[0]) for path in one.frames] == [*one.frame_numbers]
        assert list(one.frame_numbers) == sorted(set(one.frame_numbers))
        if not one.frames:
            assert one.issues[0] == "folder_missing"
            continue
        assert all(os.path.isabs(path) and os.path.isfile(path) for path in one.frames)
        for number, place in (
            (one.onset_no, one.onset_idx),
            (one.apex_no, one.apex_idx),
            (one.offset_no, one.offset_idx),
        ):
            assert (number is None and place is None) or one.frame_numbers[place] == number


def check_undisturbed(read, root, monkeypatch):
    """The order of directories changes nothing, no frame is opened, and nothing is written."""
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    expected, scan = read(root), os.scandir

    class Backwards:
        def __init__(self, path):
            with scan(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *error):
            pass

        def close(self):
            pass

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", Backwards)
        patch.setattr(frames, "image", None)
        assert read(root) == expected
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def check_unreadable(one):
    """A frame that is cut short is found when it is decoded, and taken out then."""

    def damaged(path):
        try:
            frames.image(path)
        except InputError:
            return True
        return False

    bad = [path for path in one.frames if damaged(path)]
    assert len(bad) == 1
    left = repair.without(one, bad)
    assert left.issues == (*one.issues, "unreadable", "frame_gap")
    assert len(left.frames) == len(one.frames) - 1
    assert (left.onset_no, left.apex_no, left.offset_no) == (one.onset_no, one.apex_no, one.offset_no)


def rewritten(source, target, change):
    """Saves a workbook whose rows `change` has edited in place."""
    book = openpyxl.load_workbook(source)
    for row in book.worksheets[0].iter_rows():
        change(row)
    book.save(target)
    return str(target)


# CASME


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return TREES["casme"](tmp_path_factory.mktemp("casme"), **SMALL)


@pytest.mark.parametrize("release", casme.RELEASES)
def test_a_sound_tree_is_read_as_it_is(tmp_path, release):
    tree = TREES["casme"](tmp_path, **SMALL, faults=())
    records = casme.records(tmp_path, release=release)
    check_sound(records, tree.samples)
    check_consistent(records)
    assert {one.release for one in records} == {release}
    assert {one.fps for one in records} == {60.0}
    prefix = {"raw": "", "cropped": "reg_"}[release]
    for one in records:
        digits = 3 if one.subject >= "sub08" else 1  # so many at least
        names = [f"{prefix}{one.clip}-{number:0{digits}}.jpg" for number in one.frame_numbers]
        assert [os.path.basename(path) for path in one.frames] == names
    assert {len(str(number)) for one in records for number in one.frame_numbers} == {1, 2, 3}


GONE = ("range_from_folder", "frame_gap")
EXPECTED = {
    "sub05/EP91_1": ((11, 15, 19), (0, 4, 8), "annotated", ()),
    "sub12/EP11": ((91, 95, 103), (0, 4, 12), "annotated", ()),
    "sub12/EP12_2_10": ((31, 35, 39), (0, 4, 8), "annotated", ()),
    "sub08/EP92_1": ((11, 15, 22), (0, 4, 11), "annotated", ()),  # a second apex at 19
    "sub03/EP07_1": ((100, 104, 109), (0, 4, 9), "annotated", GONE),  # 61 to 150 in the sheet
    "sub03/EP09_3": ((101, 105, 110), (0, 4, 9), "annotated", GONE),
    "sub03/EP09_4": ((102, 106, 111), (0, 4, 9), "annotated", GONE),
    "sub09/EP93_1": ((11, 15, 19), (0, 4, 8), "annotated", GONE),  # 27 in the sheet
    "sub09/EP94_1": ((11, 15, 19), (-1, None, -1), "annotated", ("folder_missing",)),
    "sub01/EP95_1": ((11, 15, 19), (0, 4, 8), "annotated", ()),
    "sub01/EP96_1": ((11, 15, 19), (0, 4, 8), "annotated", ()),
}


def test_every_fault_gives_its_record_and_codes(tree):
    for release in casme.RELEASES:
        records = casme.records(tree.root, release=release)
        check_consistent(records)
        faulty = {f"{sample.subject}/{sample.clip}" for sample in tree.samples if sample.fault}
        assert faulty == set(EXPECTED)
        found = {one.sample_id.removeprefix("casme/"): facts(one) for one in records}
        assert {name: fact for name, fact in found.items() if name in faulty} == EXPECTED
        assert all(fact[3] == () for name, fact in found.items() if name not in faulty)
    assert set(tree.faults) == set(RECIPES["casme"].faults)


def test_the_misspelt_label_is_contempt(tree):
    (one,) = (one for one in casme.records(tree.root) if one.clip == "EP91_1")
    assert (one.emotion_raw, one.emotion) == ("comtempt", "contempt")


def test_a_frame_cut_short_is_taken_out_when_it_is_decoded(tree):
    (one,) = (one for one in casme.records(tree.root) if one.clip == "EP96_1")
    check_unreadable(one)


def test_strict_keeps_only_what_has_no_issue_and_none_hands_over_the_sheet(tree):
    everything, strict = casme.records(tree.root), casme.records(tree.root, repair="strict")
    assert strict == tuple(one for one in everything if not one.issues)
    assert 0 < len(strict) < len(everything)
    sheet = {(sample.subject, sample.clip): (sample.onset, sample.apex, sample.offset) for sample in tree.samples}
    for one in casme.records(tree.root, repair="none"):
        assert (one.onset_no, one.apex_no, one.offset_no) == sheet[one.subject, one.clip]


def test_subjects_may_be_text_and_spacers_may_be_gone(tmp_path, tree):
    def text(row):
        row[0].value = f"{row[0].value:02}" if isinstance(row[0].value, int) else row[0].value

    path = rewritten(tree.sheets["CASME-coding.xlsx"], tmp_path / "a.xlsx", text)
    assert casme.records(tree.root, sheet=path) == casme.records(tree.root)
    book = openpyxl.load_workbook(path)
    for column in (8, 3):
        book.worksheets[0].delete_cols(column)
    book.save(tmp_path / "b.xlsx")
    assert casme.records(tree.root, sheet=str(tmp_path / "b.xlsx")) == casme.records(tree.root)


def test_cropped_faces_come_first_and_nothing_is_disturbed(tree, monkeypatch):
    assert {one.release for one in casme.records(tree.root)} == {"cropped"}
    check_undisturbed(casme.records, tree.root, monkeypatch)


def test_a_wrong_root_says_what_was_expected_and_found(tmp_path):
    (tmp_path / "holiday").mkdir()
    with pytest.raises(
        InputError, match=r"expected folders like .* in Cropped, .*CASME_raw_selected.*; found holiday\."
    ):
        casme.records(tmp_path)
    (tmp_path / "Cropped" / "sub01").mkdir(parents=True)
    (tmp_path / "CASME2-coding-20140508.xlsx").touch()
    with pytest.raises(InputError, match=r"hold no sheet casme\[!2\]\*: found CASME2-coding-20140508\.xlsx"):
        casme.records(tmp_path)
