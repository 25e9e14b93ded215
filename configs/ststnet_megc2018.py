"""STSTNet on the composite task of MEGC 2018 (CASME II and SAMM, 253 clips, objective classes I to V) from frames.

Source: Liong et al., FG 2019, for the network; layers as in the authors' code. The protocol is that of MEGC 2018: leave
    one subject out over 47 subjects, scored by UF1 and WF1; classes of CASME II are those of its separate file
    CASME2-ObjectiveClasses.xlsx. Recipe OUR CHOICE, as in ststnet_cde.py.
Command: python run.py --config=configs/ststnet_megc2018.py --config.data.root=FOLDER
Cost: not measured, for the data need a licence, which merjax does not have; about 4.1e12 multiply-adds for one seed,
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
    c.input.name = "onset_apex"
    c.model.name = "ststnet"
    c.train.epochs = 60
    c.train.batch = 64
    return c
