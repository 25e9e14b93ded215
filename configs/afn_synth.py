"""AFN on TRDI and MIDI of the synthetic faces."""

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
    c.model.afn.stem = "small"
    c.train.epochs = 20
    return c
