from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from merjax.data import DATASETS, LICENSED, apex, crop, frames
from merjax.data.known import KNOWN
from merjax.data.loader import face
from merjax.data.schemes import SCHEMES
from merjax.data.trees import TREES
from merjax.types import InputError


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """CASME II with every fault, its cropped release only."""
    return TREES["casme2"](tmp_path_factory.mktemp("data") / "casme2", faults=("all",), size=32, releases=("cropped",))


def read(tree, name="casme2", **options):
    return DATASETS[name].read(str(tree.root), **options)


def clip(dataset, name):
    return next(one for one in dataset.clips if one.sample_id == name)


def test_clips_come_in_the_order_of_people_with_the_label_of_their_scheme(faulty):
    dataset = read(faulty, scheme="casme2_7", size=16)
    named = [one.sample_id for one in dataset.clips]
    assert named == sorted(named, key=frames.natural)
    truth = {f"casme2/{s.subject}/{s.clip}": s.emotion for s in faulty.samples if s.on_disk}
    assert {one.sample_id: dataset.classes[one.label] for one in dataset.clips} == truth


def test_an_annotated_apex_is_where_the_drawn_face_has_it(faulty):
    dataset = read(faulty, size=16)
    for sample in (s for s in faulty.samples if not s.fault and s.emotion != "sadness"):
        loaded = dataset.load(clip(dataset, f"casme2/{sample.subject}/{sample.clip}"))
        assert loaded.frames.shape == (sample.last - sample.first + 1, 16, 16, 3)
        assert loaded.apex == sample.peak - sample.first


@pytest.mark.parametrize("spotter", ["midpoint", "framediff"])
def test_an_apex_that_cannot_be_trusted_is_spotted_and_told(faulty, spotter):
    dataset = read(faulty, size=32, apex=spotter)
    for name in ("casme2/sub04/EP12_01f", "casme2/sub05/EP09_05f", "casme2/sub05/EP16_04f"):  # missing, onset, offset
        loaded = dataset.load(clip(dataset, name))
        assert loaded.apex == apex.SPOTTERS[spotter](loaded.frames, 200.0)
    assert f"The apex of 3 clips is by {spotter}: placeholder 2, missing 1." in dataset.notes()


def test_frames_that_cannot_be_decoded_are_passed_over_and_told(faulty):
    dataset = read(faulty, size=16)
    sample = next(s for s in faulty.samples if s.fault == "truncated_jpeg")
    loaded = dataset.load(clip(dataset, f"casme2/{sample.subject}/{sample.clip}"))
    assert len(loaded.frames) == sample.last - sample.first
    assert loaded.apex == sample.peak - sample.first - 1
    told = f"Frames that can't be decoded were passed over in 1 clip: casme2/{sample.subject}/{sample.clip} (1)."
    assert told in dataset.notes()


def test_what_is_left_out_is_told_clip_by_clip_and_what_has_no_class_is_counted(faulty):
    dataset = read(faulty, size=16)
    assert dataset.left_out == ("casme2/sub24/EP02_07: it has no frames from onset to offset (folder_missing).",)
    assert "3 clips outside these classes: sadness 3." in dataset.notes()
    assert dataset.notes()[0] == "CASME II: release cropped, labels of sheet CASME2-coding-20140508.xlsx."


def test_strict_leaves_out_every_clip_with_a_fault_and_none_takes_the_sheet_as_it_is(faulty):
    strict = read(faulty, size=16, repair="strict")
    gone = [sentence.partition(":")[0] for sentence in strict.left_out]
    for sample in faulty.samples:
        bad = sample.fault in ("apex_unknown", "apex_on_onset", "apex_on_offset", "folder_missing", "truncated_jpeg")
        if bad or not sample.fault:
            assert (f"casme2/{sample.subject}/{sample.clip}" in gone) == bad
    assert "casme2/sub02/EP97_02: unreadable." in strict.left_out
    asked = clip(read(faulty, size=16, repair="none"), "casme2/sub12/EP09_06")
    assert len(asked.files) == 106 - 98 + 1


def test_a_scheme_of_ones_own_and_clips_to_exclude(faulty):
    own = {"low": ["disgust", "Sadness"], "high": ("happiness",)}
    dataset = read(faulty, size=16, own=own, exclude=("casme2/sub04/EP12_01f",))
    assert dataset.classes == ("low", "high")
    assert "casme2/sub04/EP12_01f: named in exclude." in dataset.left_out
    truth = {f"{s.subject}/{s.clip}": s.emotion for s in faulty.samples}
    for one in dataset.clips:
        assert dataset.classes[one.label] == ("high" if truth[f"{one.subject}/{one.clip}"] == "happiness" else "low")


def test_loading_from_many_threads_and_again_gives_the_same(faulty):
    dataset, alone = read(faulty, size=24, crop="haar"), read(faulty, size=24, crop="haar")
    first = [alone.load(one) for one in alone.clips]
    with ThreadPoolExecutor(8) as pool:
        many = list(pool.map(dataset.load, dataset.clips * 2))
    for one, two in zip(first * 2, many, strict=True):
        np.testing.assert_array_equal(one.frames, two.frames)
        assert one.apex == two.apex


@pytest.mark.parametrize(("width", "angle"), [(60.0, 0.0), (130.0, 0.1), (270.0, -0.2)])
def test_a_face_decoded_small_is_that_of_the_whole_frame(tmp_path, width, angle):
    smooth = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (301, 401, 3), np.uint8), (0, 0), 12)
    smooth = cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX)
    path = str(tmp_path / "1.jpg")
    cv2.imwrite(path, smooth, [cv2.IMWRITE_JPEG_QUALITY, 98])
    region = crop.Region(200.0, 150.0, width, width, angle)
    whole = crop.warp(frames.image(path), region, 32).astype(int)
    difference = np.abs(face(path, region, 32).astype(int) - whole)
    assert difference.mean() < 1.5
    assert difference.max() < 12


def test_a_whole_clip_that_cannot_be_decoded_is_one_sentence(tmp_path):
    tree = TREES["samm"](tmp_path / "samm", faults=(), size=16, clips=8, releases=("raw",))
    sample = tree.samples[0]
    for path in (tree.root / sample.folders["raw"]).glob("*.jpg"):
        path.write_bytes(b"\xff\xd8 no picture")
    dataset = read(tree, "samm", crop="none", scheme="samm_8")
    with pytest.raises(InputError, match=f"clip samm/{sample.subject}/{sample.clip} has no frame that can be decoded"):
        dataset.load(clip(dataset, f"samm/{sample.subject}/{sample.clip}"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"scheme": "casme2_6"}, "scheme is 'casme2_6'; it can be casme2_7, casme2_5"),
        ({"scheme": "samm_5"}, "data.scheme 'samm_5' is for samm, not for casme2; schemes for it are casme2_7"),
        ({"apex": "first"}, "apex is 'first'; it can be midpoint, framediff"),
        ({"crop": "box"}, "crop is 'box'; it can be auto, none, centre"),
        ({"repair": "all"}, "data.repair is 'all'; it can be flag, strict, none"),
        ({"size": 0}, "size is 0 pixels; it must be 1 or more"),
        ({"exclude": ("nobody",)}, "exclude names nobody, but no clip has that name, as casme2/sub01/"),
        ({"release": "tar"}, "data.release is 'tar'; it can be cropped, raw, raw_full"),
        ({"part": "casme"}, "part is 'casme'; it can be casme2"),
    ],
)
def test_what_cannot_work_is_one_sentence(faulty, options, sentence):
    with pytest.raises(InputError) as error:
        read(faulty, **options)
    assert sentence in str(error.value)


@pytest.mark.parametrize("name", LICENSED)
def test_every_data_set_loads_clips_with_an_apex_among_their_frames(tmp_path, name):
    tree = TREES["casme3a" if name == "casme3" else name](tmp_path / "tree", faults=(), size=24, clips=6, subjects=2)
    dataset = read(tree, name, size=16, crop="none")
    assert dataset.clips
    for one in dataset.clips:
        loaded = dataset.load(one)
        assert loaded.frames.shape == (len(one.files), 16, 16, 3)
        assert 0 < loaded.apex < len(loaded.frames)
    assert dataset.left_out == ()


@pytest.mark.parametrize("part", ["smic_vis", "smic_nir"])
def test_a_part_of_a_data_set_is_read_by_its_name(tmp_path, part):
    tree = TREES["smic"](tmp_path / "smic", faults=(), size=16, clips=6, subjects=3)
    assert {one.database for one in read(tree, "smic", part=part).clips} == {part}


def test_several_samples_of_a_clip_have_names_of_their_own(tmp_path):
    tree = TREES["casme3a"](tmp_path / "casme3", faults=(), size=16, subjects=1, clips=6)
    dataset = read(tree, "casme3", size=16, crop="none")
    assert len({one.sample_id for one in dataset.clips}) == 6
    assert len({one.clip.partition("/")[0] for one in dataset.clips}) < 6
    with pytest.raises(InputError, match="apex is 'flow', which needs the frames a second, and casme3a states none"):
        read(tree, "casme3", apex="flow")
    assert read(tree, "casme3", apex="flow", fps=30.0).clips


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """The three data sets of the composite side by side."""
    root = tmp_path_factory.mktemp("composite")
    for name in ("casme2", "samm", "smic"):
        TREES[name](root / f"my {name}", faults=(), size=16, subjects=2, clips=10)
    return root


def test_the_composite_finds_its_data_sets_whatever_their_folders_are_called(together):
    dataset = DATASETS["megc2019"].read(str(together), size=16, crop="none")
    assert dataset.classes == ("negative", "positive", "surprise")
    assert {one.database for one in dataset.clips} == {"smic_hs", "casme2", "samm"}
    assert all(dataset.load(one).frames.shape[1:] == (16, 16, 3) for one in dataset.clips)


def test_the_composite_says_which_data_set_is_missing(together, tmp_path):
    (tmp_path / "one").symlink_to(together / "my smic")
    with pytest.raises(InputError, match=r"do not hold CASME II as it should be: .*expected folders like"):
        DATASETS["megc2019"].read(str(tmp_path))


def test_megc_2018_labels_both_data_sets_by_objective_classes_and_says_of_which_sheet(together, tmp_path):
    dataset = DATASETS["megc2018"].read(str(together), size=16, crop="none")
    assert dataset.classes == ("I", "II", "III", "IV", "V")
    assert {one.database for one in dataset.clips} == {"casme2", "samm"}
    assert "CASME II: release cropped, labels of sheet CASME2-ObjectiveClasses.xlsx." in dataset.notes()
    truth = {}
    for name in ("casme2", "samm"):
        tree = TREES[name](tmp_path / name, faults=(), size=16, subjects=2, clips=10)
        truth |= {f"{name}/{s.subject}/{s.clip}": s.objective for s in tree.samples if s.objective <= 5}
    assert {one.sample_id: one.label + 1 for one in dataset.clips} == truth


def test_any_data_sets_make_a_composite_under_one_scheme_or_ones_own(together, tmp_path):
    TREES["mmew"](tmp_path / "faces of mmew", faults=(), size=16, subjects=2, clips=14)
    for folder in together.iterdir():
        (tmp_path / folder.name).symlink_to(folder)
    own = {"down": ["disgust", "anger", "sadness", "fear"], "up": ["happiness"]}
    mixed = DATASETS["composite"].read(str(tmp_path), parts=("mmew", "casme2"), own=own, size=16, crop="none")
    assert mixed.classes == ("down", "up")
    assert {one.database for one in mixed.clips} == {"casme2", "mmew"}
    parts = ("samm", "casme2")
    two = DATASETS["composite"].read(str(together), parts=parts, scheme="megc2019", size=16, crop="none")
    whole = DATASETS["megc2019"].read(str(together), size=16, crop="none")
    expected = {one.sample_id: one.label for one in whole.clips if one.database in parts}
    assert {one.sample_id: one.label for one in two.clips} == expected


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "scheme is ''; it can be casme2_7"),
        ({"own": {"a": ["disgust"], "b": ["fear"]}}, "parts is empty; beside a scheme of your own it should name data"),
        ({"parts": ("casme9",), "scheme": "megc2019"}, "parts is 'casme9'; it can be casme2, samm"),
        ({"parts": ("smic_hs",), "scheme": "megc2018"}, "'megc2018' is for casme2, samm, not for smic_hs"),
    ],
)
def test_a_composite_that_cannot_work_is_one_sentence(together, options, sentence):
    with pytest.raises(InputError) as error:
        DATASETS["composite"].read(str(together), **options)
    assert sentence in str(error.value)


def test_every_known_data_set_has_a_scheme_and_its_parts_a_name_in_the_table():
    assert sorted(part for parts in LICENSED.values() for part in parts) == sorted(KNOWN)
    without = [name for name, known in KNOWN.items() if name not in SCHEMES[known.scheme].groups]
    assert without == ["smic_vis_e"]  # whose longer clips take a scheme of one's own


def unchanged(root: Path) -> dict:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(root.rglob("*"))}


def test_nothing_is_written_below_the_root(faulty):
    before = unchanged(faulty.root)
    dataset = read(faulty, size=16, repair="strict")
    dataset.load(dataset.clips[0])
    assert unchanged(faulty.root) == before
