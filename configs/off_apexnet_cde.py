"""OFF-ApexNet on the composite of MEGC 2019 (SMIC-HS, CASME II and SAMM, 442 clips, three classes) from frames.

Source: Gan et al. 2019 (arXiv 1805.08699): u and v from onset to apex at 28 x 28 pixels, LOSO over the three data
    sets together, is STATED; layers and Adam with 1e-4 as in public code of others. Faces of 64 x 64 pixels that are
    averaged to 28 after the flow, TV-L1, 100 epochs of batches of 64, cross-entropy and spotted apexes of SMIC are
    OUR CHOICE.
Command: python run.py --config=configs/off_apexnet_cde.py --config.data.root=FOLDER
Cost: not measured, for the data need a licence, which merjax does not have; about 3.5e13 multiply-adds for one seed,
    counted by benchmarks/experiments.py.
Score: none measured here. Published, LOSO over three data sets: 74.60 % accuracy, F-measure 71.04 % by its own paper;
    UF1 0.7196, UAR 0.7096 on the 442 clips of MEGC 2019 by the paper of STSTNet. Epoch rule not stated.
"""

from ml_collections import ConfigDict

from merjax import recipes


def get_config() -> ConfigDict:
    """The experiment."""
    c = recipes.licensed("megc2019", "megc2019", size=64)
    c.data.megc2019.apex = "framediff"
    c.frames.equalise = "none"
    c.input.name = "onset_apex"
    c.model.name = "off_apexnet"
    c.train.optimizer, c.train.schedule, c.train.lr, c.train.weight_decay = "adam", "constant", 1e-4, 0.0
    c.train.epochs = 100
    c.train.batch = 64
    return c
