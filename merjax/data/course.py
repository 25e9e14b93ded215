"""How strong a drawn movement is from frame to frame: rise, apex, fall, and several peaks. All of it is OUR CHOICE."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

Shape = Callable[[Float[np.ndarray, " t"], float], Float[np.ndarray, " t"]]  # of time 0..1 and a random power, to 0..1
HOLD = 0.4  # share of the fall in which a held expression stays at its apex


def _eased(time: Float[np.ndarray, " t"], power: float) -> Float[np.ndarray, " t"]:
    """Starts and ends slowly; the power shifts the steepest place."""
    s = time**power
    return s * s * (3 - 2 * s)


def _even(time: Float[np.ndarray, " t"], power: float) -> Float[np.ndarray, " t"]:
    return time


def _late(time: Float[np.ndarray, " t"], power: float) -> Float[np.ndarray, " t"]:
    return _eased(np.clip((time - HOLD) / (1 - HOLD), 0, 1), power)


CURVES: dict[str, tuple[Shape, Shape]] = {  # name: the rise, and what the fall has lost
    "eased": (_eased, _eased),
    "even": (_even, _even),
    "held": (_eased, _late),
}


def course(
    rng: np.random.Generator, curve: str = "eased", peaks: Sequence[float] = (1.0,)
) -> tuple[int, Float[np.ndarray, " t"]]:
    """Apex position and intensity: a rise and a longer fall of another shape, which may stop short of neutral.

    A fall that mirrored the rise would cancel it in the dynamic image of the whole clip.

    Args:
        rng: random numbers; how many are drawn depends on the number of peaks alone.
        curve: a name in CURVES.
        peaks: intensity of each peak in their order in time, the largest 1. Peaks in another order give the same
            rises and falls in another order. Falls of several peaks are shorter, and all end in neutral.

    Returns:
        The 0-based position of the (first) frame of intensity 1, and the intensity of every frame.
    """
    up, down = CURVES[curve]
    pulses: dict[int, np.ndarray] = {}
    tops: dict[int, int] = {}
    for place in sorted(range(len(peaks)), key=lambda i: -peaks[i]):
        rise, fall = int(rng.integers(8, 15)), int(rng.integers(18, 46)) // len(peaks)
        rising = up(np.linspace(0, 1, rise + 1), rng.uniform(0.6, 1.1))
        falling = down(np.linspace(0, 1, fall + 1)[1:], rng.uniform(0.5, 0.8))
        left = max(0.0, rng.uniform(-0.1, 0.15)) if len(peaks) == 1 else 0.0
        pulses[place] = peaks[place] * np.concatenate([rising, 1 - (1 - left) * falling])
        tops[place] = rise
    intensity, apex = pulses[0][:1], 0
    for place in range(len(peaks)):
        if peaks[place] == max(peaks):
            apex = len(intensity) - 1 + tops[place]
        intensity = np.concatenate([intensity, pulses[place][1:]])
    return apex, intensity.astype(np.float32)
