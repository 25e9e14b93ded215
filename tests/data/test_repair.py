import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merjax.data import repair
from merjax.data.frames import Folder
from merjax.data.repair import Numbers, repaired
from merjax.types import InputError

CLIP = tuple(range(40, 61))  # the frames 40 to 60
LONG = tuple(range(1, 101))

# sheet, frames, arguments -> onset, apex, offset, source, codes
CASES = {
    "sound": (Numbers(40, 50, 60), CLIP, {}, (40, 50, 60), "annotated", ()),
    "no apex": (Numbers(40, None, 60), CLIP, {}, (40, None, 60), "missing", ("apex_unknown",)),
    "apex 0": (Numbers(40, 0, 60), CLIP, {}, (40, None, 60), "missing", ("apex_unknown",)),
    "apex not given": (Numbers(40, None, 60), CLIP, {"apex_given": False}, (40, None, 60), "missing", ()),
    "apex is onset": (Numbers(40, 40, 60), CLIP, {}, (40, 40, 60), "placeholder", ("apex_placeholder",)),
    "apex is offset": (Numbers(40, 60, 60), CLIP, {}, (40, 60, 60), "placeholder", ("apex_placeholder",)),
    "apex early": (Numbers(40, 30, 60), CLIP, {}, (40, None, 60), "missing", ("apex_outside",)),
    "apex late": (Numbers(40, 61, 60), CLIP, {}, (40, None, 60), "missing", ("apex_outside",)),
    "known apex": (
        Numbers(40, 30, 60),
        CLIP,
        {"known": {"apex": (30, 45)}},
        (40, 45, 60),
        "repaired",
        ("apex_outside", "known_repair:apex"),
    ),
    "known, but the sheet is right": (
        Numbers(40, 50, 60),
        CLIP,
        {"known": {"apex": (30, 45)}},
        (40, 50, 60),
        "annotated",
        (),
    ),
    "known offset that looks sound": (
        Numbers(5, 6, 90),
        LONG,
        {"known": {"offset": (90, 34)}},
        (5, 6, 34),
        "annotated",
        ("known_repair:offset",),
    ),
    "offset 0": (Numbers(10, 20, 0), LONG, {}, (10, 20, 30), "annotated", ("offset_zero",)),
    "offset 0 near the end": (Numbers(10, 80, 0), LONG, {}, (10, 80, 100), "annotated", ("offset_zero",)),
    "known offset for 0": (
        Numbers(10, 20, 0),
        LONG,
        {"known": {"offset": (0, 33)}},
        (10, 20, 33),
        "annotated",
        ("offset_zero", "known_repair:offset"),
    ),
    "onset above offset, known": (
        Numbers(95, 60, 70),
        LONG,
        {"known": {"onset": (95, 55)}},
        (55, 60, 70),
        "annotated",
        ("offset_before_onset", "known_repair:onset"),
    ),
    "onset and apex 0": (Numbers(0, 0, 25), LONG, {}, (1, 1, 25), "placeholder", ("onset_zero", "apex_placeholder")),
    "onset 0 with a frame 0": (Numbers(0, 2, 4), (0, 1, 2, 3, 4), {}, (0, 2, 4), "annotated", ()),
    "offset beyond": (
        Numbers(40, 50, 70),
        CLIP,
        {},
        (40, 50, 60),
        "annotated",
        ("frame_missing:offset", "frame_gap"),
    ),
    "onset dropped": (
        Numbers(50, 52, 55),
        (49, 51, 52, 53, 54, 55),
        {},
        (49, 52, 55),
        "annotated",
        ("frame_missing:onset", "frame_gap"),
    ),
    "apex dropped": (
        Numbers(1, 3, 5),
        (1, 2, 4, 5),
        {},
        (1, 2, 5),
        "repaired",
        ("frame_gap", "frame_missing:apex"),
    ),
    "the folder wins": (
        Numbers(38, 50, 65),
        CLIP,
        {"holds": "range"},
        (40, 50, 60),
        "annotated",
        ("range_from_folder", "frame_gap"),
    ),
    "the folder wins over the apex": (
        Numbers(15, 38, 68),
        CLIP,
        {"holds": "range"},
        (40, None, 60),
        "missing",
        ("range_from_folder", "frame_gap", "apex_outside"),
    ),
    "the folder wins and has a hole": (
        Numbers(1, 2, 5),
        (1, 2, 4, 5),
        {"holds": "range"},
        (1, 2, 5),
        "annotated",
        ("frame_gap",),
    ),
    "the folder wins and has a hole, though the counts agree": (
        Numbers(1, 2, 4),
        (1, 2, 4, 5),
        {"holds": "range"},
        (1, 2, 5),
        "annotated",
        ("range_from_folder", "frame_gap"),
    ),
    "the folder wins over an apex at the offset": (
        Numbers(40, 65, 65),
        CLIP,
        {"holds": "range"},
        (40, None, 60),
        "missing",
        ("range_from_folder", "frame_gap", "apex_placeholder", "apex_outside"),
    ),
    "the folder has all frames of the sheet, and one apart from them": (
        Numbers(40, 50, 60),
        (0, *CLIP, 224),
        {"holds": "range"},
        (40, 50, 60),
        "annotated",
        ("frame_gap",),
    ),
    "the folder wins over no numbers": (
        Numbers(None, 50, None),
        CLIP,
        {"holds": "range"},
        (40, 50, 60),
        "annotated",
        ("onset_unknown", "offset_zero", "range_from_folder"),
    ),
    "more frames than the sheet counts": (
        Numbers(40, 50, 55),
        CLIP,
        {"holds": "clip"},
        (40, 50, 55),
        "annotated",
        ("frame_gap",),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_repairs(case):
    sheet, present, arguments, numbers, source, issues = CASES[case]
    fit = repaired(sheet, present, **arguments)
    assert ((fit.onset_no, fit.apex_no, fit.offset_no), fit.apex_source, fit.issues) == (numbers, source, issues)
    assert_consistent(fit, present)


@pytest.mark.parametrize(
    ("sheet", "present", "issues"),
    [
        (Numbers(70, 75, 60), LONG, ("offset_before_onset",)),
        (Numbers(None, 50, 60), LONG, ("onset_unknown",)),
        (Numbers(40, None, None), LONG, ("offset_zero", "apex_unknown")),
        (Numbers(140, 150, 160), LONG, ("frame_gap",)),
        (Numbers(40, 50, 60), (), ()),
    ],
)
def test_a_row_without_a_usable_range_keeps_no_frames(sheet, present, issues):
    fit = repaired(sheet, present)
    assert (fit.start, fit.stop) == (0, 0)
    assert (fit.onset_idx, fit.apex_idx, fit.offset_idx) == (-1, None, -1)
    assert fit.issues == issues


def test_a_clip_whose_frames_all_lie_elsewhere_has_a_code():
    fit = repaired(Numbers(140, 150, 160), CLIP, holds="clip")
    assert (fit.stop, fit.issues) == (0, ("frames_outside",))


def test_a_whole_recording_is_kept_and_positions_count_from_its_start():
    fit = repaired(Numbers(46, 59, 86), LONG, holds="whole")
    assert (fit.start, fit.stop) == (0, 100)
    assert (fit.onset_idx, fit.apex_idx, fit.offset_idx) == (45, 58, 85)


def test_none_leaves_the_numbers_of_the_sheet():
    for case, (sheet, present, arguments, *_) in CASES.items():
        fit = repaired(sheet, present, **arguments, policy="none")
        given = arguments.get("apex_given", True)
        expected = (sheet.onset or 0, sheet.apex if given else None, sheet.offset or 0)
        assert (fit.onset_no, fit.apex_no, fit.offset_no) == expected, case
        assert fit.apex_source != "repaired"
        assert not any(code.startswith(("known_repair", "range_from_folder")) for code in fit.issues)


def test_none_gives_the_nearest_positions():
    fit = repaired(Numbers(38, 30, 65), CLIP, holds="range", policy="none")
    assert (fit.onset_idx, fit.apex_idx, fit.offset_idx) == (0, None, 20)
    assert fit.issues == ("frame_missing:onset", "frame_missing:offset", "frame_gap", "apex_outside")


# sheet, frames, arguments -> codes, and numbers of the frames or none
RENUMBERED = {
    "a range from 1": (Numbers(46, 59, 86), range(1, 42), {"holds": "range"}, "frames_renumbered", range(46, 87)),
    "a range from 0": (Numbers(46, 59, 86), range(41), {"holds": "range"}, "frames_renumbered", range(46, 87)),
    "a clip from 1": (Numbers(5, 7, 11), range(1, 8), {"holds": "clip"}, "frames_renumbered", range(5, 12)),
    "a pack of single clips": (Numbers(5, 7, 11), range(1, 8), {}, "frames_renumbered", range(5, 12)),
    "a sheet from 0, files from 1": (Numbers(0, 4, 8), range(1, 10), {}, "frames_renumbered", range(9)),
    "a sheet from 1, files from 0": (
        Numbers(1, 5, 12),
        range(12),
        {"holds": "clip"},
        "frames_renumbered",
        range(1, 13),
    ),
    "a recording with known ends": (
        Numbers(305, 307, 311),
        range(1, 21),
        {"holds": "whole", "ends": (300, 319)},
        "frames_renumbered",
        range(300, 320),
    ),
    "a recording that should begin with 1": (
        Numbers(5, 7, 11),
        range(20),
        {"holds": "whole", "ends": (1, None)},
        "frames_renumbered",
        range(1, 21),
    ),
    "a mistyped offset that is known": (
        Numbers(5, 7, 110),
        range(1, 8),
        {"holds": "clip", "known": {"offset": (110, 11)}},
        "frames_renumbered",
        range(5, 12),
    ),
    "a range with other frames than the sheet": (
        Numbers(5, 7, 12),
        range(1, 8),
        {"holds": "range"},
        "numbers_uncertain",
        range(1, 8),
    ),
    "a range with a hole": (
        Numbers(5, 7, 12),
        (1, 2, 3, 5, 6, 7, 8),
        {"holds": "range"},
        "numbers_uncertain",
        (1, 2, 3, 5, 6, 7, 8),
    ),
    "a range without onset": (Numbers(None, 7, 12), range(1, 9), {"holds": "range"}, "numbers_uncertain", range(1, 9)),
    "a clip with other frames": (Numbers(5, 7, 12), range(1, 8), {"holds": "clip"}, "numbers_uncertain", ()),
    "a clip without offset": (Numbers(5, 7, 0), range(1, 8), {"holds": "clip"}, "numbers_uncertain", ()),
    "too few frames for a recording": (Numbers(3, 5, 9), range(1, 7), {}, "numbers_uncertain", ()),
    "a recording that ends before the offset": (Numbers(7, 8, 14), range(1, 11), {}, "numbers_uncertain", ()),
}


@pytest.mark.parametrize("policy", ["flag", "none"])
@pytest.mark.parametrize("case", RENUMBERED)
def test_numbers_that_are_places_in_the_clip_are_shifted_where_that_is_certain(case, policy):
    sheet, present, arguments, code, numbers = RENUMBERED[case]
    fit = repaired(sheet, tuple(present), **arguments, policy=policy)
    if policy == "none":
        assert (fit.issues[0], fit.shift, fit.apex_source, fit.stop) == ("numbers_uncertain", 0, "missing", 0)
        return
    assert fit.issues[0] == code
    assert [number + fit.shift for number in present][fit.start : fit.stop] == list(numbers)
    if code == "frames_renumbered":
        assert fit.issues[1:] in ((), ("known_repair:offset",))
        assert (fit.apex_source, numbers[fit.apex_idx]) == ("annotated", sheet.apex)
        assert (numbers[fit.onset_idx], fit.onset_no) == (sheet.onset, sheet.onset)
    else:
        assert (fit.apex_no, fit.apex_idx, fit.apex_source) == (None, None, "missing")


@pytest.mark.parametrize(
    ("sheet", "present", "arguments"),
    [
        (Numbers(40, 50, 60), LONG, {}),
        (Numbers(10, 20, 0), LONG, {}),
        (Numbers(0, 9, 25), range(1, 26), {}),  # CAS(ME)^3 counts from 1, and its onset 0 is a fault of the sheet
        (Numbers(5, 7, 11), range(2, 12), {"holds": "clip"}),
        (Numbers(5, 7, 11), range(1, 30), {"holds": "whole", "ends": (1, None)}),
    ],
)
def test_numbers_of_a_longer_recording_stay(sheet, present, arguments):
    fit = repaired(sheet, tuple(present), **arguments)
    assert (fit.shift, fit.apex_source) == (0, "annotated")
    assert present[fit.start + fit.apex_idx] == sheet.apex


def test_an_apex_whose_own_frame_is_missing_is_never_called_annotated():
    for policy, source in (("flag", "repaired"), ("none", "missing")):
        assert repaired(Numbers(1, 3, 5), (1, 2, 4, 5), policy=policy).apex_source == source


def assert_consistent(fit, present):
    kept = [number + fit.shift for number in present][fit.start : fit.stop]
    assert kept[fit.onset_idx] == fit.onset_no
    assert kept[fit.offset_idx] == fit.offset_no
    assert fit.apex_idx is None or kept[fit.apex_idx] == fit.apex_no
    assert (fit.apex_idx is None) == (fit.apex_no is None)


@settings(deadline=None)
@given(
    st.tuples(*[st.none() | st.integers(0, 12)] * 3),
    st.sets(st.integers(0, 12)),
    st.sampled_from(repair.FOLDERS),
)
def test_numbers_and_positions_of_kept_frames_agree_whatever_the_sheet_says(sheet, present, holds):
    present = tuple(sorted(present))
    fit = repaired(Numbers(*sheet), present, holds=holds)
    if fit.stop:
        assert_consistent(fit, present)
        assert 0 <= fit.onset_idx <= fit.offset_idx < fit.stop - fit.start
        assert fit.apex_idx is None or fit.onset_idx <= fit.apex_idx <= fit.offset_idx
    if holds == "range" and present:
        kept = present[fit.start : fit.stop]
        alone = kept == tuple(range(kept[0], kept[-1] + 1)) and not {kept[0] - 1, kept[-1] + 1} & set(present)
        assert alone or kept == present
    assert len(set(fit.issues)) == len(fit.issues)
    if fit.stop and fit.apex_source == "annotated" and sheet[0]:
        assert fit.apex_no == sheet[1]
    if not fit.issues and present:
        assert (fit.onset_no, fit.apex_no, fit.offset_no) == sheet


def made(name, numbers=(1, 3, 5), present=(1, 2, 3, 4, 5), **cells):
    folder = Folder(tuple(f"/d/{n}.jpg" for n in present), present, ())
    cells = dict(zip(Numbers._fields, numbers, strict=True)) | cells
    return repair.record(cells, folder, dataset="d", release="raw", subject="s1", clip=name, fps=30.0)


def test_a_record_takes_its_cells_as_text_numbers_or_floats():
    one = made("a", ("1", 3.0, 5), emotion=" Other ", au=12, objective="VII")
    assert (one.onset_no, one.apex_no, one.offset_no) == (1, 3, 5)
    assert (one.emotion_raw, one.emotion, one.au_raw, one.objective_class) == (" Other ", "others", "12", 7)
    assert [unit.number for unit in one.au] == [12]
    assert (one.sample_id, one.issues) == ("d/s1/a", ())


def test_records_are_sorted_as_people_count_and_strict_drops_the_flagged():
    records = [made(name) for name in ("EP10", "EP9", "EP1")] + [made("EP2", (1, None, 5))]
    assert [each.clip for each in repair.finished(records, "flag")] == ["EP1", "EP2", "EP9", "EP10"]
    assert [each.clip for each in repair.finished(records, "strict")] == ["EP1", "EP9", "EP10"]


def test_a_repeated_sample_is_refused():
    with pytest.raises(InputError, match=r"the sheet of d has d/s1/a twice: it should keep one row of the two\."):
        repair.finished([made("a"), made("b"), made("a")], "flag")


def test_unknown_policies_are_refused():
    with pytest.raises(InputError, match=r"data\.repair is 'all'; it can be flag, strict, none"):
        repaired(Numbers(1, 2, 3), (1, 2, 3), policy="all")


def test_unreadable_frames_leave_a_record_and_its_positions_stay_right():
    one = repair.without(made("a"), {"/d/3.jpg", "/d/5.jpg"})
    assert one.frame_numbers == (1, 2, 4)
    assert (one.onset_no, one.apex_no, one.offset_no) == (1, 2, 4)
    assert (one.onset_idx, one.apex_idx, one.offset_idx) == (0, 1, 2)
    assert one.apex_source == "repaired"
    assert one.issues == ("unreadable", "frame_missing:offset", "frame_gap", "frame_missing:apex")


def test_an_apex_that_is_lost_with_the_end_of_its_clip_is_no_longer_called_annotated():
    one = repair.without(made("a", (1, 4, 5)), {"/d/3.jpg", "/d/4.jpg", "/d/5.jpg"})
    assert (one.apex_no, one.apex_idx, one.apex_source) == (None, None, "missing")


def test_the_frames_of_a_renumbered_clip_have_their_numbers_in_the_recording():
    one = made("a", (11, 13, 15))
    assert (one.frame_numbers, one.apex_idx, one.issues) == ((11, 12, 13, 14, 15), 2, ("frames_renumbered",))
    assert repair.without(one, {"/d/2.jpg"}).frame_numbers == (11, 13, 14, 15)


def test_a_record_without_unreadable_frames_stays_as_it_is():
    one = made("a", (1, 1, 5))
    assert repair.without(one, {"/elsewhere/3.jpg"}) is one
    assert repair.without(one, {"/d/2.jpg"}).apex_source == "placeholder"


def test_a_record_may_lose_all_its_frames():
    one = repair.without(made("a"), {f"/d/{n}.jpg" for n in range(9)})
    assert (one.frames, one.onset_idx, one.offset_idx) == ((), -1, -1)
