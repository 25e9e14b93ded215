"""Exact rank pooling on the host: the reference that dynamic images approximate. Needs scikit-learn."""

import numpy as np
from jaxtyping import Float, UInt8

from merjax.types import InputError


def ranked_rows(frames: UInt8[np.ndarray, "t h w c"]) -> Float[np.ndarray, "t hwc"]:
    """What exact rank pooling puts in order: running means, signed square roots, each row of length 1."""
    rows = frames.reshape(len(frames), -1).astype(np.float64)
    means = np.cumsum(rows, 0) / np.arange(1, len(rows) + 1)[:, None]
    roots = np.sign(means) * np.sqrt(np.abs(means))
    norms = np.linalg.norm(roots, axis=1, keepdims=True)
    return roots / np.where(norms > 0, norms, 1.0)


def exact_rank_pool(
    frames: UInt8[np.ndarray, "t h w c"], *, c: float = 10.0, epsilon: float = 0.1
) -> Float[np.ndarray, "h w c"]:
    """Weights of a linear support vector regression from the rows of `ranked_rows` to their numbers 1..N.

    Takes seconds where the approximation takes less than a millisecond; made to check it, not to train on it.

    Args:
        frames: the frames that count, without padding.
        c: cost of the regression; 10 for images (STATED).
        epsilon: error without cost; 0.1, the solver's own default (INFERRED).

    Returns:
        The weight vector as an image, unscaled and signed.

    Raises:
        InputError: scikit-learn is not installed.

    Source: the authors' MATLAB code: squared epsilon-insensitive loss, L2 penalty, no intercept, solved in the primal
        (liblinear -s 11); STATED.
    """
    try:
        from sklearn.svm import LinearSVR
    except ImportError as error:
        raise InputError("exact rank pooling needs scikit-learn: pip install scikit-learn") from error
    regression = LinearSVR(
        C=c, epsilon=epsilon, loss="squared_epsilon_insensitive", dual=False, fit_intercept=False, tol=1e-4
    )
    regression.fit(ranked_rows(frames), np.arange(1, len(frames) + 1))
    return regression.coef_.reshape(frames.shape[1:])
