"""Layers that several networks share: convolution, pooling, normalisation, dropout, residual stages.

Images are channels-last, [b, h, w, c]. No bias stands before a normalisation: its gradient is zero in truth, and Adam
would turn the noise left of it into a random walk.
"""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from merjax.models.norms import BatchNorm, GroupNorm
from merjax.models.winograd import conv_winograd
from merjax.types import InputError, pick

STEMS, NORMS = ("imagenet", "small"), ("batch", "group")
HOW = ("auto", "direct", "planes", "patches", "blocks", "winograd", "native")
STANDARDS = {  # mean and deviation of the channels that weights were trained with, for images 0..1
    "none": ((), ()),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}
PATCH_BYTES = 2**20  # of a block, about what a core's second-level cache holds; a larger kernel makes blocks as large
PLANES_CHANNELS = 8  # with more, pixels are long enough to be copied whole
DIRECT_SIDE = 4  # on smaller maps the library's convolution, or XLA's in its place, is many times slower
WINOGRAD_CHANNELS = 64  # with fewer, its sums cost more than the products that it saves
WINOGRAD_ROW = 2048  # numbers in a row of the image; the same


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


def conv_patches(x: Float[Array, "b h w c"], kernel: Float[Array, "i j c o"], stride: int) -> Float[Array, "b y x o"]:
    """Convolution as one matrix product: shifted slices side by side, times the kernel as a matrix.

    Inside a compiled loop on the CPU the gradient of XLA's own convolution is several times slower, and under `vmap`
    over folds this becomes a batched matrix product, not a grouped convolution (benchmarks/conv.py).
    """
    slices = windows(x, kernel.shape[0], stride)
    # One row a place: of more axes XLA would first turn the gradient round in memory.
    patches = jnp.concatenate(slices, axis=-1).reshape(-1, kernel[..., 0].size)
    return (patches @ kernel.reshape(-1, kernel.shape[-1])).reshape(*slices[0].shape[:-1], -1)


def conv_blocks(x: Float[Array, "b h w c"], kernel: Float[Array, "i j c o"], stride: int) -> Float[Array, "b y x o"]:
    """`conv_patches` over a few images at a time, so that their slices stay in the cache of a core.

    The slices are made again for the gradient: that costs less than to write and to read them.
    """
    block = images_at_once(x.shape, kernel.shape, stride)
    convolve = jax.checkpoint(lambda part: conv_patches(part, kernel, stride))
    y = jax.lax.map(convolve, x.reshape(-1, block, *x.shape[1:]))
    return y.reshape(-1, *y.shape[2:])


def conv_planes(x: Float[Array, "b h w c"], kernel: Float[Array, "i j c o"], stride: int) -> Float[Array, "b y x o"]:
    """`conv_blocks` with images innermost, for few channels: each shifted slice is then made of long runs."""
    size, _, channels, features = kernel.shape
    block = images_at_once(x.shape, kernel.shape, stride)
    planes = x.reshape(-1, block, *x.shape[1:]).transpose(0, 4, 2, 3, 1)

    def convolve(part: Float[Array, "c h w m"]) -> Float[Array, "o y x m"]:
        slices = windows(part, size, stride)
        seen = jnp.concatenate(slices).reshape(size**2 * channels, -1)
        return (kernel.reshape(-1, features).T @ seen).reshape(features, *slices[0].shape[1:])

    y = jax.lax.map(jax.checkpoint(convolve), planes).transpose(0, 4, 2, 3, 1)
    return y.reshape(-1, *y.shape[2:])


def images_at_once(x: tuple[int, ...], kernel: tuple[int, ...], stride: int) -> int:
    """Images whose patches fit a core's cache; divides their number. By the shapes of all images and of the kernel.

    A kernel that does not fit by itself is read, and its gradient added to, once a block: then patches may be as large.
    """
    one_image = 4 * x[1] * x[2] * kernel[0] ** 2 * x[3] // stride**2
    most = max(one_image, PATCH_BYTES, 4 * math.prod(kernel)) // one_image
    return max(size for size in range(1, min(most, x[0]) + 1) if x[0] % size == 0)


def windows(x: Float[Array, "b h w c"], size: int, stride: int) -> list[Float[Array, "b y x c"]]:
    """The size x size strided slices whose same entries are one window of a convolution or a pooling."""
    rows, columns = ((side - size) // stride * stride + 1 for side in x.shape[1:3])
    return [x[:, i : i + rows : stride, j : j + columns : stride] for i in range(size) for j in range(size)]


def conv_native(
    x: Float[Array, "b h w c"], kernel: Float[Array, "i j c o"], stride: int, padding: int = 0
) -> Float[Array, "b y x o"]:
    """The same convolution by XLA's own operation, with zeros on every side."""
    zeros, numbers = [(padding, padding)] * 2, ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (stride, stride), zeros, dimension_numbers=numbers)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def conv_direct(x: Float[Array, "b h w c"], kernel: Float[Array, "i j c o"], padding: int) -> Float[Array, "b y x o"]:
    """`conv_native` with stride 1, whose two gradients are convolutions of the same form.

    On the CPU a library takes that form alone, and XLA's own gradients (a kernel turned round, images and channels
    exchanged) run in loops tens of times slower. Under `vmap` folds go one after another, since a library takes no
    grouped convolution either.
    """
    by_library = jax.custom_batching.sequential_vmap(functools.partial(conv_native, stride=1, padding=padding))
    return by_library(x, kernel)


def _direct_forward(x: Array, kernel: Array, padding: int) -> tuple[Array, tuple[Array, Array]]:
    return conv_direct(x, kernel, padding), (x, kernel)


def _direct_gradient(padding: int, kept: tuple[Array, Array], g: Float[Array, "b y x o"]) -> tuple[Array, Array]:
    x, kernel = kept
    turned = kernel[::-1, ::-1].swapaxes(2, 3)
    of_kernel = conv_direct(x.transpose(3, 1, 2, 0), g.transpose(1, 2, 0, 3), padding).transpose(1, 2, 0, 3)
    return conv_direct(g, turned, kernel.shape[0] - 1 - padding), of_kernel


conv_direct.defvjp(_direct_forward, _direct_gradient)


def convolve(
    x: Float[Array, "b h w c"], kernel: Float[Array, "i j c o"], stride: int, padding: int = 0, how: str = "auto"
) -> Float[Array, "b y x o"]:
    """A convolution by one of the ways of `Conv`; where a way does not fit the shape, blocks take its place."""
    if how == "auto":
        how = by_shape(x.shape, kernel.shape, stride, padding) if jax.default_backend() == "cpu" else "native"
    if how == "native":
        return conv_native(x, kernel, stride, padding)
    if how == "direct" and stride == 1:
        return conv_direct(x, kernel, padding)
    x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    if how == "winograd" and kernel.shape[:2] == (3, 3) and stride == 1:
        return conv_winograd(x, kernel)
    ways = dict.fromkeys(("blocks", "direct", "winograd"), conv_blocks)
    ways |= {"planes": conv_planes, "patches": conv_patches}
    return ways[how](x, kernel, stride)


def by_shape(x: tuple[int, ...], kernel: tuple[int, ...], stride: int, padding: int) -> str:
    """The way that was fastest on the CPU (docs/speed.md); images lie innermost only where several go together."""
    size, _, channels, features = kernel
    padded = (x[0], x[1] + 2 * padding, x[2] + 2 * padding, channels)
    if size == 1 or padded[1:3] == (size, size):
        return "patches"  # the image itself
    if channels <= PLANES_CHANNELS and images_at_once(padded, kernel, stride) > 1:
        return "planes"
    if stride > 1 or min(x[1:3]) < DIRECT_SIDE:
        return "blocks"
    least = min(channels, features)
    wide = least >= WINOGRAD_CHANNELS and x[2] * least >= WINOGRAD_ROW
    return "winograd" if size == 3 and wide else "direct"


class Conv(nn.Module):
    """A square convolution.

    Attributes:
        features: output channels.
        size: side of the kernel in pixels.
        stride: step in pixels.
        padding: zeros on every side; by default `size // 2`, which keeps h and w at stride 1.
        bias: add a bias; leave it out before a normalisation.
        how: "planes", "patches", "blocks", "native", "direct" (with stride 1, else blocks), "winograd" (3 x 3 with
            stride 1, else blocks), or "auto": `by_shape` on the CPU, native elsewhere (only the CPU was measured).
    """

    features: int
    size: int = 3
    stride: int = 1
    padding: int | None = None
    bias: bool = False
    how: str = "auto"

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b y x {self.features}"]:
        """Convolves; see the class."""
        shape = (self.size, self.size, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.he_normal(), shape)
        pad = self.size // 2 if self.padding is None else self.padding
        y = convolve(x, kernel, self.stride, pad, self.how)
        return y + self.param("bias", nn.initializers.zeros, (1, 1, 1, self.features)) if self.bias else y


def max_pool(x: Float[Array, "b h w c"], size: int, stride: int, padding: int) -> Float[Array, "b y x c"]:
    """Maximum over windows, rows first and then columns, each as a maximum of strided slices.

    On the CPU its gradient is cheaper than that of XLA's reduce_window.
    """
    spread = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    x = jnp.pad(x, spread, constant_values=-jnp.inf)
    rows, columns = ((side - size) // stride * stride + 1 for side in x.shape[1:3])
    x = functools.reduce(jnp.maximum, [x[:, i : i + rows : stride] for i in range(size)])
    return functools.reduce(jnp.maximum, [x[:, :, j : j + columns : stride] for j in range(size)])


def halve(x: Float[Array, "b h w c"]) -> Float[Array, "b y x c"]:
    """Average over 2 x 2 windows; an odd last row or column is dropped."""
    rows, columns = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    return functools.reduce(jnp.add, windows(x[:, :rows, :columns], 2, 2)) / 4.0


def average_to(x: Float[Array, "b h w c"], size: int) -> Float[Array, "b y x c"]:
    """Averages to a grid of at most size x size cells, as even as the sides allow."""

    def cells(side: int) -> Float[Array, "size side"]:
        count = min(size, side)
        cell = jnp.arange(side) * count // side
        belongs = (cell[None] == jnp.arange(count)[:, None]).astype(jnp.float32)
        return belongs / belongs.sum(1, keepdims=True)

    return jnp.einsum("yh,bhwc,xw->byxc", cells(x.shape[1]), x, cells(x.shape[2]))


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
        return BatchNorm()(x, train=train)


class Dropout(nn.Module):
    """Dropout with the rate in steps of 1/256: one random byte an entry, so a quarter of the words."""

    rate: float

    @nn.compact
    def __call__(self, x: Float[Array, "*shape"], *, train: bool) -> Float[Array, "*shape"]:
        """Drops entries in training and scales the rest up; the identity otherwise."""
        dropped = round(256 * self.rate)
        if not train or dropped == 0:
            return x
        words = jax.random.bits(self.make_rng("dropout"), (-(-x.size // 4),), jnp.uint32)
        noise = jax.lax.bitcast_convert_type(words, jnp.uint8).reshape(-1)[: x.size].reshape(x.shape)
        return jnp.where(noise >= dropped, x * (256 / (256 - dropped)), 0.0)


class Stem(nn.Module):
    """First layers of a ResNet.

    Attributes:
        width: output channels.
        kind: "imagenet" (7 x 7 convolution and 3 x 3 maximum, each with stride 2: a quarter of the side) or, for
            inputs of 28 to 64 pixels, "small" (3 x 3 convolution and 2 x 2 average: half of the side).
        norm: see `Norm`.
        how: see `Conv`.
    """

    width: int
    kind: str
    norm: str
    how: str = "auto"

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b y x {self.width}"]:
        """Applies the stem; see the class."""
        size, stride = (7, 2) if self.kind == "imagenet" else (3, 1)
        x = Conv(self.width, size, stride, how=self.how)(x)
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
        how: see `Conv`.
    """

    width: int
    blocks: int
    stride: int
    norm: str
    bottleneck: bool = False
    how: str = "auto"

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b y x o"]:
        """Applies the stage; see the class."""
        for block in range(self.blocks):
            stride = self.stride if block == 0 else 1
            y = x
            layers = self.convolutions(stride)
            for i, (features, size, step) in enumerate(layers):
                y = Norm(self.norm)(Conv(features, size, step, how=self.how)(y), train=train)
                y = nn.relu(y) if i < len(layers) - 1 else y
            if stride != 1 or x.shape[-1] != features:
                x = Norm(self.norm)(Conv(features, 1, stride, how=self.how)(x), train=train)
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
        how: see `Conv`.
    """

    width: int = 64
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    stem: str = "imagenet"
    norm: str = "batch"
    bottleneck: bool = False
    how: str = "auto"

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b y x o"]:
        """The last map of the trunk."""
        x = Stem(self.width, self.stem, self.norm, self.how)(x, train=train)
        for stage, blocks in enumerate(self.blocks):
            stride = 1 if stage == 0 else 2
            x = Stage(self.width * 2**stage, blocks, stride, self.norm, self.bottleneck, self.how)(x, train=train)
        return x
