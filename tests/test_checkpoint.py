import jax.numpy as jnp
import numpy as np
import pytest

from merjax import checkpoint
from merjax.types import InputError, State


def tree(value=1.0):
    params = {"dense": {"kernel": jnp.full((3, 2, 2), value), "bias": jnp.zeros((3, 2))}}
    return State(jnp.array([1, 2, 3], jnp.int32), params, {}, (params, ())), [np.arange(4.0)]


def test_what_is_saved_comes_back_bit_for_bit_and_only_the_last_is_kept(tmp_path):
    assert checkpoint.restore(tmp_path / "saves", tree()) is None
    checkpoint.save(tmp_path / "saves", 1, tree(1.0))
    checkpoint.save(tmp_path / "saves", 2, tree(1 / 3))
    epoch, (state, curves) = checkpoint.restore(tmp_path / "saves", tree())
    assert epoch == 2
    assert isinstance(state, State)
    np.testing.assert_array_equal(state.params["dense"]["kernel"], np.full((3, 2, 2), np.float32(1 / 3)))
    np.testing.assert_array_equal(curves[0], np.arange(4.0))
    assert [path.name for path in (tmp_path / "saves").iterdir() if path.is_dir()] == ["2"]


def test_a_save_that_was_cut_off_is_ignored(tmp_path):
    checkpoint.save(tmp_path, 1, tree())
    (tmp_path / "2.orbax-checkpoint-tmp").mkdir()  # what a kill during a write leaves
    (tmp_path / "2.orbax-checkpoint-tmp" / "half").write_bytes(b"\0")
    assert checkpoint.restore(tmp_path, tree())[0] == 1
    checkpoint.save(tmp_path, 2, tree(2.0))
    assert checkpoint.restore(tmp_path, tree())[0] == 2


def test_a_save_of_another_network_is_refused(tmp_path):
    checkpoint.save(tmp_path, 1, tree())
    other = State(jnp.zeros(3, jnp.int32), {"conv": jnp.zeros((3, 5))}, {}, ())
    with pytest.raises(InputError, match="another --workdir"):
        checkpoint.restore(tmp_path, (other, [np.arange(4.0)]))
