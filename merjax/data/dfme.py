"""DFME: clips of three cameras, each with its own frames a second."""

from pathlib import Path

from merjax.data import frames, sheets
from merjax.data.frames import ClipFolders
from merjax.data.record import Accounted, Record
from merjax.data.repair import finished, record
from merjax.types import InputError

RELEASES = {"raw": ("DFME", "")}
SHEETS = ("training_full_with_au*", "training*", "testa*", "testb*")


def records(root: Path, *, release: str = "", sheet: str = "", repair: str = "flag") -> Accounted[Record]:
    """Reads every clip of one table with its frames.

    Of several tables the training part's is taken (OUR CHOICE). Nobody states that a folder ends at the offset, so that
    more frames are no fault; they are left out.

    Args:
      root: folder that holds the clips' folders and the table.
      release: `raw`, or empty.
      sheet: path or name of the table, or empty for the first there is.
      repair: `flag` repairs what is certain, `strict` also drops every clip with an issue, `none` repairs nothing.

    Returns:
      Clips by subject and clip. The frames of one that can't be used are empty.

    Raises:
      InputError: no such release or table, or the table has a fault, such as a row without frames a second.
    """
    root = frames.absolute(root)
    found = frames.release(root, RELEASES, r"sub\d+_\d+", release)
    folders = ClipFolders(root, found.folders)
    rows = sheets.samples(sheets.find(root, SHEETS, sheet))
    clips = []
    for row in rows:
        number, clip = sheets.key(row)
        clips.append(
            record(
                row.cells,
                frames.read(folders.get(clip.casefold())),
                dataset="dfme",
                release=found.name,
                subject=f"sub{number:04}",
                clip=clip,
                fps=_fps(row),
                policy=repair,
            )
        )
    return finished(clips, repair, rows, folders)


def _fps(row: sheets.Row) -> float:
    fps = sheets.whole(row.cells.get("fps"))
    if fps is None or fps <= 0:
        raise InputError(f"{row.where}: Fps '{sheets.text(row.cells.get('fps'))}' should be the frames a second.")
    return float(fps)
