import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import REPOSITORY

from merjax.ops import optical_flow
from merjax.ops.optical_flow import FLOWS
from merjax.types import InputError

# Mean endpoint error on the golden pairs that OpenCV's own programs stay below; tests/golden/README.md.
BOUNDS = {"tvl1": (0.040, 0.027, 0.046), "farneback": (0.046, 0.037, 0.057), "dis": (0.069, 0.048, 0.085)}


@pytest.fixture(scope="module")
def golden():
    with np.load(REPOSITORY / "tests" / "golden" / "opencv_flow.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def flows(golden):
    """Flow of each golden pair and of its mirror image, by method."""
    pairs = [(golden[f"{i}/first"], golden[f"{i}/second"]) for i in range(3)]
    compute = {name: flow.compute if flow.host else jax.jit(flow.compute) for name, flow in FLOWS.items()}
    return {
        name: [(np.asarray(of(a, b)), np.asarray(of(a[:, ::-1], b[:, ::-1]))) for a, b in pairs]
        for name, of in compute.items()
    }


def inside(field, border=8):
    return field[border:-border, border:-border]


@pytest.mark.parametrize("name", FLOWS)
def test_the_known_motion_is_found(name, flows, golden):
    for i, (flow, _) in enumerate(flows[name]):
        assert flow.shape == (128, 128, 2)
        assert flow.dtype == np.float32
        assert np.linalg.norm(inside(flow - golden[f"{i}/true"]), axis=-1).mean() < BOUNDS[name][i]


@pytest.mark.parametrize(("name", "most"), [("tvl1", 0.01), ("farneback", 0.001), ("dis", 0.02)])
def test_the_mirrored_pair_has_the_mirrored_flow_with_u_negated(name, most, flows):
    for flow, mirrored in flows[name]:
        assert np.abs(inside(mirrored[:, ::-1] * [-1, 1] - flow)).mean() < most


@pytest.mark.parametrize("name", ["farneback", "dis"])
def test_equal_images_have_no_flow(name, golden):
    flow = FLOWS[name].compute(golden["0/first"], golden["0/first"])
    assert np.abs(inside(flow)).max() < 1e-3  # Farneback finds up to 0.3 pixels on the border


def test_farneback_and_dis_are_opencv_with_the_stated_constants(flows, golden):
    for i in range(3):
        first, second = golden[f"{i}/first"], golden[f"{i}/second"]
        np.testing.assert_array_equal(flows["farneback"][i][0], golden[f"{i}/farneback"])
        search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        np.testing.assert_allclose(flows["dis"][i][0], search.calc(first, second, None), atol=1e-5)


@pytest.mark.parametrize("name", ["farneback", "dis"])
def test_host_functions_take_any_array_and_do_not_write_to_it(name, golden):
    first, second = golden["0/first"].astype(np.float32), golden["0/second"].astype(np.float32)
    kept = first.copy()
    flow = FLOWS[name].compute(first, second)
    np.testing.assert_array_equal(first, kept)
    assert isinstance(flow, np.ndarray)
    np.testing.assert_array_equal(FLOWS[name].compute(jnp.asarray(first), jnp.asarray(second)), flow)


def test_the_table_says_which_functions_work_on_the_host():
    assert {name for name, flow in FLOWS.items() if flow.host} == {"farneback", "dis"}


def test_constants_can_be_changed(golden):
    pair = golden["2/first"], golden["2/second"]
    assert (FLOWS["farneback"].compute(*pair) != FLOWS["farneback"].compute(*pair, winsize=9)).any()
    assert (FLOWS["dis"].compute(*pair) != FLOWS["dis"].compute(*pair, preset="fast")).any()


def test_grey_is_the_luma_of_opencv(rng):
    frame = rng.integers(0, 256, (7, 9, 3), dtype=np.uint8)
    expected = cv2.cvtColor(frame.astype(np.float32), cv2.COLOR_RGB2GRAY)
    np.testing.assert_allclose(optical_flow.grey(frame), expected, atol=1e-3)
    np.testing.assert_allclose(optical_flow.grey(jnp.asarray(frame)), expected, atol=1e-3)
    np.testing.assert_array_equal(optical_flow.grey(frame[..., :1]), frame[..., 0])
    white = optical_flow.grey(np.full((2, 2, 3), 255, np.uint8))
    np.testing.assert_allclose(white, 255, rtol=1e-6)
    assert white.dtype == np.float32


def test_bad_input_is_refused(rng):
    with pytest.raises(InputError, match="frame has 4 channels; it must have 1 or 3"):
        optical_flow.grey(rng.integers(0, 256, (7, 9, 4), dtype=np.uint8))
    small = np.zeros((11, 9), np.uint8)
    with pytest.raises(InputError, match="for dis one side must be 12 or more"):
        FLOWS["dis"].compute(small, small)
    with pytest.raises(InputError, match="preset is 'slow'; it can be ultrafast, fast, medium"):
        FLOWS["dis"].compute(np.zeros((20, 20), np.uint8), np.zeros((20, 20), np.uint8), preset="slow")
