"""MEGANet on MESTI of CASME II, five classes.

Source: arXiv 2509.00056, table IV: LOSO, the network's blocks and training (recipes.stated_training) are STATED.
    Widths, strides, dropout and the shortcut around the attention are OUR CHOICE, see docs/networks.md.
Command: python run.py --config=configs/meganet_casme2.py --config.data.root=FOLDER
    the grid: merjax sweep --config=configs/meganet_casme2.py --config.data.root=FOLDER --out=FOLDER
Cost: not measured, for the data need a licence, which merjax does not have; about 8.3e14 multiply-adds for one seed,
    counted by benchmarks/experiments.py.
Score: none measured here. Published, LOSO, fits 201 of 245 clips: UF1 0.779, UAR 0.786, accuracy 82.04 %; epoch rule
    not stated.
"""

from typing import Any

from ml_collections import ConfigDict

from merjax import recipes


def get_config() -> ConfigDict:
    """The experiment."""
    c = recipes.stated_training(recipes.licensed("casme2", "casme2_5"))
    c.input.name = "mesti"
    c.model.name = "meganet"
    return c


def get_grid() -> list[dict[str, Any]]:
    """The printed form of the attention beside the form with a shortcut."""
    return recipes.values("model.meganet.attention", "sagan", "printed")
