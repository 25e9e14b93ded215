import math
import sys
import threading

import cv2
import numpy as np
import pytest

from merjax.data import crop, faces, synthetic
from merjax.types import InputError

SIZE = 128
HEIGHT, WIDTH = 400, 520


def face(subject=1, side=256):
    """A resting drawn face, and the centres of its eyes (left in the picture, right)."""
    picture = synthetic.draw(
        subject=subject, clip=1, action="brow_raiser", seed=0, size=side, rest=0.0, noise=0.0
    ).frames[0]
    shape = faces.subject_face(0, subject, side)[0]
    eyes = np.array([[0.5 - shape.eye_x, shape.eye_y], [0.5 + shape.eye_x, shape.eye_y]]) * side - 0.5
    return picture, eyes


def place(picture, degrees, scale, x, y):
    """The picture turned clockwise and scaled, with its middle at (x, y) of a grey photograph; and the matrix."""
    middle = (len(picture) - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), -degrees, scale)
    matrix[:, 2] += np.array([x, y]) - middle
    fill = {"borderMode": cv2.BORDER_CONSTANT, "borderValue": (120, 120, 120)}
    return cv2.warpAffine(picture, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, **fill), matrix


def moved(points, matrix):
    return points @ matrix[:, :2].T + matrix[:, 2]


def points_of(eyes, side=256):
    """68 landmarks: rings for the eyes, and the outline of a face for the others."""
    angle = np.linspace(0, 2 * np.pi, 56, endpoint=False)
    outline = (0.5 + 0.35 * np.cos(angle), 0.6 + 0.3 * np.sin(angle))
    ring = np.linspace(0, 2 * np.pi, 6, endpoint=False)
    circle = 8 * np.column_stack([np.cos(ring), np.sin(ring)])
    rest = np.column_stack(outline) * side
    return np.concatenate([rest[:36], eyes[0] + circle, eyes[1] + circle, rest[36:]])


@pytest.mark.parametrize(
    ("degrees", "scale", "x", "y"), [(0, 0.7, 260, 200), (25, 0.8, 280, 190), (-40, 0.6, 200, 220), (12, 1.1, 260, 200)]
)
def test_a_turned_shifted_and_scaled_drawing_comes_out_upright(degrees, scale, x, y):
    picture, eyes = face()
    straight, upright = place(picture, 0, 1.0, 260, 200)
    turned, matrix = place(picture, degrees, scale, x, y)
    points = points_of(eyes)
    expected = crop.crop(straight[None], size=SIZE, landmarks=moved(points, upright))
    found = crop.crop(turned[None], size=SIZE, landmarks=moved(points, matrix))
    assert found.finder == "given"
    assert found.issues == ()
    assert math.degrees(found.region.angle) == pytest.approx(degrees, abs=1e-6)

    left, right = crop.to_crop(moved(eyes, matrix), found.region, SIZE)
    assert left[1] == pytest.approx(right[1], abs=1e-6)
    np.testing.assert_allclose(left, crop.to_crop(moved(eyes, upright), expected.region, SIZE)[0], atol=1e-6)
    # The pupil is the darkest thing near; it lies where the geometry says.
    for eye in (left, right):
        column, row = np.rint(eye).astype(int)
        near = cv2.GaussianBlur(found.frames[0], (0, 0), 1)[row - 8 : row + 9, column - 10 : column + 11].sum(-1)
        darkest = np.array(np.unravel_index(near.argmin(), near.shape)) - (8, 10)
        assert np.abs(darkest).max() <= 3
    inner = slice(12, -12)
    away = np.abs(found.frames[0, inner, inner].astype(float) - expected.frames[0, inner, inner])
    assert away.mean() < 3


def test_rotation_and_crop_are_of_the_same_picture():
    # A public program computes the box in the turned picture and cuts it from the picture that was not turned.
    picture, eyes = face()
    straight, upright = place(picture, 0, 1.0, 260, 200)
    turned, matrix = place(picture, 25, 0.8, 280, 190)
    points = points_of(eyes)
    expected = crop.crop(straight[None], size=SIZE, landmarks=moved(points, upright)).frames[0].astype(float)
    region = crop.landmark_region(moved(points, matrix))
    right = crop.warp(turned, region, SIZE)
    faulty = crop.warp(turned, region._replace(angle=0.0), SIZE)
    assert np.abs(right - expected).mean() < 4
    assert np.abs(faulty - expected).mean() > 15


@pytest.mark.parametrize(("find", "subject"), [("haar", 1), ("haar", 5), ("lbp", 8), ("auto", 4)])
@pytest.mark.parametrize("degrees", [-10, 0, 10])
def test_detectors_find_a_drawn_face_and_turn_it(find, subject, degrees):
    if find == "lbp":
        pytest.importorskip("skimage")
    picture, eyes = face(subject)
    photograph, matrix = place(picture, degrees, 0.9, 270, 195)
    found = crop.crop(photograph[None], size=SIZE, find=find)
    assert found.finder == ("haar" if find == "auto" else find)
    assert found.issues == ()
    assert math.degrees(found.region.angle) == pytest.approx(degrees, abs=5)
    left, right = crop.to_crop(moved(eyes, matrix), found.region, SIZE) / SIZE
    assert abs(left[1] - right[1]) < 0.04
    assert (left[0] + right[0]) / 2 == pytest.approx(0.5, abs=0.08)
    assert 0.25 < left[1] < 0.5


@pytest.mark.parametrize("find", ["haar", "lbp", "auto"])
def test_detectors_find_a_real_face(find):
    astronaut = pytest.importorskip("skimage.data").astronaut()
    found = crop.crop(np.stack([astronaut, astronaut[::-1]]), size=SIZE, find=find)
    assert found.issues == ()
    assert 100 < found.region.width < 140
    eyes = np.array([[203.2, 101.5], [246.5, 104.2]])  # by dlib's 68 landmarks
    left, right = crop.to_crop(eyes, found.region, SIZE) / SIZE
    assert abs(left[1] - right[1]) < 0.04
    assert (left[0] + right[0]) / 2 == pytest.approx(0.5, abs=0.08)
    assert 0.25 < left[1] < 0.5


def test_every_frame_is_cut_like_the_onset():
    picture, _ = face()
    onset, _ = place(picture, 10, 0.9, 270, 195)
    later, _ = place(picture, -10, 0.7, 240, 215)  # a detector would see another box and angle
    found = crop.crop(np.stack([onset, later]), size=SIZE, find="haar")
    np.testing.assert_array_equal(found.frames[1], crop.warp(later, found.region, SIZE))
    assert crop.crop(later[None], size=SIZE, find="haar").region != found.region


@pytest.mark.parametrize("find", ["haar", "lbp", "auto"])
def test_a_clip_without_a_face_gets_a_centre_crop(find):
    if find == "lbp":
        pytest.importorskip("skimage")
    frames = np.random.default_rng(0).integers(0, 256, (2, 60, 100, 3), dtype=np.uint8)
    found = crop.crop(frames, size=60, find=find)
    assert found.issues == ("no_face",)
    assert found.finder == "centre"
    np.testing.assert_array_equal(found.frames, frames[:, :, 20:80])
    assert crop.crop(frames, size=60, find="centre").issues == ()


def test_a_given_box_is_taken_as_it_is():
    frames = np.random.default_rng(0).integers(0, 256, (2, 60, 100, 3), dtype=np.uint8)
    found = crop.crop(frames, size=32, box=(10, 20, 32, 32))
    np.testing.assert_array_equal(found.frames, frames[:, 20:52, 10:42])
    assert found.issues == ("no_eyes",)
    tall = crop.crop(frames, size=32, box=(40, 14, 16, 32))  # made square on its centre
    np.testing.assert_array_equal(tall.frames, frames[:, 14:46, 32:64])


@pytest.mark.parametrize(("height", "width"), [(64, 64), (128, 192), (192, 64)])
def test_none_resizes_the_whole_frame(height, width):
    frames = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    found = crop.crop(frames, size=64, find="none")
    expected = [cv2.resize(frame, (64, 64), interpolation=cv2.INTER_AREA) for frame in frames]
    np.testing.assert_allclose(found.frames, np.stack(expected), atol=1)
    assert found.issues == ()


@pytest.mark.parametrize("degrees", [0, 20])
def test_a_strong_reduction_does_not_alias(degrees):
    # Stripes of two pixels can't be held at an eighth of the size: they must become an even grey.
    stripes = np.zeros((1, 512, 512, 3), np.uint8)
    stripes[:, :, ::2] = 255
    region = crop.Region(255.5, 255.5, 330.0, 330.0, math.radians(degrees))
    assert crop.warp(stripes[0], region, 41).std() < 4
    one_step = cv2.warpAffine(
        stripes[0], np.array([[8.05, 0, 90], [0, 8.05, 90]]), (41, 41), flags=cv2.WARP_INVERSE_MAP
    )
    assert one_step.std() > 50  # what a warp alone makes of it


def test_margins_widen_the_crop():
    points = points_of(face()[1])
    tight = crop.landmark_region(points, face_margin=0.0, brow_margin=0.0)
    low, high = points.min(0), points.max(0)
    assert tight.width == tight.height == pytest.approx(max(high - low))
    assert (tight.x, tight.y) == pytest.approx(tuple((low + high) / 2))
    above = crop.landmark_region(points, face_margin=0.0, brow_margin=0.2)
    assert above.y == pytest.approx(tight.y - 0.1 * (high - low)[1])
    aside = crop.landmark_region(points, face_margin=0.25, brow_margin=0.0)
    assert aside.width == pytest.approx(1.5 * (high - low)[0])


def test_auto_passes_over_a_detector_that_is_missing(monkeypatch):
    pytest.importorskip("skimage")
    photograph, _ = place(face()[0], 0, 0.9, 270, 195)
    monkeypatch.delattr(cv2, "CascadeClassifier")
    monkeypatch.setattr(crop, "_READ", threading.local())
    found = crop.crop(photograph[None], size=SIZE)
    assert found.finder == "lbp"
    assert found.issues == ("no_eyes",)
    with pytest.raises(InputError, match="OpenCV below 5"):
        crop.crop(photograph[None], find="haar")
    monkeypatch.setitem(sys.modules, "skimage.feature", None)
    with pytest.raises(InputError, match="scikit-image"):
        crop.crop(photograph[None], find="lbp")
    with pytest.raises(InputError, match="OpenCV below 5"):
        crop.crop(photograph[None])


def test_landmarks_name_what_to_install(monkeypatch):
    monkeypatch.setattr(crop.importlib.util, "find_spec", lambda name: None)
    crop._dlib.cache_clear()
    with pytest.raises(InputError, match="pip install dlib-bin face-recognition-models"):
        crop.crop(np.zeros((1, 64, 64, 3), np.uint8), find="landmarks")


def test_landmarks_of_a_real_face():
    pytest.importorskip("dlib")
    pytest.importorskip("skimage")
    if crop.importlib.util.find_spec("face_recognition_models") is None:
        pytest.skip("the model of dlib is not installed")
    from skimage.data import astronaut

    image = astronaut()
    points = crop.dlib_landmarks(image)
    eyes = np.stack([points[36:42].mean(0), points[42:48].mean(0)])
    np.testing.assert_allclose(eyes, [[203, 101.5], [246.5, 104]], atol=3)
    found = crop.crop(image[None], size=SIZE, find="landmarks")
    assert found.finder == "landmarks"
    assert found.issues == ()
    assert crop.crop(np.zeros((1, 64, 64, 3), np.uint8), size=SIZE, find="landmarks").issues == ("no_face",)


def test_contact_sheet_shows_every_crop_with_its_label():
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    images = [np.full((20 + 7 * i, 20, 3), colour, np.uint8) for i, colour in enumerate(colours)]
    labels = ["S01/c1", "S01/c2", "S02/a clip with a name that is far too long for its place"]
    sheet = crop.contact_sheet(images, labels, columns=2, side=64)
    height = 64 + 2 * crop.LINE
    assert sheet.shape == (2 * height, 128, 3)
    for i, colour in enumerate(colours):
        top, left = i // 2 * height, i % 2 * 64
        assert (sheet[top : top + 64, left : left + 64] == colour).all()
        text = sheet[top + 64 : top + height, left : left + 64]
        for line in (text[: crop.LINE], text[crop.LINE :]):
            assert (line < 128).any()
    assert (sheet[height:, 64:] == 255).all()  # nothing in the fourth place, no text that runs over
    assert crop.contact_sheet(images[:1], ["one"]).shape == (128 + crop.LINE, 128, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "size is 0"),
        ({"find": "mtcnn"}, "find is 'mtcnn'; it can be auto, haar, lbp, landmarks, none, centre"),
        ({"box": (0, 0, 0, 10)}, "width and height"),
        ({"face_margin": -0.1}, "margins"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        crop.crop(np.zeros((1, 32, 32, 3), np.uint8), **arguments)


@pytest.mark.parametrize(("images", "labels"), [(0, 0), (2, 1)])
def test_a_contact_sheet_needs_a_label_for_each_crop(images, labels):
    with pytest.raises(InputError, match="one label for each"):
        crop.contact_sheet([np.zeros((8, 8, 3), np.uint8)] * images, ["a"] * labels)
