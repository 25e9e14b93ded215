"""ResNet-18 and ResNet-50 (He et al., CVPR 2016)."""

import flax.linen as nn
from jaxtyping import Array, Float

from merjax.models.inside import keep
from merjax.models.layers import NORMS, STANDARDS, STEMS, Dropout, Trunk, check_names, standardise


class ResNet18(nn.Module):
    """Basic residual blocks: 11,689,512 parameters for 1000 classes.

    | layer | output at 224 x 224 |
    | --- | --- |
    | 7 x 7 convolution, stride 2; 3 x 3 maximum, stride 2 | b, 56, 56, 64 |
    | 2 basic blocks | b, 56, 56, 64 |
    | 2 basic blocks | b, 28, 28, 128 |
    | 2 basic blocks | b, 14, 14, 256 |
    | 2 basic blocks | b, 7, 7, 512 |
    | mean over space, dropout, dense | b, classes |

    Batch norm (epsilon 1e-5) and relu follow every convolution. Pretrained weights fit the default width, blocks, stem
    and norm (`pretrained.load`).

    Attributes:
        classes: number of classes.
        width: channels of the first stage.
        blocks: residual blocks of each stage.
        stem: "imagenet", or "small" for inputs of 28 to 64 pixels.
        norm: "batch" or "group".
        dropout: rate before the last layer; the paper has none.
        standard: what the input is scaled to, see `layers.standardise`; "imagenet" for pretrained weights is OUR
            CHOICE.
    """

    classes: int
    width: int = 64
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    stem: str = "imagenet"
    norm: str = "batch"
    dropout: float = 0.0
    standard: str = "none"

    bottleneck = False  # what kind of block, no field that a config could set

    def __post_init__(self) -> None:
        """Refuses unknown names."""
        check_names(
            type(self).__name__.lower(),
            stem=(self.stem, STEMS),
            norm=(self.norm, NORMS),
            standard=(self.standard, tuple(STANDARDS)),
        )
        super().__post_init__()

    @property
    def streams(self) -> int:
        """Streams that the input must have."""
        return 1

    def setup(self) -> None:
        """The trunk and the head."""
        self.trunk = Trunk(self.width, self.blocks, self.stem, self.norm, self.bottleneck)
        self.drop = Dropout(self.dropout)
        self.fc = nn.Dense(self.classes)

    def features(self, x: Float[Array, "b p h w c"], *, train: bool) -> Float[Array, "b y x o"]:
        """The last map of the trunk."""
        return keep(self, self.trunk(standardise(x[:, 0], self.standard), train=train), "stream_1")

    def __call__(self, x: Float[Array, "b p h w c"], *, train: bool) -> Float[Array, "b {self.classes}"]:
        """Logits of a batch."""
        return self.fc(self.drop(self.features(x, train=train).mean((1, 2)), train=train))


class ResNet50(ResNet18):
    """Bottlenecks in place of basic blocks: 25,557,032 parameters for 1000 classes.

    | layer | output at 224 x 224 |
    | --- | --- |
    | 7 x 7 convolution, stride 2; 3 x 3 maximum, stride 2 | b, 56, 56, 64 |
    | 3 bottlenecks | b, 56, 56, 256 |
    | 4 bottlenecks | b, 28, 28, 512 |
    | 6 bottlenecks | b, 14, 14, 1024 |
    | 3 bottlenecks | b, 7, 7, 2048 |
    | mean over space, dropout, dense | b, classes |

    A stage's stride is in the 3 x 3 convolution of its first bottleneck, as in torchvision and timm; the paper has it
    in the 1 x 1 before.

    Attributes:
        classes: number of classes; for the others see `ResNet18`.
    """

    blocks: tuple[int, ...] = (3, 4, 6, 3)

    bottleneck = True
