"""Protocols over databases, from the config to the tables: what is held out never touches its fold."""

import csv
import json

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from merjax import config, loso, main, train
from merjax.losses import cross_entropy
from merjax.models import MODELS
from merjax.types import InputError, Samples

PEOPLE = [("a", f"s{i % 3}", ("negative", "positive")[i % 2]) for i in range(8)]
PEOPLE += [("b", f"s{i % 2}", ("negative", "positive")[i % 2]) for i in range(6)]
PEOPLE += [("c", "s1", "positive")] * 2


@pytest.fixture
def folder(tmp_path, rng):
    """Flow images of three databases."""
    lines = ["dataset,subject,clip,label,onset_apex,apex_offset"]
    for i, (database, subject, label) in enumerate(PEOPLE):
        cv2.imwrite(str(tmp_path / f"{i}.png"), rng.integers(0, 256, (28, 28, 3), dtype=np.uint8))
        lines.append(f"{database},{subject},c{i},{label},{i}.png,{i}.png")
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def settings(folder, **changes):
    c = config.default().lock()
    small = {"data.name": "flow_folder", "data.root": str(folder), "input.name": "onset_apex", "model.name": "linear"}
    c.update_from_flattened_dict(small | {"train.epochs": 3, "train.batch": 4, "report.gallery": 2} | changes)
    return c


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_leaving_databases_out_tests_every_clip_once(folder, tmp_path):
    scores = main.run(settings(folder, **{"protocol.name": "database"}), tmp_path / "run")
    assert scores["protocol"] == "leave one database out over 3 databases"
    assert {name: part["n"] for name, part in scores["databases"].items()} == {"a": 8, "b": 6, "c": 2}
    assert scores["whole"]["subjects"] == 6
    assert len(rows(tmp_path / "run" / "predictions.csv")) == len(PEOPLE)
    subjects = rows(tmp_path / "run" / "subjects.csv")
    assert [(row["database"], row["fold"]) for row in subjects] == [(d, d) for d in "aaabbc"]
    assert [row["fold"] for row in rows(tmp_path / "run" / "curves.csv")] == [d for d in "abc" for _ in range(3)]
    kept = json.loads((tmp_path / "run" / "config.json").read_text())
    assert kept["protocol"] == {"name": "database"}


def test_a_holdout_tests_one_database_and_says_which_took_no_part(folder, tmp_path):
    changes = {"protocol.name": "holdout", "protocol.holdout.train": "a", "protocol.holdout.test": "b"}
    scores = main.run(settings(folder, **changes, **{"train.select": "test"}), tmp_path / "run")
    assert scores["protocol"] == "trained on a, tested on b"
    assert (scores["whole"]["n"], scores["whole"]["subjects"], list(scores["databases"])) == (6, 2, ["b"])
    assert "Clips that are neither trained on nor tested: 2, of c." in scores["notes"]
    assert {row["database"] for row in rows(tmp_path / "run" / "predictions.csv")} == {"b"}
    page = (tmp_path / "run" / "report.html").read_text()
    assert "epoch chosen on the test database" in page
    assert "test subject" not in page
    gallery = page.split("<h2>What the network sees</h2>")[1].split("</section>")[0]
    shown = [row["sample_id"] for row in rows(tmp_path / "run" / "predictions.csv") if row["sample_id"] in gallery]
    assert len(shown) == 4  # two of each class, each with its own picture
    kept = json.loads((tmp_path / "run" / "config.json").read_text())
    assert kept["protocol"] == {"name": "holdout", "holdout": {"train": "a", "test": "b"}}


def test_random_parts_test_every_clip_once_and_say_that_subjects_are_mixed(folder, tmp_path):
    changes = {"protocol.name": "mixed", "protocol.mixed.parts": 3, "train.select": "inner"}
    scores = main.run(settings(folder, **changes), tmp_path / "run")
    assert scores["protocol"] == "3 random parts of the clips, subjects mixed"
    assert (scores["whole"]["n"], scores["whole"]["subjects"]) == (len(PEOPLE), 6)
    assert sum("others of the same subject" in note for note in scores["notes"]) == 1
    subjects = rows(tmp_path / "run" / "subjects.csv")
    assert sum(int(row["clips"]) for row in subjects) == len(PEOPLE)
    assert {row["fold"] for row in subjects} == {"part 1", "part 2", "part 3"}
    kept = json.loads((tmp_path / "run" / "config.json").read_text())
    assert kept["protocol"] == {"name": "mixed", "mixed": {"parts": 3, "seed": 0}}
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Read with care: subjects mixed." in page
    assert "held-out parts" in page
    for path in (tmp_path / "run" / "figures").glob("*.svg"):
        assert "subjects mixed" in path.read_text(), path.name


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"holdout.train": "a"}, "protocol.holdout.test is ''; it can be a, b, c"),
        ({"holdout.train": "samm", "holdout.test": "b"}, "protocol.holdout.train is 'samm'; it can be a, b, c"),
        ({"holdout.train": "b", "holdout.test": "b"}, "protocol.holdout.test are both 'b'; they should differ"),
        ({"holdout.train": "c", "holdout.test": "b"}, "the fold that trains on c has clips of one class only"),
    ],
)
def test_a_holdout_that_cannot_work_is_refused_before_any_work(folder, tmp_path, changes, sentence):
    changes = {f"protocol.{name}": value for name, value in (changes | {"name": "holdout"}).items()}
    with pytest.raises(InputError) as error:
        main.run(settings(folder, **changes), tmp_path / "run")
    assert sentence in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("poison", [1e6, np.nan])
def test_a_held_out_database_changes_no_bit_of_its_fold_and_does_change_another(rng, poison):
    database = np.array(["a", "b"])[[0, 0, 1, 1, 1, 0, 1, 0, 1]]
    label = np.array([0, 1, 0, 1, 2, 2, 0, 1, 2], np.int32)
    clean = Samples(*map(jnp.asarray, (rng.normal(0, 1, (9, 1, 8, 8, 3)).astype(np.float32), label, label)))
    held_out = jnp.asarray(database == "b")
    dirty = clean._replace(
        x=jnp.where(held_out[:, None, None, None, None], poison, clean.x),
        label=jnp.where(held_out, (clean.label + 1) % 3, clean.label),
    )
    net, tx = MODELS["linear"](classes=3, grid=4), optax.adam(0.1)
    folds = loso.database_folds(label, database.tolist())

    @jax.jit
    def trained(fold, samples):
        key = jax.random.key(0)
        state = train.init(key, fold, samples, net=net, tx=tx)
        recipe = {"net": net, "tx": tx, "loss": cross_entropy, "augment": lambda key, x: x, "weight_power": 0.5}
        return train.fit(key, state, fold, samples, **recipe, batch=3, epoch_steps=2, steps=4)

    for fold, same in ((1, True), (0, False)):  # fold 1 tests database b, fold 0 trains on it
        fold = jax.tree.map(lambda a, fold=fold: a[fold], folds)
        pair = zip(*(jax.tree.leaves(trained(fold, samples)) for samples in (clean, dirty)), strict=True)
        assert all((np.asarray(a) == np.asarray(b)).all() for a, b in pair) == same
