"""MEGANet on MESTI of SAMM, three classes: negative, positive, surprise.

Source: arXiv 2509.00056, table III: LOSO and three classes are STATED, as is training (recipes.stated_training). That
    negative is anger and contempt is INFERRED from the number of clips. Widths, strides, dropout and the shortcut
    around the attention are OUR CHOICE, see docs/networks.md.
Command: python run.py --config=configs/meganet_samm_3.py --config.data.root=FOLDER
    the grid: merjax sweep --config=configs/meganet_samm_3.py --config.data.root=FOLDER --out=FOLDER
Cost: not measured, for the data need a licence, which merjax does not have; about 4.1e14 multiply-adds for one seed,
    counted by benchmarks/experiments.py.
Score: none measured here. Published, LOSO, fits 101 of 110 clips: UF1 0.890, UAR 0.914, accuracy 0.918; epoch rule
    not stated.
"""

from typing import Any

from ml_collections import ConfigDict

from merjax import recipes


def get_config() -> ConfigDict:
    """The experiment."""
    c = recipes.stated_training(recipes.licensed("samm"))
    c.data.samm.own = {"negative": ("anger", "contempt"), "positive": ("happiness",), "surprise": ("surprise",)}
    c.input.name = "mesti"
    c.model.name = "meganet"
    return c


def get_grid() -> list[dict[str, Any]]:
    """The printed form of the attention beside the form with a shortcut."""
    return recipes.values("model.meganet.attention", "sagan", "printed")
