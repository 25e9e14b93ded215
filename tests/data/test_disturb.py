import numpy as np
import pytest

from merjax.data import course, disturb, synthetic

CALM = {"amplitude": 0.0, "drift": 0.0, "light": 0.0, "noise": 0.0}
SIZE = 64


def drawn(clip=1, **dials):
    return synthetic.draw(subject=1, clip=clip, action="brow_raiser", seed=0, size=SIZE, **dials)


@pytest.mark.parametrize(
    "dials",
    [{"shake": 0.5}, {"flicker": 0.1}, {"blur": 2.0}, {"noise": 8.0}, {"jpeg": 40}, {"light": 0.1}, {"apex_late": 9}],
)
def test_a_dial_changes_nothing_but_what_it_says(dials):
    plain, turned = drawn(), drawn(**dials)
    assert turned.apex == plain.apex
    np.testing.assert_array_equal(turned.intensity, plain.intensity)
    if "shake" in dials:
        assert (turned.displacement != plain.displacement).any()
    else:
        np.testing.assert_array_equal(turned.displacement, plain.displacement)
    if "apex_late" in dials:
        np.testing.assert_array_equal(turned.frames, plain.frames)
    else:
        assert (turned.frames != plain.frames).any()


def test_shake_moves_the_whole_frame_and_each_frame_for_itself():
    moved = drawn(**{**CALM, "shake": 1.0}).displacement
    np.testing.assert_allclose(moved, np.broadcast_to(moved[:, :1, :1], moved.shape), atol=1e-6)
    path = moved[:, 0, 0]
    assert not path[0].any()
    assert path[1:].std() == pytest.approx(SIZE / 100, rel=0.3)
    assert np.abs(np.corrcoef(path[1:-1, 0], path[2:, 0])[0, 1]) < 0.4


def test_every_other_frame_flickers():
    frames = drawn(**{**CALM, "flicker": 0.1}).frames.astype(float)
    np.testing.assert_array_equal(frames[::2], np.broadcast_to(frames[:1], frames[::2].shape))
    np.testing.assert_allclose(frames[1::2], np.broadcast_to(0.9 * frames[0], frames[1::2].shape), atol=1)


def test_blur_takes_detail_and_keeps_light():
    sharp, soft = (drawn(**{**CALM, "blur": b}).frames[0].astype(float) for b in (0.0, 2.0))
    assert soft.mean() == pytest.approx(sharp.mean(), abs=0.5)
    assert np.abs(np.diff(soft, axis=1)).mean() < 0.7 * np.abs(np.diff(sharp, axis=1)).mean()


def test_a_lower_quality_of_jpeg_loses_more_and_no_colour_is_swapped():
    plain = drawn(**CALM).frames[0].astype(float)
    lost = [np.abs(drawn(**{**CALM, "jpeg": q}).frames[0] - plain).mean() for q in (95, 50, 10)]
    assert 0 < lost[0] < lost[1] < lost[2]
    assert lost[0] < 2
    np.testing.assert_allclose(drawn(**{**CALM, "jpeg": 50}).frames[0].mean((0, 1)), plain.mean((0, 1)), atol=2)


@pytest.mark.parametrize("late", [-5, 3, 10, 40])
def test_the_annotated_apex_is_late_and_the_flow_is_between_annotated_frames(late):
    truth = drawn(apex_late=late)
    clip = synthetic.annotated(truth)
    wanted = min(max(truth.apex + late, 1), len(truth.frames) - 2)
    assert clip.apex == truth.annotated_apex == wanted
    assert truth.intensity.argmax() == truth.apex  # the truth stays known
    np.testing.assert_allclose(clip.onset_apex[..., :2], truth.displacement[wanted], atol=1e-5)


def test_a_late_onset_cuts_the_clip_and_flow_starts_there():
    plain, truth = drawn(drift=0.0), drawn(drift=0.0, onset_late=6)
    clip, whole = synthetic.annotated(truth), synthetic.annotated(plain)
    np.testing.assert_array_equal(clip.frames, plain.frames[6:])
    assert clip.apex == whole.apex - 6
    # What is left of the movement is what intensity had still to go.
    missed = plain.intensity[6]
    assert 0.1 < missed < 0.95
    left, full = (np.abs(c.onset_apex[..., 1]).max() for c in (clip, whole))
    assert left == pytest.approx((1 - missed) * full, rel=0.05)


def test_an_early_onset_puts_frames_at_rest_before_the_clip():
    plain, truth = drawn(**CALM | {"amplitude": 1.4}), drawn(**CALM | {"amplitude": 1.4}, onset_late=-9)
    assert (truth.onset, truth.annotated_onset, truth.apex) == (9, 0, plain.apex + 9)
    np.testing.assert_array_equal(truth.frames[9:], plain.frames)
    np.testing.assert_array_equal(truth.frames[:9], np.broadcast_to(plain.frames[:1], truth.frames[:9].shape))
    np.testing.assert_array_equal(synthetic.annotated(truth).frames, truth.frames)


@pytest.mark.parametrize(
    ("apex", "onset", "late", "wanted"),
    [(9, 0, (0, 0), (0, 9)), (9, 0, (99, 0), (0, 18)), (9, 0, (-99, 0), (0, 1)), (9, 0, (-9, 7), (7, 8))],
)
def test_an_annotated_apex_stays_between_onset_and_offset(apex, onset, late, wanted):
    assert disturb.annotated(apex, onset, 20, apex_late=late[0], onset_late=late[1]) == wanted


@pytest.mark.parametrize("curve", course.CURVES)
@pytest.mark.parametrize("seed", range(4))
def test_every_curve_rises_to_one_apex_and_falls(curve, seed):
    apex, intensity = course.course(np.random.default_rng(seed), curve)
    assert intensity[0] == 0
    assert intensity.argmax() == apex
    assert intensity[apex] == intensity.max() == 1
    assert (np.diff(intensity[: apex + 1]) > 0).all()
    assert (np.diff(intensity[apex:]) <= 0).all()
    assert intensity[-1] <= 0.15


def test_curves_are_what_their_names_say():
    (apex, eased), (_, even), (_, held) = (course.course(np.random.default_rng(0), c) for c in course.CURVES)
    assert len(eased) == len(even) == len(held)
    assert np.ptp(np.diff(even[: apex + 1])) < 1e-6
    assert np.ptp(np.diff(even[apex:])) < 1e-6
    stay = (held == 1).sum() - 1
    assert stay == pytest.approx(course.HOLD * (len(held) - 1 - apex), abs=1)
    np.testing.assert_array_equal(held[: apex + 1], eased[: apex + 1])
