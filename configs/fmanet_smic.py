"""FMANet on the flow of both phases of SMIC-HS, three classes.

Source: arXiv 2510.07810: two flows go in, fusion of phases and modulation of magnitude are learned modules, is
    STATED. All layers, TV-L1, faces of 224 x 224 pixels, classes and training (recipes.stated_training) are OUR
    CHOICE. SMIC has no annotated apex: the middle frame, as in paper 6.
Command: python run.py --config=configs/fmanet_smic.py --config.data.root=FOLDER
    the grid: merjax sweep --config=configs/fmanet_smic.py --config.data.root=FOLDER --out=FOLDER
Cost: not measured, for the data need a licence, which merjax does not have; about 1.1e15 multiply-adds for one seed,
    counted by benchmarks/experiments.py.
Score: none measured here. Published: no figure known of FMANet on SMIC; protocol and epoch rule not stated.
"""

from typing import Any

from ml_collections import ConfigDict

from merjax import recipes


def get_config() -> ConfigDict:
    """The experiment."""
    c = recipes.stated_training(recipes.licensed("smic", "smic_3"))
    c.input.name = "two_phases"
    c.model.name = "fmanet"
    return c


def get_grid() -> list[dict[str, Any]]:
    """With and without each learned module."""
    fusion = recipes.values("model.fmanet.fusion", "gate", "mean")
    return recipes.product(fusion, recipes.values("model.fmanet.attention", True, False))
