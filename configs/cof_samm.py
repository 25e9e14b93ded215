"""Combined optical flow (COF) of both phases on SAMM, five classes, beside the flow of one phase.

Source: arXiv 2510.15471: flow from onset to apex and from apex to offset, merged, then VGG19 or ResNet-50, is STATED.
    How they are merged is INFERRED from paper 5; direction, encoding, flow algorithm (TV-L1), faces of 224 x 224
    pixels and training (recipes.stated_training) are OUR CHOICE. So is LOSO; the grid has one COF in five random parts
    of 80 to 20, which mix subjects and are no score for unseen people.
Command: python run.py --config=configs/cof_samm.py --config.data.root=FOLDER
    the grid: merjax sweep --config=configs/cof_samm.py --config.data.root=FOLDER --out=FOLDER
Cost: not measured, for the data need a licence, which merjax does not have; about 2.7e15 multiply-adds for one seed,
    counted by benchmarks/experiments.py.
Score: none measured here. Published: 59.26 % accuracy (ResNet-50) on SAMM, which fits 80 of 135 clips under LOSO and
    16 of 27 of a split of 80 to 20; protocol and epoch rule not stated.
"""

from typing import Any

from ml_collections import ConfigDict

from merjax import recipes


def get_config() -> ConfigDict:
    """The experiment."""
    c = recipes.stated_training(recipes.licensed("samm", "samm_5"))
    c.input.name = "cof"
    c.input.onset_apex.third = c.input.apex_offset.third = "magnitude"  # as COF, so that only the phases differ
    c.model.name = "resnet50"
    return c


def get_grid() -> list[dict[str, Any]]:
    """The paper's comparison, input x network, two more weights of the phases, and the other split that fits."""
    inputs = [
        *recipes.values("input.name", "cof", "onset_apex", "apex_offset"),
        *({"input.name": "cof", "input.cof.theta": theta} for theta in (0.3, 0.7)),
        {"input.name": "cof", "protocol.name": "mixed"},
    ]
    return recipes.product(inputs, recipes.values("model.name", "vgg19", "resnet50"))
