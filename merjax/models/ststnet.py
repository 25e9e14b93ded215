"""STSTNet (Liong et al., FG 2019), the shallow three-stream network that most flow papers compare with."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from merjax.models import cpu
from merjax.models.cpu.pooled_conv import pooled_conv as pooled_conv_on_cpu
from merjax.models.inside import keep
from merjax.models.layers import Conv, Dropout
from merjax.models.norms import BatchNorm
from merjax.models.pooling import halve, max_pool

FILTERS = 3 + 5 + 8  # of the three branches


class STSTNet(nn.Module):
    """Three shallow branches over (u, v, strain), concatenated, one linear layer: 1,683 parameters for 3 classes.

    | layer | output at 28 x 28 |
    | --- | --- |
    | three 3 x 3 convolutions of 3, 5 and 8 filters, padding 2, with bias, relu, batch norm | b, 30, 30, 16 |
    | 3 x 3 maximum, stride 3, padding 1; dropout | b, 10, 10, 16 |
    | 2 x 2 average | b, 5, 5, 16 |
    | flatten, dense | b, classes |

    The branches see the same input, so one convolution of 16 filters is the same function with the same parameters;
    batch norm and dropout act per channel and per entry. The bias stays: it comes before relu, not before the norm.

    Source: authors' PyTorch code, from summaries (methods 10); STATED.

    Attributes:
        classes: number of classes.
        dropout: rate after pooling; 0.5 in the authors' code.
    """

    classes: int
    dropout: float = 0.5

    @property
    def streams(self) -> int:
        """Streams that the input must have."""
        return 1

    @nn.compact
    def __call__(self, x: Float[Array, "b p h w c"], *, train: bool) -> Float[Array, "b {self.classes}"]:
        """Logits of a batch."""
        conv, norm = Conv(FILTERS, padding=2, bias=True, name="conv"), BatchNorm(FILTERS, name="norm")
        y = pooled_conv(x[:, 0], conv, norm, train=train)
        y = keep(self, y, "stream_1")
        y = Dropout(self.dropout)(y, train=train)
        y = halve(y)
        return nn.Dense(self.classes)(jnp.reshape(y, (y.shape[0], -1)))


@cpu.instead(pooled_conv_on_cpu)
def pooled_conv(x: Float[Array, "b h w c"], conv: Conv, norm: BatchNorm, *, train: bool) -> Float[Array, "b y x o"]:
    """Convolution, relu, batch norm, and the 3 x 3 maximum with stride 3 and padding 1."""
    return max_pool(norm(nn.relu(conv(x)), train=train), 3, 3, 1)
