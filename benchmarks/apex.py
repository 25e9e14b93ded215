"""How far off each way of spotting an apex is, on drawn clips whose apex is known.

    python benchmarks/apex.py

Prints a Markdown table of mean absolute errors, in frames and in percent of the clip's length, over 36 clips of 96 x 96
pixels: 12 subjects, each action once. The clips are drawn as `synthetic.read` draws them; then with head and light at
rest; then without camera noise too; then, as drawn, under a lamp that flickers by 5 % from frame to frame. They are
taken as 100 frames a second. The landmarks of `cell_ratio` are the drawn face's own, without its resting expression,
and the same for every frame. Times are medians over clips on one core.
"""

import statistics
import time

import cv2
import numpy as np

from merjax.data import apex, faces, synthetic, tasks

SUBJECTS, SIDE, SEED, FPS = 12, 96, 0, 100.0
REST = {"drift": 0.0, "light": 0.0}


def landmarks(subject: int, side: int = SIDE, seed: int = SEED) -> np.ndarray:
    """The points of the 68 that `cell_ratio` reads, in pixels [68 2]; others lie at the origin."""
    face = faces.subject_face(seed, subject, side)[0]
    points = np.zeros((68, 2))
    points[8] = 0.5, 0.96
    points[31], points[35] = (0.45, 0.63), (0.55, 0.63)
    points[48], points[54] = (0.5 - face.mouth_half, face.mouth_y), (0.5 + face.mouth_half, face.mouth_y)
    points[36:42], points[42:48] = (0.5 - face.eye_x, face.eye_y), (0.5 + face.eye_x, face.eye_y)
    points[17:22], points[22:27] = (0.5 - face.eye_x, face.brow_y), (0.5 + face.eye_x, face.brow_y)
    points[21, 0], points[22, 0] = 0.5 - face.eye_x + face.brow_half, 0.5 + face.eye_x - face.brow_half
    return points * side - 0.5


def clips(**dials: float) -> list[tuple[int, synthetic.Truth]]:
    """Numbers of subjects, and their clips."""
    return [
        (subject, synthetic.draw(subject=subject, clip=1, action=action, seed=SEED, size=SIDE, **dials))
        for subject in range(1, SUBJECTS + 1)
        for action in tasks.ACTIONS.values()
    ]


def main() -> None:
    cv2.setNumThreads(1)
    sets = {
        "as drawn": clips(),
        "head and light at rest": clips(**REST),
        "and no noise": clips(**REST, noise=0.0),
        "flicker": clips(flicker=0.05),
    }

    def cells(subject: int, frames: np.ndarray, fps: float) -> int:
        return apex.cell_ratio(frames, np.repeat(landmarks(subject)[None], len(frames), 0), fps)

    spotters = {name: lambda _, *given, spot=spot: spot(*given) for name, spot in apex.SPOTTERS.items()}
    spotters["flow, farneback"] = lambda _, *given: apex.flow(*given, method="farneback")
    spotters["strain, farneback"] = lambda _, *given: apex.strain(*given, method="farneback")
    spotters["cell_ratio"] = cells
    print(f"| spotter | {' | '.join(f'{name}: frames | %' for name in sets)} | ms a clip |")
    print(f"| --- |{' ---: |' * (2 * len(sets) + 1)}")
    for name, spot in spotters.items():
        row, seconds = [], []
        for clip_set in sets.values():
            errors = []
            for subject, truth in clip_set:
                start = time.perf_counter()
                found = spot(subject, truth.frames, FPS)
                seconds.append(time.perf_counter() - start)
                errors.append((abs(found - truth.apex), 100 * abs(found - truth.apex) / len(truth.frames)))
            row += [f"{part:.1f}" for part in np.mean(errors, axis=0)]
        print(f"| {name} | {' | '.join(row)} | {1000 * statistics.median(seconds):.0f} |", flush=True)


if __name__ == "__main__":
    main()
