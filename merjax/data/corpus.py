"""From a data set's folder to the clips of a run, chosen and labelled by a scheme, and what is told of them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from merjax.data import frames, known, schemes
from merjax.data.apex import SPOTTERS
from merjax.data.known import KNOWN
from merjax.data.loader import Loader
from merjax.data.record import Accounted, Record
from merjax.data.repair import POLICIES
from merjax.data.selection import Chosen, select
from merjax.types import Annotation, Dataset, InputError, pick

COMPOSITES = {"megc2019": "megc2019", "megc2018": "megc2018", "composite": ""}  # name -> its usual scheme
CROPS = ("auto", "none", "centre", "haar", "lbp", "landmarks")


def read(
    parts: tuple[str, ...],
    root: str,
    *,
    part: str = "",
    release: str = "",
    sheet: str = "",
    scheme: str = "",
    own: Mapping[str, Any] = {},
    exclude: tuple[str, ...] = (),
    apex: str = "midpoint",
    crop: str = "auto",
    size: int = 128,
    fps: float = 0.0,
    phases: tuple[str, ...] = (),
    repair: str = "flag",
) -> Dataset:
    """Reads a licensed data set.

    Args:
        parts: keys in `KNOWN`, the one to take by default first.
        root: folder of the data set.
        part: one of `parts`; empty for the first.
        release: as its reader takes it; empty for the first that is there.
        sheet: as its reader takes it; empty for the first that is there.
        scheme: name in `schemes.SCHEMES`; empty for the usual one.
        own: a scheme of the user's own, class -> its emotions, or its objective classes 1 to 7; then `scheme` is not
            read.
        exclude: sample_ids of clips to leave out.
        apex: spotter in `apex.SPOTTERS`, for clips whose apex is missing or is the onset or offset.
        crop: "none" takes the whole frame, "centre" its middle square, "haar", "lbp" and "landmarks" find the face
            on the onset frame, "auto" finds it unless the release is of faces already.
        size: side of the crops in pixels (OUR CHOICE).
        fps: frames a second, where the data set does not say; 0 for unknown.
        phases: without influence, for frames can give every phase.
        repair: `flag` repairs what is certain, `strict` also leaves out every clip with an issue, for which it decodes
            every frame, `none` takes the sheet as it is.

    Returns:
        The clips in the order of their names.

    Raises:
        InputError: the folder, its sheet or an argument has a fault, or no clip is left.

    Source: the face of the onset frame for all frames is STATED; the midpoint by default is INFERRED from the largest
        benchmark's code.
    """
    check(apex, crop, size, repair)
    chosen = choose(
        parts,
        root,
        part=part,
        release=release,
        sheet=sheet,
        scheme=scheme,
        own=own,
        exclude=exclude,
        fps=fps,
        repair=repair,
    )
    return loading(chosen, apex=apex, crop=crop, size=size)


def choose(
    parts: tuple[str, ...],
    root: str,
    *,
    part: str = "",
    release: str = "",
    sheet: str = "",
    scheme: str = "",
    own: Mapping[str, Any] = {},
    exclude: tuple[str, ...] = (),
    fps: float = 0.0,
    repair: str = "flag",
) -> Chosen:
    """The clips of a licensed data set that a run takes; arguments and errors as `read`."""
    dataset = part or parts[0]
    pick(dict.fromkeys(parts), "part", dataset)
    place, source = frames.absolute(root), KNOWN[dataset]
    records = source.records(place, release=release, sheet=sheet, repair="none" if repair == "none" else "flag")
    records = at_rate(records, fps)
    chosen = schemes.own(own, records) if own else pick(schemes.SCHEMES, "scheme", scheme or source.scheme)
    data_sets = {origin(dataset, records, place, chosen, sheet): records}
    return select(dataset, data_sets, chosen, exclude=exclude, repair=repair)


def composite(
    root: str,
    *,
    parts: tuple[str, ...] = (),
    scheme: str = "",
    own: Mapping[str, Any] = {},
    exclude: tuple[str, ...] = (),
    apex: str = "midpoint",
    crop: str = "auto",
    size: int = 128,
    fps: float = 0.0,
    phases: tuple[str, ...] = (),
    repair: str = "flag",
) -> Dataset:
    """Reads several data sets under one scheme, each from the folder in `root`, or `root` itself, that holds it.

    `parts` are keys in `KNOWN`; empty for those of the scheme. `own` goes with `parts`. Other arguments, result and
    errors as `read`. Equal names of subjects in two data sets are two people. Of CASME II the sheet of 2014 is read,
    whatever others lie beside it, as MEGC 2019 has it, and for MEGC 2018 the file of objective classes.
    """
    check(apex, crop, size, repair)
    chosen = choose_composite(root, parts=parts, scheme=scheme, own=own, exclude=exclude, fps=fps, repair=repair)
    return loading(chosen, apex=apex, crop=crop, size=size)


def choose_composite(
    root: str,
    *,
    parts: tuple[str, ...] = (),
    scheme: str = "",
    own: Mapping[str, Any] = {},
    exclude: tuple[str, ...] = (),
    fps: float = 0.0,
    repair: str = "flag",
) -> Chosen:
    """The clips of several data sets that a run takes; arguments and errors as `composite`."""
    fixed = schemes.Scheme("own", {}) if own else pick(schemes.SCHEMES, "scheme", scheme)
    names = tuple(dict.fromkeys(parts)) or fixed.datasets
    if not names:
        raise InputError(f"parts is empty; beside a scheme of your own it should name data sets, of {', '.join(KNOWN)}")
    found = {name: member(frames.absolute(root), name, "none" if repair == "none" else "flag") for name in names}
    records = [record for _, some in found.values() for record in some]
    chosen = schemes.own(own, records) if own else fixed
    data_sets = {origin(name, some, place, chosen): at_rate(some, fps) for name, (place, some) in found.items()}
    return select(chosen.name, data_sets, chosen, exclude=exclude, repair=repair)


def at_rate(records: Accounted[Record], fps: float) -> Accounted[Record]:
    """The records, those that state no frames a second with this number of them."""
    return Accounted((record._replace(fps=record.fps or fps) for record in records), records.account)


def member(root: Path, dataset: str, repair: str) -> tuple[Path, Accounted[Record]]:
    """The folder of one data set of a composite, and its clips.

    Raises:
        InputError: there is no such data set, or no folder holds it; then the sentence gives the reason of the folder
            that came nearest.
    """
    source, reasons = pick(KNOWN, "parts", dataset), list[str]()
    for place in (*map(Path, frames.subfolders(root).values()), root):
        try:
            found = source.records(place, repair=repair)
        except InputError as error:
            reasons.append(str(error).rstrip("."))
            continue
        if any(record.frames for record in found):
            return place, found
        codes = f": the first has {', '.join(found[0].issues)}" if found else ""
        reasons.append(f"{place} has its sheet, but frames of none of its {len(found)} clips{codes}")
    # A reader looks for its folders first, so another reason means that it found those.
    nearest = next((reason for reason in reasons if "holds no frames" not in reason), reasons[-1])
    raise InputError(f"{root} and the folders in it do not hold {source.title} as it should be: {nearest}.")


def loading(
    chosen: Chosen,
    *,
    apex: str,
    crop: str,
    size: int,
    held: Callable[[Record], Mapping[str, bytes]] | None = None,
) -> Dataset:
    """The data set of a run from its clips; arguments as `Loader`.

    Raises:
        InputError: the spotter lacks the frames a second.
    """
    if apex != "midpoint" and (slow := [record.dataset for record in chosen.records if record.fps <= 0]):
        raise InputError(f"apex is '{apex}', which needs the frames a second, and {slow[0]} states none: give fps")
    loader = Loader({r.sample_id: r for r in chosen.records}, apex=apex, crop=crop, size=size, held=held)
    clips = tuple(annotation(r, k) for r, k in zip(chosen.records, chosen.labels, strict=True))
    notes = lambda: (*chosen.told, *loader.notes())  # noqa: E731
    return Dataset(chosen.name, chosen.classes, clips, loader, chosen.left_out, notes, account=chosen.told)


def annotation(record: Record, label: int) -> Annotation:
    """A record as a run knows it; the name of a clip that holds several samples ends in the onset, as its sample_id."""
    clip = record.sample_id.removeprefix(f"{record.dataset}/{record.subject}/")
    return Annotation(record.dataset, record.subject, clip, label, record.frames)


def origin(dataset: str, records: Sequence[Record], root: Path, scheme: schemes.Scheme, asked: str = "") -> str:
    """The sentence on where clips come from: data set, release and the sheet of their labels.

    Args:
        dataset: key in `KNOWN`.
        records: its clips.
        root: its folder.
        scheme: says whether labels are emotions or objective classes.
        asked: name of the sheet, if it was named.
    """
    objective = schemes.by_objective(scheme.groups.get(dataset, {}))
    sheet = known.sheet(KNOWN[dataset], root, asked, objective=objective)
    releases = ", ".join(sorted({record.release for record in records}))
    labels = f"labels of sheet {sheet.name}" if sheet else "labels of its folders"
    return f"{KNOWN[dataset].title}: release {releases}, {labels}."


def check(apex: str, crop: str, size: int, repair: str) -> None:
    """Refuses arguments before anything is read.

    Raises:
        InputError: one of them is unknown or out of range.
    """
    pick(SPOTTERS, "apex", apex)
    pick(dict.fromkeys(CROPS), "crop", crop)
    pick(dict.fromkeys(POLICIES), "data.repair", repair)
    if size < 1:
        raise InputError(f"size is {size} pixels; it must be 1 or more")
