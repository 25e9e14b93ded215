"""Builds a miniature copy of a data set from its recipe: invented clips in the published layout, faults on request.

A recipe is data: which subjects and folders there are, what a sound sample looks like, which samples carry a fault.
Names, numbers and faces are invented; only the few rows that the specification names for repairs bear real names.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import openpyxl

from merjax.data.faces import stream
from merjax.data.trees.pictures import encoded, position
from merjax.data.trees.recipe import Book, Layout, Recipe, Sample, Slot, Tree, digits
from merjax.types import InputError, pick

DOUBLED = "doubled_folder"  # the archive's top folder once more inside itself


def write(
    recipe: Recipe,
    root: Path,
    *,
    seed: int = 0,
    subjects: int = 3,
    clips: int = 9,
    length: int = 8,
    size: int = 48,
    faults: tuple[str, ...] = ("all",),
    releases: tuple[str, ...] = (),
) -> Tree:
    """Writes a miniature data set below a folder; the same arguments write the same images and the same cells.

    Args:
        recipe: of the data set.
        root: a folder, made if need be; nothing in it is overwritten.
        seed: another number gives other faces and frame numbers.
        subjects: how many sound subjects; rows with faults may bring others.
        clips: how many sound micro-expressions, dealt out to the subjects in turn.
        length: frames from onset to offset of a sound clip on average; they differ by one.
        size: height of a frame in pixels, at least 16; crops may be a few pixels smaller.
        faults: names out of `recipe.faults`, "all" for every one, none for a sound tree.
        releases: which of the recipe's layouts to write; none means every one.

    Returns:
        The samples with their true numbers, and the sheets.

    Raises:
        InputError: an argument is out of its range, or the root already holds a part of such a tree.
    """
    limits = {"subjects": (subjects, 1, len(recipe.subjects)), "size": (size, 16, 1080), "length": (length, 5, 999)}
    for name, (value, low, high) in limits.items():
        if not low <= value <= high:
            raise InputError(f"tree: {name} is {value} and must be between {low} and {high}.")
    planted = tuple(recipe.faults) if faults == ("all",) else faults
    known = {layout.release: layout for layout in recipe.layouts}
    layouts = [pick(known, "tree: releases", name) for name in releases or known]
    if DOUBLED in planted:
        layouts = [x._replace(folder=f"{x.folder.partition('/')[0]}/{x.folder}") for x in layouts]

    slots = _slots(recipe, seed, subjects, clips, length)
    samples = [sample for slot, emotion in slots for sample in recipe.make(slot, emotion)]
    for fault in planted:
        samples += [sample._replace(fault=fault) for sample in pick(recipe.faults, "tree: faults", fault)]
    samples.sort(key=lambda sample: digits(sample.subject))  # the sort is stable
    return save(root, layouts, samples, recipe.sheets(samples, planted), planted, seed=seed, size=size)


def save(
    root: Path,
    layouts: list[Layout],
    samples: list[Sample],
    books: Mapping[str, Book],
    planted: tuple[str, ...] = (),
    *,
    seed: int,
    size: int,
) -> Tree:
    """Writes the frames of the samples that have a folder, and the workbooks.

    Raises:
        InputError: the root already holds a part of the tree.
    """
    samples = [sample._replace(folders=_folders(layouts, sample)) for sample in samples]
    tops = {Path(path).parts[0] for path in [*books, *(f for sample in samples for f in sample.folders.values())]}
    if taken := sorted(top for top in tops if (root / top).exists()):
        raise InputError(f"tree: {root} already holds {taken[0]}; give a folder without it.")
    for layout in layouts:
        _write_release(root, layout, samples, seed, size)
    return Tree(root, tuple(samples), planted, _save_sheets(root, books))


def _slots(recipe: Recipe, seed: int, subjects: int, clips: int, length: int) -> list[tuple[Slot, str]]:
    rng = stream(seed, 2)
    slots = []
    for index in range(clips):
        frames = max(length + index % 3 - 1, 5)
        rise = int(rng.integers(2, max(frames // 2, 3) + 1))
        rank = index // subjects
        slot = Slot(index, recipe.subjects[index % subjects], rank, frames, rise, int(rng.integers(1, 61)))
        # The rank shifts the turn, so that no subject gets one emotion only.
        slots.append((slot, recipe.emotions[(index + rank) % len(recipe.emotions)]))
    return slots


def _fields(sample: Sample) -> dict[str, object]:
    return sample._asdict() | dict(sample.disk)


def _folders(layouts: list[Layout], sample: Sample) -> dict[str, str]:
    wanted = [x for x in layouts if sample.on_disk and x.kind in ("", sample.kind)]
    return {layout.release: layout.folder.format(**_fields(sample)) for layout in wanted}


def _write_release(root: Path, layout: Layout, samples: list[Sample], seed: int, size: int) -> None:
    """Writes every folder once, for several samples may share it."""
    shared: dict[str, list[Sample]] = {}
    for sample in samples:
        if layout.release in sample.folders:
            shared.setdefault(sample.folders[layout.release], []).append(sample)
    for folder, members in shared.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        shown = {n: sample for sample in members for n in sample.numbers}
        for s in members:
            around = range(max(min(1, s.first), s.first - layout.head), s.last + layout.head + 1)
            shown |= {n: s for n in around if n not in shown and not any(n in m.missing for m in members)}
        for n, sample in shown.items():
            path = root / folder / layout.name.format(n=n, **_fields(sample))
            path.write_bytes(_content(layout, sample, n, path.suffix, seed, size))
        for sample in members:
            _spoil(root / folder, layout, sample)


def _content(layout: Layout, sample: Sample, n: int, suffix: str, seed: int, size: int) -> bytes:
    height = size - 2 * (sample.first % 3) if layout.vary else size
    shape = (round(height * layout.aspect), height)
    files, apex = encoded(seed, digits(sample.subject), sample.action, size, shape, layout.pixels, suffix.lower())
    return files[position(n, sample.first, sample.peak, sample.last, apex, len(files))]


def _spoil(folder: Path, layout: Layout, sample: Sample) -> None:
    """Damages the second frame's file, or lays strangers beside it, as the sample's fault says."""
    file = folder / layout.name.format(n=sample.first + 1, **_fields(sample))
    if sample.fault == "stray_files":
        for name in ("Thumbs.db", f"._{file.name}", ".DS_Store"):
            (folder / name).write_bytes(b"not a picture")
    if sample.fault == "truncated_jpeg" and file.suffix == ".jpg":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    if sample.fault == "short_number":
        file.rename(folder / re.sub(r"_0(\d+)\.", r"_\1.", file.name))


def _save_sheets(root: Path, books: Mapping[str, Book]) -> dict[str, Path]:
    """Writes workbooks below the root; a text that begins with "=" becomes a formula without a cached value."""
    for name, sheets in books.items():
        book = openpyxl.Workbook()
        book.remove(book.worksheets[0])
        for title, rows in sheets.items():
            sheet = book.create_sheet(title)
            for cells in rows:
                sheet.append(cells)
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        book.save(root / name)
    return {Path(name).name: root / name for name in books}
