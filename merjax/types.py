"""The records that travel between the rooms of merjax.

Records are NamedTuples: plain pytrees that survive `vmap` and `eval_shape`. An axis letter means the same thing
everywhere: `n` samples, `f` folds, `b` batch, `t` frames, `h w c` image, `k` classes, `s` subjects, `p` streams,
`a` training rows and `e` test rows of a fold (both padded).
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree, UInt8

T = TypeVar("T")
Host = Array | np.ndarray  # on a device inside a program, in host memory around it


class InputError(ValueError):
    """Something the user gave is wrong; the message is one sentence that names it and says what would be right."""


def pick(table: Mapping[str, T], field: str, name: str) -> T:
    """The entry of a table that a field names.

    Raises:
        InputError: no such entry; the message lists what exists.
    """
    if name not in table:
        raise InputError(f"{field} is '{name}'; it can be {', '.join(table)}")
    return table[name]


class Annotation(NamedTuple):
    """One clip as the table and the folder give it."""

    database: str
    subject: str
    clip: str
    label: int  # position in Dataset.classes
    files: tuple[str, ...] = ()  # where its images lie, as its reader needs them

    @property
    def sample_id(self) -> str:
        """Unique over all databases."""
        return f"{self.database}/{self.subject}/{self.clip}"


class Clip(NamedTuple):
    """What one clip shows, in host memory. A source fills what it has; an input asks for fields by name.

    Flow images hold (u right, v down, optical strain) in any unit: an input scales them itself.
    """

    frames: UInt8[np.ndarray, "t h w c"] | None = None  # onset to offset, inclusive
    apex: int | None = None  # 0-based position in frames
    onset_apex: Float[np.ndarray, "h w 3"] | None = None  # flow from the onset to the apex frame
    apex_offset: Float[np.ndarray, "h w 3"] | None = None  # flow from the apex to the offset frame


class Dataset(NamedTuple):
    """Clips that share one list of classes, and the function that loads one of them."""

    name: str
    classes: tuple[str, ...]
    clips: tuple[Annotation, ...]
    load: Callable[[Annotation], Clip]
    left_out: tuple[str, ...] = ()  # one sentence for each clip that the repair policy dropped
    notes: Callable[[], tuple[str, ...]] = tuple  # the account and what loading found, complete once all are loaded
    account: tuple[str, ...] = ()  # sentences on what was read and what became of it, known before loading


class Samples(NamedTuple):
    """Every clip of a run as network input; on the device once, shared by all folds."""

    x: Float[Host, "n p h w c"]  # there as lines of numbers, see `parallel.lines`
    label: Int[Host, " n"]
    subject: Int[Host, " n"]


class Fold(NamedTuple):
    """One split: padded row numbers into Samples, never a copy of data."""

    subject: Int[Host, ""]  # number of the subject left out, or of the database tested
    train: Int[Host, " a"]
    train_mask: Bool[Host, " a"]
    test: Int[Host, " e"]
    test_mask: Bool[Host, " e"]


class Rows(NamedTuple):
    """The trainings of a run, stacked over a leading axis of rows, in host memory."""

    seed: Int[np.ndarray, " r"]
    inner: Bool[np.ndarray, " r"]  # tests subjects of the training fold too, to choose an epoch by them
    fold: Fold


class State(NamedTuple):
    """All that training changes. Stacked over folds it is the checkpoint."""

    step: Int[Array, ""]
    params: PyTree
    batch_stats: PyTree
    opt: PyTree
    average: Mapping[str, PyTree] = {}  # {"params", "batch_stats"} averaged over the steps; {} where that is off


class Curves(NamedTuple):
    """What one fold shows epoch by epoch (a leading axis of epochs)."""

    loss: Host  # [epochs] mean training loss
    accuracy: Host  # [epochs] on the augmented training batches
    probability: Host  # [epochs, e, k] of the test rows
