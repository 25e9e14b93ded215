"""MEGANet of paper 6 (arXiv 2509.00056): attention to where the image changes, then residual blocks with attention."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from merjax.models.attention import Attention
from merjax.models.inside import keep
from merjax.models.layers import NORMS, STEMS, Conv, Dropout, Norm, Stem, check_names

ATTENTIONS = ("sagan", "printed", "none")


class GradientAttention(nn.Module):
    """Weighs an image by how much it changes from pixel to pixel: Y = X sigmoid(W * (Gx + Gy)).

    W is a 3 x 3 convolution to one channel, without bias. Source: paper 6, STATED (methods 7.3).
    """

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        """The weighed image; "gradient_attention" [b, h, w, 1] is kept among the intermediates."""
        weight = nn.sigmoid(Conv(1)(gradient(x)))
        self.sow("intermediates", "gradient_attention", weight)
        return x * weight


def gradient(x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """|difference to the pixel on the right| + |difference to the pixel below|, 0 where there is no such pixel."""
    right = jnp.pad(jnp.abs(x[:, :, 1:] - x[:, :, :-1]), ((0, 0), (0, 0), (0, 1), (0, 0)))
    below = jnp.pad(jnp.abs(x[:, 1:] - x[:, :-1]), ((0, 0), (0, 1), (0, 0), (0, 0)))
    return right + below


class ResidualAttention(nn.Module):
    """A residual block whose places then look at each other.

    X_res = conv1x1(X) + F(X) with F = norm(conv3x3(relu(norm(conv3x3(X))))); then, with E = softmax(Q^T K) over all
    places, gamma V E^T and relu.

    Attributes:
        features: output channels C; queries and keys have C / 8.
        stride: of the 1 x 1 and of the first 3 x 3 convolution.
        norm: see `layers.Norm`.
        attention: "printed" (gamma V E^T, gamma starts at 1), "sagan" (gamma V E^T + X_res, gamma starts at 0), "none".
        residual: with F, or the 1 x 1 convolution alone.
        dropout: rate at the end.
    """

    features: int
    stride: int
    norm: str
    attention: str
    residual: bool
    dropout: float

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b y x {self.features}"]:
        """Applies the block; "attention" [b, 1, n, n] is kept among the intermediates, rows looking at columns."""
        y = Conv(self.features, 1, self.stride)(x)
        if self.residual:
            z = nn.relu(Norm(self.norm)(Conv(self.features, 3, self.stride)(x), train=train))
            y = y + Norm(self.norm)(Conv(self.features)(z), train=train)
        if self.attention != "none":
            tokens = y.reshape(y.shape[0], -1, self.features)
            seen, weights = Attention(max(1, self.features // 8), self.features)(tokens, tokens)
            self.sow("intermediates", "attention", weights)
            start = nn.initializers.constant(1.0 if self.attention == "printed" else 0.0)
            change = self.param("gamma", start, ()) * seen.reshape(y.shape)
            y = change if self.attention == "printed" else y + change
        return Dropout(self.dropout)(nn.relu(y), train=train)


class MEGANet(nn.Module):
    """Gradient attention on the image, a stem, residual-attention blocks, one linear layer.

    | layer | output at 224 x 224 |
    | --- | --- |
    | gradient attention | b, 224, 224, 3 |
    | 7 x 7 convolution, norm, relu, maximum | b, 56, 56, 64 |
    | residual-attention block | b, 28, 28, 128 |
    | residual-attention block | b, 14, 14, 256 |
    | residual-attention block | b, 7, 7, 512 |
    | mean over space, dense | b, classes |

    5,262,691 parameters for 5 classes; 1,261,666 with two blocks, 10,573,156 with four.

    The order of layers, the formulas of both kinds of block and the 7 x 7 convolution of 64 are STATED (methods 7.3).
    As printed, a block's output is gamma V E^T without X_res. Were gamma to start at 0 there, as in SAGAN, from which
    the module is said to come, the network would give one output for every input and no gradient would ever change
    that; so gamma starts at 1 in the printed form. SAGAN adds X_res: gamma starts at 0, and in the very first step
    queries, keys and values get no gradient, gamma does. The default is SAGAN's form, OUR CHOICE.

    Attributes:
        classes: number of classes.
        stem_width: channels of the stem; STATED 64.
        widths: output channels of each block, of which the paper has 3 (2 and 4 in its ablation); OUR CHOICE
            (128, 256, 512). A block halves the side where it changes the number of channels, so a fourth one of 512
            stays at 7 x 7; OUR CHOICE.
        stem: "imagenet" (strides 2 and 2, OUR CHOICE), or "small" for inputs of 28 to 64 pixels.
        norm: "batch" or "group".
        attention: "sagan", "printed", or for ablation "none"; see `ResidualAttention`.
        residual: for ablation, False leaves the two 3 x 3 convolutions of every block out.
        gradient: for ablation, False leaves the gradient attention out.
        dropout: rate after every block; OUR CHOICE 0.3.
    """

    classes: int
    stem_width: int = 64
    widths: tuple[int, ...] = (128, 256, 512)
    stem: str = "imagenet"
    norm: str = "batch"
    attention: str = "sagan"
    residual: bool = True
    gradient: bool = True
    dropout: float = 0.3

    def __post_init__(self) -> None:
        """Refuses unknown names."""
        check_names("meganet", stem=(self.stem, STEMS), norm=(self.norm, NORMS), attention=(self.attention, ATTENTIONS))
        super().__post_init__()

    @property
    def streams(self) -> int:
        """Streams that the input must have."""
        return 1

    @nn.compact
    def __call__(self, x: Float[Array, "b p h w c"], *, train: bool) -> Float[Array, "b {self.classes}"]:
        """Logits of a batch."""
        y = GradientAttention()(x[:, 0]) if self.gradient else x[:, 0]
        y = Stem(self.stem_width, self.stem, self.norm)(y, train=train)
        for width in self.widths:
            stride = 1 if width == y.shape[-1] else 2
            y = ResidualAttention(width, stride, self.norm, self.attention, self.residual, self.dropout)(y, train=train)
        return nn.Dense(self.classes)(keep(self, y, "stream_1").mean((1, 2)))
