"""One test for each mistake that published code of the field makes, and that a score of merjax can't carry."""

import csv
import json
import re
from inspect import signature

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn_runs import clips_of, guess, write_run
from sklearn.metrics import f1_score, precision_score, recall_score

from merjax import cli, config, loso, report, train
from merjax.data.apex import SPOTTERS
from merjax.ops import optical_flow
from merjax.prepare import subjects_of
from merjax.report import compare_tables
from merjax.report.compare import compare
from merjax.report.finished import read_runs
from merjax.report.published import beside, published
from merjax.types import Annotation, Clip, Dataset, InputError

CLIPS = clips_of()
LABEL = np.array([clip.label for clip in CLIPS])


def rows_of(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def values(tree, name):
    """Every value under a name, however deep."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        if key == name:
            yield value
        elif isinstance(value, dict | list):
            yield from values(value, name)


@pytest.fixture
def picked(tmp_path, rng):
    """Writes two runs of the same three epochs: in one the last counts, in the other the best on what is tested."""

    def write(protocol="loso"):
        answers = np.stack([guess(rng, CLIPS, share) for share in (0.5, 0.6, 0.7)], axis=1)
        return [
            write_run(tmp_path / name, CLIPS, answers, select=select, protocol=protocol)
            for name, select in (("honest", "last"), ("picked", "test"))
        ]

    return write


@pytest.mark.parametrize(("protocol", "held_out"), [("loso", "subject"), ("database", "database")])
def test_an_epoch_picked_on_the_test_subject_is_never_shown_without_the_words(picked, capsys, protocol, held_out):
    """C.3, 1: the epoch is picked on the test subject, and the table does not say so."""
    folders, words = picked(protocol), f"epoch chosen on the test {held_out}"
    content = json.loads((folders[1] / "scores.json").read_text())
    assert words in report.summary(content, folders[1]).splitlines()[-1]
    written = {}
    for suffix in compare_tables.SUFFIXES:
        command, out = ["merjax", *map(str, folders)], folders[0].parent
        with pytest.raises(InputError, match="must have 'test-chosen' in its name"):
            cli.compare([*command, f"--out={out / f'table{suffix}'}"])
        assert not (out / f"table{suffix}").exists()
        cli.compare([*command, f"--out={out / f'table-test-chosen{suffix}'}"])
        written[suffix] = (out / f"table-test-chosen{suffix}").read_text()
    shown = capsys.readouterr().out.partition("tables in ")[0]
    count = len(compare_tables.tables(compare(read_runs(folders))))
    captions = {
        "text": re.findall(r"^  .*\[picked: .*$", shown, re.MULTILINE),
        ".md": re.findall(r"^\*\*\\\[picked: .*$", written[".md"], re.MULTILINE),
        ".tex": re.findall(r"\\caption{.*", written[".tex"]),
        ".html": re.findall("<figcaption>.*?</figcaption>", written[".html"]),
    }
    assert {len(each) for each in captions.values()} == {count}
    assert all(words in caption for each in captions.values() for caption in each)
    for told in (shown, written[".md"], written[".tex"]):
        assert all(words in line for line in told.splitlines() if "picked" in line)
    told = [row for row in re.findall("<tr>.*?</tr>", written[".html"]) if "picked" in row]
    assert len(told) == 7  # scores, two databases, classes, two differences, agreement
    assert all(words in row for row in told)
    for row in csv.DictReader(written[".csv"].splitlines()):
        assert (words in row["epoch"]) == ("picked" in (row["run"], row["against"]))


def test_a_single_run_that_was_picked_carries_the_words_too(picked, capsys):
    """C.3, 1: the same where nothing honest stands beside it."""
    cli.compare(["merjax", str(picked()[1])])
    shown = capsys.readouterr().out
    assert all("epoch chosen on the test subject" in line for line in shown.splitlines() if "picked" in line)
    assert "picked" in shown


def test_a_score_of_mixed_subjects_is_never_shown_without_the_words(tmp_path, rng, capsys):
    """Clips of the tested people are trained on, and the table does not say so."""
    answers = guess(rng, CLIPS, 0.6)
    folders = [
        write_run(tmp_path / "honest", CLIPS, answers),
        write_run(tmp_path / "leaky", CLIPS, answers, protocol="mixed", parts=3),
    ]
    content = json.loads((folders[1] / "scores.json").read_text())
    assert "subjects mixed" in report.summary(content, folders[1]).splitlines()[-1]
    cli.compare(["merjax", *map(str, folders), f"--out={tmp_path / 'table.md'}"])
    shown = capsys.readouterr().out.partition("tables in ")[0]
    for told in (shown, (tmp_path / "table.md").read_text()):
        lines = [line for line in told.splitlines() if "leaky" in line]
        assert len(lines) > 10
        assert all("subjects mixed" in line for line in lines)
    assert "The protocols differ" in shown


def test_the_mean_of_folds_is_offered_nowhere_as_uf1(tmp_path, rng):
    """C.3, 2: the mean of folds instead of the pooled score."""
    clips = clips_of(("x",), subjects=8, each=5)
    answers = guess(rng, clips, 0.6)
    label, fold = np.array([clip.label for clip in clips]), np.array([clip.subject for clip in clips])
    pooled = f1_score(label, answers[0], average="macro")
    options = {"average": "macro", "zero_division": 0}
    for classes in (None, [0, 1, 2]):
        each = [f1_score(label[fold == f], answers[0][fold == f], labels=classes, **options) for f in np.unique(fold)]
        assert abs(np.mean(each) - pooled) > 0.01
    folder = write_run(tmp_path / "run", clips, answers)
    found = list(values(json.loads((folder / "scores.json").read_text()), "uf1"))
    assert found == pytest.approx([pooled] * 6)  # of the whole, the database, their seed, and both ways to choose
    for name in ("predictions", "subjects", "curves"):
        assert "uf1" not in (folder / f"{name}.csv").read_text().partition("\n")[0].lower()
    comparison = compare(read_runs([folder]))
    assert comparison.scored[0].whole.uf1.value == pytest.approx(pooled)
    assert compare_tables.tables(comparison)[0].rows[0][4].startswith(f"{pooled:.3f} [")


def test_uar_is_recall_and_not_precision(tmp_path, rng):
    """C.3, 3: a UAR that is the mean precision."""
    answers = guess(rng, CLIPS, 0.9)
    answers[0, ::3] = 0
    recall = recall_score(LABEL, answers[0], average="macro")
    assert abs(recall - precision_score(LABEL, answers[0], average="macro", zero_division=0)) > 0.02
    folder = write_run(tmp_path / "run", CLIPS, answers)
    assert json.loads((folder / "scores.json").read_text())["whole"]["uar"] == pytest.approx(recall)
    assert compare(read_runs([folder])).scored[0].whole.uar.value == pytest.approx(recall)


def test_the_precision_that_ststnet_printed_as_uar_is_not_shown_as_one():
    """C.3, 3: the wrong value is copied from table to table."""
    (one,) = [one for one in published() if one.method == "STSTNet"]
    assert (one.uar, one.smic_uar, one.casme2_uar, one.samm_uar) == ("0.7186", "0.6703", "0.8190", "0.6415")
    assert "0.7605" in one.defect


def test_missing_clips_are_counted_and_named(tmp_path, rng):
    """C.3, 4: samples are missing, and the number tested is not printed."""
    a = write_run(tmp_path / "whole", CLIPS, guess(rng, CLIPS, 0.6))
    fewer = CLIPS[:7] + CLIPS[8:20] + CLIPS[21:]
    b = write_run(tmp_path / "fewer", fewer, guess(rng, fewer, 0.6))
    found = compare(read_runs([a, b]))
    n = len(CLIPS)
    assert [one.whole.clips for one in found.scored] == [n - 2, n - 2]
    assert found.remarks[0] == (
        f"All tables are of the {n - 2} clips that every run tested; 2 were not tested by all and are left out: "
        f"{CLIPS[7].sample_id}, {CLIPS[20].sample_id} (clips tested: whole {n}, fewer {n - 2})."
    )
    assert found.classes["negative"] + found.classes["positive"] + found.classes["surprise"] == n - 2
    tables = compare_tables.tables(found)
    assert tables[0].rows[0][1:3] == (str(n - 2), "10")


def test_a_subject_that_is_never_right_stays_in_the_score(tmp_path, rng):
    """C.3, 4: a subject never classified right drops out of the score."""
    answers = guess(rng, CLIPS, 0.8)
    wrong = np.array([clip.subject == "s0" for clip in CLIPS])
    answers[0, wrong] = (LABEL[wrong] + 1) % 3
    folder = write_run(tmp_path / "run", CLIPS, answers)
    whole = json.loads((folder / "scores.json").read_text())["whole"]
    assert (whole["n"], whole["subjects"]) == (len(CLIPS), 10)
    assert whole["uf1"] == pytest.approx(f1_score(LABEL, answers[0], average="macro"))


def test_an_absent_class_is_named_and_left_out_of_both_means(tmp_path, rng):
    """C.3, 5: a class that is absent vanishes from the mean without a word."""
    clips = [*clips_of(("x",)), *clips_of(("y",), classes=2)]
    answers = guess(rng, clips, 0.6)
    folder = write_run(tmp_path / "run", clips, answers)
    told = json.loads((folder / "scores.json").read_text())["databases"]["y"]
    assert told["absent"] == ["surprise"]
    label, mine = np.array([clip.label for clip in clips[30:]]), answers[0, 30:]
    assert 2 in mine  # predicted where there is none: it costs the others
    options = {"labels": [0, 1], "average": "macro", "zero_division": 0}
    part = compare(read_runs([folder])).scored[0].databases["y"]
    for score, peer in (("uf1", f1_score), ("uar", recall_score)):
        assert told[score] == pytest.approx(peer(label, mine, **options))
        assert getattr(part, score).value == pytest.approx(peer(label, mine, **options))
    only = write_run(tmp_path / "only", clips[30:], answers[:, 30:])
    found = compare(read_runs([only]))
    assert found.remarks == ("Classes without a clip here, left out of UF1 and UAR: surprise.",)
    assert compare_tables.tables(found)[1].rows[0][-2:] == ("–", "–")


def test_labels_and_predictions_are_joined_by_clip_not_by_position(tmp_path, rng):
    """C.3, 5: labels in the order of a table beside predictions in the order of subjects."""
    a, b = (write_run(tmp_path / name, CLIPS, guess(rng, CLIPS, 0.6, seeds=2)) for name in "ab")
    before = compare(read_runs([a, b]))
    head, *rows = (b / "predictions.csv").read_text().splitlines()
    (b / "predictions.csv").write_text("\n".join([head, *rng.permutation(rows).tolist()]) + "\n")
    after = compare(read_runs([a, b]))
    assert [tuple(one)[2:] for one in before.agreements] == [tuple(one)[2:] for one in after.agreements]
    assert [one.whole for one in before.scored] == [one.whole for one in after.scored]
    assert [(one.estimate, one.p) for one in before.differences] == [(one.estimate, one.p) for one in after.differences]


def test_people_of_two_databases_with_one_name_are_two_people(tmp_path, rng):
    """C.3, 5 and datasets.md 1: subject `s0` of one database is taken for `s0` of another."""
    dataset = Dataset("drawn", ("a", "b", "c"), tuple(CLIPS), lambda _: Clip())
    subject, names = subjects_of(dataset)
    assert len(names) == 10
    folds = loso.folds(LABEL, subject)
    for test, mask in zip(folds.test, folds.test_mask, strict=True):
        assert len({(CLIPS[i].database, CLIPS[i].subject) for i in test[mask]}) == 1
    answers = [guess(rng, CLIPS, share) for share in (0.5, 0.7)]
    unique = [clip._replace(subject=f"{clip.database}{clip.subject}") for clip in CLIPS]
    found = []
    for name, clips in (("same", CLIPS), ("unique", unique)):
        pair = [write_run(tmp_path / name / str(i), clips, one) for i, one in enumerate(answers)]
        found.append(compare(read_runs(pair)))
    same, renamed = ([(one.estimate, one.p) for one in each.differences] for each in found)
    assert same == renamed
    assert [one.whole.subjects for one in found[0].scored] == [10, 10]


def test_batches_mix_the_classes_and_every_prediction_names_its_seed(tmp_path, rng):
    """C.3, 6: training rows sorted by class in fixed batches, and no seed."""
    label = np.repeat([0, 1, 2], 40)
    folds = loso.folds(label, np.arange(120) % 4)
    fold = jax.tree.map(lambda part: jnp.asarray(part[0]), folds)
    rows = [np.asarray(train.batch_rows(jax.random.key(seed), jnp.array(0), fold, 30, 3)) for seed in (0, 0, 1)]
    assert all(np.bincount(label[each], minlength=3).min() >= 3 for each in rows)
    assert (rows[0] == rows[1]).all()
    assert (rows[0] != rows[2]).any()
    folder = write_run(tmp_path / "run", CLIPS, guess(rng, CLIPS, 0.5, seeds=2))
    assert [row["seed"] for row in rows_of(folder / "predictions.csv")] == ["0"] * len(CLIPS) + ["1"] * len(CLIPS)


@pytest.mark.parametrize("name", ["farneback", "dis"])
def test_motion_lies_where_it_happened_and_points_where_it_went(name, rng):
    """C.3, 7: x and y taken for row and column."""
    texture = cv2.GaussianBlur(rng.integers(0, 256, (24, 24), np.uint8), (0, 0), 1.5)
    before, after = (np.full((96, 128), 128, np.uint8) for _ in range(2))
    before[12:36, 84:108], after[12:36, 86:110] = texture, texture  # right, above the middle, 2 pixels to the right
    u, v = np.moveaxis(np.asarray(getattr(optical_flow, name)(before, after)), -1, 0)
    assert np.median(u[16:32, 90:104]) == pytest.approx(2, abs=0.6)
    assert abs(np.median(v[16:32, 90:104])) < 0.5
    assert np.abs(u[84:, 12:36]).max() < 0.5


def test_no_apex_is_found_with_the_help_of_a_label():
    """C.3, 8: the annotated apex is used where there is one; where there is none, nothing but frames may find it."""
    for spot in SPOTTERS.values():
        assert list(signature(spot).parameters)[:2] == ["frames", "fps"]
        assert not {"label", "emotion", "clip", "annotation"} & set(signature(spot).parameters)


def test_the_flow_that_a_run_was_made_of_is_kept_with_it_and_differs_in_published_rows(tmp_path, rng):
    """C.3, 9: scores of different flow and scaling compared as if of one."""
    c = config.default()
    c.input.name, c.flow.name = "onset_apex", "farneback"
    assert config.relevant(c)["flow"]["name"] == "farneback"
    sizes = {"casme2": 145, "samm": 133, "smic": 164}
    clips = [Annotation(name, f"s{i % 9}", f"c{i}", i // 9 % 3) for name, size in sizes.items() for i in range(size)]
    found = beside(read_runs([write_run(tmp_path / "run", clips, guess(rng, clips, 0.6))]))
    assert found.tables
    assert all("Flow, faces and apex frames differ between them" in table.caption for table in found.tables)
