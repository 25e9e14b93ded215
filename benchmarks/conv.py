"""merjax's convolution on a CPU against XLA's own, in a compiled loop and under vmap over folds.

    python benchmarks/conv.py

One training step of three convolutions (3 to 16 to 32 to 64 channels, 28 x 28, batch 64), as a scan of steps mapped
over folds, and side by side under vmap; both are timed in turns, and ratios are taken of medians.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial

import jax

from merjax.models import conv
from merjax.models.cpu.conv import convolve
from merjax.models.pooling import halve

FOLDS, STEPS, BATCH, SIDE, REPEATS = 4, 4, 64, 28, 5
CHANNELS = (3, 16, 32, 64)
WAYS = {"merjax": convolve, "native": partial(conv.grouped.fun, groups=1)}


def features(kernels: list[jax.Array], x: jax.Array, way: Callable) -> jax.Array:
    """Three convolutions with relu, halved after the first two, averaged over space."""
    for layer, kernel in enumerate(kernels):
        x = jax.nn.relu(way(x, kernel, stride=1, padding=1))
        x = halve(x) if layer < 2 else x
    return x.mean((1, 2))


def fold(kernels: list[jax.Array], x: jax.Array, way: Callable) -> list[jax.Array]:
    """Some gradient steps of one fold."""

    def step(kernels: list[jax.Array], _: None) -> tuple[list[jax.Array], None]:
        gradient = jax.grad(lambda k: features(k, x, way).var())(kernels)
        return [k - 0.01 * g for k, g in zip(kernels, gradient, strict=True)], None

    return jax.lax.scan(step, kernels, length=STEPS)[0]


def seconds(function: Callable[..., object], *arguments: object) -> float:
    """Time of one call."""
    start = time.perf_counter()
    jax.block_until_ready(function(*arguments))
    return time.perf_counter() - start


def main() -> None:
    """Prints the table."""
    keys = jax.random.split(jax.random.key(0), len(CHANNELS))
    x = jax.random.normal(keys[0], (FOLDS, BATCH, SIDE, SIDE, CHANNELS[0]))
    kernels = [
        0.05 * jax.random.normal(key, (FOLDS, 3, 3, c, o))
        for key, c, o in zip(keys[1:], CHANNELS[:-1], CHANNELS[1:], strict=True)
    ]
    programs = {}
    for how, way in WAYS.items():
        programs[f"{how}, map"] = jax.jit(lambda k, x, way=way: jax.lax.map(lambda row: fold(*row, way), (k, x)))
        programs[f"{how}, vmap"] = jax.jit(jax.vmap(lambda k, x, way=way: fold(k, x, way)))
    for program in programs.values():
        jax.block_until_ready(program(kernels, x))
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(REPEATS):
        for name, program in programs.items():
            times[name].append(seconds(program, kernels, x))
    median = {name: statistics.median(values) for name, values in times.items()}
    print(f"{jax.default_backend()}, {FOLDS} folds x {STEPS} steps, batch {BATCH}; medians of {REPEATS}")
    for name, value in median.items():
        lift = name.split(", ")[1]
        per_step = 1e3 * value / FOLDS / STEPS
        print(f"{name:14s} {per_step:8.1f} ms a fold-step   native / this = {median[f'native, {lift}'] / value:5.2f}")


if __name__ == "__main__":
    main()
