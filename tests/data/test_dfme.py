import os

import pytest
from test_casme import SMALL, check_consistent, check_sound, check_undisturbed, facts, rewritten

from merjax.data import dfme
from merjax.data.trees import RECIPES, TREES
from merjax.types import InputError

TABLE = "training_full_with_AU.xlsx"


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return TREES["dfme"](tmp_path_factory.mktemp("dfme"), **SMALL)


def test_a_sound_tree_is_read_as_it_is(tmp_path):
    tree = TREES["dfme"](tmp_path, **SMALL, faults=())
    records = dfme.records(tmp_path)
    check_sound(records, tree.samples)
    check_consistent(records)
    one = records[0]
    assert (one.release, one.subject, one.clip) == ("raw", "sub0901", "sub0901_01")
    names = [f"{number:05}.png" for number in one.frame_numbers]
    assert [os.path.basename(path) for path in one.frames] == names


def test_each_row_has_its_own_frames_a_second(tree):
    fps = {one.clip: one.fps for one in dfme.records(tree.root)}
    assert fps == {sample.clip: sample.fps for sample in tree.samples}
    assert set(fps.values()) == {500.0, 300.0, 200.0}


EXPECTED = {
    "sub0901_91": ((0, 4, 8), (0, 4, 8), "annotated", ()),  # 00000.png exists, so 0 is no fault
    "sub0902_92": ((11, 15, 19), (-1, None, -1), "annotated", ("folder_missing",)),
    "sub0902_93": ((11, 15, 19), (0, 4, 8), "annotated", ()),
}


def test_every_fault_gives_its_record_and_codes(tree):
    records = dfme.records(tree.root)
    check_consistent(records)
    assert {sample.clip for sample in tree.samples if sample.fault} == set(EXPECTED)
    found = {one.clip: facts(one) for one in records}
    assert {clip: fact for clip, fact in found.items() if clip in EXPECTED} == EXPECTED
    assert all(fact[3] == () for clip, fact in found.items() if clip not in EXPECTED)
    assert set(tree.faults) == set(RECIPES["dfme"].faults)


def test_an_onset_of_zero_without_such_a_file_is_one(tmp_path):
    tree = TREES["dfme"](tmp_path, **SMALL, faults=("onset_zero",))
    (tree.root / "sub0901_91" / "00000.png").unlink()
    (one,) = (one for one in dfme.records(tmp_path) if one.clip == "sub0901_91")
    assert facts(one) == ((1, 4, 8), (0, 3, 7), "annotated", ("onset_zero",))


def test_emotions_are_the_names_and_not_their_numbers(tree):
    emotions = {sample.clip: sample.emotion for sample in tree.samples}
    assert {one.clip: one.emotion for one in dfme.records(tree.root)} == emotions
    assert "contempt" in emotions.values()


def test_of_several_tables_the_training_part_is_read_unless_another_is_asked_for(tmp_path):
    tree = TREES["dfme"](tmp_path, **SMALL, faults=())

    def sad(row):
        row[5].value = "sadness" if row[0].row > 1 else "Emotion"

    rewritten(tree.sheets[TABLE], tmp_path / "testA_full_with_AU.xlsx", sad)
    assert len({one.emotion for one in dfme.records(tmp_path)}) > 1
    assert {one.emotion for one in dfme.records(tmp_path, sheet="testA_full_with_AU.xlsx")} == {"sadness"}


def test_more_frames_than_onset_to_offset_are_left_out(tmp_path):
    tree = TREES["dfme"](tmp_path, **SMALL, faults=())
    sample = tree.samples[0]
    last = tmp_path / sample.clip / f"{sample.last:05}.png"
    last.with_name(f"{sample.last + 1:05}.png").write_bytes(last.read_bytes())
    check_sound(dfme.records(tmp_path), tree.samples)


def test_a_row_without_frames_a_second_is_refused(tmp_path, tree):
    def forget(row):
        row[7].value = "?" if row[0].row == 3 else row[7].value

    path = rewritten(tree.sheets[TABLE], tmp_path / "a.xlsx", forget)
    with pytest.raises(InputError, match=r"a\.xlsx row 3: Fps '\?' should be the frames a second"):
        dfme.records(tree.root, sheet=path)


def test_strict_and_none(tree):
    everything = dfme.records(tree.root)
    assert dfme.records(tree.root, repair="strict") == tuple(one for one in everything if not one.issues)
    sheet = {sample.clip: (sample.onset, sample.apex, sample.offset) for sample in tree.samples}
    assert {one.clip: facts(one)[0] for one in dfme.records(tree.root, repair="none")} == sheet


def test_the_clips_may_lie_in_a_folder_of_the_data_sets_name(tmp_path):
    tree = TREES["dfme"](tmp_path / "DFME", **SMALL, faults=())
    check_sound(dfme.records(tmp_path), tree.samples)


def test_nothing_is_disturbed(tree, monkeypatch):
    check_undisturbed(dfme.records, tree.root, monkeypatch)


def test_a_wrong_root_says_what_was_expected_and_found(tmp_path):
    (tmp_path / "holiday").mkdir()
    with pytest.raises(InputError, match=r"expected folders like .* in DFME, the folder itself; found holiday\."):
        dfme.records(tmp_path)
