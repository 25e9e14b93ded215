"""AFN on TRDI and MIDI of SMIC by its fast camera (HS), three classes, on one's own copy of the data.

Source: arXiv 2510.09730 for the idea (two dynamic images, learned fusion), which does not use SMIC; layers and training
    are OUR CHOICE. SMIC has no annotated apex, and this input needs none.
Command: python run.py --config=configs/afn_smic.py --config.data.root=FOLDER
    the grid: merjax sweep --config=configs/afn_smic.py --config.data.root=FOLDER --out=FOLDER
Cost: not measured, for the data need a licence, which merjax does not have; about 2.9e14 multiply-adds for one seed,
    counted by benchmarks/experiments.py.
Score: none measured here. No published score is of this method on SMIC.
"""

from typing import Any

from ml_collections import ConfigDict

from merjax import config, recipes


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


def get_grid() -> list[dict[str, Any]]:
    """Fusions, and one representation alone."""
    fusions = recipes.values("model.afn.fusion", "gate", "concat", "sum", "scalar")
    return [*fusions, *({"input.name": name, "model.afn.fusion": "none"} for name in ("dynamic_image", "midi"))]
