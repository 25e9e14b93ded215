"""SAMM: 159 clips in grey at 200 frames a second, as recorded or as cropped faces."""

from pathlib import Path

from merjax.data import frames, sheets
from merjax.data.frames import ClipFolders
from merjax.data.record import Accounted, Record
from merjax.data.repair import Known, finished, record

FPS = 200.0
RELEASES = {"raw": ("SAMM", ""), "cropped": ("SAMM_CROP", "SAMM_cropped")}
SHEETS = ("samm_micro_facs_codes*", "samm_2*", "samm*micro*")

KNOWN: dict[tuple[str, str], Known] = {("032", "032_3_1"): {"apex": (1930, 4930)}}  # mistyped: its onset is 4896
AT_ONSET = (("032", "032_3_2"),)  # its apex is the frame after the onset, too early to be one


def records(root: Path, *, release: str = "", sheet: str = "", repair: str = "flag") -> Accounted[Record]:
    """Reads every clip of the sheet with its frames.

    Besides the codes of `repaired` there is `apex_suspect`, for the clip whose apex is the frame after its onset
    (OUR CHOICE). Where releases lie side by side, the recorded frames are taken before the cropped (OUR CHOICE).

    Args:
      root: folder that holds the releases, or the subjects' folders of the recorded one, and the sheet.
      release: `raw` (onset to offset), `cropped`, or empty for the first there is.
      sheet: path or name of the sheet, or empty for the first there is.
      repair: `flag` repairs what is certain, `strict` also drops every clip with an issue, `none` repairs nothing.

    Returns:
      Clips by subject and clip. The frames of one that can't be used are empty.

    Raises:
      InputError: no such release or sheet, or the sheet has a fault.
    """
    root = frames.absolute(root)
    found = frames.release(root, RELEASES, r"\d{3}", release)
    folders = ClipFolders(root, frames.clips(found.folders))
    rows = sheets.samples(sheets.find(root, SHEETS, sheet))
    clips = []
    for row in rows:
        number, clip = sheets.key(row)
        subject = f"{number:03}"
        onset, apex = sheets.whole(row.cells.get("onset")), sheets.whole(row.cells.get("apex"))
        suspect = (subject, clip) in AT_ONSET and onset is not None and apex == onset + 1
        clips.append(
            record(
                row.cells,
                frames.read(folders.get((number, clip.casefold()))),
                dataset="samm",
                release=found.name,
                subject=subject,
                clip=clip,
                fps=FPS,
                known=KNOWN.get((subject, clip)),
                holds="clip",
                policy=repair,
                issues=("apex_suspect",) * suspect,
            )
        )
    return finished(clips, repair, rows, folders)
