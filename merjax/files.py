"""Files appear by rename: a kill leaves the old file or the new one, never half of one.

Two processes may write the same file at once; the later one wins, whole.
"""

import csv
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path

from merjax.types import InputError


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file by rename; a device or a pipe is written to, and of a link the file that it leads to.

    Raises:
        InputError: it can't be written, as on a full disk.
    """
    by_rename = path.is_file() or not path.exists()
    path = Path(os.path.realpath(path)) if by_rename else path
    part = path.with_name(f"{path.name}.{os.getpid()}.part") if by_rename else path
    try:
        part.write_bytes(content)
        if by_rename:
            os.replace(part, path)
    except OSError as error:
        if by_rename:
            part.unlink(missing_ok=True)
        raise InputError(f"{path} can't be written: {error.strerror}; what stood there before is whole") from error


def write_text(path: Path, text: str) -> None:
    """Writes a text file by rename."""
    write_bytes(path, text.encode())


def write_json(path: Path, content: object) -> None:
    """Writes JSON, indented, by rename."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_csv(path: Path, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Writes a table with a header row, by rename; floats with six decimals."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows([f"{cell:.6f}" if isinstance(cell, float) else cell for cell in row] for row in rows)
    write_text(path, text.getvalue())
