import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from merjax.data import frames, schemes, smic
from merjax.data.trees import TREES
from merjax.data.trees.labels import label_table
from merjax.types import InputError


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return TREES["smic"](tmp_path_factory.mktemp("smic"), size=16)  # every fault


@pytest.fixture
def small(tmp_path):
    """One sound subject, s01, with a clip of each emotion."""
    return TREES["smic"](tmp_path / "small", subjects=1, clips=3, size=16, faults=(), releases=("raw",))


def planted(tree, dataset="smic_hs"):
    return [s for s in tree.samples if s.dataset == dataset and s.kind == "micro"]


def by_clip(records):
    return {each.clip: each for each in records}


@pytest.mark.parametrize(("dataset", "fps"), [("smic_hs", 100.0), ("smic_vis", 25.0), ("smic_nir", 25.0)])
@pytest.mark.parametrize("release", ["raw", "cropped"])
def test_every_clip_is_what_its_path_says(tree, dataset, fps, release):
    records = by_clip(smic.records(tree.root, dataset=dataset, release=release))
    assert set(records) == {s.clip for s in planted(tree, dataset)}
    for s in planted(tree, dataset):
        one = records[s.clip]
        assert (one.dataset, one.release, one.subject, one.fps) == (dataset, release, s.subject, fps)
        assert one.sample_id == f"{dataset}/{s.subject}/{s.clip}"
        assert (one.emotion_raw, one.emotion) == (s.emotion, s.emotion)
        assert one.frame_numbers == s.numbers
        assert {Path(path).parent for path in one.frames} == {tree.root / s.folders[release]}
        assert [frames.number(Path(path).stem) for path in one.frames] == list(s.numbers)
        # onset is the first file, offset the last
        assert (one.onset_no, one.offset_no) == (s.first, s.last)
        assert (one.onset_idx, one.offset_idx) == (0, len(s.numbers) - 1)
        assert one.issues == (("frame_gap",) if s.fault == "hole" else ())


def test_there_is_no_apex_and_that_is_no_fault(tree):
    for one in smic.records(tree.root):
        assert (one.apex_no, one.apex_idx, one.apex_source) == (None, None, "missing")
        assert not [code for code in one.issues if code.startswith("apex")]
        assert (one.au_raw, one.au, one.objective_class) == ("", (), None)


def test_clips_that_are_no_micro_expressions_are_left_out(tree):
    rest = [s.clip for s in tree.samples if s.kind == "non_micro"]
    assert rest
    assert all((tree.root / s.folders["raw"]).is_dir() for s in tree.samples if s.clip in rest)
    assert not {one.clip for one in smic.records(tree.root)} & set(rest)


def test_records_are_sorted_by_subject_and_clip(tree):
    ids = [one.sample_id for one in smic.records(tree.root)]
    assert ids == sorted(ids)  # subjects have two digits, so that text order is right
    assert ids[0] == "smic_hs/s01/s1_ne_51"
    assert {"s01", "s11"} <= {one.subject for one in smic.records(tree.root)}


@pytest.mark.parametrize(
    ("clip", "names"),
    [
        ("s2_ne_91", ["image099997", "image099998", "image099999", "image100000", "image100001"]),
        ("s11_sur_91", ["image999997", "image999998", "image999999", "image1000000", "image1000001"]),
    ],
)
def test_frames_stay_in_order_where_the_counter_gets_a_digit_more(tree, clip, names):
    one = by_clip(smic.records(tree.root, release="raw"))[clip]
    assert [Path(path).stem for path in one.frames[:5]] == names
    assert one.issues == ()


def test_counters_of_five_to_eight_digits(tmp_path):
    tree = TREES["smic"](tmp_path, subjects=8, clips=8, size=16, faults=(), releases=("raw",))
    records = smic.records(tree.root)
    assert {len(str(one.onset_no)) for one in records} == {5, 6, 7, 8}
    assert {one.sample_id: one.frame_numbers for one in records} == {
        f"smic_hs/{s.subject}/{s.clip}": s.numbers for s in planted(tree)
    }


def test_a_hole_is_flagged_and_passed_over(tree):
    one = by_clip(smic.records(tree.root))["s1_po_91"]
    assert one.frame_numbers == (301101, 301102, 301103, 301104, 301106, 301107, 301108)
    assert (one.onset_no, one.offset_no, one.offset_idx) == (301101, 301108, 6)
    assert one.issues == ("frame_gap",)


def test_strict_drops_the_clip_with_the_hole_and_none_changes_nothing(tree):
    flagged = smic.records(tree.root)
    assert smic.records(tree.root, repair="strict") == tuple(one for one in flagged if one.clip != "s1_po_91")
    assert smic.records(tree.root, repair="none") == flagged


def test_crops_of_nir_have_another_prefix(tree):
    names = {
        dataset: {Path(path).name for one in smic.records(tree.root, dataset=dataset) for path in one.frames}
        for dataset in smic.FPS
    }
    assert all(name.startswith("reg_image") for name in names["smic_hs"] | names["smic_vis"])
    assert not any(name.startswith("reg_image") for name in names["smic_nir"])
    assert all(name.startswith("reg_") for name in names["smic_nir"])


def test_strangers_among_the_frames_are_passed_over(tree):
    (s,) = [s for s in planted(tree) if s.fault == "stray_files"]
    assert (tree.root / s.folders["cropped"] / "Thumbs.db").is_file()
    assert by_clip(smic.records(tree.root))[s.clip].frame_numbers == s.numbers


def test_frames_are_bitmaps_in_colour(tree):
    one = smic.records(tree.root, release="raw")[0]
    assert {Path(path).suffix for path in one.frames} == {".bmp"}
    image = frames.image(one.frames[0])
    assert image.shape == (16, 21, 3)
    assert (image != image[..., :1]).any()


def test_cropped_faces_are_preferred(tree, small):
    assert {one.release for one in smic.records(tree.root)} == {"cropped"}
    assert {one.release for one in smic.records(small.root)} == {"raw"}  # all there is


# Of `small`: the archive's folder, where the camera's folder moves, and how the user names it.
@pytest.mark.parametrize(
    ("place", "release"),
    [
        ("SMIC_all_raw/HS", ""),
        ("SMIC_all_raw/SMIC_all_raw/HS", ""),
        ("SMIC_all_raw/HS/HS", ""),
        ("smic all-raw/hs", ""),
        ("HS", "raw"),
    ],
)
def test_unzipped_folders_may_be_doubled_or_spelt_otherwise(small, place, release):
    expected = smic.records(small.root)
    shutil.move(small.root / "SMIC_all_raw" / "HS", small.root / "aside")
    (small.root / "SMIC_all_raw").rmdir()
    shutil.move(small.root / "aside", small.root / place)
    found = smic.records(small.root, release=release)
    assert [one._replace(frames=()) for one in found] == [one._replace(frames=()) for one in expected]
    assert all(Path(path).is_relative_to(small.root / place) for one in found for path in one.frames)


def test_padded_names_are_the_same_subjects_and_clips(small):
    expected = smic.records(small.root)
    camera = small.root / "SMIC_all_raw" / "HS"
    for path in (*sorted(camera.glob("s1/*/*/s1_*")), camera / "s1"):
        path.rename(path.with_name(path.name.replace("s1", "s01")))
    padded = smic.records(small.root)
    assert "s01/micro/negative/s01_ne_51" in padded[0].frames[0]
    assert [one._replace(frames=()) for one in padded] == [one._replace(frames=()) for one in expected]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("s1_ne_01", "s1_ne_01"),
        ("s01_ne_01", "s1_ne_01"),  # the list of MEGC 2019
        ("s11_sur_10", "s11_sur_10"),
        ("S20_po_7", "s20_po_07"),
        ("other", "other"),
    ],
)
def test_names_of_clips(text, name):
    assert smic.clip_name(text) == name


@pytest.mark.parametrize(
    ("dataset", "negative", "positive", "surprise", "subjects"),
    [("smic_hs", 70, 51, 43, 16), ("smic_vis", 24, 28, 19, 8), ("smic_nir", 24, 28, 19, 8)],
)
def test_a_whole_data_set_comes_to_the_published_totals(tmp_path, dataset, negative, positive, surprise, subjects):
    records = smic.records(label_table(tmp_path, dataset).root, dataset=dataset)
    kept = schemes.apply(records, schemes.SCHEMES["smic_3"])
    assert kept.left_out == ()
    assert Counter(kept.labels.tolist()) == {0: negative, 1: positive, 2: surprise}
    assert len({one.subject for one in kept.records}) == subjects
    assert len({one.sample_id for one in kept.records}) == negative + positive + surprise
    if dataset == "smic_hs":
        per_subject = Counter(one.subject for one in records)
        assert list(per_subject.values()) == [6, 6, 39, 19, 2, 4, 13, 4, 7, 9, 10, 10, 4, 7, 2, 22]
        assert list(per_subject) == [f"s{n:02}" for n in (1, 2, 3, 4, 5, 6, 8, 9, 11, 12, 13, 14, 15, 18, 19, 20)]


class Backwards:
    """A folder's entries, the last first."""

    def __init__(self, path, scan=os.scandir):
        self.entries = sorted(scan(path), key=lambda entry: entry.name, reverse=True)

    def __enter__(self):
        return iter(self.entries)

    def __exit__(self, *error):
        pass

    def close(self):
        pass


def test_the_order_of_folders_changes_nothing(tree, monkeypatch):
    expected = smic.records(tree.root)
    monkeypatch.setattr(os, "scandir", Backwards)
    assert smic.records(tree.root) == expected


def test_no_frame_is_opened_and_nothing_is_written(tree, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in tree.root.rglob("*")}
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was opened"))
    smic.records(tree.root)
    assert {path: path.stat().st_mtime_ns for path in tree.root.rglob("*")} == before


def test_a_clip_folder_without_frames_is_flagged(small):
    clip = small.root / "SMIC_all_raw/HS/s1/micro/negative/s1_ne_99"
    clip.mkdir()
    one = by_clip(smic.records(small.root))["s1_ne_99"]
    assert (one.frames, one.onset_idx, one.offset_idx) == ((), -1, -1)
    assert one.issues[0] == "folder_missing"
    assert "s1_ne_99" not in by_clip(smic.records(small.root, repair="strict"))


def test_folders_that_are_no_subjects_are_passed_over(small):
    camera = small.root / "SMIC_all_raw" / "HS"
    expected = smic.records(small.root)
    shutil.copytree(camera / "s1", camera / "copy of s1")
    assert smic.records(small.root) == expected


def test_wrong_arguments_are_refused_with_what_would_be_right(tmp_path, small):
    with pytest.raises(InputError, match=r"data\.name is 'smic'; it can be smic_hs, smic_vis, smic_nir"):
        smic.records(small.root, dataset="smic")
    with pytest.raises(InputError, match=r"data\.sheet is 'a\.xlsx', but smic_hs has no sheet"):
        smic.records(small.root, sheet="a.xlsx")
    with pytest.raises(InputError, match=r"data\.release is 'tidy'; it can be cropped, raw"):
        smic.records(small.root, release="tidy")
    with pytest.raises(InputError, match=r"expected folders like vis in SMIC_all_cropped, SMIC_all_raw; found"):
        smic.records(small.root, dataset="smic_vis")  # the tree's only subject was filmed by one camera
    (tmp_path / "holiday").mkdir()
    with pytest.raises(InputError, match=r"expected folders like hs in .*; found holiday, small\."):
        smic.records(tmp_path)


def test_folders_without_clips_and_clips_in_two_folders_are_refused(small):
    camera = small.root / "SMIC_all_raw" / "HS"
    shutil.copytree(camera / "s1/micro/negative/s1_ne_51", camera / "s1/micro/positive/s01_ne_51")
    with pytest.raises(InputError, match=r"positive/s01_ne_51 and .*negative/s1_ne_51 are one clip"):
        smic.records(small.root)
    shutil.rmtree(camera / "s1" / "micro")
    with pytest.raises(InputError, match=r"HS holds no clips: it should hold folders like s1/micro/negative/s1_ne_01"):
        smic.records(small.root)
