"""The two networks that the paper of MESTI re-ran, on CASME II, five classes: micro-attention and VGG19.

Source: arXiv 2509.00056, table II: LOSO, both networks with MESTI and with the input of their own papers, is STATED;
    so is training (recipes.stated_training), if the peers were trained as MEGANet was. Micro-attention's weights from
    macro-expressions are not reproduced: OUR CHOICE.
Command: python run.py --config=configs/mesti_peers_casme2.py --config.data.root=FOLDER
    the grid: merjax sweep --config=configs/mesti_peers_casme2.py --config.data.root=FOLDER --out=FOLDER
Cost: not measured, for the data need a licence, which merjax does not have; about 1.0e15 multiply-adds for one seed,
    counted by benchmarks/experiments.py.
Score: none measured here. Published, LOSO, fits 245 clips: 71.02 % accuracy of micro-attention with MESTI (65.9 %
    with the apex frame), 69.39 % of VGG19 with MESTI (51.02 % with the dynamic image); the figures of their own
    inputs are quoted there, not re-run. Epoch rule not stated.
"""

from typing import Any

from ml_collections import ConfigDict

from merjax import recipes


def get_config() -> ConfigDict:
    """The experiment."""
    c = recipes.stated_training(recipes.licensed("casme2", "casme2_5"))
    c.input.name = "mesti"
    c.model.name = "micro_attention"
    return c


def get_grid() -> list[dict[str, Any]]:
    """Both networks with their own input and with MESTI, as table II."""
    own = (("micro_attention", "apex"), ("vgg19", "dynamic_image"))
    return [{"model.name": name, "input.name": x} for name, first in own for x in (first, "mesti")]
