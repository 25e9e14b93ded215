import os
import subprocess
import sys

import numpy as np
import pytest

from merjax import cache
from merjax.ops import INPUTS
from merjax.ops.strain import FORMS
from merjax.prepare import FRAMES_STEP, Recipe, padded, subjects_of, traced
from merjax.prepare import prepare as prepare_with_digests
from merjax.types import Annotation, Clip, Dataset, InputError


def prepare(*arguments):
    return prepare_with_digests(*arguments)[0]


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
    samples = prepare(data, Recipe(name))
    assert samples.x.shape == (3, made_by.images, 12, 12, 3)
    assert samples.label.tolist() == [0, 1, 0]
    assert np.isfinite(samples.x).all()
    alone = prepare(data._replace(clips=data.clips[1:2]), Recipe(name))
    np.testing.assert_array_equal(samples.x[1], alone.x[0])


def test_clips_are_padded_to_a_few_lengths_and_padding_does_not_count(rng):
    frames = rng.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    longer = padded(frames)
    assert longer.shape[0] == FRAMES_STEP
    np.testing.assert_array_equal(longer[:5], frames)
    np.testing.assert_array_equal(longer[5:], np.repeat(frames[4:], FRAMES_STEP - 5, 0))


def test_clips_of_two_sizes_are_refused(rng):
    with pytest.raises(InputError, match="clip d/s1/c1 is 10 x 10 pixels, where the clips before it are 12 x 12"):
        prepare(dataset([(5, 12), (5, 10)], rng), Recipe("apex"))


def test_the_same_name_in_two_databases_is_two_subjects():
    clips = (Annotation("x", "01", "a", 0), Annotation("y", "01", "b", 0), Annotation("x", "01", "c", 1))
    numbers, names = subjects_of(Dataset("d", ("a", "b"), clips, lambda _: Clip()))
    assert numbers.tolist() == [0, 1, 0]
    assert names == ["x/01", "y/01"]


def blobs(shifts):
    """A smooth texture that moves to the right by so many pixels, frame by frame."""
    y, x = np.mgrid[0:32, 0:32]
    frames = [np.sin((x - s) / 2.5) + np.cos(y / 3 + (x - s) / 7) for s in shifts]
    frames = [np.repeat(127 + 60 * frame[..., None], 3, -1).astype(np.uint8) for frame in frames]
    return np.stack(frames)


def moving(apex=2, shifts=(0.0, 0.5, 1.0, 0.4, 0.0), **more):
    clip = Clip(frames=blobs(shifts), apex=apex, **more)
    return Dataset("drawn", ("a", "b"), (Annotation("d", "s", "c", 0),), lambda _: clip)


@pytest.mark.parametrize("flow", ["tvl1", "farneback", "dis"])
def test_flow_inputs_can_be_made_of_frames(flow):
    x = np.asarray(prepare(moving(), Recipe("two_phases", {"unit": "given"}, flow=flow)).x)[0]
    rise, fall = x[0, 8:24, 8:24, 0], x[1, 8:24, 8:24, 0]  # the fall is negated
    assert rise.mean() == pytest.approx(1.0, abs=0.25)
    assert fall.mean() == pytest.approx(1.0, abs=0.25)


def crowd(lengths, side=12):
    """Clips of several lengths that move smoothly; the second to last comes with flow of its own."""
    clips = tuple(Annotation("d", f"s{i}", f"c{i}", 0) for i in range(len(lengths)))
    shown = {}
    for i, (clip, length) in enumerate(zip(clips, lengths, strict=True)):
        course = (0.2 + 0.1 * i) * np.arange(length) * np.where(np.arange(length) <= length // 2, 1.0, 0.9)
        own = np.full((side, side, 3), 0.1 * i, np.float32) if i == len(lengths) - 2 else None
        frames = blobs(course)[:, :side, :side]
        shown[clip.clip] = Clip(frames=frames, apex=length // 2, onset_apex=own, apex_offset=own)
    return Dataset("drawn", ("a", "b"), clips, lambda clip: shown[clip.clip])


@pytest.mark.parametrize("name", INPUTS)
def test_batches_of_an_accelerator_give_what_clips_alone_give(monkeypatch, tmp_path, name):
    edited = {"interpolate": "linear", "to": 9} if name in ("mesti", "two_phases") else {}
    data, recipe = crowd([5, 17, 16, 6, 20, 7]), Recipe(name, edit=edited)
    alone, digests = prepare_with_digests(data, recipe)
    monkeypatch.setattr("merjax.prepare.at_once", lambda: 4)
    monkeypatch.setenv("MERJAX_CACHE", str(tmp_path))
    some = prepare(data._replace(clips=data.clips[1:3]), recipe)
    kept = counted(monkeypatch)
    together, same = prepare_with_digests(data, recipe)
    assert same == digests
    np.testing.assert_array_equal(together.x[1:3], some.x)
    np.testing.assert_allclose(together.x, alone.x, atol=2e-3)
    assert kept.count(alone.x[0].shape) == 4  # of six, two were there


def test_a_batch_of_two_sizes_is_refused_as_clips_alone_are(monkeypatch, rng):
    monkeypatch.setattr("merjax.prepare.at_once", lambda: 4)
    with pytest.raises(InputError, match="clip d/s1/c1 is 10 x 10 pixels, where the clips before it are 12 x 12"):
        prepare(dataset([(5, 12), (5, 10)], rng), Recipe("apex"))


def test_the_form_of_the_strain_is_an_argument_of_the_recipe():
    x = [prepare(moving(), Recipe("onset_apex", {"unit": "given"}, flow="dis", strain=form)).x for form in FORMS]
    assert (np.asarray(x[0] - x[1])[..., 2] >= -1e-6).all()
    assert (np.asarray(x[0] - x[1])[..., 2] > 1e-4).any()
    np.testing.assert_array_equal(x[0][..., :2], x[1][..., :2])


def test_a_named_flow_is_computed_even_where_clips_come_with_one():
    still = np.zeros((32, 32, 3), np.float32)
    data = moving(onset_apex=still, apex_offset=still)
    assert not np.asarray(prepare(data, Recipe("onset_apex", {"unit": "given"})).x).any()
    assert np.asarray(prepare(data, Recipe("onset_apex", {"unit": "given"}, flow="dis")).x).any()


def test_motion_by_flow_and_dynamic_flow_are_made_of_frames():
    shifts = (0.0, 1.5, 0.5, 1.0, 0.2)
    data = moving(shifts=shifts)
    by_flow = prepare(data, Recipe("midi_flow", {"scale": "none"}, flow="farneback")).x[0, 0]
    rank = np.argsort(np.argsort(shifts)) + 1
    right = np.tensordot(2.0 * rank - 6.0, blobs(shifts).astype(np.float32), 1)
    np.testing.assert_allclose(by_flow, right, atol=1e-2)
    pooled = prepare(data, Recipe("dynamic_flow", {"unit": "given", "coefficients": "linear"}, flow="farneback")).x[
        0, 0
    ]
    # weights -3, -1, 1, 3 of the four flows 1.5, -1, 0.5, -0.8
    assert np.asarray(pooled)[8:24, 8:24, 0].mean() == pytest.approx(-4.5 + 1.0 + 0.5 - 2.4, rel=0.2)


def test_frames_are_edited_before_an_input_is_made_of_them():
    short = prepare(moving(), Recipe("dynamic_image", {"scale": "none"}, edit={"interpolate": "linear", "to": 2})).x[0]
    frames = blobs((0.0, 0.0)).astype(np.float32)
    np.testing.assert_allclose(short[0], 0.5 * (frames[1] - frames[0]), atol=1e-4)
    with pytest.raises(InputError, match=r"frames\.fps is 0"):
        traced(Recipe("dynamic_image", edit={"alpha": 5.0}))


def counted(monkeypatch):
    """Names of the arrays that are made and kept, not recalled."""
    kept = []
    keep = cache.keep
    monkeypatch.setattr(cache, "keep", lambda name, array: (kept.append(array.shape), keep(name, array)))
    return kept


def test_the_cache_computes_just_what_changed(tmp_path, monkeypatch):
    monkeypatch.setenv("MERJAX_CACHE", str(tmp_path))
    kept = counted(monkeypatch)
    recipe = Recipe("cof", {"theta": 0.5}, flow="dis")
    first = prepare(moving(), recipe)
    assert kept == [(32, 32, 2), (32, 32, 2), (1, 32, 32, 3)]
    kept.clear()
    again = prepare(moving(), recipe)
    assert kept == []
    np.testing.assert_array_equal(first.x, again.x)
    prepare(moving(), Recipe("cof", {"theta": 0.25}, flow="dis"))
    assert kept == [(1, 32, 32, 3)]  # the flows were there
    kept.clear()
    prepare(moving(shifts=(0.0, 0.5, 1.0, 0.4, 0.1)), recipe)
    assert kept == [(32, 32, 2), (1, 32, 32, 3)]  # the rise was there
    kept.clear()
    prepare(moving(shifts=(0.0, 0.4, 1.0, 0.4, 0.1)), Recipe("dynamic_image"))
    prepare(moving(apex=3, shifts=(0.0, 0.4, 1.0, 0.4, 0.1)), Recipe("dynamic_image"))
    assert len(kept) == 1  # the apex is nothing to a dynamic image


def test_a_broken_cache_file_is_noticed_and_made_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MERJAX_CACHE", str(tmp_path))
    right = prepare(moving(), Recipe("mesti")).x
    (path,) = tmp_path.rglob("*.npy")
    whole = path.read_bytes()
    for broken in (whole[: len(whole) // 2], b"", whole[:-40] + b"x" + whole[-39:]):
        path.write_bytes(broken)
        np.testing.assert_array_equal(prepare(moving(), Recipe("mesti")).x, right)
        assert f"{path} is broken and is made again" in capsys.readouterr().err
        assert path.read_bytes() == whole


def test_a_changed_formula_is_another_recipe(tmp_path, monkeypatch):
    content = cache.digest({"frames": np.zeros(3, np.uint8)})
    before = cache.key({"input": "mesti"}, content)
    assert before == cache.key({"input": "mesti"}, content)
    assert before != cache.key({"input": "midi"}, content)
    assert before != cache.key({"input": "mesti"}, cache.digest({"frames": np.zeros((3, 1), np.uint8)}))
    assert before != cache.key({"input": "mesti"}, cache.digest({"frames": np.zeros(3, np.int8)}))
    monkeypatch.setattr(cache, "source", lambda: "another")
    assert before != cache.key({"input": "mesti"}, content)


def test_two_processes_that_prepare_at_once_do_no_harm(tmp_path):
    program = (
        "from merjax.data import synthetic; from merjax.prepare import Recipe, prepare; import numpy as np; "
        "data = synthetic.read(subjects=2, clips_per_class=1, size=32); "
        "print(float(np.asarray(prepare(data, Recipe('mesti'))[0].x, np.float64).sum()))"
    )
    environment = os.environ | {"MERJAX_CACHE": str(tmp_path)}
    command = [sys.executable, "-c", program]
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [process.communicate(timeout=300)[0] for process in both]
    assert printed[0] == printed[1] != ""
    assert [process.returncode for process in both] == [0, 0]
    assert len(list(tmp_path.rglob("*.npy"))) == 6
    assert not list(tmp_path.rglob("*.part"))


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    place = tmp_path / "file"
    place.write_text("")
    monkeypatch.setenv("MERJAX_CACHE", str(place))
    with pytest.raises(InputError, match="set MERJAX_CACHE to a folder that can, or to nothing"):
        prepare(moving(), Recipe("apex"))
