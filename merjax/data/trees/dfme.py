"""DFME in miniature: the table of the training part, with a frame rate of its own for each row."""

import functools

from merjax.data.trees.recipe import Book, Cell, Layout, Recipe, Sample, Slot, codes, digits, row

SHEET = "training_full_with_AU.xlsx"
EMOTIONS = ("happiness", "anger", "contempt", "disgust", "fear", "sadness", "surprise")
HEADER: list[Cell] = [
    *("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame"),
    *("Emotion", "EmotionId", "Fps", "AU"),
]
RATES = (500.0, 300.0, 200.0)

_row = functools.partial(row, dataset="dfme", fps=500.0, au="4")


def _sound(slot: Slot, emotion: str) -> list[Sample]:
    first, clip = 100 + slot.start, f"{slot.subject}_{1 + slot.rank:02d}"
    numbers = (first, first + slot.rise, first + slot.length - 1)
    units = str(codes(emotion, slot.turn)["au"])
    return [_row(slot.subject, clip, *numbers, emotion, au=units, fps=RATES[digits(slot.subject) % 3])]


FAULTS = {
    "onset_zero": (_row("sub0901", "sub0901_91", 0, 4, 8, "fear"),),  # counted from 0, and the file exists
    "folder_missing": (_row("sub0902", "sub0902_92", 11, 15, 19, "anger", on_disk=False),),
    "stray_files": (_row("sub0902", "sub0902_93", 11, 15, 19, "surprise"),),
}


def _sheets(samples: list[Sample], planted: tuple[str, ...]) -> dict[str, Book]:
    rows = [HEADER]
    for s in samples:
        numbers: list[Cell] = [s.onset, s.apex, s.offset]
        rows.append([s.subject, s.clip, *numbers, s.emotion, EMOTIONS.index(s.emotion), int(s.fps), s.au])
    return {SHEET: {"Sheet1": rows}}


RECIPE = Recipe(
    subjects=tuple(f"sub{n:04d}" for n in range(901, 1077)),
    emotions=EMOTIONS,
    layouts=(Layout("raw", "{clip}", "{n:05d}.png", aspect=1.0),),
    make=_sound,
    faults=FAULTS,
    sheets=_sheets,
)
