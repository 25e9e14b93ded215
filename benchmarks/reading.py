"""Speed of reading a licensed data set: loading all clips against decoding alone, and describing.

    python benchmarks/reading.py [FOLDER]

The tree is drawn: 255 clips of 26 subjects, 67 frames each, JPEGs of 640 x 480 pixels as CASME II has them, 0.6 GB in
FOLDER, where a later call finds it again, or in a folder that is taken away afterwards. Every figure is the median of
three rounds on warm files. `load` is what a run does for each clip: decode, find the face on the onset frame, cut it
out of all frames at 128 x 128 pixels, know the apex. `decode` is OpenCV's imread of the same files. Both run in as many
threads as there are cores, and OpenCV's own threads are off, as they are while a run makes its inputs.
"""

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


def main(root: Path) -> None:
    cv2.setNumThreads(1)
    if not root.exists():
        TREES["casme2"](root, subjects=26, clips=255, length=67, size=480, faults=(), releases=("raw",))
    dataset = DATASETS["casme2"].read(str(root), scheme="casme2_7")
    files = [clip.files for clip in dataset.clips]
    print(f"{len(files)} clips, {sum(map(len, files))} frames, {CORES} cores")
    loads, decodes, tells = [], [], []
    for _ in range(ROUNDS):  # in turn, so that whatever else the machine does meets both
        decodes.append(seconds(decode, files))
        fresh = DATASETS["casme2"].read(str(root), scheme="casme2_7")
        loads.append(seconds(lambda clip, load=fresh.load: load(clip).apex, fresh.clips))
        start = time.perf_counter()
        describe.describe(root)
        tells.append(time.perf_counter() - start)
    load, alone, told = map(statistics.median, (loads, decodes, tells))
    print(f"decode {alone:.1f} s, load {load:.1f} s: {alone / load:.0%} of decoding alone; describe {told:.2f} s")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def decode(paths: Iterable[str]) -> None:
    for path in paths:
        cv2.imread(path)


def seconds(work: Callable, jobs: Iterable) -> float:
    start = time.perf_counter()
    with ThreadPoolExecutor(CORES) as pool:
        for _ in pool.map(work, jobs):
            pass
    return time.perf_counter() - start


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder, "tree"))
