import shutil

import cv2
import numpy as np
import openpyxl
import pytest

from merjax.data import schemes, smic_e
from merjax.data.trees import TREES
from merjax.types import InputError

HEAD = 6  # neutral frames on either side of a movement of the tree
SHEET = "SMIC-HS-E_annotation.xlsx"
LONG = "SMIC-E_raw image/HS_long"


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return TREES["smic_e"](tmp_path_factory.mktemp("smic_e"), size=16)  # every fault


def edited(tree, path, change):
    """The tree's workbook after `change`, which gets a function from a row and a header to a cell."""
    book = openpyxl.load_workbook(tree.sheets[SHEET])
    page = book["HS"]
    columns = {cell.value: cell.column for cell in page[1]}
    rows = {cell.value: cell.row for cell in page["B"][1:]}
    change(lambda clip, header: page.cell(rows[clip], columns[header]))
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)
    return str(path)


def test_every_movement_has_its_recording_numbers_and_positions(tree):
    records = {one.sample_id: one for one in smic_e.records(tree.root)}
    # The sheet gives onset and length; the offset is a formula without a value.
    assert set(records) == {f"smic_hs_e/{s.subject}/{s.clip}/{s.first}" for s in tree.samples}
    for s in tree.samples:
        one = records[f"smic_hs_e/{s.subject}/{s.clip}/{s.first}"]
        assert (one.dataset, one.release, one.subject, one.clip) == ("smic_hs_e", "raw_full", s.subject, s.clip)
        assert (one.emotion, one.fps, one.onset_no, one.offset_no) == (s.emotion, 100.0, s.first, s.last)
        assert (one.apex_no, one.apex_idx, one.apex_source) == (None, None, "missing")
        if s.on_disk:
            assert one.issues == ()
            assert one.frame_numbers[one.onset_idx] == s.first
            assert one.frame_numbers[one.offset_idx] == s.last
            assert one.frames[0] == str(tree.root / s.folders["raw_full"] / f"image{one.frame_numbers[0]:06}.jpg")
            assert one.onset_idx >= HEAD
            assert len(one.frames) - one.offset_idx > HEAD  # the neutral frames are kept


def test_the_workbook_of_the_tree_has_formulas_without_values(tree):
    page = openpyxl.load_workbook(tree.sheets[SHEET], data_only=True)["HS"]
    header = [cell.value for cell in page[1]]
    for name in ("OffsetF", "FirstF", "LastF"):
        assert page.cell(2, header.index(name) + 1).value is None


def test_one_recording_with_two_movements_is_two_records(tree):
    first, second = (one for one in smic_e.records(tree.root) if one.clip == "s3_ne_91")
    assert first.frames == second.frames
    assert first.frame_numbers == tuple(range(303101 - HEAD, 303129 + HEAD + 1))
    assert (first.onset_no, first.offset_no, first.onset_idx, first.offset_idx) == (303101, 303108, 6, 13)
    assert (second.onset_no, second.offset_no, second.onset_idx, second.offset_idx) == (303121, 303129, 26, 34)
    assert (first.sample_id, second.sample_id) == ("smic_hs_e/s03/s3_ne_91/303101", "smic_hs_e/s03/s3_ne_91/303121")


def test_a_second_movement_in_a_row_of_its_own_has_no_folder(tree):
    (lost,) = (one for one in smic_e.records(tree.root) if not one.frames)
    assert (lost.clip, lost.issues) == ("s3_ne_03", ("folder_missing",))
    assert (lost.onset_idx, lost.apex_idx, lost.offset_idx) == (-1, None, -1)
    same = [
        one for one in smic_e.records(tree.root) if (one.onset_no, one.offset_no) == (lost.onset_no, lost.offset_no)
    ]
    assert [one.clip for one in same if one.frames] == ["s3_ne_91"]  # once among those with frames
    kept = smic_e.records(tree.root, repair="strict")
    assert kept == tuple(one for one in smic_e.records(tree.root) if one.frames)


def test_a_third_movement_is_read(tree, tmp_path):
    def change(cell):
        cell("s3_ne_91", "Onset3F").value = 303131
        cell("s3_ne_91", "TotalMF3").value = 4  # no Offset3F: it follows from the length

    records = smic_e.records(tree.root, sheet=edited(tree, tmp_path / "edited.xlsx", change))
    last = [one for one in records if one.clip == "s3_ne_91"][-1]
    assert (last.onset_no, last.offset_no, last.onset_idx, last.offset_idx) == (303131, 303134, 36, 39)


def test_a_stored_offset_is_taken_before_the_length(tree, tmp_path):
    def stored(value):
        def change(cell):
            cell("s3_ne_91", "OffsetF").value = value

        return smic_e.records(tree.root, sheet=edited(tree, tmp_path / f"{value}.xlsx", change))

    assert stored(303108) == smic_e.records(tree.root)
    (first, _) = (one for one in stored(303107) if one.clip == "s3_ne_91")
    assert (first.onset_no, first.offset_no, first.offset_idx) == (303101, 303107, 12)


def test_trailing_remarks_are_no_clips(tree, tmp_path):
    sound = TREES["smic_e"](tmp_path, size=16, faults=())
    assert len(smic_e.records(sound.root)) == len(sound.samples)
    page = openpyxl.load_workbook(tree.sheets[SHEET])["HS"]
    assert any("remark" in str(cell.value) for cell in page[page.max_row])
    assert not any("remark" in one.clip for one in smic_e.records(tree.root))


def test_the_three_classes_are_those_of_smic(tree):
    usable = [one for one in smic_e.records(tree.root) if one.frames]
    kept = schemes.apply(usable, schemes.SCHEMES["smic_3"])
    assert kept.left_out == ()
    assert {0, 1, 2} == set(kept.labels.tolist())


def test_the_other_camera_has_a_sheet_of_its_own(tree, tmp_path):
    grey = cv2.imencode(".jpg", np.zeros((4, 4), np.uint8))[1].tobytes()
    folder = tmp_path / "SMIC-E_raw image/VIS_long/SMIC-VIS-E/s11/s11_po_51"
    folder.mkdir(parents=True)
    for number in range(2099, 2111):
        (folder / f"image{number:06}.jpg").write_bytes(grey)
    shutil.copy(tree.sheets[SHEET], tmp_path / SHEET)
    (one,) = smic_e.records(tmp_path, dataset="smic_vis_e")
    assert (one.sample_id, one.fps, one.issues) == ("smic_vis_e/s11/s11_po_51/2101", 25.0, ())
    assert (one.onset_no, one.offset_no, one.onset_idx, one.offset_idx) == (2101, 2108, 2, 9)
    assert (one.emotion, one.frame_numbers) == ("positive", tuple(range(2099, 2111)))


@pytest.mark.parametrize(
    "place",
    [
        "SMIC-E_raw image/HS_long/SMIC-HS-E",
        "SMIC-E_raw image/SMIC-E_raw image/HS_long/SMIC-HS-E",
        "SMIC-E_raw image/HS_long/SMIC_HS_E",
        "SMIC-E_raw image/HS_long/SMIC-HS-E/HS",
        "SMIC-E_raw_image/SMIC-HS-E",
        "HS_long/SMIC-HS-E",
        "SMIC-HS-E",
    ],
)
@pytest.mark.parametrize("beside", [True, False], ids=["sheet beside", "sheet in the root"])
def test_layouts(tree, tmp_path, place, beside):
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).symlink_to(tree.root / LONG / "SMIC-HS-E")
    at = next(
        path for path in (tmp_path / place).parents if path.name in ("HS_long", "SMIC-E_raw_image", tmp_path.name)
    )
    shutil.copy(tree.sheets[SHEET], at if beside else tmp_path)
    expected = [one._replace(frames=()) for one in smic_e.records(tree.root)]
    assert [one._replace(frames=()) for one in smic_e.records(tmp_path)] == expected


def test_names_may_be_padded_or_not(tree, tmp_path):
    source = tree.root / LONG / "SMIC-HS-E"
    for clip in source.glob("s*/*"):
        target = tmp_path / "SMIC-HS-E" / clip.parent.name.replace("s0", "s") / clip.name.replace("s3", "s03")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(clip)
    found = smic_e.records(tmp_path, sheet=str(tree.sheets[SHEET]))
    assert [one._replace(frames=()) for one in found] == [one._replace(frames=()) for one in smic_e.records(tree.root)]
    assert any("/s3/s03_ne_91/" in path for one in found for path in one.frames)


def test_of_several_sheets_the_one_without_a_suffix_is_read_and_another_can_be_named(tree, tmp_path):
    (tmp_path / "HS_long").mkdir()
    (tmp_path / "HS_long" / "SMIC-HS-E").symlink_to(tree.root / LONG / "SMIC-HS-E")

    def change(cell):
        cell("s1_ne_51", "Emotion").value = "surprise"

    for name in ("_orig", "_2019"):
        edited(tree, tmp_path / "HS_long" / f"SMIC-HS-E_annotation{name}.xlsx", change)
    assert smic_e.records(tmp_path)[0].emotion == "surprise"
    shutil.copy(tree.sheets[SHEET], tmp_path / "HS_long")
    assert smic_e.records(tmp_path)[0].emotion == "negative"
    assert smic_e.records(tmp_path, sheet="SMIC-HS-E_annotation_2019.xlsx")[0].emotion == "surprise"


def test_nothing_is_written_below_the_root(tree):
    before = {path: path.stat().st_mtime_ns for path in tree.root.rglob("*")}
    smic_e.records(tree.root)
    assert {path: path.stat().st_mtime_ns for path in tree.root.rglob("*")} == before


def test_wrong_arguments_are_refused_with_what_would_be_right(tree, tmp_path):
    with pytest.raises(InputError, match=r"data\.name is 'smic_e'; it can be smic_hs_e, smic_vis_e"):
        smic_e.records(tree.root, dataset="smic_e")
    with pytest.raises(
        InputError, match=r"expected folders like s\\d\+ in SMIC-VIS-E, VIS_long, VIS, .*; found HS_long"
    ):
        smic_e.records(tree.root, dataset="smic_vis_e")
    with pytest.raises(InputError, match=r"hold no sheet other\.xlsx"):
        smic_e.records(tree.root, sheet="other.xlsx")
    book = openpyxl.Workbook()
    book.active.title = "HS"
    book.active.append(
        ("subject", "video", "video_name", "NumME", "StartFrame", "EndFrame", "ME_Type", "onset", "offset")
    )
    book.save(tmp_path / "SMIC_HS_E_spotting.xlsx")
    with pytest.raises(InputError, match=r"should name the columns subject, clip, onset; .* video_name, NumME"):
        smic_e.records(tree.root, sheet=str(tmp_path / "SMIC_HS_E_spotting.xlsx"))
