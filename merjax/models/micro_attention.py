"""Micro-attention (Wang et al., Neurocomputing 2020): residual blocks that look for the few places that move."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from merjax.models.inside import keep
from merjax.models.layers import NORMS, STEMS, Conv, Dropout, Norm, check_names
from merjax.models.pooling import halve, max_pool


class MicroAttentionBlock(nn.Module):
    """A residual block whose map is raised where all of its layers say so: (l2 + m) (1 + w).

    l1 = relu(norm(conv3x3(x))), l2 = relu(norm(conv3x3(l1))), m = conv1x1(x); w is the softmax over all places of the
    mean over channels of conv1x1([l1; l2; m]). That convolution has no bias, which the softmax would take away, and
    is left out on a map of one place, where w is 1 whatever it gives.

    Attributes:
        features: output channels.
        norm: see `layers.Norm`.
    """

    features: int
    norm: str

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h w {self.features}"]:
        """Applies the block; "attention" w [b, h, w] is kept among the intermediates."""
        l1 = nn.relu(Norm(self.norm)(Conv(self.features)(x), train=train))
        l2 = nn.relu(Norm(self.norm)(Conv(self.features)(l1), train=train))
        m = Conv(self.features, 1, bias=True)(x)
        w = jnp.ones(m.shape[:3])
        if m.shape[1] * m.shape[2] > 1:
            r = Conv(3 * self.features, 1)(jnp.concatenate([l1, l2, m], axis=-1)).mean(-1)
            w = nn.softmax(r, axis=(1, 2))
        self.sow("intermediates", "attention", w)
        return (l2 + m) * (1.0 + w[..., None])


class MicroAttention(nn.Module):
    """Three micro-attention blocks, two dense layers.

    | layer | output at 224 x 224 |
    | --- | --- |
    | 7 x 7 convolution with stride 2, relu, 3 x 3 maximum with stride 2 | b, 56, 56, 32 |
    | micro-attention block, 2 x 2 maximum | b, 28, 28, 64 |
    | micro-attention block, 2 x 2 maximum | b, 14, 14, 128 |
    | micro-attention block, 2 x 2 maximum | b, 7, 7, 256 |
    | flatten, dense with relu, dropout | b, 4096 |
    | dense | b, classes |

    53,390,149 parameters for 5 classes at 224 x 224, of which 51,384,320 in the first dense layer.

    Source: a third party's PyTorch code (methods 10); STATED there. The original paper also transfers weights from
    macro-expressions. Biases before a norm and before the softmax are left out here.

    Attributes:
        classes: number of classes.
        stem_width: channels of the stem.
        widths: output channels of each block.
        hidden: width of the dense layer.
        stem: "imagenet" (as above), or "small" for inputs of 28 to 64 pixels: 3 x 3 convolution, 2 x 2 average; OUR
            CHOICE.
        norm: "batch" or "group".
        dropout: rate before the last layer.
    """

    classes: int
    stem_width: int = 32
    widths: tuple[int, ...] = (64, 128, 256)
    hidden: int = 4096
    stem: str = "imagenet"
    norm: str = "batch"
    dropout: float = 0.5

    def __post_init__(self) -> None:
        """Refuses unknown names."""
        check_names("micro_attention", stem=(self.stem, STEMS), norm=(self.norm, NORMS))
        super().__post_init__()

    @property
    def streams(self) -> int:
        """Streams that the input must have."""
        return 1

    @nn.compact
    def __call__(self, x: Float[Array, "b p h w c"], *, train: bool) -> Float[Array, "b {self.classes}"]:
        """Logits of a batch; a map of one pixel is not halved further."""
        large = self.stem == "imagenet"
        y = nn.relu(Conv(self.stem_width, 7 if large else 3, 2 if large else 1, bias=True)(x[:, 0]))
        y = max_pool(y, 3, 2, 1) if large else halve(y)
        for block, width in enumerate(self.widths, 1):
            y = MicroAttentionBlock(width, self.norm)(y, train=train)
            y = keep(self, y, "stream_1") if block == len(self.widths) else y
            y = max_pool(y, 2, 2, 0) if min(y.shape[1:3]) > 1 else y
        y = nn.relu(nn.Dense(self.hidden)(y.reshape(y.shape[0], -1)))
        return nn.Dense(self.classes)(Dropout(self.dropout)(y, train=train))
