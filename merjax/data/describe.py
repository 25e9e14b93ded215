"""What lies in a data set's folder: its clips with every fault, the sizes of its images, and its faces.

Nothing is written there, and of images no more than one a clip is decoded, on at most `SAMPLE` clips.
"""

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from merjax.data import crop, frames
from merjax.data.known import KNOWN, Documented
from merjax.data.loader import Loader
from merjax.data.recognise import Found, recognise
from merjax.data.record import Accounted, Record
from merjax.data.repair import without
from merjax.types import InputError

SAMPLE = 300  # clips whose first frame is decoded for its size
WORKERS = 4
TAIL = 1024  # bytes at the end of a file in which the end of its image is looked for
SIDE = 128  # pixels of a face on the contact sheet
ENDS = {".jpg": b"\xff\xd9", ".jpeg": b"\xff\xd9", ".png": b"IEND"}


class Description(NamedTuple):
    """One data set as it was found.

    Attributes:
        found: name, place, clips and sheet; clips without their unreadable frames.
        sizes: "height x width" -> clips, of those whose first frame was decoded.
        documented: the variant of the sheet that this one seems to be; None if none is documented.
        named: whether the sheet's name says so, not only its counts.
    """

    found: Found
    sizes: Counter[str]
    documented: Documented | None
    named: bool


def describe(root: str | Path) -> tuple[Description, ...]:
    """Looks at every data set in a folder.

    Raises:
        InputError: there is none; the sentence says what was expected and what was found.
    """
    return tuple(_described(found) for found in recognise(root))


def _described(found: Found) -> Description:
    records = found.records
    chosen = set(np.linspace(0, len(records) - 1, min(SAMPLE, len(records))).round().astype(int).tolist())
    with ThreadPoolExecutor(WORKERS) as pool:
        seen = list(pool.map(lambda i: _look(records[i], i in chosen), range(len(records))))
    sizes = Counter(size for size, _ in seen if size)
    sound = (without(one, broken) for one, (_, broken) in zip(records, seen, strict=True))
    records = Accounted(sound, records.account)
    variants = KNOWN[found.name].documented
    sheet = found.sheet.name.lower() if found.sheet else ""
    named = [one for one in variants if fnmatchcase(sheet, one.pattern)]
    emotions = Counter(record.emotion for record in records)
    nearest = min(named or variants, key=lambda one: _distance(emotions, len(records), one), default=None)
    return Description(found._replace(records=records), sizes, nearest, bool(named))


def _look(record: Record, decode: bool) -> tuple[str, list[str]]:
    """The size of a clip's first frame, if it is to be decoded, and the frames that can't be."""
    broken = [path for path in record.frames if _cut_short(path)]
    first = next((path for path in record.frames if path not in broken), None)
    if not decode or first is None:
        return "", broken
    try:
        height, width, _ = frames.image(first).shape
    except InputError:
        return "", [*broken, first]
    return f"{height} x {width}", broken


def _cut_short(path: str) -> bool:
    """Whether a file lacks the end of its image; only where its last bytes do is it decoded to make sure."""
    try:
        with open(path, "rb") as file:
            file.seek(-min(TAIL, os.fstat(file.fileno()).st_size), os.SEEK_END)
            if ENDS.get(os.path.splitext(path)[1].lower(), b"") in (tail := file.read()) and tail:
                return False
        frames.image(path)
    except (OSError, InputError):
        return True
    return False


def _distance(emotions: Counter[str], clips: int, variant: Documented) -> int:
    labels = set(emotions) | set(variant.emotions) if variant.emotions else set()
    return abs(clips - variant.clips) + sum(abs(emotions[name] - variant.emotions.get(name, 0)) for name in labels)


def usable(description: Description) -> list[Record]:
    """The clips that have frames from onset to offset."""
    return [record for record in description.found.records if record.frames and record.onset_idx >= 0]


def plain(descriptions: Sequence[Description]) -> list[dict]:
    """Every record as JSON has it, its frames relative to the folder."""
    made = []
    for description in descriptions:
        for record in description.found.records:
            root = str(description.found.root)
            paths = [Path(os.path.relpath(path, root)).as_posix() for path in record.frames]
            made.append(record._asdict() | {"frames": paths, "au": [unit._asdict() for unit in record.au]})
    return made


def faces(descriptions: Sequence[Description]) -> UInt8[np.ndarray, "rows columns 3"]:
    """The faces of all onset frames on one picture, as a run cuts them out by default.

    Raises:
        InputError: not one onset frame can be decoded.
    """
    loader = Loader({}, apex="midpoint", crop="auto", size=SIDE)

    def one(record: Record) -> UInt8[np.ndarray, "h w 3"] | None:
        try:
            onset = frames.image(record.frames[record.onset_idx])
        except InputError:
            return None
        return crop.warp(onset, loader.find(onset, record)[0], SIDE)

    records = [record for description in descriptions for record in usable(description)]
    with ThreadPoolExecutor(WORKERS) as pool:
        cut = list(pool.map(one, records))
    images = [image for image in cut if image is not None]
    names = [record.sample_id for record, image in zip(records, cut, strict=True) if image is not None]
    if not images:
        raise InputError(f"{descriptions[0].found.root} has no onset frame that can be decoded, so no face to show")
    labels = [name.partition("/")[2].encode("ascii", "backslashreplace").decode() for name in names]
    return crop.contact_sheet(images, labels, columns=max(8, round((1.3 * len(images)) ** 0.5)), side=SIDE)
