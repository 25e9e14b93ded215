"""CAS(ME)^3 in miniature: part A as whole clips with depth and as the clip pack, and part C without apex."""

import functools

from merjax.data.trees.recipe import Book, Cell, Layout, Recipe, Sample, Slot, codes, digits, row

SHEET_A = "part_A/annotation/cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"
SHEET_C = "part_C/CAS(ME)3_part_C_ME.xlsx"
HEADER_A = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion"]
HEADER_C = ["sub", "count", "onset", "offset", "au", "emotion"]
ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII")
LETTERS = "abcdefghiklm"
WIDE = 16 / 9

_row = functools.partial(row, dataset="casme3a", fps=30.0, au="4", objective=4)


def _sound(slot: Slot, emotion: str) -> list[Sample]:
    letter = LETTERS[slot.rank // 3 % len(LETTERS)]  # three samples share a clip
    within = slot.rank % 3 + slot.rank // 36 * 3
    # The whole clip begins at frame 1, for the first onset lies within its neutral frames.
    first = 2 + slot.start % 6 + within * (slot.length + 8)
    last = first + slot.length - 1
    return [_row(slot.subject, letter, first, first + slot.rise, last, emotion, **codes(emotion, slot.turn))]


FAULTS = {
    "letter_case": (_row("spNO.3", "J", 21, 24, 28, "disgust", disk={"clip": "j"}),),
    "folder_case": (_row("spNO.1", "k", 21, 24, 28, "surprise", disk={"subject": "spNo.1"}),),
    "others_upper": (_row("spNO.401", "a", 21, 24, 28, "Others", objective=7),),
    "onset_zero": (_row("spNO.216", "e", 1, 9, 25, "fear", onset=0, apex=0),),
    "offset_zero": (
        _row("spNO.40", "e", 1812, 1824, 1845, "disgust", offset=0),
        _row("spNO.40", "e", 2327, 2363, 2403, "anger", offset=0),
    ),
    # A long clip of which most frames were dropped, to keep the tree small.
    "apex_below_onset": (_row("spNO.149", "d", 112, 123, 358, "sad", apex=83, missing=tuple(range(130, 352))),),
    "onset_typo": (_row("spNO.216", "d", 2647, 2668, 2694, "disgust", onset=3647),),
    "offset_typo": (_row("spNO.214", "c", 5, 15, 34, "happy", apex=5, offset=3460),),
    "apex_on_onset": (_row("spNO.401", "b", 4, 9, 14, "surprise", apex=4),),
    "dropped_frame": (_row("spNO.401", "c", 21, 25, 29, "disgust", missing=(23,)),),
    "dropped_apex": (_row("spNO.401", "d", 21, 25, 29, "disgust", missing=(25,)),),
    "truncated_jpeg": (_row("spNO.401", "f", 21, 25, 29, "fear"),),
    "folder_missing": (_row("spNO.401", "g", 21, 25, 29, "fear", on_disk=False),),
    "stray_files": (_row("spNO.401", "h", 21, 25, 29, "anger"),),
    "doubled_folder": (),
}


def _sheets(samples: list[Sample], planted: tuple[str, ...]) -> dict[str, Book]:
    """Part A; all its numbers are text."""
    rows: list[list[Cell]] = [list(HEADER_A)]
    for s in samples:
        texts = [None if cell is None else str(cell) for cell in (s.onset, s.apex, s.offset, s.au)]
        rows.append([s.subject, s.clip, *texts, ROMAN[s.objective - 1], s.emotion])
    return {SHEET_A: {"label": rows, "Sheet1": [], "Sheet3": []}}


_row_c = functools.partial(row, dataset="casme3c", fps=30.0, au="4,7", apex=None)


def _sound_c(slot: Slot, emotion: str) -> list[Sample]:
    first, units = 10 + slot.start, {"negative": "4,7", "positive": "6,12", "surprise": "1,2"}.get(emotion, "14")
    last = first + slot.length - 1
    return [_row_c(slot.subject, str(1 + slot.rank), first, first + slot.rise, last, emotion, au=units)]


FAULTS_C = {
    "action_units": (
        _row_c("01", "91", 21, 24, 28, "negative", au="R4,5"),
        _row_c("01", "92", 31, 34, 38, "negative", au="4，11"),  # the comma is a full-width one
        _row_c("02", "93", 31, 34, 38, "positive", au=12),
    ),
    "dropped_frame": (_row_c("02", "94", 21, 25, 29, "surprise", missing=(23,)),),
    "dropped_offset": (_row_c("02", "95", 21, 25, 29, "others", missing=(29,)),),
    "folder_missing": (_row_c("02", "96", 21, 25, 29, "others", on_disk=False),),
    "doubled_folder": (),
    "more_columns": (),  # a later version has one for physiology
}


def _sheets_c(samples: list[Sample], planted: tuple[str, ...]) -> dict[str, Book]:
    later = "more_columns" in planted
    rows: list[list[Cell]] = [[*HEADER_C, *["PHY"] * later]]
    for s in samples:
        cells: list[Cell] = [digits(s.subject), int(s.clip), s.onset, s.offset, s.au, s.emotion]
        rows.append(cells + [1] * later)
    return {SHEET_C: {"mockCrimeME": rows}}


_WHOLE = "part_A/data/part_A_split/part_A/{subject}/{clip}/"
_PACK = "/{subject}_{clip}_{onset}"
RECIPE = Recipe(
    subjects=tuple(f"spNO.{n}" for n in range(301, 395)),
    emotions=("disgust", "surprise", "others", "fear", "anger", "sad", "happy"),
    layouts=(
        Layout("raw_full", _WHOLE + "color", "{n}.jpg", aspect=WIDE, head=6),
        Layout("depth_full", _WHOLE + "depth", "{n}.png", aspect=WIDE, head=6, pixels="depth"),
        Layout("raw", "Part_A_ME_clip/frame" + _PACK, "{n}.jpg", aspect=WIDE),
        Layout("depth", "Part_A_ME_clip/depth" + _PACK, "{n}.png", aspect=WIDE, pixels="depth"),
    ),
    make=_sound,
    faults=FAULTS,
    sheets=_sheets,
)
RECIPE_C = Recipe(
    subjects=tuple(f"{n:02d}" for n in range(1, 32) if n != 22),
    emotions=("negative", "surprise", "others", "positive"),
    layouts=(Layout("raw", "part_C/{subject}/{clip}/color", "{n}.jpg", aspect=WIDE),),
    make=_sound_c,
    faults=FAULTS_C,
    sheets=_sheets_c,
)
