import sys

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import spearmanr

from merjax.ops import exact, rank_pool
from merjax.types import InputError


def drift(seed, n=9, side=6):
    """A face whose pixels brighten or darken steadily under noise, and the direction of each."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=(side, side, 3))
    time = np.linspace(0, 1, n)[:, None, None, None]
    face = rng.uniform(60, 190, (side, side, 3))
    frames = face + 20 * time * direction + rng.normal(size=(n, side, side, 3))
    return np.clip(frames, 0, 255).astype(np.uint8), direction


def test_rows_are_running_means_then_roots_of_length_one():
    frames, _ = drift(0)
    rows = exact.ranked_rows(frames)
    for i in range(len(frames)):
        root = np.sqrt(frames[: i + 1].astype(float).mean(0).ravel())
        np.testing.assert_allclose(rows[i], root / np.sqrt((root**2).sum()))
    assert (exact.ranked_rows(np.zeros((3, 2, 2, 1), np.uint8)) == 0).all()


@pytest.mark.parametrize("c", [1.0, 10.0])
def test_the_image_minimises_the_regression(c):
    frames, _ = drift(1, n=6, side=3)
    rows, target = exact.ranked_rows(frames), np.arange(1, 7)

    def objective(w):
        miss = rows @ w - target
        excess = np.maximum(np.abs(miss) - 0.1, 0)
        return 0.5 * w @ w + c * (excess**2).sum(), w + 2 * c * rows.T @ (excess * np.sign(miss))

    slow = minimize(objective, np.zeros(rows.shape[1]), jac=True, options={"gtol": 1e-8})
    image = exact.exact_rank_pool(frames, c=c)
    np.testing.assert_allclose(image.ravel(), slow.x, atol=1e-3 * np.abs(slow.x).max())


def test_the_image_puts_the_frames_in_order_and_points_where_pixels_go():
    frames, direction = drift(2)
    image = exact.exact_rank_pool(frames)
    assert (np.diff(exact.ranked_rows(frames) @ image.ravel()) > 0).all()
    assert spearmanr(image.ravel(), direction.ravel()).statistic > 0.9


def test_the_approximation_resembles_it_and_the_faulty_port_does_not():
    frames, _ = drift(3)
    reference = exact.exact_rank_pool(frames).ravel()
    agreement = {}
    for name in rank_pool.COEFFICIENTS:
        image = rank_pool.dynamic_image(jnp.asarray(frames), jnp.int32(len(frames)), coefficients=name, scale="none")
        agreement[name] = spearmanr(np.asarray(image).ravel(), reference).statistic
    assert agreement["harmonic"] > 0.9
    assert agreement["linear"] > 0.9
    assert agreement["faulty_port"] < 0.8


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.svm", None)
    with pytest.raises(InputError, match="pip install scikit-learn"):
        exact.exact_rank_pool(drift(0)[0])
