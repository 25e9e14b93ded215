"""The epoch of every config becomes a program for a GPU and a TPU, from shapes alone."""

import importlib
import json
from pathlib import Path

import jax
import pytest
from absent import devices

from merjax.config import relevant
from merjax.ops import INPUTS

CONFIGS = sorted(path.stem for path in (Path(__file__).parents[2] / "configs").glob("*.py"))
LOWERED = dict[str, str]()  # of what a program is made; several data sets share one


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_lowers_for_gpu_and_tpu_and_calls_nothing_back(name):
    config = importlib.import_module(f"configs.{name}").get_config()
    streams = INPUTS[config.input.name].streams
    side = config.data[config.data.name].get("size", 28) if config.data.name != "flow_folder" else 28
    made_of = relevant(config)
    key = json.dumps([made_of["model"], made_of["train"], config.input.name, streams, side], default=str)
    if key not in LOWERED:
        case = devices.Case(name, 3, (streams, side, side, 3), 24, 6, 5, rows=2)
        job, rows, samples = devices.made(case)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jax, "default_backend", lambda: "gpu")
            program = devices.program.Program(job, "vmap", devices.parallel.fold_mesh("vmap"), rows, samples)
            LOWERED[key] = program.of_epoch.lower(lowering_platforms=("cuda", "tpu")).as_text()
    assert "callback" not in LOWERED[key]
