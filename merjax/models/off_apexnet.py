"""OFF-ApexNet (Gan et al., Signal Processing: Image Communication 2019): u and v of one flow, each its own stream."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from merjax.models.inside import keep
from merjax.models.layers import Conv, Dropout, average_to, max_pool


class OFFApexNet(nn.Module):
    """Two shallow streams over u and v, concatenated, three linear layers: 2,664,475 parameters for 3 classes.

    | layer | output at 28 x 28 |
    | --- | --- |
    | of u and of v, own weights: 5 x 5 convolution, 2 x 2 maximum | b, 14, 14, 6 |
    | 5 x 5 convolution, 2 x 2 maximum | b, 7, 7, 16 |
    | flatten, both streams side by side | b, 1568 |
    | dense with relu, dropout; twice | b, 1024 |
    | dense | b, classes |

    The input is one flow stream; only its first two channels, u and v, are read.

    Source: a third party's PyTorch code (methods 10); STATED there, the dropout after both hidden layers included.

    Attributes:
        classes: number of classes.
        side: a larger input is averaged to this many pixels a side; 28 is the original, the averaging OUR CHOICE.
        filters: of the two convolutions.
        hidden: width of the two hidden layers.
        relu: relu after the convolutions; the code that could be read has none.
        dropout: rate after each hidden layer.
    """

    classes: int
    side: int = 28
    filters: tuple[int, int] = (6, 16)
    hidden: int = 1024
    relu: bool = False
    dropout: float = 0.5

    @property
    def streams(self) -> int:
        """Streams that the input must have."""
        return 1

    @nn.compact
    def __call__(self, x: Float[Array, "b p h w c"], *, train: bool) -> Float[Array, "b {self.classes}"]:
        """Logits of a batch; the stream is (u, v, ...)."""
        flow = average_to(x[:, 0, ..., :2], self.side)
        streams = []
        for name, component in (("u", flow[..., :1]), ("v", flow[..., 1:])):
            y = component
            for i, filters in enumerate(self.filters, 1):
                y = Conv(filters, 5, bias=True)(y)
                y = nn.relu(y) if self.relu else y
                y = max_pool(keep(self, y, name) if i == len(self.filters) else y, 2, 2, 0)
            streams.append(y.reshape(len(y), -1))
        y = jnp.concatenate(streams, axis=-1)
        for _ in range(2):
            y = Dropout(self.dropout)(nn.relu(nn.Dense(self.hidden)(y)), train=train)
        return nn.Dense(self.classes)(y)
