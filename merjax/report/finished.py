"""Finished runs, read back from their folders."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from merjax import fingerprint
from merjax.report.scores import cautions, chosen
from merjax.types import InputError

COLUMNS = ("seed", "database", "subject", "sample_id", "label", "prediction")
FIELDS = ("classes", "protocol", "held_out", "select", "seeds", "whole", "databases", "selections")


class Run(NamedTuple):
    """What the folder of a finished run tells."""

    name: str
    scores: dict  # the content of scores.json
    protocol: dict  # of its config
    clips: dict[str, tuple[str, str, str]]  # sample_id -> database, subject, class
    prediction: dict[int, dict[str, str]]  # seed -> sample_id -> class
    probability: dict[int, dict[str, tuple[float, ...]]]  # seed -> sample_id -> of every class

    @property
    def words(self) -> str:
        """How its epochs were chosen."""
        return chosen(self.scores)

    @property
    def label(self) -> str:
        """Its name, and what it can't stand without anywhere; see `cautions`."""
        words = ", ".join(cautions(self.scores))
        return f"{self.name} [{words}]" if words else self.name


def read_runs(folders: Sequence[Path]) -> tuple[Run, ...]:
    """Reads finished runs; each is named by its folder, by its path where two folders have one name.

    Raises:
        InputError: a folder given twice, without a finished run, or with tables that are no tables of a run.
    """
    places = [folder.resolve() for folder in folders]
    for i, place in enumerate(places):
        if place in places[:i]:
            raise InputError(f"{folders[i]} is given twice; compare takes different runs")
    unique = len({place.name for place in places}) == len(places)
    return tuple(
        read_run(folder, place.name if unique else str(folder)) for folder, place in zip(folders, places, strict=True)
    )


def read_run(folder: Path, name: str) -> Run:
    """Reads one finished run; raises as `read_runs`."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; compare takes the folders of finished runs")
    if not (folder / "scores.json").is_file():
        if (folder / "config.json").is_file():
            told = f"a run that isn't finished; the same command with --workdir={folder} goes on"
            raise InputError(f"{folder} holds {told}")
        raise InputError(f"{folder} holds no run of merjax: there is no scores.json in it")
    scores, config = (_json(folder / f"{file}.json") for file in ("scores", "config"))
    for field in FIELDS:
        if field not in scores:
            raise InputError(f"{folder / 'scores.json'} has no field '{field}'; train the run with this merjax")
    if "protocol" not in config:
        raise InputError(f"{folder / 'config.json'} has no field 'protocol'; train the run with this merjax")
    run = Run(name, scores, config["protocol"], *_predictions(folder / "predictions.csv", scores["classes"]))
    if len(run.clips) != scores["whole"]["n"]:  # cut off between two rows, or within the last number
        counts = f"{len(run.clips)} clips, scores.json counts {scores['whole']['n']}"
        raise InputError(f"{folder / 'predictions.csv'} holds {counts}; it should be whole, as merjax wrote it")
    if made_of := fingerprint.read(folder):
        trained = {"/".join(clip[:3]): (clip[0], clip[1], clip[3]) for clip in made_of["data"]["clips"]}
        for clip, tested in run.clips.items():
            if trained.get(clip) != tested:
                raise InputError(
                    f"{folder}: clip {clip} is not in {fingerprint.DATA} as it is in predictions.csv; both should "
                    "be of one run, so give the command of the run again"
                )
    return run


def together(runs: Sequence[Run], name: str) -> Run:
    """The run whose probabilities are the mean of those of several runs, seed by seed in their order.

    Raises:
        InputError: runs of other clips, classes, protocols, numbers of seeds, or epochs chosen otherwise.
    """
    first = runs[0]
    for run in runs[1:]:
        for what, one, other in (
            ("clips", first.clips, run.clips),
            ("classes", first.scores["classes"], run.scores["classes"]),
            ("protocol", first.protocol, run.protocol),
            ("rule for the epoch", first.scores["select"], run.scores["select"]),
            ("number of seeds", len(first.prediction), len(run.prediction)),
        ):
            if one != other:
                raise InputError(f"{first.name} and {run.name} differ in their {what}; only like runs are averaged")
    classes = first.scores["classes"]
    probability = {
        seed: {
            clip: tuple(sum(parts) / len(runs) for parts in zip(*(mine[clip] for mine in answers), strict=True))
            for clip in first.clips
        }
        for seed, *answers in zip(first.probability, *(run.probability.values() for run in runs), strict=True)
    }
    prediction = {
        seed: {clip: classes[p.index(max(p))] for clip, p in mine.items()} for seed, mine in probability.items()
    }
    scores = first.scores | {"selections": {}}  # what is known of the runs alone is not known of all of them
    return first._replace(name=name, scores=scores, prediction=prediction, probability=probability)


def _json(path: Path) -> dict:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} can't be read as JSON: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} holds no fields; it should be as merjax wrote it")
    return found


def _predictions(
    path: Path, classes: Sequence[str]
) -> tuple[dict[str, tuple[str, str, str]], dict[int, dict[str, str]], dict[int, dict[str, tuple[float, ...]]]]:
    """The clips, predictions and probabilities of predictions.csv, each clip once for each seed."""
    clips: dict[str, tuple[str, str, str]] = {}
    prediction: dict[int, dict[str, str]] = {}
    probability: dict[int, dict[str, tuple[float, ...]]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            missing = [name for name in (*COLUMNS, *classes) if name not in (table.fieldnames or ())]
            rows = [] if missing else list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} can't be read as a table: {error}") from error
    if missing or not rows:
        raise InputError(
            f"{path} has no {f'column {missing[0]}' if missing else 'rows'}; it should be as merjax wrote it"
        )
    for number, row in enumerate(rows, 2):
        seed, database, subject, clip, label, answer = (row[name] or "" for name in COLUMNS)
        if not seed.isdecimal() or not {label, answer} <= set(classes):
            raise InputError(
                f"{path}, row {number}: seed '{seed}', label '{label}' and prediction '{answer}' should be a number "
                f"and two of {', '.join(classes)}"
            )
        mine = prediction.setdefault(int(seed), {})
        if clip in mine or clips.setdefault(clip, (database, subject, label)) != (database, subject, label):
            raise InputError(f"{path}, row {number}: {clip} stands there twice; every seed should test it once")
        mine[clip] = answer
        try:
            probability.setdefault(int(seed), {})[clip] = tuple(float(row[name]) for name in classes)
        except (TypeError, ValueError) as error:
            raise InputError(f"{path}, row {number}: the probabilities of {clip} should be numbers") from error
    for seed_number, mine in prediction.items():
        if len(mine) < len(clips):
            raise InputError(f"{path}: seed {seed_number} lacks {len(clips) - len(mine)} clips that another seed tests")
    return clips, dict(sorted(prediction.items())), dict(sorted(probability.items()))
