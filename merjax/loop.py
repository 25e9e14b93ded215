"""Trains all rows of a run, part by part, epoch by epoch: one program, checkpoints, a progress bar, exact resume.

A part is as many rows as fit into the devices' memory at once.
"""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh
from jaxtyping import PyTree
from tqdm import tqdm

from merjax import parallel, train
from merjax.checkpoint import END, Keeper
from merjax.files import write_json
from merjax.program import Job, Plan, Program
from merjax.types import Curves, InputError, Rows, Samples


class Interruption(Exception):  # noqa: N818 (it is no error)
    """The run was asked to end, and has saved where it stands."""

    def __init__(self, number: int, epoch: int) -> None:
        super().__init__(f"interrupted after epoch {epoch}, which is saved")
        self.number = number


class Trained(NamedTuple):
    """What comes of `train_all`.

    Attributes:
        curves: with leading axes [epochs, r].
        network: variables of a row, on the first device; every process must ask for the same rows.
        compile_seconds: spent on compiling.
        stopped: row to the epoch, from 1, whose numbers were not finite.
    """

    curves: Curves
    network: Callable[[int], PyTree]
    compile_seconds: float
    stopped: dict[int, int]


def train_all(rows: Rows, samples: Samples, job: Job, plan: Plan, *, folder: Path, save_seconds: float) -> Trained:
    """Trains every row; goes on from the last checkpoint in `folder`.

    Args:
        rows: from `parallel.table`.
        samples: all clips.
        job: how a row is trained.
        plan: how rows are spread; a folder that was begun with another number at once keeps it.
        folder: of the checkpoints.
        save_seconds: time between checkpoints; one is written at the end of a part in any case.

    Raises:
        Interruption: SIGINT or SIGTERM came.
        InputError: a checkpoint can't be written or read.
    """
    mesh = parallel.fold_mesh(plan.over_folds)
    chunk = agreed_chunk(folder / "plan.json", plan.rows_at_once, mesh)
    samples = parallel.place(samples, mesh, split=False)
    count, parts = len(rows.seed), range(0, len(rows.seed), chunk)
    say(f"{type(job.net).__name__}: {count} rows x {job.epochs} epochs, {min(chunk, count)} rows at once")
    say(
        f"by {plan.over_folds} on {mesh.size} {jax.default_backend()} device(s), about {plan.gib_a_device} GiB on each;"
    )
    ended = all(Keeper(place_of(folder, first, chunk)).last() == END for first in parts)
    say("all of it has ended before" if ended else "compiling ...")
    program = Program(job, plan.over_folds, mesh, parallel.part(rows, 0, chunk), samples)
    if not ended:
        program.compile()
    histories = []
    with signals() as asked, tqdm(total=job.epochs * len(parts), unit="epoch", disable=jax.process_index() > 0) as bar:
        for first in parts:
            bar.set_description(f"{min(first + chunk, count) - first} of {count} rows")
            part = Part(program, rows, first, chunk, folder)
            histories.append(part.train(bar, save_seconds, asked))
    curves = Curves(*(np.concatenate(leaves)[:count].swapaxes(0, 1) for leaves in zip(*histories, strict=True)))
    broken = ~np.isfinite(curves.loss)
    stopped = {int(row): int(broken[:, row].argmax()) + 1 for row in np.flatnonzero(broken.any(0))}
    return Trained(curves, Networks(program, folder, chunk), program.seconds, stopped)


def say(words: str) -> None:
    """Prints once for all processes."""
    if jax.process_index() == 0:
        print(words, flush=True)


def agreed_chunk(path: Path, chunk: int, mesh: Mesh) -> int:
    """The rows of a part: those that the folder was begun with, the same in every process.

    Raises:
        InputError: the devices can't share the rows of the folder's parts evenly.
    """
    if path.exists():
        chunk = json.loads(path.read_text())["chunk"]
    chunk = int(multihost_utils.broadcast_one_to_all(np.int32(chunk)))
    if chunk % mesh.size:
        raise InputError(
            f"{path.parent} was begun with {chunk} rows at once, which {mesh.size} devices can't share evenly; go on "
            "with a number of devices that divides them, or give another --workdir"
        )
    if jax.process_index() == 0:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"chunk": chunk})
    return chunk


class Part:
    """Some rows, trained from where their last checkpoint stands to the end."""

    def __init__(self, program: Program, rows: Rows, first: int, chunk: int, folder: Path) -> None:
        self.program, self.keeper = program, Keeper(place_of(folder, first, chunk))
        self.keys, self.folds = parallel.place_rows(parallel.part(rows, first, chunk), program.mesh)

    def train(self, bar: tqdm, save_seconds: float, asked: list[int]) -> Curves:
        """Trains to the end; gives the curves of all processes' rows, [c, epochs, ...]."""
        program, epochs = self.program, self.program.job.epochs
        last = self.keeper.last()
        if last == END:
            bar.update(epochs)
            found = self.keeper.load(END, program.trained)["curves"]
            return Curves(*(parallel.gather(parallel.fetch(a), program.mesh) for a in found))
        if last is None:
            states, done = program.begin(self.keys, self.folds), 0
            local = len(parallel.fetch(states.step))
            history = Curves(*(np.zeros((local, *a.shape[1:]), a.dtype) for a in program.history))
        else:
            found = self.keeper.load(last, {"states": program.states, "curves": program.history})
            states, done = found["states"], int(last)
            history = Curves(*(np.array(parallel.fetch(a)) for a in found["curves"]))
            say(f"{self.keeper.folder}: going on after epoch {done}")
            bar.update(done)
        every, began = 0, time.monotonic()
        for i in range(done, epochs):
            with jax.transfer_guard("disallow"):
                states, now = program.epoch(self.keys, states, self.folds, program.samples)
            for past, present in zip(history, now, strict=True):
                past[:, i] = parallel.fetch(present)
            finite = history.loss[np.isfinite(history.loss[:, i]), i]
            bar.set_postfix(loss=f"{finite.mean():.3f}" if finite.size else "not finite", refresh=False)
            bar.update()
            if i == done:  # agreed once, so that all processes save after the same epochs
                mine = np.int32(min(max(1, save_seconds // max(time.monotonic() - began, 1e-6)), 2**30))
                every = int(multihost_utils.broadcast_one_to_all(mine))
            ends = bool(asked) or preempted(i)
            if ends or (i + 1 < epochs and (i + 1 - done) % every == 0):
                self.keeper.save(str(i + 1), {"states": states, "curves": self.whole(history)})
            if ends:
                self.keeper.wait()
                raise Interruption(asked[0] if asked else signal.SIGTERM, i + 1)
        self.keeper.save(END, {"networks": train.tested(states), "curves": self.whole(history)})
        self.keeper.wait()
        return Curves(*(parallel.gather(past, program.mesh) for past in history))

    def whole(self, history: Curves) -> Curves:
        """Curves as arrays split over the devices, as a checkpoint holds them."""
        return Curves(*(parallel.spread(np.array(past), self.program.mesh) for past in history))


def place_of(folder: Path, first: int, chunk: int) -> Path:
    """Where the checkpoints of a part lie."""
    return folder / f"rows_{first}_to_{first + chunk - 1}"


class Networks:
    """The trained network of every row, read from the checkpoints; the last part that was asked for stays in memory."""

    def __init__(self, program: Program, folder: Path, chunk: int) -> None:
        self.program, self.folder, self.chunk = program, folder, chunk
        self.first, self.held = -1, None

    def __call__(self, row: int) -> PyTree:
        """Variables of a row, on the first local device; shapes alone if another process has the row."""
        first = row // self.chunk * self.chunk
        if first != self.first:
            keeper = Keeper(place_of(self.folder, first, self.chunk))
            self.held = keeper.load(END, self.program.trained)["networks"]
            self.first = first
        return parallel.row_of(self.held, row - first)


@contextmanager
def signals() -> Iterator[list[int]]:
    """Notes SIGINT and SIGTERM in the list that it gives; a second SIGINT interrupts at once."""
    asked: list[int] = []

    def note(number: int, _: Any) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(number)

    watched = (signal.SIGINT,) if jax.process_count() > 1 else (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, note) for number in watched}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def preempted(epoch: int) -> bool:
    """SIGTERM reached one of several processes, and all have agreed to end after this epoch."""
    return jax.process_count() > 1 and multihost_utils.reached_preemption_sync_point(epoch)
