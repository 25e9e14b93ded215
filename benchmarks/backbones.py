"""Training step, inference and compile time of the backbones against PyTorch's, on all cores.

    pip install torch torchvision && python benchmarks/backbones.py [NAME ...] [--how=native]

One step of AdamW on 16 images of 224 x 224 and the logits of 16, float32. PyTorch's tensors and networks are
channels-last, as is advised on a CPU. Both take turns, and ratios are of medians.
"""

import statistics
import sys
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
import torchvision

from merjax.models import MODELS

PEERS = {
    "vgg19": "vgg19",
    "resnet18": "resnet18",
    "resnet50": "resnet50",
    "efficientnet_b0": "efficientnet_b0",
    "vit_b16": "vit_b_16",
}
BATCH, SIDE, CLASSES, TURNS = 16, 224, 5, 5
LR = 1e-4


def ours(name: str, how: str, x: np.ndarray, label: np.ndarray) -> tuple[dict[str, Callable[[], object]], list[float]]:
    """A training step and an inference of merjax, and the seconds that compiling them took."""
    net = MODELS[name](classes=CLASSES, **{"how": how} if hasattr(MODELS[name], "how") else {})
    tx, images, truth = optax.adamw(LR), jnp.asarray(x[:, None]), jnp.asarray(label)
    variables = jax.jit(lambda: net.init(jax.random.key(0), images[:1], train=False))()
    stats = variables.get("batch_stats", {})

    def step(params, stats, opt):
        def loss(params):
            given, rngs = {"params": params, "batch_stats": stats}, {"dropout": jax.random.key(1)}
            logits, changed = net.apply(given, images, train=True, mutable=["batch_stats"], rngs=rngs)
            return optax.softmax_cross_entropy_with_integer_labels(logits, truth).mean(), changed

        gradient, changed = jax.grad(loss, has_aux=True)(params)
        updates, opt = tx.update(gradient, opt, params)
        return optax.apply_updates(params, updates), changed.get("batch_stats", {}), opt

    def infer(params, stats):
        return net.apply({"params": params, "batch_stats": stats}, images, train=False)

    state = [variables["params"], stats, tx.init(variables["params"])]
    start = time.perf_counter()
    stepped = jax.jit(step, donate_argnums=(0, 1, 2)).lower(*state).compile()
    middle = time.perf_counter()
    inferred = jax.jit(infer).lower(*state[:2]).compile()
    seconds = [middle - start, time.perf_counter() - middle]

    def train() -> object:
        state[:] = stepped(*state)
        return jax.block_until_ready(state)

    return {"step": train, "inference": lambda: jax.block_until_ready(inferred(*state[:2]))}, seconds


def theirs(name: str, x: np.ndarray, label: np.ndarray) -> dict[str, Callable[[], object]]:
    """The same of PyTorch."""
    net = getattr(torchvision.models, PEERS[name])(num_classes=CLASSES).to(memory_format=torch.channels_last)
    images = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    truth, optimizer = torch.from_numpy(label), torch.optim.AdamW(net.parameters(), lr=LR, foreach=True)

    def step() -> None:
        net.train()
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(net(images), truth).backward()
        optimizer.step()

    def infer() -> object:
        net.eval()
        with torch.inference_mode():
            return net(images)

    return {"step": step, "inference": infer}


def main() -> None:
    """Prints the table."""
    names = [argument for argument in sys.argv[1:] if not argument.startswith("--")] or list(PEERS)
    how = next((argument.removeprefix("--how=") for argument in sys.argv if argument.startswith("--how=")), "auto")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH, SIDE, SIDE, 3)).astype(np.float32)
    label = rng.integers(0, CLASSES, BATCH)
    print(f"batch {BATCH}, {SIDE} x {SIDE}, {torch.get_num_threads()} cores, convolutions '{how}'; medians of {TURNS}")
    for name in names:
        mine, compiled = ours(name, how, x, label)
        peers = theirs(name, x, label)
        for (job, program), seconds in zip(mine.items(), compiled, strict=True):
            programs = {"merjax": program, "PyTorch": peers[job]}
            times: dict[str, list[float]] = {who: [] for who in programs}
            for turn in range(TURNS + 1):
                for who, call in programs.items():
                    start = time.perf_counter()
                    call()
                    if turn:  # the first is a warm-up
                        times[who].append(time.perf_counter() - start)
            median = {who: statistics.median(values) for who, values in times.items()}
            print(
                f"{name:16s} {job:10s} merjax {1e3 * median['merjax']:7.0f} ms   PyTorch "
                f"{1e3 * median['PyTorch']:7.0f} ms   merjax / PyTorch = {median['merjax'] / median['PyTorch']:5.2f}   "
                f"compiled in {seconds:5.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
