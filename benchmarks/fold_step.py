"""A training step of one fold: merjax against a well-written PyTorch loop, and both against the machine's limit.

    pip install torch torchvision && python benchmarks/fold_step.py [ststnet] [learnet] [fmanet] [resnet18] [--profile]

Both take the same steps with the same batches: network, Adam, rows of every batch. merjax trains as `run.py` does:
`train.fit` without augmentation, folds one after another on every core, several steps in a scan; what is told is the
time of the program over its fold-steps. PyTorch has its arrays in memory, channels-last, Adam fused, and as many
threads as there are cores, or one, whichever is faster; it steps fold by fold, as published code does. Both take
turns, after a warm-up; figures are medians. Compilation is not counted.

The limit of a step is the larger of two times: multiply-adds of forward pass and gradient (PyTorch's own count of its
network) over the speed of a large matrix product on all cores; and bytes over the speed of a copy, where every
convolution's and dense layer's result is written and read once, the batch is read, and Adam moves seven numbers a
parameter. With --profile no PyTorch runs; a table says where merjax's step spends its time.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import torch
import torch_nets
import torchvision
from torch.utils.flop_counter import FlopCounterMode

from merjax import loso, losses, optim, parallel, train
from merjax.models import MODELS
from merjax.recipes import FMANET_28
from merjax.types import Fold, Samples

CORES = len(os.sched_getaffinity(0))
TURNS, FOLDS_A_CORE, LR = 5, 2, 1e-3


class Case(NamedTuple):
    """What one network trains on."""

    net: nn.Module
    peer: Callable[[], torch.nn.Module]
    side: int
    batch: int
    clips: int
    steps: int  # of every fold in a turn


CASES = {
    "ststnet": Case(MODELS["ststnet"](classes=3), partial(torch_nets.STSTNet, 3), 28, 256, 278, 8),
    "learnet": Case(MODELS["learnet"](classes=5), partial(torch_nets.LEARNet, 5), 112, 32, 64, 4),
    "fmanet": Case(
        MODELS["fmanet"](classes=3, **FMANET_28), partial(torch_nets.FMANet, 3, FMANET_28["width"]), 28, 64, 278, 4
    ),
    "resnet18": Case(
        MODELS["resnet18"](classes=5), partial(torchvision.models.resnet18, num_classes=5), 224, 16, 32, 1
    ),
}


class Run(NamedTuple):
    """A case with its data, on the mesh."""

    case: Case
    keys: jax.Array
    folds: Fold
    samples: Samples
    lift: Callable[[Callable], Callable]
    x: np.ndarray
    label: np.ndarray
    batches: np.ndarray  # rows of every step of the first fold


def prepare(case: Case) -> Run:
    """Random clips of as many subjects as there are folds."""
    rng, count = np.random.default_rng(0), FOLDS_A_CORE * CORES
    x = rng.normal(size=(case.clips, case.net.streams, case.side, case.side, 3)).astype(np.float32)
    label = rng.integers(0, case.net.classes, case.clips)
    subject = np.arange(case.clips) * count // case.clips
    how = parallel.strategy("auto")
    mesh = parallel.fold_mesh(how)
    table = parallel.table((0,), loso.folds(label, subject))
    first = jax.tree.map(lambda a: a[0], table.fold)
    order = jax.random.fold_in(parallel.row_key(0, first.subject), train.Stream.ORDER)
    rows = [train.batch_rows(order, jnp.int32(i), first, case.batch, case.steps) for i in range(case.steps)]
    keys, folds = parallel.place_rows(table, mesh)
    samples = Samples(jnp.asarray(x), jnp.asarray(label, jnp.int32), jnp.asarray(subject, jnp.int32))
    samples = parallel.place(samples, mesh, split=False)
    lift = partial(parallel.over_folds, how=how, mesh=mesh)
    return Run(case, keys, folds, samples, lift, x, label, np.stack(rows))


def ours(run: Run) -> Callable[[], object]:
    """All folds' steps by merjax."""
    case = run.case
    tx = optim.optimizer(name="adam", schedule="constant", lr=LR, weight_decay=0.0, steps=1)
    recipe: dict[str, Any] = {"loss": losses.cross_entropy, "augment": lambda key, x: x, "weight_power": 0.0}
    fit = partial(train.fit, net=case.net, tx=tx, batch=case.batch, epoch_steps=case.steps, steps=case.steps, **recipe)
    arguments = (run.folds, run.samples)
    states = jax.jit(run.lift(partial(train.init, net=case.net, tx=tx)))(run.keys, *arguments)
    program = jax.jit(run.lift(fit)).lower(run.keys, states, *arguments).compile()
    return lambda: jax.block_until_ready(program(run.keys, states, *arguments))


def theirs(run: Run, threads: int) -> Callable[[], object]:
    """The steps of as many folds by PyTorch; the first fold's batches serve for all."""
    case = run.case
    x = run.x.transpose(0, 1, 4, 2, 3).reshape(case.clips, -1, case.side, case.side)
    images = torch.from_numpy(x.copy()).contiguous(memory_format=torch.channels_last)
    label, batches = torch.from_numpy(run.label), torch.from_numpy(run.batches.astype(np.int64))
    nets = [case.peer().to(memory_format=torch.channels_last).train() for _ in run.folds.subject]
    adams = [torch.optim.Adam(net.parameters(), LR, fused=True) for net in nets]
    loss = torch.nn.CrossEntropyLoss()

    def steps() -> None:
        torch.set_num_threads(threads)
        for net, adam in zip(nets, adams, strict=True):
            for rows in batches:
                adam.zero_grad(set_to_none=True)
                loss(net(images[rows]), label[rows]).backward()
                adam.step()

    return steps


def needed(run: Run) -> tuple[float, float]:
    """Multiply-adds and bytes of one step; see the top."""
    case = run.case
    net, written = case.peer().to(memory_format=torch.channels_last).train(), []
    for layer in net.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            layer.register_forward_hook(lambda layer, given, result: written.append(result.numel()))
    x = torch.zeros(case.batch, 3 * case.net.streams, case.side, case.side)
    with FlopCounterMode(display=False) as counted:
        net(x.contiguous(memory_format=torch.channels_last)).sum().backward()
    parameters = sum(p.numel() for p in net.parameters())
    return counted.get_total_flops() / 2, 4.0 * (x.numel() + 2 * sum(written) + 7 * parameters)


def machine() -> tuple[float, float]:
    """Multiply-adds a second of a large matrix product, and bytes a second of a copy (read and written), all cores."""
    mesh, share = parallel.fold_mesh("shard_map"), jax.P("fold")
    many = partial(jax.shard_map, mesh=mesh, in_specs=share, out_specs=share)
    side, length, copies, repeats = 1024, 2**24, 8, 9
    square, line = jnp.ones((mesh.size, side, side)), jnp.ones((mesh.size, length))
    multiply = jax.jit(many(lambda a: a @ a))
    copy = jax.jit(many(lambda a: jax.lax.fori_loop(0, copies, lambda _, a: a + 1.0, a)))  # no fresh pages but once
    seconds = []
    for program, given in ((multiply, square), (copy, line)):
        given = parallel.place(given, mesh, split=True)
        seconds.append(medians({"it": lambda p=program, a=given: jax.block_until_ready(p(a))}, repeats)["it"])
    return mesh.size * side**3 / seconds[0], 8.0 * mesh.size * length * copies / seconds[1]


def medians(programs: dict[str, Callable[[], object]], turns: int = TURNS) -> dict[str, float]:
    """Seconds of each program, in turns; the first is a warm-up."""
    times: dict[str, list[float]] = {name: [] for name in programs}
    for turn in range(turns + 1):
        for name, program in programs.items():
            start = time.perf_counter()
            program()
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def compare(name: str, speed: tuple[float, float]) -> None:
    """Prints one network's ratio and limit."""
    run = prepare(CASES[name])
    programs = {"merjax": ours(run)} | {f"PyTorch, {n} thread(s)": theirs(run, n) for n in sorted({1, CORES})}
    count = run.case.steps * len(run.folds.subject)
    median = {who: seconds / count for who, seconds in medians(programs).items()}
    mine, best = median.pop("merjax"), min(median, key=median.__getitem__)
    told = ", ".join(f"{who} {1e3 * seconds:.1f} ms" for who, seconds in median.items())
    print(f"{name}, batch {run.case.batch}, {run.case.side} x {run.case.side}: merjax {1e3 * mine:.1f} ms, {told}")
    print(f"  merjax is {median[best] / mine:.2f} times as fast as {best}")
    work, moved = needed(run)
    by_work, by_bytes = work / speed[0], moved / speed[1]
    limit = max(by_work, by_bytes)
    print(
        f"  {work / 1e6:,.0f} M multiply-adds: {1e3 * by_work:.2f} ms; {moved / 1e6:,.0f} MB: {1e3 * by_bytes:.2f} ms"
    )
    print(f"  share of the limit: merjax {limit / mine:.0%}, PyTorch {limit / median[best]:.0%}", flush=True)


def profile(name: str) -> None:
    """Prints what a fold-step costs up to its batch, loss, gradient, and whole."""
    run = prepare(CASES[name])
    case = run.case

    def until(part: str) -> Callable[[], object]:
        def fold(key: jax.Array, fold: Fold, samples: Samples) -> jax.Array:
            variables = case.net.init(key, samples.x[:1], train=False)

            def step(carry: jax.Array, i: jax.Array) -> tuple[jax.Array, None]:
                rows = train.batch_rows(key, i, fold, case.batch, case.steps)
                x, label = samples.x[rows], samples.label[rows]

                def loss(params: dict) -> jax.Array:
                    given, rngs = variables | {"params": params}, {"dropout": jax.random.fold_in(key, i)}
                    logits, _ = case.net.apply(given, x, train=True, mutable=["batch_stats"], rngs=rngs)
                    return losses.cross_entropy(logits, label, jnp.ones(case.net.classes))

                # What went before changes the weights by nothing that shows, so that no step can be left out.
                params = jax.tree.map(lambda p: p * (1.0 + 1e-20 * carry), variables["params"])
                if part == "batch":
                    return carry + x.sum(), None
                if part == "loss":
                    return loss(params), None
                value, gradient = jax.value_and_grad(loss)(params)
                return sum((g.sum() for g in jax.tree.leaves(gradient)), value), None

            return jax.lax.scan(step, 0.0 * fold.subject.astype(jnp.float32), jnp.arange(case.steps))[0]

        program = jax.jit(run.lift(fold)).lower(run.keys, run.folds, run.samples).compile()
        return lambda: jax.block_until_ready(program(run.keys, run.folds, run.samples))

    programs = {part: until(part) for part in ("batch", "loss", "gradient")} | {"step": ours(run)}
    median = medians(programs)
    count, before = case.steps * len(run.folds.subject), 0.0
    for part, seconds in median.items():
        upto, more = (1e3 * value / count for value in (seconds, seconds - before))
        print(f"{name:10s} up to {part:10s} {upto:8.2f} ms   {more:8.2f} more", flush=True)
        before = seconds


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Fold-steps of merjax against PyTorch.")
    parser.add_argument("networks", nargs="*", default=list(CASES), help=", ".join(CASES))
    parser.add_argument("--profile", action="store_true", help="where merjax's step spends its time")
    given = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", CORES)
    if not given.profile:
        speed = machine()
        told = f"{speed[0] / 1e9:.0f} G multiply-adds/s, copies {speed[1] / 1e9:.1f} GB/s"
        print(f"{CORES} cores: {told}; medians of {TURNS}", flush=True)
    for name in given.networks:
        profile(name) if given.profile else compare(name, speed)


if __name__ == "__main__":
    main()
