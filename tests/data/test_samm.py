import cv2
import numpy as np
import openpyxl
import pytest

from merjax.data import frames, samm
from merjax.types import InputError

HEADER = (
    "Subject",
    "Filename",
    "Inducement Code",
    "Onset Frame",
    "Apex Frame",
    "Offset Frame",
    "Duration",
    "Micro",
    "Action Units",
    "Estimated Emotion",
    "Objective Classes",
    "Notes",
)

# subject, clip, onset, apex, offset, action units, emotion, objective class; the numbers of the files
CLIPS = {
    ("006", "006_1_2", 5562, 5565, 5569, "(R6 or R12)+R15", "Anger", 3): range(5562, 5570),
    ("006", "006_1_10", 9998, 10000, 10003, "ref(7B)+43", "Other", 7): range(9998, 10004),
    ("011", "011_2_1", 20, 24, 26, 12, "Happiness", 1): range(20, 27),
    ("013", "013_1_9", 20, 24, 26, "10A/B", "Contempt", 6): range(20, 30),  # the folder goes on
    ("028", "028_4_1", 1101, 1143, 1134, "4", "Fear", 5): range(1101, 1135),
    ("032", "032_3_1", 4896, 1930, 4940, "A1B+A2C", "Surprise", 2): range(4896, 4941),
    ("032", "032_3_2", 5100, 5101, 5110, "R14+17+soft focus", "Sadness", 4): range(5100, 5111),
    ("037", "037_3_1", 10, 13, 16, "T23", "Disgust", 7): (),
}


def sheet(path, preamble=13, subject=str):
    book = openpyxl.Workbook()
    page = book.active
    page.title = "MICRO_ONLY"
    for line in [("SAMM",), ("Please cite",), *[("Key", "ref")] * 11][:preamble]:
        page.append(line)
    page.append(HEADER)
    for row, (who, clip, onset, apex, offset, au, emotion, objective) in enumerate(CLIPS, start=preamble + 2):
        numbers = (int(clip.split("_")[1]), onset, apex, offset, f"=F{row}-D{row}+1")
        page.append((subject(who), clip, *numbers, "Micro - 1/2", au, emotion, objective, None))
    book.save(path)


def tree(root, release="SAMM"):
    grey = cv2.imencode(".jpg", np.arange(120, dtype=np.uint8).reshape(10, 12))[1].tobytes()
    for (who, clip, *_), numbers in CLIPS.items():
        for number in numbers:
            digits = 4 if clip == "006_1_10" and number == 9999 else 5
            path = root / release / who / clip / f"{who}_{number:0{digits}}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(grey)
    (root / release / "SAMM_longvideos" / "006_1").mkdir(parents=True, exist_ok=True)
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tree(tmp_path_factory.mktemp("set"))
    sheet(root / "SAMM_Micro_FACS_Codes_v2.xlsx")
    return root


# onset, apex, offset; positions; source; codes
EXPECTED = {
    "006_1_2": ((5562, 5565, 5569), (0, 3, 7), "annotated", ()),
    "006_1_10": ((9998, 10000, 10003), (0, 2, 5), "annotated", ()),
    "011_2_1": ((20, 24, 26), (0, 4, 6), "annotated", ()),
    "013_1_9": ((20, 24, 26), (0, 4, 6), "annotated", ("frame_gap",)),
    "028_4_1": ((1101, None, 1134), (0, None, 33), "missing", ("apex_outside",)),
    "032_3_1": ((4896, 4930, 4940), (0, 34, 44), "repaired", ("apex_outside", "known_repair:apex")),
    "032_3_2": ((5100, 5101, 5110), (0, 1, 10), "annotated", ("apex_suspect",)),
    "037_3_1": ((10, 13, 16), (-1, None, -1), "annotated", ("folder_missing",)),
}


def test_every_clip_has_its_numbers_positions_and_codes(root):
    records = samm.records(root)
    assert [each.clip for each in records] == list(EXPECTED)  # 006_1_2 before 006_1_10
    for each in records:
        numbers, positions, source, issues = EXPECTED[each.clip]
        assert (each.onset_no, each.apex_no, each.offset_no) == numbers, each.clip
        assert (each.onset_idx, each.apex_idx, each.offset_idx) == positions, each.clip
        assert (each.apex_source, each.issues) == (source, issues), each.clip


def test_a_record_says_what_sheet_and_folder_say(root):
    one = samm.records(root)[1]
    assert (one.dataset, one.release, one.subject, one.clip) == ("samm", "raw", "006", "006_1_10")
    assert (one.sample_id, one.fps) == ("samm/006/006_1_10", 200.0)
    assert (one.emotion_raw, one.emotion, one.au_raw, one.objective_class) == ("Other", "others", "ref(7B)+43", 7)
    assert [(unit.number, unit.intensity, unit.reference) for unit in one.au] == [(7, "B", True), (43, "", False)]


def test_four_digits_among_five_are_the_same_numbers(root):
    one = samm.records(root)[1]
    assert one.frame_numbers == (9998, 9999, 10000, 10001, 10002, 10003)
    folder = root / "SAMM" / "006" / "006_1_10"
    assert one.frames[:3] == tuple(str(folder / f"006_{name}.jpg") for name in ("09998", "9999", "10000"))


def test_frames_are_grey(root):
    image = frames.image(samm.records(root)[0].frames[0])
    assert image.shape == (10, 12, 3)
    assert (image == image[..., :1]).all()


def test_the_mistyped_apex_is_repaired_only_where_it_stands(tmp_path, root):
    book = openpyxl.load_workbook(root / "SAMM_Micro_FACS_Codes_v2.xlsx")
    for row in book.active.iter_rows():
        if row[1].value == "032_3_1":
            row[4].value = 4933
        if row[1].value == "032_3_2":
            row[4].value = 5104
    book.save(tmp_path / "edited.xlsx")
    records = {each.clip: each for each in samm.records(root, sheet=str(tmp_path / "edited.xlsx"))}
    assert (records["032_3_1"].apex_no, records["032_3_1"].issues) == (4933, ())
    assert (records["032_3_2"].apex_no, records["032_3_2"].issues) == (5104, ())


def test_none_hands_over_the_sheet(root):
    records = {each.clip: each for each in samm.records(root, repair="none")}
    for _, clip, *numbers in ((row[0], row[1], *row[2:5]) for row in CLIPS):
        assert [records[clip].onset_no, records[clip].apex_no, records[clip].offset_no] == numbers
    assert records["032_3_1"].apex_idx is None
    assert records["032_3_1"].issues == ("apex_outside",)


def test_strict_keeps_only_what_has_no_issue(root):
    assert [each.clip for each in samm.records(root, repair="strict")] == ["006_1_2", "006_1_10", "011_2_1"]


@pytest.mark.parametrize("subject", [str, int])
@pytest.mark.parametrize("preamble", [0, 13])
def test_edited_sheets_say_the_same(tmp_path, root, preamble, subject):
    sheet(tmp_path / "edited.xlsx", preamble, subject)
    assert samm.records(root, sheet=str(tmp_path / "edited.xlsx")) == samm.records(root)


@pytest.mark.parametrize(
    ("place", "release", "name"),
    [("SAMM/SAMM", "", "raw"), (".", "", "raw"), ("SAMM_CROP", "", "cropped"), (".", "cropped", "cropped")],
)
def test_layouts(tmp_path, root, place, release, name):
    sheet(tree(tmp_path, place) / "SAMM_20181215_Micro_FACS_Codes_v2.xlsx")
    records = samm.records(tmp_path, release=release)
    assert {each.release for each in records} == {name}
    assert [each.frame_numbers for each in records] == [each.frame_numbers for each in samm.records(root)]


def test_a_wrong_root_says_what_was_expected_and_found(tmp_path):
    (tmp_path / "holiday").mkdir()
    expected = r"expected folders like \\d\{3\} in SAMM, the folder itself, SAMM_CROP, SAMM_cropped; found holiday\."
    with pytest.raises(InputError, match=expected):
        samm.records(tmp_path)
