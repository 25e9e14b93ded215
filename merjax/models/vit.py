"""Vision Transformer, ViT-B/16 (Dosovitskiy et al., ICLR 2021)."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from merjax.models.inside import keep
from merjax.models.layers import STANDARDS, Dropout, check_names, standardise
from merjax.models.norms import LayerNorm
from merjax.types import InputError


class Patches(nn.Module):
    """Every patch of an image as one token, by a linear layer; zeros fill a patch that the image does not.

    Attributes:
        width: of a token.
        patch: side of a patch in pixels.
    """

    width: int
    patch: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b y x {self.width}"]:
        """Tokens on their grid."""
        b, h, w, c = x.shape
        x = jnp.pad(x, ((0, 0), (0, -h % self.patch), (0, -w % self.patch), (0, 0)))
        x = x.reshape(b, x.shape[1] // self.patch, self.patch, -1, self.patch, c)
        shape = (self.patch, self.patch, c, self.width)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (1, 1, 1, self.width))
        return jnp.einsum("byixjc,ijco->byxo", x, kernel) + bias


class Attention(nn.Module):
    """Self-attention of several heads.

    Attributes:
        heads: number of heads; each sees its part of the width.
    """

    heads: int

    @nn.compact
    def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
        """Attends; "attention" [b, heads, n, n] is kept among the intermediates, rows looking at columns."""
        b, n, d = x.shape
        qkv = nn.Dense(3 * d, name="qkv")(x).reshape(b, n, 3, self.heads, d // self.heads)
        scores = jnp.einsum("bnhi,bmhi->bhnm", qkv[:, :, 0], qkv[:, :, 1]) / math.sqrt(d // self.heads)
        weights = nn.softmax(scores)
        self.sow("intermediates", "attention", weights)
        y = jnp.einsum("bhnm,bmhi->bnhi", weights, qkv[:, :, 2])
        return nn.Dense(d, name="proj")(y.reshape(b, n, d))


class MLP(nn.Module):
    """Two linear layers, four times as wide between, with the exact gelu."""

    @nn.compact
    def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
        """Applies the layers; see the class."""
        d = x.shape[-1]
        return nn.Dense(d, name="fc2")(nn.gelu(nn.Dense(4 * d, name="fc1")(x), approximate=False))


class Block(nn.Module):
    """Attention and MLP, each after a layer norm and with a shortcut.

    Attributes:
        heads: see `Attention`.
    """

    heads: int

    @nn.compact
    def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
        """Applies the block; see the class."""
        x = x + Attention(self.heads, name="attn")(LayerNorm(epsilon=1e-6, name="norm1")(x))
        return x + MLP(name="mlp")(LayerNorm(epsilon=1e-6, name="norm2")(x))


class ViTTrunk(nn.Module):
    """ViT without head. The first token is the class token, then the patches row by row.

    The embedding of positions is made for the grid that the input of `init` has; another grid gets it resampled.

    Attributes:
        patch: side of a patch in pixels.
        width: of a token.
        depth: number of blocks.
        heads: heads of every block.
    """

    patch: int = 16
    width: int = 768
    depth: int = 12
    heads: int = 12

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b n {self.width}"]:
        """All tokens after the last layer norm; `train` changes nothing."""
        x = Patches(self.width, self.patch, name="patch_embed")(x)
        b, rows, columns, width = x.shape
        token = self.param("cls_token", nn.initializers.zeros, (1, 1, width))
        # `param` would refuse the shape of another grid.
        positions: Array | None = self.get_variable("params", "pos_embed")
        if positions is None:
            positions = self.param("pos_embed", nn.initializers.normal(0.02), (1, rows * columns + 1, width))
        x = jnp.concatenate([jnp.broadcast_to(token, (b, 1, width)), x.reshape(b, -1, width)], axis=1)
        x = x + resample(positions, (rows, columns))
        for block in range(self.depth):
            if block == self.depth - 1:  # after the last block only the class token is read
                patches = keep(self, x[:, 1:].reshape(b, rows, columns, width), "stream_1")
                x = jnp.concatenate([x[:, :1], patches.reshape(b, -1, width)], axis=1)
            x = Block(self.heads, name=f"blocks_{block}")(x)
        return LayerNorm(epsilon=1e-6, name="norm")(x)


class ViTB16(nn.Module):
    """ViT-B/16: 86,567,656 parameters for 1000 classes.

    | layer | output at 224 x 224 |
    | --- | --- |
    | linear layer on patches of 16 x 16 pixels | b, 196, 768 |
    | class token in front, embedding of positions added | b, 197, 768 |
    | 12 blocks of attention (12 heads) and MLP (3072), layer norm | b, 197, 768 |
    | class token, dropout, dense | b, classes |

    Takes any size: sides are filled with zeros to whole patches, and an embedding of positions of another grid is
    resampled as in timm.

    Attributes:
        classes: number of classes.
        patch: side of a patch in pixels.
        width: of a token.
        depth: number of blocks.
        heads: heads of every block; they divide the width.
        dropout: rate before the last layer; the paper's fine-tuning has none.
        standard: what the input is scaled to, see `layers.standardise`; "imagenet" for pretrained weights is OUR
            CHOICE ("half" for those of timm that were trained so).
    """

    classes: int
    patch: int = 16
    width: int = 768
    depth: int = 12
    heads: int = 12
    dropout: float = 0.0
    standard: str = "none"

    def __post_init__(self) -> None:
        """Refuses unknown names and heads that don't divide the width."""
        check_names("vit_b16", standard=(self.standard, tuple(STANDARDS)))
        if self.width % self.heads:
            raise InputError(f"model.vit_b16.heads is {self.heads}; it must divide the width {self.width}")
        super().__post_init__()

    @property
    def streams(self) -> int:
        """Streams that the input must have."""
        return 1

    def setup(self) -> None:
        """The trunk and the head."""
        self.trunk = ViTTrunk(self.patch, self.width, self.depth, self.heads)
        self.drop = Dropout(self.dropout)
        self.head = nn.Dense(self.classes)

    def features(self, x: Float[Array, "b p h w c"], *, train: bool) -> Float[Array, "b n {self.width}"]:
        """All tokens, the class token first."""
        return self.trunk(standardise(x[:, 0], self.standard), train=train)

    def __call__(self, x: Float[Array, "b p h w c"], *, train: bool) -> Float[Array, "b {self.classes}"]:
        """Logits of a batch."""
        return self.head(self.drop(self.features(x, train=train)[:, 0], train=train))


def resample(positions: Float[Array, "1 m d"], grid: tuple[int, int]) -> Float[Array, "1 n d"]:
    """An embedding of a class token and a square grid for another grid: bicubic, smoothed where it shrinks.

    Args:
        positions: the class token's, then those of the grid row by row.
        grid: rows and columns wanted.

    Raises:
        InputError: a grid that is neither the one wanted nor square.
    """
    _, tokens, width = positions.shape
    if tokens == grid[0] * grid[1] + 1:
        return positions
    side = math.isqrt(tokens - 1)
    if side**2 != tokens - 1:
        raise InputError(f"an embedding of {tokens - 1} positions is no square grid and not the {grid} of the input")
    square = positions[:, 1:].reshape(1, side, side, width)
    new = jax.image.resize(square, (1, *grid, width), "cubic").reshape(1, -1, width)
    return jnp.concatenate([positions[:, :1], new], axis=1)
