"""An epoch of STSTNet over all folds: merjax against a well-written PyTorch loop, in turns, as a ratio.

    pip install torch==2.13.0 && python benchmarks/ststnet_loso.py

Both train every fold of a leave-one-subject-out protocol for one epoch: same network, Adam, batch, number of steps and
random data of the size of CASME II + SAMM (278 clips, 52 subjects, 28 x 28 x 3). PyTorch gets its arrays in memory,
channels-last, no test pass, no augmentation, and as many threads as there are cores, or one, whichever is faster;
merjax trains as `run.py` does, without augmentation and with the test pass that a run always makes. Compilation is not
counted.
"""

import os
import statistics
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import torch

from merjax import loso, losses, optim, parallel, train
from merjax.models import MODELS
from merjax.types import Samples

CLIPS, SUBJECTS, BATCH, REPEATS = 278, 52, 256, 5


class Peer(torch.nn.Module):
    """STSTNet in PyTorch; its three branches see one input, so they are one convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Conv2d(3, 16, 3, padding=2),
            torch.nn.ReLU(),
            torch.nn.BatchNorm2d(16),
            torch.nn.MaxPool2d(3, 3, 1),
            torch.nn.Dropout(0.5),
            torch.nn.AvgPool2d(2),
            torch.nn.Flatten(),
            torch.nn.Linear(400, 3),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch."""
        return self.body(x)


def peer_epoch(x: np.ndarray, label: np.ndarray, train_rows: list[np.ndarray], steps: int) -> float:
    """Seconds of one epoch over all folds in PyTorch, models made beforehand."""
    images = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).contiguous(memory_format=torch.channels_last)
    target = torch.from_numpy(label.astype(np.int64))
    folds = []
    for rows in train_rows:
        net = Peer().to(memory_format=torch.channels_last)
        folds.append((net, torch.optim.Adam(net.parameters(), 1e-3, fused=True), torch.from_numpy(rows)))
    loss = torch.nn.CrossEntropyLoss()
    start = time.perf_counter()
    for net, adam, rows in folds:
        order = rows[torch.randperm(len(rows))].repeat(2)
        for step in range(steps):
            batch = order[step * BATCH : (step + 1) * BATCH]
            adam.zero_grad(set_to_none=True)
            loss(net(images[batch]), target[batch]).backward()
            adam.step()
    return time.perf_counter() - start


def main() -> None:
    """Prints the table."""
    cores = len(os.sched_getaffinity(0))
    jax.config.update("jax_num_cpu_devices", cores)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(CLIPS, 1, 28, 28, 3)).astype(np.float32)
    label, subject = rng.integers(0, 3, CLIPS), np.arange(CLIPS) % SUBJECTS
    folds = loso.folds(label, subject)
    steps = -(-int(folds.train_mask.sum(1).max()) // BATCH)

    net = MODELS["ststnet"](classes=3)
    tx = optim.optimizer(name="adam", schedule="constant", lr=1e-3, weight_decay=0.0, steps=1)
    how = parallel.strategy("auto")
    mesh = parallel.fold_mesh(how)
    keys, rows = parallel.place_rows(parallel.table((0,), folds), mesh)  # 52 rows: a multiple of 2 or 4 devices
    samples = Samples(jnp.asarray(x), jnp.asarray(label, jnp.int32), jnp.asarray(subject, jnp.int32))
    samples = parallel.place(samples, mesh, split=False)
    epoch = partial(
        train.epoch,
        net=net,
        tx=tx,
        loss=losses.cross_entropy,
        augment=lambda key, x: x,
        mirror=None,
        weight_power=0.0,
        batch=BATCH,
        epoch_steps=steps,
    )
    init = jax.jit(parallel.over_folds(partial(train.init, net=net, tx=tx), how, mesh))
    program = jax.jit(parallel.over_folds(epoch, how, mesh))
    states = init(keys, rows, samples)
    jax.block_until_ready(program(keys, states, rows, samples))

    train_rows = [r[m].astype(np.int64) for r, m in zip(folds.train, folds.train_mask, strict=True)]
    names = ["merjax", *(f"PyTorch, {n} thread(s)" for n in sorted({1, cores}))]
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(REPEATS):
        start = time.perf_counter()
        jax.block_until_ready(program(keys, states, rows, samples))
        times["merjax"].append(time.perf_counter() - start)
        for threads in sorted({1, cores}):
            torch.set_num_threads(threads)
            times[f"PyTorch, {threads} thread(s)"].append(peer_epoch(x[:, 0], label, train_rows, steps))
    median = {name: statistics.median(values) for name, values in times.items()}
    print(f"{cores} cores, {how}; {SUBJECTS} folds x {steps} steps of {BATCH}; medians of {REPEATS}")
    for name, value in median.items():
        print(
            f"{name:24s} {1e3 * value / SUBJECTS:8.1f} ms a fold-epoch   this / merjax = {value / median['merjax']:.2f}"
        )
    best = min(value for name, value in median.items() if name != "merjax")
    print(f"merjax is {best / median['merjax']:.2f} times as fast as the faster PyTorch loop")


if __name__ == "__main__":
    main()
