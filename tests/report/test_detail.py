import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score
from test_scores import dataset, trained  # noqa: F401

from merjax.report.detail import detail, subjects
from merjax.report.scores import scores


def test_the_hardest_clips_are_those_whose_true_class_gets_least(trained):  # noqa: F811
    got, _, _ = trained("loso")
    hardest = detail(got, "last")["hardest"]
    truth = got.probability[:, -1, np.arange(36), got.label].mean(0)
    order = np.argsort(truth)[:10]
    assert [one["sample_id"] for one in hardest] == [got.clips[i].sample_id for i in order]
    for one, i in zip(hardest, order, strict=True):
        assert one["probability"] == pytest.approx(truth[i], abs=1e-6)
        assert one["label"] == got.classes[got.label[i]]
        assert one["right"] == got.hits[:, -1, i].sum()
        assert one["instead"] == got.classes[got.probability[:, -1, i].mean(0).argmax()]


def test_choosing_on_what_is_tested_changes_what_is_told_clip_by_clip(trained):  # noqa: F811
    got, _, _ = trained("loso")
    assert detail(got, "last") != detail(got, "test")
    assert sum(detail(got, "test")["calibration"]["counts"]) == 2 * 36


def test_every_subject_has_its_share_in_its_own_database(trained):  # noqa: F811
    got, _, _ = trained("loso")
    found = subjects(got, "last")
    assert {name: len(each) for name, each in found.items()} == {"x": 4, "y": 3}
    content = scores(got, "last")
    for name, each in found.items():
        pooled = sum(one.clips * one.share for one in each) / sum(one.clips for one in each)
        assert pooled == pytest.approx(content["databases"][name]["accuracy"])
    right = got.probability[:, -1].argmax(-1) == got.label
    mine = np.array([clip.sample_id.startswith("y/s1/") for clip in got.clips])
    assert next(one for one in found["y"] if one.name == "s1").share == pytest.approx(right[:, mine].mean())


def test_scores_of_a_class_are_means_over_seeds_with_intervals(trained):  # noqa: F811
    got, _, _ = trained("loso")
    content = scores(got, "last")
    predicted = got.probability[:, -1].argmax(-1)
    for key, score in (("precision", precision_score), ("f1", f1_score)):
        expected = np.mean([score(got.label, p, average=None, zero_division=0) for p in predicted], axis=0)
        for k, name in enumerate(got.classes):
            found = content["whole"]["per_class"][name]
            assert found[key] == pytest.approx(expected[k])
            assert found[f"{key}_interval"][0] <= found[key] <= found[f"{key}_interval"][1]
    recalls = [content["whole"]["per_class"][name]["recall"] for name in got.classes]
    assert content["whole"]["uar"] == pytest.approx(np.mean(recalls))
