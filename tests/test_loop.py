"""All rows of a run: every way of training them gives the same, in one go or in several."""

import os
import shutil
import signal
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_checkpoint import flipped

from merjax import loop, loso, losses, memory, optim, parallel
from merjax.folder import Folder
from merjax.models import MODELS
from merjax.program import Job, Plan, Program
from merjax.types import InputError, Samples

EPOCHS, SUBJECTS = 3, 5


@cache
def clips():
    n = 12
    x = np.random.default_rng(0).normal(size=(n, 1, 28, 28, 3)).astype(np.float32)
    label, subject = (np.arange(n) % 3).astype(np.int32), np.repeat(np.arange(SUBJECTS), 3)[:n].astype(np.int32)
    return Samples(jnp.asarray(x), jnp.asarray(label), jnp.asarray(subject))


def job(epochs=EPOCHS, **recipe):
    usual = {
        "loss": losses.cross_entropy,
        "augment": lambda key, x: x + 0.01 * jax.random.normal(key, x.shape),
        "mirror": None,
        "weight_power": 0.5,
        "batch": 4,
        "epoch_steps": 2,
        "precision": "float32",
        "remat": False,
        "accumulate": 1,
    }
    tx = optim.optimizer(name="adamw", schedule="onecycle", lr=1e-2, weight_decay=1e-2, steps=2 * EPOCHS)
    return Job(MODELS["ststnet"](classes=3), tx, usual | recipe, epochs, average=0.5)


def table(samples=None):
    samples = samples or clips()
    folds = loso.folds(np.asarray(samples.label), np.asarray(samples.subject))
    return parallel.table((0,), folds)


def trained(folder, how="map", chunk=4, one=None, samples=None, save_seconds=1e9):
    samples = samples or clips()
    plan = Plan(how, 4, chunk, parallel.fold_mesh(how).size, 0.0, 0, 0)
    return loop.train_all(table(samples), samples, one or job(), plan, folder=Folder(folder), save_seconds=save_seconds)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Four rows in one part, on one device."""
    return trained(tmp_path_factory.mktemp("whole"))


def assert_same(one, other, **tolerance):
    """Curves and networks, to the bit without a tolerance."""
    each = [
        jax.tree.leaves((run.curves, [run.network(row) for row in range(len(table().seed))])) for run in (one, other)
    ]
    for a, b in zip(*each, strict=True):
        if tolerance:
            np.testing.assert_allclose(a, b, **tolerance)
        else:
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("how", "chunk"), [("map", 1), ("map", 3), ("shard_map", 4)])
def test_parts_and_devices_change_no_bit(tmp_path, whole, how, chunk):
    assert_same(trained(tmp_path, how, chunk), whole)


@pytest.mark.parametrize(("how", "chunk"), [("vmap", 2), ("shard_vmap", 4)])
def test_programs_that_compile_differently_agree_within_rounding(tmp_path, whole, how, chunk):
    assert_same(trained(tmp_path, how, chunk), whole, atol=2e-4, rtol=1e-3)


def test_parts_of_a_batch_make_the_gradient_of_the_whole(tmp_path, whole):
    """Without dropout, whose masks differ, and with statistics of a group, which no part changes."""
    net = MODELS["plain"](classes=3, width=4, dropout=0.0)
    one, four = (trained(tmp_path / str(parts), one=job(accumulate=parts)._replace(net=net)) for parts in (1, 4))
    np.testing.assert_allclose(one.curves.probability, four.curves.probability, atol=1e-5)


def test_computing_again_for_the_gradient_changes_nothing_but_rounding(tmp_path, whole):
    assert_same(trained(tmp_path, one=job(remat=True)), whole, atol=1e-5, rtol=1e-4)


def test_bfloat16_learns_the_same_and_keeps_weights_in_float32(tmp_path, whole):
    low = trained(tmp_path, one=job(precision="bfloat16"))
    assert {a.dtype for a in jax.tree.leaves(low.network(0))} == {np.dtype(np.float32)}
    difference = np.abs(low.curves.probability - whole.curves.probability)[:, table().fold.test_mask]
    assert 0 < difference.max() < 0.1


def test_a_finished_run_is_read_and_not_trained_again(tmp_path, whole, monkeypatch):
    trained(tmp_path)
    monkeypatch.setattr(Program, "begin", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr(Program, "compile", lambda _: pytest.fail("compiled for nothing"))
    assert_same(trained(tmp_path), whole)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_epoch_saves_and_the_same_call_goes_on_to_the_same_bits(tmp_path, whole, number, monkeypatch):
    usual, epochs = loop.tqdm.update, []

    def update(bar, *count):
        epochs.append(1)
        if len(epochs) == 4:  # in the first epoch of the second part
            os.kill(os.getpid(), number)
        return usual(bar, *count)

    monkeypatch.setattr(loop.tqdm, "update", update)
    before = signal.getsignal(number)
    with pytest.raises(loop.Interruption, match="after epoch 1, which is saved") as end:
        trained(tmp_path, chunk=2)
    assert end.value.number == number
    assert signal.getsignal(number) == before
    assert [path.name for path in (tmp_path / "checkpoints" / "rows_2_to_3").iterdir()] == ["1"]
    assert_same(trained(tmp_path, chunk=3), whole)  # the folder's own parts count, not the ones asked for


def cut(folder, monkeypatch):
    """A run that was ended after its second epoch, with a save of each of its two epochs."""
    with monkeypatch.context() as patch:
        patch.setattr(loop, "preempted", lambda epoch: epoch == 1)
        with pytest.raises(loop.Interruption):
            trained(folder, save_seconds=0.0)
    assert sorted(path.name for path in (folder / "checkpoints" / "rows_0_to_3").iterdir()) == ["1", "2"]


@pytest.mark.parametrize("flips", [10, pytest.param(300, marks=pytest.mark.slow)])
def test_a_flipped_bit_in_a_save_costs_time_and_no_bit_of_the_result(tmp_path, whole, flips, rng, monkeypatch, capsys):
    cut(tmp_path / "cut", monkeypatch)
    usual, made = loop.Program, {}
    monkeypatch.setattr(loop, "Program", lambda *a: made.setdefault(len(a[3].seed), usual(*a) if not made else None))
    files = (tmp_path / "cut").rglob("checkpoints/*/*/**/*")
    saves = [path for path in files if path.is_file() and path.stat().st_size]
    for _ in range(flips):
        again = tmp_path / "again"
        shutil.copytree(tmp_path / "cut", again)
        path = again / saves[rng.integers(len(saves))].relative_to(tmp_path / "cut")
        flipped(path, rng)
        assert_same(trained(again), whole)
        shown, newest = capsys.readouterr().out, path.relative_to(again).parts[2] == "2"
        noticed = "is damaged: its files are not those that were saved; going on from that of epoch 1" in shown
        assert noticed == newest
        assert f"going on after epoch {1 if newest else 2}" in shown
        shutil.rmtree(again)


def test_with_every_save_damaged_a_run_trains_again(tmp_path, whole, rng, monkeypatch, capsys):
    """A damaged end as well: what is left of other chunks is kept."""
    trained(tmp_path, chunk=2)
    for path in (tmp_path / "checkpoints" / "rows_2_to_3").rglob("d/*"):
        flipped(path, rng)
    assert_same(trained(tmp_path, chunk=2), whole)
    assert "rows_2_to_3/end is damaged: its files are not those that were saved; these trainings begin anew" in (
        capsys.readouterr().out
    )


def test_a_chunk_takes_fewer_rows_when_less_memory_is_free(tmp_path, whole, monkeypatch, capsys):
    first = tmp_path / "checkpoints" / "rows_0_to_1"
    monkeypatch.setattr(memory, "free", lambda: 4 * 2**20 if first.exists() else 2**40)
    monkeypatch.setattr(memory, "resident", lambda: 0)
    one = job()
    need = memory.Need(2**20, 2**20, 2**20)
    plan = Plan("map", 4, 2, 1, 0.0, 0, 0, need)
    run = loop.train_all(table(), clips(), one, plan, folder=Folder(tmp_path), save_seconds=1e9)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "rows_0_to_1",
        "rows_2_to_2",
        "rows_3_to_3",
    ]
    assert "less memory is free than at the beginning: 1 rows at once from here" in capsys.readouterr().out
    assert_same(run, whole)


def test_the_compiler_has_the_last_word_on_memory(tmp_path, whole, monkeypatch, capsys):
    """Four rows are planned, and a device has room for two of them as they were compiled."""
    monkeypatch.setattr(Program, "bytes", property(lambda program: 2**20 * len(program.states.step)))
    monkeypatch.setattr(memory, "free", lambda: int(2.5 * 2**20))
    monkeypatch.setattr(memory, "resident", lambda: 0)
    plan = Plan("map", 4, 4, 1, 0.0, 0, 0, memory.Need(1, 1, 1))
    run = loop.train_all(table(), clips(), job(), plan, folder=Folder(tmp_path), save_seconds=1e9)
    assert "larger than planned" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["rows_0_to_1", "rows_2_to_3"]
    assert_same(run, whole)
    monkeypatch.setattr(memory, "free", lambda: 2**19)
    with pytest.raises(InputError, match=r"compiled program is too large: .*train\.accumulate"):
        loop.train_all(table(), clips(), job(), plan, folder=Folder(tmp_path / "other"), save_seconds=1e9)


def test_a_chunk_that_was_begun_is_not_gone_on_with_where_it_does_not_fit(tmp_path, monkeypatch):
    cut(tmp_path, monkeypatch)
    monkeypatch.setattr(memory, "free", lambda: 2**20)
    plan = Plan("map", 4, 4, 1, 0.0, 0, 0, memory.Need(2**20, 2**20, 2**20))
    with pytest.raises(InputError, match=r"begun with 4 rows at once, which need about 0\.0 GiB.*close other programs"):
        loop.train_all(table(), clips(), job(), plan, folder=Folder(tmp_path), save_seconds=1e9)


def test_a_fold_of_nan_stops_alone_and_keeps_its_last_good_state(tmp_path, whole):
    """Clip 11 is of the last subject: the three folds that train on it stop at once, its own does not."""
    broken = clips()._replace(x=clips().x.at[11].set(jnp.nan))
    run = trained(tmp_path, samples=broken)
    assert run.stopped == {0: 1, 1: 1, 2: 1}
    np.testing.assert_array_equal(run.curves.loss[:, 3], whole.curves.loss[:, 3])
    assert np.isnan(run.curves.loss[:, :3]).all()
    assert all(np.isfinite(a).all() for row in range(4) for a in jax.tree.leaves(run.network(row)))


def test_a_fold_that_diverges_later_is_tested_by_its_last_good_network(tmp_path):
    """The learning rate leaps to infinity after four steps, two epochs."""
    base = job()
    tx = optim.optax.sgd(lambda step: jnp.where(step < 4, 1e-2, jnp.inf))
    run, right = (trained(tmp_path / name, one=base._replace(tx=tx, epochs=n)) for name, n in (("all", 3), ("two", 2)))
    assert run.stopped == dict.fromkeys(range(4), 3)
    assert right.stopped == {}
    np.testing.assert_array_equal(run.curves.probability[2], right.curves.probability[1])
    for row in range(4):
        jax.tree.map(np.testing.assert_array_equal, run.network(row), right.network(row))


def test_a_folder_of_parts_that_the_devices_cannot_share_is_refused(tmp_path):
    trained(tmp_path, chunk=2)
    with pytest.raises(InputError, match="begun with 2 rows at once, which 4 devices can't share evenly"):
        trained(tmp_path, "shard_map", 4)


def test_nothing_is_moved_between_host_and_device_within_an_epoch(tmp_path, monkeypatch):
    guards = []
    usual = jax.transfer_guard

    def guard(level):
        guards.append(level)
        return usual(level)

    monkeypatch.setattr(jax, "transfer_guard", guard)
    trained(tmp_path)
    assert guards == ["disallow"] * EPOCHS


def test_the_program_does_not_grow_with_the_folds():
    """The text of the compiled epoch of 4 rows and of 68 is about as long: rows are a loop, not copies.

    Not quite as long on every machine: with more rows XLA splits some copies of the state among threads.
    """
    mesh = parallel.fold_mesh("map")
    samples = parallel.place(clips(), mesh, split=False)
    programs = [Program(job(), "map", mesh, parallel.part(table(), 0, count), samples) for count in (4, 68)]
    for program in programs:
        program.compile()
    four, all_folds = (len(program.epoch.as_text().splitlines()) for program in programs)
    assert all_folds < 1.5 * four
