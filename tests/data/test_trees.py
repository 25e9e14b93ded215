import re
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import openpyxl
import pytest

from merjax.data import synthetic
from merjax.data.trees import RECIPES, TREES
from merjax.data.trees.pictures import FACES
from merjax.types import InputError

SMALL = {"size": 16, "clips": 4, "length": 6}
PICTURES = {".jpg", ".png", ".bmp"}


def cells(path, sheet=None):
    book = openpyxl.load_workbook(path)
    return [list(row) for row in book[sheet or book.sheetnames[0]].iter_rows(values_only=True)]


def pictures(folder):
    return {p for p in folder.iterdir() if p.suffix in PICTURES and not p.name.startswith(".")}


def number(path):
    return int(re.findall(r"\d+", path.stem)[-1])


def files(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def only(tree, fault):
    return [s for s in tree.samples if s.fault == fault]


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """Trees by name and faults, each written once."""
    trees = {}

    def get(name, faults=("all",)):
        if (name, faults) not in trees:
            root = tmp_path_factory.mktemp(name)
            trees[name, faults] = TREES[name](root / "data", faults=faults, **SMALL)
        return trees[name, faults]

    return get


@pytest.mark.parametrize("name", TREES)
def test_every_fault_is_planted_when_asked_for(grown, name):
    tree = grown(name)
    assert tree.faults == tuple(RECIPES[name].faults)
    assert {s.fault for s in tree.samples} - {""} == {f for f, rows in RECIPES[name].faults.items() if rows}


@pytest.mark.parametrize("name", TREES)
def test_a_sound_tree_tells_the_truth(grown, name):
    tree = grown(name, ())
    assert tree.faults == ()
    assert not [s for s in tree.samples if s.fault]
    for s in tree.samples:
        assert (s.onset, s.offset) == (s.first, s.last)
        assert s.apex in (s.peak, None)
        assert s.numbers == tuple(range(s.first, s.last + 1))
        assert s.on_disk
    for path in tree.root.rglob("*"):
        if path.is_file() and path.suffix != ".xlsx":
            assert path.suffix in PICTURES
            assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED) is not None, path


@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize("faults", [("all",), ()])
def test_folders_hold_the_numbers_that_the_samples_say(grown, name, faults):
    tree = grown(name, faults)
    assert len({(s.dataset, s.subject, s.clip, s.onset) for s in tree.samples}) == len(tree.samples)
    for s in tree.samples:
        assert bool(s.folders) == s.on_disk
        for folder in s.folders.values():
            there = {number(path) for path in pictures(tree.root / folder)}
            if s.kind != "macro" or name == "casme_sq":
                assert there & set(range(s.first, s.last + 1)) == set(s.numbers)


@pytest.mark.parametrize("name", TREES)
def test_a_fault_comes_alone_if_asked_for_alone(name, tmp_path):
    faults = RECIPES[name].faults
    fault = next(f for f, rows in faults.items() if rows)
    tree = TREES[name](tmp_path, faults=(fault,), subjects=1, clips=1, size=16)
    assert tree.faults == (fault,)
    assert len(only(tree, fault)) == len(faults[fault])
    assert {s.fault for s in tree.samples} == {"", fault}


@pytest.mark.parametrize("name", ["casme2", "smic", "casme3a"])
def test_the_same_seed_writes_the_same_tree(name, tmp_path):
    trees = [
        TREES[name](tmp_path / str(k), seed=seed, subjects=2, clips=3, size=16, faults=())
        for k, seed in enumerate((0, 0, 1))
    ]
    first, again, other = (files(tree.root) for tree in trees)
    assert first.keys() == again.keys() != other.keys()
    assert all(first[path] == again[path] for path in first if not path.endswith(".xlsx"))
    assert trees[0].samples == trees[1].samples
    for sheet in trees[0].sheets:
        assert cells(trees[0].sheets[sheet]) == cells(trees[1].sheets[sheet])
    shared = [path for path in first.keys() & other.keys() if Path(path).suffix in PICTURES]
    assert all(first[path] != other[path] for path in shared)


def test_it_writes_below_the_root_and_over_nothing(tmp_path):
    root = tmp_path / "in"
    TREES["samm"](root, subjects=1, clips=1, size=16)
    assert [p.name for p in tmp_path.iterdir()] == ["in"]
    before = files(root)
    with pytest.raises(InputError, match="already holds SAMM"):
        TREES["samm"](root, subjects=1, clips=1, size=16)
    assert files(root) == before
    TREES["smic"](root, subjects=1, clips=1, size=16)  # another data set may live beside it
    assert before.items() <= files(root).items()


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"size": 4}, "size is 4"),
        ({"subjects": 0}, "subjects is 0"),
        ({"length": 2}, "length is 2"),
        ({"faults": ("apex_unknwon",)}, "faults is 'apex_unknwon'"),
        ({"releases": ("cooked",)}, "releases is 'cooked'"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(argument, message, tmp_path):
    with pytest.raises(InputError, match=message):
        TREES["casme2"](tmp_path / "data", **argument)
    assert not (tmp_path / "data").exists()


def test_arguments_set_clips_length_size_and_release(tmp_path):
    wanted = {"subjects": 4, "clips": 9, "length": 20, "size": 24, "faults": (), "releases": ("raw",)}
    tree = TREES["casme2"](tmp_path, **wanted)
    assert {s.subject for s in tree.samples} == {"sub01", "sub02", "sub03", "sub04"}
    assert np.mean([len(s.numbers) for s in tree.samples]) == 20
    found = [p for p in tmp_path.rglob("*") if p.suffix == ".jpg"]
    assert {p.relative_to(tmp_path).parts[0] for p in found} == {"CASME2_RAW_selected"}
    assert {cv2.imread(str(p)).shape for p in found} == {(24, 32, 3)}


def test_onset_apex_and_offset_show_those_of_the_drawn_clip(tmp_path):
    tree = TREES["dfme"](tmp_path, seed=3, subjects=3, clips=6, size=32, faults=())
    for s in tree.samples:
        face = int(s.subject[3:]) % FACES
        truth = synthetic.draw(subject=face, clip=1, action=s.action, seed=3, size=32)
        for n, t in ((s.first, 0), (s.peak, truth.apex), (s.last, -1)):
            picture = cv2.imread(str(tmp_path / s.folders["raw"] / f"{n:05d}.png"))
            np.testing.assert_array_equal(picture[..., ::-1], truth.frames[t])
    actions = {s.emotion: s.action for s in tree.samples}
    assert actions["happiness"] == "lip_corner_puller"
    assert actions["surprise"] == "brow_raiser"
    assert actions["anger"] == "brow_lowerer"


def test_file_faults_damage_one_file_of_one_clip(grown):
    for name in ("casme2", "samm", "casme3a"):
        tree = grown(name)
        for s in tree.samples:
            for release, folder in s.folders.items():
                broken = {number(p) for p in pictures(tree.root / folder) if cv2.imread(str(p)) is None}
                cut = [p for p in pictures(tree.root / folder) if p.suffix == ".jpg" and _is_cut(p)]
                cut = {number(p) for p in cut} | broken
                planted = s.fault == "truncated_jpeg" and "depth" not in release
                assert cut == ({s.first + 1} if planted else set()), (name, s.clip)
                strangers = {p.name for p in (tree.root / folder).iterdir()} & {"Thumbs.db", ".DS_Store"}
                assert len(strangers) == 2 * (s.fault == "stray_files")


def _is_cut(path):
    return path.read_bytes()[-2:] != b"\xff\xd9"  # a JPEG file ends so


def test_the_top_folder_is_doubled_only_if_asked_for(grown):
    for name, faults, top in (("casme2", ("all",), "Cropped/Cropped"), ("samm", ("all",), "SAMM/SAMM")):
        assert (grown(name, faults).root / top).is_dir()
        assert not (grown(name, ()).root / top).exists()


# CASME II


def test_casme2_layout(grown):
    tree = grown("casme2", ())
    first = tree.samples[0]
    assert first.folders == {
        "raw_full": f"CASME2-RAW/sub01/{first.clip}",
        "raw": f"CASME2_RAW_selected/sub01/{first.clip}",
        "cropped": f"Cropped/sub01/{first.clip}",
    }
    names = {release: {p.name for p in pictures(tree.root / f)} for release, f in first.folders.items()}
    assert names["raw"] == {f"img{n}.jpg" for n in first.numbers}
    assert names["cropped"] == {f"reg_{name}" for name in names["raw"]}
    assert names["raw"] < names["raw_full"]
    ranges = [(s.first, s.last) for s in tree.samples]
    assert any(a < 10 <= b for a, b in ranges)
    assert any(a < 100 <= b for a, b in ranges)
    crops = [next(iter(pictures(tree.root / s.folders["cropped"]))) for s in tree.samples]
    assert len({cv2.imread(str(p)).shape for p in crops}) > 1


def test_casme2_sheets(grown):
    tree = grown("casme2")
    assert openpyxl.load_workbook(tree.sheets["CASME2-coding-20140508.xlsx"]).sheetnames == [
        "Sheet1",
        "Sheet2",
        "Sheet3",
    ]
    header, *rows = cells(tree.sheets["CASME2-coding-20140508.xlsx"])
    assert header == [
        *("Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None),
        *("Action Units", "Estimated Emotion"),
    ]
    by_name = {(row[0], row[1]): row for row in rows}
    assert {type(row[0]) for row in rows} == {str}
    assert by_name["04", "EP12_01f"][4] == "/"
    assert by_name["05", "EP09_05f"][3:5] == [69, 69]
    assert by_name["05", "EP16_04f"][4] == by_name["05", "EP16_04f"][5]
    assert by_name["09", "EP09f"]
    assert by_name["07", "EP06_02_01"]
    assert {by_name["01", "EP96_01"][7], by_name["01", "EP96_02"][7]} == {12, "4+7+L10"}
    assert {subject for subject, clip in by_name if clip == "EP95_01"} == {"01", "02"}
    (missing,) = only(tree, "folder_missing")
    assert not (tree.root / "Cropped/Cropped" / missing.subject / missing.clip).exists()
    (beyond,) = only(tree, "offset_beyond_folder")
    assert beyond.offset > beyond.numbers[-1]

    header, *edited = cells(tree.sheets["CASME2-coding-20190701.xlsx"])
    assert header == [
        *("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame"),
        *("Action Units", "Estimated Emotion", "Objective Classes"),
    ]
    assert {type(row[0]) for row in edited} == {int}
    changed = [(a[8], b[6]) for a, b in zip(rows, edited, strict=True) if a[8] != b[6]]
    assert changed == [("sadness", "surprise")] * 3
    spaced = cells(grown("casme2", ()).sheets["CASME2-coding-20190701.xlsx"])
    assert spaced[0][2] is None
    assert spaced[1][0] == "01"


# SAMM


def test_samm(grown):
    tree = grown("samm")
    rows = cells(tree.sheets["SAMM_Micro_FACS_Codes_v2.xlsx"], "MICRO_ONLY")
    assert len(rows[13]) == 12
    assert rows[13][:6] == ["Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame"]
    assert all(row[1] is None for row in rows[:13])
    assert rows[14][6] == "=F15-D15+1"
    saved = openpyxl.load_workbook(tree.sheets["SAMM_Micro_FACS_Codes_v2.xlsx"], data_only=True)["MICRO_ONLY"]
    assert saved["G15"].value is None
    by_name = {row[1]: row for row in rows[14:]}
    assert len(by_name) == len(tree.samples)
    assert by_name["032_3_1"][3:5] == [4896, 1930]
    assert by_name["028_4_1"][4] > by_name["028_4_1"][5]
    assert {row[8] for row in rows[14:]} >= {"(R6 or R12)+R15", "ref(7B)+43", "10A/B"}
    assert "Other" in {row[9] for row in rows[14:]}
    assert cells(tree.sheets["SAMM_Micro_FACS_Codes_v2_edited.xlsx"])[0] == rows[13]
    assert list(grown("samm", ()).sheets) == ["SAMM_Micro_FACS_Codes_v2.xlsx"]

    lengths = {}
    for s in tree.samples:
        for folder in s.folders.values():
            found = pictures(tree.root / folder)
            assert all(cv2.imread(str(p), cv2.IMREAD_UNCHANGED).ndim == 2 for p in [max(found)])
            lengths[s.fault] = Counter(len(p.stem.split("_")[1]) for p in found)
    assert lengths.pop("short_number")[4] == 1
    assert all(set(count) == {5} for count in lengths.values())


# SMIC


def test_smic(grown):
    tree = grown("smic")
    micro = [s for s in tree.samples if s.kind == "micro"]
    assert {s.dataset for s in micro} == {"smic_hs", "smic_vis", "smic_nir"}
    assert tree.sheets == {}
    raw = {s.folders["raw"].split("/", 2)[2] for s in micro}
    assert all(
        re.fullmatch(r"(HS|VIS|NIR)/s\d+/micro/(negative|positive|surprise)/s\d+_(ne|po|sur)_\d\d", f) for f in raw
    )
    assert {"s1", "s11"} <= {f.split("/")[1] for f in raw}
    assert any("/non_micro/" in s.folders["raw"] for s in tree.samples if s.kind == "non_micro")
    for s in micro:
        names = {p.name for p in pictures(tree.root / s.folders["cropped"])}
        word = "reg_" if s.dataset == "smic_nir" else "reg_image"
        assert all(re.fullmatch(word + r"\d{5,8}\.bmp", name) for name in names)
    (hole,) = only(tree, "hole")
    assert set(range(hole.first, hole.last + 1)) - set(hole.numbers) == {301105}
    a, b = only(tree, "counter_grows")
    assert a.first < 100000 <= a.last
    texts = sorted(p.name for p in pictures(tree.root / b.folders["raw"]))
    assert [number(Path(t)) for t in texts] != list(b.numbers)


def test_smic_has_counters_of_several_lengths(tmp_path):
    tree = TREES["smic"](tmp_path, subjects=8, clips=8, size=16, faults=(), releases=("raw",))
    lengths = {len(str(s.first)) for s in tree.samples if s.dataset == "smic_hs"}
    assert lengths == {5, 6, 7, 8}


def test_smic_e(grown):
    tree = grown("smic_e")
    path = tree.sheets["SMIC-HS-E_annotation.xlsx"]
    assert openpyxl.load_workbook(path).sheetnames == ["HS", "VIS", "Sheet2", "Sheet3"]
    header, *rows = cells(path, "HS")
    assert [h for h in header if h][:6] == ["Subject", "Filename", "OnsetF", "OffsetF", "Onset2F", "Offset2F"]
    assert rows[0][:5] == [1, tree.samples[0].clip, None, tree.samples[0].first, "=D2+M2-1"]
    assert rows[0][3] + rows[0][12] - 1 == tree.samples[0].last
    assert rows[-1][0] is None
    assert "remark" in rows[-1][3]
    first, second = only(tree, "second_movement")
    row = next(row for row in rows if row[1] == first.clip)
    assert row[3] == first.first
    assert row[5:7] == [second.first, second.last]
    (absent,) = only(tree, "folder_missing")
    assert absent.clip in {row[1] for row in rows}
    assert not list(tree.root.rglob(absent.clip))
    sample = tree.samples[0]
    there = {number(p) for p in pictures(tree.root / sample.folders["raw_full"])}
    assert there == set(range(sample.first - 6, sample.last + 7))
    assert all(row[1] for row in cells(grown("smic_e", ()).sheets[path.name], "HS"))


# MMEW


def test_mmew(grown):
    tree = grown("mmew")
    header, *rows = cells(tree.sheets["MMEW_Micro_Exp.xlsx"])
    assert header == [
        *("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame"),
        *("Action Units", "Estimated Emotion", "remarks"),
    ]
    assert {row[2] for row in rows} == {1}
    assert {type(row[0]) for row in rows} == {int}
    assert {"others", "happiness"} <= {row[6] for row in rows}
    assert "12L" in {row[5] for row in rows}
    sound = grown("mmew", ())
    sample = sound.samples[0]
    folder = sound.root / "MMEW_Final/Micro_Expression" / sample.emotion / sample.clip
    names = [p.name for p in sorted(pictures(folder))]
    assert names[:3] == ["1.jpg", "10.jpg", "11.jpg"]
    (beyond,) = only(tree, "offset_beyond_folder")
    assert beyond.offset > beyond.numbers[-1]
    macro = [s for s in sound.samples if s.kind == "macro"]
    assert all((sound.root / s.folders["macro"] / f"{s.clip}.jpg").is_file() for s in macro)
    assert not {s.clip for s in macro} & {row[1] for row in cells(sound.sheets["MMEW_Micro_Exp.xlsx"])}
    official = grown("mmew_official", ())
    place = f"MMEW/Micro-Expression/{sample.subject}/{sample.emotion}/{sample.clip}"
    assert official.samples[0].folders == {"official": place}


# CAS(ME)^3


def test_casme3_part_a(grown):
    tree = grown("casme3a")
    (path,) = tree.sheets.values()
    header, *rows = cells(path, "label")
    assert header == ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion"]
    assert {type(cell) for row in rows for cell in row} == {str}
    assert {row[6] for row in rows} <= {"I", "II", "III", "IV", "V", "VI", "VII"}
    assert "Others" in {row[7] for row in rows}
    by_key = {(row[0], row[1], row[2]): row for row in rows}
    assert by_key["spNO.216", "e", "0"][3:5] == ["0", "25"]
    assert by_key["spNO.40", "e", "1812"][4] == "0"
    assert by_key["spNO.149", "d", "112"][3] == "83"
    assert by_key["spNO.214", "c", "5"][4] == "3460"
    assert by_key["spNO.3", "J", "21"]
    whole = {s.fault: tree.root / s.folders["raw_full"] for s in tree.samples if s.on_disk}
    assert whole["letter_case"].parts[-3:] == ("spNO.3", "j", "color")
    assert whole["folder_case"].parts[-3:] == ("spNo.1", "k", "color")
    (zero,) = only(tree, "onset_zero")
    assert min(number(p) for p in pictures(tree.root / zero.folders["raw_full"])) == 1
    (dropped,) = only(tree, "dropped_apex")
    assert dropped.apex not in dropped.numbers


def test_casme3_part_a_layout(tmp_path):
    tree = TREES["casme3a"](tmp_path, subjects=1, clips=3, size=16, faults=())
    assert len({(s.subject, s.clip) for s in tree.samples}) == 1  # three samples share a clip
    assert len({s.folders["raw_full"] for s in tree.samples}) == 1
    assert len({s.folders["raw"] for s in tree.samples}) == 3
    for s in tree.samples:
        assert s.folders["raw"] == f"Part_A_ME_clip/frame/{s.subject}_{s.clip}_{s.onset}"
        assert {p.name for p in pictures(tmp_path / s.folders["raw"])} == {f"{n}.jpg" for n in s.numbers}
        for release in ("depth", "depth_full"):
            depth = cv2.imread(str(tmp_path / s.folders[release] / f"{s.peak}.png"), cv2.IMREAD_UNCHANGED)
            assert depth.dtype == np.uint16
            assert depth.ndim == 2
    assert (tmp_path / tree.samples[0].folders["raw_full"] / "1.jpg").is_file()


def test_casme3_part_c(grown):
    tree = grown("casme3c")
    (path,) = tree.sheets.values()
    header, *rows = cells(path, "mockCrimeME")
    assert header == ["sub", "count", "onset", "offset", "au", "emotion", "PHY"]
    assert cells(grown("casme3c", ()).sheets[path.name])[0] == header[:-1]
    assert {type(cell) for row in rows for cell in row[:4]} == {int}
    assert {"4，11", "R4,5", 12} <= {row[4] for row in rows}
    assert grown("casme3c", ()).samples[0].folders["raw"] == "part_C/01/1/color"


# CAS(ME)^2


def test_casme_squared(grown):
    tree = grown("casme_sq")
    (path,) = tree.sheets.values()
    assert openpyxl.load_workbook(path).sheetnames == ["CASFEcode_final", "naming rule1", "naming rule2"]
    rows, people, videos = (cells(path, sheet) for sheet in ("CASFEcode_final", "naming rule1", "naming rule2"))
    folders = {number: folder for _, folder, number in people}
    assert folders[1] == "s15"
    assert folders[22] == "s40"
    codes = {name: code for code, name in videos}
    assert codes["disgust1"] == 101
    assert {row[7] for row in rows} == {"micro-expression", "macro-expression"}
    assert 0 in {row[3] for row in rows}
    assert 0 in {row[4] for row in rows}
    for row, s in zip(rows, tree.samples, strict=True):
        assert row[1:5] == [s.clip, s.onset, s.apex, s.offset]
        assert folders[row[0]] == s.subject
        if s.on_disk:
            title = s.folders["raw_full"].split("/")[-1]
            assert title[:2] == s.subject[1:]
            assert title[2:].startswith(f"_{codes[s.clip.split('_')[0]]:04d}")
    (lost,) = only(tree, "misplaced_folder")
    assert lost.subject == "s23"
    assert lost.folders["raw_full"].endswith("s19/23_0502funnyerrors")
    names = {p.name for p in (tree.root / "rawpic").rglob("*.jpg")}
    assert {"img007.jpg", "img107.jpg"} <= names
    assert {"img7.jpg", "img107.jpg"} <= {p.name for p in (tree.root / "cropped").rglob("*.jpg")}


# The others


def test_casme(grown):
    tree = grown("casme")
    header, *rows = cells(tree.sheets["CASME-coding.xlsx"])
    assert header == ["Subject", "Filename", None, "OnsetF", "ApexF1", "ApexF2", "OffsetF", None, "AUs", "Emotion"]
    assert "comtempt" in {row[9] for row in rows}
    assert {"EP11", "EP12_2_10", "EP07_1"} <= {row[1] for row in rows}
    assert len([row for row in rows if row[5]]) == 1
    for s in grown("casme", ()).samples:
        pad = 3 if s.subject >= "sub08" else 1
        names = {p.name for p in pictures(grown("casme", ()).root / s.folders["raw"])}
        assert names == {f"{s.clip}-{n:0{pad}d}.jpg" for n in s.numbers}


def test_fourdme(grown):
    tree = grown("4dme")
    (path,) = tree.sheets.values()
    header, *rows = cells(path)
    assert header[:7] == ["sub_ID'", "fold_name'", "Onset'", "Apex'", "Offset'", "AUs'", "Emotion'"]
    assert rows[-1][0] is None
    assert rows[-1][7] == sum(row[7] for row in rows[:-1])
    assert {"Surprise+Positive", "Negative"} <= {row[6] for row in rows}
    assert any("(k)" in str(row[5]) for row in rows)
    saved = openpyxl.load_workbook(path).worksheets[0]
    swapped = [row for row in rows if row[1] in {s.clip for s in only(tree, "units_swapped")}]
    six, twelve = header.index("AU6'"), header.index("AU12'")
    assert [(row[5], row[six], row[twelve]) for row in swapped] == [("AU6+12", 0, 0), ("AU4+7", 1, 1)]
    assert saved["C2"].value == tree.samples[0].first
    plain = cells(grown("4dme", ()).sheets[path.name])
    assert plain[0][0] == "sub_ID"
    assert all(row[0] for row in plain)
    s = grown("4dme", ()).samples[0]
    names = {p.name for p in pictures(grown("4dme", ()).root / s.folders["short"])}
    assert names == {f"Frame_{n:09d}.jpg" for n in s.numbers}


def test_dfme(grown):
    tree = grown("dfme")
    header, *rows = cells(tree.sheets["training_full_with_AU.xlsx"])
    assert header[-4:] == ["Emotion", "EmotionId", "Fps", "AU"]
    assert {row[7] for row in rows} == {500, 300, 200}
    assert 0 in {row[2] for row in rows}
    (zero,) = only(tree, "onset_zero")
    assert (tree.root / zero.folders["raw"] / "00000.png").is_file()
