import os
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from merjax.data import flow_folder
from merjax.types import InputError

BOTH = ("onset_apex", "apex_offset")
IMAGES = "STSNet_whole_norm_u_v_os"
TABLE = "combined_3_class2_for_optical_flow.csv"
OWN_HEADER = "dataset,subject,clip,label,onset_apex,apex_offset"
SHARED_HEADER = "dataset,sub,filename_o,label,apex,imagename,sub_filename"

# What `plant` puts into row 3, with the sentence that it must get.
FAULTS = {
    "label": r"labels\.csv row 3, clip d/s2/b: label 'happy' is none of negative, positive, surprise",
    "missing": r"clip d/s2/b: its onset_apex image \S*b\.png is missing",
    "empty cell": r"clip d/s2/b: it has no onset_apex image of its own, but the run's input needs one",
    "no second phase": r"clip d/s2/b: it has no apex_offset image of its own",
    "no name": r"row 3, clip d/s2/: its database, subject or clip is empty, and all three should be given",
    "truncated": r"its onset_apex image \S*b\.png can't be read: it is damaged, cut short or no image",
    "damaged": r"its onset_apex image \S*b\.png can't be read: it is damaged, cut short or no image",
    "no image": r"its onset_apex image \S*b\.png can't be read: it is damaged, cut short or no image",
    "no bytes": r"its onset_apex image \S*b\.png can't be read: it is damaged, cut short or no image",
    "folder": r"its onset_apex image \S*b\.png can't be read: Is a directory",
    "grey": r"its onset_apex image \S*b\.png has 1 channels of uint8, but should have 3 of uint8",
    "alpha": r"its onset_apex image \S*b\.png has 4 channels of uint8, but should have 3 of uint8",
    "16 bits": r"its onset_apex image \S*b\.png has 3 channels of uint16, but should have 3 of uint8",
    "size": r"its onset_apex image \S*b\.png is 4 x 6 \(height x width\), but should be 4 x 5 like most images",
}


def png(path, value=0, shape=(4, 5, 3), dtype=np.uint8):
    """An image of one colour; `value` is a number or (u, v, strain), written as OpenCV wants it: last channel first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full(shape, np.flip(value), dtype)
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())


def write_table(path, header, *lines, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *lines]) + "\n", encoding=encoding)


def own_folder(root, *lines):
    """Layout 1: an image for each path that the lines name."""
    write_table(root / "labels.csv", OWN_HEADER, *lines)
    for line in lines:
        for cell in filter(None, line.split(",")[4:]):
            png(root / cell)
    return str(root)


def shared_folder(root, lines, stems, blank=" ", folder=f"datasets/{IMAGES}", table=TABLE):
    """Layout 2: image number i has u = i."""
    write_table(root / table, SHARED_HEADER, *lines)
    for number, stem in enumerate(stems):
        png(root / folder / f"{stem}{blank}.png", (number, 0, 0))
    return str(root)


def u_values(dataset, phase="onset_apex"):
    return [round(255 * float(getattr(dataset.load(clip), phase)[0, 0, 0])) for clip in dataset.clips]


def plant(root, fault):
    """A folder of four sound clips and, in row 3, one with the fault."""
    sound = [f"d,s1,{name},negative,{name}.png,{name}_1.png" for name in ("a", "c", "e", "f")]
    faulty = {
        "label": "d,s2,b,happy,b.png,b_1.png",
        "empty cell": "d,s2,b,positive,,b_1.png",
        "no second phase": "d,s2,b,positive,b.png,",
        "no name": "d,s2,,positive,b.png,b_1.png",
    }.get(fault, "d,s2,b,positive,b.png,b_1.png")
    own_folder(root, sound[0], faulty, *sound[1:])
    image = root / "b.png"
    if fault == "missing":
        image.unlink()
    elif fault == "truncated":
        png(image, np.arange(60).reshape(4, 5, 3))
        image.write_bytes(image.read_bytes()[:-20])
    elif fault == "damaged":
        content = bytearray(image.read_bytes())
        content[content.index(b"IDAT") + 8] ^= 255
        image.write_bytes(content)
    elif fault == "no image":
        image.write_text("not an image")
    elif fault == "no bytes":
        image.write_bytes(b"")
    elif fault == "folder":
        image.unlink()
        image.mkdir()
    elif fault == "grey":
        png(image, shape=(4, 5))
    elif fault == "alpha":
        png(image, shape=(4, 5, 4))
    elif fault == "16 bits":
        png(image, dtype=np.uint16)
    elif fault == "size":
        png(image, shape=(4, 6, 3))
    return str(root)


def test_own_table_gives_sorted_clips_with_classes_by_name(tmp_path):
    root = own_folder(
        tmp_path,
        "smic,s01,z,surprise,i/z.png,",
        "casme2,sub02,b, Positive ,i/b.png,i/b_1.png",
        "casme2,sub01,c,NEGATIVE,i/c.png,i/c_1.png",
        "casme2,sub01,a,negative,i/a.png,i/a_1.png",
    )
    dataset = flow_folder.read(root)
    assert (dataset.name, dataset.classes) == ("flow_folder", ("negative", "positive", "surprise"))
    assert [clip[:4] for clip in dataset.clips] == [
        ("casme2", "sub01", "a", 0),
        ("casme2", "sub01", "c", 0),
        ("casme2", "sub02", "b", 1),
        ("smic", "s01", "z", 2),
    ]
    assert dataset.left_out == ()


def test_channels_are_u_v_strain_in_0_to_1(tmp_path):
    root = own_folder(tmp_path, "d,s,a,negative,a.png,a_1.png")
    png(tmp_path / "a.png", (255, 51, 0))
    png(tmp_path / "a_1.png", (0, 102, 255))
    dataset = flow_folder.read(root, phases=BOTH)
    clip = dataset.load(dataset.clips[0])
    assert clip.onset_apex.dtype == np.float32
    assert clip.onset_apex.shape == (4, 5, 3)
    np.testing.assert_allclose(clip.onset_apex[2, 3], [1, 0.2, 0], atol=1e-6)
    np.testing.assert_allclose(clip.apex_offset[2, 3], [0, 0.4, 1], atol=1e-6)


@pytest.mark.parametrize("phases", [BOTH, BOTH[::-1], BOTH[:1], BOTH[1:]])
def test_a_clip_holds_just_the_phases_asked_for(tmp_path, phases):
    root = own_folder(tmp_path, "d,s,a,negative,a.png,a_1.png")
    png(tmp_path / "a_1.png", 255)
    dataset = flow_folder.read(root, phases=phases)
    clip = dataset.load(dataset.clips[0])
    filled = {name: float(np.max(flow)) for name, flow in clip._asdict().items() if flow is not None}
    assert filled == {phase: {"onset_apex": 0.0, "apex_offset": 1.0}[phase] for phase in phases}


def test_own_table_needs_no_second_phase_unless_asked_for(tmp_path):
    write_table(tmp_path / "labels.csv", "dataset,subject,clip,label,onset_apex", "d,s,a,negative,a.png")
    png(tmp_path / "a.png")
    assert len(flow_folder.read(str(tmp_path)).clips) == 1
    with pytest.raises(InputError, match=r"labels\.csv lacks the columns apex_offset .* label, onset_apex\.$"):
        flow_folder.read(str(tmp_path), phases=BOTH)


def test_a_relative_root_reads_what_an_absolute_one_reads(tmp_path, monkeypatch):
    root = own_folder(tmp_path / "flow", "d,s,a,negative,a.png,")
    monkeypatch.chdir(tmp_path)
    assert flow_folder.read("flow").clips == flow_folder.read(root).clips


@pytest.mark.parametrize("blank", [" ", ""])
def test_shared_layout_names_images_by_subject_and_clip(tmp_path, blank):
    lines = [
        "smic,s01,s01_ne_01,0,,s01_s1_ne_01.jpg,",
        "samm,6,006_1_2,2,,6_006_1_2.jpg,",
        "casme2,sub01,EP02_01f,1,,sub01_EP02_01f.jpg,",
    ]
    stems = ["sub01_EP02_01f", "006_006_1_2", "s01_s01_ne_01"]
    stems += [f"{stem}_{number}" for number in (1, 2, 3) for stem in stems]
    dataset = flow_folder.read(shared_folder(tmp_path, lines, stems, blank), phases=BOTH)
    assert [clip[:4] for clip in dataset.clips] == [
        ("casme2", "sub01", "EP02_01f", 1),
        ("samm", "006", "006_1_2", 2),
        ("smic", "s01", "s01_ne_01", 0),
    ]
    assert u_values(dataset) == [0, 1, 2]
    assert u_values(dataset, "apex_offset") == [3, 4, 5]


@pytest.mark.parametrize(
    ("folder", "table", "root"),
    [
        (f"datasets/{IMAGES}", TABLE, "."),
        (f"datasets/{IMAGES}", TABLE, "datasets"),
        (f"datasets/{IMAGES}", TABLE, f"datasets/{IMAGES}"),
        (f"datasets/{IMAGES}", f"datasets/{TABLE}", "."),
        (IMAGES, TABLE, "."),
        (IMAGES, TABLE, IMAGES),
        (IMAGES, f"{IMAGES}/{TABLE}", "."),
        ("renamed", f"renamed/{TABLE}", "renamed"),
    ],
)
def test_shared_layout_is_found_from_each_root(tmp_path, folder, table, root):
    shared_folder(tmp_path, ["smic,s01,s01_ne_01,0,,,"], ["s01_s01_ne_01"], folder=folder, table=table)
    assert [clip.clip for clip in flow_folder.read(str(tmp_path / root)).clips] == ["s01_ne_01"]


def test_a_byte_order_mark_blank_rows_and_blanks_in_cells_do_no_harm(tmp_path):
    shared_folder(tmp_path, [], ["s01_s01_ne_01"])
    write_table(tmp_path / TABLE, SHARED_HEADER, "", " smic , s01,s01_ne_01 , 2,,,", ",,,,,,", encoding="utf-8-sig")
    assert [clip[:4] for clip in flow_folder.read(str(tmp_path)).clips] == [("smic", "s01", "s01_ne_01", 2)]
    own = own_folder(tmp_path / "own", "d,s,a,negative,a.png,")
    write_table(tmp_path / "own/labels.csv", OWN_HEADER, "d,s,a, negative ,a.png,", encoding="utf-8-sig")
    assert len(flow_folder.read(own).clips) == 1


def test_an_image_named_like_a_second_phase_belongs_to_the_clip_in_the_table(tmp_path):
    lines = ["d,s,X,0,,,", "d,s,X_1,1,,,"]
    root = shared_folder(tmp_path, lines, ["s_X", "s_X_1", "s_X_1_1"])
    assert u_values(flow_folder.read(root)) == [0, 1]
    sentence = r"row 2, clip d/s/X: it has no apex_offset image of its own, but the run's input needs one"
    with pytest.raises(InputError, match=sentence):
        flow_folder.read(root, phases=BOTH)
    dataset = flow_folder.read(root, phases=BOTH, repair="strict")
    assert (u_values(dataset), u_values(dataset, "apex_offset")) == ([1], [2])


def test_equal_names_of_two_databases_are_two_subjects(tmp_path):
    root = own_folder(tmp_path, "casme2,1,a,negative,a.png,", "smic,1,a,positive,b.png,")
    assert {clip[:2] for clip in flow_folder.read(root).clips} == {("casme2", "1"), ("smic", "1")}


def test_the_order_of_rows_changes_nothing(tmp_path):
    lines = [f"d,s{number},a,negative,{number}.png," for number in range(4)]
    forward = flow_folder.read(own_folder(tmp_path, *lines)).clips
    assert flow_folder.read(own_folder(tmp_path, *lines[::-1])).clips == forward


@pytest.mark.parametrize("fault", FAULTS)
def test_a_clip_with_a_fault_is_refused(tmp_path, fault):
    phases = BOTH if fault == "no second phase" else BOTH[:1]
    with pytest.raises(InputError, match=FAULTS[fault] + r"[^;]*; --config\.data\.repair=strict leaves such clips out"):
        flow_folder.read(plant(tmp_path, fault), phases=phases)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_clip_with_a_fault_is_left_out_and_listed_by_repair_strict(tmp_path, fault):
    phases = BOTH if fault == "no second phase" else BOTH[:1]
    dataset = flow_folder.read(plant(tmp_path, fault), phases=phases, repair="strict")
    assert [clip.clip for clip in dataset.clips] == ["a", "c", "e", "f"]
    assert len(dataset.left_out) == 1
    with pytest.raises(InputError, match=FAULTS[fault]):
        raise InputError(dataset.left_out[0])
    assert all(dataset.load(clip).onset_apex.shape == (4, 5, 3) for clip in dataset.clips)


@pytest.mark.parametrize("phases", [BOTH[:1], BOTH[1:]])
def test_the_account_adds_up_and_names_images_of_no_row(tmp_path, phases):
    root = own_folder(tmp_path, "d,s1,a,negative,u/a.png,u/a_1.png", "", "d,s1,b,happy,u/b.png,u/b_1.png")
    png(tmp_path / "u" / "c.png")
    dataset = flow_folder.read(root, phases=phases, repair="strict")
    sums, left_out, unnamed = dataset.account
    assert sums == "2 rows read: 1 clip used, 1 left out."
    assert "clip d/s1/b: label 'happy' is none of" in left_out
    assert unnamed == "Images that no row names: 1 (c.png)."
    assert dataset.notes() == dataset.account


def test_the_account_of_the_shared_layout_names_images_of_no_row(tmp_path):
    root = shared_folder(tmp_path, ["casme2,sub01,a,0,,,"], ["sub01_a", "sub01_a_1", "sub02_b"])
    assert flow_folder.read(root).account == (
        "1 row read: 1 clip used, 0 left out.",
        "Images that no row names: 1 (sub02_b .png).",
    )


@pytest.mark.parametrize("fault", ["truncated", "no image", "no bytes", "missing"])
def test_a_broken_image_prints_nothing(tmp_path, fault, capfd):
    flow_folder.read(plant(tmp_path, fault), repair="strict")
    assert capfd.readouterr() == ("", "")


def test_only_the_images_of_the_phases_asked_for_are_checked(tmp_path):
    root = own_folder(tmp_path, "d,s,a,negative,a.png,a_1.png")
    (tmp_path / "a_1.png").unlink()
    assert len(flow_folder.read(root).clips) == 1


def test_shared_layout_names_the_image_that_is_missing_and_the_labels_allowed(tmp_path):
    lines = ["samm,6,006_1_2,0,,,", "samm,6,006_1_3,3,,,", "samm,6,006_1_4,1,,,"]
    root = shared_folder(tmp_path, lines, ["006_006_1_2", "006_006_1_2_1", "006_006_1_4"])
    left_out = flow_folder.read(root, phases=BOTH, repair="strict").left_out
    assert len(left_out) == 2
    assert left_out[0].endswith("row 3, clip samm/006/006_1_3: label '3' is none of 0, 1, 2.")
    assert left_out[1].endswith("006_006_1_4_1 .png is missing.")


def test_the_sentence_counts_the_clips_with_faults(tmp_path):
    root = own_folder(tmp_path, "d,s,a,angry,a.png,", "d,s,b,negative,b.png,", "d,s,c,sad,c.png,")
    with pytest.raises(InputError, match=r"label 'angry' .* \(2 clips have faults\); --config\.data\.repair=strict"):
        flow_folder.read(root)
    assert len(flow_folder.read(root, repair="strict").left_out) == 2


def test_strict_refuses_to_leave_out_every_clip(tmp_path):
    root = own_folder(tmp_path, "d,s,a,angry,a.png,", "d,s,b,sad,b.png,")
    with pytest.raises(InputError, match=r"No clip is left of 2, for each has a fault; the first is .*label 'angry'"):
        flow_folder.read(root, repair="strict")


@pytest.mark.parametrize("repair", ["none", "strict"])
@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["data,subject,clip,lab,onset_apex"], r"labels\.csv lacks the columns dataset, label .*: data, subject, clip"),
        ([""], r"labels\.csv lacks the columns dataset, .* the columns there: none\."),
        ([OWN_HEADER], r"labels\.csv has no rows: below its header it should list one clip in each row"),
        ([OWN_HEADER, "", ",,"], r"labels\.csv has no rows"),
        (
            [OWN_HEADER, "samm,006,a,negative,a.png,", "samm,6,a,positive,b.png,"],
            r"labels\.csv row 3 repeats the clip samm/006/a of \S*labels\.csv row 2: keep one row for each clip",
        ),
    ],
)
def test_a_table_with_a_fault_of_structure_is_refused(tmp_path, repair, lines, sentence):
    write_table(tmp_path / "labels.csv", *lines)
    with pytest.raises(InputError, match=sentence):
        flow_folder.read(str(tmp_path), repair=repair)


def test_a_shared_table_without_its_columns_is_refused(tmp_path):
    root = shared_folder(tmp_path, [], ["x"])
    write_table(tmp_path / TABLE, "dataset,subject,label", "d,s,0")
    with pytest.raises(InputError, match=r"lacks the columns sub, filename_o .*there: dataset, subject, label\.$"):
        flow_folder.read(root)


def test_a_table_that_is_not_utf8_is_refused(tmp_path):
    write_table(tmp_path / "labels.csv", OWN_HEADER, "d,sé,a,negative,a.png,", encoding="latin-1")
    with pytest.raises(InputError, match=r"labels\.csv can't be read as a table, save it as CSV in UTF-8"):
        flow_folder.read(str(tmp_path))


@pytest.mark.parametrize(
    ("root", "sentence"),
    [
        ("", r"No folder of flow images was given: name it with --config\.data\.root="),
        ("nowhere", r"nowhere does not exist: --config\.data\.root= takes the folder"),
        ("file", r"file is not a folder: --config\.data\.root= takes the folder"),
        ("empty", rf"looked for labels\.csv, .*{IMAGES}.*{TABLE}.* it holds nothing\."),
        ("other", r"other is not a folder of flow images: .* it holds 0, 1, 10, 11, 2, 3, 4, 5 and 4 more\."),
    ],
)
def test_a_wrong_root_is_refused(tmp_path, monkeypatch, root, sentence):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    for number in range(12):
        (tmp_path / "other" / str(number)).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=sentence):
        flow_folder.read(root)


def test_an_unknown_repair_or_phase_is_refused(tmp_path):
    root = own_folder(tmp_path, "d,s,a,negative,a.png,")
    with pytest.raises(InputError, match=r"repair=flag is unknown to a flow folder: give none or strict\."):
        flow_folder.read(root, repair="flag")
    for phases in ((), ("onset_apex", "offset_onset")):
        with pytest.raises(InputError, match=r"has the phases onset_apex and apex_offset, but was asked for \("):
            flow_folder.read(root, phases=phases)


def test_the_real_folder_has_its_documented_counts_and_opposite_phases():
    beside = Path(__file__).parents[2] / "../shared/data/megc2019_dual_flow28"
    root = Path(os.environ.get("MERJAX_REAL_FLOW") or beside)
    if not root.is_dir():
        pytest.skip("no real flow images: neither MERJAX_REAL_FLOW nor ../shared/data/megc2019_dual_flow28 is a folder")
    dataset = flow_folder.read(str(root), phases=BOTH)
    clips = [dataset.load(annotation) for annotation in dataset.clips]
    assert len(clips) == 278
    assert len({annotation[:2] for annotation in dataset.clips}) == 52
    assert Counter(annotation.label for annotation in dataset.clips) == {0: 180, 1: 58, 2: 40}
    assert {clip.onset_apex.shape for clip in clips} | {clip.apex_offset.shape for clip in clips} == {(28, 28, 3)}
    u = [[clip.onset_apex[..., 0].ravel(), clip.apex_offset[..., 0].ravel()] for clip in clips]
    assert np.mean([np.corrcoef(pair)[0, 1] for pair in u]) < -0.1
