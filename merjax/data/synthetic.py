"""Drawn faces that make small, known movements: the data set for everyone without a licence.

Every subject is a cartoon face with skin texture; every clip warps it by smooth displacement fields that belong to
facial actions. A clip rests in its own random expression, whose spread is larger than the action, so a single frame
tells little about the class; the movement tells it. All of this model is OUR CHOICE; the action units are the field's.

Lengths and positions are fractions of the image side (x right, y down) until they become pixels in `draw`.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from merjax.data import actions, disturb, warp
from merjax.data.course import CURVES, course
from merjax.data.disturb import LIMITS, Dials
from merjax.data.faces import grid, stream, subject_face
from merjax.data.tasks import TASKS, Script
from merjax.types import Annotation, Clip, Dataset, InputError, pick

DEFAULT = Dials()


class Truth(NamedTuple):
    """A drawn clip and what is known about it.

    Displacement is (u right, v down) in pixels: what lies at pixel x in frame 0 lies at x + displacement[t, x] in
    frame t. `onset` and `apex` are true; the annotator's are where two dials put them.
    """

    frames: UInt8[np.ndarray, "t h w 3"]  # RGB
    onset: int  # 0-based positions in frames
    apex: int
    annotated_onset: int
    annotated_apex: int
    displacement: Float[np.ndarray, "t h w 2"]
    intensity: Float[np.ndarray, " t"]  # of the action: 0 at onset, 1 at apex, near 0 at offset


def draw(*, subject: int, clip: int, action: str, seed: int, size: int, **dials: Any) -> Truth:
    """Draw one clip of one action; the same arguments give the same clip.

    Args:
        subject: number of the face.
        clip: number of the clip among this subject's.
        action: a name in `actions.MOVEMENTS`.
        seed: of the whole data set.
        size: side of a frame in pixels.
        **dials: fields of Dials that differ from the default.

    Returns:
        See `perform`.

    Raises:
        InputError: there is no such action.
    """
    if action not in actions.MOVEMENTS:
        raise InputError(f"synthetic data: action is {action!r} and must be one of {', '.join(actions.MOVEMENTS)}.")
    script, dial = Script(action), DEFAULT._replace(**dials)
    return perform(script, subject=subject, clip=clip, seed=seed, size=size, dial=dial)


def perform(script: Script, *, subject: int, clip: int, seed: int, size: int, dial: Dials = DEFAULT) -> Truth:
    """Draw one clip of a script.

    The random numbers depend on seed, subject, clip and action, so that clips which differ in another part of the
    script or in a dial are the same in all else.

    Args:
        script: what the face does.
        subject: number of the face.
        clip: number of the clip among this subject's.
        seed: of the whole data set.
        size: side of a frame in pixels.
        dial: how large, and how disturbed.

    Returns:
        Frames from onset to offset with their true displacement; if the annotator's onset is early, so many frames
        before the onset too.
    """
    face, texture = subject_face(seed, subject, size)
    numbers = subject, clip, list(actions.MOVEMENTS).index(script.action)
    rng = stream(seed, 1, *numbers)
    x, y = grid(size)
    columns, rows = x * size - 0.5, y * size - 0.5

    resting = actions.resting(rng, face, dial.rest / 100, script.rest)
    fine = grid(2 * size)
    back = warp.inverse(actions.field(resting, *fine) * 2 * size, *(g * 2 * size - 0.5 for g in fine))
    texture = cv2.remap(texture, *back, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)

    strength = dial.amplitude / 100 * size * face.gain * rng.uniform(0.75, 1.25)

    def movement(name: str) -> Float[np.ndarray, "h w 2"]:
        bumps = actions.follow(actions.bumps(name, face), resting)
        return actions.field(bumps, x, y) * np.float32(strength / actions.peak(bumps))

    apex, intensity = course(rng, dial.curve, script.peaks)
    onset = max(0, -dial.onset_late)
    apex, intensity = apex + onset, np.pad(intensity, (onset, 0))
    moves = [(intensity, movement(script.action))]
    if script.then:
        moves.append((np.where(np.arange(len(intensity)) > apex, 1 - intensity, 0), movement(script.then)))
    time = np.linspace(0, 1, len(intensity))
    right, down, turn = (dial.drift / 100 * size * path for path in disturb.wander(rng, time, 3))
    gain, slope_x, slope_y = (dial.light * path for path in disturb.wander(rng, time, 3))
    shaken = disturb.jitter(stream(seed, 2, *numbers), len(time), 2)
    right, down = (way + dial.shake / 100 * size * step for way, step in zip((right, down), shaken, strict=True))

    frames = np.empty((len(intensity), size, size, 3), np.uint8)
    displacement = np.empty((len(intensity), size, size, 2), np.float32)
    for t in range(len(intensity)):
        # The head turns about the neck; `turn` is the path of a point one side length above it.
        head = np.stack([right[t] + turn[t] * (1 - y), down[t] + turn[t] * (x - 0.5)], axis=-1)
        displacement[t] = sum(strong[t] * moved for strong, moved in moves) + head
        at_x, at_y = (2 * back + 0.5 for back in warp.inverse(displacement[t], columns, rows))
        frame = cv2.remap(texture, at_x, at_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        shine = (1 + gain[t] + slope_x[t] * (x - 0.5) + slope_y[t] * (y - 0.5))[..., None]
        scene = frame * (shine * disturb.flicker(dial.flicker, t))
        grain = np.asarray(rng.standard_normal(frame.shape, np.float32))
        frames[t] = disturb.photograph(scene, grain, noise=dial.noise, blur=dial.blur / 100 * size, jpeg=dial.jpeg)
    late = {"apex_late": dial.apex_late, "onset_late": dial.onset_late}
    return Truth(frames, onset, apex, *disturb.annotated(apex, onset, len(frames), **late), displacement, intensity)


def annotated(truth: Truth) -> Clip:
    """The clip as its annotator cut it: from the annotated onset on, with flow between the annotated frames."""
    onset, apex = truth.annotated_onset, truth.annotated_apex
    return Clip(
        frames=truth.frames[onset:],
        apex=apex - onset,
        onset_apex=warp.flow_image(warp.between(truth.displacement, onset, apex)),
        apex_offset=warp.flow_image(warp.between(truth.displacement, apex, len(truth.frames) - 1)),
    )


def _load(annotation: Annotation, *, scripts: Sequence[Script], seed: int, size: int, dial: Dials) -> Clip:
    clip = int(annotation.clip.rpartition("c")[2])
    # The number and not the label decides what is drawn: shuffled labels must not draw other faces.
    script = scripts[_label(clip, len(scripts))]
    return annotated(perform(script, subject=int(annotation.subject[1:]), clip=clip, seed=seed, size=size, dial=dial))


def _label(clip: int, classes: int) -> int:
    return (clip - 1) % classes


def read(
    *,
    task: str = "actions",
    seed: int = 0,
    subjects: int = 16,
    clips_per_class: int = 4,
    size: int = 96,
    amplitude: float = DEFAULT.amplitude,
    curve: str = DEFAULT.curve,
    rest: float = DEFAULT.rest,
    drift: float = DEFAULT.drift,
    shake: float = DEFAULT.shake,
    light: float = DEFAULT.light,
    flicker: float = DEFAULT.flicker,
    blur: float = DEFAULT.blur,
    noise: float = DEFAULT.noise,
    jpeg: int = DEFAULT.jpeg,
    apex_late: int = DEFAULT.apex_late,
    onset_late: int = DEFAULT.onset_late,
) -> Dataset:
    """A data set of drawn faces, each clip drawn when it is loaded.

    Args:
        task: what the classes differ in: "actions", three movements; "units", thirteen action units; "fall", what
            the face does after the apex alone; "order", which of two peaks is the strong one.
        seed: another number gives other faces and clips.
        subjects: how many faces.
        clips_per_class: clips of each class for each subject.
        size: side of a frame in pixels.
        amplitude: peak displacement of an average action at its apex, in percent of the side; subjects and clips
            scatter around it.
        curve: how the intensity rises and falls: "eased", slowly at both ends; "even", at one speed; "held", eased
            with a stay at the apex.
        rest: standard deviation of each of three movements of the resting expression, in percent of the side; more
            movements are each smaller. Below about twice the amplitude the apex frame alone begins to tell the class.
        drift: size of the head's slow movement, in percent of the side.
        shake: standard deviation of the head's place from frame to frame, in percent of the side, as crops shake.
        light: size of the slow change of brightness and of its gradients over a clip, as a fraction.
        flicker: by how much every other frame is darker, as a fraction.
        blur: standard deviation of the lens's blur, in percent of the side.
        noise: standard deviation of the camera's noise, in grey levels.
        jpeg: quality of the compressed frames, 1 to 100; 0 compresses none.
        apex_late: frames by which the annotated apex comes after the true one, before it if negative. It stays
            between onset and offset.
        onset_late: frames by which the annotated onset comes after the true one; if negative, the clip begins with so
            many frames at rest.

    Returns:
        A Dataset whose clips hold frames, apex and both flow images, (u, v) in pixels and strain in pixels a pixel, all
        as annotated.

    Raises:
        InputError: an argument is out of its range, or names nothing that exists.
    """
    scripts = pick(TASKS, "data.synthetic.task", task)
    pick(CURVES, "data.synthetic.curve", curve)
    dial = Dials(
        amplitude=amplitude,
        curve=curve,
        rest=rest,
        drift=drift,
        shake=shake,
        light=light,
        flicker=flicker,
        blur=blur,
        noise=noise,
        jpeg=jpeg,
        apex_late=apex_late,
        onset_late=onset_late,
    )
    whole = {"seed": (seed, 0, math.inf), "subjects": (subjects, 2, math.inf)}
    whole |= {"clips_per_class": (clips_per_class, 1, math.inf), "size": (size, 32, 512)}
    for name, (value, low, high) in (whole | {n: (getattr(dial, n), *ends) for n, ends in LIMITS.items()}).items():
        if not low <= value <= high:
            wanted = f"at least {low}" if high == math.inf else f"between {low} and {high}"
            raise InputError(f"synthetic data: {name} is {value} and must be {wanted}.")
    annotations = [
        Annotation("synthetic", f"S{subject:02d}", f"S{subject:02d}_c{clip:02d}", _label(clip, len(scripts)))
        for subject in range(1, subjects + 1)
        for clip in range(1, clips_per_class * len(scripts) + 1)
    ]
    load = functools.partial(_load, scripts=tuple(scripts.values()), seed=seed, size=size, dial=dial)
    return Dataset("synthetic", tuple(scripts), tuple(annotations), load)
