"""Magnitude-modulated combined optical flow (MM-COF) of CASME II, five classes, for plain networks.

Source: arXiv 2510.07810: the weighted sum of both phases' scaled magnitudes, modulated by thresholds, for ordinary
    networks, is STATED. Weights, thresholds, gains, direction, encoding, VGG19 and ResNet-50 as the networks (those
    of paper 1), TV-L1 and training (recipes.stated_training) are OUR CHOICE.
Command: python run.py --config=configs/mm_cof_casme2.py --config.data.root=FOLDER
    the grid: merjax sweep --config=configs/mm_cof_casme2.py --config.data.root=FOLDER --out=FOLDER
Cost: not measured, for the data need a licence, which merjax does not have; about 4.2e15 multiply-adds for one seed,
    counted by benchmarks/experiments.py.
Score: none measured here. Published of plain networks on CASME II: better than the flow of one phase, no figure
    known; protocol and epoch rule not stated.
"""

from typing import Any

from ml_collections import ConfigDict

from merjax import recipes


def get_config() -> ConfigDict:
    """The experiment."""
    c = recipes.stated_training(recipes.licensed("casme2", "casme2_5"))
    c.input.name = "mm_cof"
    c.input.onset_apex.third = "magnitude"  # as MM-COF
    c.model.name = "resnet50"
    return c


def get_grid() -> list[dict[str, Any]]:
    """Input x network, weights of the phases, and damping to zero."""
    inputs = [
        *recipes.values("input.name", "mm_cof", "cof", "onset_apex"),
        *recipes.values("input.mm_cof.theta", 0.3, 0.4, 0.6, 0.7),
        {"input.mm_cof.gain_low": 0.0},
    ]
    return recipes.product(inputs, recipes.values("model.name", "vgg19", "resnet50"))
