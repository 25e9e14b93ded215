"""MMEW: 300 micro-expressions as face crops, named by subject, emotion and sample; no macro-expressions."""

import re
from collections.abc import Collection
from pathlib import Path

from merjax.data import frames, sheets
from merjax.data.frames import ClipFolders
from merjax.data.record import Accounted, Record
from merjax.data.repair import finished, record
from merjax.types import InputError

FPS = 90.0  # INFERRED: of the literature; neither the owners' page nor the sheet says it
FOLDERS = ("Micro_Expression", "MMEW_Final", "MMEW", "")
EMOTIONS = ("happiness", "surprise", "disgust", "others", "repression", "fear", "sadness", "anger")
# What lies in the folder of micro-expressions: clips by emotion, or subjects, as the owners' page describes it.
RELEASES = {"final": "|".join(EMOTIONS), "official": r"s\d+"}
SHEETS = ("mmew_micro_exp.*", "mmew_micro_exp*", "mmew*")


def records(root: Path, *, release: str = "", sheet: str = "", repair: str = "flag") -> Accounted[Record]:
    """Reads every micro-expression of the sheet with its frames.

    The sheet counts frames from 1 within the clip's folder, where the files are named 1, 2, ... An offset beyond the
    last file becomes the last file (`frame_missing:offset` and `frame_gap`), an apex beyond it is dropped
    (`apex_outside`). Class 4 is `others` in sheet and folders and `repression` on the owners' page: either is the
    emotion `others` here (OUR CHOICE).

    Args:
      root: folder that holds the archive, or its folder of micro-expressions, and the sheet.
      release: `final` (emotion/clip), `official` (subject/emotion/clip), or empty for what is there.
      sheet: path or name of the sheet, or empty for the first there is.
      repair: `flag` repairs what is certain, `strict` also drops every clip with an issue, `none` repairs nothing.

    Returns:
      Clips by subject and clip. The frames of one that can't be used are empty.

    Raises:
      InputError: no such release or sheet, or the sheet has a fault.
    """
    root = frames.absolute(root)
    holds = RELEASES.get(release) or "|".join(RELEASES.values())
    found = frames.release(root, dict.fromkeys(RELEASES, FOLDERS), holds, release)
    by_subject = re.fullmatch(RELEASES["official"], next(iter(found.folders)))
    folders = ClipFolders(root, _clips(found.folders.values(), levels=2 if by_subject else 1))
    rows = sheets.samples(sheets.find(root, SHEETS, sheet))
    clips = []
    for row in rows:
        clip = sheets.text(row.cells["clip"])
        named = re.fullmatch(r"[Ss](\d+)-\d+-\d+", clip)
        if named is None:
            raise InputError(f"{row.where}: clip '{clip}' should be named like S03-01-002.")
        one = record(
            row.cells,
            frames.read(folders.get(clip.casefold())),
            dataset="mmew",
            release="official" if by_subject else "final",
            subject=f"S{int(named[1]):02}",
            clip=clip,
            fps=FPS,
            holds="clip",
            policy=repair,
        )
        clips.append(one._replace(emotion="others") if one.emotion == "repression" else one)
    return finished(clips, repair, rows, folders)


def _clips(folders: Collection[str], levels: int) -> dict[str, str]:
    """The folders that lie so many levels below these, by name in lower case."""
    inside = [frames.subfolders(folder) for folder in folders]
    if levels > 1:
        return _clips([path for each in inside for path in each.values()], levels - 1)
    return {name: path for each in inside for name, path in each.items()}
