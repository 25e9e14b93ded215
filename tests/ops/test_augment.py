import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from merjax.ops import augment


def sample(rng, p=2, h=9, w=11):
    return jnp.asarray(rng.normal(size=(p, h, w, 3)).astype(np.float32))


def test_flip_mirrors_and_turns_u_only_for_flow(rng):
    x = sample(rng)
    np.testing.assert_array_equal(augment.flip(x, vector=False), x[:, :, ::-1])
    mirrored = augment.flip(x, vector=True)
    np.testing.assert_array_equal(mirrored[..., 0], -x[:, :, ::-1, 0])
    np.testing.assert_array_equal(mirrored[..., 1:], x[:, :, ::-1, 1:])
    np.testing.assert_array_equal(augment.flip(mirrored, vector=True), x)


def test_flow_of_the_mirror_image_is_the_flipped_flow():
    """What the vector rule means: a point moving right in a picture moves left in its mirror."""
    h, w = 8, 12
    first, second = np.zeros((2, h, w))
    first[4, 3], second[4, 5] = 1, 1  # moves by u = +2
    flow = np.zeros((1, h, w, 3), np.float32)
    flow[0, 4, 3, 0] = 2
    mirrored = np.asarray(augment.flip(jnp.asarray(flow), vector=True))[0]
    y, x = np.argwhere(first[:, ::-1])[0]
    u = int(mirrored[y, x, 0])
    assert second[:, ::-1][y, x + u] == 1


def test_shift_moves_down_and_right_and_repeats_the_border(rng):
    x = sample(rng)
    moved = augment.shift(x, jnp.array([1, -2]), most=3)
    np.testing.assert_array_equal(moved[:, 1:, :-2], x[:, :-1, 2:])
    np.testing.assert_array_equal(moved[:, 0, :-2], x[:, 0, 2:])
    np.testing.assert_array_equal(augment.shift(x, jnp.array([0, 0]), most=3), x)


@pytest.mark.parametrize("degrees", [-10.0, 5.0, 90.0])
def test_rotation_agrees_with_opencv(rng, degrees):
    x = rng.normal(size=(1, 15, 15, 1)).astype(np.float32)
    x = cv2.GaussianBlur(x[0, ..., 0], (0, 0), 1.5)[None, ..., None]
    turned = np.asarray(augment.rotate(jnp.asarray(x), jnp.float32(degrees), vector=False))[0, ..., 0]
    # OpenCV counts counter-clockwise, merjax clockwise (right towards down).
    matrix = cv2.getRotationMatrix2D((7, 7), -degrees, 1)
    expected = cv2.warpAffine(x[0, ..., 0], matrix, (15, 15), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    np.testing.assert_allclose(turned[3:-3, 3:-3], expected[3:-3, 3:-3], atol=0.02)


def test_rotating_flow_by_a_right_angle_turns_right_into_down():
    flow = jnp.zeros((1, 5, 5, 3)).at[..., 0].set(1.0).at[..., 2].set(0.5)
    turned = augment.rotate(flow, jnp.float32(90), vector=True)
    np.testing.assert_allclose(turned[..., 0], 0, atol=1e-6)
    np.testing.assert_allclose(turned[..., 1], 1, atol=1e-6)
    np.testing.assert_allclose(turned[..., 2], 0.5, atol=1e-6)


def test_streams_of_a_clip_move_together(rng):
    x = sample(rng, p=1)
    both = jnp.concatenate([x, x])
    for seed in range(5):
        y = augment.random_augment(jax.random.key(seed), both, vector=True, flips=True, shifts=2, degrees=5.0)
        np.testing.assert_array_equal(y[0], y[1])


def test_random_augment_uses_every_move_and_can_be_switched_off(rng):
    x = sample(rng)
    off = augment.random_augment(jax.random.key(0), x, vector=True, flips=False, shifts=0, degrees=0.0)
    np.testing.assert_array_equal(off, x)
    flipped = [
        np.array_equal(
            augment.random_augment(jax.random.key(s), x, vector=True, flips=True, shifts=0, degrees=0.0),
            augment.flip(x, vector=True),
        )
        for s in range(20)
    ]
    assert 3 < sum(flipped) < 17
