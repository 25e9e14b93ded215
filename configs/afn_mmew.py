"""AFN on TRDI and MIDI of MMEW, seven classes: the experiment of the paper on one's own copy of the data.

Source: arXiv 2510.09730 for the idea (two dynamic images, learned fusion); its layers, training and label scheme are
    not public, so all of them are OUR CHOICE: all seven classes, since the paper's figure fits 300 clips.
Command: python run.py --config=configs/afn_mmew.py --config.data.root=FOLDER
    the grid: merjax sweep --config=configs/afn_mmew.py --config.data.root=FOLDER --out=FOLDER
Cost: not measured, for the data need a licence, which merjax does not have; about 9.9e14 multiply-adds for one seed,
    counted by benchmarks/experiments.py.
Score: none measured here. The paper's 76.00 % on MMEW was reached by a protocol that it does not state in
    full: not comparable.
"""

from typing import Any

from ml_collections import ConfigDict

from merjax import config, recipes


def get_config() -> ConfigDict:
    """The experiment."""
    c = config.default()
    c.data.name = "mmew"
    c.data.repair = "flag"
    c.data.mmew.scheme = "mmew_7"
    c.input.name = "trdi_midi"
    c.model.name = "afn"
    c.train.epochs = 30
    c.train.batch = 16
    return c


def get_grid() -> list[dict[str, Any]]:
    """Fusions, and one representation alone, of seven classes and of six; and five random parts, subjects mixed."""
    fusions = recipes.values("model.afn.fusion", "gate", "concat", "sum", "scalar")
    alone = [{"input.name": name, "model.afn.fusion": "none"} for name in ("dynamic_image", "midi")]
    by_loso = recipes.product(recipes.values("data.mmew.scheme", "mmew_7", "mmew_6"), [*fusions, *alone])
    return [*by_loso, {"protocol.name": "mixed"}]
