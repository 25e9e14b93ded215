"""Compiles programs side by side in threads, and times them one after another when nothing compiles any more."""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Protocol

import jax
from accelerator_lines import NO_TIME, Clock, excused, median_seconds, rounded, say

# A compilation has threads of its own. On a card, XLA tries algorithms for one program at a time, under a lock.
WORKERS = max(1, min(8, len(os.sched_getaffinity(0)) // 2))


class Task(Protocol):
    """One line to be measured.

    Attributes:
        kind: of the line.
        label: what it begins with.
    """

    kind: str
    label: dict[str, Any]

    def lower(self) -> Any:
        """The program, traced."""

    def call(self, compiled: Any) -> Callable[[], object]:
        """A call of the program with its arguments, which are made here."""

    def found(self, seconds: float, compiled: Any) -> dict[str, Any]:
        """What to say of a call's time; `label` may be completed."""

    def expected(self, speed: float) -> float:
        """Seconds of one call where a device does so many multiply-adds a second; 0 for no guess."""


class Plain:
    """A function of arrays, one of the inputs or ceilings.

    Attributes:
        kind: see `Task`.
        label: see `Task`.
        function: to be compiled.
        arguments: makes its arrays.
        result: the fields that follow from the seconds of a call.
    """

    def __init__(
        self,
        kind: str,
        label: dict[str, Any],
        function: Callable[..., Any],
        arguments: Callable[[], tuple],
        result: Callable[[float], dict[str, float]],
    ) -> None:
        self.kind, self.label, self.function, self.arguments, self.result = kind, label, function, arguments, result

    def lower(self) -> Any:
        """See `Task`."""
        return jax.jit(self.function).lower(*self.arguments())

    def call(self, compiled: Any) -> Callable[[], object]:
        """See `Task`."""
        given = self.arguments()
        return lambda: jax.block_until_ready(compiled(*given))

    def found(self, seconds: float, compiled: Any) -> dict[str, Any]:
        """See `Task`."""
        return {name: rounded(value) for name, value in self.result(seconds).items()}

    def expected(self, speed: float) -> float:
        """See `Task`."""
        return 0.0


class Measurer:
    """Measures tasks while there is time; `speed` is the best number of multiply-adds a second so far."""

    def __init__(self, clock: Clock, *, tiny: bool) -> None:
        self.clock, self.tiny, self.speed = clock, tiny, 0.0

    def measure(self, tasks: Sequence[Task]) -> None:
        """Measures some tasks, a few at a time, in their order."""
        for first in range(0, len(tasks), WORKERS):
            self.group(tasks[first : first + WORKERS])

    def group(self, tasks: Sequence[Task]) -> None:
        """Compiles all of these at the same time, then times each by itself."""
        started: list[tuple[Task, Future]] = []
        pool = ThreadPoolExecutor(WORKERS)
        for task in tasks:
            if not self.clock.left:
                say(task.kind, **task.label, error=NO_TIME)
                continue
            with excused(task.kind, task.label):
                started.append((task, pool.submit(compiled, task.lower())))
        late = wait([future for _, future in started], timeout=self.clock.left).not_done
        pool.shutdown(wait=False, cancel_futures=True)
        for task, future in started:
            if late or not self.clock.left:  # what still compiles would disturb the others' times
                say(task.kind, **task.label, error="not compiled in time" if future in late else NO_TIME)
                continue
            with excused(task.kind, task.label):
                self.time(task, *future.result())

    def time(self, task: Task, program: Any, compile_seconds: float) -> None:
        """Says one line, unless its calls would outlast the time."""
        if self.speed and 2.0 * task.expected(self.speed) > self.clock.left:
            say(task.kind, **task.label, error=NO_TIME)
            return
        seconds = median_seconds(task.call(program), tiny=self.tiny)
        found = task.found(seconds, program)
        self.speed = max(self.speed, found.get("multiply_adds_a_second", 0.0) if task.kind == "fold_step" else 0.0)
        say(task.kind, **task.label, **found, compile_s=rounded(compile_seconds))


def compiled(lowered: Any) -> tuple[Any, float]:
    """The program, and the seconds of compiling it."""
    began = time.perf_counter()
    return lowered.compile(), time.perf_counter() - began
