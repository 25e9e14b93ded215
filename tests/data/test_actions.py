import numpy as np
import pytest

from merjax.data import actions, faces

SIZE = 128
# Where a unit moves the skin most, in parts of the face's height, and which way: (u outwards, v down).
MEANT = {
    1: ("brow", "inner", (0, -1)),
    2: ("brow", "outer", (0, -1)),
    4: ("brow", "inner", (-0.4, 0.9)),
    5: ("eye", None, (0, -1)),
    6: ("cheek", None, (0, -1)),
    7: ("eye", None, (0, -1)),
    9: ("nose", "inner", (0, -1)),
    10: ("mouth", "inner", (0, -1)),
    12: ("mouth", "outer", (0.6, -0.8)),
    14: ("mouth", "outer", (-1, 0)),
    15: ("mouth", "outer", (0, 1)),
    17: ("chin", "inner", (0, -1)),
    20: ("mouth", "outer", (1, 0)),
}
ROWS = {"brow": (0.28, 0.38), "eye": (0.38, 0.5), "cheek": (0.5, 0.65), "nose": (0.5, 0.65)}
ROWS |= {"mouth": (0.68, 0.82), "chin": (0.8, 0.95)}


def fields(action, subject):
    face = faces.subject_face(0, subject, 64)[0]
    bumps = actions.bumps(action, face)
    return actions.field(bumps, *faces.grid(SIZE)) / actions.peak(bumps)


def test_there_is_a_dozen_units_each_with_a_name_of_its_own():
    assert len(set(actions.UNITS.values())) == len(actions.UNITS) == 13
    assert set(MEANT) == set(actions.UNITS)


@pytest.mark.parametrize("unit", actions.UNITS)
def test_a_unit_moves_its_part_of_the_face_its_way(unit):
    part, side, way = MEANT[unit]
    for subject in range(1, 5):
        face = faces.subject_face(0, subject, 64)[0]
        flow = fields(actions.UNITS[unit], subject)[:, SIZE // 2 :]  # where outwards is right
        row, column = np.unravel_index(np.hypot(*np.moveaxis(flow, -1, 0)).argmax(), flow.shape[:2])
        assert ROWS[part][0] < (row + 0.5) / SIZE < ROWS[part][1]
        middle = face.eye_x if part in ("brow", "eye", "cheek") else 0.6 * face.mouth_half
        if side:
            assert ((column + 0.5) / SIZE < middle) == (side == "inner")
        assert flow[row, column] @ np.array(way) > 0.9 * np.linalg.norm(way) * np.linalg.norm(flow[row, column])


@pytest.mark.parametrize("action", actions.MOVEMENTS)
def test_both_halves_of_a_face_move_alike(action):
    flow = fields(action, 1)
    np.testing.assert_allclose(flow[:, ::-1] * [-1, 1], flow, atol=1e-5)
    assert np.hypot(*np.moveaxis(flow, -1, 0)).max() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("action", actions.MOVEMENTS)
def test_the_strongest_action_folds_no_face(action):
    """The largest amplitude of the strongest subject and clip keeps every patch of skin its right way round."""
    for subject in range(1, 5):
        flow = fields(action, subject) * 0.03 * 1.25 * 1.25 * SIZE
        (u_y, u_x), (v_y, v_x) = (np.gradient(flow[..., axis]) for axis in (0, 1))
        assert ((1 + u_x) * (1 + v_y) - u_y * v_x).min() > 0


def test_no_two_units_move_a_face_alike():
    flows = {name: fields(name, 1).ravel() for name in actions.UNITS.values()}
    alike = {
        (a, b): flows[a] @ flows[b] / np.linalg.norm(flows[a]) / np.linalg.norm(flows[b])
        for a in flows
        for b in flows
        if a < b
    }
    assert max(alike.values()) < 0.9


def test_the_brow_raiser_is_the_sum_of_its_units():
    face = faces.subject_face(0, 1, 64)[0]
    whole = actions.field(actions.bumps("brow_raiser", face), *faces.grid(64))
    parts = [actions.field(actions.bumps(actions.UNITS[unit], face), *faces.grid(64)) for unit in (1, 2, 5)]
    np.testing.assert_allclose(sum(parts), whole, atol=1e-5)


def test_a_resting_expression_of_many_movements_spreads_as_one_of_three():
    face = faces.subject_face(0, 1, 64)[0]

    def spread(names):
        return np.std([actions.resting(np.random.default_rng(i), face, 1.0, names)[0].v for i in range(400)])

    names = tuple(actions.UNITS.values())
    assert spread(names) == pytest.approx(spread(names[:3]) * (3 / 13) ** 0.5, rel=0.1)
