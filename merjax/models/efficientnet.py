"""EfficientNet-B0 (Tan and Le, ICML 2019)."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from merjax.models.conv import depthwise
from merjax.models.inside import keep
from merjax.models.layers import STANDARDS, Conv, Dropout, Norm, check_names, standardise

STAGES = (  # blocks, side of the kernel, stride, expansion, output channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class DepthwiseConv(nn.Module):
    """A convolution of every channel by itself, zeros on every side.

    Attributes:
        size: side of the kernel in pixels, odd.
        stride: step in pixels.
    """

    size: int
    stride: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b y x c"]:
        """Convolves; see the class."""
        fans_in = nn.initializers.variance_scaling(2.0, "fan_in", "truncated_normal")
        kernel = self.param("kernel", fans_in, (self.size, self.size, 1, x.shape[-1]))
        return depthwise(x, kernel, self.stride)


class SqueezeExcite(nn.Module):
    """Scales every channel by a gate that sees the mean of all.

    Attributes:
        hidden: width of the layer between.
    """

    hidden: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        """Gates; "gate" [b, c] is kept among the intermediates."""
        mean = nn.silu(nn.Dense(self.hidden, name="conv_reduce")(x.mean((1, 2))))
        gate = nn.sigmoid(nn.Dense(x.shape[-1], name="conv_expand")(mean))
        self.sow("intermediates", "gate", gate)
        return x * gate[:, None, None]


class InvertedResidual(nn.Module):
    """1 x 1 convolution to more channels, depthwise convolution, squeeze and excitation, 1 x 1 to fewer; a shortcut.

    Attributes:
        features: output channels.
        size: side of the depthwise kernel.
        stride: of the depthwise convolution.
        expansion: channels of the middle as a multiple of the input's; at 1 the first convolution is left out.
        skip: share of samples whose block is left out in training (stochastic depth).
    """

    features: int
    size: int
    stride: int
    expansion: int
    skip: float

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b y x {self.features}"]:
        """Applies the block; see the class."""
        channels, y, expands = x.shape[-1], x, self.expansion > 1
        if expands:
            y = Conv(channels * self.expansion, 1, name="conv_pw")(y)
            y = nn.silu(Norm(name="bn1")(y, train=train))
        y = DepthwiseConv(self.size, self.stride, name="conv_dw")(y)
        y = nn.silu(Norm(name="bn2" if expands else "bn1")(y, train=train))
        y = SqueezeExcite(max(1, channels // 4), name="se")(y)
        y = Conv(self.features, 1, name="conv_pwl" if expands else "conv_pw")(y)
        y = Norm(name="bn3" if expands else "bn2")(y, train=train)
        if self.stride > 1 or channels != self.features:
            return y
        if train and self.skip > 0:
            stays = jax.random.bernoulli(self.make_rng("dropout"), 1.0 - self.skip, (len(y), 1, 1, 1))
            y = jnp.where(stays, y / (1.0 - self.skip), 0.0)
        return x + y


class EfficientNetTrunk(nn.Module):
    """EfficientNet without head: a convolution, seven stages of `InvertedResidual`, a 1 x 1 convolution.

    Attributes:
        width: multiple of B0's channels, rounded to multiples of 8.
        depth: multiple of B0's blocks, rounded up.
        skip: stochastic depth of the last block; it grows from 0 at the first.
    """

    width: float = 1.0
    depth: float = 1.0
    skip: float = 0.0

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b y x o"]:
        """The last map of the trunk."""
        x = Conv(scaled(32, self.width), 3, 2, name="conv_stem")(x)
        x = nn.silu(Norm(name="bn1")(x, train=train))
        counts = [math.ceil(self.depth * blocks) for blocks, *_ in STAGES]
        for stage, (_, size, stride, expansion, features) in enumerate(STAGES):
            for block in range(counts[stage]):
                x = InvertedResidual(
                    scaled(features, self.width),
                    size,
                    stride if block == 0 else 1,
                    expansion,
                    self.skip * (sum(counts[:stage]) + block) / sum(counts),
                    name=f"blocks_{stage}_{block}",
                )(x, train=train)
        x = Conv(scaled(1280, self.width), 1, name="conv_head")(x)
        return nn.silu(Norm(name="bn2")(x, train=train))


class EfficientNetB0(nn.Module):
    """EfficientNet-B0: 5,288,548 parameters for 1000 classes.

    | layer | output at 224 x 224 |
    | --- | --- |
    | 3 x 3 convolution, stride 2 | b, 112, 112, 32 |
    | 1 block, 3 x 3, no expansion | b, 112, 112, 16 |
    | 2 blocks, 3 x 3 | b, 56, 56, 24 |
    | 2 blocks, 5 x 5 | b, 28, 28, 40 |
    | 3 blocks, 3 x 3 | b, 14, 14, 80 |
    | 3 blocks, 5 x 5 | b, 14, 14, 112 |
    | 4 blocks, 5 x 5 | b, 7, 7, 192 |
    | 1 block, 3 x 3 | b, 7, 7, 320 |
    | 1 x 1 convolution | b, 7, 7, 1280 |
    | mean over space, dropout, dense | b, classes |

    Batch norm (epsilon 1e-5) follows every convolution, silu all but a block's last. Padding is the same on both
    sides, as in timm and torchvision; TensorFlow's is not.

    Attributes:
        classes: number of classes.
        width: multiple of B0's channels.
        depth: multiple of B0's blocks.
        skip: stochastic depth; 0.2 in the paper, off here as in timm.
        dropout: rate before the last layer.
        standard: what the input is scaled to, see `layers.standardise`; "imagenet" for pretrained weights is OUR
            CHOICE.
    """

    classes: int
    width: float = 1.0
    depth: float = 1.0
    skip: float = 0.0
    dropout: float = 0.2
    standard: str = "none"

    def __post_init__(self) -> None:
        """Refuses unknown names."""
        check_names("efficientnet_b0", standard=(self.standard, tuple(STANDARDS)))
        super().__post_init__()

    @property
    def streams(self) -> int:
        """Streams that the input must have."""
        return 1

    def setup(self) -> None:
        """The trunk and the head."""
        self.trunk = EfficientNetTrunk(self.width, self.depth, self.skip)
        self.drop = Dropout(self.dropout)
        self.classifier = nn.Dense(self.classes)

    def features(self, x: Float[Array, "b p h w c"], *, train: bool) -> Float[Array, "b y x o"]:
        """The last map of the trunk."""
        return keep(self, self.trunk(standardise(x[:, 0], self.standard), train=train), "stream_1")

    def __call__(self, x: Float[Array, "b p h w c"], *, train: bool) -> Float[Array, "b {self.classes}"]:
        """Logits of a batch."""
        return self.classifier(self.drop(self.features(x, train=train).mean((1, 2)), train=train))


def scaled(channels: int, width: float) -> int:
    """A multiple of a number of channels, rounded to a multiple of 8 but never down by more than a tenth."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * wanted else rounded + 8
