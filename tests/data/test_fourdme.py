import os

import numpy as np
import openpyxl
import pytest
from test_casme import SMALL, check_consistent, check_sound, check_undisturbed, check_unreadable, facts, rewritten

from merjax.data import fourdme, frames, schemes
from merjax.data.trees import RECIPES, TREES
from merjax.data.trees.labels import label_table
from merjax.types import InputError

SHEET = "4DME_Labelling_Micro_release v1.xlsx"


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return TREES["4dme"](tmp_path_factory.mktemp("4dme"), **SMALL)


def by_clip(records):
    return {one.clip: one for one in records}


@pytest.mark.parametrize("release", fourdme.RELEASES)
def test_a_sound_tree_is_read_as_it_is(tmp_path, release):
    tree = TREES["4dme"](tmp_path, **SMALL, faults=())
    records = fourdme.records(tmp_path, release=release)
    check_sound(records, tree.samples)
    check_consistent(records)
    assert {one.release for one in records} == {release}
    for one in records:
        names = [f"Frame_{number:09}.jpg" for number in one.frame_numbers]
        assert [os.path.basename(path) for path in one.frames] == names
        assert os.path.dirname(one.frames[0]).startswith(str(tmp_path / fourdme.RELEASES[release][0]) + os.sep)


EXPECTED = {
    "S08_002_01_1": ((1831, 1835, 1839), (0, 4, 8), "annotated", ()),
    "S08_095_01_2": ((1861, 1865, 1869), (0, 4, 8), "annotated", ()),
    "S02_095_01_1": ((1831, 1835, 1839), (0, 4, 8), "annotated", ()),
    "S02_095_01_2": ((1861, 1865, 1869), (0, 4, 8), "annotated", ()),
    "S09_095_01_1": ((1831, 1835, 1839), (0, 4, 8), "annotated", ()),
    "S09_095_01_2": ((1861, 1865, 1869), (0, 4, 8), "annotated", ()),
    "S03_095_01_1": ((1831, 1835, 1839), (-1, None, -1), "annotated", ("folder_missing",)),
    "S03_095_01_2": ((1861, 1865, 1869), (0, 4, 8), "annotated", ()),
    "S03_095_01_3": ((1891, 1895, 1899), (0, 4, 8), "annotated", ()),
}


@pytest.mark.parametrize("release", fourdme.RELEASES)
def test_every_fault_gives_its_record_and_codes(tree, release):
    records = fourdme.records(tree.root, release=release)
    check_consistent(records)
    assert {sample.clip for sample in tree.samples if sample.fault} == set(EXPECTED)
    found = {clip: facts(one) for clip, one in by_clip(records).items()}
    assert {clip: fact for clip, fact in found.items() if clip in EXPECTED} == EXPECTED
    assert all(fact[3] == () for clip, fact in found.items() if clip not in EXPECTED)
    assert set(tree.faults) == set(RECIPES["4dme"].faults)
    assert len(records) == len(tree.samples)  # the row of totals is none


def test_numbers_with_a_decimal_point_are_whole(tree):
    onsets = [row[2].value for row in openpyxl.load_workbook(tree.sheets[SHEET]).active["A2:G4"]]
    assert all(text == int(text) for text in onsets)

    def as_text(row):
        for cell in row[2:5]:
            cell.value = f"{cell.value:.1f}" if isinstance(cell.value, float | int) else cell.value

    path = rewritten(tree.sheets[SHEET], tree.root.parent / "text.xlsx", as_text)
    assert openpyxl.load_workbook(path).active["C2"].value.endswith(".0")
    assert fourdme.records(tree.root, sheet=path) == fourdme.records(tree.root)


def test_joint_labels_keep_their_parts(tree):
    clips = by_clip(fourdme.records(tree.root))
    assert (clips["S08_002_01_1"].emotion_raw, clips["S08_002_01_1"].emotion) == (
        "Surprise+Positive",
        "surprise+positive",
    )
    scheme = schemes.SCHEMES["4dme_5"]
    names = [scheme.classes[k] for k in schemes.labels(clips["S08_095_01_2"], scheme)]
    assert names == ["negative", "repression"]


def test_action_units_may_be_held_or_sided_and_come_from_their_text(tree):
    clips = by_clip(fourdme.records(tree.root))
    held = [(unit.number, unit.static) for unit in clips["S02_095_01_1"].au]
    assert held == [(4, False), (6, True), (12, True)]
    sided = [(unit.side, unit.number) for unit in clips["S02_095_01_2"].au]
    assert sided == [("R", 1), ("", 2), ("L", 4), ("", 45)]
    # The columns of these two rows are swapped.
    assert [unit.number for unit in clips["S09_095_01_1"].au] == [6, 12]
    assert [unit.number for unit in clips["S09_095_01_2"].au] == [4, 7]


@pytest.mark.parametrize("faults", [("totals_row",), ("primed_header",), ("totals_row", "primed_header")])
def test_headers_with_an_apostrophe_and_a_row_of_totals_change_nothing(tmp_path, faults):
    sound = TREES["4dme"](tmp_path / "sound", **SMALL, faults=())
    other = TREES["4dme"](tmp_path / "other", **SMALL, faults=faults)
    primed = openpyxl.load_workbook(other.sheets[SHEET]).active["B1"].value == "fold_name'"
    assert primed == ("primed_header" in faults)
    expected = [one._replace(frames=()) for one in fourdme.records(sound.root)]
    assert [one._replace(frames=()) for one in fourdme.records(other.root)] == expected


def test_a_header_without_onset_is_refused(tmp_path, tree):
    def rename(row):
        row[2].value = "Begin'" if row[0].row == 1 else row[2].value

    path = rewritten(tree.sheets[SHEET], tmp_path / "a.xlsx", rename)
    with pytest.raises(InputError, match=r"should name the columns subject, clip, onset"):
        fourdme.records(tree.root, sheet=path)


def test_more_frames_than_onset_to_offset_are_left_out(tmp_path):
    tree = TREES["4dme"](tmp_path, **SMALL, faults=(), releases=("raw",))
    sample = tree.samples[0]
    last = tmp_path / sample.folders["raw"] / f"Frame_{sample.last:09}.jpg"
    last.with_name(f"Frame_{sample.last + 1:09}.jpg").write_bytes(last.read_bytes())
    check_sound(fourdme.records(tmp_path), tree.samples)


def test_the_frames_a_second_are_unknown(tree):
    assert {one.fps for one in fourdme.records(tree.root)} == {0.0}


def test_frames_are_grey(tree):
    image = frames.image(fourdme.records(tree.root, release="raw")[0].frames[0])
    assert (image == image[..., :1]).all()
    assert np.ptp(image) > 0


def test_a_frame_cut_short_is_taken_out_when_it_is_decoded(tree):
    check_unreadable(by_clip(fourdme.records(tree.root))["S03_095_01_3"])


def test_strict_and_none(tree):
    everything = fourdme.records(tree.root)
    assert fourdme.records(tree.root, repair="strict") == tuple(one for one in everything if not one.issues)
    sheet = {sample.clip: (sample.onset, sample.apex, sample.offset) for sample in tree.samples}
    assert {one.clip: facts(one)[0] for one in fourdme.records(tree.root, repair="none")} == sheet


def test_a_complete_sheet_has_its_267_rows(tmp_path):
    tree = label_table(tmp_path, "4dme")
    emotions = {one.clip: one.emotion for one in fourdme.records(tmp_path)}
    assert len(emotions) == 267
    assert emotions == {sample.clip: sample.emotion.lower() for sample in tree.samples}


def test_cropped_faces_come_first_and_nothing_is_disturbed(tree, monkeypatch):
    assert {one.release for one in fourdme.records(tree.root)} == {"cropped"}
    check_undisturbed(fourdme.records, tree.root, monkeypatch)


def test_a_wrong_root_says_what_was_expected_and_found(tmp_path):
    (tmp_path / "holiday").mkdir()
    with pytest.raises(InputError, match=r"expected folders like .* in gray_micro_crop, .*gray_micro; found holiday\."):
        fourdme.records(tmp_path)
