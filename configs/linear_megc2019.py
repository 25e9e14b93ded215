"""Multinomial logistic regression on ready-made dual-phase flow: the floor that every network must beat.

Source: none; OUR CHOICE throughout. Input as FMANet's, averaged to 14 x 14 cells; recipe as FMANet's but
    30 epochs.
Command: python run.py --config=configs/linear_megc2019.py --config.data.root=FOLDER
Cost: 28 s for 278 clips, 52 folds and 3 seeds on two CPU cores.
Score: measured here, see docs/results.md; no published score is of this protocol and input.
"""

from ml_collections import ConfigDict

from merjax import recipes


def get_config() -> ConfigDict:
    """The experiment."""
    c = recipes.two_phases_of_flow("linear")
    c.train.epochs = 30
    return c
