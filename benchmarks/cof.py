"""COF and MM-COF of given flow against a copy of both flows, in turns, as ratios.

    python benchmarks/cof.py

16 clips of 224 x 224 x 3 float32, both phases, on as many threads as there are cores. The copy is `numpy.copy` of both
arrays. Every unit is timed, then what the median costs: the one that is used, of a grid of pixels; the exact one of
all pixels by the same counting; and by sorting. Compilation is not counted; ratios are taken of medians. Last come the
errors of the grid's median against that of all pixels, on the same smooth random flow.
"""

import os
import statistics
import time
from collections.abc import Callable
from functools import partial

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from merjax.ops import flow, vectors

CLIPS, SIDE, REPEATS, SORTS = 16, 224, 21, 3


def smooth_flow(rng: np.random.Generator) -> np.ndarray:
    """Flow that is small nearly everywhere and large in a few places, with a third channel."""
    image = cv2.GaussianBlur(rng.normal(size=(SIDE, SIDE, 3)).astype(np.float32), (0, 0), 9)
    return (image / image.std()) ** 3 + rng.normal(size=3).astype(np.float32)


def seconds(function: Callable[..., object], *arguments: object) -> float:
    """Time of one call."""
    start = time.perf_counter()
    jax.block_until_ready(function(*arguments))
    return time.perf_counter() - start


def main() -> None:
    """Prints the tables."""
    rng = np.random.default_rng(0)
    host = [np.stack([smooth_flow(rng) for _ in range(CLIPS)]).astype(np.float32) for _ in range(2)]
    device = [jnp.asarray(one) for one in host]
    maps = jnp.stack(device)[..., :2].transpose(0, 1, 4, 2, 3).reshape(4 * CLIPS, SIDE, SIDE)

    def by_grid(image: jax.Array) -> jax.Array:
        return vectors.median(vectors.thin(image))

    def exact(image: jax.Array) -> jax.Array:
        return vectors.median(image.ravel())

    programs: dict[str, Callable[[], object]] = {"copy": lambda: [one.copy() for one in host]}
    for make in (flow.cof, flow.mm_cof):
        for unit in vectors.UNITS:
            program = jax.jit(jax.vmap(partial(make, unit=unit)))
            programs[f"{make.__name__}, unit {unit}"] = partial(program, *device)
    medians = {name: jax.jit(jax.vmap(make)) for name, make in (("grid", by_grid), ("exact", exact))}
    medians["sort"] = jax.jit(jax.vmap(jnp.median))
    programs |= {f"the medians alone, {name}": partial(program, maps) for name, program in medians.items()}

    times: dict[str, list[float]] = {name: [] for name in programs}
    for program in programs.values():
        jax.block_until_ready(program())
    for repeat in range(REPEATS):
        for name, program in programs.items():
            if repeat < SORTS or not name.endswith("sort"):
                times[name].append(seconds(program))
    median = {name: statistics.median(values) for name, values in times.items()}
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores; {CLIPS} clips of {SIDE} x {SIDE} x 3, both phases; medians of {REPEATS}")
    for name, value in median.items():
        print(f"{name:28s} {1e3 * value:8.2f} ms   this / copy = {value / median['copy']:.2f}")

    grid, whole = (np.asarray(medians[name](maps)) for name in ("grid", "exact"))
    error = np.abs(grid - whole) / (np.ptp(np.asarray(maps), axis=(1, 2)) / 2)
    print(f"error of the grid's median in half ranges: median {np.median(error):.4f}, largest {error.max():.4f}")


if __name__ == "__main__":
    main()
