"""MEGANet on MESTI of CASME II, three classes: negative, positive, surprise.

Source: arXiv 2509.00056, table III: LOSO and three classes are STATED, as is training (recipes.stated_training). That
    negative is disgust and repression is INFERRED from the number of clips. Widths, strides, dropout and the shortcut
    around the attention are OUR CHOICE, see docs/networks.md.
Command: python run.py --config=configs/meganet_casme2_3.py --config.data.root=FOLDER
    the grid: merjax sweep --config=configs/meganet_casme2_3.py --config.data.root=FOLDER --out=FOLDER
Cost: not measured, for the data need a licence, which merjax does not have; about 4.8e14 multiply-adds for one seed,
    counted by benchmarks/experiments.py.
Score: none measured here. Published, LOSO, fits 137 of 147 clips: UF1 0.913, UAR 0.929, accuracy 0.932; epoch rule
    not stated.
"""

from typing import Any

from ml_collections import ConfigDict

from merjax import recipes


def get_config() -> ConfigDict:
    """The experiment."""
    c = recipes.stated_training(recipes.licensed("casme2"))
    c.data.casme2.own = {"negative": ("disgust", "repression"), "positive": ("happiness",), "surprise": ("surprise",)}
    c.input.name = "mesti"
    c.model.name = "meganet"
    return c


def get_grid() -> list[dict[str, Any]]:
    """The printed form of the attention beside the form with a shortcut."""
    return recipes.values("model.meganet.attention", "sagan", "printed")
