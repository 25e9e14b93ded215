"""AFN on TRDI and MIDI of SAMM, five classes: the experiment of the paper on one's own copy of the data.

Source: arXiv 2510.09730 for the idea (two dynamic images, learned fusion); its layers, training and label scheme are
    not public, so all of them are OUR CHOICE: the usual five classes, faces of 128 x 128 pixels.
Command: python run.py --config=configs/afn_samm.py --config.data.root=FOLDER
    the grid: merjax sweep --config=configs/afn_samm.py --config.data.root=FOLDER --out=FOLDER
Cost: not measured, for the data need a licence, which merjax does not have; about 4.3e14 multiply-adds for one seed,
    counted by benchmarks/experiments.py.
Score: none measured here. The paper's 82.47 % on SAMM fits no number of clips of a known scheme: not comparable.
"""

from typing import Any

from ml_collections import ConfigDict

from merjax import config, recipes


def get_config() -> ConfigDict:
    """The experiment."""
    c = config.default()
    c.data.name = "samm"
    c.data.repair = "flag"
    c.data.samm.scheme = "samm_5"
    c.input.name = "trdi_midi"
    c.model.name = "afn"
    c.train.epochs = 30
    c.train.batch = 16
    return c


def get_grid() -> list[dict[str, Any]]:
    """Fusions, one representation alone, and five random parts that mix subjects, lest the paper's score needs them."""
    fusions = recipes.values("model.afn.fusion", "gate", "concat", "sum", "scalar")
    alone = [{"input.name": name, "model.afn.fusion": "none"} for name in ("dynamic_image", "midi")]
    return [*fusions, *alone, {"protocol.name": "mixed"}]
