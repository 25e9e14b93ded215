"""Readers: the only code that knows dataset files. NumPy in and out, no jax.

`DATASETS` is the table that a config's `data.name` is looked up in.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from merjax.data import built, corpus, flow_folder, synthetic
from merjax.types import Dataset


class Source(NamedTuple):
    """A reader and what its clips hold.

    Attributes:
        read: gives the Dataset.
        gives: the parts of a clip that an input can ask for.
        folder: reads `data.root` under the policy `data.repair`.
        several: its clips can be of several databases.
    """

    read: Callable[..., Dataset]
    gives: tuple[str, ...]
    folder: bool
    several: bool = False


FRAMES = ("frames", "length", "apex")
LICENSED = {  # name -> the parts that it can mean, the usual one first
    "casme2": ("casme2",),
    "samm": ("samm",),
    "smic": ("smic_hs", "smic_vis", "smic_nir", "smic_hs_e", "smic_vis_e"),
    "mmew": ("mmew",),
    "casme3": ("casme3a", "casme3c"),
    "casme_sq": ("casme_sq",),
    "casme": ("casme",),
    "4dme": ("4dme",),
    "dfme": ("dfme",),
}

DATASETS: dict[str, Source] = {
    "synthetic": Source(synthetic.read, ("frames", "length", "apex", "onset_apex", "apex_offset"), folder=False),
    "flow_folder": Source(flow_folder.read, ("onset_apex", "apex_offset"), folder=True, several=True),
    **{name: Source(partial(corpus.read, parts), FRAMES, folder=True) for name, parts in LICENSED.items()},
    **{
        name: Source(partial(corpus.composite, scheme=scheme), FRAMES, folder=True, several=True)
        for name, scheme in corpus.COMPOSITES.items()
    },
    "tfds": Source(built.read, FRAMES, folder=True, several=True),
}
