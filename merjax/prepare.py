"""From clips to Samples: loads every clip, makes its network input, keeps it on disk, stacks the results.

Each core of the CPU works on a clip of its own; an accelerator, which one clip would not fill, on a batch of them. An
input is looked up by what it is made of (`cache`), and so is the flow between two frames: another weight of COF needs
no new flow.
"""

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8
from tqdm import tqdm

from merjax import cache
from merjax.ops import INPUTS
from merjax.ops.batch import at_once, batched
from merjax.ops.edit import edit
from merjax.ops.optical_flow import FLOWS, grey
from merjax.ops.strain import FORMS, with_strain
from merjax.types import Annotation, Clip, Dataset, InputError, Samples, pick

FRAMES_STEP = 16  # clips are padded to a multiple of this many frames: a handful of compilations, not one per length
FROM_FRAMES = ("frames", "length", "apex", "onset_apex", "apex_offset", "flows", "intensity")  # what frames can give
PHASES = ("onset_apex", "apex_offset")
FLOW_NAMES = ("auto", *FLOWS)
Pair = tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]


class Recipe(NamedTuple):
    """How a clip becomes network input.

    Attributes:
        input: a name in `ops.INPUTS`.
        arguments: keyword arguments of the input.
        edit: keyword arguments of `ops.edit.edit`.
        flow: a name in `ops.optical_flow.FLOWS`, for inputs made of flow; "auto" takes the flow that clips come with,
            and "tvl1" for clips that come with none.
        flow_arguments: keyword arguments of that flow.
        strain: form of the strain that goes with computed flow, see `ops.strain.strain`.
    """

    input: str
    arguments: Mapping[str, Any] = {}
    edit: Mapping[str, Any] = {}
    flow: str = "auto"
    flow_arguments: Mapping[str, Any] = {}
    strain: str = "half"


def can_give(given: tuple[str, ...]) -> tuple[str, ...]:
    """The parts of a clip that inputs can have, where a source gives some of them."""
    return (*given, *(part for part in FROM_FRAMES if part not in given)) if "frames" in given else given


def padded(frames: UInt8[np.ndarray, "t h w c"]) -> UInt8[np.ndarray, "s h w c"]:
    """A clip whose last frame is repeated up to a multiple of FRAMES_STEP frames."""
    return np.pad(frames, ((0, -len(frames) % FRAMES_STEP), (0, 0), (0, 0), (0, 0)), mode="edge")


def given_parts(clip: Clip) -> dict[str, np.ndarray]:
    """What a clip comes with, by name."""
    found = {name: np.asarray(value) for name, value in clip._asdict().items() if value is not None}
    if "frames" in found:
        found["length"] = np.asarray(len(found["frames"]), np.int32)
        found["apex"] = np.asarray(found.get("apex", len(found["frames"]) // 2), np.int32)
    return found


def traced(recipe: Recipe, size: int = 64) -> jax.ShapeDtypeStruct:
    """The shape of an input of frames of size x size pixels, by tracing only: wrong arguments show at once.

    Raises:
        InputError: an unknown name or an impossible number in the recipe.
    """
    made_by = pick(INPUTS, "input.name", recipe.input)
    pick(dict.fromkeys(FLOW_NAMES), "flow.name", recipe.flow)
    number, field = jax.ShapeDtypeStruct((), jnp.int32), jax.ShapeDtypeStruct((size, size, 3), jnp.float32)
    clip = {
        "frames": jax.ShapeDtypeStruct((FRAMES_STEP, size, size, 3), jnp.uint8),
        "length": number,
        "apex": number,
        "onset_apex": field,
        "apex_offset": field,
        "flows": jax.ShapeDtypeStruct((FRAMES_STEP, size, size, 2), jnp.float32),
        "intensity": jax.ShapeDtypeStruct((FRAMES_STEP,), jnp.float32),
    }
    pick(FORMS, "flow.strain", recipe.strain)
    if recipe.edit:
        jax.eval_shape(partial(edit, **recipe.edit), clip["frames"], number, number)
    return jax.eval_shape(partial(made_by.make, **recipe.arguments), *[clip[name] for name in made_by.needs])


class Maker:
    """Makes the inputs of clips by a recipe; may be called from several threads."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.made_by = pick(INPUTS, "input.name", recipe.input)
        self.method = "tvl1" if recipe.flow == "auto" else recipe.flow
        self.size = size = at_once()
        flow = pick(FLOWS, "flow.name", self.method)
        between = partial(flow.compute, **recipe.flow_arguments)
        self.between = batched(between, size)
        if flow.host:
            self.between = lambda pairs: [np.asarray(between(*pair)) for pair in pairs]
        self.with_strain = batched(partial(with_strain, form=recipe.strain), size)
        self.edit = batched(partial(edit, **recipe.edit), size) if recipe.edit else None
        self.make = batched(partial(self.made_by.make, **recipe.arguments), size)

    def __call__(self, clip: Clip) -> Float[np.ndarray, "p h w c"]:
        """The input of one clip."""
        return self.many([clip])[0][0]

    def many(self, clips: Sequence[Clip]) -> list[tuple[Float[np.ndarray, "p h w c"], str]]:
        """The input of each clip, from the cache if it was made before, and a digest of what it is made from."""
        given = [given_parts(clip) for clip in clips]
        if self.recipe.flow != "auto":
            given = [{name: part for name, part in found.items() if name not in PHASES} for found in given]
        contents = [cache.digest(self.used(found)) for found in given]
        names = [cache.key({"recipe": self.recipe._asdict()}, content) for content in contents]
        made = recalled(names, lambda missing: self.make(self.parts([given[number] for number in missing])))
        return list(zip(made, contents, strict=True))

    def used(self, found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Picks from what a clip comes with what its input is made from."""
        used = set(self.made_by.needs)
        if not used <= set(found):
            used |= {"frames", "length"} | ({"apex"} if used & set(PHASES) else set())
        return {name: part for name, part in found.items() if name in used}

    def parts(self, given: Sequence[dict[str, np.ndarray]]) -> list[tuple[np.ndarray, ...]]:
        """The parts that the input needs, in its order, from what each clip comes with."""
        clips = [found | {"frames": padded(found["frames"])} if "frames" in found else found for found in given]
        if self.edit is not None:
            names = ("frames", "length", "apex")
            shown = [number for number, found in enumerate(clips) if "frames" in found]
            edited = self.edit([tuple(clips[number][name] for name in names) for number in shown])
            for number, arrays in zip(shown, edited, strict=True):
                clips[number] = clips[number] | dict(zip(names, arrays, strict=True))
        for name in self.made_by.needs:
            without = [number for number, found in enumerate(given) if name not in found]
            computed = self.from_frames(name, [clips[number] for number in without])
            for number, part in zip(without, computed, strict=True):
                clips[number] = clips[number] | {name: part}
        return [tuple(found[name] for name in self.made_by.needs) for found in clips]

    def from_frames(self, name: str, clips: Sequence[dict[str, np.ndarray]]) -> list[Float[np.ndarray, "..."]]:
        """A part that is computed from frames: flow of a phase, flow of consecutive frames, or motion intensity."""
        if name not in PHASES:
            return [self.course(name, clip["frames"], int(clip["length"])) for clip in clips]
        ends = [(0, clip["apex"]) if name == "onset_apex" else (clip["apex"], clip["length"] - 1) for clip in clips]
        pairs = [
            (np.asarray(grey(clip["frames"][first])), np.asarray(grey(clip["frames"][second])))
            for clip, (first, second) in zip(clips, ends, strict=True)
        ]
        return self.with_strain([(flow,) for flow in self.phases(pairs)])

    def course(self, name: str, frames: UInt8[np.ndarray, "t h w c"], length: int) -> Float[np.ndarray, "..."]:
        """The flow of consecutive frames, or the motion intensity of every frame; zero for padding."""
        greys = [np.asarray(grey(frame)) for frame in frames[:length]]
        if name == "flows":
            made = np.array(self.between(list(itertools.pairwise(greys)))).reshape(-1, *frames.shape[1:3], 2)
        else:  # "intensity": how far the face is from its onset, as the mean length of the flow
            flows = self.between([(greys[0], image) for image in greys])
            made = np.array([np.linalg.norm(flow, axis=-1).mean() for flow in flows], np.float32)
        return np.concatenate([made, np.zeros((len(frames) - len(made), *made.shape[1:]), np.float32)])

    def phases(self, pairs: Sequence[Pair]) -> list[Float[np.ndarray, "h w 2"]]:
        """Flow between two grey images each, from the cache if it was computed before."""
        contents = [cache.digest({"first": first, "second": second}) for first, second in pairs]
        names = [cache.key({"flow": self.method, **self.recipe.flow_arguments}, content) for content in contents]
        return recalled(names, lambda missing: self.between([pairs[number] for number in missing]))


def recalled(names: Sequence[str], make: Callable[[list[int]], list[np.ndarray]]) -> list[np.ndarray]:
    """Arrays by name from the cache; the positions of those that it lacks go to `make`, and what that gives is kept."""
    found = [cache.recall(name) for name in names]
    missing = [number for number, array in enumerate(found) if array is None]
    for number, array in zip(missing, make(missing), strict=True):
        cache.keep(names[number], array)
        found[number] = array
    return [array for array in found if array is not None]


def subjects_of(dataset: Dataset) -> tuple[np.ndarray, list[str]]:
    """The subject number of every clip, and the subjects' names, "database/subject", by number.

    Two databases may use the same name for two people, so a subject is the pair.
    """
    owners = [f"{clip.database}/{clip.subject}" for clip in dataset.clips]
    names = sorted(set(owners))
    return np.array([names.index(owner) for owner in owners], np.int32), names


def prepare(dataset: Dataset, recipe: Recipe) -> tuple[Samples, tuple[str, ...]]:
    """Every clip of a data set as network input.

    Args:
        dataset: the clips, from a reader.
        recipe: how a clip becomes input.

    Returns:
        Samples in the order of `dataset.clips`, in host memory; and a digest of what each input is made from:
        the clip's images and apex, as they were read. Other than a digest of the input itself it is the same on every
        processor, and tells of a changed image that the input hardly shows.

    Raises:
        InputError: clips of different sizes, an unknown name in the recipe, or a cache that can't be written.
    """
    maker, devices = Maker(recipe), jax.local_devices()
    # Loading and OpenCV's flow keep cores of the host busy beside an accelerator.
    workers = max(len(devices), min(4, os.cpu_count() or 1))

    def load_and_make(job: tuple[int, Sequence[Annotation]]) -> list[tuple[np.ndarray, str]]:
        number, annotations = job
        with jax.default_device(devices[number % len(devices)]):
            return maker.many([dataset.load(annotation) for annotation in annotations])

    made, digests = list[np.ndarray](), list[str]()
    pool, threads = ThreadPoolExecutor(workers), cv2.getNumThreads()
    cv2.setNumThreads(1)  # clips go side by side; threads within each would wait for one another
    try:
        starts = range(0, len(dataset.clips), maker.size)
        batches = [dataset.clips[start : start + maker.size] for start in starts]
        inputs = itertools.chain.from_iterable(pool.map(load_and_make, enumerate(batches)))
        for clip, (x, digest) in zip(
            dataset.clips, tqdm(inputs, "inputs", len(dataset.clips), unit="clip", delay=2), strict=True
        ):
            if made and x.shape != made[0].shape:
                height, width = made[0].shape[1:3]
                raise InputError(
                    f"clip {clip.sample_id} is {x.shape[1]} x {x.shape[2]} pixels, "
                    f"where the clips before it are {height} x {width}; all clips must have one size"
                )
            made.append(x)
            digests.append(digest)
    finally:
        pool.shutdown(cancel_futures=True)
        cv2.setNumThreads(threads)
    label = np.array([clip.label for clip in dataset.clips], np.int32)
    return Samples(np.stack(made), label, subjects_of(dataset)[0]), tuple(digests)
