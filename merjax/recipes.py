"""What the papers' experiments share: how each data set is used, the one training recipe that is stated, and grids."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from ml_collections import ConfigDict

from merjax import config

Change = Mapping[str, Any]  # dotted field to value, from what a config has


def licensed(data: str, scheme: str = "", *, size: int = 224) -> ConfigDict:
    """A licensed data set as the papers use it: LOSO, faces equalised and resized, faulty rows put right and told.

    Args:
        data: a name in `data.DATASETS`.
        scheme: a name in `data.schemes.SCHEMES`; "" for the usual one of the data set.
        size: side of the faces in pixels, what the network takes.

    Source: face crop, histogram equalisation and resizing are STATED (paper 6; which equalisation is UNKNOWN, so
        "global" is OUR CHOICE). That the other papers do the same is OUR CHOICE. So is LOSO where a paper does not say.
    """
    c = config.default()
    c.data.name = data
    c.data.repair = "flag"
    c.data[data].scheme = scheme
    c.data[data].size = size
    c.frames.equalise = "global"
    return c


def stated_training(c: ConfigDict) -> ConfigDict:
    """The recipe of paper 6, the only one of the six that is public; for the others it is OUR CHOICE.

    STATED there: focal loss, Adam with learning rate 1e-3 and weight decay 1e-4, 50 epochs, flips, rotations of 5 and
    10 degrees both ways. OUR CHOICE: gamma 2 and no class weights in the loss, batches of 32, a constant rate, any
    angle between -10 and 10 degrees, no shifts, the mirror image averaged in testing, no pretrained weights, and the
    last epoch, since an epoch chosen on the test subject inflates the score.

    Args:
        c: changed, and given back.
    """
    t = c.train
    t.loss, t.focal.gamma, t.class_weight = "focal", 2.0, 0.0
    t.optimizer, t.schedule, t.lr, t.weight_decay = "adam", "constant", 1e-3, 1e-4
    t.epochs, t.batch = 50, 32
    t.flips, t.degrees, t.shifts = True, 10.0, 0
    return c


# FMANet for flow of 28 x 28 pixels: OUR CHOICE throughout, small enough for a few hundred clips.
FMANET_28: Change = {"width": 16, "blocks": (1, 1, 1), "stem": "small", "norm": "group", "grid": 3}


def two_phases_of_flow(network: str) -> ConfigDict:
    """A network on ready-made flow of both phases, 28 x 28 pixels: batches of 64, labels smoothed by 0.1 (OUR CHOICE).

    Args:
        network: a name in `models.MODELS`.
    """
    c = config.default()
    c.data.name = "flow_folder"
    c.input.name = "two_phases"
    c.model.name = network
    c.train.batch = 64
    c.train.cross_entropy.smoothing = 0.1
    return c


def product(*axes: Iterable[Change]) -> list[dict[str, Any]]:
    """Every combination of one change from each axis, the last axis turning fastest."""
    return [{name: value for change in point for name, value in change.items()} for point in itertools.product(*axes)]


def values(field: str, *choices: Any) -> list[dict[str, Any]]:
    """An axis of one field."""
    return [{field: choice} for choice in choices]
