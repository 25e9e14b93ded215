"""CAS(ME)^2: the micro-expressions among long videos at 30 frames a second, as recorded, selected or cropped faces."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from merjax.data import frames, sheets
from merjax.data.frames import ClipFolders
from merjax.data.record import Accounted, Record
from merjax.data.repair import finished, record
from merjax.types import InputError

FPS = 30.0
RELEASES = {"cropped": ("cropped",), "raw": ("selectedpic",), "raw_full": ("rawpic",)}
SHEETS = ("*code_final*updated*", "*code_final*")
COLUMNS = ("subject", "clip", "onset", "apex", "offset", "au", "emotion", "type")  # the sheets have no headers
SUBJECTS, VIDEOS = "naming rule1", "naming rule2"


def records(root: Path, *, release: str = "", sheet: str = "", repair: str = "flag") -> Accounted[Record]:
    """Reads every micro-expression of a workbook with its frames; rows of macro-expressions are left out.

    The workbook's first sheet has the samples; two more say which folder a participant and a video have. A long video
    is found by the numbers in its folder's name, wherever the folder lies; the code `folder_misplaced` says that it was
    another subject's (OUR CHOICE). A selected or cropped clip is taken to hold onset to offset (OUR CHOICE). A video
    holds several samples, so the sample_id ends with the onset that the sheet has. Where releases lie side by side,
    cropped faces are taken before selected frames and these before long videos, of several workbooks the updated one
    (both OUR CHOICE).

    Args:
      root: folder that holds the releases and the workbook.
      release: `cropped`, `raw` (selected clips), `raw_full` (long videos), or empty for the first there is.
      sheet: path or name of the workbook, or empty for the first there is.
      repair: `flag` repairs what is certain, `strict` also drops every clip with an issue, `none` repairs nothing.

    Returns:
      Samples by subject, clip and onset. The frames of one that can't be used are empty.

    Raises:
      InputError: no such release or workbook, or the workbook has a fault.
    """
    root = frames.absolute(root)
    found = frames.release(root, RELEASES, r"s?\d+", release)
    path = sheets.find(root, SHEETS, sheet)
    subjects, codes = _subjects(path), _codes(path)
    whole = found.name == "raw_full"
    videos = _videos(frames.by_number(found.folders)) if whole else {}
    homes = {key: home for key, (home, _) in videos.items()}
    folders = ClipFolders(
        root, {key: place for key, (_, place) in videos.items()} if whole else frames.clips(found.folders)
    )
    rows = sheets.samples(path, columns=COLUMNS, several=True)
    samples, others = [], Counter[str]()
    for row in rows:
        cells = row.cells
        participant, clip = sheets.whole(cells["subject"]), sheets.text(cells["clip"])
        number = subjects.get(participant, 0)
        key: tuple[int, Any] = number, codes.get(clip.partition("_")[0].lower()) if whole else clip.casefold()
        place = folders.get(key)
        kind = sheets.text(cells["type"]).lower()
        if not kind.startswith("micro"):
            others[kind or "no type"] += 1
            continue
        if not number:
            raise InputError(f"{row.where}: participant {participant} should be listed in the sheet '{SUBJECTS}'.")
        samples.append(
            record(
                cells,
                frames.read(place),
                dataset="casme_sq",
                release=found.name,
                subject=f"s{number:02}",
                clip=clip,
                fps=FPS,
                sample_id=f"casme_sq/s{number:02}/{clip}/{sheets.text(cells['onset'])}",
                holds="whole" if whole else "clip",
                ends=(1, None) if whole else None,
                policy=repair,
                issues=("folder_misplaced",) * (homes.get(key, number) != number),
            )
        )
    if not samples:
        raise InputError(f"{path} has no rows: the eighth column of its first sheet should say micro-expression.")
    return finished(samples, repair, rows, folders, others)


def _subjects(path: Path) -> dict[int | None, int]:
    """The number of the subject's folder for each participant."""
    subjects: dict[int | None, int] = {}
    for line in sheets.table(path, sheet_name=SUBJECTS):
        _, folder, participant = _filled(line.cells, 3)
        if (number := sheets.whole(participant)) is not None:
            subjects[number] = sheets.serial(folder, f"{path} sheet '{SUBJECTS}' row {line.number}")
    return subjects


def _codes(path: Path) -> dict[str, int]:
    """The code of each video."""
    codes = {}
    for line in sheets.table(path, sheet_name=VIDEOS):
        code, video = _filled(line.cells, 2)
        if (number := sheets.whole(code)) is not None:
            codes[sheets.text(video).lower()] = number
    return codes


def _filled(cells: Sequence[object], count: int) -> list[object]:
    return [*cells, *[None] * count][:count]


def _videos(folders: dict[int, str]) -> dict[tuple[int, int | None], tuple[int, str]]:
    """The folder of each video by subject and code, as its name has them, and the subject where it lies.

    A folder that lies with its own subject comes before a misplaced one.
    """
    videos: dict[tuple[int, int | None], tuple[int, str]] = {}
    for home, folder in folders.items():
        for name, path in frames.subfolders(folder).items():
            if match := re.match(r"(\d{2})_(\d{4})", name):
                key = int(match[1]), int(match[2])
                if key not in videos or home == key[0]:
                    videos[key] = home, path
    return videos
