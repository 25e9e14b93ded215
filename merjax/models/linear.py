"""Multinomial logistic regression on the pooled input: the floor that every network must beat."""

import flax.linen as nn
from jaxtyping import Array, Float

from merjax.models.pooling import average_to


class Linear(nn.Module):
    """Averages every stream to a coarse grid; one linear layer from all of it. Takes any number of streams.

    Attributes:
        classes: number of classes.
        grid: cells along each side; OUR CHOICE 14.
    """

    classes: int
    grid: int = 14

    @property
    def streams(self) -> int | None:
        """Any number of streams fits."""
        return None

    @nn.compact
    def __call__(self, x: Float[Array, "b p h w c"], *, train: bool) -> Float[Array, "b {self.classes}"]:
        """Logits of a batch; `train` changes nothing."""
        b, p, h, w, c = x.shape
        pooled = average_to(x.reshape(b * p, h, w, c), self.grid)
        return nn.Dense(self.classes, kernel_init=nn.initializers.zeros)(pooled.reshape(b, -1))
