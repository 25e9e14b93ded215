"""How far each method of optical flow is off, on textured pairs whose motion is known.

    python benchmarks/flow_error.py
    python benchmarks/flow_error.py --peer=PYTHON

Prints a Markdown table of mean endpoint errors in pixels, the mean of 8 pairs of 128 x 128, a border of 8 left out. The
texture is a sum of sines, so that it is known between the pixels and no method's interpolation made it; the motion is
three smooth bumps, scaled to a mean length of 0.1 to 2 pixels. Images are rounded to bytes: clean, with sensor noise of
2 grey levels in both, or with the second image 2 % brighter. With `--peer`, an interpreter that has
opencv-contrib-python-headless (`python -m venv V; V/bin/pip install opencv-contrib-python-headless`), the table has a
row for OpenCV's DualTVL1.
"""

import argparse
import subprocess
import tempfile
from functools import partial
from pathlib import Path

import jax
import numpy as np

from merjax.ops import optical_flow, tvl1

SIDE, PAIRS, BORDER = 128, 8, 8
MEANS = (0.1, 0.2, 0.5, 1.0, 2.0)  # pixels
CONDITIONS = ("clean", "noise", "light")

# Reads paths of pairs, writes their flow beside them, answers with seconds and OpenCV's version.
PEER = """
import sys, time, cv2, numpy as np
method = cv2.optflow.DualTVL1OpticalFlow_create()
for path in map(str.strip, sys.stdin):
    first, second = np.load(path)
    start = time.perf_counter()
    flow = [method.calc(a, b, None) for a, b in zip(first, second)]
    seconds = time.perf_counter() - start
    np.save(path + ".flow.npy", np.stack(flow))
    print(seconds, cv2.__version__, flush=True)
"""


class Peer:
    """OpenCV's DualTVL1 in its own interpreter, for its wheel and the one merjax uses exclude each other."""

    def __init__(self, python: str) -> None:
        self.process = subprocess.Popen([python, "-c", PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.version = ""

    def flow(self, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, float]:
        """Flow of many pairs, and the seconds that it took."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pairs.npy"
            np.save(path, np.stack([first, second]))
            print(path, file=self.process.stdin, flush=True)
            seconds, self.version = self.process.stdout.readline().split()
            return np.load(f"{path}.flow.npy"), float(seconds)

    def close(self) -> None:
        """Ends the other interpreter."""
        self.process.communicate()


def pair(seed: int, mean: float, condition: str, side: int = SIDE, waves: int = 200) -> tuple[np.ndarray, ...]:
    """First image, second image (bytes) and true flow (u right, v down)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side].astype(np.float64)
    flow = np.zeros((side, side, 2))
    for _ in range(3):
        (cx, cy), sigma = rng.uniform(0.2, 0.8, 2) * side, rng.uniform(0.12, 0.22) * side
        flow += np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2))[..., None] * rng.normal(size=2)
    flow *= mean / np.linalg.norm(flow, axis=-1).mean()

    length = np.exp(rng.uniform(np.log(4), np.log(64), waves))  # of a wave, in pixels
    angle, phase = rng.uniform(0, 2 * np.pi, (2, waves))
    first, second = np.zeros((2, side, side))
    for wave, direction, shift in zip(length, angle, phase, strict=True):
        across, down = 2 * np.pi / wave * np.cos(direction), 2 * np.pi / wave * np.sin(direction)
        first += np.sqrt(wave) * np.sin(across * (x + flow[..., 0]) + down * (y + flow[..., 1]) + shift)
        second += np.sqrt(wave) * np.sin(across * x + down * y + shift)
    middle, spread = second.mean(), second.std()
    first, second = (125 + 30 * (image - middle) / spread for image in (first, second))
    if condition == "noise":
        first, second = (image + rng.normal(0, 2, image.shape) for image in (first, second))
    if condition == "light":
        second = 1.02 * second
    images = [np.clip(np.rint(image), 0, 255).astype(np.uint8) for image in (first, second)]
    return *images, flow.astype(np.float32)


def endpoint_error(flow: np.ndarray, true: np.ndarray) -> float:
    """Mean distance between found and true displacement, in pixels, over all pairs."""
    return float(np.linalg.norm(flow - true, axis=-1)[:, BORDER:-BORDER, BORDER:-BORDER].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description="Errors of optical flow on pairs with a known motion.")
    parser.add_argument("--peer", help="an interpreter that has opencv-contrib-python-headless")
    peer = Peer(path) if (path := parser.parse_args().peer) else None

    def host(name: str):
        return lambda a, b: np.stack([optical_flow.FLOWS[name].compute(*images) for images in zip(a, b, strict=True)])

    methods = {
        "tvl1": jax.jit(tvl1.tvl1_pairs),
        "tvl1, flatten 32": jax.jit(partial(tvl1.tvl1_pairs, flatten=32.0)),
        "farneback": host("farneback"),
        "dis": host("dis"),
    }
    if peer:
        methods["OpenCV DualTVL1"] = lambda a, b: peer.flow(a, b)[0]
    print(f"| images | method | {' | '.join(f'{mean:g} px' for mean in MEANS)} |")
    print(f"| --- | --- |{' ---: |' * len(MEANS)}")
    for condition in CONDITIONS:
        rows: dict[str, list[str]] = {name: [] for name in methods}
        for mean in MEANS:
            first, second, true = (
                np.stack(part) for part in zip(*(pair(i, mean, condition) for i in range(PAIRS)), strict=True)
            )
            for name, method in methods.items():
                rows[name].append(f"{endpoint_error(np.asarray(method(first, second)), true):.3f}")
        for name, errors in rows.items():
            print(f"| {condition} | {name} | {' | '.join(errors)} |")
    if peer:
        peer.close()
        print(f"\nDualTVL1 of OpenCV {peer.version}")


if __name__ == "__main__":
    main()
