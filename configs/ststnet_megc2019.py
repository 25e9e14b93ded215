"""STSTNet on ready-made optical flow of the rising phase."""

from ml_collections import ConfigDict

from merjax import config


def get_config() -> ConfigDict:
    """The experiment."""
    c = config.default()
    c.data.name = "flow_folder"
    c.input.name = "onset_apex"
    c.model.name = "ststnet"
    return c
