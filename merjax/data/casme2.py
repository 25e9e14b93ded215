"""CASME II: 255 clips at 200 frames a second, as recorded, as selected or as cropped faces."""

from pathlib import Path

from merjax.data import frames, sheets
from merjax.data.frames import ClipFolders
from merjax.data.record import Accounted, Record
from merjax.data.repair import finished, record

FPS = 200.0
RELEASES = {
    "cropped": ("Cropped", "Cropped-updated", "CASME2-Cropped"),
    "raw": ("CASME2_RAW_selected", "RAW_selected"),
    "raw_full": ("CASME2-RAW", "RAW"),
}
HOLDS = {"cropped": "range", "raw": "range", "raw_full": "whole"}
SHEETS = (
    "casme2-coding-20140508*",
    "casme2-coding-20190701*",
    "casme2*coding*",
    "casme2*label*",
)
OBJECTIVE = "casme2-objectiveclasses*"

Key = tuple[int, str]  # number of the subject and name of the clip: the name alone is not unique


def records(root: Path, *, release: str = "", sheet: str = "", repair: str = "flag") -> Accounted[Record]:
    """Reads every clip of a sheet with its frames.

    Where the sheet and a folder of selected or cropped frames differ, the folder's first and last number win. Objective
    classes come from their own file where there is one, as in MEGC 2018, unless a sheet is asked for that has them
    (OUR CHOICE). Where releases lie
    side by side, cropped faces are taken before selected frames and these before whole recordings; of several sheets
    that of 2014, whose labels MEGC 2019 uses (both OUR CHOICE).

    Args:
      root: folder that holds the releases and the sheet.
      release: `cropped`, `raw` (onset to offset), `raw_full` (all that was recorded), or empty for the first there is.
      sheet: path or name of the sheet, or empty for the first there is.
      repair: `flag` repairs what is certain, `strict` also drops every clip with an issue, `none` repairs nothing.

    Returns:
      Clips by subject and clip. The frames of one that can't be used are empty.

    Raises:
      InputError: no such release or sheet, or the sheet has a fault.
    """
    root = frames.absolute(root)
    found = frames.release(root, RELEASES, r"sub\d+", release)
    folders = ClipFolders(root, frames.clips(found.folders))
    rows = sheets.samples(sheets.find(root, SHEETS, sheet))
    objective = {} if sheet and "objective" in rows[0].cells else _objective_classes(root)
    clips = []
    for row in rows:
        subject, clip = key = sheets.key(row)
        clips.append(
            record(
                row.cells | ({"objective": objective.get(key)} if objective else {}),
                frames.read(folders.get((subject, clip.casefold()))),
                dataset="casme2",
                release=found.name,
                subject=f"sub{subject:02}",
                clip=clip,
                fps=FPS,
                holds=HOLDS[found.name],
                ends=(1, None) if found.name == "raw_full" else None,
                policy=repair,
            )
        )
    return finished(clips, repair, rows, folders)


def _objective_classes(root: Path) -> dict[Key, object]:
    path = sheets.search(root, (OBJECTIVE,))
    rows = sheets.samples(path, required=("subject", "clip", "objective")) if path else []
    return {sheets.key(row): row.cells["objective"] for row in rows}
