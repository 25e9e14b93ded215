import os
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from merjax.checkpoint import END, Keeper
from merjax.types import InputError, State


def tree(value=1.0, size=2):
    params = {"dense": {"kernel": jnp.full((3, size, 2), value), "bias": jnp.zeros((3, 2))}}
    return {"states": State(jnp.array([1, 2, 3], jnp.int32), params, {}, (params, ())), "curves": [jnp.arange(4.0)]}


def test_what_is_saved_comes_back_bit_for_bit_and_only_the_last_is_kept(tmp_path):
    keeper = Keeper(tmp_path / "saves")
    assert keeper.last() is None
    for name, value in (("9", 1.0), ("10", 1 / 3)):
        keeper.save(name, tree(value))
    keeper.wait()
    assert keeper.last() == "10"
    found = Keeper(tmp_path / "saves").load("10", tree())
    assert isinstance(found["states"], State)
    np.testing.assert_array_equal(found["states"].params["dense"]["kernel"], np.full((3, 2, 2), np.float32(1 / 3)))
    np.testing.assert_array_equal(found["curves"][0], np.arange(4.0))
    assert [path.name for path in (tmp_path / "saves").iterdir()] == ["10"]
    keeper.save(END, tree())
    keeper.wait()
    assert keeper.last() == END


def test_what_is_saved_may_be_given_away_at_once(tmp_path):
    """A state is donated to the next epoch while its copy is still being written."""
    keeper, state = Keeper(tmp_path), jnp.ones((4, 1_000_000))
    change = jax.jit(lambda a: a * 0 - 5, donate_argnums=0)
    keeper.save("1", [state])
    state = jax.block_until_ready(change(state))
    keeper.wait()
    assert float(keeper.load("1", [state])[0].min()) == 1.0


def test_a_save_that_was_cut_off_is_ignored_and_removed(tmp_path):
    keeper = Keeper(tmp_path)
    keeper.save("1", tree())
    keeper.wait()
    (tmp_path / "2.orbax-checkpoint-tmp").mkdir()  # what a kill during a write leaves
    (tmp_path / "2.orbax-checkpoint-tmp" / "half").write_bytes(b"\0")
    assert Keeper(tmp_path).last() == "1"
    keeper.save("2", tree(2.0))
    keeper.wait()
    assert [path.name for path in tmp_path.iterdir()] == ["2"]


def test_a_save_of_another_network_is_refused(tmp_path):
    keeper = Keeper(tmp_path)
    keeper.save("1", tree())
    keeper.wait()
    with pytest.raises(InputError, match=r"can't be read as this run's checkpoint.*another --workdir"):
        keeper.load("1", {"states": jnp.zeros(3), "curves": [jnp.zeros(4)]})


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_one_sentence_and_the_last_save_stays_whole(tmp_path):
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no disk can be mounted here")
    try:
        keeper = Keeper(tmp_path / "saves")
        keeper.save("1", tree(3.0))
        keeper.save("2", {"states": np.random.default_rng(0).normal(size=2_000_000), "curves": []})
        with pytest.raises(InputError, match="epoch 2 can't be written, the disk is full; the one of epoch 1 is whole"):
            keeper.wait()
        assert Keeper(tmp_path / "saves").last() == "1"
        keeper.save("3", tree(4.0))
        keeper.wait()
        assert float(keeper.load("3", tree())["states"].params["dense"]["kernel"].max()) == 4.0
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
