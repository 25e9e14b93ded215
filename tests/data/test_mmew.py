import csv
import os
import shutil
from collections import Counter
from pathlib import Path

import openpyxl
import pytest

from merjax.data import frames, mmew, repair, schemes
from merjax.data.trees import TREES
from merjax.data.trees.labels import TABLES, label_table
from merjax.types import InputError

SHEET = "MMEW_Micro_Exp.xlsx"
LAYOUTS = {"final": "mmew", "official": "mmew_official"}


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """Both layouts, with every fault."""
    return {name: TREES[tree](tmp_path_factory.mktemp(name), size=16) for name, tree in LAYOUTS.items()}


@pytest.fixture(scope="module")
def tree(trees):
    return trees["final"]


@pytest.fixture
def small(tmp_path):
    return TREES["mmew"](tmp_path / "small", subjects=2, clips=4, size=16, faults=())


def planted(tree):
    return [s for s in tree.samples if s.kind == "micro"]


def fault(tree, name, **arguments):
    """The record of the only sample with this fault."""
    (clip,) = [s.clip for s in tree.samples if s.fault == name]
    return next(one for one in mmew.records(tree.root, **arguments) if one.clip == clip)


def edited(tree, path, change):
    """The tree's workbook with every row changed."""
    book = openpyxl.load_workbook(tree.sheets[SHEET])
    for row in book.active.iter_rows(min_row=2):
        change(row)
    book.save(path)
    return str(path)


BEYOND = ("frame_missing:offset", "frame_gap")
ISSUES = {
    "offset_beyond_folder": BEYOND,
    "apex_beyond_folder": (*BEYOND, "apex_outside"),
    "folder_missing": ("folder_missing",),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_clip_is_what_its_row_says(trees, layout):
    tree = trees[layout]
    records = mmew.records(tree.root)
    assert {one.clip for one in records} == {s.clip for s in planted(tree)}
    for one in records:
        (s,) = [s for s in planted(tree) if s.clip == one.clip]
        assert (one.dataset, one.release, one.subject) == ("mmew", layout, s.subject)
        assert one.sample_id == f"mmew/{s.subject}/{s.clip}"
        assert (one.emotion_raw, one.emotion) == (s.emotion, s.emotion)
        assert (one.fps, one.objective_class) == (mmew.FPS, None)
        assert one.issues == ISSUES.get(s.fault, ())
        assert one.frame_numbers == s.numbers
        assert one.frames == tuple(str(tree.root / s.folders[layout] / f"{n}.jpg") for n in s.numbers)
        if not one.issues:
            # the sheet counts from 1 within the folder
            assert (one.onset_no, one.apex_no, one.offset_no) == (1, s.peak, len(one.frames))
            assert (one.onset_idx, one.apex_idx, one.offset_idx) == (0, s.peak - 1, len(one.frames) - 1)
            assert one.apex_source == "annotated"


def test_records_are_sorted_by_subject_and_clip(tree):
    ids = [one.sample_id for one in mmew.records(tree.root)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_frames_are_in_the_order_of_their_numbers(tree):
    one = mmew.records(tree.root)[0]
    assert [Path(path).name for path in one.frames] == [f"{n}.jpg" for n in range(1, 13)]  # 10.jpg is not the second
    assert list(one.frames) != sorted(one.frames)


def test_an_offset_beyond_the_folder_becomes_its_last_frame(tree):
    one = fault(tree, "offset_beyond_folder")
    assert (one.onset_no, one.apex_no, one.offset_no) == (1, 5, 12)  # the sheet has 20
    assert (one.onset_idx, one.apex_idx, one.offset_idx) == (0, 4, 11)
    assert (one.apex_source, one.issues) == ("annotated", ("frame_missing:offset", "frame_gap"))


def test_an_apex_beyond_the_folder_is_dropped_and_flagged(tree):
    one = fault(tree, "apex_beyond_folder")
    assert (one.onset_no, one.apex_no, one.offset_no) == (1, None, 12)  # the sheet has 15 and 24
    assert (one.onset_idx, one.apex_idx, one.offset_idx) == (0, None, 11)
    assert (one.apex_source, one.issues) == ("missing", ("frame_missing:offset", "frame_gap", "apex_outside"))


def test_none_hands_over_the_sheet(tree):
    one = fault(tree, "apex_beyond_folder", repair="none")
    assert (one.onset_no, one.apex_no, one.offset_no) == (1, 15, 24)
    # the apex lies in the sheet's range, so that only its frame is missing
    assert (one.onset_idx, one.apex_idx, one.offset_idx) == (0, 11, 11)
    assert one.issues == ("frame_missing:offset", "frame_gap", "frame_missing:apex")


def test_a_row_without_folder_has_no_frames(tree):
    one = fault(tree, "folder_missing")
    assert (one.frames, one.frame_numbers, one.issues) == ((), (), ("folder_missing",))
    assert (one.onset_no, one.apex_no, one.offset_no) == (1, 6, 12)
    assert (one.onset_idx, one.apex_idx, one.offset_idx) == (-1, None, -1)


def test_strict_keeps_only_what_has_no_issue(tree):
    flagged = mmew.records(tree.root)
    assert mmew.records(tree.root, repair="strict") == tuple(one for one in flagged if not one.issues)
    assert len(flagged) - len(mmew.records(tree.root, repair="strict")) == len(ISSUES)


def test_a_side_after_the_number_is_a_side(tree):
    one = fault(tree, "action_units")
    assert one.au_raw == "12L"
    assert [(unit.number, unit.side, unit.intensity) for unit in one.au] == [(12, "L", "")]
    assert fault(tree, "others").au_raw == "4+7"
    assert "12" in {one.au_raw for one in mmew.records(tree.root)}  # a cell with a number


def test_others_keeps_its_name_and_repression_gets_it(tree, tmp_path):
    one = fault(tree, "others")
    assert (one.emotion_raw, one.emotion) == ("others", "others")

    def rename(row):
        row[6].value = "Repression" if row[6].value == "others" else row[6].value

    renamed = mmew.records(tree.root, sheet=edited(tree, tmp_path / "renamed.xlsx", rename))
    assert [one.emotion for one in renamed] == [one.emotion for one in mmew.records(tree.root)]
    assert {one.emotion_raw for one in renamed if one.emotion == "others"} == {"Repression"}


def test_strangers_among_the_frames_are_passed_over(tree):
    one = fault(tree, "stray_files")
    assert (Path(one.frames[0]).parent / "Thumbs.db").is_file()
    assert (len(one.frames), one.issues) == (12, ())


def test_a_truncated_frame_is_left_to_the_loader(tree):
    one = fault(tree, "truncated_jpeg")
    assert (len(one.frames), one.issues) == (12, ())
    with pytest.raises(InputError, match=r"2\.jpg can't be read"):
        frames.image(one.frames[1])
    rest = repair.without(one, {one.frames[1]})
    assert rest.frame_numbers == (1, *range(3, 13))
    assert (rest.onset_idx, rest.apex_idx, rest.offset_idx) == (0, 4, 10)
    assert "unreadable" in rest.issues


def test_macro_expressions_are_left_out(tree):
    macro = {s.clip for s in tree.samples if s.kind == "macro"}
    assert macro
    assert list((tree.root / "MMEW_Final").rglob("Macro_Expression/S01/*/*.jpg"))
    assert not {one.clip for one in mmew.records(tree.root)} & macro
    assert not [path for one in mmew.records(tree.root) for path in one.frames if "Macro" in path]


def test_the_subject_comes_from_the_clip_and_the_remarks_are_not_read(small, tmp_path):
    expected = mmew.records(small.root)

    def change(row):
        row[0].value, row[7].value = 30, "a remark"

    assert mmew.records(small.root, sheet=edited(small, tmp_path / "edited.xlsx", change)) == expected
    assert {one.subject for one in expected} == {"S01", "S02"}


@pytest.mark.parametrize("name", ["MMEW_Micro_Exp.xlsx", "MMEW_Micro_Exp (20).xlsx", "MMEW_Micro_Exp.csv"])
@pytest.mark.parametrize("place", [".", "MMEW_Final"])
def test_names_and_places_of_the_sheet(small, name, place):
    expected = mmew.records(small.root)
    path = small.root / place / name
    if path.suffix == ".csv":
        rows = list(openpyxl.load_workbook(small.sheets[SHEET]).active.iter_rows(values_only=True))
        small.sheets[SHEET].unlink()
        with path.open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    else:
        small.sheets[SHEET].rename(path)
    assert mmew.records(small.root) == expected


def test_the_plain_name_is_preferred(small):
    path = edited(small, small.root / "MMEW_Micro_Exp (20).xlsx", lambda row: setattr(row[6], "value", "fear"))
    assert {one.emotion for one in mmew.records(small.root)} != {"fear"}
    assert {one.emotion for one in mmew.records(small.root, sheet=Path(path).name)} == {"fear"}


@pytest.mark.parametrize(
    ("place", "release"),
    [
        ("MMEW_Final/Micro_Expression", ""),
        ("MMEW_Final/MMEW_Final/Micro-Expression", ""),
        ("Micro-Expression", ""),
        ("MMEW/micro expression", ""),
        ("MMEW", ""),
        (".", ""),
        (".", "final"),
    ],
)
def test_unzipped_folders_may_be_doubled_or_spelt_otherwise(small, tmp_path, place, release):
    target = tmp_path / "moved" / place
    for folder in (small.root / "MMEW_Final" / "Micro_Expression").iterdir():
        shutil.copytree(folder, target / folder.name)
    found = mmew.records(tmp_path / "moved", sheet=str(small.sheets[SHEET]), release=release)
    assert [one._replace(frames=()) for one in found] == [one._replace(frames=()) for one in mmew.records(small.root)]
    assert all(one.frames and one.release == "final" for one in found)


def test_with_and_without_the_subjects_level_a_clip_is_the_same(trees):
    one, other = (mmew.records(trees[layout].root, release=layout) for layout in LAYOUTS)
    assert [each._replace(frames=(), release="") for each in one] == [
        each._replace(frames=(), release="") for each in other
    ]


def test_the_class_in_a_clips_name_is_its_emotion(tree):
    names = ("happiness", "surprise", "disgust", "others", "fear", "sadness", "anger")
    assert all(one.emotion == names[int(one.clip.split("-")[1]) - 1] for one in mmew.records(tree.root))


def test_a_whole_data_set_comes_to_its_totals(tmp_path):
    tree = label_table(tmp_path, "mmew")
    (tmp_path / "MMEW_Final" / "Micro_Expression" / "anger").mkdir(parents=True)
    records = mmew.records(tree.root)
    counts = TABLES["mmew"].emotions
    assert len(records) == 300
    assert Counter(one.emotion for one in records) == counts
    for name, out in (("mmew_7", ()), ("mmew_6", ("others",)), ("mmew_4", ("fear", "sadness", "anger"))):
        kept = schemes.apply(records, schemes.SCHEMES[name])
        expected = {emotion: count for emotion, count in counts.items() if emotion not in out}
        classes = schemes.SCHEMES[name].classes
        assert Counter(classes[label] for label in kept.labels) == expected


class Backwards:
    """A folder's entries, the last first."""

    def __init__(self, path, scan=os.scandir):
        self.entries = sorted(scan(path), key=lambda entry: entry.name, reverse=True)

    def __enter__(self):
        return iter(self.entries)

    def __exit__(self, *error):
        pass

    def close(self):
        pass


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_order_of_folders_changes_nothing(trees, layout, monkeypatch):
    expected = mmew.records(trees[layout].root)
    monkeypatch.setattr(os, "scandir", Backwards)
    assert mmew.records(trees[layout].root) == expected


def test_nothing_but_the_sheet_is_opened_and_nothing_is_written(tree, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in tree.root.rglob("*")}
    opened, read = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: opened.append(path.name) or read(path))
    mmew.records(tree.root)
    assert opened == [SHEET]
    assert {path: path.stat().st_mtime_ns for path in tree.root.rglob("*")} == before


def test_wrong_arguments_are_refused_with_what_would_be_right(small, tmp_path):
    with pytest.raises(InputError, match=r"data\.release is 'cropped'; it can be final, official"):
        mmew.records(small.root, release="cropped")
    with pytest.raises(
        InputError, match=r"expected folders like s\\d\+ in Micro_Expression, MMEW_Final, .*; found MMEW_"
    ):
        mmew.records(small.root, release="official")
    with pytest.raises(InputError, match=r"expected folders like happiness\|.* in Micro_Expression, .*; found small\."):
        mmew.records(tmp_path)
    small.sheets[SHEET].rename(small.root / "labels.xlsx")
    with pytest.raises(InputError, match=r"hold no sheet mmew_micro_exp.*: found labels\.xlsx"):
        mmew.records(small.root)


def test_a_row_with_another_name_is_refused(small, tmp_path):
    path = edited(small, tmp_path / "edited.xlsx", lambda row: setattr(row[1], "value", "EP01"))
    with pytest.raises(InputError, match=r"edited\.xlsx row 2: clip 'EP01' should be named like S03-01-002"):
        mmew.records(small.root, sheet=path)
