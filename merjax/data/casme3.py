"""CAS(ME)^3: the micro-expressions of part A (films shown) and part C (mock crime), in colour; depth is not read."""

import functools
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from merjax.data import frames, sheets
from merjax.data.frames import ClipFolders
from merjax.data.record import Accounted, Record
from merjax.data.repair import Known, finished, record
from merjax.types import InputError, pick


class Part(NamedTuple):
    """One part of the data set.

    Attributes:
        dataset: short name.
        subject: form of the canonical names.
        holds: regular expression of the subjects' folders, and of those of the clip pack.
        archives: folder names by release.
        sheets: patterns of file names, the preferred first.
        pages: names of the sheet to read in a workbook; without any of them the first is read.
        apex_given: whether its sheet has a column for the apex.
        ends: first and last number of a whole clip's frames, as far as they are known.
    """

    dataset: str
    subject: str
    holds: str
    archives: dict[str, tuple[str, ...]]
    sheets: tuple[str, ...]
    pages: tuple[str, ...]
    apex_given: bool
    ends: tuple[int, None] | None


PARTS = {
    "a": Part(
        "casme3a",
        "spNO.{}",
        r"spno\.?\d+(_.+_\d+)?",
        {"raw": ("Part_A_ME_clip", "frame"), "raw_full": ("part_A", "data", "part_A_split")},
        (
            "cas*me*3_part_a_me_label*v2*",
            "cas*me*3_part_a_me_label*",
            "cas*me*3_part_a_v2*",
            "cas*me*3_part_a_v1*",
        ),
        ("label", "AU+Emotion"),
        True,
        (1, None),
    ),
    "c": Part(
        "casme3c",
        "{:02}",
        r"\d{1,2}",
        {"raw_full": ("part_C", "data", "part_C_split", "")},
        ("cas*me*3_part_c_me*",),
        ("mockCrimeME",),
        False,
        None,
    ),
}

# By subject, clip and onset of part A's sheet; a clip holds several samples.
KNOWN: dict[tuple[str, str, int | None], Known] = {
    ("spNO.149", "d", 112): {"apex": (83, 123)},
    ("spNO.214", "c", 5): {"offset": (3460, 34)},
    ("spNO.216", "d", 3647): {"onset": (3647, 2647)},
    ("spNO.40", "e", 1812): {"offset": (0, 1845)},
    ("spNO.40", "e", 2327): {"offset": (0, 2403)},
}

Key = tuple[int, str, int | None]  # number of the subject, clip in lower case, and the onset in the pack's names


def records(
    root: Path, *, part: str = "a", release: str = "", sheet: str = "", repair: str = "flag"
) -> Accounted[Record]:
    """Reads every micro-expression of a sheet with its frames; rows of macro-expressions are left out.

    `raw` takes the clip pack of part A if it is there, and otherwise cuts onset to offset out of the whole clips. A
    clip holds several samples, so the sample_id ends with the onset that the sheet has. Of several sheets the second
    version of the micro-expressions is taken before the first, and these before the sheets that hold all expressions
    (OUR CHOICE). `fps` is 0 for unknown: no source that was checked states it.

    Args:
      root: folder that holds the part's folder, or the clip pack, and the sheet.
      part: `a` (dataset `casme3a`) or `c` (`casme3c`, whose sheet has no apex).
      release: `raw` (onset to offset), `raw_full` (the whole clip in every record), or empty for `raw`.
      sheet: path or name of the sheet, or empty for the first there is.
      repair: `flag` repairs what is certain, `strict` also drops every clip with an issue, `none` repairs nothing.

    Returns:
      Samples by subject, clip and onset. The frames of one that can't be used are empty.

    Raises:
      InputError: no such part, release or sheet, or the sheet has a fault.
    """
    chosen = pick(PARTS, "part", part)
    whole = pick({"raw": False, "raw_full": True}, "data.release", release or "raw")
    places = _places(frames.absolute(root), f"part_{part}")
    packed, found = _folders(chosen, places, whole)
    folders = ClipFolders(places[0], found)
    read = functools.cache(frames.read)  # the samples of a clip share its folder
    rows = _rows(_sheet(chosen, places, sheet), chosen.pages)
    samples, others = [], Counter[str]()
    for row in rows:
        number, clip = sheets.key(row)
        subject, onset = chosen.subject.format(number), sheets.whole(row.cells["onset"])
        known = KNOWN.get((subject, clip, onset), {})
        starts = _starts(onset, known) if packed else (None,)
        paths = (folders.get((number, clip.casefold(), start)) for start in starts)
        path = next(filter(None, paths), None)
        kind = sheets.text(row.cells.get("expressiontype", "micro")).lower()
        if not kind.startswith("micro"):
            others[kind or "no type"] += 1
            continue
        samples.append(
            record(
                row.cells,
                read(path),
                dataset=chosen.dataset,
                release=release or "raw",
                subject=subject,
                clip=clip,
                fps=0.0,
                sample_id=f"{chosen.dataset}/{subject}/{clip}/{sheets.text(row.cells['onset'])}",
                known=known,
                holds="whole" if whole else "recording",
                ends=chosen.ends if not packed else None,
                apex_given=chosen.apex_given,
                policy=repair,
            )
        )
    return finished(samples, repair, rows, folders, others)


def _places(root: Path, name: str) -> list[Path]:
    """Lists the root, the part's folder in it, and that folder's repetition: frames and sheets lie deep in them."""
    places = [root]
    while len(places) < 3 and (inner := frames.subfolders(places[-1]).get(name)):
        places.append(Path(inner))
    return places


def _folders(part: Part, places: list[Path], whole: bool) -> tuple[bool, dict[Key, str]]:
    """Finds the folders of colour frames, and whether they are the clip pack's, of which each holds one sample."""
    start = places[-1]
    if not whole and "part_a_me_clip" in frames.subfolders(places[0]):
        start = places[0]
    found = frames.release(start, part.archives, part.holds, "raw_full" if whole else "")
    if found.name == "raw":
        named = ((re.fullmatch(r"spno\.?(\d+)_(.+)_(\d+)", name), path) for name, path in found.folders.items())
        return True, {(int(name[1]), name[2], int(name[3])): path for name, path in named if name}
    folders: dict[Key, str] = {}
    for number, subject in frames.by_number(found.folders).items():
        for clip, path in frames.subfolders(subject).items():
            if colour := frames.subfolders(path).get("color"):
                folders[number, clip, None] = colour
    return False, folders


def _starts(onset: int | None, known: Known) -> tuple[int | None, int | None]:
    """The onsets that the name of a pack's folder may have: the sheet's and the right one."""
    return onset, 1 if onset == 0 else known.get("onset", (onset, onset))[1]


def _sheet(part: Part, places: list[Path], asked: str) -> Path:
    for pattern in (asked.lower(),) if asked else part.sheets:
        for place in places:
            if path := sheets.search(place, (pattern,)):
                return path
    return sheets.find(places[0], part.sheets, asked)


def _rows(path: Path, pages: tuple[str, ...]) -> Accounted[sheets.Row]:
    for page in pages:
        try:
            return sheets.samples(path, sheet_name=page, several=True)
        except InputError:
            continue  # other versions have other sheets
    return sheets.samples(path, several=True)
