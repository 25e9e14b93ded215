"""CASME II in miniature: three releases of images and three workbooks."""

import functools

from merjax.data.trees.recipe import Book, Cell, Layout, Recipe, Sample, Slot, codes, digits, row

SHEET_2014 = "CASME2-coding-20140508.xlsx"
SHEET_2019 = "CASME2-coding-20190701.xlsx"
OBJECTIVE = "CASME2-ObjectiveClasses.xlsx"
EMOTIONS = ("happiness", "disgust", "repression", "surprise", "others")
RELABELLED = (("sub24", "EP07_01"), ("sub24", "EP07_04f"), ("sub24", "EP10_03"))  # sadness in 2014, surprise in 2019

_row = functools.partial(row, dataset="casme2", au=4, objective=4)


def _sound(slot: Slot, emotion: str) -> list[Sample]:
    first = {0: 7, 1: 96}.get(slot.turn, slot.start)  # the first two cross from 9 to 10 and from 99 to 100
    clip = f"EP{31 + slot.rank % 60}_{1 + slot.rank // 60:02d}{'f' * (slot.rank % 2)}"
    last = first + slot.length - 1
    return [_row(slot.subject, clip, first, first + slot.rise, last, emotion, **codes(emotion, slot.turn))]


FAULTS = {
    "apex_unknown": (_row("sub04", "EP12_01f", 95, 99, 103, "disgust", apex="/"),),
    "apex_on_onset": (_row("sub05", "EP09_05f", 69, 73, 77, "disgust", apex=69),),
    "apex_on_offset": (_row("sub05", "EP16_04f", 31, 34, 39, "disgust", apex=39),),
    "odd_names": (
        _row("sub09", "EP09f", 41, 44, 48, "happiness"),
        _row("sub07", "EP06_02_01", 21, 24, 28, "repression"),
        _row("sub03", "EP01_2", 11, 14, 18, "others"),
    ),
    "same_name": (
        _row("sub01", "EP95_01", 51, 54, 58, "disgust"),
        _row("sub02", "EP95_01", 61, 64, 68, "surprise"),
    ),
    "action_units": (
        _row("sub01", "EP96_01", 31, 34, 38, "disgust", au=12),
        _row("sub01", "EP96_02", 41, 44, 48, "disgust", au="4+7+L10"),
    ),
    "folder_missing": (_row("sub24", "EP02_07", 41, 44, 48, "disgust", on_disk=False),),
    "offset_beyond_folder": (_row("sub12", "EP09_06", 98, 102, 106, "disgust", apex=111, offset=111),),
    "range_elsewhere": (_row("sub07", "EP06_01", 56, 60, 64, "disgust", onset=15, apex=49, offset=68),),
    "changed_labels": tuple(_row(*key, 31, 34, 38, "sadness") for key in RELABELLED),
    "stray_files": (_row("sub01", "EP97_01", 21, 24, 28, "others"),),
    "truncated_jpeg": (_row("sub02", "EP97_02", 21, 24, 28, "others"),),
    "doubled_folder": (),
    "edited_sheet": (),  # the workbook of 2019 without empty columns, its subjects numbers
}


def coding(
    samples: list[Sample], *, objective: bool = False, spacers: bool = True, text: bool = True, relabel: bool = False
) -> Book:
    """The workbook: as the owners made it, or as others edited it.

    Args:
        samples: one a row.
        objective: with the column of objective classes.
        spacers: with empty columns.
        text: subjects as text with leading zeros, not as numbers.
        relabel: with the three labels of 2019.
    """
    header: list[Cell] = ["Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None]
    rows: list[list[Cell]] = [header + ["Action Units", "Estimated Emotion"] + ["Objective Classes"] * objective]
    for s in samples:
        subject = s.subject.removeprefix("sub") if text else digits(s.subject)
        emotion = "surprise" if relabel and (s.subject, s.clip) in RELABELLED else s.emotion
        cells: list[Cell] = [subject, s.clip, None, s.onset, s.apex, s.offset, None, s.au, emotion]
        rows.append(cells + [s.objective] * objective)
    if not spacers:
        rows = [[cell for column, cell in enumerate(cells) if header[column : column + 1] != [None]] for cells in rows]
    return {"Sheet1": rows, "Sheet2": [], "Sheet3": []}


def objective_classes(samples: list[Sample]) -> Book:
    """The workbook of classes alone."""
    rows: list[list[Cell]] = [[s.subject.removeprefix("sub"), s.clip, s.objective] for s in samples]
    return {"Sheet1": [["Subject", "Filename", "Objective Class"], *rows]}


def _sheets(samples: list[Sample], planted: tuple[str, ...]) -> dict[str, Book]:
    edited = "edited_sheet" in planted
    return {
        SHEET_2014: coding(samples),
        SHEET_2019: coding(samples, objective=True, spacers=not edited, text=not edited, relabel=True),
        OBJECTIVE: objective_classes(samples),
    }


RECIPE = Recipe(
    subjects=tuple(f"sub{n:02d}" for n in range(1, 27)),
    emotions=EMOTIONS,
    layouts=(
        Layout("raw_full", "CASME2-RAW/{subject}/{clip}", "img{n}.jpg", head=4),
        Layout("raw", "CASME2_RAW_selected/{subject}/{clip}", "img{n}.jpg"),
        Layout("cropped", "Cropped/{subject}/{clip}", "reg_img{n}.jpg", aspect=28 / 34, vary=True),
    ),
    make=_sound,
    faults=FAULTS,
    sheets=_sheets,
)
