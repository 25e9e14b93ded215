"""Every experiment really run for two steps, on a miniature tree of its data set: no data of people, no meaning."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from conftest import REPOSITORY, SMALL_NETWORKS
from test_configs import EXPERIMENTS, NAMES

from merjax import main
from merjax.data.trees import TREES

MEMBERS = {"megc2019": ("casme2", "samm", "smic"), "megc2018": ("casme2", "samm")}
CONFIGS = {name: EXPERIMENTS.load(name).get_config() for name in NAMES}
# One for each of the papers' data sets; composites, flow and the program itself are in test_licensed_runs.py.
QUICK = ("afn_casme2", "afn_mmew", "afn_samm", "afn_smic", "dual_phase_casme2", "linear_megc2019")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Gives the folder of a data set by name; each is drawn once."""
    drawn = {}

    def of(name):
        if name in drawn:
            return drawn[name]
        folder = drawn[name] = tmp_path_factory.mktemp(name)
        if name == "flow_folder":
            flow_folder(folder)
        elif name in MEMBERS:
            for member in MEMBERS[name]:
                TREES[member](folder / member, subjects=2, clips=10, faults=(), size=32)
        else:
            TREES[name](folder, subjects=2, clips=14, faults=(), size=48)
        return folder

    return of


def flow_folder(folder):
    """Nine clips of three subjects, two phases each, noise."""
    rng, lines = np.random.default_rng(0), ["dataset,subject,clip,label,onset_apex,apex_offset"]
    for i in range(9):
        for phase in "ab":
            cv2.imwrite(str(folder / f"{i}{phase}.png"), rng.integers(0, 256, (28, 28, 3), dtype=np.uint8))
        lines.append(f"tiny,s{i % 3},c{i},{('negative', 'positive', 'surprise')[i // 3]},{i}a.png,{i}b.png")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in NAMES]
)
def test_an_experiment_runs_for_two_steps_on_a_small_tree_with_a_small_network(name, root, tmp_path):
    c = EXPERIMENTS.load(name).get_config().lock()
    c.train.epochs, c.train.batch, c.report.gallery = 2, 8, 1
    c.model[c.model.name].update(SMALL_NETWORKS.get(c.model.name, {}))
    if c.data.name == "synthetic":
        c.data.synthetic.subjects, c.data.synthetic.clips_per_class = 2, 2
    else:
        c.data.root = str(root(c.data.name))
    if "size" in c.data[c.data.name]:
        c.data[c.data.name].size = 32
    scores = main.run(c, tmp_path)
    assert np.isfinite(scores["whole"]["uf1"])
    assert (tmp_path / "report.html").is_file()
    lines = (tmp_path / "predictions.csv").read_text().splitlines()
    assert len(lines) == 1 + scores["whole"]["n"] * len(scores["seeds"]) > 6
    curves = (tmp_path / "curves.csv").read_text().splitlines()[1:]
    assert {line.split(",")[2] for line in curves} == {"1", "2"}  # each of at least one step
    assert all(np.isfinite(float(line.split(",")[3])) for line in curves)


# One config of every network as it stands, and of the other networks of the grids.
AS_IT_STANDS = {
    **{name: {} for name in ("afn_casme2", "cof_casme2", "dianet_casme2", "dual_phase_casme2", "fmanet_casme2")},
    **{name: {} for name in ("learnet_casme2", "meganet_smic", "mesti_casme2", "mesti_peers_samm", "off_apexnet_cde")},
    **{name: {} for name in ("mm_cof_mmew", "ststnet_cde")},
    "dual_phase_samm": {"model.name": "vit_b16"},
    "mesti_samm": {"model.name": "efficientnet_b0"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", AS_IT_STANDS)
def test_an_experiment_runs_for_two_steps_with_its_own_network_and_pixels(name, root, tmp_path):
    changes = {"train.epochs": 2, "train.batch": 4, "report.gallery": 1} | AS_IT_STANDS[name]
    command = [sys.executable, str(REPOSITORY / "run.py"), f"--config=configs/{name}.py", f"--workdir={tmp_path}"]
    command += [f"--config.data.root={root(CONFIGS[name].data.name)}"]
    command += [f"--config.{field}={value}" for field, value in changes.items()]
    command += ["--config.train.chunk=1", "--config.train.over_folds=map"]  # a fold of VGG19 needs 9 GiB
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert np.isfinite(scores["whole"]["uf1"])
    pixels = CONFIGS[name].data[CONFIGS[name].data.name].size
    assert scores["plan"]["rows_at_once"] == 1
    assert pixels in (64, 112, 128, 224)
