"""Speed of reading a licensed data set: loading all clips against decoding alone, and describing.

    python benchmarks/reading.py [FOLDER]

The tree is drawn: 255 clips of 26 subjects, 67 frames each, JPEGs of 640 x 480 pixels as CASME II has them, 0.6 GB in
FOLDER, where a later call finds it again, or in a folder that is taken away afterwards. `load` is what a run does for
each clip: decode, find the face on the onset frame, cut it out of all frames at 128 x 128 pixels, know the apex.
`decode` is OpenCV's imread of the same files, and nothing else. Both run in as many threads as there are cores, each in
a process of its own, in turn, and a figure is the median of three on warm files.

`decode, memory kept` is decode in a process that is told to keep freed memory. Else every frame of 0.9 MB takes fresh
pages from the system, which costs as much as the decoding; loading does not meet that, since the frames that it decodes
are smaller.
"""

import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2

from merjax.data import DATASETS, describe
from merjax.data.trees import TREES

ROUNDS = 3
CORES = os.cpu_count() or 1
KEEP = {"MALLOC_MMAP_THRESHOLD_": str(2**28), "MALLOC_TRIM_THRESHOLD_": str(2**29)}  # of glibc


def main(root: Path) -> None:
    if not root.exists():
        TREES["casme2"](root, subjects=26, clips=255, length=67, size=480, faults=(), releases=("raw",))
    files = [clip.files for clip in opened(root).clips]
    print(f"{len(files)} clips, {sum(map(len, files))} frames, {CORES} cores")
    cases: dict[str, tuple[Callable[[Path], None], dict[str, str]]] = {
        "decode": (decode, {}),
        "decode, memory kept": (decode, KEEP),
        "load": (load, {}),
        "describe": (tell, {}),
    }
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for _ in range(ROUNDS):  # in turn, so that whatever else the machine does meets all
        for name, (work, setting) in cases.items():
            took[name].append(alone(work, root, setting))
    seconds = {name: statistics.median(one for one, _ in each) for name, each in took.items()}
    for name, each in took.items():
        print(f"{name}: {seconds[name]:.2f} s, peak {max(peak for _, peak in each):.2f} GiB")
    for name in ("decode", "decode, memory kept"):
        print(f"load is {seconds[name] / seconds['load']:.0%} as fast as {name}")


def alone(work: Callable[[Path], None], root: Path, setting: dict[str, str]) -> tuple[float, float]:
    """Seconds and GiB of some work in a fresh process."""
    before = dict(os.environ)
    os.environ.update(setting)
    try:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(measured, (work, root))
    finally:
        os.environ.clear()
        os.environ.update(before)


def measured(work: Callable[[Path], None], root: Path) -> tuple[float, float]:
    start = time.perf_counter()
    work(root)
    return time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def opened(root: Path):
    return DATASETS["casme2"].read(str(root), scheme="casme2_7")


def decode(root: Path) -> None:
    in_threads(lambda clip: [cv2.imread(path) is None for path in clip.files], opened(root).clips)


def load(root: Path) -> None:
    dataset = opened(root)
    in_threads(lambda clip: dataset.load(clip).apex, dataset.clips)


def tell(root: Path) -> None:
    describe.describe(root)


def in_threads(work: Callable, jobs: Iterable) -> None:
    with ThreadPoolExecutor(CORES) as pool:
        for _ in pool.map(work, jobs):
            pass


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder, "tree"))
