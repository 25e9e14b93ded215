"""DIANet on the dynamic images of both phases of CASME II, five classes.

Source: arXiv 2510.12219: a CNN for each phase's dynamic image, fused by cross-attention, is STATED. ResNet-18 trunks,
    the attention, faces of 224 x 224 pixels, classes and training (recipes.stated_training) are OUR CHOICE.
Command: python run.py --config=configs/dianet_casme2.py --config.data.root=FOLDER
    the grid: merjax sweep --config=configs/dianet_casme2.py --config.data.root=FOLDER --out=FOLDER
Cost: not measured, for the data need a licence, which merjax does not have; about 3.8e15 multiply-adds for one seed,
    counted by benchmarks/experiments.py.
Score: none measured here. Published: 70.00 % accuracy on CASME II, which fits no number of clips of a known scheme
    under LOSO; protocol and epoch rule not stated.
"""

from typing import Any

from ml_collections import ConfigDict

from merjax import recipes


def get_config() -> ConfigDict:
    """The experiment."""
    c = recipes.stated_training(recipes.licensed("casme2", "casme2_5"))
    c.input.name = "phase_dynamic_images"
    c.model.name = "dianet"
    return c


def get_grid() -> list[dict[str, Any]]:
    """Fusion, shared weights, and one stream alone."""
    fusions = [
        *recipes.values("model.dianet.fusion", "cross", "concat", "pooled"),
        {"model.dianet.shared": True},
    ]
    one_stream = recipes.product(
        recipes.values("model.name", "resnet18"),
        recipes.values("input.name", "rise_dynamic_image", "fall_dynamic_image", "dynamic_image"),
    )
    return [*fusions, *one_stream]
