"""MEGANet on MESTI of SAMM, five classes.

Source: arXiv 2509.00056, table IV: LOSO, the network's blocks and training (recipes.stated_training) are STATED.
    Widths, strides, dropout and the shortcut around the attention are OUR CHOICE, see docs/networks.md.
Command: python run.py --config=configs/meganet_samm.py --config.data.root=FOLDER
    the grid: merjax sweep --config=configs/meganet_samm.py --config.data.root=FOLDER --out=FOLDER
Cost: not measured, for the data need a licence, which merjax does not have; about 5.4e14 multiply-adds for one seed,
    counted by benchmarks/experiments.py.
Score: none measured here. Published, LOSO, fits 110 of 136 clips: UF1 0.791, UAR 0.803, accuracy 80.88 %; epoch rule
    not stated.
"""

from typing import Any

from ml_collections import ConfigDict

from merjax import recipes


def get_config() -> ConfigDict:
    """The experiment."""
    c = recipes.stated_training(recipes.licensed("samm", "samm_5"))
    c.input.name = "mesti"
    c.model.name = "meganet"
    return c


def get_grid() -> list[dict[str, Any]]:
    """The printed form of the attention beside the form with a shortcut."""
    return recipes.values("model.meganet.attention", "sagan", "printed")
