"""MMEW in miniature, in the layout that people read and in the one that its page describes."""

from typing import Any

from merjax.data.trees.recipe import Book, Cell, Layout, Recipe, Sample, Slot, codes, digits, row

SHEET = "MMEW_Micro_Exp.xlsx"
EMOTIONS = ("happiness", "surprise", "disgust", "others", "fear", "sadness", "anger")  # in the order of their numbers
HEADER: list[Cell] = [
    *("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame"),
    *("Action Units", "Estimated Emotion", "remarks"),
]


def _row(subject: str, number: int, peak: int, last: int, emotion: str, **fields: Any) -> Sample:
    """Numbers are positions in the clip's folder, from 1."""
    clip = f"{subject}-{EMOTIONS.index(emotion) + 1:02d}-{number:03d}"
    known: dict[str, Any] = {"dataset": "mmew", "fps": 90.0, "au": "4+7"}
    return row(subject, clip, 1, peak, last, emotion, **known | fields)


def _sound(slot: Slot, emotion: str) -> list[Sample]:
    last = max(slot.length, 12)  # with 12 frames the order of the names is not that of the numbers
    samples = [_row(slot.subject, 501 + slot.rank, 1 + slot.rise, last, emotion, **codes(emotion, slot.turn))]
    if slot.rank == 0:
        samples.append(_row(slot.subject, 901, 1, 1, emotion, kind="macro"))
    return samples


def _sound_micro(slot: Slot, emotion: str) -> list[Sample]:
    return _sound(slot, emotion)[:1]


FAULTS = {
    "offset_beyond_folder": (_row("S04", 601, 5, 12, "happiness", offset=20),),
    "apex_beyond_folder": (_row("S04", 602, 6, 12, "surprise", apex=15, offset=24),),
    "others": (_row("S02", 603, 6, 12, "others"),),
    "action_units": (_row("S02", 604, 6, 12, "disgust", au="12L"),),
    "folder_missing": (_row("S03", 605, 6, 12, "fear", on_disk=False),),
    "stray_files": (_row("S03", 606, 6, 12, "sadness"),),
    "truncated_jpeg": (_row("S03", 607, 6, 12, "anger"),),
    "doubled_folder": (),
}


def _sheets(samples: list[Sample], planted: tuple[str, ...]) -> dict[str, Book]:
    rows = [HEADER]
    for s in samples:
        if s.kind == "micro":
            remark = None if len(rows) > 1 else "invented remark"  # nearly always empty
            rows.append([digits(s.subject), s.clip, s.onset, s.apex, s.offset, s.au, s.emotion, remark])
    return {SHEET: {"Sheet1": rows}}


RECIPE = Recipe(
    subjects=tuple(f"S{n:02d}" for n in range(1, 31)),
    emotions=EMOTIONS,
    layouts=(
        Layout("final", "MMEW_Final/Micro_Expression/{emotion}/{clip}", "{n}.jpg", aspect=1.0, kind="micro"),
        Layout("macro", "MMEW_Final/Macro_Expression/{subject}/{emotion}", "{clip}.jpg", aspect=1.0, kind="macro"),
    ),
    make=_sound,
    faults=FAULTS,
    sheets=_sheets,
)
OFFICIAL_RECIPE = RECIPE._replace(
    make=_sound_micro,
    layouts=(
        Layout("official", "MMEW/Micro-Expression/{subject}/{emotion}/{clip}", "{n}.jpg", aspect=1.0, kind="micro"),
    ),
)
