"""Adaptive fusion network of paper 4 (arXiv 2510.09730): two representations of a clip, fused by a learned gate."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from merjax.models.layers import Dropout, Trunk
from merjax.types import InputError

FUSIONS = ("gate", "scalar", "sum", "concat", "none")


class AFN(nn.Module):
    """Two trunks, their pooled features fused, one linear layer.

    That two representations (TRDI and MIDI) are combined by learning is STATED; everything else is OUR CHOICE
    (methods 5): g = sigmoid(W2 relu(W1 [f1; f2])), f = g f1 + (1 - g) f2. With equal streams the fusion returns them.

    | layer | output |
    | --- | --- |
    | trunk of each stream, own weights | b, h', w', d with d = width 2^(stages - 1) |
    | mean over space | b, d |
    | gate: dense d, relu, dense d, sigmoid | b, d |
    | dropout, dense | b, classes |

    Attributes:
        classes: number of classes.
        width: channels of the trunk's first stage; OUR CHOICE 64 (ResNet-18), less for small images.
        blocks: residual blocks of each stage; OUR CHOICE (2, 2, 2, 2) (ResNet-18).
        stem: "imagenet", or "small" for inputs of 28 to 64 pixels.
        norm: "batch" or "group".
        fusion: "gate" (per feature), or for ablation "scalar" (one gate a clip), "sum", "concat", and "none" (one
            stream alone).
        dropout: rate before the last layer; OUR CHOICE 0.5.
    """

    classes: int
    width: int = 64
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    stem: str = "imagenet"
    norm: str = "batch"
    fusion: str = "gate"
    dropout: float = 0.5

    def __post_init__(self) -> None:
        """Refuses an unknown fusion."""
        if self.fusion not in FUSIONS:
            raise InputError(f"model.afn.fusion is '{self.fusion}'; it can be {', '.join(FUSIONS)}")
        super().__post_init__()

    @property
    def streams(self) -> int:
        """Streams that the input must have."""
        return 1 if self.fusion == "none" else 2

    @nn.compact
    def __call__(self, x: Float[Array, "b p h w c"], *, train: bool) -> Float[Array, "b {self.classes}"]:
        """Logits of a batch."""
        streams = [
            Trunk(self.width, self.blocks, self.stem, self.norm)(x[:, i], train=train).mean((1, 2))
            for i in range(self.streams)
        ]
        f = self.fuse(streams)
        return nn.Dense(self.classes)(Dropout(self.dropout)(f, train=train))

    def fuse(self, streams: list[Float[Array, "b d"]]) -> Float[Array, "b o"]:
        """The fused features, by `fusion`."""
        if self.fusion == "none":
            return streams[0]
        first, second = streams
        both = jnp.concatenate([first, second], axis=-1)
        if self.fusion == "concat":
            return both
        if self.fusion == "sum":
            return first + second
        features = first.shape[-1]
        hidden = nn.relu(nn.Dense(features)(both))
        gate = nn.sigmoid(nn.Dense(1 if self.fusion == "scalar" else features)(hidden))
        return gate * first + (1.0 - gate) * second
