"""Multinomial logistic regression on ready-made optical flow: the floor."""

from ml_collections import ConfigDict

from merjax import config


def get_config() -> ConfigDict:
    """The experiment."""
    c = config.default()
    c.data.name = "flow_folder"
    c.input.name = "two_phases"
    c.model.name = "linear"
    return c
