"""Inputs by networks on ready-made dual-phase flow of 28 x 28 pixels, three classes: what docs/results.md tells.

Source: none of the papers has this table. Networks as in their configs here; recipes are OUR CHOICE, one for each
    network and the same for all its inputs, and none was changed after a test score.
Command: merjax sweep --config=configs/real_flow.py --config.data.root=FOLDER --out=SWEEP, or with the tables of
    docs/results.md: python benchmarks/real_flow.py FOLDER. The first point alone: python run.py
    --config=configs/real_flow.py --config.data.root=FOLDER
Cost: a bit more than an hour for 278 clips, 52 folds and 5 seeds on two CPU cores that other programs shared.
Score: measured here, see docs/results.md; no published score is of these 278 clips.
"""

from typing import Any

from ml_collections import ConfigDict

from merjax import recipes

ONE_STREAM = ("onset_apex", "apex_offset", "cof", "mm_cof")
TWO_STREAMS = ("two_phases",)
NETWORKS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {  # the inputs that a network takes, and its recipe
    "linear": (ONE_STREAM + TWO_STREAMS, {"train.epochs": 30}),
    "plain": (TWO_STREAMS, {"train.epochs": 30}),
    "off_apexnet": (ONE_STREAM + TWO_STREAMS, {"train.epochs": 10, "train.lr": 1e-3}),
    "fmanet": (
        TWO_STREAMS,
        {"train.epochs": 20} | {f"model.fmanet.{name}": value for name, value in recipes.FMANET_28.items()},
    ),
    "ststnet": (ONE_STREAM, {"train.epochs": 20}),
}


def get_config() -> ConfigDict:
    """What all points share."""
    c = recipes.two_phases_of_flow("linear")
    c.train.epochs = 30
    c.seeds = 5
    return c


def get_grid() -> list[dict[str, Any]]:
    """Every network on every input that it takes."""
    return [
        point
        for network, (inputs, recipe) in NETWORKS.items()
        for point in recipes.product([{"model.name": network}], recipes.values("input.name", *inputs))
        for point in [point | recipe]
    ]
