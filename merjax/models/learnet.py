"""LEARNet (Verma et al., IEEE TIP 2020), a small network for dynamic images of faces."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from merjax.models.inside import keep
from merjax.models.layers import Conv, Dropout
from merjax.models.norms import BatchNorm


class LEARNet(nn.Module):
    """Four paths of strided convolutions, two with sums across: 1,866,757 numbers for 5 classes at 112 x 112.

    | layer | output at 112 x 112 |
    | --- | --- |
    | S = conv 3 x 3 of x | b, 56, 56, 16 |
    | a1, b1, c1, d1 = conv 1 x 1 of S, each its own | b, 28, 28, 16 |
    | a2, c2 = conv 3 x 3 of a1, c1 | b, 14, 14, 32 |
    | b2, d2 = conv 3 x 3 of norm(a1 + b1), norm(c1 + d1) | b, 14, 14, 32 |
    | a3, c3 = conv 5 x 5 of a2, c2 | b, 7, 7, 64 |
    | b3, d3 = conv 5 x 5 of norm(a2 + b2), norm(c2 + d2) | b, 7, 7, 64 |
    | norm(concatenation of a3, b3, c3, d3), conv 3 x 3 | b, 4, 4, 256 |
    | flatten, dense with relu, dropout | b, 256 |
    | dense | b, classes |

    Every convolution has stride 2, a bias, relu, and Keras' "same" padding (where the padding is odd, the last row and
    column get one more). Batch norm has Keras' defaults: momentum 0.99, epsilon 1e-3. 1,866,053 of the numbers are
    trained, 704 are running statistics.

    Source: the authors' Keras file, methods 8; STATED. Its local response normalisation in other people's versions is
    left out: their constants are not stated.

    Attributes:
        classes: number of classes.
        dropout: rate before the last layer.
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

        def conv(y: Float[Array, "b h w c"], features: int, size: int, name: str) -> Float[Array, "b y x o"]:
            layer = Conv(features, size, 2, padding=0, bias=True, name=name)
            return nn.relu(layer(same(y, size)))

        def norm(y: Float[Array, "b h w c"], name: str) -> Float[Array, "b h w c"]:
            return BatchNorm(y.shape[-1], momentum=0.99, epsilon=1e-3, name=name)(y, train=train)

        stem = conv(x[:, 0], 16, 3, "stem")
        ends = []
        for straight, crossed in ("ab", "cd"):
            s1, x1 = (conv(stem, 16, 1, f"{path}1") for path in (straight, crossed))
            s2 = conv(s1, 32, 3, f"{straight}2")
            x2 = conv(norm(s1 + x1, f"norm_{straight}1{crossed}1"), 32, 3, f"{crossed}2")
            s3 = conv(s2, 64, 5, f"{straight}3")
            x3 = conv(norm(s2 + x2, f"norm_{straight}2{crossed}2"), 64, 5, f"{crossed}3")
            ends += [s3, x3]
        y = conv(norm(jnp.concatenate(ends, axis=-1), "norm"), 256, 3, "last")
        y = keep(self, y, "stream_1")
        y = nn.relu(nn.Dense(256)(y.reshape(y.shape[0], -1)))
        return nn.Dense(self.classes)(Dropout(self.dropout)(y, train=train))


def same(x: Float[Array, "b h w c"], size: int) -> Float[Array, "b y x c"]:
    """Zeros around an image such that a convolution of stride 2 gives half of each side, rounded up."""
    pads = [max((-(-side // 2) - 1) * 2 + size - side, 0) for side in x.shape[1:3]]
    return jnp.pad(x, ((0, 0), *((pad // 2, pad - pad // 2) for pad in pads), (0, 0)))
