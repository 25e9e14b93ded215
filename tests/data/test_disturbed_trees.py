"""Every drawn tree, disturbed as people's copies are: the account adds up and no wrong frame is called annotated."""

import os
import re
import shutil
from pathlib import Path

import openpyxl
import pytest

from merjax.data import corpus, describe, frames
from merjax.data.known import KNOWN
from merjax.data.trees import RECIPES, TREES
from merjax.types import InputError

SIZE = {"size": 16, "clips": 4, "subjects": 2, "length": 6}
WHOLE = {
    ("casme2", "raw_full"),
    ("casme_sq", "raw_full"),
    ("casme3a", "raw_full"),
}  # recordings that begin with frame 1
RELEASES = [
    (name, layout.release)
    for name, recipe in RECIPES.items()
    for layout in recipe.layouts
    if layout.release not in ("depth", "depth_full", "macro")
]
STRAYS = ("reg_img12 (1).jpg", "flow_u_1.jpg", "flow_v_1.jpg", "img_224.jpg", "landmarks68.jpg", "cover.jpg")


class Copy:
    """A copy of a tree that may be disturbed, with the true number of the frame in each of its files."""

    def __init__(self, tree, root):
        self.samples, self.root = tree.samples, root / "data"
        shutil.copytree(tree.root, self.root, copy_function=os.link)
        self.sheets = [self.root / path.relative_to(tree.root) for path in tree.sheets.values()]
        for path in self.sheets:  # edited later, and the tree's own should stay
            content = path.read_bytes()
            path.unlink()
            path.write_bytes(content)
        self.folders = sorted({self.root / folder for s in tree.samples for folder in s.folders.values()})
        self.number = {path: frames.number(path.stem) for folder in self.folders for path in pictures(folder)}
        self.strays = set()


def pictures(folder):
    return [path for path in folder.iterdir() if path.suffix in frames.SUFFIXES and not path.name.startswith(".")]


def around_number(path):
    return re.fullmatch(r"(.*?)(\d+)(\D*)", path.name).groups()


def completed(copy):
    """Gives whole recordings their frames from 1 on, which a small tree leaves out."""
    for folder in copy.folders:
        first = min(pictures(folder), key=copy.number.get)
        before, digits, after = around_number(first)
        for number in range(1, int(digits)):
            path = folder / f"{before}{number}{after}"
            os.link(first, path)
            copy.number[path] = number


def renumbered(copy, base):
    for folder in copy.folders:
        moved = []
        for place, path in enumerate(sorted(pictures(folder), key=copy.number.get), start=base):
            before, digits, after = around_number(path)
            away = path.rename(folder / f"moved {place}")
            moved.append((away, folder / f"{before}{place:0{len(digits)}}{after}", copy.number.pop(path)))
        for away, path, number in moved:
            copy.number[away.rename(path)] = number


def edited(copy, change):
    for path in copy.sheets:
        book = openpyxl.load_workbook(path)
        for page in book.worksheets:
            if page.max_row > 1:
                change(page)
        book.save(path)


def header_of(page):
    """The row of the header, 0 where there is none, and the column of the subjects."""
    for row in page.iter_rows(max_row=30):
        for cell in row:
            if str(cell.value).lower().rstrip("'") in ("subject", "sub", "sub_id"):
                return cell.row, cell.column
    return 0, 1


def with_blank_rows(copy):
    def change(page):
        header, _ = header_of(page)
        for row in (page.max_row + 1, (header + page.max_row) // 2 + 1, header + 1):
            page.insert_rows(row, 2)

    edited(copy, change)


def with_merged_subjects(copy):
    def change(page):
        header, column = header_of(page)
        row = header + 1
        while row <= page.max_row and not page.title.startswith("naming"):
            end, subject = row, page.cell(row, column).value
            while subject and page.cell(end + 1, column).value == subject:
                end += 1
            if end > row:
                page.merge_cells(start_row=row, end_row=end, start_column=column, end_column=column)
            row = end + 1

    edited(copy, change)


def with_emptied_subjects(copy):
    """As a CSV file has merged cells."""
    with_merged_subjects(copy)
    edited(copy, lambda page: [page.unmerge_cells(str(span)) for span in list(page.merged_cells.ranges)])


def with_strays(copy):
    for folder in copy.folders:
        image = pictures(folder)[0]
        for name in STRAYS:
            shutil.copy(image, folder / name)
            copy.strays.add(folder / name)


def with_neighbours(copy):
    """Another data set lies in a folder beside, and its releases beside those of this one."""
    other = "casme2" if copy.samples[0].dataset == "samm" else "samm"
    TREES[other](copy.root / "another", faults=(), **SIZE)
    if copy.samples[0].dataset != "casme2":
        TREES[other](copy.root, faults=(), **SIZE)


def with_everything(copy):
    with_merged_subjects(copy)
    with_blank_rows(copy)
    renumbered(copy, 1)
    with_strays(copy)
    with_neighbours(copy)


DISTURBED = {
    "as it is": lambda copy: None,
    "numbered from 1": lambda copy: renumbered(copy, 1),
    "numbered from 0": lambda copy: renumbered(copy, 0),
    "blank rows": with_blank_rows,
    "merged subjects": with_merged_subjects,
    "emptied subjects": with_emptied_subjects,
    "stray images": with_strays,
    "data sets side by side": with_neighbours,
    "everything at once": with_everything,
}


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """Trees by name, release and faults, each drawn once."""
    drawn = {}

    def get(name, release, faults):
        key = name, release, faults
        if key not in drawn:
            root = tmp_path_factory.mktemp(name) / "tree"
            drawn[key] = TREES[name](root, faults=faults, releases=(release,), **SIZE)
            if name == "smic_e":
                store_values(*drawn[key].sheets.values())
        return drawn[key]

    return get


def store_values(path):
    """The original sheet holds the values of its formulas, which the tree's lacks."""
    book = openpyxl.load_workbook(path)
    page = book["HS"]
    for row in range(2, page.max_row + 1):
        if isinstance(page.cell(row, 4).value, int):
            page.cell(row, 11).value = page.cell(row, 4).value - 6
            page.cell(row, 12).value = page.cell(row, 11).value + page.cell(row, 16).value - 1
    book.save(path)


def rows_of(copy, dataset):
    """How many rows with text the sheet has below its header, counted in another way than the reader counts."""
    if not copy.sheets:
        return sum(s.dataset == dataset and s.kind == "micro" for s in copy.samples)
    page = openpyxl.load_workbook(copy.sheets[0]).worksheets[0]
    lines = page.iter_rows(min_row=header_of(page)[0] + 1, values_only=True)
    return sum(any(cell is not None for cell in line) for line in lines)


SUM = re.compile(r"(\d+) (?:row|clip folder)s? read(?: and (\d+) more micro-expressions in them)?: ([^;.]*)")


def check_account(dataset):
    """Refuses an account that is long, does not add up or is not among the notes; gives the number of rows read."""
    account = dataset.account
    assert 0 < len(account) <= 10
    assert not any("\n" in line for line in account)
    assert dataset.notes()[: len(account)] == account
    assert len(set(dataset.notes())) == len(dataset.notes())
    sums = [match for line in account for match in SUM.finditer(line)]
    parts = [[part.split(" ", 1) for part in match[3].split(", ")] for match in sums]
    for match, each in zip(sums, parts, strict=True):
        assert int(match[1]) + int(match[2] or 0) == sum(int(count) for count, _ in each)
    assert sum(int(n) for each in parts for n, what in each if what.startswith("clip")) == len(dataset.clips)
    assert sum(int(n) for each in parts for n, what in each if what == "left out") == len(dataset.left_out)
    told = [line for line in account if line.startswith("Left out ")]
    assert len(told) == bool(dataset.left_out)
    for line in told:
        assert line.split()[2] == str(len(dataset.left_out))
        assert sum(map(int, re.findall(r" (\d+) \(", line))) == len(dataset.left_out)
    return sum(int(match[1]) for match in sums)


def check_frames(copy, dataset):
    """Refuses frames of other clips, strays, and an apex that is not what the sheet says; gives the annotated ones."""
    samples = {
        (s.dataset, s.subject.lower(), s.clip.lower(), number): s for s in copy.samples for number in (s.onset, s.first)
    }
    annotated = 0
    for record in dataset.load.records.values():
        end = record.sample_id.rpartition("/")[2]
        onset = int(end) if end.isdecimal() and record.dataset.startswith(("casme", "smic")) else None
        names = record.dataset, record.subject.lower(), record.clip.lower()
        fits = [s for key, s in samples.items() if key[:3] == names and onset in (None, key[3])]
        numbers = [copy.number[Path(path)] for path in record.frames]
        assert numbers == sorted(numbers)
        if record.apex_source == "annotated":
            annotated += 1
            assert numbers[record.apex_idx] in {int(s.apex) for s in fits}
        if "frames_renumbered" in record.issues:
            assert tuple(numbers) == record.frame_numbers
    return annotated


def release_of(name, release):
    """What a reader calls a tree's release."""
    return {"final": "", "official": "", "raw": "" if name == "casme3c" else "raw"}.get(release, release)


def data_sets(copy):
    return sorted({s.dataset for s in copy.samples if s.kind == "micro"})


@pytest.mark.parametrize("repair", ["flag", "none"])
@pytest.mark.parametrize("disturbed", DISTURBED)
@pytest.mark.parametrize(("name", "release"), RELEASES)
def test_whatever_is_done_to_a_tree_its_account_adds_up_and_no_wrong_apex_is_annotated(
    trees, tmp_path, name, release, disturbed, repair
):
    copy = Copy(trees(name, release, () if (name, release) in WHOLE else ("all",)), tmp_path)
    if (name, release) in WHOLE:
        completed(copy)
    rows = {dataset: rows_of(copy, dataset) for dataset in data_sets(copy)}
    DISTURBED[disturbed](copy)
    for dataset in data_sets(copy):
        refused = ""
        try:
            found = corpus.read((dataset,), str(copy.root), release=release_of(name, release), repair=repair)
        except InputError as error:
            refused = str(error)
        if refused:  # without repairs a renumbered copy may hold no clip that is sure
            assert "no clip is left" in refused
            assert "numbers_uncertain" in refused
            assert repair == "none"
            continue
        assert check_account(found) == rows[dataset]
        check_frames(copy, found)
        if copy.strays:
            records = KNOWN[dataset].records(copy.root, release=release_of(name, release))
            clips = sum(bool(record.strays) for record in records)
            assert f"Images that are no frames lie beside {clips} clip" in " ".join(found.account)
            assert clips >= len(found.clips)


@pytest.mark.parametrize("base", [0, 1])
@pytest.mark.parametrize(("name", "release"), RELEASES)
def test_a_sound_tree_that_is_renumbered_gives_the_same_frames_as_before(trees, tmp_path, name, release, base):
    copy = Copy(trees(name, release, ()), tmp_path)
    if (name, release) in WHOLE:
        completed(copy)
    for dataset in data_sets(copy):
        found = corpus.read((dataset,), str(copy.root), release=release_of(name, release))
        before = {r.sample_id: (r.frame_numbers, r.apex_idx, r.apex_source) for r in found.load.records.values()}
        annotated = check_frames(copy, found)
        assert not re.search("no row names|no frames lie|no sample|left out [1-9]|Left out", " ".join(found.account))
        renumbered(copy, base)
        found = corpus.read((dataset,), str(copy.root), release=release_of(name, release))
        after = {r.sample_id: (r.frame_numbers, r.apex_idx, r.apex_source) for r in found.load.records.values()}
        if not dataset.startswith("smic") or dataset.endswith("_e"):  # without a sheet nobody knows the numbers
            assert after == before
        assert check_frames(copy, found) == annotated


@pytest.mark.parametrize("disturbed", DISTURBED)
def test_the_account_of_a_composite_adds_up_for_each_data_set(trees, tmp_path, disturbed):
    copies = []
    for name, release in (("casme2", "cropped"), ("samm", "raw"), ("smic", "cropped")):
        (tmp_path / name).mkdir()
        copies.append(Copy(trees(name, release, ("all",)), tmp_path / name))
        DISTURBED[disturbed](copies[-1])
        copies[-1].root = copies[-1].root.rename(tmp_path / f"{name} data")
        (tmp_path / name).rmdir()
    rows = rows_of(Copy(trees("casme2", "cropped", ("all",)), tmp_path / "count"), "casme2")
    shutil.rmtree(tmp_path / "count")
    found = corpus.composite(str(tmp_path), scheme="megc2019")
    total = check_account(found)
    hs = sum(s.dataset == "smic_hs" and s.kind == "micro" for s in copies[2].samples)
    assert total == rows + len(copies[1].samples) + hs
    assert len([line for line in found.account if "SAMM" in line and "SMIC" in line and "rows read" in line]) == 1


@pytest.mark.parametrize("name", TREES)
def test_a_clip_folder_that_no_row_names_is_counted_and_named(trees, tmp_path, name):
    release = "raw" if name == "casme_sq" else RECIPES[name].layouts[0].release
    copy = Copy(trees(name, release, ()), tmp_path)
    folder = copy.folders[0]
    clip = folder.parent if folder.name == "color" else folder
    shutil.copytree(clip, clip.parent / f"{clip.name[:-1]}{'z' if clip.name[-1].isalpha() else 9}")
    dataset = data_sets(copy)[0]
    found = corpus.read((dataset,), str(copy.root), release=release_of(name, release))
    told = [line for line in found.account if "Clip folders that no row names: 1 (" in line]
    if dataset.startswith("smic") and not copy.sheets:
        assert check_account(found) == rows_of(copy, dataset) + 1  # there each folder is a clip
    else:
        assert len(told) == 1


@pytest.mark.parametrize("name", TREES)
def test_a_tree_beside_another_data_set_is_described_with_it(trees, tmp_path, name):
    release = RECIPES[name].layouts[0].release
    copy = Copy(trees(name, release, ()), tmp_path / "mine")
    other = "casme2" if name == "samm" else "samm"
    TREES[other](tmp_path / "SAMM", faults=(), **SIZE)
    copy.root.rename(tmp_path / "data")
    (tmp_path / "mine").rmdir()
    assert {one.found.name for one in describe.describe(tmp_path)} >= {*data_sets(copy), other}
