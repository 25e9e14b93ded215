"""AFN on TRDI and MIDI of drawn faces: the default, which needs no data and shows the whole path.

Source: arXiv 2510.09730 for the idea (two dynamic images, learned fusion); its layers and training are not public, so
    all of them are OUR CHOICE, made small for two CPU cores.
Command: python run.py
Cost: 121 s on two CPU cores.
Score: measured here, see the README. It says that the path works, and nothing about people.
"""

from ml_collections import ConfigDict

from merjax import config


def get_config() -> ConfigDict:
    """The experiment."""
    c = config.default()
    c.data.name = "synthetic"
    c.input.name = "trdi_midi"
    c.model.name = "afn"
    c.model.afn.width = 8
    c.model.afn.blocks = (1, 1, 1)
    c.train.epochs = 25
    return c
