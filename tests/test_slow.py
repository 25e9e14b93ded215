"""Proofs that take minutes: pytest -m slow."""

import pytest
from test_configs import FILES, load

from merjax import main


@pytest.mark.slow
def test_the_main_job_recognises_motion_and_the_apex_frame_does_not_give_it_away(tmp_path):
    default = load(next(path for path in FILES if path.stem == "afn_synth"))
    motion = main.run(default.get_config().lock(), tmp_path / "motion")
    still = default.get_config()
    still.input.name, still.model.afn.fusion = "apex", "none"
    apex = main.run(still.lock(), tmp_path / "apex")
    assert motion["whole"]["uf1"] >= 0.85
    assert apex["whole"]["uf1_interval"][1] < motion["whole"]["uf1_interval"][0]
