"""From clips to Samples: loads every clip, makes its network input, keeps it on disk, stacks the results.

Each device works on a clip of its own: a GPU, or a core of the CPU. An input is looked up by what it is made of
(`cache`), and so is the flow between two frames: another weight of COF needs no new flow.
"""

import itertools
import os
from collections.abc import Callable, Mapping
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
from merjax.ops.edit import edit
from merjax.ops.optical_flow import FLOWS, grey
from merjax.ops.strain import FORMS, with_strain
from merjax.types import Annotation, Clip, Dataset, InputError, Samples, pick

FRAMES_STEP = 16  # clips are padded to a multiple of this many frames: a handful of compilations, not one per length
FROM_FRAMES = ("frames", "length", "apex", "onset_apex", "apex_offset", "flows", "intensity")  # what frames can give
PHASES = ("onset_apex", "apex_offset")
FLOW_NAMES = ("auto", *FLOWS)


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
    """Makes one clip's input after another by a recipe; may be called from several threads."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.made_by = pick(INPUTS, "input.name", recipe.input)
        self.method = "tvl1" if recipe.flow == "auto" else recipe.flow
        flow = pick(FLOWS, "flow.name", self.method)
        between = partial(flow.compute, **recipe.flow_arguments)
        self.between: Callable[..., Any] = between if flow.host else jax.jit(between)
        self.with_strain = jax.jit(partial(with_strain, form=recipe.strain))
        self.edit = jax.jit(partial(edit, **recipe.edit)) if recipe.edit else None
        self.make = jax.jit(partial(self.made_by.make, **recipe.arguments))

    def __call__(self, clip: Clip) -> tuple[Float[np.ndarray, "p h w c"], str]:
        """The input of a clip, from the cache if it was made before, and a digest of what it is made from."""
        found = given_parts(clip)
        if self.recipe.flow != "auto":
            found = {name: part for name, part in found.items() if name not in PHASES}
        used = set(self.made_by.needs)
        if not used <= set(found):
            used |= {"frames", "length"} | ({"apex"} if used & set(PHASES) else set())
        content = cache.digest({name: part for name, part in found.items() if name in used})
        name = cache.key({"recipe": self.recipe._asdict()}, content)
        x = cache.recall(name)
        if x is None:
            x = np.asarray(self.make(*self.parts(found)))
            cache.keep(name, x)
        return x, content

    def parts(self, found: dict[str, np.ndarray]) -> list[np.ndarray]:
        """The parts that the input needs, in its order, from what a clip comes with."""
        missing = [name for name in self.made_by.needs if name not in found]
        if "frames" in found:
            found = found | {"frames": padded(found["frames"])}
            if self.edit is not None:
                edited = self.edit(found["frames"], found["length"], found["apex"])
                found |= zip(("frames", "length", "apex"), map(np.asarray, edited), strict=True)
        for name in missing:
            found[name] = self.from_frames(name, found["frames"], int(found["length"]), int(found["apex"]))
        return [found[name] for name in self.made_by.needs]

    def from_frames(
        self, name: str, frames: UInt8[np.ndarray, "t h w c"], length: int, apex: int
    ) -> Float[np.ndarray, "..."]:
        """A part that is computed from frames: flow of a phase, flow of consecutive frames, or motion intensity."""
        greys = [np.asarray(grey(frame)) for frame in frames[:length]]
        if name in PHASES:
            first, second = (0, apex) if name == "onset_apex" else (apex, length - 1)
            return np.asarray(self.with_strain(self.phase(greys[first], greys[second])))
        if name == "flows":  # as many as there are frames, the last ones padding
            flows = [np.asarray(self.between(*pair)) for pair in itertools.pairwise(greys)]
            still = np.zeros((*frames.shape[1:3], 2), np.float32)
            return np.stack(flows + [still] * (len(frames) - len(flows)))
        # "intensity": how far the face is from its onset, as the mean length of the flow
        speed = [np.linalg.norm(self.between(greys[0], image), axis=-1).mean() for image in greys]
        return np.pad(np.array(speed, np.float32), (0, len(frames) - length))

    def phase(self, first: Float[np.ndarray, "h w"], second: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w 2"]:
        """Flow between two grey images, from the cache if it was computed before."""
        content = cache.digest({"first": first, "second": second})
        name = cache.key({"flow": self.method, **self.recipe.flow_arguments}, content)
        flow = cache.recall(name)
        if flow is None:
            flow = np.asarray(self.between(first, second))
            cache.keep(name, flow)
        return flow


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
        Samples in the order of `dataset.clips`, on the default device; and a digest of what each input is made from:
        the clip's images and apex, as they were read. Other than a digest of the input itself it is the same on every
        processor, and tells of a changed image that the input hardly shows.

    Raises:
        InputError: clips of different sizes, an unknown name in the recipe, or a cache that can't be written.
    """
    maker, devices = Maker(recipe), jax.local_devices()
    # Loading and OpenCV's flow keep cores of the host busy beside an accelerator.
    workers = max(len(devices), min(4, os.cpu_count() or 1))

    def one(job: tuple[int, Annotation]) -> tuple[np.ndarray, str]:
        number, annotation = job
        with jax.default_device(devices[number % len(devices)]):
            return maker(dataset.load(annotation))

    made, digests = list[np.ndarray](), list[str]()
    pool, threads = ThreadPoolExecutor(workers), cv2.getNumThreads()
    cv2.setNumThreads(1)  # clips go side by side; threads within each would wait for one another
    try:
        inputs = pool.map(one, enumerate(dataset.clips))
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
    samples = Samples(jnp.asarray(np.stack(made)), jnp.asarray(label), jnp.asarray(subjects_of(dataset)[0]))
    return samples, tuple(digests)
