"""The gallery: what was seen inside a network stands under its clip, in colour and in words."""

import base64
import re

import cv2
import numpy as np
import pytest
from test_page import Outline

from merjax.models.inside import Look
from merjax.report.gallery import Picture, gallery, place, tinted


def peak(row, column, height=1.0):
    """A map of 4 x 4 places that is zero but for one."""
    m = np.zeros((4, 4), np.float32)
    m[row, column] = height
    return m


def clip(cams, maps=None, predicted="no", truth="yes", streams=2):
    x = np.full((streams, 28, 28, 3), 0.5, np.float32)
    stacked = {name: np.stack(both) for name, both in cams.items()}
    return Picture("s1/c1", x, predicted, truth, (0.62, 0.21), Look(stacked, maps or {}))


def drawn(*pictures, vector=False):
    shown = {"yes": [p for p in pictures if p.truth == "yes"], "no": [p for p in pictures if p.truth == "no"]}
    text = gallery(shown, vector, "The network of the fold.")
    outline = Outline(text)
    images = {image["alt"]: decoded(image["src"]) for image in outline.all("img")}
    return text, images, [svg["aria-label"] for svg in outline.all("svg")]


def decoded(uri):
    data = np.frombuffer(base64.b64decode(uri.split(",")[1]), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR_RGB).astype(int)


def test_a_clip_missed_is_explained_for_both_classes_on_the_scale_of_its_streams():
    cams = {"stream_1": (peak(0, 0, 2.0), peak(3, 3)), "stream_2": (peak(3, 0), peak(1, 1, 0.0))}
    text, images, _ = drawn(clip(cams))
    assert "predicted no, probability 0.62; yes 0.21" in text
    assert "wrong" in text
    told = {
        "Grad-CAM 1 of s1/c1 for no, predicted: strongest at the top left": (3, 3),
        "Grad-CAM 2 of s1/c1 for no, predicted: strongest at the bottom left": (24, 3),
        "Grad-CAM 1 of s1/c1 for yes, true: strongest at the bottom right": (24, 24),
        "Grad-CAM 2 of s1/c1 for yes, true: nothing speaks for it": None,
    }
    redness = {}
    for alt, at in told.items():
        red = images[alt][..., 0] - images[alt][..., 2]
        if at is None:
            assert (red == 0).all()
            continue
        assert np.unravel_index(red.argmax(), red.shape)[0] // 14 == at[0] // 14
        assert red[at] > 60
        assert red[27 - at[0], 27 - at[1]] == 0
        redness[alt] = images[alt][at]
    first, second, _ = redness.values()
    assert first[1] < second[1]  # twice as much is a darker red
    assert "nothing speaks for it" in re.sub(r'alt="[^"]*"', "", text)


def test_a_clip_that_is_right_is_explained_once():
    text, images, _ = drawn(clip({"stream_1": (peak(1, 2), peak(1, 2))}, predicted="yes", streams=1))
    assert "predicted yes, probability 0.62 " in text
    assert "right" in text
    assert sum("Grad-CAM" in alt for alt in images) == 1
    assert "Grad-CAM of s1/c1 for yes: strongest at the top centre" in images


def test_gradient_times_input_is_called_so():
    text, images, _ = drawn(clip({f"input_{i}": (peak(0, 3), peak(0, 3)) for i in (1, 2)}))
    assert "gradient × input 2 of s1/c1 for no, predicted: strongest at the top right" in images
    assert "Grad-CAM" not in text


def test_two_streams_of_one_input_are_drawn_on_it():
    _, images, _ = drawn(clip({"u": (peak(0, 0), peak(0, 0)), "v": (peak(3, 3), peak(3, 3))}, streams=1), vector=True)
    assert {"Flow of s1/c1, yes", "Grad-CAM v of s1/c1 for yes, true: strongest at the bottom right"} <= set(images)


def test_a_map_of_one_place_says_so():
    one = np.ones((1, 1), np.float32)
    _, images, labels = drawn(clip({"stream_1": (one, one)}, {"attention": one}, predicted="yes"))
    assert "Grad-CAM of s1/c1 for yes: its map is one place" in images
    assert labels == ["attention of s1/c1: 1"]


def test_maps_are_drawn_by_name_and_vectors_told():
    maps = {"attention": 0.25 * peak(0, 3) + 0.05, "Fusion_0/gate": np.array([0.2, 0.4, 0.6], np.float32)}
    text, images, labels = drawn(clip({"stream_1": (peak(0, 0), peak(0, 0))}, maps))
    shown = images["attention of s1/c1, 4 by 4 places, 0.05 to 0.3, highest at the top right"]
    assert shown.shape == (4, 4, 3)  # its own places: the page enlarges them
    red = shown[..., 0] - shown[..., 2]
    assert np.unravel_index(red.argmax(), red.shape) == (0, 3)
    assert labels == ["Fusion_0/gate of s1/c1: 0.2 to 0.6, mean 0.4, 3 values"]
    words = text.replace("<wbr>", "")
    assert words.index("<b>Fusion_0/gate</b>") < words.index("<b>attention</b>")
    assert "<details" not in text


def test_many_maps_are_folded_in_their_order():
    maps = {f"blocks_{i}/attention": peak(0, 0) for i in (0, 1, 10, 11, 2, 3, 4)}
    text, _, _ = drawn(clip({"stream_1": (peak(0, 0), peak(0, 0))}, maps))
    assert "<details><summary>7 maps</summary>" in text
    assert re.findall(r"<b>blocks_<wbr>(\d+)/", text) == ["0", "1", "2", "3", "4", "10", "11"]


def test_names_are_escaped():
    picture = clip({"stream_1": (peak(0, 0), peak(0, 0))}, {"<i>": peak(0, 0), "<u>": np.ones(3)}, predicted='"><s>')
    text, _, _ = drawn(picture._replace(caption="<em>"))
    for tag in ("<i>", "<u>", "<s>", "<em>"):
        assert tag not in text


@pytest.mark.parametrize(
    ("row", "column", "words"), [(0, 0, "top left"), (4, 4, "centre"), (4, 8, "middle right"), (8, 4, "bottom centre")]
)
def test_a_peak_has_a_place_in_words(row, column, words):
    m = np.zeros((9, 9))
    m[row, column] = 1
    assert place(m) == words


def test_colour_grows_with_the_share_and_grey_shows_through():
    scale = np.linspace(0, 1, 6)[None]
    for grey in (0.0, 1.0):
        shown = tinted(np.full_like(scale, grey), scale).astype(int)[0]
        assert (shown[0] == shown[0, 0]).all()
        assert (np.diff(shown[1:, 1]) < 0).all()  # less green: yellow, orange, red
        assert (shown[1:, 0] > shown[1:, 2]).all()
    black, white = (tinted(np.array([[grey]]), np.array([[1.0]])) for grey in (0.0, 1.0))
    assert (white.astype(int) - black).min() > 15
