"""OFF-ApexNet (Gan et al., Signal Processing: Image Communication 2019): u and v of one flow, each its own stream."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from merjax.models.inside import keep
from merjax.models.layers import Conv, Dropout
from merjax.models.pooling import average_to, max_pool


class OFFApexNet(nn.Module):
    """Shallow streams over u and v, concatenated, three linear layers: 2,664,475 parameters for 3 classes and one flow.

    | layer | output at 28 x 28 |
    | --- | --- |
    | of u and of v, own weights: 5 x 5 convolution, 2 x 2 maximum | b, 14, 14, 6 |
    | 5 x 5 convolution, 2 x 2 maximum | b, 7, 7, 16 |
    | flatten, both streams side by side | b, 1568 |
    | dense with relu, dropout; twice | b, 1024 |
    | dense | b, classes |

    Only the first two channels of a flow, u and v, are read. Of several flows each has its own u and v, and all stand
    side by side.

    Source: a third party's PyTorch code (methods 10); STATED there, the dropout after both hidden layers included. More
        than one flow is OUR CHOICE.

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
    def streams(self) -> int | None:
        """Any number of flows fits."""
        return None

    @nn.compact
    def __call__(self, x: Float[Array, "b p h w c"], *, train: bool) -> Float[Array, "b {self.classes}"]:
        """Logits of a batch; every stream is (u, v, ...)."""

        def stream(y: Float[Array, "b h w 1"], name: str) -> Float[Array, "b n"]:
            for i, filters in enumerate(self.filters, 1):
                y = Conv(filters, 5, bias=True)(y)
                y = nn.relu(y) if self.relu else y
                y = max_pool(keep(self, y, name) if i == len(self.filters) else y, 2, 2, 0)
            return y.reshape(y.shape[0], -1)

        flows = [average_to(x[:, i, ..., :2], self.side) for i in range(x.shape[1])]
        numbers = [""] if len(flows) == 1 else [f"_{i + 1}" for i in range(len(flows))]
        y = jnp.concatenate(
            [
                stream(flow[..., channel, None], component + number)
                for flow, number in zip(flows, numbers, strict=True)
                for channel, component in enumerate("uv")
            ],
            axis=-1,
        )
        for _ in range(2):
            y = Dropout(self.dropout)(nn.relu(nn.Dense(self.hidden)(y)), train=train)
        return nn.Dense(self.classes)(y)
