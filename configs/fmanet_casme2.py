"""FMANet on the flow of both phases of CASME II, five classes.

Source: arXiv 2510.07810: two flows go in, fusion of phases and modulation of magnitude are learned modules, is
    STATED. All layers, TV-L1, faces of 224 x 224 pixels, classes and training (recipes.stated_training) are OUR
    CHOICE.
Command: python run.py --config=configs/fmanet_casme2.py --config.data.root=FOLDER
    the grid: merjax sweep --config=configs/fmanet_casme2.py --config.data.root=FOLDER --out=FOLDER
Cost: not measured, for the data need a licence, which merjax does not have; about 2.9e15 multiply-adds for one seed,
    counted by benchmarks/experiments.py.
Score: none measured here. Published: 87.30 % accuracy of FMANet on CASME II, which fits no known scheme; protocol and
    epoch rule not stated.
"""

from typing import Any

from ml_collections import ConfigDict

from merjax import recipes


def get_config() -> ConfigDict:
    """The experiment."""
    c = recipes.stated_training(recipes.licensed("casme2", "casme2_5"))
    c.input.name = "two_phases"
    c.model.name = "fmanet"
    return c


def get_grid() -> list[dict[str, Any]]:
    """With and without each learned module."""
    fusion = recipes.values("model.fmanet.fusion", "gate", "mean")
    return recipes.product(fusion, recipes.values("model.fmanet.attention", True, False))
