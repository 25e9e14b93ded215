"""One clip as its data set's sheet and folder give it: what every reader yields, whatever the data set."""

from collections.abc import Iterable, Mapping
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class ActionUnit(NamedTuple):
    """One facial action unit of a coder's string.

    Attributes:
        number: of the Facial Action Coding System.
        side: "L", "R", "A" (asymmetric), "B" (bottom), "T" (top), "U" (unilateral), "" where none is given, or two of
            them with a stroke.
        intensity: "A" (trace) to "E" (maximum), "" where none is given, or two of them with a stroke.
        static: held through the whole clip.
        ambiguous: one of several that the coder could not tell apart.
        reference: what other units are judged against, not part of the expression.
    """

    number: int
    side: str = ""
    intensity: str = ""
    static: bool = False
    ambiguous: bool = False
    reference: bool = False


class Record(NamedTuple):
    """One clip, from sheet and folder, after repair.

    Attributes:
        dataset: short name of the data set.
        release: which of its archives the frames come from.
        subject: canonical text, with leading zeros where the data set writes them.
        clip: name as in the sheet.
        sample_id: unique; dataset/subject/clip, and the onset where a clip holds several samples.
        frames: absolute paths, in the order of their numbers.
        frame_numbers: the frames' numbers in the recording; those in the files' names, unless these were renumbered.
        onset_no: of the sheet, after repair.
        apex_no: of the sheet, after repair; None if unknown.
        offset_no: of the sheet, after repair.
        onset_idx: position in `frames`.
        apex_idx: position in `frames`; None if unknown.
        offset_idx: position in `frames`.
        apex_source: "annotated", "repaired", "placeholder" (the sheet holds onset or offset), "midpoint",
            "spotted:METHOD" or "missing".
        emotion_raw: text of the sheet.
        emotion: lower case, stripped, in the usual spelling.
        au_raw: text of the sheet.
        au: action units in it.
        objective_class: 1 to 7, or None.
        fps: frames a second.
        issues: codes of what was found and what was repaired.
        strays: names of images in the clip's folder that are no frames of the clip.
    """

    dataset: str
    release: str
    subject: str
    clip: str
    sample_id: str
    frames: tuple[str, ...]
    frame_numbers: tuple[int, ...]
    onset_no: int
    apex_no: int | None
    offset_no: int
    onset_idx: int
    apex_idx: int | None
    offset_idx: int
    apex_source: str
    emotion_raw: str
    emotion: str
    au_raw: str
    au: tuple[ActionUnit, ...]
    objective_class: int | None
    fps: float
    issues: tuple[str, ...]
    strays: tuple[str, ...] = ()


class Account(NamedTuple):
    """Counts of what a reader read: `rows` and `further` are as many as clips, `others` and `strange` together.

    Attributes:
        unit: what was read, "row" of a sheet or "clip folder" where there is no sheet.
        rows: how many hold text below the header, or how many folders there are.
        strange: rows that are no samples, by their number and the text in them.
        others: rows of samples that are no micro-expressions, by kind.
        further: micro-expressions that stand in one row with another.
        filled: cells that took the value of the cell above, as merged cells have it.
        unnamed: folders of clips, below the data set's folder, that no row names.
    """

    unit: str = "row"
    rows: int = 0
    strange: tuple[str, ...] = ()
    others: Mapping[str, int] = {}
    further: int = 0
    filled: int = 0
    unnamed: tuple[str, ...] = ()


class Accounted(tuple[T, ...], Generic[T]):
    """Rows of a sheet or records of clips, as a tuple, with the account of how they were read."""

    account: Account

    def __new__(cls, items: Iterable[T] = (), account: Account | None = None) -> "Accounted[T]":
        """Makes the tuple of the items; without an account for copies, which get it afterwards."""
        made = super().__new__(cls, items)
        made.account = account or Account()
        return made
