"""merjax's programs, compiled for devices that are not here, and what can be read off them.

    pip install 'merjax[absent]' && python tests/absent/devices.py ststnet v5e

The compilers of XLA need no device: that for TPUs comes with libtpu, that for GPUs takes a description of the card
(h100.txt, as XLA prints it). Nothing runs; arrays are shapes. cuDNN's algorithms and tuning are not in it.
"""

import collections
import importlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

# Read by libtpu when it is loaded: there is no machine to ask, and other processes may hold its lock.
os.environ |= {"TPU_SKIP_MDS_QUERY": "1", "TPU_ACCELERATOR_TYPE": "v5litepod-4", "TPU_WORKER_HOSTNAMES": "localhost"}
os.environ |= {"ALLOW_MULTIPLE_LIBTPU_LOAD": "1", "JAX_PLATFORMS": "cpu"}

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import topologies
from jax.sharding import Mesh

from merjax import config as configuration
from merjax import loso, main, memory, parallel, program
from merjax.types import Rows, Samples

KEPT = "jax_persistent_cache_min_compile_time_secs"
BACKEND = {"h100": "gpu", "v5e": "tpu", "cpu": "cpu"}
COLLECTIVES = "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter|collective-broadcast"
TRANSFERS = "infeed|outfeed|send|recv|send-done|recv-done"


class Case(NamedTuple):
    """An experiment, by its config and the size of its data."""

    config: str
    classes: int
    shape: tuple[int, int, int, int]
    clips: int
    subjects: int
    most: int  # clips of one subject
    changes: Mapping[str, Any] = {}
    how: str = "vmap"
    rows: int = 8


def backbone(name: str, **changes: Any) -> Case:
    """A large network on a dynamic image of CASME II, two folds one after another."""
    fields = {"model.name": name, "train.batch": 16, "train.views": ("whole",)} | changes
    return Case("dual_phase_casme2", 5, (1, 224, 224, 3), 255, 26, 33, fields, "map", 2)


CASES = {
    "ststnet": Case("ststnet_megc2019", 3, (1, 28, 28, 3), 442, 68, 33),
    "fmanet": Case("fmanet_megc2019", 3, (2, 28, 28, 3), 442, 68, 33),
    "afn": Case("afn_synth", 3, (2, 64, 64, 3), 120, 8, 15),
    "learnet": Case("learnet_casme2", 5, (1, 112, 112, 3), 255, 26, 33),
    "dianet": Case("dianet_casme2", 5, (2, 224, 224, 3), 255, 26, 33, {"train.batch": 16}, "map", 2),
    "meganet": Case("meganet_casme2", 5, (1, 224, 224, 3), 255, 26, 33, {"train.batch": 16}, "map", 2),
    **{name: backbone(name) for name in ("resnet18", "resnet50", "efficientnet_b0", "vit_b16")},
    "vgg19": backbone("vgg19")._replace(rows=1),  # two with their optimiser fill a v5e
}


@contextmanager
def absent(kind: str) -> Iterator[list[Any]]:
    """Has merjax believe that it runs on a kind of device, whose compiler is then used; gives four of them."""
    if kind == "cpu":
        yield list(jax.devices())
        return
    if kind == "v5e":
        topology = topologies.get_topology_desc(platform="tpu", topology_name="v5e:2x2")
    else:
        target = (Path(__file__).parent / "h100.txt").read_text(encoding="utf-8")
        topology = topologies.get_topology_desc(platform="cuda", target_config=target, topology="1x1x4")
    usual, seconds = jax.default_backend, jax.config.values[KEPT]
    jax.default_backend = lambda: BACKEND[kind]
    jax.config.update(KEPT, 1e9)  # what was compiled for an absent card can't be read back
    try:
        yield list(topology.devices)
    finally:
        jax.default_backend = usual
        jax.config.update(KEPT, seconds)


def made(case: Case) -> tuple[program.Job, Rows, Samples]:
    """Job, rows and samples of a case, all of them shapes but the folds."""
    c = importlib.import_module(f"configs.{case.config}").get_config()
    c.update_from_flattened_dict(dict(case.changes))
    configuration.check(c)
    subject = np.concatenate([np.zeros(case.most, int), 1 + np.arange(case.clips - case.most) % (case.subjects - 1)])
    label = np.arange(case.clips) % case.classes
    rows = parallel.table((0,), loso.folds(label, subject))
    steps = -(-int(rows.fold.train_mask.sum(1).max()) // c.train.batch)
    job, _ = main.make_job(c, case.classes, case.shape, steps)
    number = jax.ShapeDtypeStruct((case.clips,), jnp.int32)
    samples = Samples(jax.ShapeDtypeStruct((case.clips, *case.shape), jnp.float32), number, number)
    return job, jax.tree.map(lambda a: a[: case.rows], rows), samples


def programmed(name: str, kind: str, devices: list[Any], **changes: Any) -> tuple[program.Program, int]:
    """The traced program of a case for some devices, and the bytes of one that merjax plans for it."""
    how, count = changes.pop("how", CASES[name].how), changes.pop("rows", CASES[name].rows)
    case = CASES[name]._replace(how=how, rows=count, changes={**CASES[name].changes, **changes})
    job, rows, samples = made(case)
    mesh = Mesh(np.array(devices if how.startswith("shard_") else devices[:1]), ("fold",))
    state = jax.eval_shape(job.init, parallel.row_key(0, 0), jax.tree.map(lambda a: a[0], rows.fold), samples)
    settings = {field: job.recipe[field] for field in ("batch", "accumulate", "precision", "remat")}
    need = memory.estimate(state, samples, job.net, **settings)
    planned = need.total(count // mesh.size, parallel.WITHIN[how] == "vmap")
    return program.Program(job, how, mesh, rows, samples), planned


class Found(NamedTuple):
    """What a compiled epoch shows."""

    seconds: float  # of compiling
    mib: float  # of a device's memory, with the copy that is being saved
    planned_mib: float
    launches: float  # kernels, copies and library calls of a step, those of the test shared out over the steps
    kcycles: float  # of a fold-step, as libtpu estimates them; 0 elsewhere
    collectives: int
    transfers: int
    pixels: int  # gathers of single pixels
    wide: int  # library convolutions whose window is as large as a map
    filters: int  # library convolutions that are a filter's gradient
    equations: int


def found(name: str, kind: str, save: Path | None = None, **changes: Any) -> Found:
    """Compiles the epoch of a case for a kind of device and reads it."""
    with absent(kind) as devices:
        traced, planned = programmed(name, kind, devices, **changes)
        began = time.perf_counter()
        traced.compile_epoch()
        seconds = time.perf_counter() - began
    text = traced.epoch.as_text()
    if save:
        save.write_text(text, encoding="utf-8")
    rows = len(traced.states.step) // traced.mesh.size
    steps = traced.job.recipe["epoch_steps"]
    counts, cycles = executed(text)
    one_by_one = parallel.WITHIN[changes.get("how", CASES[name].how)] == "map"
    return Found(
        round(seconds, 1),
        round(traced.bytes / 2**20, 1),
        round(planned / 2**20, 1),
        round(sum(counts.values()) / steps / (rows if one_by_one else 1), 1),
        round(cycles / steps / rows / 1e3, 1),
        len(re.findall(rf" (?:{COLLECTIVES})(?:-start)?\(", text)),
        len(re.findall(rf" (?:{TRANSFERS})\(", text)),
        len(single_pixels(text)),
        len(wide_windows(text)),
        text.count("__cudnn$convBackwardFilter"),
        program.equations(traced.of_epoch.jaxpr.jaxpr),
    )


def computations(text: str) -> dict[str, list[str]]:
    """The instructions of every computation of a compiled program; that where it begins is "ENTRY" too."""
    all_of, lines = dict[str, list[str]](), list[str]()
    for line in text.splitlines():
        if line.endswith("{") and not line.startswith(" ") and (head := re.match(r"(ENTRY )?%?([\w.\-]+)", line)):
            lines = all_of[head[2]] = []
            if head[1]:
                all_of["ENTRY"] = lines
        elif line.startswith("  "):
            lines.append(line)
    return all_of


def operation(line: str) -> str:
    """The name of an instruction's operation."""
    match = re.search(r"[\s)}]([a-z][a-z0-9\-]*)\(", line.partition(" = ")[2])
    return match[1] if match else ""


def executed(text: str) -> tuple[collections.Counter[str], int]:
    """How often the instructions that start a kernel are executed, by operation, and libtpu's estimate of cycles."""
    all_of, counts = computations(text), collections.Counter[str]()
    starts = (
        "fusion",
        "custom-call",
        "copy",
        "copy-start",
        "convolution",
        "dot",
        "gather",
        "scatter",
        "sort",
        "reduce",
    )

    def walk(name: str, times: int) -> int:
        cycles = 0
        for line in all_of.get(name, ()):
            what = operation(line)
            counts[what] += times * (what in starts)
            if estimate := re.search(r'"estimated_cycles":"(\d+)"', line):
                cycles += int(estimate[1]) * times
            if what == "while":
                body = re.search(r"body=%?([\w.\-]+)", line)
                cycles += walk(body[1] if body else "", times * trips(line, all_of))
            elif what in ("call", "conditional"):
                for inner in re.findall(r"(?:to_apply|true_computation|false_computation)=%?([\w.\-]+)", line):
                    cycles += walk(inner, times)
                for group in re.findall(r"branch_computations=\{([^}]*)\}", line):
                    cycles += sum(walk(inner.strip().lstrip("%"), times) for inner in group.split(","))
        return cycles

    return counts, walk("ENTRY", 1)


def trips(line: str, all_of: dict[str, list[str]]) -> int:
    """How often a loop runs: as the compiler says, or as its condition compares; 1 where neither does."""
    if stated := re.search(r'known_trip_count":\{"n":"(\d+)"', line):
        return int(stated[1])
    condition = re.search(r"condition=%?([\w.\-]+)", line)
    numbers = re.findall(r"s32\[\]\S* constant\((\d+)\)", "\n".join(all_of.get(condition[1] if condition else "", ())))
    return int(numbers[0]) if len(numbers) == 1 else 1


def sides(shape: str) -> list[int]:
    """The sides of a shape in brackets."""
    return [int(side) for side in shape.split(",") if side]


def single_pixels(text: str) -> list[str]:
    """Gathers of many slices of a few numbers each out of images: what a TPU does one by one."""
    lines = []
    for line in text.splitlines():
        if operation(line) == "gather" and (size := re.search(r"slice_sizes=\{([\d,]*)\}", line)):
            result = re.search(r"\w+\[([\d,]*)\]", line.partition(" = ")[2])
            numbers = int(np.prod(sides(size[1])))
            if result and numbers <= 8 and np.prod(sides(result[1])) // numbers > 4096:
                lines.append(line.strip())
    return lines


def wide_windows(text: str) -> list[str]:
    """Library convolutions of a GPU, no gradients of filters, whose window is larger than any kernel of a network."""
    return [
        line.strip()
        for line in text.splitlines()
        if "__cudnn$convForward" in line and any(int(side) > 9 for side in re.findall(r"window=\{size=(\d+)x", line))
    ]


if __name__ == "__main__":
    which, machine, *rest = sys.argv[1:]
    given = dict(one.split("=", 1) for one in rest)
    kept = Path(given.pop("save")) if "save" in given else None
    own = {name: int(value) if value.isdigit() else value for name, value in given.items()}
    print(json.dumps({"network": which, "device": machine, **own, **found(which, machine, kept, **own)._asdict()}))
