"""LEARNet on the dynamic image of CASME II, five classes.

Source: Verma et al., TIP 2020: the network is STATED in the authors' Keras file, faces of 112 x 112 pixels and
    dynamic images too. Training (recipes.stated_training), classes and LOSO are OUR CHOICE, for their recipe and
    protocol are not public.
Command: python run.py --config=configs/learnet_casme2.py --config.data.root=FOLDER
    the grid: merjax sweep --config=configs/learnet_casme2.py --config.data.root=FOLDER --out=FOLDER
Cost: not measured, for the data need a licence, which merjax does not have; about 2.9e13 multiply-adds for one seed,
    counted by benchmarks/experiments.py.
Score: none measured here. Published: 51.02 % of VGG19 on CASME II is quoted from this paper by arXiv 2509.00056;
    LEARNet's own is not at hand; protocol and epoch rule not known.
"""

from typing import Any

from ml_collections import ConfigDict

from merjax import recipes


def get_config() -> ConfigDict:
    """The experiment."""
    c = recipes.stated_training(recipes.licensed("casme2", "casme2_5", size=112))
    c.input.name = "dynamic_image"
    c.model.name = "learnet"
    return c


def get_grid() -> list[dict[str, Any]]:
    """The three sets of coefficients of dynamic images; the faulty port lies in the authors' repository."""
    return recipes.values("input.dynamic_image.coefficients", "harmonic", "linear", "faulty_port")
