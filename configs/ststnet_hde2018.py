"""STSTNet on the holdout-database task of MEGC 2018: train on CASME II, test on SAMM, and the other way, from frames.

Source: Liong et al., FG 2019, for the network; layers as in the authors' code. The protocol is that of MEGC 2018: both
    ways are one run of two folds, scored by ACC (there WAR) and UAR averaged over the two databases, which stand as
    `mean_of_databases` in scores.json. Objective classes I to V as in ststnet_megc2018.py. Recipe OUR CHOICE, as there;
    both folds take the same steps, so that an epoch shows the 68 clips of SAMM about three times, the 185 of CASME II
    once.
Command: python run.py --config=configs/ststnet_hde2018.py --config.data.root=FOLDER
    One way alone: --config.protocol.name=holdout --config.protocol.holdout.train=casme2
    --config.protocol.holdout.test=samm
Cost: not measured, for the data need a licence, which merjax does not have; about 2.1e11 multiply-adds for one seed,
    counted by benchmarks/experiments.py.
Score: none measured here; the authors' own is of MEGC 2019.
"""

from ml_collections import ConfigDict

from merjax import config


def get_config() -> ConfigDict:
    """The experiment."""
    c = config.default()
    c.data.name = "megc2018"
    c.data.repair = "flag"
    c.data.megc2018.size = 64
    c.protocol.name = "database"
    c.input.name = "onset_apex"
    c.model.name = "ststnet"
    c.train.epochs = 60
    c.train.batch = 64
    return c
