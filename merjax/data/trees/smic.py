"""SMIC (HS, VIS, NIR: labels in the path, no sheet) and SMIC-E (long clips with a sheet) in miniature."""

from typing import Any

from merjax.data.trees.recipe import Book, Cell, Layout, Recipe, Sample, Slot, digits, row

EMOTIONS = ("negative", "positive", "surprise")
CODES = {"negative": "ne", "positive": "po", "surprise": "sur"}
SLOW = (11, 12, 13, 14, 15, 18, 19, 20)  # the subjects who also have VIS and NIR
DIGITS = dict.fromkeys((2, 4, 9, 13, 14), 5) | dict.fromkeys((5, 12, 18), 7) | dict.fromkeys((19, 20), 8)
SHEET = "SMIC-E_raw image/HS_long/SMIC-HS-E_annotation.xlsx"
LONG_HEADER: list[Cell] = [
    *("Subject", "Filename", None, "OnsetF", "OffsetF", "Onset2F", "Offset2F", "Onset3F", "Offset3F", None),
    *("FirstF", "LastF", "TotalMF1", "TotalMF2", "TotalMF3", "TotalVL", "Emotion"),
]
HEAD = 6  # neutral frames before and after the movement of a long clip


def _row(
    subject: int, number: int, first: int, peak: int, last: int, emotion: str, group: str = "HS", **fields: Any
) -> Sample:
    """A clip of SMIC; its names are not padded, its subject's canonical name is."""
    nir = group == "NIR"  # whose crops are named without the word image
    disk: dict[str, Any] = {"group": group, "person": f"s{subject}", "branch": f"micro/{emotion}"}
    disk |= {"word": "" if nir else "image", "pad": 5 if nir else 6} | fields.pop("disk", {})
    clip = f"s{subject}_{CODES.get(emotion, 'non')}_{number:02d}"
    known: dict[str, Any] = {
        "dataset": f"smic_{group.lower()}",
        "fps": 100.0 if group == "HS" else 25.0,
        "apex": None,
        "disk": disk,
    }
    return row(f"s{subject:02d}", clip, first, peak, last, emotion, **known | fields)


def _first(slot: Slot) -> int:
    person = digits(slot.subject)
    return 3 * 10 ** (DIGITS.get(person, 6) - 1) + 1000 * slot.rank + slot.start


def _sound(slot: Slot, emotion: str) -> list[Sample]:
    person, first = digits(slot.subject), _first(slot)
    numbers = (first, first + slot.rise, first + slot.length - 1)
    samples = [_row(person, 51 + slot.rank, *numbers, emotion)]
    if slot.rank == 0:
        rest: dict[str, Any] = {"kind": "non_micro", "disk": {"branch": "non_micro"}}
        samples.append(_row(person, 51, first + 500, first + 502, first + 505, "non_micro", **rest))
    if person in SLOW:
        samples += [_row(person, 51 + slot.rank, *numbers, emotion, group=group) for group in ("VIS", "NIR")]
    return samples


FAULTS = {
    "hole": (_row(1, 91, 301101, 301104, 301108, "positive", missing=(301105,)),),
    "counter_grows": (
        _row(2, 91, 99997, 100000, 100004, "negative"),
        _row(11, 91, 999997, 1000000, 1000004, "surprise"),
    ),
    "stray_files": (_row(1, 92, 302101, 302104, 302108, "surprise"),),
    "doubled_folder": (),
}


def _long(subject: int, number: int, first: int, peak: int, last: int, emotion: str, **fields: Any) -> Sample:
    known: dict[str, Any] = {"dataset": "smic_hs_e", "disk": {}}
    return _row(subject, number, first, peak, last, emotion, **known | fields)


def _sound_long(slot: Slot, emotion: str) -> list[Sample]:
    first = _first(slot)
    numbers = (first, first + slot.rise, first + slot.length - 1)
    return [_long(digits(slot.subject), 51 + slot.rank, *numbers, emotion)]


LONG_FAULTS = {
    "second_movement": (
        _long(3, 91, 303101, 303104, 303108, "negative"),
        _long(3, 91, 303121, 303125, 303129, "negative"),
    ),
    "folder_missing": (_long(3, 3, 303121, 303125, 303129, "negative", on_disk=False),),
    "trailing_text": (),
}


def _long_rows(samples: list[Sample], plain: bool = False) -> list[list[Cell]]:
    """One row a clip, its second movement in columns of its own; formulas as in the original, unless plain."""
    clips: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        clips.setdefault((sample.subject, sample.clip), []).append(sample)
    rows = [LONG_HEADER]
    for line, movements in enumerate(clips.values(), start=2):
        first, second = movements[0], movements[1] if len(movements) > 1 else None
        lengths = [s.last - s.first + 1 if s else None for s in (first, second, None)]
        start, whole = first.first - HEAD, movements[-1].last - first.first + 1 + 2 * HEAD
        formulas: list[Cell] = [f"=D{line}+M{line}-1", f"=D{line}-{HEAD}", f"=K{line}+P{line}-1"]
        end, begin, close = [first.offset, start, start + whole - 1] if plain else formulas
        more = [second.onset, second.offset, None, None] if second else [None] * 4
        names: list[Cell] = [digits(first.subject), first.clip, None, first.onset]
        rows.append([*names, end, *more, None, begin, close, *lengths, whole, first.emotion])
    return rows


def _sheets(samples: list[Sample], planted: tuple[str, ...]) -> dict[str, Book]:
    rows = _long_rows(samples)
    if "trailing_text" in planted:
        rows += [[], [None, "Invented remark on the frames"], [None, None, None, "Another remark"]]
    vis = [_row(11, 51, 2101, 2104, 2108, "positive", group="VIS")]
    return {SHEET: {"HS": rows, "VIS": _long_rows(vis, plain=True), "Sheet2": [], "Sheet3": []}}


def _no_sheets(samples: list[Sample], planted: tuple[str, ...]) -> dict[str, Book]:
    return {}


_SUBJECTS = tuple(f"s{n:02d}" for n in (1, 11, 13, 19, 2, 3, 4, 5, 6, 8, 9, 12, 14, 15, 18, 20))
_PLACE = "/{group}/{person}/{branch}/{clip}"
RECIPE = Recipe(
    subjects=_SUBJECTS,  # the first four have counters of 6, 6, 5 and 8 digits
    emotions=EMOTIONS,
    layouts=(
        Layout("raw", "SMIC_all_raw" + _PLACE, "image{n:06d}.bmp"),
        Layout("cropped", "SMIC_all_cropped" + _PLACE, "reg_{word}{n:0{pad}d}.bmp", aspect=0.8, vary=True),
    ),
    make=_sound,
    faults=FAULTS,
    sheets=_no_sheets,
)
LONG_RECIPE = Recipe(
    subjects=_SUBJECTS,
    emotions=EMOTIONS,
    layouts=(Layout("raw_full", "SMIC-E_raw image/HS_long/SMIC-HS-E/{subject}/{clip}", "image{n:06d}.jpg", head=HEAD),),
    make=_sound_long,
    faults=LONG_FAULTS,
    sheets=_sheets,
)
