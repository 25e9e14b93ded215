"""How a leave-one-subject-out run grows: with the folds, by the strategy, in memory, and as one whole protocol.

    python benchmarks/scaling.py folds        seconds of an epoch and of compiling, from 4 to 68 folds
    python benchmarks/scaling.py strategies   every strategy over 8 folds, by network
    python benchmarks/scaling.py protocol     68 folds, 442 clips, 800 epochs of STSTNet, beside PyTorch's where it is
    python benchmarks/scaling.py memory       68 folds of ResNet-18 at 224 x 224: the estimate beside the peak

Data are random and of the size of the MEGC 2019 composite (442 clips, 68 subjects, 28 x 28 x 3) unless said. What runs
is `loop.train_all`, as in `run.py`, with its checkpoints; compiling is shown apart. PyTorch trains 3 folds in a loop
with the same steps and batches, its arrays in memory and no test, by as many threads as there are cores or by one,
whichever is quicker, and is scaled to 68.
"""

import os
import resource
import statistics
import sys
import tempfile
import time

import jax
import jax.numpy as jnp
import numpy as np

from merjax import loop, loso, losses, memory, optim, parallel, program
from merjax.folder import Folder
from merjax.models import MODELS
from merjax.recipes import FMANET_28
from merjax.types import Rows, Samples

CLIPS, SUBJECTS, CLASSES = 442, 68, 3
CORES = len(os.sched_getaffinity(0))


def clips(count: int = CLIPS, subjects: int = SUBJECTS, side: int = 28, streams: int = 1) -> Samples:
    """Random clips."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, streams, side, side, 3)).astype(np.float32)
    label, subject = rng.integers(0, CLASSES, count), np.arange(count) % subjects
    return Samples(jnp.asarray(x), jnp.asarray(label, jnp.int32), jnp.asarray(subject, jnp.int32))


def job_of(name: str, batch: int, steps: int, epochs: int, **own: object) -> program.Job:
    """A network with Adam and no augmentation."""
    recipe = {
        "loss": losses.cross_entropy,
        "augment": lambda key, x: x,
        "mirror": None,
        "weight_power": 0.0,
        "batch": batch,
        "epoch_steps": steps,
        "precision": "float32",
        "remat": False,
        "accumulate": 1,
    }
    tx = optim.optimizer(name="adam", schedule="constant", lr=1e-3, weight_decay=0.0, steps=1)
    return program.Job(MODELS[name](classes=CLASSES, **own), tx, recipe, epochs)


def table(samples: Samples, folds: int) -> Rows:
    """The first folds of leaving one subject out."""
    rows = parallel.table((0,), loso.folds(np.asarray(samples.label), np.asarray(samples.subject)))
    return jax.tree.map(lambda a: a[:folds], rows)


def run(rows: Rows, samples: Samples, job: program.Job, how: str = "auto", most: int = 0) -> tuple[float, float]:
    """Seconds of training, and of compiling."""
    with tempfile.TemporaryDirectory() as folder:
        plan, start = program.plan(job, rows, samples, how, most), time.perf_counter()
        trained = loop.train_all(rows, samples, job, plan, folder=Folder(folder), save_seconds=60.0)
        return time.perf_counter() - start - trained.compile_seconds, trained.compile_seconds


def folds() -> None:
    """The cost of a fold does not depend on how many there are."""
    epochs = 15
    samples, job = clips(), job_of("ststnet", 256, 2, epochs)
    print("| folds | s of 15 epochs | ms a fold-epoch | compiled in, s |\n| --- | --- | --- | --- |")
    for count in (4, 8, 17, 34, 68):
        found = [run(table(samples, count), samples, job) for _ in range(3)]
        seconds, compiled = (statistics.median(each) for each in zip(*found, strict=True))
        print(f"| {count} | {seconds:.2f} | {1e3 * seconds / epochs / count:.1f} | {compiled:.1f} |", flush=True)


def strategies() -> None:
    """What the rule of `parallel.strategy` rests on."""
    cases = {
        "linear": ("linear", 64, 6, 20, 28, 2, {}),
        "ststnet": ("ststnet", 256, 2, 8, 28, 1, {}),
        "fmanet": ("fmanet", 64, 6, 2, 28, 2, FMANET_28),
        "resnet18 at 64": ("resnet18", 16, 2, 1, 64, 1, {}),
    }
    ways = ("map", "vmap", "shard_map", "shard_vmap")
    print(f"| ms a fold-step, 8 folds | {' | '.join(ways)} |\n| --- |{' --- |' * len(ways)}")
    with tempfile.TemporaryDirectory() as compiled:  # once in three runs
        jax.config.update("jax_compilation_cache_dir", compiled)
        for title, (name, batch, steps, epochs, side, streams, own) in cases.items():
            samples, job = clips(side=side, streams=streams), job_of(name, batch, steps, epochs, **own)
            times = {way: [run(table(samples, 8), samples, job, way)[0] for _ in range(3)] for way in ways}
            cells = [f"{1e3 * statistics.median(times[way]) / (8 * steps * epochs):.1f}" for way in ways]
            print(f"| {title} | {' | '.join(cells)} |", flush=True)


def protocol() -> None:
    """The whole of MEGC 2019's protocol for STSTNet."""
    epochs = 800
    samples = clips()
    seconds, compiled = run(table(samples, SUBJECTS), samples, job_of("ststnet", 256, 2, epochs))
    print(
        f"merjax: {SUBJECTS} folds x {epochs} epochs in {seconds / 60:.1f} min, compiled in {compiled:.0f} s",
        flush=True,
    )
    try:
        import torch
        import torch_nets
    except ImportError:
        return
    images = torch.from_numpy(np.asarray(samples.x)[:, 0].transpose(0, 3, 1, 2).copy())
    images = images.contiguous(memory_format=torch.channels_last)
    target = torch.from_numpy(np.asarray(samples.label).astype(np.int64))
    loss, found = torch.nn.CrossEntropyLoss(), {}
    for threads in sorted({1, CORES}):
        torch.set_num_threads(threads)
        start = time.perf_counter()
        for _ in range(3):
            net = torch_nets.STSTNet(CLASSES).to(memory_format=torch.channels_last)
            adam = torch.optim.Adam(net.parameters(), 1e-3, fused=True)
            for _ in range(epochs // 10):
                order = torch.randperm(CLIPS - 6).repeat(2)
                for batch in (order[:256], order[256:512]):
                    adam.zero_grad(set_to_none=True)
                    loss(net(images[batch]), target[batch]).backward()
                    adam.step()
        found[threads] = (time.perf_counter() - start) * 10 / 3 * SUBJECTS
        print(
            f"PyTorch, {threads} thread(s), scaled from a tenth of 3 folds: {found[threads] / 60:.1f} min", flush=True
        )
    print(f"PyTorch / merjax = {min(found.values()) / seconds:.1f}")


def peak() -> None:
    """The memory of many large networks."""
    samples = clips(count=SUBJECTS, side=224)
    rows, job = table(samples, SUBJECTS), job_of("resnet18", 16, 2, 1)
    plan = program.plan(job, rows, samples, "auto", int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    total = plan.gib_a_device * memory.sharing()
    with tempfile.TemporaryDirectory() as folder:
        loop.train_all(rows, samples, job, plan, folder=Folder(folder), save_seconds=60.0)
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / memory.GIB
    shares = f"planned {total:.1f} GiB, peak {found:.1f} GiB, {found / total:.2f} of it"
    print(f"{plan.rows_at_once} of {SUBJECTS} rows at once: {shares}")


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", CORES)
    parts = {"folds": folds, "strategies": strategies, "protocol": protocol, "memory": peak}
    if len(sys.argv) < 2 or sys.argv[1] not in parts:
        sys.exit(__doc__)
    parts[sys.argv[1]]()
