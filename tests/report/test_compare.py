"""Comparing runs: numbers against scikit-learn and SciPy, what can't be compared, and the forms it is written in."""

import csv
import math
import re
import shutil
from functools import partial
from itertools import combinations

import numpy as np
import pytest
from drawn_runs import CLASSES, clips_of, guess, write_run
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import cohen_kappa_score, f1_score, recall_score
from test_page import Outline

from merjax import cli, metrics
from merjax.report import compare_tables
from merjax.report.compare import by_subject, compare, difference
from merjax.report.finished import read_runs, together
from merjax.report.published import Beside
from merjax.report.scores import SCORES
from merjax.report.tables import FITTED, Table, latex, markdown, text
from merjax.types import Annotation, InputError

MACRO = {"average": "macro", "zero_division": 0}


@pytest.fixture
def clips():
    """Two databases of five subjects; the second has no clip of the third class."""
    return [*clips_of(("x",)), *clips_of(("y",), classes=2)]


@pytest.fixture
def folders(tmp_path, rng, clips):
    """Three runs of one, two and two seeds."""
    skills = {"good": (0.8, 2), "fair": (0.6, 2), "poor": (0.5, 1)}
    return [write_run(tmp_path / name, clips, guess(rng, clips, *skill)) for name, skill in skills.items()]


def answers_of(folder, clips):
    """Predictions of a run's folder, [seeds, clips]."""
    rows = list(csv.DictReader((folder / "predictions.csv").read_text().splitlines()))
    seeds = sorted({row["seed"] for row in rows})
    found = {(row["seed"], row["sample_id"]): CLASSES.index(row["prediction"]) for row in rows}
    return np.array([[found[seed, clip.sample_id] for clip in clips] for seed in seeds])


def counts_of(folder, clips):
    people = sorted({(clip.database, clip.subject) for clip in clips})
    subject = np.array([people.index((clip.database, clip.subject)) for clip in clips])
    return by_subject(np.array([clip.label for clip in clips]), answers_of(folder, clips), subject, 3)


def test_scores_are_those_of_scikit_learn_on_pooled_predictions(folders, clips):
    label = np.array([clip.label for clip in clips])
    database = np.array([clip.database for clip in clips])
    for folder, one in zip(folders, compare(read_runs(folders)).scored, strict=True):
        found = answers_of(folder, clips)
        for part, rows in ((one.whole, database != ""), *((one.databases[name], database == name) for name in "xy")):
            options = MACRO | {"labels": np.unique(label[rows])}
            each = [f1_score(label[rows], p[rows], **options) for p in found]
            assert part.uf1.value == pytest.approx(np.mean(each))
            assert part.uar.value == pytest.approx(
                np.mean([recall_score(label[rows], p[rows], **options) for p in found])
            )
            options["average"] = "weighted"
            assert part.wf1.value == pytest.approx(np.mean([f1_score(label[rows], p[rows], **options) for p in found]))
            assert part.accuracy == pytest.approx((found[:, rows] == label[rows]).mean())
            assert (part.clips, part.subjects) == (rows.sum(), 10 if rows.all() else 5)
        for score, told in ((f1_score, one.f1), (recall_score, one.recall)):
            each = [score(label, p, average=None, zero_division=0) for p in found]
            np.testing.assert_allclose(told, np.mean(each, 0))


def test_a_run_compared_has_the_scores_and_intervals_of_its_own_report(folders):
    for run, one in zip(read_runs(folders), compare(read_runs(folders)).scored, strict=True):
        for told, part in (
            (run.scores["whole"], one.whole),
            *((run.scores["databases"][n], one.databases[n]) for n in "xy"),
        ):
            for score in ("uf1", "wf1", "uar"):
                assert tuple(getattr(part, score)) == pytest.approx((told[score], *told[f"{score}_interval"]))


@pytest.mark.parametrize("score", ["uf1", "uar"])
def test_the_interval_of_a_difference_is_scipys_paired_bootstrap_of_subjects(folders, clips, score):
    a, b = (counts_of(folder, clips) for folder in folders[:2])

    def statistic(rows):
        return (SCORES[score](a[:, rows].sum(1)) - SCORES[score](b[:, rows].sum(1))).mean()

    rows = np.arange(a.shape[1])
    peer = stats.bootstrap((rows,), statistic, n_resamples=4000, vectorized=False, method="percentile", rng=1)
    found, _ = difference(a, b, SCORES[score])
    assert found.value == pytest.approx(statistic(rows))
    assert found[1:] == pytest.approx(peer.confidence_interval, abs=0.012)


@pytest.mark.parametrize("score", ["uf1", "uar"])
@pytest.mark.parametrize("pair", [(0, 1), (1, 0), (0, 2)], ids=str)
def test_p_is_scipys_exact_permutation_test_of_subjects(folders, clips, score, pair):
    first, second = (counts_of(folders[i], clips) for i in pair)
    both = np.concatenate([first, np.tile(second, (len(first) // len(second), 1, 1, 1))], axis=1)

    def statistic(x, y):
        return (SCORES[score](both[:, x].sum(1)) - SCORES[score](both[:, y].sum(1))).mean()

    rows = np.arange(10)
    options = {"permutation_type": "samples", "vectorized": False, "n_resamples": np.inf}
    peer = stats.permutation_test((rows, rows + 10), statistic, **options)
    assert difference(first, second, SCORES[score])[1] == pytest.approx(peer.pvalue)


def test_exchanges_by_chance_come_near_to_all_of_them(folders, clips):
    a, b = (counts_of(folder, clips) for folder in folders[:2])
    few, all_of_them = (
        metrics.p_value(np.subtract(*(metrics.uf1(c).mean(-1) for c in metrics.exchange_subjects(a, b, exchanges=n))))
        for n in (1023, 1024)
    )
    assert few == pytest.approx(all_of_them, abs=0.03)
    exchanged = metrics.exchange_subjects(a, b, exchanges=7)
    assert (exchanged[0][0] == a.sum(1)).all()
    assert (exchanged[0] + exchanged[1] == (a + b).sum(1)).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), max_size=6))
def test_holm_is_the_closed_test_of_bonferroni(p):
    p = np.array(p)
    subsets = [set(rows) for size in range(1, len(p) + 1) for rows in combinations(range(len(p)), size)]
    slow = [min(1, max(len(rows) * p[list(rows)].min() for rows in subsets if i in rows)) for i in range(len(p))]
    np.testing.assert_allclose(metrics.holm(p), slow)


def test_agreement_is_that_of_scikit_learn_and_scipy(folders, clips):
    label = np.array([clip.label for clip in clips])
    found = compare(read_runs(folders)).agreements
    assert len(found) == 3
    for one, (i, j) in zip(found, combinations(range(3), 2), strict=True):
        a, b = (answers_of(folders[k], clips)[0] for k in (i, j))
        assert one.kappa == pytest.approx(cohen_kappa_score(a, b))
        table = [((a == label) == x) & ((b == label) == y) for x in (True, False) for y in (True, False)]
        assert [one.both, one.first_only, one.second_only, one.neither] == [cells.sum() for cells in table]
        peer = stats.binomtest(one.first_only, one.first_only + one.second_only)
        assert one.mcnemar == pytest.approx(peer.pvalue)
    assert metrics.mcnemar(0, 0) == metrics.mcnemar(7, 7) == 1
    assert math.isnan(metrics.kappa(np.array([[5, 0], [0, 0]])))


def test_holm_is_over_all_differences_shown(folders):
    found = compare(read_runs(folders)).differences
    assert len(found) == 6
    np.testing.assert_allclose([one.holm for one in found], metrics.holm(np.array([one.p for one in found])))
    assert all(one.holm >= one.p for one in found)


def test_a_run_differs_from_its_copy_in_nothing(folders, tmp_path):
    shutil.copytree(folders[0], tmp_path / "copy")
    found = compare(read_runs([folders[0], tmp_path / "copy"]))
    assert {(tuple(one.estimate), one.p) for one in found.differences} == {((0, 0, 0), 1)}
    assert found.agreements[0].kappa == 1
    assert not found.remarks


def test_a_seed_that_is_repeated_changes_no_mean_no_interval_and_no_p(clips, folders):
    a, b = counts_of(folders[0], clips), counts_of(folders[2], clips)
    once, twice = difference(a, b, metrics.uf1), difference(a, np.concatenate([b, b]), metrics.uf1)
    assert once == twice
    backwards = difference(b, a, metrics.uf1)
    assert backwards[1] == once[1]
    assert backwards[0].value == -once[0].value


def test_classes_in_another_order_are_the_same_classes(tmp_path, rng, clips):
    answers = guess(rng, clips, 0.6)
    write_run(tmp_path / "a", clips, answers)
    turned = [clip._replace(label=2 - clip.label) for clip in clips]
    write_run(tmp_path / "b", turned, 2 - answers, CLASSES[::-1])
    found = compare(read_runs([tmp_path / "a", tmp_path / "b"]))
    assert found.agreements[0].kappa == 1
    assert found.differences[0].estimate.value == pytest.approx(0)


def test_runs_are_named_by_their_folders_or_else_by_their_paths(tmp_path, rng, clips):
    paths = [write_run(tmp_path / name / "run", clips, guess(rng, clips, 0.5)) for name in "ab"]
    assert [run.name for run in read_runs(paths)] == [str(path) for path in paths]
    assert [run.name for run in read_runs(paths[:1])] == ["run"]


def spoiled(path, old, new):
    text = path.read_text()
    assert re.search(old, text)
    path.write_text(re.sub(old, new, text, count=1))


WRONG = {
    "is no folder": lambda a, b: shutil.rmtree(b),
    "holds a run that isn't finished; the same command with --workdir=": lambda a, b: (b / "scores.json").unlink(),
    "holds no run of merjax": lambda a, b: [(b / f"{name}.json").unlink() for name in ("scores", "config")],
    "scores.json can't be read as JSON": lambda a, b: (b / "scores.json").write_text("{"),
    "scores.json has no field 'held_out'": lambda a, b: spoiled(b / "scores.json", '"held_out"', '"x"'),
    "predictions.csv can't be read as a table": lambda a, b: (b / "predictions.csv").unlink(),
    "predictions.csv has no column label": lambda a, b: spoiled(b / "predictions.csv", "label", "truth"),
    "row 2: seed '0', label 'angry'": lambda a, b: spoiled(b / "predictions.csv", "c0,[a-z]+", "c0,angry"),
    "row 3: x/s0/c0 stands there twice": lambda a, b: spoiled(b / "predictions.csv", "s0/c1", "s0/c0"),
    "lacks 1 clips that another seed tests": lambda a, b: spoiled(b / "predictions.csv", r"\n1,x,s0,x/s0/c0.*", ""),
    "clips, scores.json counts": lambda a, b: [
        spoiled(b / "predictions.csv", rf"\n{seed},x,s0,x/s0/c0.*", "") for seed in (0, 1)
    ],
}


@pytest.mark.parametrize("told", WRONG)
def test_what_is_no_finished_run_is_one_sentence(folders, told):
    WRONG[told](*folders[:2])
    with pytest.raises(InputError, match=re.escape(told)):
        read_runs(folders[:2])


def test_what_can_not_be_compared_is_refused(tmp_path, rng, clips, folders):
    with pytest.raises(InputError, match="is given twice"):
        read_runs([folders[0], folders[0]])
    other = write_run(tmp_path / "other", clips, guess(rng, clips, 0.5), ("a", "b", "c"))
    with pytest.raises(InputError, match="good tells negative, positive, surprise apart and other a, b, c"):
        compare(read_runs([folders[0], other]))
    changed = [clips[0]._replace(label=(clips[0].label + 1) % 3), *clips[1:]]
    other = write_run(tmp_path / "changed", changed, guess(rng, clips, 0.5))
    with pytest.raises(InputError, match="x/s0/c0 is negative in good and positive in changed"):
        compare(read_runs([folders[0], other]))
    strangers = [clip._replace(database=f"other {clip.database}") for clip in clips]
    other = write_run(tmp_path / "strangers", strangers, guess(rng, clips, 0.5))
    with pytest.raises(InputError, match="no clip was tested by all of good, strangers"):
        compare(read_runs([folders[0], other]))


def test_one_run_alone_is_shown_without_differences(folders):
    found = compare(read_runs(folders[:1]))
    assert [table.title for table in compare_tables.tables(found)] == ["Scores", "By database", "By class"]


@pytest.fixture
def wrote(folders, tmp_path, capsys):
    """Compares the three runs, writes a file with a suffix and gives its content and what the terminal showed."""

    def write(suffix):
        path = tmp_path / f"out{suffix}"
        cli.compare(["merjax", *map(str, folders), f"--out={path}"])
        return path.read_text(), capsys.readouterr().out

    return write


def test_the_terminal_shows_every_table_in_columns(folders, wrote):
    _, shown = wrote(".csv")
    comparison = compare(read_runs(folders))
    for table in compare_tables.tables(comparison):
        assert table.title in shown
        assert table.caption in shown
        lines = shown.partition(f"{table.title}\n")[2].splitlines()[: len(table.rows) + 1]
        assert len({len(line.rstrip()) for line in lines}) == 1  # columns end at the same place
    assert re.search(r"good minus fair +UF1 +[+-]0\.\d{3} \[", shown)


def test_the_csv_holds_every_number_with_how_epochs_were_chosen(folders, wrote):
    rows = list(csv.DictReader(wrote(".csv")[0].splitlines()))
    assert all("the last epoch" in row["epoch"] for row in rows)
    comparison = compare(read_runs(folders))
    found = {(row["run"], row["against"], row["part"], row["class"], row["score"]): row for row in rows}
    assert len(found) == len(rows)
    for one in comparison.scored:
        row = found[one.run.name, "", "all", "", "uf1"]
        assert [float(row[name]) for name in ("value", "low", "high")] == pytest.approx(list(one.whole.uf1), abs=1e-6)
        assert float(found[one.run.name, "", "y", "", "uar"]["value"]) == pytest.approx(one.databases["y"].uar.value)
        recall = found[one.run.name, "", "all", "surprise", "recall"]
        assert float(recall["value"]) == pytest.approx(one.recall[2], abs=1e-6)
        assert int(recall["clips"]) == comparison.classes["surprise"]
    pair = found["good", "poor", "all", "", "uar_difference"]
    (expected,) = [
        one for one in comparison.differences if (one.first.name, one.second.name, one.score) == ("good", "poor", "uar")
    ]
    assert float(pair["p_holm"]) == pytest.approx(expected.holm, abs=1e-6)
    assert float(pair["low"]) == pytest.approx(expected.estimate.low, abs=1e-6)


def test_markdown_tables_have_as_many_cells_in_every_row(wrote):
    written, _ = wrote(".md")
    blocks = [block for block in written.split("\n\n") if block.startswith("|")]
    assert len(blocks) == 5
    for block in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_latex_has_booktabs_balanced_braces_and_escapes(wrote):
    written, _ = wrote(".tex")
    assert r"\usepackage{booktabs} and \usepackage{graphicx}" in written
    assert written.count(FITTED + r"{\begin{tabular}") == written.count(r"\end{tabular}}") == 5
    assert written.count(r"\toprule") == written.count(r"\midrule") == written.count(r"\bottomrule") == 5
    assert written.count(r"\begin{table}") == written.count(r"\end{table}") == written.count(r"\caption{") == 5
    for body in re.findall(r"\\toprule(.*?)\\bottomrule", written, re.DOTALL):
        assert len({len(re.findall(r"(?<!\\)&", line)) for line in body.splitlines() if "&" in line}) == 1
    plain = re.sub(r"\\[{}%&]", "", written.partition("\n")[2])
    assert plain.count("{") == plain.count("}")
    assert not re.search(r"(?<!\\)[%_#$]", plain.partition(r"\begin{table}")[2])


def test_no_sign_of_a_name_breaks_a_form():
    name = r"a_b & 50 % of #1 | {x} \y ~ ^ $ [z] <i> `c` *d*"
    table = Table(name, ("", name), ((name, name), ("[1]", "2")), name, name, (name,))
    told = latex([table], [])
    assert r"a\_b \& 50 \% of \#1 \textbar{} \{x\} \textbackslash{}y \textasciitilde{} \textasciicircum{} \$" in told
    assert "{}[1] & 2" in told
    assert markdown(name, [table], []).count(r"a\_b") == 8
    assert text([table], []).count(name) == 7
    assert "<i>" not in compare_tables.page(name, [table], [name])


def test_the_page_is_well_formed_self_contained_and_draws_the_intervals(wrote):
    written, _ = wrote(".html")
    outline = Outline(written)
    assert "script" not in {tag for tag, _ in outline.seen}
    assert not re.search(r"https?://", written.replace("http://www.w3.org/2000/svg", ""))
    assert len(outline.captions) == len(outline.all("table")) == 5
    assert len(outline.all("svg")) == 2


@pytest.mark.parametrize("suffix", [".txt", ".pdf", ""])
def test_another_form_is_refused_before_any_work(folders, tmp_path, suffix):
    with pytest.raises(InputError, match=r"must end in \.csv, \.md, \.tex, \.html"):
        compare_tables.check_name(tmp_path / f"out{suffix}", read_runs(folders), Beside())


def test_unlike_runs_are_told_and_not_ranked(tmp_path, rng):
    clips = [Annotation(d, f"s{s}", f"c{c}", c % 2) for d in "xy" for s in range(3) for c in range(4)]
    write = partial(write_run, clips=clips, classes=CLASSES[:2])
    write(tmp_path / "a", answers=guess(rng, clips, 0.7, classes=2))
    write(tmp_path / "b", answers=guess(rng, clips, 0.9, classes=2), protocol="database")
    found = compare(read_runs([tmp_path / "a", tmp_path / "b"]))
    assert any(one.startswith("The protocols differ (a: leave one subject out over 6") for one in found.remarks)
    tables = {table.title: table for table in compare_tables.tables(found)}
    protocols = "Protocol: a: leave one subject out over 6 subjects; b: leave one database out over 2 databases."
    assert tables["Scores"].caption.endswith(protocols)
    assert [row[0] for row in tables["Scores"].rows] == ["a", "b"]
    assert {row[-1] for row in tables["Differences"].rows} == {"no: protocols differ"}


def test_runs_together_answer_by_the_mean_of_their_probabilities(folders, clips, capsys):
    good, fair, poor = read_runs(folders)
    both = together((good, fair), "both")
    for seed in (0, 1):
        for clip in good.clips:
            mean = np.mean([run.probability[seed][clip] for run in (good, fair)], axis=0)
            np.testing.assert_allclose(both.probability[seed][clip], mean)
            assert both.prediction[seed][clip] == CLASSES[int(mean.argmax())]
    assert both.prediction != good.prediction
    with pytest.raises(InputError, match="good and poor differ in their number of seeds; only like runs"):
        together((good, poor), "both")
    cli.compare(["compare", *map(str, folders[:2]), "--together"])
    told = capsys.readouterr().out
    assert "good minus together" in told
