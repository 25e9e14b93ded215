"""MESTI on SMIC-HS, three classes, beside the inputs and with the networks that its paper compares.

Source: arXiv 2509.00056, table I: inputs, networks and training (recipes.stated_training) are STATED. The scaling of
    MESTI, TV-L1 and the encoding of flow are OUR CHOICE; so is LOSO in place of one split of 90 to 10. The affective
    motion image is left out, for its formula is not public. SMIC has no annotated apex: the middle frame, STATED.
Command: python run.py --config=configs/mesti_smic.py --config.data.root=FOLDER
    the grid: merjax sweep --config=configs/mesti_smic.py --config.data.root=FOLDER --out=FOLDER
Cost: not measured, for the data need a licence, which merjax does not have; about 1.6e15 multiply-adds for one seed,
    counted by benchmarks/experiments.py.
Score: none measured here. The paper compares inputs on CASME II and SAMM alone.
"""

from typing import Any

from ml_collections import ConfigDict

from merjax import recipes


def get_config() -> ConfigDict:
    """The experiment."""
    c = recipes.stated_training(recipes.licensed("smic", "smic_3"))
    c.input.name = "mesti"
    c.model.name = "resnet50"
    return c


def get_grid() -> list[dict[str, Any]]:
    """Input x network, as table I."""
    inputs = ("apex", "onset_apex", "apex_offset", "dynamic_image", "active_image", "mesti")
    networks = recipes.values("model.name", "vgg19", "resnet50", "efficientnet_b0")
    return recipes.product(recipes.values("input.name", *inputs), networks)
