"""Rank pooling: its speed against a plain copy and NumPy, a whole data set, and its likeness to the exact method.

    pip install scikit-learn scipy && python benchmarks/rank_pool.py

1. One clip (67 x 224 x 224 x 3, uint8), pooled with given weights and as a finished dynamic image, against copying its
   bytes and against NumPy's tensordot with the conversion to float. All take turns in runs whose first calls are
   not counted, so that everyone finds the clip in the cache; ratios are of medians.
2. Dynamic image, TRDI, MIDI and MESTI of 255 clips of 20 to 100 frames, padded as `prepare` pads them and brought back
   to host memory; reading images is not part of it. The peak is that of the whole process.
3. Spearman rank correlation, over pixels, of unscaled dynamic images with exact rank pooling, and of MIDI with MESTI
   and with the linear dynamic image, on drawn clips.
"""

import resource
import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.stats import spearmanr

from merjax.data import synthetic
from merjax.ops import exact, midi, rank_pool
from merjax.prepare import padded

SHAPE = (67, 224, 224, 3)
TURNS, WARM, RUN = 5, 100, 200  # calls not counted, in which both cores wake up, and counted
PEERS = {
    "copy": "copy of the bytes, reused memory",
    "pooling": "merjax, pooling alone",
    "image": "merjax, frames on the device",
}
CLIPS, LENGTHS = 255, (20, 101)
SUBJECTS = 4  # of 3 drawn clips each, for the exact method


def placed(array: np.ndarray, offset: int) -> np.ndarray:
    """A copy that begins `offset` bytes after a multiple of 64."""
    room = np.empty(array.nbytes + 128, np.uint8)
    begin = -room.ctypes.data % 64 + offset
    copy = room[begin : begin + array.nbytes].reshape(array.shape)
    copy[:] = array
    return copy


def speed(rng: np.random.Generator) -> None:
    """Prints one clip's times."""
    frames = rng.integers(0, 256, SHAPE, np.uint8)
    length = jnp.int32(len(frames))
    image, pool = jax.jit(rank_pool.dynamic_image), jax.jit(rank_pool.rank_pool)
    weights = rank_pool.harmonic_weights(jnp.arange(1, len(frames) + 1), length)
    single, double = (np.array(weights, kind) for kind in (np.float32, np.float64))
    there = np.empty_like(frames)
    # JAX reads host memory in place where it begins at a multiple of 64 bytes, and copies any other.
    aligned, odd = (placed(frames, offset) for offset in (0, 16))
    on_device = jnp.asarray(frames)
    programs: dict[str, Callable[[], object]] = {
        "copy of the bytes, reused memory": lambda: np.copyto(there, frames),
        "copy of the bytes, fresh memory": lambda: frames.copy(),
        "merjax, pooling alone": lambda: pool(on_device, weights),
        "merjax, frames on the device": lambda: image(on_device, length),
        "merjax, NumPy frames, aligned": lambda: image(aligned, length),
        "merjax, NumPy frames, not aligned": lambda: image(odd, length),
        "tensordot, float32 weights": lambda: np.tensordot(single, frames.astype(np.float32), 1),
        "tensordot, float64 weights": lambda: np.tensordot(double, frames.astype(np.float32), 1),
    }
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(TURNS):
        for name, program in programs.items():
            time.sleep(0.2)  # BLAS keeps its threads spinning for a while
            for call in range(WARM + RUN):
                start = time.perf_counter()
                jax.block_until_ready(program())
                if call >= WARM:
                    times[name].append(time.perf_counter() - start)
    median = {name: statistics.median(values) for name, values in times.items()}
    for name, value in median.items():
        ratios = [f"this / {peer} = {value / median[row]:6.2f}" for peer, row in PEERS.items()]
        print(f"{name:34s} {1e3 * value:7.2f} ms   {'   '.join(ratios)}")


def whole_set(rng: np.random.Generator) -> None:
    """Prints the time and the peak of memory of four images for every clip."""

    @jax.jit
    def images(frames: Array, length: Array, apex: Array) -> Float[Array, "4 h w c"]:
        return jnp.concatenate(
            [
                rank_pool.dynamic_image(frames, length),
                midi.trdi_midi(frames, length),
                rank_pool.mesti(frames, length, apex),
            ]
        )

    source = rng.integers(0, 256, (LENGTHS[1], *SHAPE[1:]), np.uint8)
    made = np.empty((CLIPS, 4, *SHAPE[1:]), np.float32)
    start = time.perf_counter()
    for row, length in zip(made, rng.integers(*LENGTHS, CLIPS), strict=True):
        row[:] = images(padded(source[:length]), np.int32(length), np.int32(length // 2))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9  # in KiB
    print(f"4 images of each of {CLIPS} clips: {seconds:.1f} s, compilation included; peak memory {peak:.2f} GB")


def likeness() -> None:
    """Prints mean rank correlations."""
    dataset = synthetic.read(subjects=SUBJECTS, clips_per_class=1)
    found: dict[str, list[float]] = {f"{name}, exact": [] for name in rank_pool.COEFFICIENTS} | {
        "MIDI, MESTI": [],
        "MIDI, linear": [],
    }
    seconds = []
    for annotation in dataset.clips:
        clip = dataset.load(annotation)
        start = time.perf_counter()
        reference = exact.exact_rank_pool(clip.frames)
        seconds.append(time.perf_counter() - start)
        frames, length, apex = jnp.asarray(clip.frames), jnp.int32(len(clip.frames)), jnp.int32(clip.apex)
        for name in rank_pool.COEFFICIENTS:
            image = rank_pool.dynamic_image(frames, length, coefficients=name, scale="none")
            found[f"{name}, exact"].append(spearmanr(np.ravel(image), reference.ravel()).statistic)
        by_motion = np.ravel(midi.midi(frames, length, scale="none"))
        by_apex = rank_pool.mesti(frames, length, apex, scale="none")
        by_time = rank_pool.dynamic_image(frames, length, coefficients="linear", scale="none")
        for name, other in (("MIDI, MESTI", by_apex), ("MIDI, linear", by_time)):
            found[name].append(spearmanr(by_motion, np.ravel(other)).statistic)
    print(f"rank correlation over the pixels of {len(dataset.clips)} drawn clips of 96 x 96")
    for name, values in found.items():
        print(f"{name:18s} mean {np.mean(values):6.3f}   lowest {min(values):6.3f}   highest {max(values):6.3f}")
    print(f"exact: {statistics.median(seconds):.2f} s a clip (median)")


def main() -> None:
    """Prints all three."""
    rng = np.random.default_rng(0)
    speed(rng)
    whole_set(rng)
    likeness()


if __name__ == "__main__":
    main()
