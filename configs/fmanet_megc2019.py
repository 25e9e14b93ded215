"""FMANet on ready-made dual-phase flow of 28 x 28 pixels, three classes.

Source: arXiv 2510.07810 for the idea (two flows, learned fusion and modulation); its layers and training are not
    public, so all of them are OUR CHOICE, made small for 28 pixels.
Command: python run.py --config=configs/fmanet_megc2019.py --config.data.root=FOLDER
Cost: 14 minutes for 278 clips, 52 folds and 3 seeds on two CPU cores that other programs shared.
Score: measured here, see docs/results.md. The paper's 84.56 % accuracy on SAMM is of five classes under an epoch
    rule that is unknown: not comparable.
"""

from ml_collections import ConfigDict

from merjax import recipes


def get_config() -> ConfigDict:
    """The experiment."""
    c = recipes.two_phases_of_flow("fmanet")
    c.model.fmanet.update(recipes.FMANET_28)
    c.train.epochs = 20
    return c
