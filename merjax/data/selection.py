"""The clips of a run out of the records of its data sets: usable, labelled by a scheme, with what is told of others."""

from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from merjax.data import frames, schemes
from merjax.data.loader import clips_of, counted
from merjax.data.record import Record
from merjax.types import InputError

WORKERS = 4


class Chosen(NamedTuple):
    """The clips of a run, labelled; none of them is loaded yet.

    Attributes:
        name: of the data set.
        classes: names by label.
        records: their frames from onset to offset only.
        labels: of the records, positions in `classes`.
        told: sentences on where the clips come from.
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
    records: Sequence[Record],
    scheme: schemes.Scheme,
    told: Sequence[str],
    *,
    exclude: tuple[str, ...],
    repair: str,
) -> Chosen:
    """Labels the records of a run: leaves out what can't be used, and says so.

    Raises:
        InputError: `exclude` names no clip, or no clip is left.
    """
    unknown = set(exclude) - {record.sample_id for record in records}
    if unknown:
        raise InputError(f"exclude names {', '.join(sorted(unknown))}, but no clip has that name, as {_first(records)}")
    reasons = {record.sample_id: _reason(record, exclude, repair) for record in records}
    usable = [record for record in records if not reasons[record.sample_id]]
    if repair == "strict":
        with ThreadPoolExecutor(WORKERS) as pool:
            for record, sound in zip(usable, pool.map(_sound, usable), strict=True):
                reasons[record.sample_id] = "" if sound else "unreadable"
        usable = [record for record in usable if not reasons[record.sample_id]]
    left_out = [f"{sample_id}: {reason}." for sample_id, reason in reasons.items() if reason]
    if not usable:
        raise InputError(f"no clip is left of {len(records)}; the first is {left_out[0] if left_out else 'missing'}")
    labelled = schemes.apply(usable, scheme)
    inside = {record.sample_id for record in labelled.records}
    named = [record for record in usable if (record.dataset, record.subject, record.clip) in scheme.exclusions]
    left_out += [
        f"{record.sample_id}: {scheme.exclusions[record.dataset, record.subject, record.clip]}." for record in named
    ]
    others = Counter(_label(r, scheme) for r in usable if r.sample_id not in inside and r not in named)
    sentences = [*told, f"Labels are by scheme {scheme.name}: {', '.join(scheme.classes)}."]
    if others:
        sentences.append(f"{clips_of(others.total())} outside these classes: {counted(others)}.")
    issues = Counter(issue for record in labelled.records for issue in record.issues)
    if issues:
        sentences.append(f"Faults of the clips that are used, as the reader met them: {counted(issues)}.")
    kept = tuple(_trimmed(record) for record in labelled.records)
    labels = tuple(int(label) for label in labelled.labels)
    return Chosen(name, scheme.classes, kept, labels, tuple(sentences), tuple(left_out))


def _reason(record: Record, exclude: Collection[str], repair: str) -> str:
    """Why a clip can't be used; empty if it can."""
    if record.sample_id in exclude:
        return "named in exclude"
    if not record.frames or record.onset_idx < 0:
        return f"it has no frames from onset to offset ({', '.join(record.issues) or 'none in its folder'})"
    return ", ".join(record.issues) if repair == "strict" else ""


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
