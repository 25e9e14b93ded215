"""Trains all rows of a run, part by part, epoch by epoch: one program, checkpoints, a progress bar, exact resume.

A part is as many rows as fit into the devices' memory at once.
"""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np
import optax
from jax.experimental import multihost_utils
from jax.sharding import Mesh
from jaxtyping import Array, PyTree
from tqdm import tqdm

from merjax import memory, parallel, train
from merjax.checkpoint import END, Keeper
from merjax.files import write_json
from merjax.types import Curves, Fold, InputError, Rows, Samples, State


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


class Job(NamedTuple):
    """How one row is trained.

    Attributes:
        net: the network.
        tx: the optimiser.
        recipe: the arguments of `train.epoch` but for these two.
        epochs: how many to train.
        average: see `train.averaged`.
        start: weights that all rows begin from, see `train.begin_from`; None for random ones.
    """

    net: nn.Module
    tx: optax.GradientTransformation
    recipe: dict[str, Any]
    epochs: int
    average: float = 0.0
    start: PyTree | None = None

    def init(self, *row: Any) -> State:
        """The untrained state of one row."""
        return train.init(*row, net=self.net, tx=self.tx, average=self.average)

    @property
    def bound(self) -> dict[str, Any]:
        """The arguments of `train.epoch`."""
        return self.recipe | {"net": self.net, "tx": self.tx, "average": self.average}


def train_all(
    rows: Rows, samples: Samples, job: Job, *, how: str, chunk: int, folder: Path, save_seconds: float
) -> Trained:
    """Trains every row; goes on from the last checkpoint in `folder`.

    Args:
        rows: from `parallel.table`.
        samples: all clips.
        job: how a row is trained.
        how: strategy over rows, see `parallel`.
        chunk: rows of one part, a multiple of the devices; a folder that was begun with another number keeps it.
        folder: of the checkpoints.
        save_seconds: time between checkpoints; one is written at the end of a part in any case.

    Raises:
        Interruption: SIGINT or SIGTERM came.
        InputError: a checkpoint can't be written or read.
    """
    mesh = parallel.fold_mesh(how)
    chunk = agreed_chunk(folder / "plan.json", chunk, mesh)
    samples = parallel.place(samples, mesh, split=False)
    count, parts = len(rows.seed), range(0, len(rows.seed), chunk)
    say(f"{type(job.net).__name__}: {count} rows x {job.epochs} epochs by {how}, {min(chunk, count)} rows at once")
    say(f"on {mesh.size} {jax.default_backend()} device(s); compiling ...")
    program = Program(job, how, mesh, parallel.part(rows, 0, chunk), samples)
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


def plan(job: Job, rows: Rows, samples: Samples, how: str, most: int) -> tuple[str, int, dict]:
    """How the rows of a run are spread: the strategy, the rows at once, and what was estimated for it, also printed.

    Raises:
        InputError: an unknown strategy, or not even one row fits into a device's memory.
    """
    recipe = {name: job.recipe[name] for name in ("batch", "accumulate", "precision", "remat")}
    one = jax.tree.map(lambda a: a[0], rows.fold)
    state = jax.eval_shape(job.init, parallel.row_key(0, 0), one, samples)
    need = memory.estimate(state, samples, job.net, **recipe)
    work = memory.step_work(state, samples, job.net, **recipe)
    how = parallel.strategy(how, work)
    mesh = parallel.fold_mesh(how)
    chunk = memory.rows_at_once(
        need,
        len(rows.seed),
        mesh.size,
        side_by_side=parallel.WITHIN[how] == "vmap",
        work=work * job.recipe["epoch_steps"],
        most=1 if how == "steps" else most,
    )
    told = {
        "over_folds": how,
        "rows": len(rows.seed),
        "rows_at_once": chunk,
        "devices": mesh.size,
        "gib_a_device": round(need.total(chunk // mesh.size, parallel.WITHIN[how] == "vmap") / memory.GIB, 2),
        "multiply_adds_a_step": work,
        "parameters": sum(a.size for a in jax.tree.leaves(state.params)),
    }
    say(f"{how}: {chunk} of {len(rows.seed)} rows at once, about {told['gib_a_device']} GiB on each of {mesh.size}")
    return how, chunk, told


class Program:
    """An epoch of `chunk` rows, compiled once for all parts."""

    def __init__(self, job: Job, how: str, mesh: Mesh, rows: Rows, samples: Samples) -> None:
        self.job, self.mesh, self.samples = job, mesh, samples
        lift = partial(parallel.over_folds, how=how, mesh=mesh)
        began = time.perf_counter()
        keys, folds = parallel.place_rows(rows, mesh)
        sharding = parallel.sharded(mesh)
        self.init = jax.jit(lift(job.init), out_shardings=sharding)
        shapes = jax.eval_shape(self.init, keys, folds, samples)
        self.states = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=sharding), shapes)
        if how == "steps":
            self.epoch: Callable = by_steps(job, lift)
            self.epoch(keys, self.begin(keys, folds), folds, samples)  # compiles
        else:
            epoch = jax.jit(lift(partial(train.epoch, **job.bound)), donate_argnums=1)
            self.epoch = epoch.lower(keys, self.states, folds, samples).compile()
        self.curves = jax.eval_shape(lift(partial(train.epoch, **job.bound)), keys, self.states, folds, samples)[1]
        self.seconds = time.perf_counter() - began

    def begin(self, keys: Array, folds: Fold) -> State:
        """Untrained states."""
        states = self.init(keys, folds, self.samples)
        return states if self.job.start is None else train.begin_from(states, self.job.start)

    @property
    def history(self) -> Curves:
        """Shapes of the curves of all epochs, rows first; split over the devices."""
        sharding = parallel.sharded(self.mesh)

        def longer(a: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct((len(a), self.job.epochs, *a.shape[1:]), a.dtype, sharding=sharding)

        return jax.tree.map(longer, self.curves)

    @property
    def trained(self) -> dict[str, PyTree]:
        """Shapes of what the end of a part leaves."""
        return {"networks": train.tested(self.states), "curves": self.history}


def by_steps(job: Job, lift: Callable[[Callable], Callable]) -> Callable[..., tuple[State, Curves]]:
    """`train.epoch` as a loop over compiled single steps."""
    bound = {name: value for name, value in job.bound.items() if name != "mirror"}
    step = jax.jit(lift(partial(train.fit, steps=1, **bound)))
    finish = jax.jit(lift(partial(train.finish, **{name: job.bound[name] for name in ("net", "mirror", "precision")})))

    def epoch(keys: Array, before: State, folds: Fold, samples: Samples) -> tuple[State, Curves]:
        states, curves = before, []
        for _ in range(job.recipe["epoch_steps"]):
            states, curve = step(keys, states, folds, samples)
            curves.append(curve)
        return finish(before, states, jax.numpy.concatenate(curves, axis=1), folds, samples)

    return epoch


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
        """Variables of a row, on the first local device; None if the row lies on another process."""
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
