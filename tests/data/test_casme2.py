import os
from pathlib import Path

import cv2
import numpy as np
import openpyxl
import pytest

from merjax.data import casme2
from merjax.types import InputError

SPACED = (
    "Subject",
    "Filename",
    None,
    "OnsetFrame",
    "ApexFrame",
    "OffsetFrame",
    None,
    "Action Units",
    "Estimated Emotion",
)
PLAIN = tuple(name for name in SPACED if name)

# subject, clip, onset, apex, offset, action units, emotion; the numbers of the files, of which `raw` has no others
CLIPS = {
    ("01", "EP02_01f", 8, 10, 12, 12, "happiness"): range(8, 13),
    ("01", "EP09f", 98, 100, 102, "4+7+L10", "disgust"): range(98, 103),
    ("02", "EP02_01f", 1, "/", 6, "R1+R2", "others"): range(1, 7),
    ("02", "EP06_02_01", 5, 5, 9, "1+2", "surprise"): range(5, 10),
    ("02", "EP10_3", 5, 9, 9, "14", "repression"): range(5, 10),
    ("02", "EP9_3", 40, 44, 50, "14", "fear"): range(40, 48),  # the sheet's offset is beyond the folder
    ("03", "EP06_01", 15, 18, 30, "4", "sadness"): range(25, 32),  # the apex is before the folder
    ("03", "EP11_01", 1, 3, 5, "4", "disgust"): (1, 2, 4, 5),
    ("03", "EP12_01", 1, 3, 5, "4", "disgust"): (),
}


def sheet(path, rows=CLIPS, header=SPACED, subject=str, **more):
    """Writes rows below a header; `more` adds a column by header, with one value for all rows or a function of them."""
    book = openpyxl.Workbook()
    page = book.active
    page.append((*header, *more))
    for row in rows:
        cells = iter((subject(row[0]), *row[1:]))
        line = [next(cells) if name else None for name in header]
        page.append((*line, *(value(row) if callable(value) else value for value in more.values())))
    book.create_sheet("Sheet2")
    book.save(path)


def tree(root, release="CASME2_RAW_selected", prefix="img", clips=CLIPS):
    for at, (row, numbers) in enumerate(clips.items()):
        content = cv2.imencode(".jpg", np.zeros((20 + at, 16, 3), np.uint8))[1].tobytes()
        for number in reversed(numbers):
            path = root / release / f"sub{row[0]}" / row[1] / f"{prefix}{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tree(tmp_path_factory.mktemp("casme2"))
    sheet(root / "CASME2-coding-20140508.xlsx")
    return root


def by_clip(records):
    return {f"{each.subject} {each.clip}": each for each in records}


# onset, apex, offset; positions; source; codes
EXPECTED = {
    "sub01 EP02_01f": ((8, 10, 12), (0, 2, 4), "annotated", ()),
    "sub01 EP09f": ((98, 100, 102), (0, 2, 4), "annotated", ()),
    "sub02 EP02_01f": ((1, None, 6), (0, None, 5), "missing", ("apex_unknown",)),
    "sub02 EP06_02_01": ((5, 5, 9), (0, 0, 4), "placeholder", ("apex_placeholder",)),
    "sub02 EP9_3": ((40, 44, 47), (0, 4, 7), "annotated", ("range_from_folder", "frame_gap")),
    "sub02 EP10_3": ((5, 9, 9), (0, 4, 4), "placeholder", ("apex_placeholder",)),
    "sub03 EP06_01": ((25, None, 31), (0, None, 6), "missing", ("range_from_folder", "frame_gap", "apex_outside")),
    "sub03 EP11_01": ((1, 2, 5), (0, 1, 3), "repaired", ("frame_gap", "frame_missing:apex")),
    "sub03 EP12_01": ((1, 3, 5), (-1, None, -1), "annotated", ("folder_missing",)),
}


def test_every_clip_has_its_numbers_positions_and_codes(root):
    records = casme2.records(root)
    assert [f"{each.subject} {each.clip}" for each in records] == list(EXPECTED)
    for name, each in by_clip(records).items():
        numbers, positions, source, issues = EXPECTED[name]
        assert (each.onset_no, each.apex_no, each.offset_no) == numbers, name
        assert (each.onset_idx, each.apex_idx, each.offset_idx) == positions, name
        assert (each.apex_source, each.issues) == (source, issues), name


def test_a_record_says_what_sheet_and_folder_say(root):
    one = by_clip(casme2.records(root))["sub01 EP09f"]
    assert (one.dataset, one.release, one.subject, one.clip) == ("casme2", "raw", "sub01", "EP09f")
    assert (one.sample_id, one.fps) == ("casme2/sub01/EP09f", 200.0)
    assert (one.emotion_raw, one.emotion, one.au_raw, one.objective_class) == ("disgust", "disgust", "4+7+L10", None)
    assert [(unit.side, unit.number) for unit in one.au] == [("", 4), ("", 7), ("L", 10)]
    folder = root / "CASME2_RAW_selected" / "sub01" / "EP09f"
    assert one.frame_numbers == (98, 99, 100, 101, 102)  # 99 before 100
    assert one.frames == tuple(str(folder / f"img{number}.jpg") for number in one.frame_numbers)
    assert by_clip(casme2.records(root))["sub01 EP02_01f"].frame_numbers == (8, 9, 10, 11, 12)
    assert by_clip(casme2.records(root))["sub01 EP02_01f"].au_raw == "12"


def test_one_name_under_two_subjects_is_two_clips(root):
    clips = by_clip(casme2.records(root))
    assert clips["sub01 EP02_01f"].emotion == "happiness"
    assert clips["sub02 EP02_01f"].emotion == "others"
    assert not set(clips["sub01 EP02_01f"].frames) & set(clips["sub02 EP02_01f"].frames)


def test_strict_keeps_only_what_has_no_issue(root):
    assert list(by_clip(casme2.records(root, repair="strict"))) == ["sub01 EP02_01f", "sub01 EP09f"]


def test_none_hands_over_the_sheet(root):
    for row in CLIPS:
        one = by_clip(casme2.records(root, repair="none"))[f"sub{row[0]} {row[1]}"]
        apex = None if row[3] == "/" else row[3]
        assert (one.onset_no, one.apex_no, one.offset_no) == (row[2], apex, row[4])


def test_cropped_faces_have_the_same_numbers(tmp_path, root):
    tree(tmp_path, "Cropped", "reg_img")
    cropped = casme2.records(tmp_path, sheet=str(root / "CASME2-coding-20140508.xlsx"))
    for one, other in zip(cropped, casme2.records(root), strict=True):
        assert one._replace(release="", frames=()) == other._replace(release="", frames=())
        assert one.release == "cropped"
        assert all(os.path.basename(path).startswith("reg_img") for path in one.frames)


def test_a_whole_recording_is_kept(tmp_path):
    clips = {("01", "EP1_1", 8, 10, 12, 12, "fear"): range(1, 30), ("01", "EP1_2", 8, 10, 33, 12, "fear"): range(1, 30)}
    sheet(tmp_path / "CASME2-coding-20140508.xlsx", clips)
    first, second = casme2.records(tree(tmp_path, "CASME2-RAW", clips=clips))
    assert (first.release, first.frame_numbers, first.issues) == ("raw_full", tuple(range(1, 30)), ())
    assert (first.onset_idx, first.apex_idx, first.offset_idx) == (7, 9, 11)
    assert (second.offset_no, second.offset_idx, second.issues) == (29, 28, ("frame_missing:offset", "frame_gap"))


@pytest.mark.parametrize(
    "release",
    [
        "CASME2_RAW_selected/CASME2_RAW_selected",
        "CASME2-RAW-selected",
        "casme2_raw_selected",
        "CASME2/CASME2_RAW_selected",
    ],
)
def test_unzipped_folders_may_be_doubled_or_spelt_otherwise(tmp_path, root, release):
    place = tree(tmp_path / "CASME2", release)
    sheet(place / "CASME2-coding-20140508.xlsx")
    assert [one.frame_numbers for one in casme2.records(place)] == [one.frame_numbers for one in casme2.records(root)]


def test_cropped_updated_holds_cropped(tmp_path):
    sheet(tree(tmp_path, "Cropped-updated/Cropped", "reg_img") / "CASME2-coding-20140508.xlsx")
    assert casme2.records(tmp_path)[0].release == "cropped"


def test_several_releases_and_a_choice_of_them(tmp_path):
    for release in ("Cropped", "CASME2_RAW_selected", "CASME2-RAW"):
        tree(tmp_path, release)
    sheet(tmp_path / "CASME2-coding-20140508.xlsx")
    assert casme2.records(tmp_path)[0].release == "cropped"
    for release in casme2.RELEASES:
        first = casme2.records(tmp_path, release=release)[0]
        assert first.release == release
        assert Path(first.frames[0]).relative_to(tmp_path).parts[0] in casme2.RELEASES[release]


@pytest.mark.parametrize("subject", [str, int, float])
@pytest.mark.parametrize("header", [SPACED, PLAIN], ids=["spaced", "plain"])
def test_every_variant_of_the_sheet_says_the_same(tmp_path, root, header, subject):
    sheet(tmp_path / "coding.xlsx", header=header, subject=subject)
    assert casme2.records(root, sheet=str(tmp_path / "coding.xlsx")) == casme2.records(root)


def test_of_two_sheets_that_of_2014_is_read(tmp_path):
    tree(tmp_path)
    sheet(tmp_path / "CASME2-coding-20140508.xlsx")
    changed = [(*row[:6], "surprise") for row in CLIPS]
    sheet(tmp_path / "CASME2-coding-20190701.xlsx", changed, **{"Objective Classes": lambda row: int(row[0])})
    assert {each.objective_class for each in casme2.records(tmp_path)} == {None}
    newer = casme2.records(tmp_path, sheet="CASME2-coding-20190701.xlsx")
    assert {(each.subject, each.emotion, each.objective_class) for each in newer} == {
        (f"sub{number:02}", "surprise", number) for number in (1, 2, 3)
    }


def test_objective_classes_come_from_their_own_file_unless_a_sheet_is_asked_for_that_has_them(tmp_path):
    tree(tmp_path)
    sheet(tmp_path / "CASME2-coding-20140508.xlsx")
    sheet(tmp_path / "CASME2-coding-20190701.xlsx", **{"Objective Classes": 5})
    sheet(
        tmp_path / "CASME2-ObjectiveClasses.xlsx", header=PLAIN[:2], **{"Objective Class": lambda row: int(row[0]) + 1}
    )
    classes = {each.subject: each.objective_class for each in casme2.records(tmp_path)}
    assert classes == {"sub01": 2, "sub02": 3, "sub03": 4}
    assert {each.objective_class for each in casme2.records(tmp_path, sheet="CASME2-coding-20190701.xlsx")} == {5}
    (tmp_path / "CASME2-coding-20140508.xlsx").unlink()  # without it that of 2019 is read, but no sheet was asked for
    assert {each.subject: each.objective_class for each in casme2.records(tmp_path)} == classes


def test_the_longer_sheet_has_a_row_without_folder(tmp_path, root):
    rows = [*CLIPS, ("24", "EP02_07", 6, 9, 12, 4, "disgust")]
    sheet(tmp_path / "CASME2_label_Ver_2.xlsx", rows, PLAIN, int)
    records = casme2.records(root, sheet=str(tmp_path / "CASME2_label_Ver_2.xlsx"))
    assert len(records) == len(CLIPS) + 1
    assert (records[-1].sample_id, records[-1].issues) == ("casme2/sub24/EP02_07", ("folder_missing",))
    assert records[-1].frames == records[-1].frame_numbers == ()


def test_a_clip_folder_matches_in_any_letter_case_and_through_a_link(tmp_path, root):
    (tmp_path / "Cropped" / "SUB1").mkdir(parents=True)
    (tmp_path / "Cropped" / "SUB1" / "ep02_01F").symlink_to(root / "CASME2_RAW_selected" / "sub01" / "EP02_01f")
    sheet(tmp_path / "CASME2-coding-20140508.xlsx")
    assert casme2.records(tmp_path)[0].frame_numbers == (8, 9, 10, 11, 12)


def test_the_order_of_rows_and_folders_changes_nothing(tmp_path, root, monkeypatch):
    sheet(tmp_path / "coding.xlsx", list(reversed(CLIPS)))
    expected = casme2.records(root)
    scan = os.scandir

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

    monkeypatch.setattr(os, "scandir", Backwards)
    assert casme2.records(root, sheet=str(tmp_path / "coding.xlsx")) == expected


def test_every_folder_is_listed_once_and_no_frame_is_opened(root, monkeypatch):
    listed, opened = [], []
    scan, read = os.scandir, Path.read_bytes
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(str(path)) or scan(path))
    monkeypatch.setattr(Path, "read_bytes", lambda path: opened.append(path.name) or read(path))
    casme2.records(root)
    clips = [path for path in listed if os.path.basename(path).startswith("EP")]
    assert len(clips) == len(set(clips)) == len(CLIPS) - 1  # one row has no folder
    assert opened == ["CASME2-coding-20140508.xlsx"]


def test_nothing_is_written_below_the_root(root):
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    casme2.records(root)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_a_wrong_root_says_what_was_expected_and_found(tmp_path):
    (tmp_path / "holiday").mkdir()
    with pytest.raises(InputError, match=r"expected folders like .* in Cropped, .*CASME2-RAW, RAW; found holiday\."):
        casme2.records(tmp_path)
    tree(tmp_path)
    (tmp_path / "labels.csv").touch()
    with pytest.raises(InputError, match=r"hold no sheet casme2-coding-20140508\* or .*: found labels\.csv"):
        casme2.records(tmp_path)


def test_a_sheet_with_a_fault_is_refused_with_its_row(tmp_path):
    tree(tmp_path)
    rows = list(CLIPS)
    sheet(tmp_path / "CASME2-coding-20140508.xlsx", [*rows, rows[1]])
    with pytest.raises(InputError, match=r"casme2/sub01/EP09f twice"):
        casme2.records(tmp_path)
    sheet(tmp_path / "CASME2-coding-20140508.xlsx", [*rows, ("unknown", *rows[0][1:])])
    with pytest.raises(InputError, match=r"20140508\.xlsx row 11: subject 'unknown' should end in a number"):
        casme2.records(tmp_path)
