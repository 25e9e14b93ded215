import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_class_weight

from merjax import losses


def test_cross_entropy_equals_scikit_learn(rng):
    logits = rng.normal(size=(20, 3)).astype(np.float32)
    label = rng.integers(0, 3, 20)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    ours = losses.cross_entropy(jnp.asarray(logits), jnp.asarray(label), jnp.ones(3))
    assert float(ours) == pytest.approx(log_loss(label, p, labels=[0, 1, 2]), rel=1e-5)


def test_focal_without_focus_is_cross_entropy_and_focus_spares_the_easy(rng):
    logits, label = jnp.asarray(rng.normal(size=(20, 3)).astype(np.float32)), jnp.asarray(rng.integers(0, 3, 20))
    weights = jnp.array([1.0, 2.0, 0.5])
    plain = losses.cross_entropy(logits, label, weights)
    assert float(losses.focal(logits, label, weights, gamma=0.0)) == pytest.approx(float(plain), rel=1e-5)
    easy, hard = jnp.array([[4.0, 0.0]]), jnp.array([[0.0, 4.0]])
    one = jnp.zeros(1, jnp.int32)
    for logits, most in ((easy, 0.01), (hard, 1.0)):
        ratio = losses.focal(logits, one, jnp.ones(2)) / losses.cross_entropy(logits, one, jnp.ones(2))
        assert most * 0.03 < float(ratio) <= most


def test_class_weights_are_balanced_masked_and_zero_for_the_absent(rng):
    label, mask = np.array([0, 0, 0, 1, 2, 2]), np.array([True] * 4 + [False] * 2)
    weights = losses.class_weights(jnp.asarray(label), jnp.asarray(mask), 2, 1.0)
    np.testing.assert_allclose(weights, compute_class_weight("balanced", classes=np.array([0, 1]), y=label[:4]))
    assert losses.class_weights(jnp.asarray(label), jnp.asarray(mask), 3, 0.5)[2] == 0
    np.testing.assert_allclose(losses.class_weights(jnp.asarray(label), jnp.asarray(mask), 2, 0.0), [1, 1])


def test_smoothing_prefers_less_certainty():
    label = jnp.zeros(1, jnp.int32)
    sure, likely = jnp.array([[20.0, 0.0, 0.0]]), jnp.array([[4.0, 0.0, 0.0]])
    for smoothing, better in ((0.0, sure), (0.2, likely)):
        worse = likely if better is sure else sure
        a, b = (losses.cross_entropy(z, label, jnp.ones(3), smoothing=smoothing) for z in (better, worse))
        assert float(a) < float(b)


def test_focal_smoothing_is_that_of_cross_entropy_without_focus_and_by_hand_with_it(rng):
    logits, label = rng.normal(size=(20, 3)).astype(np.float32), rng.integers(0, 3, 20)
    weights = np.array([1.0, 2.0, 0.5], np.float32)
    given = jnp.asarray(logits), jnp.asarray(label), jnp.asarray(weights)
    plain = losses.cross_entropy(*given, smoothing=0.3)
    assert float(losses.focal(*given, gamma=0.0, smoothing=0.3)) == pytest.approx(float(plain), rel=1e-5)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    target = 0.7 * np.eye(3)[label] + 0.1
    right = -(weights[label, None] * target * (1 - p) ** 2 * np.log(p)).sum(1).mean()
    assert float(losses.focal(*given, gamma=2.0, smoothing=0.3)) == pytest.approx(right, rel=1e-5)


def test_class_weights_are_the_alpha_of_focal_loss(rng):
    logits, label = jnp.asarray(rng.normal(size=(6, 2)).astype(np.float32)), jnp.array([0, 0, 0, 1, 1, 1])
    first, second = (losses.focal(logits[at], label[at], jnp.ones(2)) for at in (slice(3), slice(3, 6)))
    both = losses.focal(logits, label, jnp.array([0.25, 0.75]))
    assert float(both) == pytest.approx(float(0.25 * first + 0.75 * second) / 2, rel=1e-5)
