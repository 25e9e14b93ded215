"""SMIC-E: the recordings around the clips of SMIC, with neutral frames before and after, for spotting."""

from collections.abc import Mapping
from pathlib import Path

from merjax.data import frames, sheets
from merjax.data.frames import ClipFolders
from merjax.data.record import Accounted, Record
from merjax.data.repair import Numbers, finished, record
from merjax.data.smic import clip_name, subject_name
from merjax.types import pick

FPS = {"smic_hs_e": 100.0, "smic_vis_e": 25.0}  # by the camera, one data set each
ARCHIVE = "SMIC-E_raw image"
# Onset, offset and length of a clip's micro-expressions; nearly all clips have one.
MOVEMENTS = (
    ("onset", "offset", "totalmf1"),
    ("onset2f", "offset2f", "totalmf2"),
    ("onset3f", "offset3f", "totalmf3"),
)


def records(
    root: Path, *, dataset: str = "smic_hs_e", release: str = "", sheet: str = "", repair: str = "flag"
) -> Accounted[Record]:
    """Reads every micro-expression of one camera's sheet with all the frames of its recording.

    A recording with two micro-expressions gives two records, so the onset is part of every `sample_id`. Longer
    versions of the sheet list the second ones once more in rows of their own, whose folders don't exist: these have
    the code `folder_missing`. Of several sheets the first in natural order is taken (OUR CHOICE).

    Args:
      root: folder that holds the archive or its folders.
      dataset: `smic_hs_e` or `smic_vis_e`, which is the name of a sheet in the workbook too.
      release: `raw_full` or empty, which is the same.
      sheet: path or name of the workbook, or empty for the first there is.
      repair: `flag` repairs what is certain, `strict` also drops every clip with an issue, `none` repairs nothing.

    Returns:
      Micro-expressions by subject, clip and onset. The frames of one that can't be used are empty.

    Raises:
      InputError: no such data set, frames or sheet, or the sheet has a fault.
    """
    fps = pick(FPS, "data.name", dataset)
    camera = dataset.split("_")[1].upper()
    root = frames.absolute(root)
    archive = _archive(root)
    archives = (f"SMIC-{camera}-E", f"{camera}_long", camera, ARCHIVE)
    found = frames.release(archive, {"raw_full": archives}, r"s\d+", release)
    named = frames.clips(found.folders).items()
    folders = ClipFolders(root, {(number, clip_name(clip)): path for (number, clip), path in named})
    rows = sheets.samples(_sheet(root, archive, camera, sheet), sheet_name=camera, several=True)
    clips = []
    for row in rows:
        number, clip = sheets.serial(row.cells["subject"], row.where), clip_name(sheets.text(row.cells["clip"]))
        folder = frames.read(folders.get((number, clip)))
        for numbers in _movements(row.cells):
            clips.append(
                record(
                    row.cells,
                    folder,
                    dataset=dataset,
                    release=found.name,
                    subject=subject_name(number),
                    clip=clip,
                    sample_id=f"{dataset}/{subject_name(number)}/{clip}/{numbers.onset or 0}",
                    fps=fps,
                    numbers=numbers,
                    holds="whole",
                    ends=_ends(row.cells),
                    apex_given=False,
                    policy=repair,
                )
            )
    return finished(clips, repair, rows, folders)


def _archive(root: Path) -> Path:
    """Steps into the archive's folder, however often unzipping has repeated it: what is sought lies deep in it."""
    while inner := frames.subfolders(root).get(ARCHIVE.casefold()):
        root = Path(inner)
    return root


def _sheet(root: Path, archive: Path, camera: str, asked: str) -> Path:
    """The workbook lies in the archive, beside the folder of the subjects, or where the user has put it."""
    patterns = (f"smic*{camera.lower()}*annotation*", "smic*annotation*")
    return sheets.search(archive, (asked.lower(),) if asked else patterns) or sheets.find(root, patterns, asked)


def _ends(cells: Mapping[str, object]) -> tuple[int, int] | None:
    """First and last frame of a recording; None where they are formulas without stored values."""
    first, last, count = (sheets.whole(cells.get(name)) for name in ("firstf", "lastf", "totalvl"))
    last = last or (first + count - 1 if first and count else None)
    return (first, last) if first and last else None


def _movements(cells: Mapping[str, object]) -> list[Numbers]:
    """A clip's micro-expressions; an offset that is a formula without a stored value follows from the length."""
    found = []
    for role, (first, last, length) in enumerate(MOVEMENTS):
        onset, offset, count = (sheets.whole(cells.get(name)) for name in (first, last, length))
        if onset and count and not offset:
            offset = onset + count - 1
        if onset or role == 0:
            found.append(Numbers(onset, None, offset))
    return found
