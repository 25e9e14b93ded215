"""4DME: the grey videos of the micro-expressions, as recorded or as cropped faces, with several labels a clip."""

from pathlib import Path

from merjax.data import frames, sheets
from merjax.data.frames import ClipFolders
from merjax.data.record import Accounted, Record
from merjax.data.repair import finished, record

RELEASES = {
    "cropped": ("gray_micro_crop",),
    "short": ("micro_short_gray_video_cropped",),
    "raw": ("gray_micro",),
}
SHEETS = ("4dme_labelling_micro*", "4dme*micro*")


def records(root: Path, *, release: str = "", sheet: str = "", repair: str = "flag") -> Accounted[Record]:
    """Reads every clip of the sheet with its frames.

    A joint label keeps its parts, joined by "+". Action units come from their text: the columns with a 0 or 1 for each
    unit are not read, for two rows of the release have them swapped. Where releases lie side by side, cropped faces are
    taken before the short videos and these before the recorded frames (OUR CHOICE). Nobody states that a folder ends at
    the offset, so that more frames are no fault; they are left out. `fps` is 0 for unknown: no source that was checked
    states it.

    Args:
      root: folder that holds the releases and the sheet.
      release: `cropped`, `short` (cropped short videos), `raw`, or empty for the first there is.
      sheet: path or name of the sheet, or empty for the first there is.
      repair: `flag` repairs what is certain, `strict` also drops every clip with an issue, `none` repairs nothing.

    Returns:
      Clips by subject and clip. The frames of one that can't be used are empty.

    Raises:
      InputError: no such release or sheet, or the sheet has a fault.
    """
    root = frames.absolute(root)
    found = frames.release(root, RELEASES, r"s\d+", release)
    folders = ClipFolders(root, frames.clips(found.folders))
    rows = sheets.samples(sheets.find(root, SHEETS, sheet))
    clips = []
    for row in rows:
        number, clip = sheets.key(row)
        clips.append(
            record(
                row.cells,
                frames.read(folders.get((number, clip.casefold()))),
                dataset="4dme",
                release=found.name,
                subject=f"S{number:02}",
                clip=clip,
                fps=0.0,
                policy=repair,
            )
        )
    return finished(clips, repair, rows, folders)
