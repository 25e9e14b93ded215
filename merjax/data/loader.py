"""Loading clips: frames are decoded one after the other, so that no more than one of full size is in memory.

What was found of a clip, its face and its apex, is kept in memory for the next time.
"""

import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import UInt8

from merjax.data import crop as faces
from merjax.data import frames
from merjax.data.apex import SPOTTERS
from merjax.data.known import KNOWN
from merjax.data.record import Record
from merjax.data.repair import without
from merjax.types import Annotation, Clip, InputError

REDUCED = {  # a part of a frame's size -> how OpenCV is told to decode it so
    **{1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2},
    **{4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8},
}
SEARCHED = 160  # pixels, at least, of the shorter side of a picture that a face is looked for in
SPARE = 1.5  # a region is decoded no smaller than this many times the crop, which would blur it else
TRUSTED = ("annotated", "repaired")  # sources of an apex that is taken as it is


class Seen(NamedTuple):
    """What loading a clip has found.

    Attributes:
        region: of the onset frame that is cut out of every frame.
        apex: position in the frames from onset to offset.
        spotted: the apex was not annotated.
        issues: of the crop.
        broken: names of frames that can't be decoded.
    """

    region: faces.Region
    apex: int
    spotted: bool
    issues: tuple[str, ...]
    broken: tuple[str, ...]


class Loader:
    """Loads clips by their annotation; may be called from several threads.

    Args:
        records: by sample_id, their frames from onset to offset only.
        apex: name of the spotter for clips without a trusted apex.
        crop: how the face is found; "auto" is "none" for releases that are faces already.
        size: of the crops in pixels.
        held: gives the content of a clip's files by their names, for clips that lie in a built data set; None for
            files on disk.
    """

    def __init__(
        self,
        records: Mapping[str, Record],
        *,
        apex: str,
        crop: str,
        size: int,
        held: Callable[[Record], Mapping[str, bytes]] | None = None,
    ) -> None:
        self.records, self.apex, self.crop, self.size, self.held = records, apex, crop, size, held
        self.seen: dict[str, Seen] = {}

    def __call__(self, annotation: Annotation) -> Clip:
        """The faces of a clip from onset to offset, and its apex.

        Raises:
            InputError: none of its frames can be decoded.
        """
        record = self.records[annotation.sample_id]
        before = self.seen.get(record.sample_id)
        region, issues = (before.region, before.issues) if before else (None, ())
        cut, broken = [], []
        held = self.held(record) if self.held else {}
        for path in record.frames:
            try:
                if region is None:
                    region, issues = self.find(frames.image(path, held.get(path)), record)
                cut.append(face(path, region, self.size, held.get(path)))
            except InputError:
                broken.append(path)
        record = without(record, broken)
        if region is None or not record.frames:
            raise InputError(
                f"clip {record.sample_id} has no frame that can be decoded, the first is {broken[0]}; "
                "restore its files or name it in exclude"
            )
        clip = np.stack(cut[record.onset_idx : record.offset_idx + 1])
        annotated = record.apex_idx if record.apex_source in TRUSTED else None
        spotted = annotated is None
        apex = self.spot(clip, record, before) if annotated is None else annotated - record.onset_idx
        self.seen[record.sample_id] = Seen(region, apex, spotted, issues, tuple(broken))
        return Clip(frames=clip, apex=apex)

    def find(self, onset: UInt8[np.ndarray, "h w 3"], record: Record) -> tuple[faces.Region, tuple[str, ...]]:
        """What to cut out of every frame of a clip, and the issues of finding it.

        The face is looked for in a picture of 160 to 319 pixels on its shorter side, if the frame is larger (OUR
        CHOICE): in a frame of 640 x 480 that takes a ninth of the time.
        """
        find = self.crop
        if find == "auto" and record.release in KNOWN[record.dataset].faces:
            find = "none"
        height, width = onset.shape[:2]
        shrink = max(min(height, width) // SEARCHED, 1)
        small = cv2.resize(onset, (width // shrink, height // shrink), interpolation=cv2.INTER_AREA)
        found = faces.crop(small[None], size=self.size, find=find)
        return scaled(found.region, width / small.shape[1], height / small.shape[0]), found.issues

    def spot(self, clip: UInt8[np.ndarray, "t h w 3"], record: Record, before: Seen | None) -> int:
        """The apex by the spotter, unless it is known from before; a clip of one frame has it there."""
        if before:
            return before.apex
        return SPOTTERS[self.apex](clip, record.fps) if len(clip) > 1 else 0

    def notes(self) -> list[str]:
        """Sentences on the clips that were loaded so far."""
        spotted = [name for name, seen in self.seen.items() if seen.spotted]
        why = Counter(self.records[name].apex_source for name in spotted)
        told = [f"The apex of {clips_of(len(spotted))} is by {self.apex}: {counted(why)}."] * bool(spotted)
        for issue, words in (
            ("no_face", "show no face that was found; the middle square of the frame stands for it"),
            ("no_eyes", "show a face without a pair of eyes that was found; it is not turned upright"),
        ):
            clips = sorted((name for name, seen in self.seen.items() if issue in seen.issues), key=frames.natural)
            told += [f"{len(clips)} of {clips_of(len(self.seen))} {words}: {some(clips)}."] * bool(clips)
        broken = {name: len(seen.broken) for name, seen in self.seen.items() if seen.broken}
        clips = [f"{name} ({broken[name]})" for name in sorted(broken, key=frames.natural)]
        told += [f"Frames that can't be decoded were passed over in {clips_of(len(clips))}: {some(clips)}."] * bool(
            clips
        )
        return told


def face(path: str, region: faces.Region, size: int, content: bytes | None = None) -> UInt8[np.ndarray, "size size 3"]:
    """A region of one frame at size x size pixels.

    A JPEG file is decoded no larger than the crop needs, which takes half the time or less: its decoder can leave out
    the finest detail. The crop differs from that of the whole frame by rounding. Path and content as `frames.image`.

    Raises:
        InputError: as `frames.image`.
    """
    shrink = max(k for k in REDUCED if k == 1 or min(region.width, region.height) >= SPARE * k * size)
    if shrink == 1 or not path.lower().endswith((".jpg", ".jpeg")):
        return faces.warp(frames.image(path, content), region, size)
    try:
        if content is None:
            with open(path, "rb", buffering=0) as file:
                content = file.read()
        height, width, complete = frames._header(content)
    except (OSError, struct.error, IndexError):
        complete = False
    if content is None or not complete or not 0 < height * width <= frames.MAX_PIXELS:
        return faces.warp(frames.image(path, content), region, size)  # which says what is wrong
    image = cv2.imdecode(np.frombuffer(content, np.uint8), REDUCED[shrink])
    if image is None:
        raise InputError(f"frame {path} can't be read: it is damaged.")
    small = scaled(region, 1 / shrink, 1 / shrink)  # exactly, though an odd size is rounded up
    return cv2.cvtColor(faces.warp(image, small, size), cv2.COLOR_BGR2RGB)


def scaled(region: faces.Region, across: float, down: float) -> faces.Region:
    """The same region in a picture so many times as wide and high; pixels have their centres at whole numbers."""
    x, y = (region.x + 0.5) * across - 0.5, (region.y + 0.5) * down - 0.5
    return faces.Region(x, y, region.width * across, region.height * down, region.angle)


def clips_of(count: int) -> str:
    """A number of clips as text."""
    return f"{count} clip{'s' * (count != 1)}"


def counted(counts: Mapping[str, int]) -> str:
    """Counts as text, the largest first."""
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def some(names: Sequence[str], most: int = 5) -> str:
    """The first of a list of names, and how many there are besides."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
