"""Reading .xls files in a process of their own.

The library that reads them, python_calamine, is compiled code that ends its whole process on some damaged files. In a
child process a crash or a hang costs the file, not the run. The child is a program by its path, started anew, so that
it works alike on Linux, macOS and Windows, in threads and notebooks; it uses the same copy of the library.
"""

import datetime
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import python_calamine

from merjax.types import InputError

CHILD = Path(__file__).with_name("xls_child.py")
SECONDS = 60  # OUR CHOICE; a sheet of a data set takes far less than one
MADE: dict[str, Callable[..., object]] = {
    "date": datetime.date.fromisoformat,
    "datetime": datetime.datetime.fromisoformat,
    "time": datetime.time.fromisoformat,
    "timedelta": datetime.timedelta,
}


class Sheet(NamedTuple):
    """One sheet of a workbook.

    Attributes:
        name: of the sheet.
        rows: its cells from the first row and column on: text, numbers, dates or None.
        merged: first and last cell of every range of merged cells, as (row, column) from 0.
    """

    name: str
    rows: list[list[object]]
    merged: list[tuple[tuple[int, int], tuple[int, int]]]


def read(path: Path, content: bytes) -> list[Sheet]:
    """Reads all sheets of an .xls file.

    Args:
        path: of the file, for sentences.
        content: of the file.

    Raises:
        InputError: the file is damaged or has a password, or the library crashed or hung on it.
    """
    library = str(Path(python_calamine.__file__).parents[1])
    # -I and -S: the child sees no module but those of Python and of the library's folder.
    command = [sys.executable, "-I", "-S", str(CHILD), library, str(SECONDS)]
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        raise damaged(path, f"it took more than {SECONDS} s to read") from error
    except OSError as error:
        raise InputError(f"{path} can't be read, for Python can't be started again: {error.strerror}.") from error
    try:
        found = json.loads(done.stdout)
        if "error" in found:
            raise damaged(path, found["error"])
        return [sheet(**one) for one in found["sheets"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged(path, f"the library that reads it crashed with status {done.returncode}") from error


def damaged(path: Path, reason: str) -> InputError:
    """The sentence on a file that can't be read."""
    return InputError(f"{path} is damaged or has a password, save it again as .xlsx: {reason}.")


def sheet(name: str, rows: list[list[Any]], merged: list[Any]) -> Sheet:
    """A sheet as the child printed it."""
    cells = [[MADE[cell[0]](*cell[1:]) if isinstance(cell, list) else cell for cell in row] for row in rows]
    return Sheet(name, cells, [((top, left), (bottom, right)) for (top, left), (bottom, right) in merged])
