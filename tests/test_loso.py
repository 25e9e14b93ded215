import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merjax import loso
from merjax.types import Annotation, InputError


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 9), st.integers(10, 60))
def test_every_clip_is_tested_once_and_never_trains_its_own_fold(seed, subjects, n):
    draw = np.random.default_rng(seed)
    subject = np.concatenate([np.arange(subjects), draw.integers(0, subjects, n)])
    label = np.concatenate([[0, 1], draw.integers(0, 2, len(subject) - 2)])
    folds = loso.folds(label, subject)
    tested = np.concatenate([rows[mask] for rows, mask in zip(folds.test, folds.test_mask, strict=True)])
    assert sorted(tested) == list(range(len(subject)))
    for fold in range(subjects):
        train = folds.train[fold][folds.train_mask[fold]]
        test = folds.test[fold][folds.test_mask[fold]]
        assert set(subject[test]) == {folds.subject[fold]}
        assert folds.subject[fold] not in subject[train]
        assert len(train) + len(test) == len(subject)


def test_one_subject_or_one_class_is_refused():
    with pytest.raises(InputError, match="at least 2"):
        loso.folds(np.array([0, 1]), np.array([0, 0]))
    with pytest.raises(InputError, match="one class"):
        loso.folds(np.array([1, 1]), np.array([0, 1]))


def clips_of(*owners):
    """Clips from (database, subject, label), the number of each one's subject, and the subjects' names."""
    clips = [Annotation(database, who, str(i), label) for i, (database, who, label) in enumerate(owners)]
    names = sorted({f"{clip.database}/{clip.subject}" for clip in clips})
    return clips, np.array([names.index(f"{clip.database}/{clip.subject}") for clip in clips]), names


def test_remarks_name_the_lonely():
    people = clips_of(("x", "1", 0), ("x", "1", 0), ("x", "2", 1), ("x", "2", 1), ("y", "1", 0))
    single, lonely, absent = loso.remarks(loso.split(*people, "loso"), people[0], ("a", "b", "c"))
    assert single == "Folds that test one clip only: 1, of y/1."
    assert lonely == "The fold that tests x/2 trains without any clip of class b, so it cannot predict this class."
    assert "Class c has no clip" in absent
    people = clips_of(("x", "1", 0), ("x", "1", 1), ("x", "2", 0), ("x", "2", 1))
    assert loso.remarks(loso.split(*people, "loso"), people[0], ("a", "b")) == []


def test_remarks_tell_what_a_holdout_cannot_predict_does_not_test_and_does_not_use():
    people = clips_of(("x", "1", 0), ("x", "2", 1), ("y", "1", 1), ("y", "1", 2), ("z", "1", 0), ("z", "1", 0))
    split = loso.split(*people, "holdout", train="x", test="y")
    absent, unseen, idle = loso.remarks(split, people[0], ("a", "b", "c"))
    assert absent == "Class a has no clip that is tested; it is left out of UF1 and UAR."
    assert unseen == "The fold that tests y trains without any clip of class c, so it cannot predict this class."
    assert idle == "Clips that are neither trained on nor tested: 2, of z."


def test_a_split_names_what_each_fold_tests_and_says_which_protocol_it_is():
    people = clips_of(("b", "1", 0), ("b", "2", 1), ("a", "1", 1), ("a", "1", 0))
    for protocol, names, told in (
        ("loso", ("a/1", "b/1", "b/2"), "leave one subject out over 3 subjects"),
        ("database", ("a", "b"), "leave one database out over 2 databases"),
    ):
        split = loso.split(*people, protocol)
        assert (split.names, split.told) == (names, told)
        for name, rows, mask in zip(split.names, split.folds.test, split.folds.test_mask, strict=True):
            tested = [people[0][row] for row in rows[mask]]
            assert {name} == {f"{c.database}/{c.subject}" if protocol == "loso" else c.database for c in tested}
    one = loso.split(*people, "holdout", train="a", test="b")
    assert (one.names, one.held_out, one.told) == (("b",), "database", "trained on a, tested on b")
    with pytest.raises(InputError, match=r"protocol\.name is 'cross'; it can be loso, database, holdout"):
        loso.split(*people, "cross")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 4), st.integers(0, 30))
def test_each_database_is_tested_once_by_a_fold_that_never_saw_it(seed, count, n):
    draw = np.random.default_rng(seed)
    number = np.concatenate([np.arange(count).repeat(2), draw.integers(0, count, n)])
    label = np.concatenate([np.tile([0, 1], count), draw.integers(0, 2, n)])
    names = np.array(["smic", "casme2", "samm", "mmew"])[:count]
    database = [str(names[i]) for i in number]
    folds = loso.database_folds(label, database)
    assert folds.subject.tolist() == list(range(count))
    for fold, name in enumerate(sorted(names)):
        train, test = folds.train[fold][folds.train_mask[fold]], folds.test[fold][folds.test_mask[fold]]
        assert sorted(test) == [i for i, each in enumerate(database) if each == name]
        assert sorted([*train, *test]) == list(range(len(database)))


def test_holdout_trains_on_one_database_and_leaves_others_alone():
    database = ["samm", "casme2", "mmew", "casme2", "samm"]
    fold = loso.holdout(np.array([0, 0, 1, 1, 1]), database, train="casme2", test="samm")
    assert fold.train[fold.train_mask].tolist() == [1, 3]
    assert fold.test[fold.test_mask].tolist() == [0, 4]
    assert fold.subject.tolist() == [2]


def test_both_ways_of_a_holdout_are_the_folds_that_leave_a_database_out():
    label, database = np.array([0, 1, 1, 0, 0]), ["b", "b", "a", "a", "a"]
    both = loso.database_folds(label, database)
    for fold, (train, test) in enumerate((("b", "a"), ("a", "b"))):
        one = loso.holdout(label, database, train=train, test=test)
        for rows, mask in ((0, 1), (2, 3)):
            stacked, alone = both[1 + rows][fold][both[1 + mask][fold]], one[1 + rows][0][one[1 + mask][0]]
            assert stacked.tolist() == alone.tolist()
        assert one.subject[0] == both.subject[fold]  # so both draw the same random numbers


def test_splits_of_databases_that_cannot_work_are_refused():
    label, database = np.array([0, 1, 0, 0]), ["a", "a", "b", "b"]
    with pytest.raises(InputError, match="hold 1 database"):
        loso.database_folds(label, ["a"] * 4)
    with pytest.raises(InputError, match="leaves a out has clips of one class"):
        loso.database_folds(label, database)
    with pytest.raises(InputError, match="trains on b has clips of one class"):
        loso.holdout(label, database, train="b", test="a")
    with pytest.raises(InputError, match=r"protocol\.holdout\.test is 'c'; it can be a, b"):
        loso.holdout(label, database, train="a", test="c")
    with pytest.raises(InputError, match="both 'a'"):
        loso.holdout(label, database, train="a", test="a")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(0, 40))
def test_random_parts_test_every_clip_once_and_share_out_every_class(seed, parts, n):
    draw = np.random.default_rng(seed)
    label = np.concatenate([np.tile([0, 1], parts), draw.integers(0, 3, n)])
    draw.shuffle(label)
    folds = loso.mixed(label, np.arange(len(label)), parts=parts, seed=seed)
    tests = [rows[mask] for rows, mask in zip(folds.test, folds.test_mask, strict=True)]
    trains = [rows[mask] for rows, mask in zip(folds.train, folds.train_mask, strict=True)]
    assert sorted(np.concatenate(tests)) == list(range(len(label)))
    for train, test in zip(trains, tests, strict=True):
        assert sorted([*train, *test]) == list(range(len(label)))
    of_class = np.stack([[np.sum(label[test] == k) for k in range(3)] for test in tests])
    assert np.ptp(of_class, axis=0).max() <= 1
    assert np.ptp(of_class.sum(1)) <= 1


def test_random_parts_are_drawn_by_their_seed():
    label, clips = np.tile([0, 1], 20), np.arange(40)
    one, same, other = (loso.mixed(label, clips, seed=seed).test.tolist() for seed in (0, 0, 1))
    assert one == same != other
    assert len(one) == 5


def test_random_parts_that_cannot_work_are_refused():
    for parts in (1, 4):
        with pytest.raises(InputError, match=rf"parts is {parts}; it should be from 2 to the number of clips, 3"):
            loso.mixed(np.array([0, 1, 1]), np.arange(3), parts=parts)
    with pytest.raises(InputError, match="tests part 1 has clips of one class"):
        loso.mixed(np.array([0, 1]), np.arange(2), parts=2)


def test_a_split_that_mixes_subjects_says_so_and_how_often():
    people = clips_of(*(("x", who, label) for who in "ab" for label in (0, 1, 0, 1)), ("y", "a", 0))
    split = loso.split(*people, "mixed", parts=2)
    assert (split.names, split.held_out) == (("part 1", "part 2"), "part")
    assert split.told == "2 random parts of the clips, subjects mixed"
    (known,) = loso.remarks(split, people[0], ("a", "b"))
    assert known.startswith("Clips tested by a network that was trained on others of the same subject: 8 of 9; ")
