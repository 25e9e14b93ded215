"""Readers: the only code that knows dataset files. NumPy in and out, no jax.

`DATASETS` is the table that a config's `data.name` is looked up in.
"""

from collections.abc import Callable
from typing import NamedTuple

from merjax.data import flow_folder, synthetic
from merjax.types import Dataset


class Source(NamedTuple):
    """A reader and what its clips hold.

    Attributes:
        read: gives the Dataset.
        gives: the parts of a clip that an input can ask for.
        folder: reads `data.root` under the policy `data.repair`.
    """

    read: Callable[..., Dataset]
    gives: tuple[str, ...]
    folder: bool


DATASETS: dict[str, Source] = {
    "synthetic": Source(synthetic.read, ("frames", "length", "apex", "onset_apex", "apex_offset"), folder=False),
    "flow_folder": Source(flow_folder.read, ("onset_apex", "apex_offset"), folder=True),
}
