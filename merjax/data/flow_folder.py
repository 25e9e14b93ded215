"""Folders of ready-made optical-flow images with a table: red, green, blue = u, v, optical strain, 8 bits each."""

import csv
import functools
import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import UInt8

from merjax.data.account import summed
from merjax.data.loader import some
from merjax.data.record import Account
from merjax.types import Annotation, Clip, Dataset, InputError

CLASSES = ("negative", "positive", "surprise")
PHASES = ("onset_apex", "apex_offset")
REPAIRS = ("none", "strict")

OWN_TABLE = "labels.csv"
SHARED_TABLE = "combined_3_class2_for_optical_flow.csv"
SHARED_IMAGES = "STSNet_whole_norm_u_v_os"
SHARED_LABELS = ("0", "1", "2")  # in the order of CLASSES

_Flow = UInt8[np.ndarray, "h w 3"]


class _Row(NamedTuple):
    where: str  # table and row number, for sentences
    clip: Annotation  # files: one path for each phase, empty where the clip has no image of its own
    fault: str = ""


def read(root: str, *, phases: tuple[str, ...] = ("onset_apex",), repair: str = "none") -> Dataset:
    """Reads a folder of flow images: one with labels.csv, or one laid out like the repositories of STSTNet and HTNet.

    `labels.csv` has the columns dataset, subject, clip, label (a class name), onset_apex and apex_offset (image paths
    relative to the table). The other layout is the folder `STSNet_whole_norm_u_v_os` with images named
    `<sub>_<filename_o> .png`, and `<sub>_<filename_o>_1 .png` for the second phase, near the table
    `combined_3_class2_for_optical_flow.csv`. Every image is read once, here, and kept in memory.

    Args:
      root: the folder; the image folder of the second layout or one of the two folders above it will do.
      phases: the fields of Clip to fill, out of `onset_apex` and `apex_offset`; only their images are read.
      repair: `none` refuses the folder at the first clip with a fault, `strict` leaves such clips out and lists them.

    Returns:
      The clips, sorted by database, subject and clip. A loaded clip holds float32 images of value / 255, so in 0..1;
      the zero of u and v is not moved.

    Raises:
      InputError: the folder, its table or (unless `repair` is `strict`) one of its clips has a fault.
    """
    if repair not in REPAIRS:
        raise InputError(f"--config.data.repair={repair} is unknown to a flow folder: give {' or '.join(REPAIRS)}.")
    if not phases or not set(phases) <= set(PHASES):
        raise InputError(f"A flow folder has the phases {' and '.join(PHASES)}, but was asked for {phases}.")
    rows, unnamed = _rows(_folder(root), phases)
    _refuse_duplicates(rows)
    images = {file: _image(file) for row in rows if not row.fault for file in row.clip.files if file}
    size = _common_size(images)
    rows = [row._replace(fault=row.fault or _image_fault(row.clip, phases, images, size)) for row in rows]
    faults = tuple(f"{row.where}, clip {row.clip.sample_id}: {row.fault}" for row in rows if row.fault)
    clips = tuple(sorted(row.clip for row in rows if not row.fault))
    if faults and repair == "none":
        count = f" ({len(faults)} clips have faults)" if len(faults) > 1 else ""
        raise InputError(f"{faults[0]}{count}; --config.data.repair=strict leaves such clips out.")
    if not clips:
        raise InputError(f"No clip is left of {len(rows)}, for each has a fault; the first is {faults[0]}.")
    told = [f"{summed(Account(rows=len(rows)), len(clips), 0, len(faults))}."]
    told += [f"Left out: {some(faults, 2)}."] * bool(faults)
    told += [f"Images that no row names: {len(unnamed)} ({some(unnamed, 3)})."] * bool(unnamed)
    account = tuple(told)
    kept = {file: image for file, image in images.items() if not isinstance(image, str)}
    load = functools.partial(_load, kept, phases)
    left_out = tuple(f"{fault}." for fault in faults)
    return Dataset("flow_folder", CLASSES, clips, load, left_out, lambda: account, account)


def _load(images: dict[str, _Flow], phases: tuple[str, ...], annotation: Annotation) -> Clip:
    flow = {phase: images[file].astype(np.float32) / 255 for phase, file in zip(phases, annotation.files, strict=True)}
    return Clip(onset_apex=flow.get("onset_apex"), apex_offset=flow.get("apex_offset"))


def _folder(root: str) -> Path:
    if not root.strip():
        raise InputError("No folder of flow images was given: name it with --config.data.root=FOLDER.")
    folder = Path(os.path.abspath(os.path.expanduser(root)))  # absolute, so that it has parents
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise InputError(f"{folder} {what}: --config.data.root= takes the folder that holds the flow images.")
    return folder


def _rows(root: Path, phases: tuple[str, ...]) -> tuple[list[_Row], list[str]]:
    """The rows of the folder's table, and the names of images beside theirs that no row names."""
    if (root / OWN_TABLE).is_file():
        return _own_rows(root / OWN_TABLE, phases)
    for folder in (root / SHARED_IMAGES, root / "datasets" / SHARED_IMAGES, root):
        for place in (folder, folder.parent, folder.parent.parent):
            if (place / SHARED_TABLE).is_file() and (images := _images_by_stem(folder)):
                return _shared_rows(place / SHARED_TABLE, folder, images, phases)
    names = sorted(path.name for path in root.iterdir())
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    raise InputError(
        f"{root} is not a folder of flow images: looked for {OWN_TABLE}, and for PNG images in {SHARED_IMAGES}, in "
        f"datasets/{SHARED_IMAGES} or in the folder itself with {SHARED_TABLE} beside them or up to two folders above "
        f"them; it holds {', '.join(names[:8]) or 'nothing'}{more}."
    )


def _images_by_stem(folder: Path) -> dict[str, Path]:
    """Lists the PNG files of a folder by name without suffix and trailing blank."""
    paths = folder.iterdir() if folder.is_dir() else ()
    # Reversed, so that of `x .png` and `x.png` the first stays: it is the repositories' own spelling.
    return {path.stem.rstrip(): path for path in sorted(paths, reverse=True) if path.suffix.lower() == ".png"}


def _own_rows(table: Path, phases: tuple[str, ...]) -> tuple[list[_Row], list[str]]:
    rows, named = [], set[Path]()
    for line, cells in _table(table, ("dataset", "subject", "clip", "label", *phases)):
        files = tuple(str(table.parent / cells[phase]) if cells[phase] else "" for phase in phases)
        names = (cells["dataset"], cells["subject"], cells["clip"])
        rows.append(_row(f"{table} row {line}", names, cells["label"], CLASSES, files))
        named |= {table.parent / cells[phase] for phase in PHASES if cells.get(phase)}  # of phases not asked for too
    there = {path for folder in {path.parent for path in named} for path in _images_by_stem(folder).values()}
    return rows, sorted(path.name for path in there - named)


def _shared_rows(
    table: Path, folder: Path, images: dict[str, Path], phases: tuple[str, ...]
) -> tuple[list[_Row], list[str]]:
    rows = []
    for line, cells in _table(table, ("dataset", "sub", "filename_o", "label")):
        names = (cells["dataset"], cells["sub"], cells["filename_o"])
        rows.append(_row(f"{table} row {line}", names, cells["label"], SHARED_LABELS, ()))
    # The column imagename is wrong for SMIC: names are put together from subject and clip.
    stems = [f"{row.clip.subject}_{row.clip.clip}" for row in rows]
    taken = set(stems)

    def file(stem: str, phase: str) -> str:
        if phase == "apex_offset" and f"{stem}_1" in taken:
            return ""
        name = stem if phase == "onset_apex" else f"{stem}_1"
        return str(images.get(name, folder / f"{name} .png"))

    rows = [
        row._replace(clip=row.clip._replace(files=tuple(file(stem, phase) for phase in phases)))
        for row, stem in zip(rows, stems, strict=True)
    ]
    return rows, sorted(images[stem].name for stem in set(images) - taken - {f"{stem}_1" for stem in stems})


def _row(where: str, names: tuple[str, str, str], label: str, labels: tuple[str, ...], files: tuple[str, ...]) -> _Row:
    database, subject, clip = names
    if subject and database.lower() == "samm":
        subject = subject.zfill(3)  # spreadsheets take the leading zeros away
    number = labels.index(label.lower()) if label.lower() in labels else -1
    fault = "" if number >= 0 else f"label {label!r} is none of {', '.join(labels)}"
    if not all(names):
        fault = "its database, subject or clip is empty, and all three should be given"
    return _Row(where, Annotation(database, subject, clip, number, files), fault)


def _table(path: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """Reads the rows that are not blank, each with its line number; cells are stripped, short rows filled up."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [cell.strip().lower() for cell in next(reader, [])]
            lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} can't be read as a table, save it as CSV in UTF-8: {error}.") from error
    if missing := [column for column in columns if column not in header]:
        there = ", ".join(header) or "none"
        raise InputError(
            f"{path} lacks the columns {', '.join(missing)} in its first line; the columns there: {there}."
        )
    empty = dict.fromkeys(header, "")
    rows = [(line, empty | dict(zip(header, cells, strict=False))) for line, cells in lines if any(cells)]
    if not rows:
        raise InputError(f"{path} has no rows: below its header it should list one clip in each row.")
    return rows


def _refuse_duplicates(rows: list[_Row]) -> None:
    seen: dict[tuple[str, str, str], str] = {}
    for where, clip, _ in rows:
        name = (clip.database, clip.subject, clip.clip)
        if name in seen:
            raise InputError(f"{where} repeats the clip {clip.sample_id} of {seen[name]}: keep one row for each clip.")
        seen[name] = where


def _image(file: str) -> _Flow | str:
    """Reads an image in the order red, green, blue, or says what is wrong with it."""
    try:
        content = Path(file).read_bytes()
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"can't be read: {error.strerror}"
    # OpenCV finds a PNG file that is cut short too, but prints to stderr.
    cut = not content or (content.startswith(b"\x89PNG") and b"IEND" not in content)
    image = None if cut else cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        return "can't be read: it is damaged, cut short or no image"
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels != 3 or image.dtype != np.uint8:
        return f"has {channels} channels of {image.dtype}, but should have 3 of uint8 (u, v, optical strain)"
    return image[..., ::-1]


def _common_size(images: dict[str, _Flow | str]) -> tuple[int, ...]:
    sizes = Counter(image.shape[:2] for image in images.values() if not isinstance(image, str))
    return max(sizes, key=lambda size: (sizes[size], size), default=())


def _image_fault(
    clip: Annotation, phases: tuple[str, ...], images: dict[str, _Flow | str], size: tuple[int, ...]
) -> str:
    for phase, file in zip(phases, clip.files, strict=True):
        if not file:
            return f"it has no {phase} image of its own, but the run's input needs one"
        image = images[file]
        if isinstance(image, str):
            return f"its {phase} image {file} {image}"
        if image.shape[:2] != size:
            found, common = ("{} x {}".format(*shape) for shape in (image.shape[:2], size))
            return f"its {phase} image {file} is {found} (height x width), but should be {common} like most images"
    return ""
