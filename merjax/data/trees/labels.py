"""Whole data sets as labels alone: sheets of full size with the published class counts and numbers of subjects.

They check that a reader and a label scheme come to the published totals and folds. How many clips of a class a subject
has is invented, and so are names and numbers, but for the rows that the specification of a protocol names.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from merjax.data.faces import stream
from merjax.data.trees import casme, casme2, casme3, casme_squared, fourdme, mmew, samm, smic
from merjax.data.trees.build import save
from merjax.data.trees.recipe import Book, Recipe, Sample, Slot, Tree
from merjax.types import pick


class Table(NamedTuple):
    """Labels of one data set on one of its sheets.

    Attributes:
        recipe: how its samples and sheets look.
        emotions: label -> rows with it, the named ones included.
        dataset: short name.
        objective: class -> rows with it; the classes I to V are dealt out first.
        coded: how many of the subjects have any of the classes I to V; 0 means every one.
        only: subject -> the labels that it has, so that a scheme without them loses the subject.
        named: rows that the specification names.
        macro: rows of macro-expressions besides.
        clips: of each subject, in the order of their numbers; none means that they are dealt out evenly.
        sheets: workbooks that differ from the recipe's.
    """

    recipe: Recipe
    emotions: Mapping[str, int]
    dataset: str
    objective: Mapping[int, int] = {}
    coded: int = 0
    only: Mapping[str, tuple[str, ...]] = {}
    named: tuple[Sample, ...] = ()
    macro: int = 0
    clips: tuple[int, ...] = ()
    sheets: Callable[[list[Sample]], Mapping[str, Book]] | None = None


def _casme2_2014(samples: list[Sample]) -> dict[str, Book]:
    return {casme2.SHEET_2014: casme2.coding(samples), casme2.OBJECTIVE: casme2.objective_classes(samples)}


def _casme2_2019(samples: list[Sample]) -> dict[str, Book]:
    return {casme2.SHEET_2019: casme2.coding(samples, objective=True, relabel=True)}


def _casme2_256(samples: list[Sample]) -> dict[str, Book]:
    return {"CASME2-coding-updated.xlsx": casme2.coding(samples, text=False)}


_CASME2 = Table(
    casme2.RECIPE,
    {"others": 99, "disgust": 63, "happiness": 32, "repression": 27, "surprise": 25, "sadness": 7, "fear": 2},
    dataset="casme2",
    objective={1: 25, 2: 15, 3: 99, 4: 26, 5: 20, 6: 1, 7: 69},  # of the workbook of classes
    only={"sub10": ("others", "sadness"), "sub18": ("others",)},
    named=tuple(row for fault in ("apex_unknown", "apex_on_onset", "changed_labels") for row in casme2.FAULTS[fault]),
    sheets=_casme2_2014,
)
_SMIC_SUBJECTS = tuple(sorted(smic.RECIPE.subjects))
_SMIC_HS = Table(
    smic.RECIPE._replace(subjects=_SMIC_SUBJECTS),
    {"negative": 70, "positive": 51, "surprise": 43},
    dataset="smic_hs",
    clips=(6, 6, 39, 19, 2, 4, 13, 4, 7, 9, 10, 10, 4, 7, 2, 22),
)
_SMIC_VIS = Table(
    smic.RECIPE._replace(subjects=tuple(f"s{n}" for n in smic.SLOW)),
    {"negative": 24, "positive": 28, "surprise": 19},
    dataset="smic_vis",
)
TABLES: dict[str, Table] = {
    "casme2_2014": _CASME2,
    "casme2_2019": _CASME2._replace(
        objective={1: 30, 2: 18, 3: 93, 4: 15, 5: 18, 6: 2, 7: 79},
        sheets=_casme2_2019,
    ),
    "casme2_256": _CASME2._replace(
        emotions=dict(_CASME2.emotions) | {"disgust": 64},
        objective={},
        named=_CASME2.named + casme2.FAULTS["folder_missing"],
        sheets=_casme2_256,
    ),
    "samm": Table(
        samm.RECIPE,
        {
            **{"Anger": 57, "Other": 26, "Happiness": 26, "Surprise": 15, "Contempt": 12},
            **{"Disgust": 9, "Fear": 8, "Sadness": 6},
        },
        dataset="samm",
        objective={1: 24, 2: 13, 3: 20, 4: 8, 5: 3, 6: 7, 7: 84},
        coded=21,
        only={"024": ("Disgust",), "036": ("Fear", "Sadness"), "025": ("Other",)},
    ),
    "smic_hs": _SMIC_HS,
    "smic_vis": _SMIC_VIS,
    "smic_nir": _SMIC_VIS._replace(dataset="smic_nir"),
    "casme3a": Table(
        casme3.RECIPE,
        {
            **{"disgust": 250, "surprise": 187, "others": 158, "Others": 3},
            **{"fear": 86, "anger": 64, "sad": 57, "happy": 55},
        },
        dataset="casme3a",
        objective={1: 15, 2: 151, 3: 234, 4: 37, 5: 47, 6: 3, 7: 373},
        only=dict.fromkeys(casme3.RECIPE.subjects[-6:], ("others",)),
    ),
    "casme3c": Table(
        casme3.RECIPE_C,
        {"negative": 99, "surprise": 30, "others": 20, "positive": 16},
        dataset="casme3c",
    ),
    "casme_sq": Table(
        casme_squared.RECIPE,
        {"negative": 21, "positive": 8, "surprise": 9, "others": 19},
        dataset="casme_sq",
        macro=300,
    ),
    "mmew": Table(
        mmew.RECIPE,
        {"happiness": 36, "surprise": 89, "disgust": 72, "others": 66, "fear": 16, "sadness": 13, "anger": 8},
        dataset="mmew",
    ),
    "casme": Table(
        casme.RECIPE,
        {
            **{"tense": 69, "disgust": 44, "repression": 38, "surprise": 20},
            **{"happiness": 9, "sadness": 6, "fear": 2, "comtempt": 1},
        },
        dataset="casme",
    ),
    "4dme": Table(
        fourdme.RECIPE,
        {
            **{"Positive": 34, "Negative": 127, "Surprise": 30, "Repression": 6, "Others": 31},
            **{"Surprise+Positive": 13, "Surprise+Negative": 8, "Surprise+Repression": 3},
            **{"Positive+Repression": 8, "Negative+Repression": 7},
        },
        dataset="4dme",
    ),
}


def label_table(root: Path, name: str, *, seed: int = 0) -> Tree:
    """Writes the sheet of a whole data set below a folder.

    Only the first clip has frames, so that a reader knows the layout; the folders of the others are missing. SMIC
    has no sheet, for its labels are in its paths: there every clip is a folder with two tiny frames.

    Args:
        root: a folder, made if need be.
        name: key in `TABLES`.
        seed: another number gives other frame numbers.

    Returns:
        The rows, in the order of the sheet, and the workbooks.

    Raises:
        InputError: there is no such table.
    """
    table = pick(TABLES, "tree: table", name)
    samples = _samples(table, seed)
    if not _in_paths(table):
        first, *others = _coded(table, samples)
        samples = [first, *(sample._replace(on_disk=False) for sample in others)]
    books = table.sheets(samples) if table.sheets else table.recipe.sheets(samples, ())
    return save(root, list(table.recipe.layouts[:1]), samples, books, seed=seed, size=16)


def _in_paths(table: Table) -> bool:
    """Whether the labels are in the paths, so that there is no sheet."""
    return not table.recipe.sheets([], ())


def _dealt(table: Table) -> list[tuple[str, str]]:
    """Subject and label of each row that has no name."""
    left = dict(table.emotions)
    for sample in table.named:
        left[sample.emotion] -= 1
    if table.clips:
        labels = [label for label, count in left.items() for _ in range(count)]
        turns = [subject for subject, n in zip(table.recipe.subjects, table.clips, strict=True) for _ in range(n)]
        # A step without a common divisor visits every label once and mixes them.
        return [(subject, labels[(5 * k) % len(labels)]) for k, subject in enumerate(turns)]
    rows = []
    for label, count in left.items():
        may = [s for s in table.recipe.subjects if label in table.only.get(s, (label,))]
        may.sort(key=lambda subject: subject not in table.only)  # those with few labels come first
        rows += [(may[k % len(may)], label) for k in range(count)]
    return rows


def _samples(table: Table, seed: int) -> list[Sample]:
    """The rows, sorted by subject."""
    rng = stream(seed, 3)
    ranks: dict[str, int] = {}
    samples = list(table.named)
    subjects, labels = table.recipe.subjects, list(table.emotions)
    dealt = [(*pair, "micro") for pair in _dealt(table)]
    dealt += [(subjects[k % len(subjects)], labels[k % len(labels)], "macro") for k in range(table.macro)]
    for turn, (subject, label, kind) in enumerate(dealt):
        length = 2 if _in_paths(table) else 60
        rank = ranks[subject] = ranks.get(subject, -1) + 1
        slot = Slot(turn, subject, rank, length, length // 2, int(rng.integers(1, 61)))
        made = table.recipe.make(slot, label)
        samples.append(next(s for s in made if s.dataset == table.dataset)._replace(kind=kind))
    return sorted(samples, key=lambda sample: subjects.index(sample.subject))


def _coded(table: Table, samples: list[Sample]) -> list[Sample]:
    """With objective classes: I to V one to each subject that may have them, then the next to each, and so on."""
    if not table.objective:
        return samples
    may = set(table.recipe.subjects[: table.coded or None])
    seen: dict[str, int] = {}
    order = []
    for place, sample in enumerate(samples):
        rank = seen[sample.subject] = seen.get(sample.subject, -1) + 1
        order.append((sample.subject not in may, rank, place))
    classes = [number for number, count in table.objective.items() for _ in range(count)]
    coded = dict(zip((place for *_, place in sorted(order)), classes, strict=True))
    return [sample._replace(objective=coded[place]) for place, sample in enumerate(samples)]
