"""AFN on TRDI and MIDI of SMIC by its fast camera (HS), three classes, on one's own copy of the data.

Source: arXiv 2510.09730 for the idea (two dynamic images, learned fusion), which does not use SMIC; layers and training
    are OUR CHOICE. SMIC has no annotated apex, and this input needs none.
Command: python run.py --config=configs/afn_smic.py --config.data.root=FOLDER
Cost: not run, for the data need a licence, which merjax does not have.
Score: none measured here. No published score is of this method on SMIC.
"""

from ml_collections import ConfigDict

from merjax import config


def get_config() -> ConfigDict:
    """The experiment."""
    c = config.default()
    c.data.name = "smic"
    c.data.repair = "flag"
    c.data.smic.part = "smic_hs"
    c.data.smic.scheme = "smic_3"
    c.input.name = "trdi_midi"
    c.model.name = "afn"
    c.train.epochs = 30
    c.train.batch = 16
    return c
