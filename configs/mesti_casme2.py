"""MESTI on CASME II, five classes, beside the inputs and with the networks that its paper compares.

Source: arXiv 2509.00056, table I: inputs, networks and training (recipes.stated_training) are STATED. The scaling of
    MESTI, TV-L1 and the encoding of flow are OUR CHOICE; so is LOSO in place of one split of 90 to 10; the grid has
    ten such random parts too, which mix subjects and are no score for unseen people. The affective motion image is
    left out, for its formula is not public.
Command: python run.py --config=configs/mesti_casme2.py --config.data.root=FOLDER
    the grid: merjax sweep --config=configs/mesti_casme2.py --config.data.root=FOLDER --out=FOLDER
Cost: not measured, for the data need a licence, which merjax does not have; about 4.2e15 multiply-adds for one seed,
    counted by benchmarks/experiments.py.
Score: none measured here. Published: 73.08 % (VGG19), 65.38 % (ResNet-50), 61.54 % (EfficientNet-B0) accuracy of
    MESTI on 26 test clips; dynamic image 57.69, 53.85, 53.85 %; of one split of 90 to 10, where one clip is 3.8
    points, whether subjects were kept apart and epoch rule not stated. LOSO here: not comparable.
"""

from typing import Any

from ml_collections import ConfigDict

from merjax import recipes


def get_config() -> ConfigDict:
    """The experiment."""
    c = recipes.stated_training(recipes.licensed("casme2", "casme2_5"))
    c.input.name = "mesti"
    c.model.name = "resnet50"
    return c


def get_grid() -> list[dict[str, Any]]:
    """Input x network, as table I, by LOSO; two inputs by ten random parts too."""
    inputs = ("apex", "onset_apex", "apex_offset", "dynamic_image", "active_image", "mesti")
    networks = recipes.values("model.name", "vgg19", "resnet50", "efficientnet_b0")
    parts = {"protocol.name": "mixed", "protocol.mixed.parts": 10}
    mixed = [{"input.name": name, **parts} for name in ("dynamic_image", "mesti")]
    return recipes.product([*recipes.values("input.name", *inputs), *mixed], networks)
