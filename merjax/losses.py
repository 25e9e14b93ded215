"""Losses of one batch, and the class weights of one fold.

`LOSSES` is the table that a config's `train.loss` is looked up in.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


def class_weights(label: Int[Array, " a"], mask: Bool[Array, " a"], classes: int, power: float) -> Float[Array, " k"]:
    """Weights (N / (K N_c)) ** power from the training rows of a fold; 0 for a class that the fold lacks.

    Args:
        label: labels of the padded training rows.
        mask: rows that count.
        classes: K.
        power: 0 none, 1 balanced, between them in between.
    """
    count = (jax.nn.one_hot(label, classes) * mask[:, None]).sum(0)
    weights = (mask.sum() / (classes * jnp.maximum(count, 1.0))) ** power
    return jnp.where(count > 0, weights, 0.0)


def cross_entropy(
    logits: Float[Array, "b k"], label: Int[Array, " b"], weights: Float[Array, " k"], *, smoothing: float = 0.0
) -> Float[Array, ""]:
    """Mean over the batch of class-weighted cross-entropy.

    Args:
        logits: of the batch.
        label: true classes.
        weights: one per class, applied by the true class.
        smoothing: share of the target spread evenly over all classes (label smoothing).
    """
    return (weights[label] * -(targets(logits, label, smoothing) * jax.nn.log_softmax(logits)).sum(-1)).mean()


def focal(
    logits: Float[Array, "b k"],
    label: Int[Array, " b"],
    weights: Float[Array, " k"],
    *,
    gamma: float = 2.0,
    smoothing: float = 0.0,
) -> Float[Array, ""]:
    """Mean over the batch of class-weighted focal loss -(1 - p)^gamma log p (Lin et al. 2017).

    With smoothing every class has that term, weighed by its share of the target; gamma 0 is `cross_entropy` then too.
    That form is OUR CHOICE: the paper smooths nothing.

    Args:
        logits: of the batch.
        label: true classes.
        weights: one per class, applied by the true class: the alpha of that paper.
        gamma: 0 is cross-entropy. Paper 6 uses focal loss with gamma UNKNOWN; OUR CHOICE 2.
        smoothing: see `cross_entropy`.
    """
    log_p = jax.nn.log_softmax(logits)
    each = targets(logits, label, smoothing) * (1.0 - jnp.exp(log_p)) ** gamma * log_p
    return (weights[label] * -each.sum(-1)).mean()


def targets(logits: Float[Array, "b k"], label: Int[Array, " b"], smoothing: float) -> Float[Array, "b k"]:
    """What the probabilities should be: one of the true class, of which `smoothing` is spread over all classes."""
    classes = logits.shape[-1]
    return (1.0 - smoothing) * jax.nn.one_hot(label, classes) + smoothing / classes


LOSSES: dict[str, Callable[..., Float[Array, ""]]] = {"cross_entropy": cross_entropy, "focal": focal}
