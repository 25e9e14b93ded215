import os
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from merjax.checkpoint import END, SEAL, Keeper
from merjax.folder import Folder
from merjax.types import InputError, State


def tree(value=1.0, size=2):
    params = {"dense": {"kernel": jnp.full((3, size, 2), value), "bias": jnp.zeros((3, 2))}}
    return {"states": State(jnp.array([1, 2, 3], jnp.int32), params, {}, (params, ())), "curves": [jnp.arange(3.0)]}


def keeper_in(path):
    return Keeper(Folder(path), "saves")


def saves(path):
    return sorted(one.name for one in (path / "saves").iterdir())


def like(_):
    return tree()


def same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_what_is_saved_comes_back_bit_for_bit_and_the_last_two_are_kept(tmp_path):
    keeper = keeper_in(tmp_path)
    assert keeper.names() == []
    assert keeper.restore(like, pytest.fail) is None
    for name, value in (("8", 0.0), ("9", 1.0), ("10", 1 / 3)):
        keeper.save(name, tree(value))
    keeper.wait()
    assert keeper.names() == ["10", "9"] == saves(tmp_path)
    name, found = keeper_in(tmp_path).restore(like, pytest.fail)
    assert name == "10"
    assert isinstance(found["states"], State)
    same(found, tree(1 / 3))
    keeper.save(END, tree())
    keeper.wait()
    assert keeper.names() == [END] == saves(tmp_path)


def test_what_is_saved_may_be_given_away_at_once(tmp_path):
    """A state is donated to the next epoch while its copy is still being written."""
    keeper, state = keeper_in(tmp_path), jnp.ones((4, 1_000_000))
    change = jax.jit(lambda a: a * 0 - 5, donate_argnums=0)
    keeper.save("1", [state])
    state = jax.block_until_ready(change(state))
    keeper.wait()
    assert float(keeper.load("1", [state])[0].min()) == 1.0


def test_a_save_that_was_cut_off_is_ignored_and_removed_with_its_name(tmp_path):
    keeper = keeper_in(tmp_path)
    keeper.save("1", tree())
    keeper.wait()
    keeper.folder.own("saves/2/")  # what a kill during a write leaves
    (tmp_path / "saves" / "2.orbax-checkpoint-tmp").mkdir()
    (tmp_path / "saves" / "2.orbax-checkpoint-tmp" / "half").write_bytes(b"\0")
    assert keeper_in(tmp_path).names() == ["1"]
    keeper.save("2", tree(2.0))
    keeper.save("3", tree(2.0))
    keeper.wait()
    assert saves(tmp_path) == ["2", "3"]


def test_a_save_of_another_network_is_passed_over(tmp_path):
    keeper = keeper_in(tmp_path)
    keeper.save("1", tree())
    keeper.wait()
    with pytest.raises(InputError, match="can't be read as a save of this run's networks"):
        keeper.load("1", {"states": jnp.zeros(3), "curves": [jnp.zeros(3)]})


def test_a_save_of_other_clips_is_passed_over(tmp_path):
    keeper, sentences = keeper_in(tmp_path), []
    data = {"classes": ["a"], "clips": [["d", "s1", "c1", "a", "0"]], "steps": "", "splits": {}}
    keeper.folder.run = {"config": {}, "data": data}
    keeper.save("1", tree())
    keeper.wait()
    again = keeper_in(tmp_path)
    again.folder.run = keeper.folder.run
    same(again.restore(like, pytest.fail)[1], tree())
    again = keeper_in(tmp_path)
    again.folder.run = {"config": {}, "data": data | {"clips": [["d", "s2", "c1", "a", "0"]]}}
    assert again.restore(like, sentences.append) is None
    assert sentences == [f"{tmp_path / 'saves' / '1'} is not a save of this run; these trainings begin anew"]


def flipped(path, rng):
    """Flips one bit of a file."""
    content = bytearray(path.read_bytes())
    content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    path.write_bytes(content)


def test_one_flipped_bit_is_noticed_and_the_save_before_is_taken(tmp_path, rng):
    """Flips in the newest of two saves: a save comes back with its own bits, and what is lost is said."""
    keeper = keeper_in(tmp_path)
    right = {"1": tree(1 / 7), "2": tree(1 / 3)}
    for name, one in right.items():
        keeper.save(name, one)
    keeper.wait()
    files = [path for path in (tmp_path / "saves" / "2").rglob("*") if path.is_file() and path.stat().st_size]
    for _ in range(100):
        path, sentences = files[rng.integers(len(files))], []
        whole = path.read_bytes()
        flipped(path, rng)
        name, found = keeper_in(tmp_path).restore(like, sentences.append)
        same(found, right[name])
        assert name == "1" or path.name == SEAL  # a blank there, at most
        assert len(sentences) == (name == "1")
        assert all(one.endswith("; going on from that of epoch 1") for one in sentences)
        path.write_bytes(whole)


def test_with_every_save_damaged_the_trainings_begin_anew(tmp_path, rng):
    keeper, sentences = keeper_in(tmp_path), []
    for name in ("1", "2"):
        keeper.save(name, tree(1 / 3))
    keeper.wait()
    for path in (tmp_path / "saves").rglob("d/*"):
        flipped(path, rng)
    assert keeper_in(tmp_path).restore(like, sentences.append) is None
    assert [one.rpartition("; ")[2] for one in sentences] == [
        "going on from that of epoch 1",
        "these trainings begin anew",
    ]
    keeper.save("2", tree(2.0))  # in the place of the damaged one
    keeper.wait()
    same(keeper.load("2", tree()), tree(2.0))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_one_sentence_and_the_last_save_stays_whole(tmp_path):
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no disk can be mounted here")
    try:
        keeper = keeper_in(tmp_path)
        keeper.save("1", tree(3.0))
        keeper.save("2", {"states": jnp.ones((1, 4_000_000)), "curves": []})
        with pytest.raises(InputError, match="epoch 2 can't be written, the disk is full; the one of epoch 1 is whole"):
            keeper.wait()
        assert keeper_in(tmp_path).names() == ["1"]
        keeper.save("3", tree(4.0))
        keeper.wait()
        same(keeper.load("3", tree()), tree(4.0))
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
