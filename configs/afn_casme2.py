"""AFN on TRDI and MIDI of CASME II, five classes: the experiment of the paper on one's own copy of the data.

Source: arXiv 2510.09730 for the idea (two dynamic images, learned fusion); its layers, training and label scheme are
    not public, so all of them are OUR CHOICE: the usual five classes, faces of 128 x 128 pixels.
Command: python run.py --config=configs/afn_casme2.py --config.data.root=FOLDER
Cost: not run, for the data need a licence, which merjax does not have.
Score: none measured here. The paper's score on CASME II was reached by a protocol that it does not state in full: not
    comparable.
"""

from ml_collections import ConfigDict

from merjax import config


def get_config() -> ConfigDict:
    """The experiment."""
    c = config.default()
    c.data.name = "casme2"
    c.data.repair = "flag"
    c.data.casme2.scheme = "casme2_5"
    c.input.name = "trdi_midi"
    c.model.name = "afn"
    c.train.epochs = 30
    c.train.batch = 16
    return c
