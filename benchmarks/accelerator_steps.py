"""The lines of merjax: fold-steps, and what `accelerator_ops` has. `accelerator.py` starts this as a process."""

import functools
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any

import accelerator_ops
import jax
import jax.numpy as jnp
import numpy as np
from accelerator_lines import (
    CLASSES,
    FOLDS,
    SUBJECTS,
    TINY_FOLDS,
    Case,
    Clock,
    Skipped,
    cases,
    child_arguments,
    excused,
    rounded,
    say,
)
from accelerator_tasks import Measurer

from merjax import loso, losses, memory, optim, parallel, program, train
from merjax.models import MODELS
from merjax.types import Rows, Samples, State

MIB = 2**20
DEFAULT = inspect.signature(train.fit).parameters["precision"].default


class Network:
    """A network with its data, the same in every precision and for every number of folds."""

    def __init__(self, name: str, case: Case) -> None:
        self.name, self.case = name, case
        self.plans: dict[str, program.Plan] = {}
        self.measured: set[tuple[str, int, str]] = set()

    @functools.cached_property
    def samples(self) -> Samples:
        """Random clips, on the device."""
        case, rng = self.case, np.random.default_rng(0)
        x = rng.standard_normal((case.clips, case.streams, case.side, case.side, 3), np.float32)
        number = jnp.arange(case.clips, dtype=jnp.int32)
        return Samples(jnp.asarray(x), number % CLASSES, number % SUBJECTS)

    def table(self, folds: int) -> Rows:
        """The first folds of leaving one subject out."""
        number = np.arange(self.case.clips)
        every = parallel.table((0,), loso.folds(number % CLASSES, number % SUBJECTS))
        return jax.tree.map(lambda a: a[:folds], every)

    def job(self, precision: str) -> program.Job:
        """Training by Adam, without augmentation."""
        how: dict[str, Any] = {
            "loss": losses.cross_entropy,
            "augment": lambda key, x: x,
            "mirror": None,
            "weight_power": 0.0,
            "batch": self.case.batch,
            "epoch_steps": self.case.steps,
            "precision": precision,
            "remat": False,
            "accumulate": 1,
        }
        tx = optim.optimizer(name="adam", schedule="constant", lr=1e-3, weight_decay=0.0, steps=1)
        return program.Job(MODELS[self.name](classes=CLASSES, **self.case.own), tx, how, epochs=1)

    def plan(self, precision: str) -> program.Plan:
        """What merjax plans for folds one after another; traced once."""
        if precision not in self.plans:
            folds = min(SUBJECTS, self.case.clips)
            self.plans[precision] = program.plan(self.job(precision), self.table(folds), self.samples, "map", 0)
        return self.plans[precision]

    @functools.cached_property
    def untrained(self) -> State:
        """One fold's state; what a step costs does not hang on its weights, and to draw them is a program more."""
        one = jax.tree.map(lambda a: a[0], self.table(1).fold)
        shapes = jax.eval_shape(self.job(DEFAULT).init, parallel.row_key(0, 0), one, self.samples)
        rng = np.random.default_rng(0)

        def filled(value: float, tree: Any) -> Any:
            return jax.tree.map(lambda a: np.full(a.shape, value, a.dtype), tree)

        params = jax.tree.map(lambda a: 0.05 * rng.standard_normal(a.shape, np.float32), shapes.params)
        return State(filled(0, shapes.step), params, filled(1, shapes.batch_stats), filled(0, shapes.opt))

    def begun(self, folds: int) -> State:
        """States of some folds that begin alike."""
        tiled = jax.jit(lambda one: jax.tree.map(lambda a: jnp.broadcast_to(a, (folds, *a.shape)), one))
        return tiled(self.untrained)


class FoldStep:
    """`train.fit` of some steps, lifted over some folds.

    Attributes:
        kind: see `accelerator_tasks.Task`.
        label: see `accelerator_tasks.Task`.
    """

    kind = "fold_step"

    def __init__(self, network: Network, lift: str, folds: int, precision: str) -> None:
        self.network, self.lift, self.folds, self.precision = network, lift, folds, precision
        self.label: dict[str, Any] = {"network": network.name, "lift": lift, "folds": folds, "precision": precision}
        self.work, self.curve = 0, jnp.zeros(1)

    def lower(self) -> Any:
        """Takes as many folds as merjax plans to have at once where all of them do not fit."""
        plan = self.network.plan(self.precision)._replace(over_folds=self.lift)
        self.work, self.folds = plan.multiply_adds_a_step, min(self.folds, plan.fits(self.folds))
        this = (self.lift, self.folds, self.precision)
        if this in self.network.measured:
            raise Skipped(f"{self.folds} folds fit at once, and they are measured already.")
        self.network.measured.add(this)
        # On the CPU the plan holds the whole process too, which the program's memory does not.
        need = plan.need._replace(fixed=memory.size(self.network.samples))
        planned = need.total(self.folds, plan.side_by_side)
        self.label |= {"folds": self.folds, "planned_mib": rounded(planned / MIB), "multiply_adds": self.work}
        job = self.network.job(self.precision)
        bound = {name: value for name, value in job.bound.items() if name != "mirror"}
        fit = functools.partial(train.fit, steps=self.network.case.steps, **bound)
        mesh = parallel.fold_mesh(self.lift)
        lifted = parallel.over_folds(fit, how=self.lift, mesh=mesh)
        self.keys, self.fold = parallel.place_rows(self.network.table(self.folds), mesh)
        states = jax.eval_shape(lambda: self.network.begun(self.folds))
        return jax.jit(lifted, donate_argnums=1).lower(self.keys, states, self.fold, self.network.samples)

    def call(self, compiled: Any) -> Callable[[], object]:
        """Every call goes on from the states of the last, which it takes the memory of."""
        kept = [self.network.begun(self.folds)]

        def go_on() -> None:
            state, self.curve = compiled(self.keys, kept.pop(), self.fold, self.network.samples)
            kept.append(jax.block_until_ready(state))

        return go_on

    def found(self, seconds: float, compiled: Any) -> dict[str, Any]:
        """Time and memory."""
        each = seconds / self.network.case.steps / self.folds
        found = {"ms": rounded(1e3 * each), "multiply_adds_a_second": rounded(self.work / each)}
        found["finite"] = bool(jnp.isfinite(self.curve).all())
        needs = compiled.memory_analysis()  # not every backend has it
        if needs is not None:
            taken = needs.argument_size_in_bytes + needs.temp_size_in_bytes + needs.output_size_in_bytes
            found["program_mib"] = rounded((taken - needs.alias_size_in_bytes) / MIB)
        return found

    def expected(self, speed: float) -> float:
        """Seconds of one call, from its multiply-adds."""
        return self.work * self.folds * self.network.case.steps / speed


def wanted(networks: list[Network], folds: tuple[int, ...], precisions: list[str]) -> list[list[FoldStep]]:
    """All fold-steps in the order of what is most worth knowing; the third largest number of folds stands for map."""
    most, middle, few, *fewer = reversed(folds)
    default, *others = precisions

    def steps(lift: str, count: int, precision: str) -> list[FoldStep]:
        return [FoldStep(network, lift, count, precision) for network in networks]

    lists = [steps("vmap", middle, default), steps("map", few, default)]
    lists += [steps("vmap", count, default) for count in (most, few)]
    lists += [steps("vmap", middle, precision) for precision in others]
    lists += [steps("map", few, precision) for precision in others]
    lists += [steps(lift, count, default) for count in fewer for lift in ("vmap", "map")]
    lists += [steps("vmap", count, precision) for precision in others for count in (most, few, *fewer)]
    lists += [steps("map", count, precision) for precision in precisions for count in (middle, most)]
    return lists


def plans(networks: list[Network], clock: Clock) -> None:
    """Says how merjax would spread a run of all subjects by itself."""
    for network in networks:
        label = {"network": network.name, "precision": DEFAULT}
        if not clock.left:
            break
        with excused("plan", label):
            table = network.table(min(SUBJECTS, network.case.clips))
            found = program.plan(network.job(DEFAULT), table, network.samples, "auto", 0)
            say(
                "plan",
                **label,
                multiply_adds=found.multiply_adds_a_step,
                parameters=found.parameters,
                auto=found.over_folds,
                folds_at_once=found.rows_at_once,
                mib_a_fold=rounded((found.need.row + found.need.flight) / MIB),
            )


def environment() -> None:
    """Says what runs here."""
    device = jax.devices()[0]
    say(
        "environment",
        backend=jax.default_backend(),
        device=device.device_kind,
        jax=jax.__version__,
        cores=len(os.sched_getaffinity(0)),
        free_gib=rounded(memory.free() / memory.GIB),
        default=DEFAULT,
        precisions=list(train.PRECISIONS),
        fills=parallel.FILLS,
    )


def main() -> None:
    """Says all lines, or the first one alone."""
    parser = child_arguments("Fold-steps of merjax and what goes around them.")
    parser.add_argument("--first", action="store_true", help="one network, one program")
    given = parser.parse_args()
    jax.config.update("jax_enable_compilation_cache", False)  # seconds of compiling are measured
    clock, tiny = Clock(given.seconds), given.tiny
    environment()
    networks = [Network(name, case) for name, case in cases(given.networks, tiny=tiny).items()]
    # A CPU has no TF32.
    names = [name for name in train.PRECISIONS if name != "tf32" or jax.default_backend() != "cpu"]
    precisions = sorted(names, key=lambda name: name != DEFAULT)
    measurer = Measurer(clock, tiny=tiny)
    first, by_map, *rest = wanted(networks, TINY_FOLDS if tiny else FOLDS, precisions)
    if given.first:
        measurer.measure(first[:1])
    else:
        plans(networks, clock)
        measurer.measure(first[1:])
        measurer.measure(by_map)
        for tasks in (accelerator_ops.convolutions, accelerator_ops.inputs, accelerator_ops.ceilings):
            measurer.measure(tasks(tiny=tiny))
        for steps in [rest[2][:1]] if tiny else rest:  # small: one line in another precision
            measurer.measure(steps)
    sys.stdout.flush()
    os._exit(0)  # a program that still compiles is not waited for


if __name__ == "__main__":
    main()
