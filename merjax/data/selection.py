"""The clips of a run out of the records of its data sets: usable, labelled by a scheme, with what is told of others."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from merjax.data import account, frames, schemes
from merjax.data.loader import clips_of, counted
from merjax.data.record import Accounted, Record
from merjax.types import InputError

WORKERS = 4
NAMED = "named in exclude"


class Chosen(NamedTuple):
    """The clips of a run, labelled; none of them is loaded yet.

    Attributes:
        name: of the data set.
        classes: names by label.
        records: their frames from onset to offset only.
        labels: of the records, positions in `classes`.
        told: the account of the clips, at most ten sentences.
        left_out: a sentence for each clip that can't be used.
    """

    name: str
    classes: tuple[str, ...]
    records: tuple[Record, ...]
    labels: tuple[int, ...]
    told: tuple[str, ...]
    left_out: tuple[str, ...]


def select(
    name: str,
    data_sets: Mapping[str, Accounted[Record]],
    scheme: schemes.Scheme,
    *,
    exclude: tuple[str, ...],
    repair: str,
) -> Chosen:
    """Labels the records of a run: leaves out what can't be used, and says so.

    Args:
        name: of the run's data set.
        data_sets: a sentence on where they come from -> their records.
        scheme: of the labels.
        exclude: sample_ids of clips to leave out.
        repair: policy for faults.

    Raises:
        InputError: `exclude` names no clip, or no clip is left.
    """
    records = [record for some in data_sets.values() for record in some]
    unknown = set(exclude) - {record.sample_id for record in records}
    if unknown:
        raise InputError(f"exclude names {', '.join(sorted(unknown))}, but no clip has that name, as {_first(records)}")
    reasons = {record.sample_id: _reason(record, scheme, exclude, repair) for record in records}
    if repair == "strict":
        sound = [record for record in records if not reasons[record.sample_id]]
        with ThreadPoolExecutor(WORKERS) as pool:
            for record, is_sound in zip(sound, pool.map(_sound, sound), strict=True):
                reasons[record.sample_id] = "" if is_sound else "unreadable"
    gone = {sample_id: reason for sample_id, reason in reasons.items() if reason}
    left_out = tuple(
        f"{record.sample_id}: {_sentence(record, reasons[record.sample_id])}."
        for record in records
        if reasons[record.sample_id]
    )
    usable = [record for record in records if record.sample_id not in gone]
    if not usable:
        raise InputError(f"no clip is left of {len(records)}; the first is {left_out[0] if left_out else 'missing'}")
    labelled = schemes.apply(usable, scheme)
    inside = {record.sample_id for record in labelled.records}
    others = Counter(_label(record, scheme) for record in usable if record.sample_id not in inside)
    sums = []
    for origin, some in data_sets.items():
        used, lost = (sum(record.sample_id in names for record in some) for names in (inside, gone))
        title = f"{origin.partition(':')[0]}, " if len(data_sets) > 1 else ""
        sums.append(title + account.summed(some.account, used, len(some) - used - lost, lost))
    told = [*account.lines(tuple(data_sets)), f"{'; '.join(sums)}."]
    told.append(f"Labels are by scheme {scheme.name}: {', '.join(scheme.classes)}.")
    told += [f"{clips_of(others.total())} outside these classes: {counted(others)}."] * bool(others)
    told += [f"Left out {clips_of(len(gone))}: {account.grouped(gone)}."] * bool(gone)
    told += account.faults(labelled.records)
    told += account.beside((some.account for some in data_sets.values()), records)
    told = [" ".join(account.printable(sentence).splitlines()) for sentence in told]  # a line each, whatever the names
    kept = tuple(_trimmed(record) for record in labelled.records)
    labels = tuple(int(label) for label in labelled.labels)
    return Chosen(name, scheme.classes, kept, labels, tuple(told), left_out)


def _reason(record: Record, scheme: schemes.Scheme, exclude: Collection[str], repair: str) -> str:
    """Why a clip can't be used, in short: the codes of its faults, or a few words; empty if it can."""
    if record.sample_id in exclude:
        return NAMED
    if not record.frames or record.onset_idx < 0:
        return ", ".join(record.issues) or "none in its folder"
    if repair == "strict" and record.issues:
        return ", ".join(record.issues)
    return scheme.exclusions.get((record.dataset, record.subject, record.clip), "")


def _sentence(record: Record, reason: str) -> str:
    empty = not record.frames or record.onset_idx < 0
    return f"it has no frames from onset to offset ({reason})" if empty and reason != NAMED else reason


def _sound(record: Record) -> bool:
    """Whether every frame of a clip can be decoded."""
    try:
        for path in _trimmed(record).frames:
            frames.image(path)
    except InputError:
        return False
    return True


def _trimmed(record: Record) -> Record:
    """The record with its frames from onset to offset only."""
    first, last = record.onset_idx, record.offset_idx
    return record._replace(
        frames=record.frames[first : last + 1],
        frame_numbers=record.frame_numbers[first : last + 1],
        onset_idx=0,
        apex_idx=None if record.apex_idx is None else record.apex_idx - first,
        offset_idx=last - first,
    )


def _label(record: Record, scheme: schemes.Scheme) -> str:
    objective = schemes.by_objective(scheme.groups[record.dataset])
    return str(record.objective_class) if objective else record.emotion or "no label"


def _first(records: Sequence[Record]) -> str:
    return records[0].sample_id if records else "there is none"
