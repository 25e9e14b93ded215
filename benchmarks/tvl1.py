"""TV-L1 flow of 16 pairs of 224 x 224: merjax against OpenCV's DualTVL1, in turns, as a ratio.

    python -m venv V && V/bin/pip install opencv-contrib-python-headless
    python benchmarks/tvl1.py --peer=V/bin/python

Both take the same pairs with the same constants and every core: OpenCV its own threads, merjax one device for each
core. The pairs are those of `flow_error.py` with sensor noise, mean motion 0.1, 0.2, 0.5 and 1 pixel. The time is that
of the flow alone, arrays in memory, compilation not counted; the errors are those of the same run. Then come
other constants of merjax's TV-L1, and OpenCV's other two methods.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from functools import partial

import jax
import numpy as np
from flow_error import Peer, endpoint_error, pair

from merjax.ops import optical_flow, tvl1

PAIRS, SIDE, REPEATS = 16, 224, 5
SETTINGS: dict[str, dict[str, float]] = {
    "3 warps": {"warps": 3},
    "2 warps": {"warps": 2},
    "median 1 (none)": {"median": 1},
    "median 3": {"median": 3},
    "3 scales, step 0.5": {"scales": 3, "scale_step": 0.5},
    "3 warps, 3 scales, step 0.5": {"warps": 3, "scales": 3, "scale_step": 0.5},
    "slope -0.5 (Catmull-Rom)": {"slope": -0.5},
    "slope -0.75 (OpenCV)": {"slope": -0.75},
    "epsilon 0, 10 steps a warp": {"epsilon": 0.0, "inner": 10, "outer": 1},
    "epsilon 0, 30 steps a warp": {"epsilon": 0.0, "inner": 30, "outer": 1},
}


def program(**constants: float) -> Callable[..., jax.Array]:
    """TV-L1 of all pairs, spread over the devices."""
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("device",))
    share = jax.P("device")
    return jax.jit(
        jax.shard_map(partial(tvl1.tvl1_pairs, **constants), mesh=mesh, in_specs=(share, share), out_specs=share)
    )


def one_by_one(compute: Callable[..., np.ndarray], first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Flow of all pairs by a host function."""
    return np.stack([compute(*images) for images in zip(first, second, strict=True)])


def timed(function: Callable[..., object], *arguments: np.ndarray) -> tuple[np.ndarray, float]:
    """Flow, and the seconds that it took."""
    start = time.perf_counter()
    flow = jax.block_until_ready(function(*arguments))
    return np.asarray(flow), time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description="TV-L1 flow of merjax against OpenCV's.")
    parser.add_argument("--peer", required=True, help="an interpreter that has opencv-contrib-python-headless")
    peer = Peer(parser.parse_args().peer)
    cores = len(os.sched_getaffinity(0))
    jax.config.update("jax_num_cpu_devices", max(n for n in range(1, cores + 1) if PAIRS % n == 0))
    made = [pair(i, (0.1, 0.2, 0.5, 1.0)[i % 4], "noise", SIDE, waves=100) for i in range(PAIRS)]
    first, second, true = (np.stack(part) for part in zip(*made, strict=True))

    ours = program()
    ours(first, second)
    peer.flow(first[:1], second[:1])
    times: dict[str, list[float]] = {"merjax": [], "OpenCV": []}
    for _ in range(REPEATS):
        flow, seconds = timed(ours, first, second)
        times["merjax"].append(seconds)
        theirs, seconds = peer.flow(first, second)
        times["OpenCV"].append(seconds)
    peer.close()
    median = {name: statistics.median(values) for name, values in times.items()}
    print(f"{cores} cores, {PAIRS} pairs of {SIDE} x {SIDE}, medians of {REPEATS}; OpenCV {peer.version}")
    for name, found in (("merjax", flow), ("OpenCV", theirs)):
        print(f"{name:28s} {1e3 * median[name] / PAIRS:7.1f} ms a pair   error {endpoint_error(found, true):.4f} px")
    print(f"merjax takes {median['merjax'] / median['OpenCV']:.3f} of the time of OpenCV")

    others = {name: program(**constants) for name, constants in SETTINGS.items()} | {
        name: partial(one_by_one, flow.compute) for name, flow in optical_flow.FLOWS.items() if flow.host
    }
    for name, other in others.items():
        other(first, second)
        runs = [timed(other, first, second) for _ in range(3)]
        seconds = statistics.median(seconds for _, seconds in runs)
        print(f"{name:28s} {1e3 * seconds / PAIRS:7.1f} ms a pair   error {endpoint_error(runs[0][0], true):.4f} px")


if __name__ == "__main__":
    main()
