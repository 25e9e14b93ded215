"""The program that reads an .xls file in a process of its own: see `xls.read`, which starts it.

It takes the workbook on standard input and the folder of python_calamine as its argument, and prints its sheets as
JSON. It imports nothing of merjax, so that it starts within some 30 ms.
"""

import contextlib
import datetime
import io
import json
import sys

MEMORY = 4 * 2**30  # bytes, OUR CHOICE
PRINTED = 2**28  # letters, OUR CHOICE; numbers in all 65,536 rows and 256 columns of a sheet are 1.7e8


def limit(seconds: int) -> None:
    """Bounds memory and time where the system can; a crash leaves no core file."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for kind, most in (("RLIMIT_CORE", 0), ("RLIMIT_CPU", seconds), ("RLIMIT_AS", MEMORY)):
        with contextlib.suppress(AttributeError, ValueError, OSError):  # macOS knows a limit and refuses to set it
            resource.setrlimit(getattr(resource, kind), (most, most))


def plain(cell: object) -> object:
    """A cell as JSON can write it: of dates and times their kind and text, of an empty cell null."""
    if cell == "":
        return None
    if isinstance(cell, datetime.timedelta):
        return ["timedelta", cell.days, cell.seconds, cell.microseconds]
    if isinstance(cell, (datetime.date, datetime.time)):  # a datetime is a date
        return [type(cell).__name__, cell.isoformat()]
    return cell


def sheets(content: bytes) -> list[dict[str, object]]:
    """Name, cells and merged ranges of every sheet of a workbook."""
    from python_calamine import CalamineWorkbook

    book = CalamineWorkbook.from_filelike(io.BytesIO(content))
    found: list[dict[str, object]] = []
    for name in book.sheet_names:
        sheet = book.get_sheet_by_name(name)
        rows = [[plain(cell) for cell in row] for row in sheet.to_python(skip_empty_area=False)]
        found.append({"name": name, "rows": rows, "merged": sheet.merged_cell_ranges or []})
    return found


if __name__ == "__main__":
    limit(int(sys.argv[2]))
    sys.path.append(sys.argv[1])
    try:
        answer = json.dumps({"sheets": sheets(sys.stdin.buffer.read())})
        if len(answer) > PRINTED:
            answer = json.dumps({"error": "its cells hold too much text"})
    except BaseException as error:  # a panic of the library is no Exception
        answer = json.dumps({"error": " ".join(str(error).split())[:200] or type(error).__name__})
    sys.stdout.write(answer)
