"""Annotation sheets, workbooks or CSV, as rows whose columns have one name whatever their header says."""

import csv
import fnmatch
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import openpyxl
from openpyxl.utils.cell import range_boundaries

from merjax.data import frames, xls
from merjax.data.record import Account, Accounted
from merjax.types import InputError

# Headers in lower case, without blanks and closing apostrophe. Every other column keeps its own header, written so.
ALIASES = {
    "subject": ("subject", "sub", "sub_id", "subid"),
    "clip": ("filename", "fold_name", "count", "seq"),
    "onset": ("onsetframe", "onset", "onsetf"),
    "apex": ("apexframe", "apex", "apexf1", "apexf"),
    "offset": ("offsetframe", "offset", "offsetf"),
    "au": ("actionunits", "au", "aus"),
    "emotion": ("estimatedemotion", "emotion"),
    "objective": ("objectiveclasses", "objectiveclass"),
}
HEADER_ROWS = 30
SUBJECT = r"((subject|participant)\s+)?\S*\d"  # what stands alone in a row above the clips of a subject
TOTALS = ("total", "totals", "subtotal", "sum", "mean", "average", "count")  # in place of a subject or a clip
ROMAN = {"I": 1, "II": 2, "III": 3, "IV": 4, "V": 5, "VI": 6, "VII": 7}

_CANONICAL = {alias: name for name, aliases in ALIASES.items() for alias in aliases}
_MERGED = re.compile(rb"""<(?:\w+:)?mergeCell\s[^>]*?ref=["']([A-Z]+[0-9]+:[A-Z]+[0-9]+)["']""")
_TAIL = 1 << 20  # bytes at the end of a sheet in which its merged cells stand
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"  # how .xlsx and .xls begin


class Line(NamedTuple):
    """One row of a table, blank or not.

    Attributes:
        number: as a spreadsheet program shows it, from 1.
        cells: text, numbers or None, from the first column on.
        filled: how many of them belong to a merged cell that begins in a line above, and have its value.
    """

    number: int
    cells: tuple[object, ...]
    filled: int = 0


class Row(NamedTuple):
    """One sample of a sheet.

    Attributes:
        where: file and row number, for sentences.
        number: of the row, as a spreadsheet program shows it.
        cells: by canonical name (the keys of ALIASES), or by header in lower case without blanks and apostrophe.
    """

    where: str
    number: int
    cells: dict[str, object]


def find(root: Path, patterns: Sequence[str], asked: str = "") -> Path:
    """The sheet to read: the one asked for, else the first that fits the patterns.

    Args:
      root: folder of the data set; the sheet lies in it or in one of its folders.
      patterns: file names in lower case, `*` for any text, the preferred first; of several files that fit one pattern
        the first in natural order is taken.
      asked: a path, or the name of a file that lies where `root` says.

    Raises:
      InputError: there is none; the sentence lists what was looked for and what is there.
    """
    if asked:
        for path in (root / asked, Path(asked).expanduser()):
            if path.is_file():
                return path
    found = search(root, (asked.lower(),) if asked else patterns)
    if found is not None:
        return found
    there = ", ".join(path.name for path in _candidates(root)[:8]) or "no table"
    wanted = asked or " or ".join(patterns)
    raise InputError(f"{root} and its folders hold no sheet {wanted}: found {there}; name one with data.sheet.")


def search(root: Path, patterns: Sequence[str]) -> Path | None:
    """As `find`, for a sheet that may be absent: then None."""
    files = _candidates(root)
    fits = (path for pattern in patterns for path in files if fnmatch.fnmatchcase(path.name.lower(), pattern))
    return next(fits, None)


def _candidates(root: Path) -> list[Path]:
    found = []
    for folder in (str(root), *frames.subfolders(root).values()):
        for name in sorted(frames.names(folder), key=frames.natural):
            if name.lower().endswith((".xlsx", ".xls", ".csv")) and not name.startswith((".", "~$")):
                found.append(Path(folder, name))
    return found


def samples(
    path: Path,
    *,
    sheet_name: str | None = None,
    position: int = 0,
    columns: Sequence[str] = (),
    several: bool = False,
    required: Sequence[str] = ("subject", "clip", "onset"),
) -> Accounted[Row]:
    """Reads the samples below the header; other rows with text are counted and named in the account.

    The header is the first of the first 30 rows that has all required columns. Columns without a header are left out,
    and of two columns with one canonical name the first stays. Blank rows are passed over. A row that has a clip and
    whatever else is required but no subject is of the subject above it: so do merged cells look in a CSV file. Other
    rows without subject or clip are no samples, nor are totals and remarks (OUR CHOICE).

    Args:
      path: as `table`.
      sheet_name: as `table`.
      position: as `table`.
      columns: canonical names of the first columns, for a sheet without a header.
      several: a clip may hold several samples, so that a row that has an onset but neither subject nor clip is of the
        clip in the line above it.
      required: canonical names of the columns that a header must have.

    Raises:
      InputError: the file can't be read, or has no header or no samples.
    """
    lines = table(path, sheet_name=sheet_name, position=position)
    start, names = (-1, list(columns)) if columns else _header(path, lines, required)
    places = {name: column for column, name in reversed(list(enumerate(names))) if name}
    rows, strange, filled = list[Row](), list[str](), 0
    above = dict[str, object]()  # subject and clip for the rows that leave them out
    for line in lines[start + 1 :]:
        words = " ".join(" ".join(map(text, line.cells)).split())
        cells = {name: line.cells[at] if at < len(line.cells) else None for name, at in places.items()}
        taken = _taken(cells, above, required, several)
        cells |= taken
        sample = _is_sample(cells, required)
        if sample:
            rows.append(Row(f"{path} row {line.number}", line.number, cells))
            filled += len(taken) + line.filled
        elif words:
            strange.append(f"row {line.number} '{words[:40]}'")
        if sample:
            above = {"subject": cells["subject"], "clip": cells["clip"]}
        elif subject := text(cells["subject"]):  # a subject may stand above its clips; after a remark it is unknown
            above = {"subject": cells["subject"]} if re.fullmatch(SUBJECT, subject, re.IGNORECASE) else {}
        else:
            above.pop("clip", None)
    if not rows:
        raise InputError(f"{path} has no rows: below its header it should list one sample in each row.")
    return Accounted(rows, Account(rows=len(rows) + len(strange), strange=tuple(strange), filled=filled))


def _taken(
    cells: Mapping[str, object], above: Mapping[str, object], required: Sequence[str], several: bool
) -> dict[str, object]:
    """The subject, or subject and clip, that a row has from above; nothing if it has its own or seems no sample."""
    if text(cells["subject"]) or not text(above.get("subject")):
        return {}
    if all(text(cells[name]) for name in ("clip", *required) if name != "subject"):
        return {"subject": above["subject"]}
    if not several or text(cells["clip"]) or whole(cells.get("onset")) is None or not text(above.get("clip")):
        return {}
    return {"subject": above["subject"], "clip": above["clip"]}


def _is_sample(cells: Mapping[str, object], required: Sequence[str]) -> bool:
    subject, clip = text(cells["subject"]), text(cells["clip"])
    if not subject or not clip or {subject.lower().rstrip(":"), clip.lower().rstrip(":")} & set(TOTALS):
        return False
    if _canonical(subject) == "subject":  # the header once more, as copied pages have it
        return False
    # A misspelt subject stays, for its reader to refuse; a remark does not.
    return subject[-1].isdecimal() or (" " not in subject and all(text(cells[name]) for name in required))


def _canonical(cell: object) -> str:
    """The name of a column by its header."""
    folded = "".join(text(cell).lower().split()).rstrip("'")
    return _CANONICAL.get(folded, folded)


def _header(path: Path, lines: Sequence[Line], required: Sequence[str]) -> tuple[int, list[str]]:
    for index, line in enumerate(lines[:HEADER_ROWS]):
        names = [_canonical(cell) for cell in line.cells]
        if set(required) <= set(names):
            return index, names
    fullest = max(lines[:HEADER_ROWS], key=lambda line: sum(map(bool, map(text, line.cells))), default=Line(0, ()))
    found = ", ".join(filter(None, map(text, fullest.cells))) or "nothing"
    raise InputError(
        f"{path} has no header: one of its first {HEADER_ROWS} rows should name the columns {', '.join(required)}; "
        f"the fullest row there holds {found[:200]}."
    )


def table(path: Path, *, sheet_name: str | None = None, position: int = 0) -> list[Line]:
    """Reads the cells of one sheet; of formulas the value that the spreadsheet program stored, else None.

    What a file is, its first bytes tell: data sets come with .xls files that are .xlsx inside.

    Args:
      path: an .xlsx, .xls or .csv file.
      sheet_name: of the workbook's sheet, in any letter case.
      position: of the sheet if it has no name here, from 0.

    Raises:
      InputError: the file is missing, locked, no table, or has no such sheet.
    """
    if path.name.startswith("~$"):
        raise InputError(f"{path} is the lock that Excel keeps while a workbook is open: name the workbook itself.")
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist: data.sheet should name a workbook or a CSV file.") from error
    except OSError as error:
        raise InputError(f"{path} can't be opened, close it in Excel if it is open: {error.strerror}.") from error
    rows: Sequence[Sequence[object]]
    merged = list[tuple[int, int, int]]()
    if content.startswith(_ZIP):
        rows, merged = _xlsx(path, content, sheet_name, position)
    elif content.startswith(_OLE):
        rows, merged = _xls(path, content, sheet_name, position)
    elif path.suffix.lower() == ".csv":
        rows = _csv(path, content)
    else:
        raise InputError(f"{path} is no workbook: it should be an .xlsx, .xls or .csv file.")
    return _unmerged([Line(number, tuple(cells)) for number, cells in enumerate(rows, start=1)], merged)


def _unmerged(lines: list[Line], merged: Sequence[tuple[int, int, int]]) -> list[Line]:
    """Gives the value of a merged cell to its lower cells, but for lines that hold nothing else.

    Args:
      lines: of the sheet.
      merged: column, first and last line of each merged cell, from 1.
    """
    held = [any(map(text, line.cells)) for line in lines]
    done = dict[int, int]()  # column -> last line of a merged cell; a damaged file may have them overlap
    for column, first, last in sorted(merged):
        if not done.get(column, 0) < first <= len(lines) or len(lines[first - 1].cells) < column:
            continue
        done[column] = last
        for at in range(first, min(last, len(lines))):
            cells = [*lines[at].cells, *[None] * (column - len(lines[at].cells))]
            if held[at] and cells[column - 1] is None:
                cells[column - 1] = lines[first - 1].cells[column - 1]
                lines[at] = Line(at + 1, tuple(cells), lines[at].filled + 1)
    return lines


def _xlsx(
    path: Path, content: bytes, sheet_name: str | None, position: int
) -> tuple[list[Sequence[object]], list[tuple[int, int, int]]]:
    """The cells, and column, first and last line of those that are merged over several lines."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl warns of styles and validations, which hold no annotation
            book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
            names = [sheet.title for sheet in book.worksheets]
            sheet = book[_sheet(path, names, sheet_name, position)]
            sheet.reset_dimensions()  # the size that a file states may be wrong
            rows = list(sheet.iter_rows(values_only=True))
            tail = b""
            with sheet._get_source() as source:  # openpyxl passes over merged cells when it only reads
                while piece := source.read(_TAIL):
                    tail = (tail + piece)[-_TAIL:]
            bounds = [range_boundaries(found.decode()) for found in _MERGED.findall(tail)]
            return rows, [(column, first, last) for column, first, _, last in bounds if last > first]
    except InputError:
        raise
    except Exception as error:  # openpyxl passes on whatever a damaged archive or its XML raises
        raise InputError(f"{path} is a damaged workbook, save it again or copy it anew: {error}.") from error


def _xls(
    path: Path, content: bytes, sheet_name: str | None, position: int
) -> tuple[list[list[object]], list[tuple[int, int, int]]]:
    """As `_xlsx`."""
    sheets = {sheet.name: sheet for sheet in reversed(xls.read(path, content))}  # of two with one name the first
    sheet = sheets[_sheet(path, [*reversed(sheets)], sheet_name, position)]
    return sheet.rows, [(left + 1, top + 1, bottom + 1) for (top, left), (bottom, _) in sheet.merged if bottom > top]


def _sheet(path: Path, names: Sequence[str], asked: str | None, position: int) -> str:
    if asked is None and position < len(names):
        return names[position]
    for name in names:
        if asked is not None and name.strip().lower() == asked.lower():
            return name
    wanted = f"number {position + 1}" if asked is None else asked
    raise InputError(f"{path} has no sheet {wanted}: its sheets are {', '.join(names) or 'none'}.")


def _csv(path: Path, content: bytes) -> list[list[object]]:
    try:
        decoded = content.decode("utf-8-sig")
        separator = max(",;\t", key=decoded.count)  # spreadsheets of some countries write semicolons
        rows = csv.reader(io.StringIO(decoded, newline=""), delimiter=separator)
        return [[cell or None for cell in row] for row in rows]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} can't be read as a table, save it as CSV in UTF-8: {error}.") from error


def raw(cell: object) -> str:
    """A cell as text with its blanks; whole numbers have no decimal point."""
    if cell is None:
        return ""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def text(cell: object) -> str:
    """A cell as text without blanks around it."""
    return raw(cell).strip()


def whole(cell: object) -> int | None:
    """A cell as a whole number; None where it holds none, such as `/`."""
    match = re.fullmatch(r"([+-]?\d{1,15})(?:\.0*)?", text(cell))
    return int(match[1]) if match else None


def serial(cell: object, where: str) -> int:
    """The number at the end of a subject's name: 1 for `01`, 1.0, `sub01` and `spNO.1`.

    Raises:
      InputError: the cell ends in no number; the sentence starts with `where`.
    """
    match = re.search(r"(\d{1,15})(?:\.0+)?$", text(cell))
    if match is None:
        raise InputError(f"{where}: subject '{text(cell)}' should end in a number.")
    return int(match[1])


def key(row: Row) -> tuple[int, str]:
    """The subject's number and the clip's name, which tell clips of most data sets apart.

    Raises:
      InputError: as `serial`.
    """
    return serial(row.cells["subject"], row.where), text(row.cells["clip"])


def objective(cell: object) -> int | None:
    """An objective class, 1 to 7 or I to VII, as a number; None where the cell holds none."""
    number = ROMAN.get(text(cell).upper(), whole(cell))
    return number if number is not None and 1 <= number <= 7 else None
