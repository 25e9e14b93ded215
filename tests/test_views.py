"""Views of a clip: more training images of the same sample, on the same side of a split, tested as one."""

import jax.numpy as jnp
import numpy as np
import pytest

from merjax import config, loso, main, views
from merjax.types import Curves, InputError, Samples

WHOLE = ("whole", "rise", "fall")
SMALL = {
    "data.synthetic.subjects": 3,
    "data.synthetic.clips_per_class": 2,
    "data.synthetic.size": 32,
    "model.name": "linear",
    "train.epochs": 2,
    "train.batch": 8,
}


def settings(**changes):
    c = config.default().lock()
    c.update_from_flattened_dict(SMALL | changes)
    return c


@pytest.fixture
def samples(rng):
    n = 7
    x = jnp.asarray(rng.normal(size=(n, 3, 4, 4, 1)).astype(np.float32))
    return Samples(x, jnp.arange(n, dtype=jnp.int32) % 2, jnp.array([0, 0, 0, 1, 1, 2, 2], jnp.int32))


def test_all_views_of_a_clip_lie_on_one_side_and_none_is_lost(samples):
    chosen = views.choose(WHOLE, ("rise", "fall"), ())
    folds = loso.folds(np.asarray(samples.label), np.asarray(samples.subject))
    spread = views.fold_of_images(folds, chosen)
    images = views.images(samples, chosen)
    for f in range(3):
        train, test = spread.train[f][spread.train_mask[f]], spread.test[f][spread.test_mask[f]]
        clips = folds.train[f][folds.train_mask[f]]
        assert sorted(train) == sorted([3 * i + v for i in clips for v in (1, 2)])
        tested = folds.test[f][folds.test_mask[f]]
        assert sorted(test) == sorted([3 * i + v for i in tested for v in (0, 1, 2)])
        assert set(np.asarray(images.subject)[train]).isdisjoint(np.asarray(images.subject)[test])
    for i in range(7):
        for v in range(3):
            np.testing.assert_array_equal(images.x[3 * i + v, 0], samples.x[i, v])
            assert images.label[3 * i + v] == samples.label[i]


def test_a_clip_is_one_test_sample_the_mean_of_its_tested_views(rng):
    chosen = views.choose(WHOLE, (), ("rise", "fall"))
    probability = rng.uniform(size=(2, 3, 8, 5)).astype(np.float32)  # epochs, rows, 4 clips of 2 views, classes
    joined = views.of_clips(Curves(np.zeros((2, 3)), np.zeros((2, 3)), probability), chosen).probability
    assert joined.shape == (2, 3, 4, 5)
    np.testing.assert_allclose(joined[1, 2, 3], (probability[1, 2, 6] + probability[1, 2, 7]) / 2)


def test_an_input_of_one_view_passes_as_it_is(samples):
    chosen = views.choose((), (), ())
    folds = loso.folds(np.asarray(samples.label), np.asarray(samples.subject))
    same = views.fold_of_images(folds, chosen)
    for before, after in zip(folds, same, strict=True):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(views.images(samples, chosen).x, samples.x)
    np.testing.assert_array_equal(views.first_tested(samples.x, chosen), samples.x)
    assert chosen.told == ()


def test_the_whole_view_alone_gives_the_run_of_the_dynamic_image(tmp_path):
    alone = settings(**{"input.name": "dynamic_image"})
    view = settings(**{"input.name": "dynamic_views", "train.views": ("whole",), "train.test_views": ("whole",)})
    for name, one in (("alone", alone), ("view", view)):
        main.run(one, tmp_path / name)
    files = ("predictions.csv", "curves.csv", "subjects.csv")
    assert all((tmp_path / "alone" / f).read_text() == (tmp_path / "view" / f).read_text() for f in files)


def test_a_run_on_all_views_scores_clips_not_images(tmp_path):
    scores = main.run(settings(**{"input.name": "dynamic_views", "train.select": "inner"}), tmp_path)
    assert scores["whole"]["n"] == 18
    told = "Every clip gives 3 training images (whole, rise, fall) and is tested once, by the mean of its views whole"
    assert any(note.startswith(told) for note in scores["notes"])
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 1 + 18


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"train.views": ("rising",)}, "train.views is 'rising'; it can be whole, rise, fall"),
        ({"train.test_views": ("rise", "rise")}, "names a view twice"),
        ({"input.name": "mesti", "train.views": ("rise",)}, "the input has no views; leave it empty"),
        ({"model.name": "afn"}, "takes two streams and input.name 'dynamic_views' gives one stream"),
    ],
)
def test_wrong_views_are_refused(changes, told):
    with pytest.raises(InputError, match=told):
        config.check(settings(**{"input.name": "dynamic_views"} | changes))
