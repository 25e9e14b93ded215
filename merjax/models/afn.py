"""Adaptive fusion network of paper 4 (arXiv 2510.09730): two representations of a clip, fused by a learned gate."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from merjax.models.inside import keep
from merjax.models.layers import NORMS, STANDARDS, STEMS, Dropout, Trunk, check_names, standardise
from merjax.models.pooling import average_to

FUSIONS = ("gate", "scalar", "sum", "concat", "none")


class Fusion(nn.Module):
    """Two feature vectors as one; with equal streams the gates return them.

    Attributes:
        kind: "gate", "scalar", "sum" or "concat".
    """

    kind: str = "gate"

    @nn.compact
    def __call__(self, first: Float[Array, "b d"], second: Float[Array, "b d"]) -> Float[Array, "b o"]:
        """The fused features; "gate" [b, d] or [b, 1] is kept among the intermediates."""
        both = jnp.concatenate([first, second], axis=-1)
        if self.kind == "concat":
            return both
        if self.kind == "sum":
            return first + second
        features = first.shape[-1]
        hidden = nn.relu(nn.Dense(features)(both))
        gate = nn.sigmoid(nn.Dense(1 if self.kind == "scalar" else features)(hidden))
        self.sow("intermediates", "gate", gate)
        return gate * first + (1.0 - gate) * second


class AFN(nn.Module):
    """Two trunks, their pooled features fused, one linear layer.

    That two representations (TRDI and MIDI) are combined by learning is STATED; everything else is OUR CHOICE
    (methods 5): g = sigmoid(W2 relu(W1 [f1; f2])), f = g f1 + (1 - g) f2.

    | layer | output |
    | --- | --- |
    | trunk of each stream, own weights | b, h', w', d with d = width 2^(stages - 1) |
    | mean over a grid of cells | b, grid^2 d |
    | gate: dense, relu, dense, sigmoid | b, grid^2 d |
    | dropout, dense | b, classes |

    23,143,045 parameters for 5 classes. The gate is kept among the intermediates, where
    `apply(..., mutable=["intermediates"])` finds it as "Fusion_0/gate".

    Attributes:
        classes: number of classes.
        width: channels of the trunk's first stage; OUR CHOICE 64 (ResNet-18), less for small images.
        blocks: residual blocks of each stage; OUR CHOICE (2, 2, 2, 2) (ResNet-18).
        stem: "imagenet", or "small" for inputs of 28 to 64 pixels.
        norm: "batch" or "group".
        fusion: "gate" (per feature), or for ablation "scalar" (one gate a clip), "sum", "concat", and "none" (one
            stream alone).
        grid: cells along each side of the pooling; OUR CHOICE 1 (mean over space).
        dropout: rate before the last layer; OUR CHOICE 0.5.
        standard: what the input is scaled to, see `layers.standardise`; "imagenet" for pretrained weights is OUR
            CHOICE.
    """

    classes: int
    width: int = 64
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    stem: str = "imagenet"
    norm: str = "batch"
    fusion: str = "gate"
    grid: int = 1
    dropout: float = 0.5
    standard: str = "none"

    def __post_init__(self) -> None:
        """Refuses unknown names."""
        check_names(
            "afn",
            fusion=(self.fusion, FUSIONS),
            stem=(self.stem, STEMS),
            norm=(self.norm, NORMS),
            standard=(self.standard, tuple(STANDARDS)),
        )
        super().__post_init__()

    @property
    def streams(self) -> int:
        """Streams that the input must have."""
        return 1 if self.fusion == "none" else 2

    @nn.compact
    def __call__(self, x: Float[Array, "b p h w c"], *, train: bool) -> Float[Array, "b {self.classes}"]:
        """Logits of a batch."""
        images = [standardise(x[:, i], self.standard) for i in range(self.streams)]
        maps = [Trunk(self.width, self.blocks, self.stem, self.norm)(image, train=train) for image in images]
        maps = [keep(self, f, f"stream_{i}") for i, f in enumerate(maps, 1)]
        streams = [average_to(f, self.grid).reshape(f.shape[0], -1) for f in maps]
        f = streams[0] if self.fusion == "none" else Fusion(self.fusion)(*streams)
        return nn.Dense(self.classes)(Dropout(self.dropout)(f, train=train))
