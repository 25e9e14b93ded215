"""An epoch that is chosen on subjects held out of the training part of a fold."""

import csv

import jax
import numpy as np
import pytest
from test_run import settings

from merjax import loso, main, parallel
from merjax.inner import best_epoch, drawn, inner
from merjax.types import InputError

LABEL = np.arange(40) % 3
SUBJECT = np.repeat(np.arange(10), 4)


def members(rows, mask):
    return [set(r[m].tolist()) for r, m in zip(rows, mask, strict=True)]


def test_subjects_of_the_training_part_move_whole_to_what_is_tested():
    folds = loso.folds(LABEL, SUBJECT)
    held = inner(folds, LABEL, SUBJECT, share=0.3, seed=5)
    for f, (train, test, before) in enumerate(
        zip(
            members(held.train, held.train_mask),
            members(held.test, held.test_mask),
            members(folds.train, folds.train_mask),
            strict=True,
        )
    ):
        own = set(np.flatnonzero(f == SUBJECT).tolist())
        assert train | (test - own) == before
        assert not train & test
        assert own <= test
        people = set(SUBJECT[sorted(test - own)].tolist())
        assert len(people) == 3  # 30 % of 9
        assert not people & set(SUBJECT[sorted(train)].tolist())
        assert set(LABEL[sorted(train)].tolist()) == {0, 1, 2}


def test_draws_hang_on_the_seed_and_on_the_fold():
    folds = loso.folds(LABEL, SUBJECT)
    one, again, other = (inner(folds, LABEL, SUBJECT, share=0.3, seed=seed).test for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_the_clips_that_a_fold_tests_do_not_move_its_draw():
    folds = loso.folds(LABEL, SUBJECT)
    changed = np.where(SUBJECT == 4, (LABEL + 1) % 3, LABEL)
    one, other = (inner(folds, label, SUBJECT, share=0.3, seed=0) for label in (LABEL, changed))
    np.testing.assert_array_equal(one.test[4], other.test[4])


def test_a_draw_leaves_every_class_to_be_trained():
    label, subject = np.array([0, 0, 1, 0, 2, 0, 1, 0]), np.array([0, 0, 1, 1, 2, 2, 3, 3])
    for seed in range(20):
        assert 2 not in drawn(label, subject, 0.25, (seed,))  # the only one with class 2
    assert len(drawn(label[:4], subject[:4], 0.9, (0,))) == 1  # one of two stays


def test_the_least_loss_chooses_and_patience_ends_the_search():
    loss = np.array([[3.0, 2.0, 2.5, 2.4, 1.0, 5.0], [np.nan, 4.0, 3.0, 3.0, np.nan, np.nan]])
    np.testing.assert_array_equal(best_epoch(loss, 0), [4, 2])
    np.testing.assert_array_equal(best_epoch(loss, 2), [1, 2])
    np.testing.assert_array_equal(best_epoch(loss, 3), [4, 2])


def test_the_table_has_the_folds_first_and_inner_rows_keys_of_their_own():
    folds = loso.folds(LABEL, SUBJECT)
    held = [inner(folds, LABEL, SUBJECT, share=0.3, seed=seed) for seed in (3, 4)]
    rows = parallel.table((3, 4), folds, held)
    assert rows.inner.tolist() == [False] * 20 + [True] * 20
    assert rows.seed.tolist() == ([3] * 10 + [4] * 10) * 2
    assert members(rows.fold.train, rows.fold.train_mask)[:10] == members(folds.train, folds.train_mask)
    assert members(rows.fold.test, rows.fold.test_mask)[30:] == members(held[1].test, held[1].test_mask)
    assert parallel.table((3, 4), folds, held, refit=False).inner.all()
    keys = {tuple(np.asarray(jax.random.key_data(parallel.row_key(3, 0, flag))).tolist()) for flag in (False, True)}
    assert len(keys) == 2


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("refit", [True, False])
def test_a_run_takes_the_epoch_that_held_out_subjects_choose(tmp_path, refit):
    changes = {"data.synthetic.subjects": 5, "train.epochs": 6, "report.gallery": 0, "input.name": "onset_apex"}
    chosen = main.run(
        settings(**changes, **{"train.select": "inner", "train.refit": refit, "train.inner_share": 0.4}), tmp_path / "i"
    )
    curves = table(tmp_path / "i" / "inner.csv")
    for row in table(tmp_path / "i" / "subjects.csv"):
        mine = [line for line in curves if line["fold"] == row["fold"]]
        assert len({line["subjects"] for line in mine}) == 1
        assert len(mine[0]["subjects"].split()) == 2  # 40 % of 4
        assert row["fold"] not in mine[0]["subjects"].split()
        assert int(row["epoch"]) == 1 + np.argmin([float(line["inner_loss"]) for line in mine])
    assert set(chosen["selections"]) == {"last", "inner", "test"}
    assert chosen["whole"]["uf1"] == chosen["selections"]["inner"]["uf1"]
    assert 0 <= chosen["inner"]["uf1"] <= 1
    page = (tmp_path / "i" / "report.html").read_text()
    assert "epoch chosen on training subjects held out for it" in page
    last = main.run(settings(**changes), tmp_path / "last")
    same = chosen["selections"]["last"]["uf1"] == last["whole"]["uf1"]
    assert same or not refit  # the folds themselves are trained as ever


def test_a_share_that_leaves_nothing_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"train.inner_share is 1.5; it must be above 0 and below 1"):
        main.run(settings(**{"train.inner_share": 1.5}), tmp_path)
