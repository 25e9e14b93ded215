"""The sets are what they claim: what their classes share is the same to the bit, and what differs is there."""

import jax.numpy as jnp
import numpy as np
import pytest

from merjax.data import actions, synthetic, tasks
from merjax.ops import midi, rank_pool

CALM = synthetic.DEFAULT._replace(drift=0.0, light=0.0, noise=0.0)


def clips(task, dial=synthetic.DEFAULT, clip=1):
    """The same clip of the same subject, once for each class."""
    return [
        synthetic.perform(script, subject=1, clip=clip, seed=0, size=48, dial=dial)
        for script in tasks.TASKS[task].values()
    ]


@pytest.mark.parametrize("task", tasks.TASKS)
def test_a_set_reads_as_every_data_set(task):
    dataset = synthetic.read(task=task, subjects=2, clips_per_class=2, size=32)
    assert dataset.classes == tuple(tasks.TASKS[task])
    assert len(dataset.clips) == 2 * 2 * len(dataset.classes)
    counts = np.bincount([a.label for a in dataset.clips])
    assert (counts == 4).all()
    last = dataset.load(dataset.clips[-1])
    assert 0 < last.apex < len(last.frames) - 1
    assert np.abs(last.onset_apex[..., :2]).max() > 0.1


def test_there_is_a_class_for_each_unit():
    scripts = tasks.TASKS["units"]
    assert [script.action for script in scripts.values()] == list(actions.UNITS.values())
    assert all(script.rest == tuple(actions.UNITS.values()) for script in scripts.values())
    assert list(scripts)[:3] == ["AU01", "AU02", "AU04"]


@pytest.mark.parametrize("clip", [1, 2])
def test_classes_of_fall_are_the_same_to_the_bit_up_to_the_apex_and_differ_after_it(clip):
    first, *others = clips("fall", clip=clip)
    for other in others:
        assert other.apex == first.apex
        np.testing.assert_array_equal(other.frames[: first.apex + 1], first.frames[: first.apex + 1])
        np.testing.assert_array_equal(other.displacement[: first.apex + 1], first.displacement[: first.apex + 1])
        np.testing.assert_array_equal(synthetic.annotated(other).onset_apex, synthetic.annotated(first).onset_apex)
        apart = np.abs(other.displacement - first.displacement).max(axis=(1, 2, 3))
        assert (np.diff(apart[first.apex :]) > 0).all()
        assert apart[-1] > 0.3
    assert np.abs(others[0].displacement[-1] - others[1].displacement[-1]).max() > 0.3


def test_the_fall_ends_in_the_other_action_as_the_first_one_goes():
    back, smile, _ = clips("fall", CALM)
    alone = synthetic.draw(subject=1, clip=1, action="brow_raiser", seed=0, size=48, **CALM._asdict())
    np.testing.assert_array_equal(back.frames, alone.frames)
    other = smile.displacement[-1] - back.displacement[-1]
    row, column = np.unravel_index(np.hypot(*np.moveaxis(other, -1, 0)).argmax(), other.shape[:2])
    assert row / 48 > 0.6  # the mouth
    assert other[row, column, 1] < 0
    done = 1 - smile.intensity[:, None, None, None]
    done[: smile.apex + 1] = 0
    np.testing.assert_allclose(smile.displacement - back.displacement, done * other / done[-1], atol=1e-5)


@pytest.mark.parametrize("clip", [1, 2, 3])
def test_classes_of_order_show_the_same_frames_in_another_order(clip):
    first, last = clips("order", CALM, clip=clip)
    assert first.apex < len(first.frames) / 2 < last.apex + 8
    assert first.intensity[first.apex] == last.intensity[last.apex] == 1
    np.testing.assert_array_equal(np.sort(first.intensity), np.sort(last.intensity))
    frames = [sorted(frame.tobytes() for frame in truth.frames) for truth in (first, last)]
    assert frames[0] == frames[1]
    assert (first.frames != last.frames).any()
    assert first.intensity[0] == first.intensity[-1] == last.intensity[0] == last.intensity[-1] == 0


def test_midi_is_blind_to_order_and_the_dynamic_image_is_not():
    pooled = []
    for truth in clips("order", CALM):
        frames, length = jnp.asarray(truth.frames), jnp.asarray(len(truth.frames))
        pooled.append([midi.midi(frames, length, scale="none"), rank_pool.dynamic_image(frames, length, scale="none")])
    (by_rank, by_time), (by_rank_last, by_time_last) = pooled
    np.testing.assert_allclose(by_rank, by_rank_last, atol=1e-3)
    assert np.abs(by_time - by_time_last).max() > 100


def test_flow_between_onset_apex_and_offset_is_blind_to_order():
    first, last = (synthetic.annotated(truth) for truth in clips("order", CALM))
    np.testing.assert_array_equal(first.onset_apex, last.onset_apex)
    np.testing.assert_array_equal(first.apex_offset, last.apex_offset)
