import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from merjax import metrics


def test_golden_example_of_the_field():
    label = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2])
    prediction = np.array([0, 0, 0, 0, 1, 1, 0, 1, 0, 0])
    counts = metrics.confusion(label, prediction, 3)
    assert counts.tolist() == [[4, 1, 0], [1, 2, 0], [2, 0, 0]]
    assert metrics.accuracy(counts) == pytest.approx(0.6)
    assert metrics.uf1(counts) == pytest.approx(0.444444, abs=1e-6)
    assert metrics.uar(counts) == pytest.approx(0.488889, abs=1e-6)
    assert metrics.wf1(counts) == pytest.approx(0.533333, abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(1, 60))
def test_equal_to_scikit_learn_over_the_classes_that_have_clips(seed, classes, n):
    draw = np.random.default_rng(seed)
    label, prediction = draw.integers(0, classes, n), draw.integers(0, classes, n)
    present = np.unique(label)
    counts = metrics.confusion(label, prediction, classes)
    options = {"labels": present, "average": "macro", "zero_division": 0}
    assert metrics.uf1(counts) == pytest.approx(f1_score(label, prediction, **options))
    assert metrics.uar(counts) == pytest.approx(recall_score(label, prediction, **options))
    assert metrics.wf1(counts) == pytest.approx(f1_score(label, prediction, **options | {"average": "weighted"}))


def test_a_class_without_clips_is_left_out_but_predicting_it_still_costs_the_others():
    counts = metrics.confusion(np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1]), 3)
    assert metrics.uf1(counts) == pytest.approx((2 / 3 + 1) / 2)
    assert metrics.uar(counts) == pytest.approx((1 / 2 + 1) / 2)


def test_a_class_that_is_never_hit_counts_as_zero():
    assert metrics.uf1(metrics.confusion(np.array([0, 1]), np.array([0, 0]), 2)) == pytest.approx(1 / 3)


def test_relabelling_the_classes_changes_nothing(rng):
    label, prediction, order = rng.integers(0, 4, 50), rng.integers(0, 4, 50), rng.permutation(4)
    before, after = metrics.confusion(label, prediction, 4), metrics.confusion(order[label], order[prediction], 4)
    assert metrics.uf1(before) == pytest.approx(metrics.uf1(after))
    assert metrics.uar(before) == pytest.approx(metrics.uar(after))
    assert metrics.wf1(before) == pytest.approx(metrics.wf1(after))


def test_resampling_equals_pooling_the_drawn_subjects(rng):
    counts = rng.integers(0, 5, (2, 7, 3, 3))
    resampled = metrics.resample_subjects(counts, resamples=20, seed=3)
    times = np.random.default_rng(3).multinomial(7, np.full(7, 1 / 7), size=20)
    for draw, pooled in zip(times, resampled, strict=True):
        assert draw.sum() == 7
        assert (pooled == sum(t * counts[:, s] for s, t in enumerate(draw))).all()


def test_equal_subjects_leave_no_interval():
    counts = np.tile(np.array([[3, 1], [0, 2]]), (1, 9, 1, 1))
    low, high = metrics.interval(metrics.uf1(metrics.resample_subjects(counts))[:, 0])
    assert low == pytest.approx(high)


def test_precision_and_recall_equal_scikit_learn(rng):
    label, prediction = rng.integers(0, 4, (2, 60))
    counts = metrics.confusion(label, prediction, 4)
    for mine, theirs in ((metrics.precision, precision_score), (metrics.recall, recall_score)):
        np.testing.assert_allclose(mine(counts), theirs(label, prediction, average=None, zero_division=0))


def test_reliability_counts_every_prediction_once_and_knows_a_calibrated_guesser(rng):
    probability = rng.dirichlet(np.ones(3), (2, 500)).astype(np.float32)
    label = rng.integers(0, 3, 500)
    found = metrics.reliability(probability, label, bins=10)
    confidence, right = probability.max(-1).ravel(), (probability.argmax(-1) == label).ravel()
    error = 0.0
    for i in range(10):
        mine = (confidence > i / 10) & (confidence <= (i + 1) / 10)
        assert found.counts[i] == mine.sum()
        if mine.any():
            assert found.confidence[i] == pytest.approx(confidence[mine].mean(), abs=1e-5)
            assert found.accuracy[i] == pytest.approx(right[mine].mean())
            error += mine.sum() / 1000 * abs(confidence[mine].mean() - right[mine].mean())
    assert found.error == pytest.approx(error, abs=1e-5)
    sure = np.eye(3, dtype=np.float32)[label]
    assert metrics.reliability(sure, label).error == 0
    assert metrics.reliability(sure, (label + 1) % 3).error == 1
    drawn = (rng.random((20000, 1)) > np.cumsum(np.tile([0.7, 0.2, 0.1], (20000, 1)), 1)).sum(1)
    assert metrics.reliability(np.tile(np.float32([0.7, 0.2, 0.1]), (20000, 1)), drawn).error < 0.02
