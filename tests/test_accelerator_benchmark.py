"""The benchmark of accelerators: all kinds of its lines in small, what follows from them, and its peers in PyTorch."""

import importlib
import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest
from conftest import REPOSITORY

from merjax.models import MODELS
from merjax.recipes import FMANET_28

BENCHMARKS = REPOSITORY / "benchmarks"
POSITIVE = {
    "environment": ("cores", "free_gib"),
    "plan": ("multiply_adds", "parameters", "folds_at_once", "mib_a_fold"),
    "fold_step": ("ms", "multiply_adds_a_second", "compile_s", "program_mib", "planned_mib"),
    "convolution": ("us_a_fold", "multiply_adds_a_second"),
    "tvl1": ("ms_a_pair",),
    "rank_pooling": ("us_a_clip",),
    "augmentation": ("us_a_batch",),
    "batch_order": ("us_a_step",),
    "ceiling": (),
}
HEADINGS = (
    "# merjax on cpu",
    "## What `auto` should follow",
    "## Fold-steps of merjax",
    "## What merjax plans by itself for all folds",
    "## Everything else",
)


def module(name, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module(name)


def run(out, *arguments):
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, str(BENCHMARKS / "accelerator.py"), "--tiny", f"--out={out}", *arguments]
    return subprocess.run(command, env=environment, cwd=out.parent, capture_output=True, text=True, check=True)


def test_a_tiny_run_has_every_kind_of_line_and_a_table(tmp_path):
    out = tmp_path / "found.json"
    done = run(out)
    found = json.loads(out.read_text())
    lines = [line for line in found["lines"] if "error" not in line]
    for kind, fields in POSITIVE.items():
        of_kind = [line for line in lines if line["kind"] == kind]
        assert of_kind, kind
        for line in of_kind:
            assert all(line[field] > 0 for field in fields), line
    steps = [line for line in lines if line["kind"] == "fold_step"]
    assert {s["network"] for s in steps if s["lift"] == "map"} == {"ststnet", "resnet18"}
    assert {s["network"] for s in steps if s["lift"] == "vmap"} == {"ststnet", "resnet18"}
    assert {s["precision"] for s in steps} > {"float32"}
    assert all(s["finite"] for s in steps)
    assert len({line["layer"] for line in lines if line["kind"] == "convolution"}) == 3

    # PyTorch is no dependency: either its lines are there, or one that says why not.
    if any(line["kind"] == "torch" for line in lines):
        assert {r["network"] for r in found["ratios"]} == {"ststnet", "resnet18"}
        assert all(r["same_parameters"] and r["times_as_fast"] > 0 for r in found["ratios"])
    else:
        assert "without a peer" in next(line["error"] for line in found["lines"] if line["kind"] == "torch")
    assert [line for line in found["lines"] if "error" in line and line["kind"] != "torch"] == []

    text = out.with_suffix(".md").read_text()
    assert done.stdout == text + "\n"
    assert all(heading in text.splitlines() for heading in HEADINGS)
    assert "The smallest step for which `map` wins" in text or "`map` wins for none" in text
    assert "Traceback" not in done.stdout + done.stderr


def test_a_run_without_time_says_so_line_by_line(tmp_path):
    out = tmp_path / "found.json"
    run(out, "--budget=11")
    lines = json.loads(out.read_text())["lines"]
    assert lines[0]["kind"] == "environment"
    assert "no time left" in {line.get("error") for line in lines}
    assert "lines for which no time was left" in out.with_suffix(".md").read_text()


def step(network, lift, folds, ms, work, precision="float32"):
    return {
        "kind": "fold_step", "network": network, "lift": lift, "folds": folds, "ms": ms,
        "multiply_adds": work, "precision": precision, "multiply_adds_a_second": 1.0,
    }  # fmt: skip


def test_ratios_and_the_rule_for_auto_take_the_best_of_each_side(monkeypatch):
    table = module("accelerator_table", monkeypatch)
    lines = [
        {"kind": "environment", "backend": "gpu", "device": "a card", "jax": "0", "cores": 1, "default": "float32",
         "precisions": ["float32", "tf32", "bfloat16"], "fills": 1e10},
        step("small", "vmap", 8, 2.0, 10), step("small", "vmap", 26, 1.0, 10), step("small", "map", 8, 3.0, 10),
        step("large", "vmap", 8, 9.0, 1000), step("large", "map", 8, 6.0, 1000),
        {"kind": "fold_step", "network": "small", "lift": "vmap", "folds": 68, "precision": "float32", "error": "no"},
        {"kind": "plan", "network": "small", "parameters": 5},
        {"kind": "torch_step", "network": "small", "precision": "tf32", "mode": "eager", "ms": 0.1, "parameters": 5},
        {"kind": "torch_step", "network": "small", "precision": "float32", "mode": "graph", "ms": 4.0, "parameters": 5},
        {"kind": "torch_step", "network": "small", "precision": "float32", "mode": "eager", "ms": 7.0, "parameters": 5},
    ]  # fmt: skip
    (ratio,) = table.ratios(lines)
    best = {"folds": 26, "torch_mode": "graph", "times_as_fast": 4.0, "same_parameters": True}
    assert ratio | best == ratio
    rule = table.auto(lines)
    assert (rule["smallest_for_map"], rule["largest_for_vmap"]) == (1000, 10)
    assert "No one number" not in table.sentence_on_auto(rule)

    lines[7]["parameters"] = 6
    text = table.markdown(lines)
    assert "| NO |" in text
    assert "| fold_step | small, vmap, folds 68, float32 | no |" in text


def test_an_error_becomes_its_first_sentence(monkeypatch, capsys):
    lines = module("accelerator_lines", monkeypatch)
    with lines.excused("fold_step", {"network": "a"}):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes. More\nlines of it.")
    with lines.excused("fold_step", {"network": "b"}):
        raise lines.Skipped(lines.NO_TIME)
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["error"] == "RuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes."
    assert second == {"kind": "fold_step", "network": "b", "error": "no time left"}


OWN = {"fmanet": FMANET_28, "afn": {"width": 8, "blocks": (1, 1, 1)}}


@pytest.mark.parametrize("name", ["ststnet", "fmanet", "learnet", "afn", "dianet", "resnet18"])
def test_a_peer_has_as_many_parameters(name, monkeypatch):
    torch = pytest.importorskip("torch")
    peers = module("accelerator_torch", monkeypatch)
    case = module("accelerator_lines", monkeypatch).CASES[name]
    net = MODELS[name](classes=3, **case.own)
    assert (dict(case.own), net.streams) == (dict(OWN.get(name, {})), case.streams)
    x = jnp.zeros((2, net.streams, case.side, case.side, 3))
    shapes = jax.eval_shape(lambda key: net.init(key, x, train=False), jax.random.key(0))["params"]
    peer = peers.peer(name, case)
    assert sum(p.numel() for p in peer.parameters()) == sum(a.size for a in jax.tree.leaves(shapes))
    assert peer(torch.zeros(2, 3 * case.streams, case.side, case.side)).shape == (2, 3)
