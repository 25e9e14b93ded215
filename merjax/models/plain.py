"""A plain network of three convolutions, of no paper: what the others should beat."""

import flax.linen as nn
from jaxtyping import Array, Float

from merjax.models.inside import keep
from merjax.models.layers import NORMS, Conv, Dropout, Norm, check_names
from merjax.models.pooling import average_to, halve


class Plain(nn.Module):
    """Three 3 x 3 convolutions, a coarse grid, one linear layer. Streams stand side by side as channels, any number.

    | layer | output at 28 x 28 |
    | --- | --- |
    | 3 x 3 convolution, norm, relu, 2 x 2 average | b, 14, 14, w |
    | 3 x 3 convolution, norm, relu, 2 x 2 average | b, 7, 7, 2 w |
    | 3 x 3 convolution, norm, relu | b, 7, 7, 4 w |
    | mean over 3 x 3 cells, dropout, dense | b, classes |

    All of it is OUR CHOICE. 25,859 parameters for two streams of three channels and 3 classes.

    Attributes:
        classes: number of classes.
        width: channels of the first convolution.
        norm: "batch" or "group".
        grid: cells along each side of the last pooling.
        dropout: rate before the last layer.
    """

    classes: int
    width: int = 16
    norm: str = "group"
    grid: int = 3
    dropout: float = 0.5

    def __post_init__(self) -> None:
        """Refuses an unknown norm."""
        check_names("plain", norm=(self.norm, NORMS))
        super().__post_init__()

    @property
    def streams(self) -> int | None:
        """Any number of streams fits."""
        return None

    @nn.compact
    def __call__(self, x: Float[Array, "b p h w c"], *, train: bool) -> Float[Array, "b {self.classes}"]:
        """Logits of a batch."""
        b, p, h, w, c = x.shape
        y = x.transpose(0, 2, 3, 1, 4).reshape(b, h, w, p * c)
        for stage in range(3):
            y = halve(y) if stage else y
            y = nn.relu(Norm(self.norm)(Conv(self.width * 2**stage)(y), train=train))
        y = average_to(keep(self, y, "stream_1"), self.grid).reshape(b, -1)
        return nn.Dense(self.classes)(Dropout(self.dropout)(y, train=train))
