import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from merjax import loso, metrics, parallel
from merjax.folder import Folder
from merjax.report import chosen, gather, scores, shown, summary
from merjax.report.scores import write_tables
from merjax.types import Annotation, Clip, Curves, Dataset

CLASSES = ("a", "b", "c")


@pytest.fixture
def dataset(rng) -> Dataset:
    """Two databases that share a subject's name; the second has no clip of class c."""
    clips = [Annotation("x", f"s{i % 4}", f"{i}", i % 3) for i in range(24)]
    clips += [Annotation("y", f"s{i % 3}", f"{i}", i % 2) for i in range(12)]
    return Dataset("drawn", CLASSES, tuple(clips), lambda _: Clip())


@pytest.fixture
def trained(dataset, rng):
    """Gives the outcome of a protocol, two seeds and five epochs, its curves and its split."""
    owners = [f"{clip.database}/{clip.subject}" for clip in dataset.clips]
    names = sorted(set(owners))
    subject = np.array([names.index(owner) for owner in owners], np.int32)

    def train(protocol, **own):
        split = loso.split(dataset.clips, subject, names, protocol, **own)
        shape = (5, 2 * len(split.names), split.folds.test.shape[1])
        probability = rng.dirichlet(np.ones(3), shape).astype(np.float32)
        curves = Curves(rng.random(shape[:2]), rng.random(shape[:2]), probability)
        return (
            gather(curves, parallel.table((7, 8), split.folds), split, dataset, subject, names, (7, 8)),
            curves,
            split,
        )

    return train


@pytest.fixture
def outcome(trained):
    got, curves, split = trained("loso")
    return got, curves, split.folds


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
        options["average"] = "weighted"
        assert part["wf1"] == pytest.approx(np.mean([f1_score(label[rows], p[rows], **options) for p in predicted]))
        assert part["wf1_interval"][0] <= part["wf1"] <= part["wf1_interval"][1]
        assert part["accuracy"] == pytest.approx((predicted[:, rows] == label[rows]).mean())
        assert part["uf1_interval"][0] <= part["uf1"] <= part["uf1_interval"][1]
        assert np.sum(part["confusion"]) == 2 * part["n"]
    assert content["databases"]["y"]["absent"] == ["c"]
    assert content["databases"]["y"]["classes"] == {"a": 6, "b": 6, "c": 0}
    assert content["whole"]["subjects"] == 7  # s0 of x and s0 of y are two people
    assert [entry["seed"] for entry in content["whole"]["per_seed"]] == [7, 8]


@pytest.mark.parametrize(
    ("protocol", "own", "words"),
    [
        ("loso", {}, "epoch chosen on the test subject"),
        ("database", {}, "epoch chosen on the test database"),
        ("holdout", {"train": "x", "test": "y"}, "epoch chosen on the test database"),
    ],
)
def test_choosing_on_what_is_tested_never_scores_less_and_is_named(trained, tmp_path, protocol, own, words):
    got, _, split = trained(protocol, **own)
    last, test = scores(got, "last"), scores(got, "test")
    assert test["whole"]["accuracy"] > last["whole"]["accuracy"]
    assert chosen(test) == words
    facts = {"notes": [], "left_out": []}
    assert summary(test | facts, tmp_path).splitlines()[-1].startswith(f"{split.told}, mean of 2 seeds, {words};")
    assert words not in summary(last | facts, tmp_path).splitlines()[-1]


def test_each_database_is_predicted_by_the_fold_that_never_saw_it_and_their_mean_is_given(trained):
    got, curves, split = trained("database")
    assert split.names == ("x", "y")
    for run in range(2):
        for fold, rows in enumerate((slice(0, 24), slice(24, 36))):
            mask = split.folds.test_mask[fold]
            np.testing.assert_array_equal(got.probability[run, :, rows], curves.probability[:, 2 * run + fold, mask])
    content = scores(got, "last")
    assert content["protocol"] == "leave one database out over 2 databases"
    for name in ("accuracy", "uar"):
        each = [content["databases"][database][name] for database in ("x", "y")]
        assert content["mean_of_databases"][name] == pytest.approx(np.mean(each))
    low, high = content["mean_of_databases"]["uar_interval"]
    assert low < content["mean_of_databases"]["uar"] < high
    widths = [np.ptp(content["databases"][database]["uar_interval"]) for database in ("x", "y")]
    assert high - low < max(widths)  # errors of two databases are independent, so a mean of them is surer
    assert "mean_of_databases" not in scores(trained("loso")[0], "last")


def test_intervals_come_from_resampling_the_subjects_of_the_tested_clips(trained):
    got, _, _ = trained("holdout", train="x", test="y")
    part = scores(got, "last")["whole"]
    predicted = got.probability[:, -1].argmax(-1)
    people = [clip.subject for clip in got.clips]
    counts = np.array(
        [
            [
                metrics.confusion(got.label[mine], run[mine], 3)
                for mine in ([i for i, each in enumerate(people) if each == s] for s in ("s0", "s1", "s2"))
            ]
            for run in predicted
        ]
    )
    resampled = metrics.resample_subjects(counts)
    assert part["uar_interval"] == metrics.interval(metrics.uar(resampled).mean(-1))


def test_a_holdout_scores_the_tested_database_alone(trained, tmp_path):
    got, curves, _ = trained("holdout", train="x", test="y")
    assert {clip.database for clip in got.clips} == {"y"}
    assert got.rows.tolist() == list(range(24, 36))
    np.testing.assert_array_equal(got.probability[1], curves.probability[:, 1])
    content = scores(got, "last")
    assert content["protocol"] == "trained on x, tested on y"
    assert list(content["databases"]) == ["y"]
    assert content["whole"]["n"] == 12
    assert content["whole"]["subjects"] == 3
    assert set(shown(got, 2)) <= set(range(12))
    write_tables(Folder(tmp_path), got, "last")
    predictions, subjects, curve = (
        (tmp_path / f"{name}.csv").read_text().splitlines() for name in ("predictions", "subjects", "curves")
    )
    assert [line.split(",")[1] for line in predictions[1:]] == ["y"] * 24
    assert [line.split(",")[:3] for line in subjects[1:]] == [
        [seed, "y", f"s{i}"] for seed in ("7", "8") for i in range(3)
    ]
    assert {line.split(",")[5] for line in subjects[1:]} == {"y"}
    assert [line.split(",")[:3] for line in curve[1:]] == [
        [seed, "y", str(e)] for seed in ("7", "8") for e in range(1, 6)
    ]
