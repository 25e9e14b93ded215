"""Layers that several networks share: convolution, normalisation, dropout, residual stages.

Images are channels-last, [b, h, w, c]. No bias stands before a normalisation: its gradient is zero in truth, and Adam
would turn the noise left of it into a random walk.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from merjax.models.conv import convolve
from merjax.models.norms import BatchNorm, GroupNorm
from merjax.models.pooling import halve, max_pool
from merjax.types import InputError, pick

STEMS, NORMS = ("imagenet", "small"), ("batch", "group")
STANDARDS = {  # mean and deviation of the channels that weights were trained with, for images 0..1
    "none": ((), ()),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}


def check_names(model: str, **fields: tuple[str, tuple[str, ...]]) -> None:
    """Refuses a network's field whose value is none of its names; each field is given as (value, names).

    Raises:
        InputError: the message lists the names.
    """
    for field, (value, names) in fields.items():
        pick(dict.fromkeys(names), f"model.{model}.{field}", value)


def standardise(x: Float[Array, "b h w c"], kind: str) -> Float[Array, "b h w c"]:
    """Takes an image 0..1 to the scale that pretrained weights know.

    Args:
        x: images.
        kind: "none" (as they are), "imagenet" (its mean and deviation), or "half" (to -1..1, as some ViT weights want).

    Raises:
        InputError: statistics of three channels, but x has another number.
    """
    mean, deviation = pick(STANDARDS, "standard", kind)
    if not mean:
        return x
    if x.shape[-1] != len(mean):
        raise InputError(f"standard '{kind}' needs {len(mean)} channels, the input has {x.shape[-1]}; 'none' fits any")
    return (x - jnp.asarray(mean)[None, None, None]) / jnp.asarray(deviation)[None, None, None]


class Conv(nn.Module):
    """A square convolution.

    Attributes:
        features: output channels.
        size: side of the kernel in pixels.
        stride: step in pixels.
        padding: zeros on every side; by default `size // 2`, which keeps h and w at stride 1.
        bias: add a bias; leave it out before a normalisation.
    """

    features: int
    size: int = 3
    stride: int = 1
    padding: int | None = None
    bias: bool = False

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b y x {self.features}"]:
        """Convolves; see the class."""
        kernel, bias = self.weights(x.shape[-1])
        y = convolve(x, kernel, self.stride, self.size // 2 if self.padding is None else self.padding)
        return y if bias is None else y + bias

    @nn.compact
    def weights(self, channels: int) -> tuple[Float[Array, "i j c o"], Float[Array, "1 1 1 o"] | None]:
        """The kernel, and the bias where there is one."""
        shape = (self.size, self.size, channels, self.features)
        kernel = self.param("kernel", nn.initializers.he_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (1, 1, 1, self.features)) if self.bias else None
        return kernel, bias


class Norm(nn.Module):
    """Batch or group normalisation.

    Attributes:
        kind: "batch" (running statistics, momentum 0.9, epsilon 1e-5) or "group" (no state; groups of four or more
            channels), which small batches and many small folds prefer.
    """

    kind: str = "batch"

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h w c"]:
        """Normalises; see the class."""
        if self.kind == "group":
            return GroupNorm(max(1, min(32, x.shape[-1] // 4)))(x)
        return BatchNorm(x.shape[-1])(x, train=train)


class Dropout(nn.Module):
    """Dropout with the rate in steps of 1/256: one random byte an entry, so a quarter of the words."""

    rate: float

    @nn.compact
    def __call__(self, x: Float[Array, "*shape"], *, train: bool) -> Float[Array, "*shape"]:
        """Drops entries in training and scales the rest up; the identity otherwise."""
        dropped = round(256 * self.rate)
        if not train or dropped == 0:
            return x
        words = jax.random.bits(self.make_rng("dropout"), (-(-len(x) // 4), *x.shape[1:]), jnp.uint32)
        noise = jnp.concatenate([words >> shift for shift in (0, 8, 16, 24)])[: len(x)] & 255
        return jnp.where(noise >= dropped, x * (256 / (256 - dropped)), 0.0)


class Stem(nn.Module):
    """First layers of a ResNet.

    Attributes:
        width: output channels.
        kind: "imagenet" (7 x 7 convolution and 3 x 3 maximum, each with stride 2: a quarter of the side) or, for
            inputs of 28 to 64 pixels, "small" (3 x 3 convolution and 2 x 2 average: half of the side).
        norm: see `Norm`.
    """

    width: int
    kind: str
    norm: str

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b y x {self.width}"]:
        """Applies the stem; see the class."""
        size, stride = (7, 2) if self.kind == "imagenet" else (3, 1)
        x = Conv(self.width, size, stride)(x)
        x = nn.relu(Norm(self.norm)(x, train=train))
        return max_pool(x, 3, 2, 1) if self.kind == "imagenet" else halve(x)


class Stage(nn.Module):
    """Residual blocks of one resolution (He et al. 2016).

    A basic block is two 3 x 3 convolutions and a shortcut; a bottleneck is 1 x 1, 3 x 3 and 1 x 1, the last four times
    as wide. Where the shape changes, the shortcut is a 1 x 1 convolution.

    Attributes:
        width: output channels; a quarter of them with bottlenecks.
        blocks: number of blocks.
        stride: of the first block, in its first 3 x 3 convolution.
        norm: see `Norm`.
        bottleneck: bottlenecks in place of basic blocks.
    """

    width: int
    blocks: int
    stride: int
    norm: str
    bottleneck: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b y x o"]:
        """Applies the stage; see the class."""
        for block in range(self.blocks):
            stride = self.stride if block == 0 else 1
            y = x
            layers = self.convolutions(stride)
            for i, (features, size, step) in enumerate(layers):
                y = Norm(self.norm)(Conv(features, size, step)(y), train=train)
                y = nn.relu(y) if i < len(layers) - 1 else y
            if stride != 1 or x.shape[-1] != features:
                x = Norm(self.norm)(Conv(features, 1, stride)(x), train=train)
            x = nn.relu(x + y)
        return x

    def convolutions(self, stride: int) -> tuple[tuple[int, int, int], ...]:
        """Output channels, side of the kernel and stride of every convolution of a block."""
        if self.bottleneck:
            return (self.width, 1, 1), (self.width, 3, stride), (4 * self.width, 1, 1)
        return (self.width, 3, stride), (self.width, 3, 1)


class Trunk(nn.Module):
    """A ResNet without head: stem and stages whose width doubles and, after the first, whose side halves.

    Attributes:
        width: channels of the first stage (64 in ResNet-18).
        blocks: blocks of every stage ((2, 2, 2, 2) in ResNet-18).
        stem: see `Stem`.
        norm: see `Norm`.
        bottleneck: see `Stage`.
    """

    width: int = 64
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    stem: str = "imagenet"
    norm: str = "batch"
    bottleneck: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b y x o"]:
        """The last map of the trunk."""
        x = Stem(self.width, self.stem, self.norm)(x, train=train)
        for stage, blocks in enumerate(self.blocks):
            stride = 1 if stage == 0 else 2
            x = Stage(self.width * 2**stage, blocks, stride, self.norm, self.bottleneck)(x, train=train)
        return x
