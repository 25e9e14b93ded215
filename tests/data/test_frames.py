import os
import re
import struct

import cv2
import numpy as np
import pytest

from merjax.data import frames
from merjax.types import InputError

NUMBERS = {
    "img46": 46,
    "reg_img46": 46,
    "006_05562": 5562,
    "EP01_5-113": 113,
    "reg_EP12_2_1-021": 21,
    "reg_image559740": 559740,
    "Frame_000001831": 1831,
    "355": 355,
    "img7a": 7,
    "cover": None,
}


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.parametrize("name", NUMBERS)
def test_the_number_of_a_frame_is_the_last_run_of_digits(name):
    assert frames.number(name) == NUMBERS[name]


def test_frames_come_in_the_order_of_their_numbers(tmp_path):
    touch(tmp_path, *[f"img{number}.jpg" for number in (101, 9, 99, 10, 100, 11)])
    folder = frames.read(str(tmp_path))
    assert folder.numbers == (9, 10, 11, 99, 100, 101)
    assert [os.path.basename(file) for file in folder.files] == [f"img{number}.jpg" for number in folder.numbers]
    assert all(os.path.isabs(file) for file in folder.files)
    assert folder.issues == ()


def test_padding_and_letter_case_do_not_count(tmp_path):
    touch(tmp_path, "006_9999.jpg", "006_10000.JPG", "006_09998.Jpeg", "006_10001.bmp", "006_10002.PNG")
    assert frames.read(str(tmp_path)).numbers == (9998, 9999, 10000, 10001, 10002)


def test_strays_are_no_frames(tmp_path):
    touch(tmp_path, "img1.jpg", ".img2.jpg", "._img1.jpg", "Thumbs.db", "img3.txt", "cover.jpg")
    (tmp_path / "img4.jpg").mkdir()
    os.mkfifo(tmp_path / "img5.jpg")
    (tmp_path / "img6.jpg").symlink_to(tmp_path / "nowhere")
    assert frames.read(str(tmp_path)).numbers == (1,)


STRAYS = {
    "a copy": ("reg_img{}.jpg", ("reg_img12 (1).jpg", "reg_img12 - Copy.jpg")),
    "one flow image": ("img{}.jpg", ("flow_u_1.jpg",)),
    "flow images, as many as the frames": (
        "reg_img{}.jpg",
        (*(f"flow_u_{n}.jpg" for n in range(12, 19)), *(f"flow_v_{n}.jpg" for n in range(12, 19))),
    ),
    "a face of 224 pixels": ("img{}.jpg", ("img_224.jpg",)),
    "landmarks": ("006_{:05}.jpg", ("landmarks68.jpg",)),
    "an image without a number": ("{}.jpg", ("cover.png",)),
    "the same number twice": ("EP01_5-{:03}.jpg", ("EP01_5-0012.jpg", "EP01_5-012.png")),
    "a depth image": ("Frame_{:09}.jpg", ("depth_12.png", "1.jpg")),
}


@pytest.mark.parametrize("case", STRAYS)
def test_images_that_are_named_otherwise_than_the_clip_are_no_frames_and_are_named(tmp_path, case):
    name, strays = STRAYS[case]
    clip = touch(tmp_path / "006" / "EP01_5", *map(name.format, range(12, 19)), *strays)
    found = frames.read(str(clip))
    assert found.numbers == tuple(range(12, 19))
    assert [os.path.basename(file) for file in found.files] == [name.format(n) for n in range(12, 19)]
    assert found.issues == ("stray_images",)
    assert set(found.strays) == set(strays)


@pytest.mark.parametrize("names", [("img{}.jpg", "reg_img{}.jpg"), ("flow_u_{}.png", "flow_v_{}.png")])
def test_of_two_kinds_of_names_with_as_many_files_none_is_taken(tmp_path, names):
    touch(tmp_path, *(name.format(n) for name in names for n in range(5)))
    found = frames.read(str(tmp_path))
    assert (found.files, found.issues, len(found.strays)) == ((), ("names_ambiguous", "stray_images"), 10)


def test_one_image_with_a_usual_name_does_not_stand_for_a_clip_of_others(tmp_path):
    touch(tmp_path, "img_224.jpg", *(f"crop{n}.jpg" for n in range(9)))
    assert frames.read(str(tmp_path)).issues == ("names_ambiguous", "stray_images")


def test_links_are_followed(tmp_path):
    touch(tmp_path / "disk" / "clip", "img1.jpg")
    (tmp_path / "clip").symlink_to(tmp_path / "disk" / "clip")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "disk" / "clip" / "img2.jpg").symlink_to(tmp_path / "disk" / "clip" / "img1.jpg")
    (tmp_path / "disk" / "clip" / "img3.jpg").symlink_to(tmp_path / "loop")
    assert list(frames.subfolders(tmp_path)) == ["clip", "disk"]
    assert frames.read(frames.subfolders(tmp_path)["clip"]).numbers == (1, 2)


def test_of_two_files_with_one_number_the_same_stays_in_any_order(tmp_path):
    touch(tmp_path, "img01.jpg", "img1.png", "img1.jpg")
    assert [os.path.basename(file) for file in frames.read(str(tmp_path)).files] == ["img1.jpg"]


def test_a_folder_that_is_missing_empty_or_unreadable(tmp_path):
    touch(tmp_path, "notes.txt")
    assert frames.read(None) == frames.read(str(tmp_path)) == frames.read(str(tmp_path / "no"))
    assert frames.read(None) == ((), (), ("folder_missing",), ())
    assert frames.read(str(tmp_path / "notes.txt")).issues == ("unreadable",)
    assert frames.subfolders(tmp_path / "no") == {}
    assert frames.names(tmp_path / "no") == []


def test_folders_match_in_any_letter_case_and_by_number(tmp_path):
    for name in ("spNo.10", "spNO.9", "S01", "s1", "J", "j", ".git", "notes"):
        (tmp_path / name).mkdir()
    folders = frames.subfolders(tmp_path)
    assert list(folders) == ["j", "s01", "notes", "s1", "spno.9", "spno.10"]
    assert os.path.basename(folders["j"]) == "J"
    numbered = {number: os.path.basename(path) for number, path in frames.by_number(folders).items()}
    assert numbered == {1: "S01", 9: "spNO.9", 10: "spNo.10"}


RELEASES = {"cropped": ("Cropped", "Cropped-updated"), "raw": ("RAW_selected",), "full": ("RAW", "")}


@pytest.mark.parametrize(
    ("tree", "asked", "name"),
    [
        ("RAW_selected/sub01", "", "raw"),
        ("raw-selected/sub01", "", "raw"),
        ("RAW_selected/RAW_selected/sub01", "", "raw"),
        ("Cropped-updated/Cropped/sub01", "", "cropped"),
        ("set/RAW_selected/sub01", "", "raw"),  # the root's own name again
        ("set/RAW_selected/RAW_selected/sub01", "", "raw"),
        ("RAW/sub01", "", "full"),
        ("sub01", "", "full"),
        ("sub01", "raw", "raw"),
        ("RAW_selected/sub01 Cropped/sub01", "", "cropped"),
        ("RAW_selected/sub01 Cropped/sub01", "raw", "raw"),
        ("RAW_selected/sub01 Cropped/readme", "", "raw"),
    ],
)
def test_a_release_is_found(tmp_path, tree, asked, name):
    for folder in tree.split():
        (tmp_path / "set" / folder).mkdir(parents=True)
    found = frames.release(tmp_path / "set", RELEASES, r"sub\d+", asked)
    assert found.name == name
    assert list(found.folders) == ["sub01"]
    assert os.path.relpath(found.folders["sub01"], tmp_path / "set") in tree.split()


def test_the_root_may_be_the_release(tmp_path):
    (tmp_path / "RAW_selected" / "sub01").mkdir(parents=True)
    assert frames.release(tmp_path / "RAW_selected", RELEASES, r"sub\d+").name == "raw"


def test_a_release_that_is_not_there_is_described(tmp_path):
    touch(tmp_path, *[f"file{number}" for number in range(1, 11)])
    expected = (
        f"{re.escape(str(tmp_path))} holds no frames of this data set: expected folders like .* in Cropped, "
        "Cropped-updated, RAW_selected, RAW, the folder itself; found file1, file2, .*, file8 and 2 more"
    )
    with pytest.raises(InputError, match=expected):
        frames.release(tmp_path, RELEASES, r"sub\d+")
    with pytest.raises(InputError, match=r"data\.release is 'video'; it can be cropped, raw, full"):
        frames.release(tmp_path, RELEASES, r"sub\d+", "video")


@pytest.mark.parametrize("root", ["", " "])
def test_without_a_root_the_folder_that_one_stands_in_is_not_read(root):
    with pytest.raises(InputError, match=r"No folder of a data set was given: .*--config\.data\.root=FOLDER"):
        frames.absolute(root)


def test_the_root_must_be_a_folder(tmp_path, monkeypatch):
    touch(tmp_path, "file")
    monkeypatch.chdir(tmp_path)
    assert frames.absolute(".") == tmp_path
    for name in ("file", "absent"):
        with pytest.raises(InputError, match=rf"{name} can't be read, data\.root should name a data set's folder"):
            frames.absolute(name)


@pytest.fixture
def picture():
    rows, columns = np.mgrid[:40, :56]
    return np.stack([rows * 4, columns * 3, rows + columns], axis=-1).astype(np.uint8)  # red, green, blue


@pytest.mark.parametrize("suffix", frames.SUFFIXES)
def test_a_frame_is_decoded_as_red_green_blue(tmp_path, picture, suffix):
    path = str(tmp_path / f"img1{suffix}")
    cv2.imwrite(path, picture[..., ::-1])
    image = frames.image(path)
    assert image.dtype == np.uint8
    np.testing.assert_allclose(image.astype(int), picture, atol=12 if suffix.startswith(".j") else 0)


@pytest.mark.parametrize("suffix", frames.SUFFIXES)
def test_a_grey_frame_has_three_equal_channels(tmp_path, picture, suffix):
    path = str(tmp_path / f"img1{suffix}")
    cv2.imwrite(path, picture[..., 0])
    image = frames.image(path)
    assert image.shape == (40, 56, 3)
    assert (image == image[..., :1]).all()


def test_a_progressive_jpeg_with_a_comment_and_a_tail_is_decoded(tmp_path, picture):
    content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    comment = b"\xff\xfe\x00\x06\xff\xd9\xff\xda"  # markers within a comment are none
    (tmp_path / "img1.jpg").write_bytes(content[:2] + b"\xff" + comment + content[2:] + b"camera")
    assert frames.image(str(tmp_path / "img1.jpg")).shape == (40, 56, 3)


@pytest.mark.parametrize("suffix", frames.SUFFIXES)
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.95])
def test_a_frame_that_is_cut_short_is_refused(tmp_path, picture, suffix, share, capfd):
    content = cv2.imencode(suffix, picture)[1].tobytes()
    path = tmp_path / f"img1{suffix}"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=rf"frame \S*img1{re.escape(suffix)} "):
        frames.image(str(path))
    assert capfd.readouterr().err == ""  # OpenCV, asked to decode it, would have complained there


def test_huge_claims_are_refused_before_anything_is_decoded(tmp_path, picture):
    size = 60_000
    jpeg, png, bmp = (bytearray(cv2.imencode(suffix, picture)[1].tobytes()) for suffix in (".jpg", ".png", ".bmp"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", size, size)
    png[16:24] = struct.pack(">II", size, size)
    bmp[18:26] = struct.pack("<ii", size, -size)
    for name, content in {"a.jpg": jpeg, "a.png": png, "a.bmp": bmp}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=rf"frame \S*{name} claims 60000 x 60000 pixels; at most 50000000"):
            frames.image(str(tmp_path / name))


def test_what_is_no_image_or_not_there_is_refused(tmp_path):
    (tmp_path / "a.jpg").write_text("<html>")
    with pytest.raises(InputError, match=r"a\.jpg is no JPEG, PNG or BMP image"):
        frames.image(str(tmp_path / "a.jpg"))
    with pytest.raises(InputError, match=r"b\.jpg can't be read: No such file"):
        frames.image(str(tmp_path / "b.jpg"))
