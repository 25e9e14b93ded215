"""What a miniature data set is made from: samples with their truth, releases of images, and the recipe of both."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

Cell = str | int | float | None
Book = Mapping[str, Sequence[Sequence[Cell]]]  # name of a sheet -> its rows

_ACTIONS = {"surpr": "brow_raiser", "happ": "lip_corner_puller", "posit": "lip_corner_puller"}
_CODES: dict[str, tuple[tuple[Cell, Cell], int]] = {
    "lip_corner_puller": ((12, "6+12"), 1),
    "brow_raiser": (("1+2", "R1+R2"), 2),
    "brow_lowerer": ((4, "4+7+L10"), 4),
}


class Sample(NamedTuple):
    """One movement of one clip: what its row says, and what is true.

    Attributes:
        subject: canonical text.
        clip: name as in the sheet.
        first: true number of the onset frame.
        peak: true number of the apex frame.
        last: true number of the offset frame.
        emotion: text of the sheet, or of the folder where there is no sheet.
        onset: cell of the sheet.
        apex: cell of the sheet.
        offset: cell of the sheet.
        au: cell of the sheet.
        objective: class 1 to 7.
        dataset: short name of the data set.
        kind: "micro", "macro" or "non_micro".
        fps: frames a second.
        fault: name of the one planted here, "" if sound.
        missing: numbers between first and last that have no file.
        on_disk: whether its folder exists.
        disk: fields for the folder and file names that differ from the above, or that only these names need.
        folders: release -> its folder, relative to the root; filled in by `write`.
    """

    subject: str
    clip: str
    first: int
    peak: int
    last: int
    emotion: str
    onset: Cell
    apex: Cell
    offset: Cell
    au: Cell = None
    objective: int = 7
    dataset: str = ""
    kind: str = "micro"
    fps: float = 200.0
    fault: str = ""
    missing: tuple[int, ...] = ()
    on_disk: bool = True
    disk: Mapping[str, str | int] = {}
    folders: Mapping[str, str] = {}

    @property
    def numbers(self) -> tuple[int, ...]:
        """Those from onset to offset for which there is a file."""
        wanted = range(self.first, self.last + 1) if self.on_disk else ()
        return tuple(n for n in wanted if n not in self.missing)

    @property
    def action(self) -> str:
        """What the drawn face does."""
        return action_of(self.emotion)


class Layout(NamedTuple):
    """One release of the images. Folder and name are format strings over a sample's fields, its `disk` and `n`.

    Attributes:
        release: what the data set's reader calls it.
        folder: relative to the root.
        name: of the file of frame n.
        aspect: width over height.
        pixels: "colour", "grey" or "depth".
        head: frames before the onset and after the offset.
        vary: whether the size differs from clip to clip.
        kind: the kind of sample that it holds, "" for every one.
    """

    release: str
    folder: str
    name: str
    aspect: float = 4 / 3
    pixels: str = "colour"
    head: int = 0
    vary: bool = False
    kind: str = ""


class Slot(NamedTuple):
    """The place of a sound sample in a tree.

    Attributes:
        turn: its number among all of them, from 0.
        subject: canonical text.
        rank: among its subject's.
        length: frames from onset to offset.
        rise: frames from onset to apex.
        start: a random number from 1 to 60 for the onset.
    """

    turn: int
    subject: str
    rank: int
    length: int
    rise: int
    start: int


class Recipe(NamedTuple):
    """How to write one data set.

    Attributes:
        subjects: canonical names, in the order in which a growing tree takes them.
        emotions: texts of the sheet, taken in turn.
        layouts: its releases.
        make: the samples of one slot with this emotion, the first of them of kind "micro".
        faults: name -> the rows that carry it; none for a fault of the whole tree, which `sheets` or `write` plants.
        sheets: from the samples and the planted faults to workbooks by path.
    """

    subjects: tuple[str, ...]
    emotions: tuple[str, ...]
    layouts: tuple[Layout, ...]
    make: Callable[[Slot, str], list[Sample]]
    faults: Mapping[str, tuple[Sample, ...]]
    sheets: Callable[[list[Sample], tuple[str, ...]], Mapping[str, Book]]


class Tree(NamedTuple):
    """What was written.

    Attributes:
        root: the folder that holds it all.
        samples: in the order of the sheet.
        faults: names of those planted.
        sheets: file name -> workbook.
    """

    root: Path
    samples: tuple[Sample, ...]
    faults: tuple[str, ...]
    sheets: Mapping[str, Path]


def action_of(emotion: str) -> str:
    """The drawn movement for an emotion: one of the values of `merjax.data.tasks.ACTIONS`."""
    label = emotion.lower()
    return next((action for start, action in _ACTIONS.items() if label.startswith(start)), "brow_lowerer")


def codes(emotion: str, turn: int) -> dict[str, Cell]:
    """Action units, one or several by turn, and the objective class that go with an emotion."""
    units, objective = _CODES[action_of(emotion)]
    return {"au": units[turn % 2], "objective": 7 if emotion.lower().startswith("other") else objective}


def row(subject: str, clip: str, first: int, peak: int, last: int, emotion: str, **fields: Any) -> Sample:
    """A sample whose sheet tells the truth, except for the fields that are given."""
    cells: dict[str, Any] = {"onset": first, "apex": peak, "offset": last}
    return Sample(subject, clip, first, peak, last, emotion, **cells | fields)


def digits(text: str) -> int:
    """The first number in a name."""
    return int(re.findall(r"\d+", text)[0])
