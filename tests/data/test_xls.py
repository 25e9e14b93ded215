"""An .xls file is read in a process of its own: what a damaged file does to the library stays there."""

import datetime
import io
import json
import math
import random
import subprocess
import sys

import pytest
import python_calamine
from test_sheets import ROWS
from test_sheets import xls as workbook

from merjax.data import sheets, xls, xls_child
from merjax.types import InputError


def test_cells_are_those_that_the_library_gives_in_this_process(tmp_path):
    rows = [*ROWS, ("03", "schön ü", 1.5, True, None), (None, "", 1e300, False, -0.0)]
    path = workbook(tmp_path / "a.xls", rows)
    book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(path.read_bytes()))
    direct = book.get_sheet_by_name("Sheet1").to_python(skip_empty_area=False)
    (sheet,) = xls.read(path, path.read_bytes())
    assert sheet.name == "Sheet1"
    assert repr(sheet.rows) == repr([[None if cell == "" else cell for cell in row] for row in direct])
    assert [line.cells for line in sheets.table(path)] == [tuple(row) for row in sheet.rows]


def test_dates_times_and_numbers_come_out_as_they_were():
    cells = [
        datetime.date(2014, 2, 28),
        datetime.datetime(2014, 2, 28, 12, 30, 1, 5),
        datetime.time(23, 59, 59, 999999),
        datetime.timedelta(-3, 7, 9),
        *("text", 3, 1 / 3, True, None, math.inf),
    ]
    printed = json.loads(json.dumps({"name": "a", "rows": [[xls_child.plain(cell) for cell in cells]], "merged": []}))
    assert repr(xls.sheet(**printed).rows) == repr([cells])


def test_merged_ranges_are_given(tmp_path):
    path = workbook(tmp_path / "a.xls", ROWS, merged=[(1, 2, 0, 0), (0, 0, 1, 4)])
    assert xls.read(path, path.read_bytes())[0].merged == [((1, 0), (2, 0)), ((0, 1), (0, 4))]


CHILDREN = {
    "import os; os.abort()": "the library that reads it crashed with status ",
    "import sys; sys.stdin.buffer.read(); sys.exit(101)": "the library that reads it crashed with status 101",
    "import time; time.sleep(60)": "it took more than 1 s to read",
    "print('hello')": "the library that reads it crashed with status 0",
    "print('[' * 100000)": "the library that reads it crashed with status 0",
    "print('[]')": "the library that reads it crashed with status 0",
    """print('{"sheets": [{"name": "a"}]}')""": "the library that reads it crashed with status 0",
    """print('{"sheets": [{"name": "a", "rows": [[["x"]]], "merged": []}]}')""": "crashed with status 0",
    "raise BaseException('a panic')": "the library that reads it crashed with status 1",
}


@pytest.mark.parametrize("program", CHILDREN)
def test_a_child_that_crashes_hangs_or_prints_rubbish_is_one_sentence(tmp_path, monkeypatch, program):
    (tmp_path / "child.py").write_text(program + "\n", encoding="utf-8")
    monkeypatch.setattr(xls, "CHILD", tmp_path / "child.py")
    monkeypatch.setattr(xls, "SECONDS", 1)
    path = workbook(tmp_path / "a.xls", ROWS)
    with pytest.raises(InputError) as error:
        sheets.samples(path)
    assert str(error.value).startswith(f"{path} is damaged or has a password, save it again as .xlsx: ")
    assert CHILDREN[program] in str(error.value)


def test_a_python_that_cannot_be_started_again_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"a\.xls can't be read, for Python can't be started again: No such file"):
        sheets.samples(workbook(tmp_path / "a.xls", ROWS))


def test_cut_and_flipped_files_are_read_or_refused_in_one_sentence(tmp_path):
    """With the library in this process, 4 of these 60 files raised its panic."""
    path = tmp_path / "a.xls"
    sound = workbook(path, ROWS).read_bytes()
    # Where the file says how it is laid out, and its records; the rest is padding.
    places = [*range(28, 80), *range(512, 560), *range(1024, 1280), *range(1536, 1796)]
    sentences = []
    for seed in range(60):
        generator, content = random.Random(seed), bytearray(sound)
        place = generator.choice(places)
        if seed % 6 == 0:
            del content[place:]
        else:
            content[place] = generator.choice([0, 255, 128, generator.randrange(256)])
        path.write_bytes(content)
        try:
            sheets.table(path)
        except InputError as error:
            sentences.append(str(error))
    assert 10 < len(sentences) < 50
    assert all(sentence.startswith(f"{path} ") for sentence in sentences)


def test_a_file_that_asks_for_terabytes_ends_the_child_alone(tmp_path):
    """Under a limit of memory the library aborts its process."""
    path = workbook(tmp_path / "a.xls", ROWS)
    content = bytearray(path.read_bytes())
    content[512 + 4 * 6] = 59  # the next sector of the stream lies beyond the file
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is damaged or has a password, save it again as \.xlsx"):
        sheets.table(path)


def test_a_program_on_standard_input_can_read_an_old_workbook(tmp_path):
    path = workbook(tmp_path / "a.xls", ROWS)
    program = (
        f"from merjax.data import sheets; from pathlib import Path; print(len(sheets.samples(Path({str(path)!r}))))"
    )
    done = subprocess.run([sys.executable, "-"], input=program, capture_output=True, text=True, timeout=100)
    assert done.stdout == "2\n", done.stderr


def test_limits_are_left_out_where_the_system_has_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)
    xls_child.limit(1)
