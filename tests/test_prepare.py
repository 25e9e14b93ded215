import numpy as np
import pytest

from merjax.ops import INPUTS
from merjax.prepare import FRAMES_STEP, parts, prepare, subjects_of
from merjax.types import Annotation, Clip, Dataset, InputError


def dataset(sizes, rng):
    clips = tuple(Annotation("d", f"s{i}", f"c{i}", i % 2) for i in range(len(sizes)))
    shown = {
        clip.clip: Clip(
            frames=rng.integers(0, 256, (length, side, side, 3), dtype=np.uint8),
            apex=length // 2,
            onset_apex=rng.random((side, side, 3)).astype(np.float32),
            apex_offset=rng.random((side, side, 3)).astype(np.float32),
        )
        for clip, (length, side) in zip(clips, sizes, strict=True)
    }
    return Dataset("drawn", ("a", "b"), clips, lambda clip: shown[clip.clip])


@pytest.mark.parametrize("name", INPUTS)
def test_every_input_is_made_clip_by_clip_in_order(rng, name):
    data, made_by = dataset([(5, 12), (17, 12), (16, 12)], rng), INPUTS[name]
    samples = prepare(data, made_by)
    assert samples.x.shape == (3, made_by.streams, 12, 12, 3)
    assert samples.label.tolist() == [0, 1, 0]
    assert np.isfinite(samples.x).all()
    alone = prepare(data._replace(clips=data.clips[1:2]), made_by)
    np.testing.assert_array_equal(samples.x[1], alone.x[0])


def test_clips_are_padded_to_a_few_lengths_and_padding_does_not_count(rng):
    frames = rng.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    padded, length = parts(Clip(frames=frames), ("frames", "length"))
    assert padded.shape[0] == FRAMES_STEP
    assert length == 5
    np.testing.assert_array_equal(padded[:5], frames)


def test_clips_of_two_sizes_are_refused(rng):
    with pytest.raises(InputError, match="clip d/s1/c1 is 10 x 10 pixels, where the clips before it are 12 x 12"):
        prepare(dataset([(5, 12), (5, 10)], rng), INPUTS["apex"])


def test_the_same_name_in_two_databases_is_two_subjects():
    clips = (Annotation("x", "01", "a", 0), Annotation("y", "01", "b", 0), Annotation("x", "01", "c", 1))
    numbers, names = subjects_of(Dataset("d", ("a", "b"), clips, lambda _: Clip()))
    assert numbers.tolist() == [0, 1, 0]
    assert names == ["x/01", "y/01"]
