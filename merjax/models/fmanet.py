"""FMANet of paper 5 (arXiv 2510.07810): both phases' flow, fused and modulated by learnable modules."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from merjax.models.inside import keep
from merjax.models.layers import NORMS, STEMS, Conv, Dropout, Stage, Stem, check_names
from merjax.models.maxima import largest
from merjax.models.pooling import average_to

FUSIONS = ("gate", "mean")


class FMANet(nn.Module):
    """A trunk per phase, a fusion gate per pixel and channel, motion attention, shared last stages.

    That phase fusion and magnitude modulation are learned from two flows is STATED; the layers are OUR CHOICE
    (methods 6): G = sigmoid(conv1x1 [F1; F2]), F = G F1 + (1 - G) F2 learns the weights theta of COF, and
    A = sigmoid(conv7x7 [mean_c F; max_c F; M_c]), F' = F + A F learns the modulation of MM-COF. M_c is the mean of the
    two streams' third channels, resized to the map.

    | layer | output |
    | --- | --- |
    | stem and first half of the stages, for each phase, own weights | b, h', w', d |
    | fusion gate, motion attention | b, h', w', d |
    | last half of the stages | b, h'', w'', d' |
    | mean over a grid of cells, dropout, dense | b, classes |

    11,895,193 parameters for 5 classes. Two maps are kept among the intermediates, where
    `apply(..., mutable=["intermediates"])` finds them: "gate" G [b, h', w', d] and "motion_attention" A [b, h', w', 1].

    Attributes:
        classes: number of classes.
        width: channels of the first stage; OUR CHOICE 64 (ResNet-18), less for small images.
        blocks: residual blocks of each stage; the first half before the fusion. OUR CHOICE (2, 2, 2, 2) (ResNet-18).
        stem: "imagenet", or "small" for inputs of 28 to 64 pixels.
        norm: "batch" or "group".
        fusion: "gate", or for ablation "mean".
        attention: motion attention on or off (ablation).
        grid: cells along each side of the last pooling; OUR CHOICE 1 (mean over space). Shallow trunks of small images
            need more: where a face moves is most of what the class is.
        dropout: rate before the last layer; OUR CHOICE 0.5.
    """

    classes: int
    width: int = 64
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    stem: str = "imagenet"
    norm: str = "batch"
    fusion: str = "gate"
    attention: bool = True
    grid: int = 1
    dropout: float = 0.5

    def __post_init__(self) -> None:
        """Refuses unknown names."""
        check_names("fmanet", fusion=(self.fusion, FUSIONS), stem=(self.stem, STEMS), norm=(self.norm, NORMS))
        super().__post_init__()

    @property
    def streams(self) -> int:
        """Streams that the input must have."""
        return 2

    @property
    def weights_at(self) -> dict[str, str]:
        """Where a ResNet's weights belong: its stem and first stages in both phases, its last stages after fusion."""
        half, all_stages = (len(self.blocks) + 1) // 2, len(self.blocks)
        both = [*range(half), *range(half), *range(half, all_stages)]
        return {"Stem_0": "Stem_0", "Stem_1": "Stem_0"} | {f"Stage_{i}": f"Stage_{role}" for i, role in enumerate(both)}

    @nn.compact
    def __call__(self, x: Float[Array, "b p h w c"], *, train: bool) -> Float[Array, "b {self.classes}"]:
        """Logits of a batch; each stream is (u, v, magnitude)."""
        half = (len(self.blocks) + 1) // 2

        def stages(y: Float[Array, "b h w c"], start: int, stop: int) -> Float[Array, "b y x o"]:
            for i in range(start, stop):
                y = Stage(self.width * 2**i, self.blocks[i], 1 if i == 0 else 2, self.norm)(y, train=train)
            return y

        first, second = (stages(Stem(self.width, self.stem, self.norm)(x[:, i], train=train), 0, half) for i in (0, 1))
        first, second = keep(self, first, "stream_1"), keep(self, second, "stream_2")
        if self.fusion == "gate":
            both = jnp.concatenate([first, second], axis=-1)
            gate = nn.sigmoid(Conv(first.shape[-1], size=1, bias=True)(both))
            self.sow("intermediates", "gate", gate)
            f = gate * first + (1.0 - gate) * second
        else:
            f = (first + second) / 2.0
        if self.attention:
            magnitude = jax.image.resize(x[..., -1].mean(1)[..., None], (*f.shape[:3], 1), "linear")
            seen = jnp.concatenate([f.mean(-1, keepdims=True), largest(f), magnitude], axis=-1)
            attention = nn.sigmoid(Conv(1, size=7, bias=True)(seen))
            self.sow("intermediates", "motion_attention", attention)
            f = f + attention * f
        f = average_to(stages(f, half, len(self.blocks)), self.grid)
        return nn.Dense(self.classes)(Dropout(self.dropout)(f.reshape(f.shape[0], -1), train=train))
