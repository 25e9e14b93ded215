import json
import os
import struct
import zlib

import numpy as np
import pytest

from merjax.data import describe, frames
from merjax.data.known import KNOWN
from merjax.data.record import Record
from merjax.data.trees import TREES
from merjax.report import describe as report
from merjax.types import InputError


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    return TREES["casme2"](tmp_path_factory.mktemp("data") / "casme2", faults=("all",), size=48, releases=("cropped",))


def casme2(root, **options):
    return TREES["casme2"](root, **{"faults": (), "size": 16, "clips": 6, "releases": ("raw",)} | options)


@pytest.mark.parametrize("name", TREES)
def test_every_tree_is_recognised_as_what_it_is(tmp_path, name):
    tree = TREES[name](tmp_path / "unhelpful name", faults=(), size=16, clips=6, subjects=3)
    found = describe.describe(tree.root)
    named = {one.found.name for one in found}
    micro = {sample.dataset for sample in tree.samples if sample.kind == "micro"}
    assert named == micro
    for one in found:
        samples = [sample for sample in tree.samples if sample.kind == "micro" and sample.dataset == one.found.name]
        assert len(one.found.records) == len(samples)
        assert not any(record.issues for record in one.found.records)
        told = report.text([one])
        assert KNOWN[one.found.name].title in told
        assert f"{len(samples)} of {len({sample.subject for sample in samples})} subjects" in told


def test_clips_labels_and_every_planted_fault_are_told(faulty):
    (one,) = describe.describe(faulty.root)
    by_code = {}
    for record in one.found.records:
        for code in record.issues:
            by_code.setdefault(code, set()).add(f"{record.subject}/{record.clip}")
    assert by_code["apex_unknown"] == {"sub04/EP12_01f"}
    assert by_code["apex_placeholder"] >= {"sub05/EP09_05f", "sub05/EP16_04f"}
    assert by_code["folder_missing"] == {"sub24/EP02_07"}
    assert by_code["range_from_folder"] == {"sub12/EP09_06", "sub07/EP06_01"}
    assert by_code["unreadable"] == {"sub02/EP97_02"}
    told = report.text([one])
    assert all(code in told and report.MEANING[code] in told for code in by_code)
    emotions = [sample.emotion for sample in faulty.samples]
    for name in set(emotions):
        assert any(line.split()[:2] == [name, str(emotions.count(name))] for line in told.splitlines())
    assert "CASME2-coding-20140508.xlsx" in told
    assert "255 of 26 subjects, counted on the sheet" in told


def test_each_scheme_is_counted(faulty):
    (one,) = describe.describe(faulty.root)
    usable = [
        s for s in faulty.samples if s.on_disk and s.emotion in ("happiness", "disgust", "repression", "surprise")
    ]
    (line,) = (line for line in report.text([one]).splitlines() if line.split()[:1] == ["casme2_4"])
    assert line.split()[1:3] == [str(len(usable)), str(len({s.subject for s in usable}))]
    assert line.endswith("147 of 24")


def test_json_holds_every_record_with_its_fields_and_paths_below_the_root(faulty):
    found = describe.describe(faulty.root)
    content = json.loads(json.dumps(describe.plain(found)))
    assert len(content) == len(found[0].found.records)
    for entry, record in zip(content, found[0].found.records, strict=True):
        assert tuple(entry) == Record._fields
        assert [str(faulty.root / path) for path in entry["frames"]] == list(record.frames)
        assert entry["au"] == [unit._asdict() for unit in record.au]
        assert entry["frame_numbers"] == list(record.frame_numbers)


def test_the_page_stands_alone_and_tells_the_same(faulty):
    found = describe.describe(faulty.root)
    page = report.page(found)
    assert page.count("<section>") == len(report.blocks(found[0]))
    assert "apex_placeholder" in page
    assert "src=" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_faces_shows_one_crop_for_each_usable_clip(faulty):
    found = describe.describe(faulty.root)
    picture = describe.faces(found)
    clips = len(describe.usable(found[0]))
    columns = picture.shape[1] // describe.SIDE
    assert picture.dtype == np.uint8
    assert (clips - 1) // columns < picture.shape[0] / describe.SIDE < 2 * (clips // columns + 1)


def test_several_data_sets_side_by_side_are_all_found(tmp_path):
    casme2(tmp_path / "one")
    TREES["samm"](tmp_path / "two", faults=(), size=16, clips=4)
    assert {found.found.name for found in describe.describe(tmp_path)} == {"casme2", "samm"}


@pytest.mark.parametrize("other", ["smic", "mmew", "dfme", "casme3a"])
def test_data_sets_side_by_side_are_all_found_though_their_folder_looks_like_that_of_one(tmp_path, other):
    for place, name in (("CASME2", "casme2"), ("SAMM", "samm"), ("another", other)):
        TREES[name](tmp_path / place, faults=(), size=16, clips=4)
    found = [one.found.name for one in describe.describe(tmp_path)]
    assert sorted({name.removesuffix("_hs") for name in found} - {"smic_vis", "smic_nir"}) == sorted(
        ("casme2", "samm", other)
    )
    assert len(set(found)) == len(found)


def test_the_other_releases_of_a_data_set_are_no_data_sets_beside_it(tmp_path):
    TREES["samm"](tmp_path, faults=(), size=16, clips=4)
    (tmp_path / "SAMM_CROP").rename(tmp_path / "old crops")
    assert [one.found.name for one in describe.describe(tmp_path)] == ["samm"]


def test_rows_images_and_folders_beside_the_clips_are_told(tmp_path):
    tree = casme2(tmp_path)
    clip = tree.root / tree.samples[0].folders["raw"]
    (clip / "flow_u_1.jpg").write_bytes(b"")
    (clip.parent / "EP99_01").mkdir()
    told = report.text(describe.describe(tree.root))
    assert "6 rows read: 6 clips used, 0 left out" in told
    assert f"flow_u_1.jpg in casme2/{tree.samples[0].subject}/{tree.samples[0].clip}" in told
    assert "EP99_01" in told
    assert report.MEANING["stray_images"] in told


def test_what_is_no_data_set_is_told_what_was_expected_and_what_is_there(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"sea")
    with pytest.raises(InputError) as error:
        describe.describe(tmp_path)
    for words in (*(known.title.partition(",")[0] for known in KNOWN.values()), "found holiday.jpg", "Cropped"):
        assert words in str(error.value)


def test_a_missing_sheet_and_missing_frames_are_named(tmp_path):
    tree = casme2(tmp_path / "no sheet")
    for path in tree.sheets.values():
        path.unlink()
    with pytest.raises(InputError, match=r"it resembles CASME II, but .* hold no sheet casme2-coding-20140508"):
        describe.describe(tree.root)
    tree = casme2(tmp_path / "no frames")
    (tree.root / "CASME2_RAW_selected").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"it resembles CASME II, but .* holds no frames of this data set: expected"):
        describe.describe(tree.root)


def png_header(width, height):
    """A PNG file that is nothing but the claim of a size, and an end."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", b""), (b"IEND", b"")]
    chunks = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_damage_of_many_kinds_is_told_and_nothing_fails(tmp_path):
    tree = casme2(tmp_path / "casme2", clips=8)
    cut, huge, empty, gone, link = (sorted((tree.root / s.folders["raw"]).glob("*")) for s in tree.samples[:5])
    cut[1].write_bytes(cut[1].read_bytes()[:200])
    for path in huge:
        path.unlink()
        path.with_suffix(".png").write_bytes(png_header(60_000, 60_000))
    empty[0].write_bytes(b"")
    gone[0].unlink()
    gone[0].symlink_to(tmp_path / "nowhere.jpg")
    (link[0].parent / "loop").symlink_to(link[0].parent)
    (tree.root / "loop").symlink_to(tree.root)
    (tree.root / "~$CASME2-coding-20140508.xlsx").write_bytes(b"lock")
    (tree.root / "Thumbs.db").write_bytes(b"\0")
    (cut[0].parent / ".hidden.jpg").write_bytes(b"")
    with open(os.fsencode(tree.root) + b"/\xff\xfe.txt", "wb") as file:
        file.write(b"a name that is no text")
    (one,) = describe.describe(tree.root)
    codes = {f"{record.subject}/{record.clip}": record.issues for record in one.found.records}
    names = [f"{s.subject}/{s.clip}" for s in tree.samples]
    assert all("unreadable" in codes[name] for name in names[:3])
    assert "frame_gap" in codes[names[3]]
    assert all(not codes[name] for name in names[4:])
    report.text([one]).encode()
    assert describe.faces([one]).size
    assert report.page([one])


def test_a_table_in_a_wrong_encoding_is_one_sentence(tmp_path):
    tree = casme2(tmp_path / "casme2")
    for path in tree.sheets.values():
        path.unlink()
    (tree.root / "CASME2-coding-20140508.csv").write_bytes(
        "Subject,Filename,OnsetFrame\nMüller,x,1\n".encode("latin-1")
    )
    with pytest.raises(InputError, match="save it as CSV in UTF-8"):
        describe.describe(tree.root)


def test_a_folder_that_cannot_be_listed_is_told(tmp_path, monkeypatch):
    tree = casme2(tmp_path / "casme2")
    closed, scandir = str(tree.root / tree.samples[0].folders["raw"]), os.scandir

    def refuse(path="."):
        if str(path) == closed:
            raise PermissionError(13, "Permission denied", closed)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    (one,) = describe.describe(tree.root)
    assert [record.issues for record in one.found.records].count(("unreadable", "onset_unknown")) <= 1
    assert sum("unreadable" in record.issues for record in one.found.records) == 1


def test_a_root_of_a_hundred_thousand_stray_files_is_read(tmp_path):
    tree = casme2(tmp_path / "casme2")
    for number in range(100_000):  # most of them deep, for the type checks of the suite make each in the root cost much
        folder = tree.root / (tree.samples[0].folders["raw"] if number % 20 else ".")
        (folder / f"stray{number}.txt").touch()
    (one,) = describe.describe(tree.root)
    assert len(one.found.records) == 6


def test_a_data_set_that_may_only_be_read_is_described_and_left_as_it_is(tmp_path):
    tree = casme2(tmp_path / "casme2")
    before = {path: path.stat().st_mtime_ns for path in tree.root.rglob("*")}
    folders = [tree.root, *(path for path in tree.root.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        found = describe.describe(tree.root)
        describe.faces(found)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert {path: path.stat().st_mtime_ns for path in tree.root.rglob("*")} == before


def test_at_most_one_image_a_clip_is_decoded(faulty, monkeypatch):
    decoded, image = [], frames.image
    monkeypatch.setattr(frames, "image", lambda path: decoded.append(os.path.dirname(path)) or image(path))
    (one,) = describe.describe(faulty.root)
    broken = {path for path in decoded if decoded.count(path) > 1}
    assert len(broken) <= 1  # the clip with the frame that is cut short
    assert len(set(decoded)) == len(describe.usable(one))
