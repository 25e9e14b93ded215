"""Proofs that take minutes: pytest -m slow."""

import pytest
from test_configs import FILES, load

from merjax import config, main
from merjax.models import MODELS

# Small forms of all networks, each with an input of its paper, or one of the same kind. LEARNet and ViT learn to tell
# 180 rise_dynamic_image from one another, but not those of a new face (UF1 0.58 and 0.50): they get flow.
MATCHES = {
    "afn": ("trdi_midi", {"width": 8, "blocks": (1, 1, 1), "stem": "small", "grid": 3}),
    "dianet": ("phase_dynamic_images", {"width": 8, "blocks": (1, 1, 1), "stem": "small", "attention": 16}),
    "fmanet": ("two_phases", {"width": 8, "blocks": (1, 1), "stem": "small", "norm": "group", "grid": 3}),
    "meganet": ("mesti", {"stem_width": 8, "widths": (16, 32, 64), "stem": "small"}),
    "off_apexnet": ("onset_apex", {"hidden": 64}),
    "micro_attention": (
        "onset_apex_difference",  # its paper's apex frame says nothing here, by design
        {"stem_width": 8, "widths": (16, 32), "hidden": 32, "stem": "small"},
    ),
    "vgg19": ("cof", {"width": 8, "blocks": (1, 1, 1), "hidden": 64}),
    "resnet18": ("rise_dynamic_image", {"width": 8, "blocks": (1, 1, 1), "stem": "small"}),
    "resnet50": ("cof", {"width": 8, "blocks": (1, 1, 1), "stem": "small"}),
    "efficientnet_b0": ("cof", {"width": 0.5, "depth": 0.3}),
    "vit_b16": ("cof", {"patch": 8, "width": 64, "depth": 3, "heads": 4}),
    "learnet": ("cof", {}),
    "ststnet": ("onset_apex", {}),
    "plain": ("two_phases", {}),
    "linear": ("two_phases", {}),
}


def test_every_network_has_its_match():
    assert set(MATCHES) == set(MODELS)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_network_learns_the_drawn_faces(tmp_path, name):
    """Leave-one-subject-out on 6 subjects with 10 clips of each class; chance is a UF1 of 0.33."""
    c = config.default()
    c.data.synthetic.update(subjects=6, clips_per_class=10, size=64)
    c.model.name, (c.input.name, small) = name, MATCHES[name]
    c.model[name].update(small)
    c.train.epochs = 25
    assert main.run(c.lock(), tmp_path / "run")["whole"]["uf1"] >= 0.8


@pytest.mark.slow
def test_the_main_job_recognises_motion_and_the_apex_frame_does_not_give_it_away(tmp_path):
    default = load(next(path for path in FILES if path.stem == "afn_synth"))
    motion = main.run(default.get_config().lock(), tmp_path / "motion")
    still = default.get_config()
    still.input.name, still.model.afn.fusion = "apex", "none"
    apex = main.run(still.lock(), tmp_path / "apex")
    assert motion["whole"]["uf1"] >= 0.85
    assert apex["whole"]["uf1_interval"][1] < motion["whole"]["uf1_interval"][0]
