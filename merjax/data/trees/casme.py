"""CASME, the first version, in miniature."""

from typing import Any

from merjax.data.trees.recipe import Book, Cell, Layout, Recipe, Sample, Slot, codes, digits, row

SHEET = "CASME-coding.xlsx"
HEADER: list[Cell] = [
    *("Subject", "Filename", None, "OnsetF", "ApexF1", "ApexF2", "OffsetF", None),
    *("AUs", "Emotion"),
]


def _row(subject: str, clip: str, first: int, peak: int, last: int, emotion: str, **fields: Any) -> Sample:
    """File names have three digits from sub08 on."""
    disk = {"pad": 3 if digits(subject) >= 8 else 1} | fields.pop("disk", {})
    known: dict[str, Any] = {"dataset": "casme", "fps": 60.0, "au": 4, "disk": disk}
    return row(subject, clip, first, peak, last, emotion, **known | fields)


def _sound(slot: Slot, emotion: str) -> list[Sample]:
    first, clip = {0: 7, 1: 96}.get(slot.turn, slot.start), f"EP{31 + slot.rank}_{1 + slot.turn % 9}"
    last = first + slot.length - 1
    return [_row(slot.subject, clip, first, first + slot.rise, last, emotion, **codes(emotion, slot.turn))]


FAULTS = {
    "misspelt_label": (_row("sub05", "EP91_1", 11, 15, 19, "comtempt"),),
    "odd_names": (
        _row("sub12", "EP11", 91, 95, 103, "tense"),
        _row("sub12", "EP12_2_10", 31, 35, 39, "disgust"),
    ),
    "second_apex": (_row("sub08", "EP92_1", 11, 15, 22, "surprise", disk={"second": 19}),),
    "range_elsewhere": tuple(
        _row("sub03", clip, 100 + n, 104 + n, 109 + n, "tense", onset=61 + n, offset=150 + n)
        for n, clip in enumerate(("EP07_1", "EP09_3", "EP09_4"))
    ),
    "offset_beyond_folder": (_row("sub09", "EP93_1", 11, 15, 19, "repression", offset=27),),
    "folder_missing": (_row("sub09", "EP94_1", 11, 15, 19, "sadness", on_disk=False),),
    "stray_files": (_row("sub01", "EP95_1", 11, 15, 19, "fear"),),
    "truncated_jpeg": (_row("sub01", "EP96_1", 11, 15, 19, "happiness"),),
    "doubled_folder": (),
}


def _sheets(samples: list[Sample], planted: tuple[str, ...]) -> dict[str, Book]:
    rows = [HEADER]
    for s in samples:
        numbers: list[Cell] = [s.onset, s.apex, s.disk.get("second"), s.offset]
        rows.append([digits(s.subject), s.clip, None, *numbers, None, s.au, s.emotion])
    return {SHEET: {"Sheet1": rows}}


_FILE = "{clip}-{n:0{pad}d}.jpg"
RECIPE = Recipe(
    subjects=tuple(f"sub{n:02d}" for n in (1, 8, 3, 2, *range(4, 8), *range(9, 20))),
    emotions=("tense", "disgust", "repression", "surprise"),
    layouts=(
        Layout("raw", "CASME_raw_selected/{subject}/{clip}", _FILE),
        Layout("cropped", "Cropped/{subject}/{clip}", "reg_" + _FILE, aspect=0.8, vary=True),
    ),
    make=_sound,
    faults=FAULTS,
    sheets=_sheets,
)
