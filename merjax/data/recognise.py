"""Which licensed data sets lie in a folder: those whose readers find their layout and their sheet there."""

from pathlib import Path
from typing import NamedTuple

from merjax.data import frames
from merjax.data.known import KNOWN, Known, sheet
from merjax.data.record import Accounted, Record
from merjax.types import InputError

FOLDERS = 30  # of the root that are looked into, besides those of a data set that it holds itself


class Found(NamedTuple):
    """A data set in a folder.

    Attributes:
        name: key in `KNOWN`.
        root: absolute path of the folder.
        records: clips of micro-expressions, by `repair="flag"`, and the account of the sheet's rows.
        sheet: the annotation sheet; None if the data set has none.
    """

    name: str
    root: Path
    records: Accounted[Record]
    sheet: Path | None


def recognise(root: str | Path) -> tuple[Found, ...]:
    """Reads every data set that lies in a folder, and those that lie in its folders beside them.

    A folder may look like a data set's for one of its folders alone, as CASME2 and SAMM side by side do for SAMM's. So
    folders that belong to none that was found are looked into as well, for data sets that were not.

    Raises:
        InputError: there is none; the sentence says what was expected and what was found.
    """
    place = frames.absolute(root)
    found, near = _in(place)
    own = {name.casefold() for one in found for name in (*KNOWN[one.name].folders, *_used(one))}
    there = {one.name for one in found}
    rest = [folder for name, folder in frames.subfolders(place).items() if name not in own]
    for folder in rest[:FOLDERS]:
        inner, resembling = _in(Path(folder))
        found += [one for one in inner if one.name not in there]
        near += resembling
    if not found:
        raise InputError(f"{place} holds no data set that can be read: {'; '.join(near[:3]) or _told(place)}.")
    return tuple(found)


def _used(found: Found) -> set[str]:
    """Names of the folders in a data set's folder that hold its clips or its sheet."""
    paths = {Path(record.frames[0]) for record in found.records if record.frames} | {found.sheet}
    return {path.relative_to(found.root).parts[0] for path in paths if path}


def _in(place: Path) -> tuple[list[Found], list[str]]:
    """The data sets in a folder; if there is none, what those lack that it resembles."""
    found, near = list[Found](), list[str]()
    tables = {name: sheet(known, place) for name, known in KNOWN.items()}
    for name, known in KNOWN.items():
        if not known.sheets or tables[name]:  # a reader that misses its sheet would fail, which takes time
            read, why = _read(place, known)
            found += [Found(name, place, read, tables[name])] * (not why)
    for name, known in KNOWN.items() if not found else ():
        if _resembles(place, known, tables[name]):
            near.append(f"it resembles {known.title}, but {_read(place, known)[1]}")
    return found, near


def _read(place: Path, known: Known) -> tuple[Accounted[Record], str]:
    """The clips of a data set, and why it can't be read; empty if it can."""
    try:
        records = known.records(place)
    except InputError as error:
        return Accounted(), str(error).rstrip(".")
    if any(record.frames for record in records):
        return records, ""
    if not records:
        return records, "it has no clips"
    first, issues = records[0].sample_id, ", ".join(records[0].issues)
    return records, f"no clip of its sheet has frames: {first}, the first of {len(records)}, has {issues}"


def _resembles(place: Path, known: Known, table: Path | None) -> bool:
    """Whether the sheet of a data set is there, or a folder that only it has."""
    shared = [name for name in known.folders if sum(name in other.folders for other in KNOWN.values()) > 1]
    own = {name.casefold() for name in known.folders} - {name.casefold() for name in shared}
    return bool(own & {place.name.casefold(), *frames.subfolders(place)}) or table is not None


def _told(place: Path) -> str:
    expected = dict.fromkeys(_expected(known) for known in KNOWN.values())  # two cameras may share their folders
    there = sorted(frames.names(place), key=frames.natural)
    more = f" and {len(there) - 8} more" if len(there) > 8 else ""
    return f"expected {'; '.join(expected)}; found {', '.join(there[:8]) or 'nothing'}{more}"


def _expected(known: Known) -> str:
    title = known.title.partition(",")[0]
    return f"{title} in {' or '.join(known.folders)}" + (f" with {known.sheets[0]}" if known.sheets else "")
