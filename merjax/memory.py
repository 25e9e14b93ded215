"""What a run needs of a device's memory, before it starts, by tracing alone; and how many rows fit at once."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import psutil
from jaxtyping import Array, Float, PyTree

from merjax import train
from merjax.cost import multiply_adds
from merjax.types import InputError, Samples, State

GIB = 2**30
LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container or a job, on Linux
COMPILING = 300 * 2**20  # what tracing and compiling leave in a CPU's memory; 0.2 to 0.4 GiB were measured
SPARE = 0.85  # share of what is free that a run plans to take
ADVICE = (
    "lower train.batch or the size of the input, raise train.accumulate, or set train.remat=true or "
    "train.precision=bfloat16"
)
# What compilers take beside what is traced: maps are padded (a TPU's last axes to 8 x 128 numbers) and written for the
# next kernel; loops hold copies of a state. The least that no program of docs/scaling.md exceeds.
LAID_OUT = {"gpu": (1.4, 3), "tpu": (3.2, 3)}
SIDE_BY_SIDE = {"tpu": 8}  # rows; of more a step takes longer for each, by its compiler's own count (docs/scaling.md)
PER_CALL = {"cpu": 5e12}  # multiply-adds of a device between two saves: about two minutes of a core


class Need(NamedTuple):
    """Bytes that a run needs on one device.

    Attributes:
        fixed: whatever the rows: the samples, and on the CPU what the process has and what compiling leaves.
        row: for every row that is there: its state, the one that an epoch makes of it, and the copy being saved.
        flight: for every row that is trained at the same time: what a step keeps for the gradient, the gradient, and
            the state as it was before the epoch; on an accelerator also what its compiler adds, see `LAID_OUT`.
        least: the same without what a compiler adds: more than this must be free for anything to be compiled.
    """

    fixed: int
    row: int
    flight: int
    least: int = 0

    def total(self, rows: int, side_by_side: bool) -> int:
        """Bytes for some rows on one device, trained side by side or one after another."""
        return self.fixed + rows * self.row + (rows if side_by_side else 1) * self.flight


def estimate(state: State, samples: Samples, net: nn.Module, *, batch: int, accumulate: int, **how: Any) -> Need:
    """The need of a run.

    Args:
        state: of one row; shapes suffice.
        samples: all clips; shapes suffice.
        net: the network.
        batch: clips a step.
        accumulate: see `train.fit`.
        **how: precision and remat of `train.applied`.
    """
    objective = trial(state, samples, net, batch=batch // accumulate, **how)
    gradient = jax.make_jaxpr(lambda params: jax.vjp(objective, params)[1])(state.params).jaxpr
    arrays = [v.aval for i, v in enumerate(gradient.outvars) if not is_constant(gradient, i)]
    gradients = size(state.params) * (2 if accumulate > 1 else 1)
    program = resident() + COMPILING if jax.default_backend() == "cpu" else 0
    more, states = LAID_OUT.get(jax.default_backend(), (1.0, 1))
    flight = [
        int(factor * kept) + gradients + count * size(state)
        for factor, kept, count in ((more, padded(arrays), states), (1.0, size(arrays), 1))
    ]
    return Need(size(samples) + program // sharing(), 3 * size(state), *flight)


def padded(arrays: Sequence[Any]) -> int:
    """Bytes of arrays as they lie on a device: a TPU fills the axis that it takes last up to a multiple of 128."""
    if jax.default_backend() != "tpu":
        return size(arrays)
    waste = (min(((-side % 128 + side) / side for side in a.shape if side), default=1.0) for a in arrays)
    return int(sum(size(a) * factor for a, factor in zip(arrays, waste, strict=True)))


def is_constant(jaxpr: Any, result: int) -> bool:
    """Whether a result of a traced program is one number repeated, as the zeros that relu keeps: never in memory."""
    variable = jaxpr.outvars[result]
    for equation in jaxpr.eqns:
        if variable in equation.outvars:
            if "jaxpr" in equation.params and equation.primitive.name in ("jit", "pjit"):
                return is_constant(equation.params["jaxpr"].jaxpr, equation.outvars.index(variable))
            return equation.primitive.name == "broadcast_in_dim" and equation.invars[0].aval.size == 1
    return False


def step_work(state: State, samples: Samples, net: nn.Module, *, batch: int, accumulate: int, **how: Any) -> int:
    """Multiply-adds of a training step; arguments as `estimate`."""
    objective = trial(state, samples, net, batch=batch // accumulate, **how)
    return accumulate * multiply_adds(jax.grad(objective), state.params)


def trial(
    state: State, samples: Samples, net: nn.Module, *, batch: int, precision: str, remat: bool
) -> Callable[[PyTree], Float[Array, ""]]:
    """A loss of a batch of zeros by the parameters, to be traced."""
    apply = train.applied(net, precision, remat)

    def objective(params: PyTree) -> Float[Array, ""]:
        stats = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), state.batch_stats)
        x = jnp.zeros((batch, *samples.x.shape[1:]), samples.x.dtype)
        logits, _ = apply({"params": params, "batch_stats": stats}, x, {"dropout": jax.random.key(0)})
        return logits.sum()

    return objective


def size(tree: PyTree) -> int:
    """Bytes of the arrays of a tree; of shapes too."""
    return sum(a.size * a.dtype.itemsize for a in jax.tree.leaves(tree) if hasattr(a, "dtype"))


def sharing() -> int:
    """How many devices of this process share one memory."""
    return jax.local_device_count() if jax.default_backend() == "cpu" else 1


def free() -> int:
    """Bytes that one device can still give; a device whose runtime does not tell counts as one without limit."""
    if jax.default_backend() == "cpu":
        return host_free() // sharing()
    told = jax.local_devices()[0].memory_stats() or {}
    return told.get("bytes_limit", 2**62) - told.get("bytes_in_use", 0)


def resident() -> int:
    """Bytes of memory that this process has now."""
    return psutil.Process().memory_info().rss


def host_free() -> int:
    """Bytes of memory that this process can have in all: what it has, and what the machine and its group can give."""
    found = [psutil.virtual_memory().total, psutil.virtual_memory().available + resident()]
    limit = LIMIT.read_text(encoding="utf-8").strip() if LIMIT.is_file() else ""
    return min([*found, int(limit)] if limit.isdigit() else found)


def rows_at_once(
    need: Need, rows: int, devices: int, *, side_by_side: bool, work: int, most: int = 0, room: int | None = None
) -> int:
    """How many rows, over all devices, are trained in one program.

    Args:
        need: from `estimate`.
        rows: of the run.
        devices: of all processes.
        side_by_side: rows of a device are trained side by side, not one after another.
        work: multiply-adds of an epoch of one row, so that a call ends within minutes and can be saved.
        most: a number set by the user, 0 for none.
        room: bytes that a device can give; None to ask it.

    Returns:
        A multiple of the devices; the rows are spread evenly over as few programs as that allows.

    Raises:
        InputError: not even one row fits.
    """
    room = int(SPARE * (free() if room is None else room))
    one = need.fixed + need.row + (need.least or need.flight)
    if one > room:
        raise InputError(
            f"one fold needs about {one / GIB:.1f} GiB and a device has {room / GIB:.1f} GiB to give; {ADVICE}"
        )
    each = need.row + (need.flight if side_by_side else 0)
    most = most or (devices * SIDE_BY_SIDE.get(jax.default_backend(), 0) if side_by_side else 0)
    fit = max(1, (room - need.total(0, side_by_side)) // max(each, 1))
    fit = min(fit, max(1, int(PER_CALL.get(jax.default_backend(), 1e15) / max(work, 1))), -(-rows // devices))
    if most:
        fit = min(fit, max(1, most // devices))
    programs = -(-rows // (fit * devices))
    return -(-rows // (programs * devices)) * devices
