"""STSTNet on the composite of MEGC 2019 (SMIC-HS, CASME II and SAMM, 442 clips, three classes) from frames.

Source: Liong et al., FG 2019, for the network; layers as in the authors' code. Recipe OUR CHOICE: their PyTorch code
    trains 800 epochs of batches of 256. TV-L1 flow from onset to apex on faces of 64 x 64 pixels is OUR CHOICE too:
    theirs are 28 x 28, but flow is computed here at the size that the network sees. Apexes of SMIC are spotted.
Command: python run.py --config=configs/ststnet_cde.py --config.data.root=FOLDER
Cost: not measured, for the data need a licence, which merjax does not have; about 1.0e13 multiply-adds for one seed,
    counted by benchmarks/experiments.py.
Score: none measured here. The authors' 0.721 UF1 (their PyTorch code, last epoch) is of their flow and their apexes:
    not comparable.
"""

from ml_collections import ConfigDict

from merjax import config


def get_config() -> ConfigDict:
    """The experiment."""
    c = config.default()
    c.data.name = "megc2019"
    c.data.repair = "flag"
    c.data.megc2019.apex = "framediff"
    c.data.megc2019.size = 64
    c.input.name = "onset_apex"
    c.model.name = "ststnet"
    c.train.epochs = 60
    c.train.batch = 64
    return c
