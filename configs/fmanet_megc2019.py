"""FMANet on ready-made dual-phase optical flow."""

from ml_collections import ConfigDict

from merjax import config


def get_config() -> ConfigDict:
    """The experiment."""
    c = config.default()
    c.data.name = "flow_folder"
    c.input.name = "two_phases"
    c.model.name = "fmanet"
    c.model.fmanet.width = 16
    c.model.fmanet.blocks = (1, 1, 1)
    c.model.fmanet.stem = "small"
    c.model.fmanet.norm = "group"
    c.train.batch = 64
    c.train.cross_entropy.smoothing = 0.1
    return c
