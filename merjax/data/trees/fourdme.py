"""4DME in miniature: the grey videos of the micro-expressions, and a sheet with several labels a clip."""

import functools
import re

from merjax.data.trees.recipe import Book, Cell, Layout, Recipe, Sample, Slot, codes, row

SHEET = "4DME_Labelling_Micro_release v1.xlsx"
CLASSES = ("Positive", "Negative", "Surprise", "Repression", "Others")
UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 45)

_row = functools.partial(row, dataset="4dme", fps=60.0, au="AU4+7")


def _sound(slot: Slot, emotion: str) -> list[Sample]:
    first = 1800 + 100 * slot.rank + slot.start
    last = first + slot.length - 1
    clip = f"{slot.subject}_{91 + slot.rank // 9:03d}_01_{1 + slot.rank % 9}"
    units = f"AU{codes(emotion, slot.turn)['au']}"
    return [_row(slot.subject, clip, first, first + slot.rise, last, emotion, au=units)]


FAULTS = {
    "joint_labels": (
        _row("S08", "S08_002_01_1", 1831, 1835, 1839, "Surprise+Positive", au="AU1+12"),
        _row("S08", "S08_095_01_2", 1861, 1865, 1869, "Negative+Repression"),
    ),
    "static_units": (
        _row("S02", "S02_095_01_1", 1831, 1835, 1839, "Positive", au="AU4+6(k)+12(k)"),
        _row("S02", "S02_095_01_2", 1861, 1865, 1869, "Surprise", au="AUR1+2+ L4+45"),
    ),
    "units_swapped": (  # the AU columns of two neighbouring rows have changed places
        _row("S09", "S09_095_01_1", 1831, 1835, 1839, "Positive", au="AU6+12", disk={"columns": "AU4+7"}),
        _row("S09", "S09_095_01_2", 1861, 1865, 1869, "Negative", au="AU4+7", disk={"columns": "AU6+12"}),
    ),
    "folder_missing": (_row("S03", "S03_095_01_1", 1831, 1835, 1839, "Others", on_disk=False),),
    "stray_files": (_row("S03", "S03_095_01_2", 1861, 1865, 1869, "Others"),),
    "truncated_jpeg": (_row("S03", "S03_095_01_3", 1891, 1895, 1899, "Others"),),
    "doubled_folder": (),
    "totals_row": (),  # the last row counts the columns
    "primed_header": (),  # header cells end with an apostrophe
}


def _sheets(samples: list[Sample], planted: tuple[str, ...]) -> dict[str, Book]:
    prime = "'" * ("primed_header" in planted)
    header = ["sub_ID", "fold_name", "Onset", "Apex", "Offset", "AUs", "Emotion"]
    flags = [*CLASSES, *(f"AU{n}" for n in UNITS), "eye blink"]
    rows: list[list[Cell]] = [[name + prime for name in (*header, *flags, "fold", "Total")]]
    for s in samples:
        numbers = [None if cell is None else float(cell) for cell in (s.onset, s.apex, s.offset)]
        found = {int(n) for n in re.findall(r"\d+", str(s.disk.get("columns", s.au)))}
        ones: list[Cell] = [int(name in s.emotion.split("+")) for name in CLASSES]
        ones += [int(n in found) for n in UNITS]
        blink = int(45 in found)
        rows.append([s.subject, s.clip, *numbers, s.au, s.emotion, *ones, blink, 1 + len(rows) % 5, 1])
    if "totals_row" in planted:
        sums: list[Cell] = [sum(int(cells[7 + n] or 0) for cells in rows[1:]) for n in range(len(flags))]
        rows.append([None, "total", None, None, None, None, None, *sums, None, len(samples)])
    return {SHEET: {"Sheet1": rows}}


_PLACE, _FILE = "/{subject}/{clip}", "Frame_{n:09d}.jpg"
RECIPE = Recipe(
    subjects=tuple(f"S{n:02d}" for n in range(1, 42)),
    emotions=("Positive", "Negative", "Surprise", "Repression", "Others"),
    layouts=(
        Layout("raw", "gray_micro" + _PLACE, _FILE, pixels="grey"),
        Layout("cropped", "gray_micro_crop" + _PLACE, _FILE, aspect=0.8, pixels="grey", vary=True),
        Layout("short", "micro_short_gray_video_cropped" + _PLACE, _FILE, aspect=0.8, pixels="grey", vary=True),
    ),
    make=_sound,
    faults=FAULTS,
    sheets=_sheets,
)
