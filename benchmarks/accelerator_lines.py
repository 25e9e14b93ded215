"""What `accelerator.py` measures, in full and in small, and how its processes say what they find: line by line."""

import argparse
import contextlib
import json
import re
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from merjax.recipes import FMANET_28

CLASSES, SUBJECTS = 3, 68
NO_TIME = "no time left"
FOLDS, TINY_FOLDS = (1, 8, 26, 68), (1, 2, 3)


class Case(NamedTuple):
    """What one network trains on.

    Attributes:
        own: its arguments, in merjax and in its peer.
        streams: images of a clip.
        side: of an image, in pixels.
        batch: clips a step.
        clips: of the data set.
        steps: of every fold in one call of the program.
    """

    own: Mapping[str, Any]
    streams: int
    side: int
    batch: int
    clips: int
    steps: int


CASES = {  # in the order of measuring
    "ststnet": Case({}, 1, 28, 256, 442, 4),
    "fmanet": Case(FMANET_28, 2, 28, 64, 442, 4),
    "learnet": Case({}, 1, 112, 32, 255, 4),
    "afn": Case({"width": 8, "blocks": (1, 1, 1)}, 2, 64, 32, 192, 4),  # as configs/afn_synth.py has it
    "dianet": Case({}, 2, 224, 16, 255, 2),
    "resnet18": Case({}, 1, 224, 16, 255, 2),
}
TINY_CASES = {
    "ststnet": Case({}, 1, 28, 4, 12, 2),
    "fmanet": Case(FMANET_28, 2, 28, 2, 12, 2),
    "learnet": Case({}, 1, 112, 2, 12, 2),
    "afn": Case({"width": 4, "blocks": (1,)}, 2, 16, 2, 12, 2),
    "dianet": Case({"width": 4, "blocks": (1, 1), "attention": 8}, 2, 32, 2, 12, 2),
    "resnet18": Case({"width": 4, "blocks": (1,)}, 1, 16, 2, 12, 2),
}
TINY_NETWORKS = ["ststnet", "resnet18"]  # that compile quickly


class Skipped(Exception):  # noqa: N818 - nothing went wrong
    """Why a line is not measured."""


class Clock:
    """Counts down the seconds that a process has."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that remain; never below 0."""
        return max(0.0, self.end - time.monotonic())


def child_arguments(about: str) -> argparse.ArgumentParser:
    """The arguments that every process of a measurement takes from `accelerator.py`."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--networks", nargs="+", required=True)
    return parser


def cases(names: list[str], *, tiny: bool) -> dict[str, Case]:
    """The cases of some networks."""
    table = TINY_CASES if tiny else CASES
    return {name: table[name] for name in names}


def say(kind: str, **found: Any) -> None:
    """Gives a line away, at once."""
    print(json.dumps({"kind": kind, **found}), flush=True)


def sentence(error: BaseException) -> str:
    """The first sentence of an error, with its type; why a line was skipped, as it is."""
    text = " ".join(str(error).split())
    first = re.split(r"(?<=[.!?])\s|\s\[", text, maxsplit=1)[0][:240]
    if isinstance(error, Skipped):
        return first
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


@contextlib.contextmanager
def excused(kind: str, label: Mapping[str, Any]) -> Iterator[None]:
    """Makes a line of whatever fails inside, so that the others go on."""
    try:
        yield
    except Exception as error:
        say(kind, **label, error=sentence(error))


def rounded(number: float) -> float:
    """Four digits that count."""
    return float(f"{number:.4g}")


def median_seconds(call: Callable[[], object], *, tiny: bool, least: float = 0.3, most: int = 9) -> float:
    """The median time of a call that waits for its result.

    Args:
        call: its first run is a warm-up.
        tiny: takes as few calls as show that it runs.
        least: seconds that all calls together should take.
        most: calls; a call that takes longer than 2 seconds is made once.
    """
    start = time.perf_counter()
    call()
    enough = 1 if tiny or time.perf_counter() - start > 2.0 else 3
    times: list[float] = []
    while len(times) < enough or (not tiny and sum(times) < least and len(times) < most):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
