"""Every experiment: its header, its grid, its whole run traced at the size of its data; the rules of every config."""

import importlib.util
import re

import jax
import pytest
from conftest import REPOSITORY

from merjax import config, config_file, sweep
from merjax.data import DATASETS
from merjax.models import MODELS
from merjax.ops import INPUTS
from merjax.types import InputError

FILES = sorted((REPOSITORY / "configs").glob("*.py"))
NAMES = [path.stem for path in FILES]


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXPERIMENTS = load(REPOSITORY / "benchmarks" / "experiments.py")


def first_of_each_network():
    """All configs; those are slow whose network was traced at the same number of pixels for one before."""
    seen, cases = set(), []
    for name in NAMES:
        c = EXPERIMENTS.load(name).get_config()
        what = c.model.name, c.data[c.data.name].to_dict().get("size", 28)
        cases.append(pytest.param(name, marks=pytest.mark.slow if what in seen else ()))
        seen.add(what)
    return cases


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_config_states_its_source_command_cost_and_score(path):
    module = load(path)
    for word in ("Source:", "Command:", "Cost:", "Score:"):
        assert word in module.__doc__, word
    assert f"--config=configs/{path.name}" in module.__doc__ or path.stem == "afn_synth"
    config.check(module.get_config().lock())
    assert hasattr(module, "get_grid") == (f"merjax sweep --config=configs/{path.name}" in module.__doc__)
    licensed = DATASETS[module.get_config().data.name].folder and "flow_folder" not in module.get_config().data.name
    assert ("none measured here" in module.__doc__) == licensed
    assert "Published" not in module.__doc__ or "poch rule" in module.__doc__


@pytest.mark.parametrize("path", [p for p in FILES if "def get_grid" in p.read_text()], ids=lambda path: path.stem)
def test_every_point_of_a_grid_can_be_run_and_differs_from_every_other(path):
    points = sweep.points(load(path).get_config().lock(), config_file.grid(path))
    kept = [config.relevant(point.config) for point in points]
    assert all(one not in kept[:i] for i, one in enumerate(kept))
    assert all(name in path.read_text() for name in ("get_config", "get_grid"))


@pytest.mark.parametrize("name", first_of_each_network())
def test_the_whole_run_is_traced_at_the_size_of_its_data(name):
    c = EXPERIMENTS.load(name).get_config().lock()
    found = EXPERIMENTS.whole(name, c)

    def shapes(tree):
        return jax.tree.map(lambda a: (a.shape, a.dtype), tree)

    assert shapes(found.after) == shapes(found.before)
    rows, _, classes = found.curves.probability.shape
    folds = found.subjects if c.protocol.name == "loso" else 2
    assert rows == folds * c.seeds
    assert classes > 2
    stated = re.search(r"about ([\d.e+]+) multiply-adds", EXPERIMENTS.load(name).__doc__.replace("\n    ", " "))
    assert stated is None or float(stated[1]) == pytest.approx(found.work, rel=0.06)


@pytest.mark.parametrize("network", MODELS)
@pytest.mark.parametrize("name", INPUTS)
def test_every_input_meets_every_network_or_is_refused_with_what_fits(name, network):
    c = config.default()
    c.input.name, c.model.name = name, network
    net = MODELS[network](classes=3)
    if net.streams in (None, INPUTS[name].streams):
        config.check(c)
    else:
        with pytest.raises(InputError, match="inputs that fit are"):
            config.check(c)


def test_every_argument_of_every_component_is_a_field():
    c = config.default()
    assert c.model.afn.fusion == "gate"
    assert c.input.mm_cof.theta == 0.5
    assert c.data.synthetic.seed == 0
    assert c.train.focal.gamma == 2.0
    assert c.protocol.holdout.train == ""
    assert set(c.data) == {"name", "root", "repair", *DATASETS}
    c.lock()
    with pytest.raises(AttributeError):
        c.model.afn.withd = 3


def test_a_run_keeps_the_fields_that_it_used():
    kept = config.relevant(config.default())
    assert set(kept["input"]) == {"name", "trdi_midi"}
    assert set(kept["model"]) == {"name", "afn"}
    assert "focal" not in kept["train"]
    assert kept["protocol"] == {"name": "loso"}
