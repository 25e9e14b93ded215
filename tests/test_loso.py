import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merjax import loso
from merjax.types import InputError


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


def test_remarks_name_the_lonely():
    label, subject = np.array([0, 0, 1, 1, 0]), np.array([0, 0, 1, 1, 2])
    single, lonely, absent = loso.remarks(label, subject, ("a", "b", "c"), ["x/1", "x/2", "y/1"])
    assert "y/1" in single
    assert "Class b has clips of one subject only (x/2)" in lonely
    assert "Class c has no clip" in absent
    assert loso.remarks(np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1]), ("a", "b"), ["1", "2"]) == []
