import functools

import cv2
import jax.numpy as jnp
import numpy as np
import pytest

from merjax.data import apex, faces, synthetic, tasks
from merjax.ops.strain import strain as reference_strain
from merjax.types import InputError

FPS, SIZE = 100.0, 96
REST = {"drift": 0.0, "light": 0.0}
QUIET = {**REST, "noise": 0.0}
MOVING = sorted(set(apex.SPOTTERS) - {"midpoint"})


@functools.cache
def drawn(**dials):
    """Three subjects, each action once, as (subject, clip)."""
    actions = tasks.ACTIONS.values()
    return [
        (subject, synthetic.draw(subject=subject, clip=1, action=action, seed=3, size=SIZE, **dials))
        for subject in range(1, 4)
        for action in actions
    ]


def errors(spot, **dials):
    """Distance to the true apex in frames, clip by clip."""
    return np.array([abs(spot(truth.frames, FPS) - truth.apex) for _, truth in drawn(**dials)])


def landmarks(subject, length):
    """Of the neutral drawn face, those that count; the others lie at the origin."""
    face, points = faces.subject_face(3, subject, SIZE)[0], np.zeros((68, 2))
    points[8] = 0.5, 0.96
    points[31], points[35] = (0.45, 0.63), (0.55, 0.63)
    for side, mouth, eye, brow in ((-1, 48, range(36, 42), range(17, 22)), (1, 54, range(42, 48), range(22, 27))):
        points[mouth] = 0.5 + side * face.mouth_half, face.mouth_y
        points[list(eye)] = 0.5 + side * face.eye_x, face.eye_y
        points[list(brow)] = 0.5 + side * face.eye_x, face.brow_y
    return np.repeat((points * SIZE - 0.5)[None], length, axis=0)


def still(length, size=32):
    image = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return np.repeat(image[None], length, axis=0)


@pytest.mark.parametrize(("length", "middle"), [(2, 1), (3, 1), (4, 1), (5, 2), (6, 2), (101, 50)])
def test_midpoint_is_the_middle_between_onset_and_offset(length, middle):
    assert apex.midpoint(still(length), FPS) == middle


@pytest.mark.parametrize("name", ["flow", "freq", "strain"])
def test_it_finds_the_apex_of_a_drawn_clip_better_than_the_middle_does(name):
    bound = {"flow": 7, "freq": 7, "strain": 3}[name]
    assert errors(apex.midpoint).mean() > bound
    assert errors(apex.SPOTTERS[name]).mean() < bound


@pytest.mark.parametrize("method", ["dis", "farneback"])
@pytest.mark.parametrize("name", ["flow", "strain"])
def test_both_methods_of_flow_find_the_apex_where_head_and_light_rest(name, method):
    spot = functools.partial(apex.SPOTTERS[name], method=method)
    assert errors(spot, **REST).mean() < 1.5


@pytest.mark.parametrize("name", ["framediff", "freq"])
def test_it_finds_the_apex_where_head_and_light_rest(name):
    assert errors(apex.midpoint, **REST).mean() > 5
    assert errors(apex.SPOTTERS[name], **REST).mean() < 1


def test_divide_and_conquer_finds_the_apex_where_nothing_else_changes():
    assert errors(apex.midpoint, **QUIET).mean() > 5
    assert errors(apex.lbp_dc, **QUIET).mean() < 3


def test_divide_and_conquer_keeps_the_half_with_the_larger_sum_of_maxima():
    curve = np.zeros(32)
    curve[[5, 20, 25]] = 5.0, 3.0, 4.0  # the highest is on the left, the larger sum on the right
    assert apex._divide(curve, 0.05) == 25
    curve[5] = 8.0
    assert apex._divide(curve, 0.05) == 5


def test_cell_ratio_finds_the_apex_where_head_and_light_rest():
    found = [
        abs(apex.cell_ratio(truth.frames, landmarks(subject, len(truth.frames)), FPS) - truth.apex)
        for subject, truth in drawn(**REST)
    ]
    assert np.mean(found) < 2


def test_cell_ratio_looks_at_the_cells_only_and_follows_the_landmarks():
    frames = np.full((21, 64, 64, 3), 100, np.uint8)
    points = np.full((21, 68, 2), 20.0)
    points[:, 54, 0] += 12  # half of it is the side of a cell: all cells lie in the upper left quarter
    frames[8:10, 16:24, 16:24] = 120  # inside; what counts is to differ from the onset and not from just before
    frames[14:16, 50:60, 50:60] = 250  # outside
    assert apex.cell_ratio(frames, points, FPS, smooth=0.0, blur=0.0) == 9
    points[14:16] += 35
    assert apex.cell_ratio(frames, points, FPS, smooth=0.0, blur=0.0) == 15


@pytest.mark.parametrize("name", sorted({*MOVING} - {"lbp_dc"}))  # rounding adds maxima, which it sums
def test_flicker_of_the_light_changes_little(name):
    spot = apex.SPOTTERS[name]
    for _, truth in drawn(**QUIET)[:3]:
        gain = np.where(np.arange(len(truth.frames)) % 2, 0.95, 1.0)[:, None, None, None]
        flickering = np.rint(truth.frames * gain).astype(np.uint8)
        assert abs(spot(flickering, FPS) - spot(truth.frames, FPS)) <= 1


def test_flicker_would_mislead_a_difference_of_raw_frames():
    truth = drawn(**QUIET)[0][1]
    gain = np.where(np.arange(len(truth.frames)) % 2, 0.95, 1.0)[:, None, None, None]
    raw = np.abs(truth.frames * gain - truth.frames[0]).mean((1, 2, 3))
    assert np.ptp(raw[1::2]) < raw[1] - raw[2]  # what the lamp does is more than what the face does


@pytest.mark.parametrize("name", MOVING)
@pytest.mark.parametrize("length", [2, 3, 4, 20])
def test_a_still_clip_has_its_apex_in_the_middle(name, length):
    assert apex.SPOTTERS[name](still(length), FPS) == max((length - 1) // 2, 1)


@pytest.mark.parametrize("name", sorted(apex.SPOTTERS))
@pytest.mark.parametrize("length", [2, 3])
def test_short_clips_have_an_apex_after_the_onset(name, length):
    frames = np.random.default_rng(1).integers(0, 256, (length, 32, 32, 3), dtype=np.uint8)
    assert 1 <= apex.SPOTTERS[name](frames, 30.0) <= length - 1


@pytest.mark.parametrize("name", sorted(apex.SPOTTERS))
def test_one_frame_has_none(name):
    with pytest.raises(InputError, match="two or more"):
        apex.SPOTTERS[name](still(1), FPS)


def test_the_ends_are_not_looked_at():
    frames = np.full((41, 16, 16, 3), 100, np.uint8)
    frames[1], frames[20, :8], frames[39:, :8] = 0, 110, 255  # frame 1 is black, so its mean can't be restored
    assert apex.framediff(frames, FPS, smooth=0.0, edge=0.05) == 20
    assert apex.framediff(frames, FPS, smooth=0.0, edge=0.0) == 1


@pytest.mark.parametrize(("fps", "frames"), [(200.0, 7), (100.0, 5), (60.0, 3), (30.0, 3), (25.0, 3)])
def test_the_curve_is_averaged_over_as_many_frames_as_the_camera_is_fast(fps, frames):
    spike = np.zeros(31)
    spike[15] = 1
    smooth = apex._smooth(spike, fps, apex.SMOOTH)
    np.testing.assert_allclose(smooth[15 - frames // 2 : 16 + frames // 2], 1 / frames)
    assert np.count_nonzero(smooth > 1e-12) == frames
    np.testing.assert_allclose(apex._smooth(spike, fps, 0.0), spike)


@pytest.mark.parametrize("form", ["half", "quarter"])
def test_strain_is_that_of_the_inputs(form, rng):
    field = rng.normal(size=(9, 11, 2)).astype(np.float32)
    expected = float(reference_strain(jnp.asarray(field), form=form).mean())
    assert apex._strain(field, apex.FORMS[form]) == pytest.approx(expected, rel=1e-5)


def test_a_shift_of_the_whole_picture_is_no_flow():
    field = np.full((8, 8, 2), 3.0, np.float32)
    assert apex._length(field) == 0
    field[:2, :2] += (3.0, 4.0)
    assert apex._length(field) == pytest.approx(5 * 4 / 64)


def test_local_binary_patterns_agree_with_a_loop(rng):
    image = cv2.GaussianBlur(rng.uniform(0, 255, (13, 15)).astype(np.float32), (0, 0), 1)
    radius, blocks = 2, 2
    expected = np.zeros((blocks * blocks, 256))
    steps = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
    rows, columns = 13 - 2 * radius, 15 - 2 * radius
    for y in range(rows):
        for x in range(columns):
            near = [image[y + radius + radius * v, x + radius + radius * u] for v, u in steps]
            code = sum(int(grey >= image[y + radius, x + radius]) << bit for bit, grey in enumerate(near))
            expected[(y * blocks // rows) * blocks + x * blocks // columns, code] += 1
    np.testing.assert_array_equal(apex._patterns(image, radius, blocks), expected.ravel())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: apex.framediff(f, 0.0), "fps"),
        (lambda f: apex.framediff(f, FPS, smooth=-1.0), "smooth"),
        (lambda f: apex.framediff(f, FPS, edge=0.5), "edge"),
        (lambda f: apex.framediff(f, FPS, blur=-1.0), "blur"),
        (lambda f: apex.freq(f, FPS, span=-1.0), "span"),
        (lambda f: apex.flow(f, FPS, method="tvl1"), "method is 'tvl1'; it can be dis, farneback"),
        (lambda f: apex.flow(f[:, :8, :8], FPS), "12"),
        (lambda f: apex.strain(f, FPS, form="third"), "form"),
        (lambda f: apex.lbp_dc(f, FPS, radius=0), "radius 0"),
        (lambda f: apex.lbp_dc(f, FPS, blocks=40), "40 blocks"),
        (lambda f: apex.cell_ratio(f, np.zeros((5, 68, 2)), FPS, lag=0), "lag"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call(still(5))
