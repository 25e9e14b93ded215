"""Training step, inference and compile time of the backbones against PyTorch's, on all cores.

    pip install torch torchvision && python benchmarks/backbones.py [NAME ...] [--parts]

One step of AdamW on 16 images of 224 x 224 and the logits of 16, float32. PyTorch's tensors and networks are
channels-last, as is advised on a CPU. Both take turns, and ratios are of medians. With --parts, where the time of
ResNet-18's step goes: value and gradient of its stem and of every stage alone.
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
from merjax.models.layers import Stage, Stem

PEERS = {
    "vgg19": "vgg19",
    "resnet18": "resnet18",
    "resnet50": "resnet50",
    "efficientnet_b0": "efficientnet_b0",
    "vit_b16": "vit_b_16",
}
BATCH, SIDE, CLASSES, TURNS = 16, 224, 5, 5
LR = 1e-4


def ours(name: str, x: np.ndarray, label: np.ndarray) -> tuple[dict[str, Callable[[], object]], list[float]]:
    """A training step and an inference of merjax, and the seconds that compiling them took."""
    net = MODELS[name](classes=CLASSES)
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


def parts() -> dict[str, dict[str, Callable[[], object]]]:
    """Value and gradient of ResNet-18's stem and stages, by merjax and by PyTorch."""
    peer = torchvision.models.resnet18().to(memory_format=torch.channels_last).train()
    stem = torch.nn.Sequential(peer.conv1, peer.bn1, peer.relu, peer.maxpool)
    pairs = {
        "stem": (Stem(64, "imagenet", "batch"), stem, (SIDE, 3), (SIDE // 4, 64)),
        "stage 1": (Stage(64, 2, 1, "batch"), peer.layer1, (SIDE // 4, 64), (SIDE // 4, 64)),
        "stage 2": (Stage(128, 2, 2, "batch"), peer.layer2, (SIDE // 4, 64), (SIDE // 8, 128)),
        "stage 3": (Stage(256, 2, 2, "batch"), peer.layer3, (SIDE // 8, 128), (SIDE // 16, 256)),
        "stage 4": (Stage(512, 2, 2, "batch"), peer.layer4, (SIDE // 16, 256), (SIDE // 32, 512)),
    }
    return {name: gradients(*pair) for name, pair in pairs.items()}


def gradients(mine, peer, given: tuple[int, int], made: tuple[int, int]) -> dict[str, Callable[[], object]]:
    """One part's value and gradient; an image itself needs none."""
    rng, first = np.random.default_rng(0), given[1] == 3
    x, dy = (rng.normal(size=(BATCH, side, side, c)).astype(np.float32) for side, c in (given, made))
    variables = mine.init(jax.random.key(0), x[:1], train=False)

    def value(params, x):
        return mine.apply(variables | {"params": params}, x, train=True, mutable=["batch_stats"])[0]

    @jax.jit
    def pull(params, x, dy):
        return jax.vjp(lambda p: value(p, x), params)[1](dy) if first else jax.vjp(value, params, x)[1](dy)

    def torch_pull() -> None:
        image.grad = None
        for parameter in peer.parameters():
            parameter.grad = None
        peer(image).backward(change)

    image, change = (
        torch.from_numpy(a).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last) for a in (x, dy)
    )
    image.requires_grad_(not first)
    arguments = (variables["params"], jnp.asarray(x), jnp.asarray(dy))
    return {"merjax": lambda: jax.block_until_ready(pull(*arguments)), "PyTorch": torch_pull}


def medians(programs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Milliseconds of each program, in turns."""
    times: dict[str, list[float]] = {who: [] for who in programs}
    for turn in range(TURNS + 1):
        for who, call in programs.items():
            start = time.perf_counter()
            call()
            if turn:  # the first is a warm-up
                times[who].append(1e3 * (time.perf_counter() - start))
    return {who: statistics.median(values) for who, values in times.items()}


def line(name: str, job: str, median: dict[str, float]) -> str:
    """One row of the table."""
    mine, peer = median["merjax"], median["PyTorch"]
    return (
        f"{name:16s} {job:10s} merjax {mine:7.0f} ms   PyTorch {peer:7.0f} ms   merjax / PyTorch = {mine / peer:5.2f}"
    )


def main() -> None:
    """Prints the table."""
    names = [argument for argument in sys.argv[1:] if not argument.startswith("--")] or list(PEERS)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH, SIDE, SIDE, 3)).astype(np.float32)
    label = rng.integers(0, CLASSES, BATCH)
    if "--parts" in sys.argv:
        for name, programs in parts().items():
            print(line("resnet18", name, medians(programs)), flush=True)
        return
    print(f"batch {BATCH}, {SIDE} x {SIDE}, {torch.get_num_threads()} cores; medians of {TURNS}")
    for name in names:
        mine, compiled = ours(name, x, label)
        peers = theirs(name, x, label)
        for (job, program), seconds in zip(mine.items(), compiled, strict=True):
            told = line(name, job, medians({"merjax": program, "PyTorch": peers[job]}))
            print(f"{told}   compiled in {seconds:5.1f} s", flush=True)


if __name__ == "__main__":
    main()
