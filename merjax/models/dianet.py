"""DIANet of paper 3 (arXiv 2510.12219): the dynamic images of both phases, fused by cross-attention."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from merjax.models.attention import Attention
from merjax.models.inside import keep
from merjax.models.layers import NORMS, STANDARDS, STEMS, Dropout, Trunk, check_names, standardise
from merjax.models.norms import LayerNorm
from merjax.types import InputError

FUSIONS = ("cross", "concat", "pooled")


class DIANet(nn.Module):
    """A trunk per phase; the places of each face look at those of the other; one linear layer from both.

    Two phase dynamic images, a CNN each with its own weights, and cross-attention between them are STATED; everything
    else is OUR CHOICE (methods 4). With X1, X2 the two maps as tokens and N layer norm:
    Z1 = X1 + W softmax(Q1 K2^T / sqrt(d)) V2, where Q1 is made from N X1, K2 and V2 from N X2; Z2 with 1 and 2
    exchanged.

    | layer | output at 224 x 224 |
    | --- | --- |
    | ResNet-18 trunk of each stream | b, 7, 7, 512 |
    | places as tokens | b, 49, 512 |
    | layer norm, attention of 4 heads with d = 256, dense, added to the tokens | b, 49, 512 |
    | mean over the tokens, both streams side by side | b, 1024 |
    | dropout, dense | b, classes |

    23,408,773 parameters for 5 classes. A map of one place, as of 28 pixels with the default trunk, is one token;
    small images need the small stem and fewer stages.

    Maps to ask for with `apply(..., mutable=["intermediates"])`: "attention_12" [b, heads, n, m], how much each place
    n of the first stream looks at each place m of the second, and "attention_21" the other way.

    Attributes:
        classes: number of classes.
        width: channels of the trunk's first stage; OUR CHOICE 64 (ResNet-18), less for small images.
        blocks: residual blocks of each stage; OUR CHOICE (2, 2, 2, 2) (ResNet-18).
        stem: "imagenet", or "small" for inputs of 28 to 64 pixels.
        norm: "batch" or "group".
        fusion: "cross", or for ablation "concat" (no attention) and "pooled" (attention between the means of the
            maps: one token each, so that its weight is always 1 and a linear layer remains).
        shared: one trunk and one attention for both streams (ablation).
        attention: channels d of queries, keys and values; OUR CHOICE 256.
        heads: heads of the attention; they divide d. OUR CHOICE 4.
        dropout: rate before the last layer; OUR CHOICE 0.5.
        standard: what the input is scaled to, see `layers.standardise`; "imagenet" for pretrained weights is OUR
            CHOICE.
    """

    classes: int
    width: int = 64
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    stem: str = "imagenet"
    norm: str = "batch"
    fusion: str = "cross"
    shared: bool = False
    attention: int = 256
    heads: int = 4
    dropout: float = 0.5
    standard: str = "none"

    def __post_init__(self) -> None:
        """Refuses unknown names and heads that don't divide the attention's channels."""
        check_names(
            "dianet",
            fusion=(self.fusion, FUSIONS),
            stem=(self.stem, STEMS),
            norm=(self.norm, NORMS),
            standard=(self.standard, tuple(STANDARDS)),
        )
        if self.attention % self.heads:
            raise InputError(f"model.dianet.heads is {self.heads}; it must divide the attention's {self.attention}")
        super().__post_init__()

    @property
    def streams(self) -> int:
        """Streams that the input must have."""
        return 2

    @nn.compact
    def __call__(self, x: Float[Array, "b p h w c"], *, train: bool) -> Float[Array, "b {self.classes}"]:
        """Logits of a batch; the streams are onset to apex and apex to offset."""
        first, second = self.tokens(x, train=train)
        if self.fusion != "concat":
            looks = [CrossAttention(self.attention, self.heads) for _ in range(1 if self.shared else 2)]
            norms = [LayerNorm() for _ in looks]
            seen_1, seen_2 = norms[0](first), norms[-1](second)
            change_1, weights_12 = looks[0](seen_1, seen_2)
            change_2, weights_21 = looks[-1](seen_2, seen_1)
            self.sow("intermediates", "attention_12", weights_12)
            self.sow("intermediates", "attention_21", weights_21)
            first, second = first + change_1, second + change_2
        f = jnp.concatenate([first.mean(1), second.mean(1)], axis=-1)
        return nn.Dense(self.classes)(Dropout(self.dropout)(f, train=train))

    def tokens(
        self, x: Float[Array, "b p h w c"], *, train: bool
    ) -> tuple[Float[Array, "b n d"], Float[Array, "b n d"]]:
        """Both streams' last maps as tokens; one token each where `fusion` is "pooled"."""
        b, p, h, w, c = x.shape

        def trunk(images: Float[Array, "b h w c"]) -> Float[Array, "b y x d"]:
            images = standardise(images, self.standard)
            return Trunk(self.width, self.blocks, self.stem, self.norm)(images, train=train)

        if self.shared:  # both streams in one batch, so that one set of batch statistics serves both
            maps = trunk(x.reshape(b * p, h, w, c))
            maps = maps.reshape(b, p, *maps.shape[1:])
            streams = [maps[:, 0], maps[:, 1]]
        else:
            streams = [trunk(x[:, 0]), trunk(x[:, 1])]
        streams = [keep(self, f, f"stream_{i}") for i, f in enumerate(streams, 1)]
        first, second = (f.reshape(b, -1, f.shape[-1]) for f in streams)
        if self.fusion == "pooled":
            first, second = first.mean(1, keepdims=True), second.mean(1, keepdims=True)
        return first, second


class CrossAttention(nn.Module):
    """What one stream's tokens take over from the other's.

    Attributes:
        width: channels of queries, keys and values.
        heads: number of heads.
    """

    width: int
    heads: int

    @nn.compact
    def __call__(
        self, x: Float[Array, "b n c"], other: Float[Array, "b m c"]
    ) -> tuple[Float[Array, "b n c"], Float[Array, "b {self.heads} n m"]]:
        """The change of the tokens `x`, and the weights of the attention."""
        seen, weights = Attention(self.width, self.width, self.heads, scaled=True)(x, other)
        return nn.Dense(x.shape[-1], use_bias=False)(seen), weights
