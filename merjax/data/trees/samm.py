"""SAMM in miniature: grey images, and a workbook whose header stands in row 14."""

import functools

from merjax.data.trees.recipe import Book, Cell, Layout, Recipe, Sample, Slot, codes, row

SHEET = "SAMM_Micro_FACS_Codes_v2.xlsx"
EDITED = "SAMM_Micro_FACS_Codes_v2_edited.xlsx"
HEADER: list[Cell] = [
    *("Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame", "Duration", "Micro"),
    *("Action Units", "Estimated Emotion", "Objective Classes", "Notes"),
]
PREAMBLE = 13  # rows of title, notes and symbols before the header

_row = functools.partial(row, dataset="samm", au=4, objective=4)


def _sound(slot: Slot, emotion: str) -> list[Sample]:
    first = {0: 5562, 1: 9997}.get(slot.turn, 1000 + 100 * slot.start + slot.rank)  # the second passes to five digits
    clip = f"{slot.subject}_{1 + slot.rank % 7}_{41 + slot.rank // 7}"
    last = first + slot.length - 1
    return [_row(slot.subject, clip, first, first + slot.rise, last, emotion, **codes(emotion, slot.turn))]


FAULTS = {
    "apex_below_onset": (_row("032", "032_3_1", 4896, 4930, 4940, "Anger", apex=1930),),
    "apex_above_offset": (_row("028", "028_4_1", 1100, 1113, 1134, "Anger", apex=1143),),
    "apex_after_onset": (_row("032", "032_3_2", 5101, 5130, 5140, "Anger", apex=5102),),
    "short_number": (_row("006", "006_1_91", 2101, 2105, 2109, "Happiness"),),
    "action_units": tuple(
        _row("007", f"007_2_9{n}", 3101 + 20 * n, 3105 + 20 * n, 3109 + 20 * n, "Contempt", au=text)
        for n, text in enumerate(("(R6 or R12)+R15", "ref(7B)+43", "10A/B"))
    ),
    "others": (_row("009", "009_3_91", 4101, 4105, 4109, "Other", objective=7),),
    "folder_missing": (_row("009", "009_4_91", 4201, 4205, 4209, "Anger", on_disk=False),),
    "stray_files": (_row("009", "009_5_91", 4301, 4305, 4309, "Surprise"),),
    "truncated_jpeg": (_row("009", "009_6_91", 4401, 4405, 4409, "Fear"),),
    "doubled_folder": (),
    "header_first": (),  # a second workbook that begins with the header
}


def coding(samples: list[Sample], *, preamble: int = PREAMBLE) -> Book:
    """The workbook; Duration is a formula, and so without a value until a spreadsheet has computed it."""
    notes: list[list[Cell]] = [[f"Invented note {n + 1}"] for n in range(preamble)]
    rows = [*notes, HEADER]
    for line, s in enumerate(samples, start=preamble + 2):
        duration = f"=F{line}-D{line}+1"
        note = None if line % 2 else "invented"
        numbers: list[Cell] = [int(s.clip.split("_")[1]), s.onset, s.apex, s.offset, duration]
        rows.append([s.subject, s.clip, *numbers, "Micro - 1/2", s.au, s.emotion, s.objective, note])
    return {"MICRO_ONLY": rows}


def _sheets(samples: list[Sample], planted: tuple[str, ...]) -> dict[str, Book]:
    books = {SHEET: coding(samples)}
    return books | ({EDITED: coding(samples, preamble=0)} if "header_first" in planted else {})


RECIPE = Recipe(
    subjects=tuple(f"{n:03d}" for n in (6, 7, *range(9, 27), 28, *range(30, 38))),
    emotions=("Happiness", "Anger", "Surprise", "Other", "Contempt", "Disgust", "Fear", "Sadness"),
    layouts=(
        Layout("raw", "SAMM/{subject}/{clip}", "{subject}_{n:05d}.jpg", aspect=960 / 650, pixels="grey"),
        Layout("cropped", "SAMM_CROP/{subject}/{clip}", "{subject}_{n:05d}.jpg", aspect=1.0, pixels="grey", vary=True),
    ),
    make=_sound,
    faults=FAULTS,
    sheets=_sheets,
)
