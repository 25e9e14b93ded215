"""CASME, the first version: clips at 60 frames a second, as selected or as cropped faces."""

from pathlib import Path

from merjax.data import frames, sheets
from merjax.data.frames import ClipFolders
from merjax.data.record import Accounted, Record
from merjax.data.repair import finished, record

FPS = 60.0
RELEASES = {"cropped": ("Cropped", "CASME-Cropped"), "raw": ("CASME_raw_selected", "raw_selected")}
SHEETS = ("casme[!2]*",)


def records(root: Path, *, release: str = "", sheet: str = "", repair: str = "flag") -> Accounted[Record]:
    """Reads every clip of the sheet with its frames.

    Where the sheet and a folder differ, the folder's first and last number win. The sheet's second apex is not read.
    Where releases lie side by side, cropped faces are taken before selected frames (OUR CHOICE).

    Args:
      root: folder that holds the releases and the sheet.
      release: `cropped`, `raw` (onset to offset), or empty for the first there is.
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
    clips = []
    for row in rows:
        number, clip = sheets.key(row)
        clips.append(
            record(
                row.cells,
                frames.read(folders.get((number, clip.casefold()))),
                dataset="casme",
                release=found.name,
                subject=f"sub{number:02}",
                clip=clip,
                fps=FPS,
                holds="range",
                policy=repair,
            )
        )
    return finished(clips, repair, rows, folders)
