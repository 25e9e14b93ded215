import struct
import zipfile

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merjax.data import sheets
from merjax.data.record import Account
from merjax.types import InputError

HEADER = ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame")


def xlsx(path, rows, sheet="Sheet1", **others):
    book = openpyxl.Workbook()
    for name, lines in {sheet: rows, **others}.items():
        page = book.create_sheet(name)
        for line in lines:
            page.append(line)
    book.remove(book.worksheets[0])
    book.save(path)
    return path


def xls(path, rows, sheet="Sheet1", merged=()):
    """A workbook as Excel 97 saves it: records of numbers and labels in the one stream of a compound file.

    `merged` holds (first row, last row, first column, last column) of ranges of cells.
    """

    def record(kind, content):
        return struct.pack("<HH", kind, len(content)) + content

    def begin(kind):
        return record(0x809, struct.pack("<HHHHII", 0x600, kind, 0, 1997, 0, 0))

    end, name = record(0xA, b""), sheet.encode()
    cells = b""
    for row, line in enumerate(rows):
        for column, cell in enumerate(line):
            at = struct.pack("<HHH", row, column, 0)
            if isinstance(cell, bool):
                cells += record(0x205, at + struct.pack("<BB", cell, 0))
            elif isinstance(cell, str):
                cells += record(0x204, at + struct.pack("<HB", len(cell), 0) + cell.encode())
            elif cell is not None:
                cells += record(0x203, at + struct.pack("<d", cell))
    if merged:
        cells += record(0xE5, struct.pack("<H", len(merged)) + b"".join(struct.pack("<4H", *one) for one in merged))
    where = len(begin(5)) + 12 + len(name) + len(end)
    book = (
        begin(5) + record(0x85, struct.pack("<IBBBB", where, 0, 0, len(name), 0) + name) + end + begin(16) + cells + end
    )
    book = book.ljust(max(4096, -len(book) // 512 * -512), b"\0")

    sectors = len(book) // 512
    last, free, none = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFF
    chain = [0xFFFFFFFD, last, *range(3, sectors + 2), last]
    table = struct.pack("<128I", *chain, *[free] * (128 - len(chain)))

    def entry(title, kind, child, start, size):
        text = (title + "\0").encode("utf-16-le")
        links = struct.pack("<HBBIII", len(text), kind, 1, none, none, child)
        return text.ljust(64, b"\0") + links + bytes(36) + struct.pack("<IQ", start, size)

    folder = entry("Root Entry", 5, 1, last, 0) + entry("Workbook", 2, none, 2, len(book)) + bytes(256)
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    head += struct.pack("<HHHHH6xIIIIIIIIII", 62, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, 4096, last, 0, last, 0, 0)
    path.write_bytes(head.ljust(512, b"\xff") + table + folder + book)
    return path


def cells(path, **arguments):
    return [row.cells for row in sheets.samples(path, **arguments)]


ROWS = [HEADER, ("01", "EP1", 46, "/", 86), ("02", "EP1", 5, 7, 9)]


def test_workbooks_old_and_new_and_csv_hold_the_same(tmp_path):
    (tmp_path / "a.csv").write_text("\ufeff" + "\r\n".join(",".join(map(str, row)) for row in ROWS), encoding="utf-8")
    (tmp_path / "b.csv").write_text("\n".join(";".join(map(str, row)) for row in ROWS), encoding="utf-8")
    new, old = xlsx(tmp_path / "a.xlsx", ROWS), xls(tmp_path / "a.xls", ROWS)
    for path in (new, old, tmp_path / "a.csv", tmp_path / "b.csv"):
        rows = sheets.samples(path)
        assert [row.number for row in rows] == [2, 3]
        assert [sheets.text(row.cells["subject"]) for row in rows] == ["01", "02"]
        assert [sheets.whole(row.cells["onset"]) for row in rows] == [46, 5]
        assert [sheets.whole(row.cells["apex"]) for row in rows] == [None, 7]
        assert rows[0].where == f"{path} row 2"


def test_a_workbook_is_known_by_its_content_not_by_its_suffix(tmp_path):
    assert len(sheets.samples(xlsx(tmp_path / "a.xlsx", ROWS).rename(tmp_path / "a.xls"))) == 2
    assert len(sheets.samples(xls(tmp_path / "b.xls", ROWS).rename(tmp_path / "b.xlsx"))) == 2


def test_the_size_that_a_sheet_states_is_not_believed(tmp_path):
    with zipfile.ZipFile(xlsx(tmp_path / "a.xlsx", ROWS)) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    page = "xl/worksheets/sheet1.xml"
    assert b'ref="A1:E3"' in parts[page]
    parts[page] = parts[page].replace(b'ref="A1:E3"', b'ref="A1"')
    with zipfile.ZipFile(tmp_path / "b.xlsx", "w") as book:
        for name, part in parts.items():
            book.writestr(name, part)
    assert cells(tmp_path / "b.xlsx") == cells(tmp_path / "a.xlsx")


def test_subjects_keep_their_leading_zeros(tmp_path):
    assert cells(xlsx(tmp_path / "a.xlsx", ROWS))[0]["subject"] == "01"


HEADERS = {
    "CASME II": "Subject|Filename||OnsetFrame|ApexFrame|OffsetFrame||Action Units|Estimated Emotion|Objective Classes",
    "SAMM": "Subject|Filename|Inducement Code|Onset Frame|Apex Frame|Offset Frame|Duration|Micro|Action Units|"
    "Estimated Emotion|Objective Classes|Notes",
    "CAS(ME)^3 A": "Subject|Filename|Onset|Apex|Offset|AU|Objective class|emotion",
    "CASME": "Subject|Filename||OnsetF|ApexF1|ApexF2|OffsetF||AUs|Emotion|Objective Class",
    "4DME": "sub_ID'|video_number'|fold_name|Onset|Apex|Offset|AUs|Emotion|Objective class",
    "macro": "sub|seq|onset|apex|offset|au|emotion|objective class",
    "spaces": "  SUB ID | File name|ONSET F|Apex F|OFFSET F| Au |EMOTION|Objective  Classes",
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_the_headers_of_all_data_sets_get_the_same_names(tmp_path, header):
    names = [name or None for name in header.split("|")]
    line = list(range(1, len(names) + 1))
    (row,) = cells(xlsx(tmp_path / "a.xlsx", [names, line]))
    assert set(sheets.ALIASES) <= set(row)
    folded = {name.replace(" ", "").lower().rstrip("'"): at for name, at in zip(names, line, strict=True) if name}
    for canonical, aliases in sheets.ALIASES.items():
        assert row[canonical] in [folded[alias] for alias in aliases if alias in folded]
    assert None not in row
    assert "" not in row


def test_other_columns_keep_their_own_header(tmp_path):
    (row,) = cells(
        xlsx(tmp_path / "a.xlsx", [(*HEADER, "Expression type", "ApexF2"), ("01", "a", 1, 2, 3, "macro", 4)])
    )
    assert (row["expressiontype"], row["apexf2"], row["apex"]) == ("macro", 4, 2)


def test_of_two_columns_with_one_name_the_first_stays(tmp_path):
    (row,) = cells(xlsx(tmp_path / "a.xlsx", [(*HEADER, "Apex", "Onset"), ("01", "a", 1, 2, 3, 8, 9)]))
    assert (row["onset"], row["apex"]) == (1, 2)


@pytest.mark.parametrize("preamble", [0, 13, 29])
def test_the_header_is_found_below_a_preamble_and_rows_keep_their_numbers(tmp_path, preamble):
    lines = [("Title", "Subject", "Filename"), *[(None, "see the paper")] * 13, *[()] * 30][:preamble]
    rows = sheets.samples(xlsx(tmp_path / "a.xlsx", [*lines, *ROWS]))
    assert [row.number for row in rows] == [preamble + 2, preamble + 3]


REMARKS = [
    ("Total", None, 51, 7, 95),
    (None, "total", None, None, None),
    ("Total", 2, 51, 7, 95),
    (None, "Frames of EP1 are blurred", None, None, None),
    (None, None, "see the paper", None, None),
    ("Subject 3 left early", "EP4", 1, 2, 3),
    ("03", None, None, None, None),
    HEADER,
]


@pytest.mark.parametrize("remark", REMARKS)
@pytest.mark.parametrize("place", [1, 2, 3])
def test_rows_that_are_no_samples_are_counted_and_named_wherever_they_lie(tmp_path, remark, place):
    rows = sheets.samples(xlsx(tmp_path / "a.xlsx", [*ROWS[:place], remark, *ROWS[place:]]))
    words = " ".join(str(cell) for cell in remark if cell is not None)
    assert [sheets.key(row) for row in rows] == [(1, "EP1"), (2, "EP1")]
    assert (rows.account.rows, rows.account.filled) == (3, 0)
    assert rows.account.strange == (f"row {place + 1} '{words[:40]}'",)


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_blank_rows_are_passed_over(tmp_path, place):
    rows = sheets.samples(xlsx(tmp_path / "a.xlsx", [*ROWS[:place], (), (None, " "), *ROWS[place:]]))
    assert [sheets.key(row) for row in rows] == [(1, "EP1"), (2, "EP1")]
    assert rows.account == Account(rows=2)


GROUPED = [
    *[HEADER, ("01", "EP1", 1, 2, 3), (None, "EP2", 4, "/", 6), (None, None, 7, 8, 9), ()],
    *[(None, "EP3", 1, 2, 3), ("02", "EP1", 1, 2, 3), (None, None, 5, 6, 7)],
]


def test_a_row_without_subject_is_of_the_subject_above_and_without_clip_of_the_clip_above(tmp_path):
    rows = sheets.samples(xlsx(tmp_path / "a.xlsx", GROUPED), several=True)
    keys = [(*sheets.key(row), row.cells["onset"]) for row in rows]
    assert keys == [(1, "EP1", 1), (1, "EP2", 4), (1, "EP2", 7), (1, "EP3", 1), (2, "EP1", 1), (2, "EP1", 5)]
    assert rows.account == Account(rows=6, filled=6)


def test_where_a_clip_holds_one_sample_a_row_without_clip_is_no_sample(tmp_path):
    rows = sheets.samples(xlsx(tmp_path / "a.xlsx", GROUPED))
    assert [sheets.key(row) for row in rows] == [(1, "EP1"), (1, "EP2"), (1, "EP3"), (2, "EP1")]
    assert rows.account.strange == ("row 4 '7 8 9'", "row 8 '5 6 7'")


@pytest.mark.parametrize("suffix", [".xlsx", ".xls"])
def test_merged_cells_have_their_value_in_every_row_that_holds_something(tmp_path, suffix):
    lines = [
        (*HEADER, "Emotion"),
        ("01", "EP1", 1, 2, 3, "fear"),
        (None, "EP2", None, 5, 6),
        (),
        (None, "EP3", 7, 8, 9),
    ]
    lines.append(("02", "EP1", 1, 2, 3, "joy"))
    if suffix == ".xls":
        path = xls(tmp_path / "a.xls", lines, merged=[(1, 4, 0, 0), (1, 2, 5, 5)])
    else:
        path = xlsx(tmp_path / "a.xlsx", lines)
        book = openpyxl.load_workbook(path)
        book["Sheet1"].merge_cells("A2:A5")
        book["Sheet1"].merge_cells("F2:F3")
        book.save(path)
    rows = sheets.samples(path)
    assert [sheets.key(row) for row in rows] == [(1, "EP1"), (1, "EP2"), (1, "EP3"), (2, "EP1")]
    assert [row.cells["emotion"] for row in rows] == ["fear", "fear", None, "joy"]
    assert rows.account == Account(rows=4, filled=3)


def test_after_a_remark_no_subject_is_guessed(tmp_path):
    lines = [HEADER, (None, "EP0", 1, 2, 3), ROWS[1], ("left early", None), (None, "EP2", 1, 2, 3)]
    rows = sheets.samples(xlsx(tmp_path / "a.xlsx", lines))
    assert [sheets.key(row) for row in rows] == [(1, "EP1")]
    assert [name[:5] for name in rows.account.strange] == ["row 2", "row 4", "row 5"]


def test_a_subject_may_stand_in_a_row_above_its_clips(tmp_path):
    lines = [HEADER, *ROWS[1:], ("Subject 3",), (None, "EP1", 1, 2, 3)]
    assert sheets.key(sheets.samples(xlsx(tmp_path / "a.xlsx", lines))[-1]) == (3, "EP1")


def test_a_sheet_without_header_is_read_by_the_columns_that_it_should_have(tmp_path):
    path = xlsx(tmp_path / "a.xlsx", [(1, "anger1_1", 5), (), (None, "anger1_2", 9), (None, "Total", 14)])
    rows = sheets.samples(path, columns=("subject", "clip", "onset"))
    assert [sheets.key(row) for row in rows] == [(1, "anger1_1"), (1, "anger1_2")]
    assert (rows.account.rows, rows.account.filled) == (3, 1)


def test_a_formula_without_a_stored_value_is_empty(tmp_path):
    (row,) = cells(xlsx(tmp_path / "a.xlsx", [(*HEADER, "Duration"), ("006", "a", 1, 2, 3, "=E2-C2+1")]))
    assert row["duration"] is None


def test_a_sheet_has_a_name_or_a_position(tmp_path):
    path = xlsx(tmp_path / "a.xlsx", ROWS, "HS", VIS=ROWS[:2])
    assert len(sheets.samples(path)) == 2
    assert len(sheets.samples(path, sheet_name="vis")) == len(sheets.samples(path, position=1)) == 1
    with pytest.raises(InputError, match=r"a\.xlsx has no sheet NIR: its sheets are HS, VIS\."):
        sheets.samples(path, sheet_name="NIR")
    with pytest.raises(InputError, match=r"a\.xls has no sheet number 2: its sheets are HS\."):
        sheets.samples(xls(tmp_path / "a.xls", ROWS, "HS"), position=1)


def test_required_columns_can_be_others(tmp_path):
    path = xlsx(tmp_path / "a.xlsx", [("Subject", "Filename", "Objective Class"), ("01", "a", 3)])
    assert cells(path, required=("subject", "clip", "objective")) == [{"subject": "01", "clip": "a", "objective": 3}]


def test_a_file_without_header_says_what_it_holds(tmp_path):
    path = xlsx(tmp_path / "a.xlsx", [("Table 1",), ("Subject", "Name", "Begin")])
    expected = r"a\.xlsx has no header: .* subject, clip, onset; the fullest row there holds Subject, Name, Begin\.$"
    with pytest.raises(InputError, match=expected):
        sheets.samples(path)
    with pytest.raises(InputError, match=r"the fullest row there holds nothing"):
        sheets.samples(xlsx(tmp_path / "b.xlsx", []))


def damaged(path):
    if path.name == "locked.xlsx":
        path.mkdir()
    elif path.name == "cut.xlsx":
        path.write_bytes(xlsx(path, ROWS).read_bytes()[:2000])
    elif path.name == "cut.xls":
        path.write_bytes(xls(path, ROWS).read_bytes()[:700])
    elif path.name == "latin.csv":
        path.write_bytes("Süject,Filename\n".encode("latin-1"))
    elif path.name == "empty.csv":
        path.write_text(",".join(HEADER))
    elif path.name != "absent.xlsx":
        path.write_bytes(b"<html>please log in</html>")
    return path


FAULTS = {
    "absent.xlsx": r"does not exist: data\.sheet should name a workbook",
    "locked.xlsx": r"can't be opened, close it in Excel if it is open",
    "~$book.xlsx": r"is the lock that Excel keeps while a workbook is open: name the workbook itself",
    "page.xlsx": r"is no workbook: it should be an \.xlsx, \.xls or \.csv file",
    "cut.xlsx": r"is a damaged workbook",
    "cut.xls": r"is damaged or has a password",
    "latin.csv": r"can't be read as a table, save it as CSV in UTF-8",
    "empty.csv": r"has no rows: below its header it should list one sample in each row",
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_file_that_is_no_table_is_named(tmp_path, name):
    with pytest.raises(InputError, match=FAULTS[name]) as caught:
        sheets.samples(damaged(tmp_path / name))
    assert name in str(caught.value)


def test_the_preferred_sheet_is_found_in_the_root_or_one_folder_below(tmp_path):
    (tmp_path / "labels").mkdir()
    for name in ("~$Coding-2014.xlsx", "Coding-2019.xlsx", "labels/Coding-2014.XLSX", "Coding-2014.docx"):
        (tmp_path / name).touch()
    patterns = ("coding-2014*", "coding*")
    assert sheets.find(tmp_path, patterns).name == "Coding-2014.XLSX"
    assert sheets.find(tmp_path, ("coding-20*",)).name == "Coding-2019.xlsx"
    assert sheets.search(tmp_path, ("other*",)) is None
    for asked in ("coding-2019.xlsx", "Coding-2019.xlsx", str(tmp_path / "Coding-2019.xlsx")):
        assert sheets.find(tmp_path, patterns, asked).name == "Coding-2019.xlsx"
    with pytest.raises(InputError, match=r"no sheet a\.xlsx: found Coding-2019\.xlsx, Coding-2014\.XLSX; name one"):
        sheets.find(tmp_path, patterns, "a.xlsx")


def test_cells_become_text_and_numbers():
    assert [sheets.text(cell) for cell in (None, " a ", 12, 12.0, 1.5)] == ["", "a", "12", "12", "1.5"]
    assert sheets.raw(" a ") == " a "
    assert [sheets.whole(cell) for cell in (46, 46.0, " 046 ", "46.0", -1)] == [46, 46, 46, 46, -1]
    assert {sheets.whole(cell) for cell in ("/", "", None, 4.5, "nan", float("nan"), float("inf"))} == {None}
    assert [sheets.objective(cell) for cell in (1, "VII", " iv ", "7", 0, 8, "others", None)] == [1, 7, 4, 7] + [
        None
    ] * 4


@settings(deadline=None)
@given(st.integers(0, 999))
def test_a_subject_is_one_number_however_it_is_written(number):
    ways = [
        number,
        float(number),
        f"{number:02}",
        f"{number}.0",
        f"sub{number:02}",
        f"spNO.{number}",
        f" S{number:03} ",
    ]
    assert {sheets.serial(way, "here") for way in ways} == {number}


def test_a_subject_without_number_is_named():
    with pytest.raises(InputError, match=r"^a\.xlsx row 9: subject 'Total' should end in a number\.$"):
        sheets.serial("Total", "a.xlsx row 9")
