"""Trains all rows of a run, chunk by chunk, epoch by epoch: checkpoints, a progress bar, exact resume.

A chunk is as many rows as fit into the devices' memory at once.
"""

import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import PyTree
from tqdm import tqdm

from merjax import memory, parallel, train
from merjax.checkpoint import END, Keeper
from merjax.folder import Folder
from merjax.program import Job, Plan, Program
from merjax.types import Curves, InputError, Rows, Samples

SAVES = "checkpoints"


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


def train_all(rows: Rows, samples: Samples, job: Job, plan: Plan, *, folder: Folder, save_seconds: float) -> Trained:
    """Trains every row; goes on from the last checkpoint in `folder`.

    Args:
        rows: from `parallel.table`.
        samples: all clips.
        job: how a row is trained.
        plan: how rows are spread; chunks that were begun in the folder keep their number of rows.
        folder: of the run.
        save_seconds: time between checkpoints; one is written at the end of a chunk in any case.

    Raises:
        Interruption: SIGINT or SIGTERM came.
        InputError: a checkpoint can't be written, or the rest does not fit into memory.
    """
    mesh = parallel.fold_mesh(plan.over_folds)
    clips = parallel.place(parallel.lines(samples), mesh, split=False)
    count, size = len(rows.seed), plan.rows_at_once
    say(f"{type(job.net).__name__}: {count} rows x {job.epochs} epochs, {min(size, count)} rows at once")
    say(f"by {plan.over_folds} on {mesh.size} {jax.default_backend()} device(s), about {plan.gib_a_device} GiB on each")
    programs: dict[int, Program] = {}
    chunks: list[Chunk] = []
    first = 0
    total = job.epochs * -(-count // size)
    with signals() as asked, tqdm(total=total, unit="epoch", disable=jax.process_index() > 0) as bar:
        while first < count:
            size = next_size(folder, first, size, plan)
            some = parallel.part(rows, first, size)
            if size not in programs:
                programs[size] = Program(job, plan.over_folds, mesh, some, samples)
            chunk = Chunk(programs[size], some, first, folder)
            if not chunk.keeper.names() and (fewer := fitting(programs[size], size, plan, memory.size(clips))) < size:
                size = fewer
                continue
            bar.set_description(f"{min(size, count - first)} of {count} rows")
            bar.total = job.epochs * (len(chunks) - (first - count) // size)
            chunks.append(chunk)
            chunk.train(clips, bar, save_seconds, asked)
            first += size
    if not any(program.compiled for program in programs.values()):
        say("nothing is left to train")
    curves = Curves(*(np.concatenate(a)[:count].swapaxes(0, 1) for a in zip(*(c.curves for c in chunks), strict=True)))
    broken = ~np.isfinite(curves.loss)
    stopped = {int(row): int(broken[:, row].argmax()) + 1 for row in np.flatnonzero(broken.any(0))}
    return Trained(curves, Networks(chunks), sum(program.seconds for program in programs.values()), stopped)


def next_size(folder: Folder, first: int, size: int, plan: Plan) -> int:
    """The number of rows of the next chunk, the same in every process.

    A chunk that was saved keeps its size. Another has that of the chunk before it, or fewer rows if less memory is free
    by now.

    Args:
        folder: of the run.
        first: number of the chunk's first row.
        size: of the chunk before, or as planned.
        plan: how rows are spread.

    Raises:
        InputError: the devices can't share the rows of a saved chunk evenly, or the rows don't fit into memory.
    """
    saved = {
        int(match[1]) - first + 1: names[0]
        for path in (folder.path / SAVES).glob(f"rows_{first}_to_*")
        if (match := re.fullmatch(rf"rows_{first}_to_(\d+)", path.name))
        and (names := Keeper(folder, f"{SAVES}/{path.name}").names())
    }
    chosen = int(multihost_utils.broadcast_one_to_all(np.int32(max(saved, default=0)))) or fewest(plan.fits(size))
    if chosen % plan.devices:
        raise InputError(
            f"{folder.path} was begun with {chosen} rows at once, which {plan.devices} devices can't share evenly; "
            "go on with a number of devices that divides them, or give another --workdir"
        )
    need, free = plan.need.total(chosen // plan.devices, plan.side_by_side), memory.free()
    if saved.get(chosen, END) != END and need > free:
        raise InputError(
            f"{folder.path} was begun with {chosen} rows at once, which need about {need / memory.GIB:.1f} GiB of each "
            f"device, and {free / memory.GIB:.1f} GiB are free; close other programs, or begin anew with "
            "--resume=false and fewer rows by --config.train.chunk"
        )
    if chosen < size and not saved:
        say(f"less memory is free than at the beginning: {chosen} rows at once from here")
    return chosen


def fitting(program: Program, size: int, plan: Plan, held: int) -> int:
    """Compiles a program, for the compiler has the last word on its memory: its rows, or fewer where it is too large.

    Args:
        program: for `size` rows.
        size: rows at once.
        plan: how rows are spread.
        held: bytes that the program takes and that lie on the device already.

    Returns:
        The rows that fit by what the compiler says, the same in every process.

    Raises:
        InputError: not even one row a device fits.
    """
    compiling(program)
    # What is free includes all that the process has on a CPU, and nothing of it on a device.
    there = -memory.resident() // memory.sharing() if jax.default_backend() == "cpu" else held
    room = max(0, memory.free() + there)
    each = size // plan.devices
    chosen = fewest(each if program.bytes <= room else min(each - 1, int(each * room / program.bytes))) * plan.devices
    words = f"a device would need {program.bytes / memory.GIB:.1f} GiB and has {room / memory.GIB:.1f}"
    if not chosen:
        raise InputError(f"the compiled program is too large: {words}; {memory.ADVICE}")
    if chosen < size:
        say(f"the compiled program is larger than planned, {words}: {chosen} rows at once in place of {size}")
    return chosen


def fewest(number: int) -> int:
    """The smallest of the numbers that all processes give."""
    return int(multihost_utils.process_allgather(np.int32(number)).min())


def compiling(program: Program) -> None:
    """Compiles a program unless it is, and shows how long it has taken and about how long it will."""
    if program.compiled:
        return
    say(f"compiling: about {program.expected:.0f} s unless it was compiled before ...")
    ended = threading.Event()

    def tick() -> None:
        shown = {"unit": "s", "desc": "compiling", "leave": False, "delay": 5, "disable": jax.process_index() > 0}
        with tqdm(total=round(program.expected), **shown) as bar:
            while not ended.wait(1.0):
                bar.n += 1
                bar.total = max(bar.total, bar.n)
                bar.refresh()

    clock = threading.Thread(target=tick, daemon=True)
    clock.start()
    try:
        program.compile()
    finally:
        ended.set()
        clock.join()


def say(words: str) -> None:
    """Prints once for all processes."""
    if jax.process_index() == 0:
        with tqdm.external_write_mode():  # above the progress bar
            print(words, flush=True)


class Chunk:
    """Some rows, trained from where their newest whole save stands to the end.

    Args:
        program: for as many rows.
        rows: of the chunk.
        first: the number of the first of them.
        folder: of the run.
    """

    def __init__(self, program: Program, rows: Rows, first: int, folder: Folder) -> None:
        self.program, self.first, self.size = program, first, len(rows.seed)
        self.keeper = Keeper(folder, f"{SAVES}/rows_{first}_to_{first + self.size - 1}")
        self.keys, self.folds = parallel.place_rows(rows, program.mesh)
        self.curves: Curves  # of all processes' rows, [c, epochs, ...], once trained

    def train(self, clips: Samples, bar: tqdm, save_seconds: float, asked: Sequence[int]) -> None:
        """Trains to the end.

        Args:
            clips: all of them, as `parallel.lines`, on the devices.
            bar: moved on by each epoch.
            save_seconds: time between saves.
            asked: signals that ask the run to end, in the order in which they come.

        Raises:
            Interruption: a signal came; the epoch is saved.
            InputError: a save can't be written.
        """
        program, epochs = self.program, self.program.job.epochs
        found = self.keeper.restore(program.saved, say)
        if found and found[0] == END:
            bar.update(epochs)
            self.curves = Curves(*(parallel.gather(parallel.fetch(a), program.mesh) for a in found[1]["curves"]))
            return
        compiling(program)
        if found is None:
            states, done = program.begin(self.keys, self.folds, clips), 0
            local = len(parallel.fetch(states.step))
            history = Curves(*(np.zeros((local, *a.shape[1:]), a.dtype) for a in program.history))
        else:
            states, done = found[1]["states"], int(found[0])
            history = Curves(*(np.array(parallel.fetch(a)) for a in found[1]["curves"]))
            say(f"{self.keeper.place}: going on after epoch {done}")
            bar.update(done)
        found = None  # else the states would stay in memory beside those of the next epoch
        every, began = 0, time.monotonic()
        for i in range(done, epochs):
            with jax.transfer_guard("disallow"):
                states, now = program.epoch(self.keys, states, self.folds, clips)
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
        self.curves = Curves(*(parallel.gather(past, program.mesh) for past in history))

    def whole(self, history: Curves) -> Curves:
        """Curves as arrays split over the devices, as a checkpoint holds them."""
        return Curves(*(parallel.spread(np.array(past), self.program.mesh) for past in history))


class Networks:
    """The trained network of every row, read from the checkpoints; the last chunk asked for stays in memory."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        self.chunks = chunks
        self.held: tuple[int, PyTree] = -1, None

    def __call__(self, row: int) -> PyTree:
        """Variables of a row, on the first local device; shapes alone if another process has the row."""
        chunk = next(chunk for chunk in self.chunks if row < chunk.first + chunk.size)
        if chunk.first != self.held[0]:
            self.held = chunk.first, chunk.keeper.load(END, chunk.program.saved(END))["networks"]
        return parallel.row_of(self.held[1], row - chunk.first)


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
