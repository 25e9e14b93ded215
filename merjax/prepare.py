"""From clips to Samples: loads every clip, makes its network input on the device, stacks the results."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from merjax.ops import Input
from merjax.types import Clip, Dataset, InputError, Samples

FRAMES_STEP = 16  # clips are padded to a multiple of this many frames: a handful of compilations, not one per length


def parts(clip: Clip, needs: tuple[str, ...]) -> list[np.ndarray]:
    """The parts of a clip that an input needs, in its order, frames padded by repeating the last one."""
    found = {name: value for name, value in clip._asdict().items() if value is not None}
    if "frames" in found:
        length = len(found["frames"])
        found["length"] = np.int32(length)
        spread = ((0, -length % FRAMES_STEP), (0, 0), (0, 0), (0, 0))
        found["frames"] = np.pad(found["frames"], spread, mode="edge")
    return [np.asarray(found[name]) for name in needs]


def subjects_of(dataset: Dataset) -> tuple[np.ndarray, list[str]]:
    """The subject number of every clip, and the subjects' names, "database/subject", by number.

    Two databases may use the same name for two people, so a subject is the pair.
    """
    owners = [f"{clip.database}/{clip.subject}" for clip in dataset.clips]
    names = sorted(set(owners))
    return np.array([names.index(owner) for owner in owners], np.int32), names


def prepare(dataset: Dataset, made_by: Input, **arguments: object) -> Samples:
    """Every clip of a data set as network input.

    Args:
        dataset: the clips, from a reader.
        made_by: one of `ops.INPUTS`.
        **arguments: keyword arguments of the input.

    Returns:
        Samples in the order of `dataset.clips`, on the default device.

    Raises:
        InputError: clips of different sizes.
    """
    make = jax.jit(partial(made_by.make, **arguments))
    made: list[np.ndarray] = []
    for clip in tqdm(dataset.clips, desc="inputs", unit="clip", delay=2):
        x = make(*parts(dataset.load(clip), made_by.needs))
        if made and x.shape != made[0].shape:
            height, width = made[0].shape[1:3]
            raise InputError(
                f"clip {clip.sample_id} is {x.shape[1]} x {x.shape[2]} pixels, "
                f"where the clips before it are {height} x {width}; all clips must have one size"
            )
        made.append(np.asarray(x))
    label = np.array([clip.label for clip in dataset.clips], np.int32)
    return Samples(jnp.asarray(np.stack(made)), jnp.asarray(label), jnp.asarray(subjects_of(dataset)[0]))
