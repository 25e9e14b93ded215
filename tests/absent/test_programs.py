"""Every network's epoch as the compilers for an H100 and a TPU v5e make it: what the program holds, and what it lacks.

pip install -e '.[absent]' && pytest -m absent tests/absent
"""

import json
import os
import subprocess
import sys
from functools import cache

import pytest

pytest.importorskip("libtpu", reason="the compilers come with merjax[absent]")
pytest.importorskip("jax_plugins.xla_cuda13", reason="the compilers come with merjax[absent]")

from absent import devices
from conftest import REPOSITORY

from merjax import parallel

QUICK = [
    pytest.param("ststnet", "h100", marks=pytest.mark.absent),
    pytest.param("ststnet", "v5e", marks=pytest.mark.absent),
]
REST = [
    pytest.param(name, kind, marks=(pytest.mark.absent, pytest.mark.slow))
    for kind in ("h100", "v5e")
    for name in devices.CASES
    if name != "ststnet"
]
LAUNCHES = {  # of a step, the test's share included; some tenths above what was found
    "ststnet": 60,
    "fmanet": 420,
    "afn": 460,
    "learnet": 280,
    "dianet": 980,
    "meganet": 330,
    "resnet18": 450,
    "resnet50": 1160,
    "vgg19": 310,
    "efficientnet_b0": 1480,
    "vit_b16": 1190,
}
KCYCLES = {"ststnet": 460}  # of a fold-step on a v5e
FILTERS = {"fmanet": 16, "learnet": 14}  # convolutions of a step, each with a gradient of its filter
SECONDS = {"h100": 90, "v5e": 300}  # on two quiet cores; twice as many where others share them

found = cache(devices.found)


@pytest.mark.parametrize(("name", "kind"), QUICK + REST)
def test_the_epoch_of_a_network_on_a_device_that_is_not_here(name, kind):
    program = found(name, kind)
    assert program.collectives == 0
    assert program.transfers == 0
    assert program.mib <= program.planned_mib
    assert program.seconds < 2 * SECONDS[kind]
    if kind == "h100":
        assert program.wide == 0
        assert program.launches <= LAUNCHES[name]
        assert program.filters >= FILTERS.get(name, 0)
    else:
        assert program.pixels == 0
        assert 0 < program.kcycles <= KCYCLES.get(name, 1e9)


@pytest.mark.absent
def test_kernels_that_give_the_same_bits_in_every_run_compile_for_a_gpu(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_enable_triton_gemm=false")
    parallel.fix_kernels()
    assert os.environ["XLA_FLAGS"].split() == [
        "--xla_gpu_enable_triton_gemm=false",
        "--xla_gpu_deterministic_ops=true",
    ]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, devices.__file__, "ststnet", "h100"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1])["filters"] > 0
