"""How a row is trained, how many rows at once, and the compiled epoch of them."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import optax
from jax.extend.core import Jaxpr
from jax.sharding import Mesh
from jaxtyping import Array, PyTree

from merjax import memory, parallel, train
from merjax.checkpoint import END
from merjax.types import Curves, Fold, Rows, Samples, State

# For drawing weights on a CPU: as fast, and compiled in a sixth to a half of the time (docs/speed.md).
QUICK = {"xla_backend_optimization_level": 1}
# On a GPU matrix products go to cuBLAS: where nothing may be tried out on the card, XLA's own kernels for them, of
# sides such as 197 in float32, end the compilation with an error. On a TPU an operation may hold
# 12 MiB of the fast memory in place of 16: small networks compile in about half the time, large ones in seven eighths
# of it, for cycles that are up to a tenth more by the compiler's own estimate (docs/scaling.md).
OPTIONS = {"gpu": {"xla_gpu_enable_triton_gemm": False}, "tpu": {"xla_tpu_scoped_vmem_limit_kib": "12288"}}
# Seconds for each operation of a traced epoch, on two cores (docs/scaling.md); a GPU also tries kernels on the card.
COMPILING = {"cpu": 0.004, "gpu": 0.004, "tpu": 0.02}


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


class Plan(NamedTuple):
    """How the rows of a run are spread.

    Attributes:
        over_folds: the strategy, see `parallel`.
        rows: of the run.
        rows_at_once: of one program, a multiple of the devices.
        devices: of all processes.
        gib_a_device: memory that this takes, as estimated.
        multiply_adds_a_step: of one row.
        parameters: of one row.
        need: of memory on a device.
    """

    over_folds: str
    rows: int
    rows_at_once: int
    devices: int
    gib_a_device: float
    multiply_adds_a_step: int
    parameters: int
    need: memory.Need = memory.Need(0, 0, 0)

    @property
    def side_by_side(self) -> bool:
        """Whether the rows of a device are trained at the same time."""
        return parallel.WITHIN[self.over_folds] == "vmap"

    def fits(self, rows: int) -> int:
        """Counts how many of some rows fit into memory at once now, spread evenly over as few programs as possible.

        Raises:
            InputError: not even one of them does.
        """
        side_by_side = self.side_by_side
        return memory.rows_at_once(self.need, rows, self.devices, side_by_side=side_by_side, work=0, most=rows)


def plan(job: Job, rows: Rows, samples: Samples, how: str, most: int) -> Plan:
    """Decides how the rows of a run are spread, by tracing alone.

    Args:
        job: how a row is trained.
        rows: all of them.
        samples: all clips.
        how: one of `parallel.STRATEGIES`.
        most: rows at once, 0 for as many as fit.

    Raises:
        InputError: an unknown strategy, or not even one row fits into a device's memory.
    """
    recipe = {name: job.recipe[name] for name in ("batch", "accumulate", "precision", "remat")}
    one = jax.tree.map(lambda a: a[0], rows.fold)
    state = jax.eval_shape(job.init, parallel.row_key(0, 0), one, samples)
    need = memory.estimate(state, samples, job.net, **recipe)
    work = memory.step_work(state, samples, job.net, **recipe)
    how = parallel.strategy(how, work)
    devices, side_by_side = parallel.fold_mesh(how).size, parallel.WITHIN[how] == "vmap"
    chunk = memory.rows_at_once(
        need,
        len(rows.seed),
        devices,
        side_by_side=side_by_side,
        work=work * job.recipe["epoch_steps"],
        most=most,
    )
    gib = round(need.total(chunk // devices, side_by_side) / memory.GIB, 2)
    parameters = sum(a.size for a in jax.tree.leaves(state.params))
    return Plan(how, len(rows.seed), chunk, devices, gib, work, parameters, need)


class Program:
    """An epoch of `chunk` rows, traced and then compiled once for all chunks of that size.

    Rows and samples may be shapes: nothing is computed before `compile`, which needs no device of the mesh either.

    Attributes:
        states: shapes of the states of all rows, with how they are split over the devices.
        curves: shapes of an epoch's curves.
        compiled: whether `init` and `epoch` are there.
        seconds: what tracing and compiling took.
    """

    def __init__(self, job: Job, how: str, mesh: Mesh, rows: Rows, samples: Samples) -> None:
        began = time.perf_counter()
        self.job, self.mesh = job, mesh
        split = parallel.sharded(mesh)

        def lift(one: Callable) -> Callable:
            return parallel.over_folds(parallel.of_lines(one, samples.x.shape[1:]), how=how, mesh=mesh)

        keys, folds = parallel.shapes_of_rows(rows, mesh)
        clips = parallel.shapes(jax.eval_shape(parallel.lines, samples), parallel.whole(mesh))
        self.of_init = jax.jit(lift(job.init), out_shardings=split).trace(keys, folds, clips)
        self.states = parallel.shapes(self.of_init.out_info, split)
        epoch = jax.jit(lift(partial(train.epoch, **job.bound)), donate_argnums=1)
        self.of_epoch = epoch.trace(keys, self.states, folds, clips)
        self.curves = self.of_epoch.out_info[1]
        self.compiled, self.seconds = False, time.perf_counter() - began

    def compile(self) -> None:
        """Makes `init` and `epoch`; a run that has ended needs neither."""
        began = time.perf_counter()
        options = QUICK if jax.default_backend() == "cpu" else None
        self.init: Callable = self.of_init.lower().compile(compiler_options=options)
        self.compile_epoch()
        self.compiled = True
        self.seconds += time.perf_counter() - began

    def compile_epoch(self) -> None:
        """Makes `epoch` for the devices of the mesh, which need not be here."""
        options = OPTIONS.get(jax.default_backend())
        self.epoch = self.of_epoch.lower().compile(compiler_options=options)

    @property
    def expected(self) -> float:
        """About how many seconds compiling takes, by the length of the program."""
        return 5.0 + COMPILING.get(jax.default_backend(), 0.0) * equations(self.of_epoch.jaxpr.jaxpr)

    @property
    def bytes(self) -> int:
        """Memory of a device that an epoch takes, as the compiler has laid it out, and the copy that is being saved."""
        found = self.epoch.memory_analysis()
        taken = found.argument_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes
        return taken + found.temp_size_in_bytes + memory.size(self.states) // self.mesh.size

    def begin(self, keys: Array, folds: Fold, samples: Samples) -> State:
        """Untrained states; samples as `parallel.lines`."""
        states = self.init(keys, folds, samples)
        return states if self.job.start is None else train.begin_from(states, self.job.start)

    @property
    def history(self) -> Curves:
        """Shapes of the curves of all epochs, rows first; split over the devices."""
        sharding = parallel.sharded(self.mesh)

        def longer(a: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct((len(a), self.job.epochs, *a.shape[1:]), a.dtype, sharding=sharding)

        return jax.tree.map(longer, self.curves)

    def saved(self, name: str) -> dict[str, PyTree]:
        """Shapes of what a save of that name holds, see `checkpoint`."""
        state = {"networks": train.tested(self.states)} if name == END else {"states": self.states}
        return state | {"curves": self.history}


def equations(jaxpr: Jaxpr) -> int:
    """Counts the operations of a traced program; what is in a loop counts once."""
    inner = (getattr(value, "jaxpr", value) for equation in jaxpr.eqns for value in equation.params.values())
    return len(jaxpr.eqns) + sum(equations(one) for one in inner if hasattr(one, "eqns"))
