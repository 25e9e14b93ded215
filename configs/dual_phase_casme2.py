"""Dual-phase augmentation on CASME II, five classes: dynamic images of both phases as further training images.

Source: arXiv 2510.15466: dynamic images of onset to apex and apex to offset as training images beside that of the
    whole clip, six networks of which ViT-B/16 and LEARNet are named, alone and with flips and rotations, is STATED.
    The other four networks, the coefficients, testing on the whole clip's image or on the mean of both phases, and
    training (recipes.stated_training; an epoch shows every training image once, so more images are more steps) are
    OUR CHOICE.
Command: python run.py --config=configs/dual_phase_casme2.py --config.data.root=FOLDER
    the grid: merjax sweep --config=configs/dual_phase_casme2.py --config.data.root=FOLDER --out=FOLDER
Cost: not measured, for the data need a licence, which merjax does not have; about 5.3e15 multiply-adds for one seed,
    counted by benchmarks/experiments.py.
Score: none measured here. Published: on average 4.5 points of accuracy on CASME II over the whole clip's image alone,
    at second hand; whether absolute or relative, for which network, protocol and epoch rule not stated.
"""

from typing import Any

from ml_collections import ConfigDict

from merjax import recipes


def get_config() -> ConfigDict:
    """The experiment."""
    c = recipes.stated_training(recipes.licensed("casme2", "casme2_5"))
    c.input.name = "dynamic_views"
    c.train.views = ("whole", "rise", "fall")
    c.train.test_views = ("whole",)
    c.model.name = "resnet18"
    return c


def get_grid() -> list[dict[str, Any]]:
    """The four arms, with and without spatial augmentation, for six networks; LEARNet takes 112 pixels."""
    whole, phases = ("whole",), ("rise", "fall")
    arms: list[dict[str, Any]] = [
        {"train.views": whole, "train.test_views": whole},
        {"train.views": phases, "train.test_views": phases},
        {"train.views": whole + phases, "train.test_views": whole},
        {"train.views": whole + phases, "train.test_views": phases},
    ]
    spatial = [{"train.flips": True, "train.degrees": 10.0}, {"train.flips": False, "train.degrees": 0.0}]
    networks = [
        *recipes.values("model.name", "vgg19", "resnet18", "resnet50", "efficientnet_b0", "vit_b16"),
        {"model.name": "learnet", "data.casme2.size": 112},
    ]
    return recipes.product(networks, spatial, arms)
