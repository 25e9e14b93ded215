import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from merjax import loso
from merjax.report import SELECT, gather, scores
from merjax.types import Annotation, Clip, Curves, Dataset

CLASSES = ("a", "b", "c")


@pytest.fixture
def dataset(rng) -> Dataset:
    """Two databases that share a subject's name; the second has no clip of class c."""
    clips = [Annotation("x", f"s{i % 4}", f"{i}", i % 3) for i in range(24)]
    clips += [Annotation("y", f"s{i % 3}", f"{i}", i % 2) for i in range(12)]
    return Dataset("drawn", CLASSES, tuple(clips), lambda _: Clip())


@pytest.fixture
def outcome(dataset, rng):
    owners = [f"{clip.database}/{clip.subject}" for clip in dataset.clips]
    names = sorted(set(owners))
    subject = np.array([names.index(owner) for owner in owners], np.int32)
    folds = loso.folds(np.array([clip.label for clip in dataset.clips]), subject)
    runs, epochs = 2, 5
    shape = (epochs, runs * len(names), folds.test.shape[1])
    probability = rng.dirichlet(np.ones(3), shape).astype(np.float32)
    curves = Curves(rng.random(shape[:2]), rng.random(shape[:2]), probability)
    return gather(curves, folds, dataset, subject, names, (7, 8)), curves, folds


def test_every_clip_gets_the_prediction_of_the_fold_that_leaves_its_subject_out(outcome):
    got, curves, folds = outcome
    assert not np.isnan(got.probability).any()
    for run in range(2):
        for fold, subject in enumerate(folds.subject):
            for place, clip in enumerate(folds.test[fold][folds.test_mask[fold]]):
                assert got.subject[clip] == subject
                expected = curves.probability[:, run * len(folds.subject) + fold, place]
                np.testing.assert_array_equal(got.probability[run, :, clip], expected)
            np.testing.assert_array_equal(got.loss[run, fold], curves.loss[:, run * len(folds.subject) + fold])


def test_scores_are_pooled_not_averaged_over_folds_and_equal_scikit_learn(outcome):
    got, _, _ = outcome
    content = scores(got, "last")
    label, predicted = got.label, got.probability[:, -1].argmax(-1)
    for name, rows in (("x", slice(0, 24)), ("y", slice(24, 36)), (None, slice(0, 36))):
        part = content["whole"] if name is None else content["databases"][name]
        present = np.unique(label[rows])
        options = {"labels": present, "average": "macro", "zero_division": 0}
        assert part["uf1"] == pytest.approx(np.mean([f1_score(label[rows], p[rows], **options) for p in predicted]))
        assert part["uar"] == pytest.approx(np.mean([recall_score(label[rows], p[rows], **options) for p in predicted]))
        assert part["accuracy"] == pytest.approx((predicted[:, rows] == label[rows]).mean())
        assert part["uf1_interval"][0] <= part["uf1"] <= part["uf1_interval"][1]
        assert np.sum(part["confusion"]) == 2 * part["n"]
    assert content["databases"]["y"]["absent"] == ["c"]
    assert content["databases"]["y"]["classes"] == {"a": 6, "b": 6, "c": 0}
    assert content["whole"]["subjects"] == 7  # s0 of x and s0 of y are two people
    assert [entry["seed"] for entry in content["whole"]["per_seed"]] == [7, 8]


def test_choosing_on_the_test_subject_never_scores_less_and_is_named(outcome):
    got, _, _ = outcome
    last, chosen = scores(got, "last"), scores(got, "test")
    assert chosen["whole"]["accuracy"] > last["whole"]["accuracy"]
    assert SELECT[chosen["select"]] == "epoch chosen on the test subject"
