"""Inputs that are several views of one clip: each an image by itself, and one more training image of its sample.

Splits are made of clips. Here the rows of a fold become rows of images, for training, and probabilities of images
become those of clips, for scoring; nothing between knows of views. So all views of a clip lie on the same side of a
split, and a clip stays one test sample: the mean of its tested views. An input of a single view passes as it is.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from merjax.types import Curves, Fold, Host, InputError, Samples, pick


class Views(NamedTuple):
    """The views of a clip.

    Attributes:
        names: of all views, in the order of the input's images; () where a clip is one image, or streams that belong
            together.
        train: positions of those that are training images.
        test: positions of those whose probabilities are averaged.
    """

    names: tuple[str, ...]
    train: tuple[int, ...]
    test: tuple[int, ...]

    @property
    def per_clip(self) -> int:
        """How many rows of images a clip has."""
        return max(1, len(self.names))

    @property
    def told(self) -> tuple[str, ...]:
        """A sentence for those who read the scores; none where a clip is one image."""
        if not self.names:
            return ()
        train, test = (", ".join(self.names[i] for i in chosen) for chosen in (self.train, self.test))
        mean = f"the mean of its views {test}" if len(self.test) > 1 else f"its view {test}"
        return (f"Every clip gives {len(self.train)} training images ({train}) and is tested once, by {mean}.",)


def choose(names: tuple[str, ...], train: tuple[str, ...], test: tuple[str, ...]) -> Views:
    """The views that a run uses.

    Args:
        names: of the input's views.
        train: names of the training images; () for all.
        test: names of those that are averaged in testing; () for all.

    Raises:
        InputError: no such view, one twice, or an input without views.
    """
    if not names:
        for field, asked in (("views", train), ("test_views", test)):
            if asked:
                raise InputError(f"train.{field} is {asked}, but the input has no views; leave it empty")
        return Views((), (0,), (0,))
    positions = {name: i for i, name in enumerate(names)}
    chosen = []
    for field, asked in (("views", train), ("test_views", test)):
        if len(set(asked)) < len(asked):
            raise InputError(f"train.{field} is {asked}, which names a view twice; name each once")
        chosen.append(tuple(pick(positions, f"train.{field}", name) for name in asked or names))
    return Views(names, *chosen)


def images(samples: Samples, views: Views) -> Samples:
    """Every view of every clip as a sample: the views of clip i are rows i * per_clip and those after it."""
    x = samples.x.reshape(-1, samples.x.shape[1] // views.per_clip, *samples.x.shape[2:])
    return Samples(x, jnp.repeat(samples.label, views.per_clip), jnp.repeat(samples.subject, views.per_clip))


def fold_of_images(fold: Fold, views: Views) -> Fold:
    """The fold of `images` in place of the fold of clips; folds may be stacked.

    A clip's training images stand one after another among the training rows, and so do its tested ones.
    """

    def spread(rows: Host, chosen: tuple[int, ...]) -> np.ndarray:
        each = np.asarray(rows)[..., None] * views.per_clip + np.array(chosen, np.int32)
        return each.reshape(*rows.shape[:-1], -1)

    return fold._replace(
        train=spread(fold.train, views.train),
        train_mask=np.repeat(fold.train_mask, len(views.train), -1),
        test=spread(fold.test, views.test),
        test_mask=np.repeat(fold.test_mask, len(views.test), -1),
    )


def of_clips(curves: Curves, views: Views) -> Curves:
    """Curves whose probabilities are those of clips: the mean over the tested views of each."""
    *axes, tested, classes = curves.probability.shape
    each = np.asarray(curves.probability).reshape(*axes, tested // len(views.test), len(views.test), classes)
    return curves._replace(probability=each.mean(-2))


def first_tested(x: Float[Host, "n p h w c"], views: Views) -> Float[Host, "n q h w c"]:
    """What the report shows of every clip: the first view that is tested."""
    streams = x.shape[1] // views.per_clip
    first = views.test[0] * streams
    return x[:, first : first + streams]
