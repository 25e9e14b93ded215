"""VGG19 (Simonyan and Zisserman, ICLR 2015)."""

import flax.linen as nn
from jaxtyping import Array, Float

from merjax.models.inside import keep
from merjax.models.layers import STANDARDS, Conv, Dropout, check_names, standardise
from merjax.models.pooling import max_pool, means

SIDE = 7  # of the map that the dense layers see


class VGGTrunk(nn.Module):
    """3 x 3 convolutions with bias and relu; after every stage a 2 x 2 maximum, until one pixel is left.

    Attributes:
        width: channels of the first stage; twice, four and eight times as many in the next, then no more.
        blocks: convolutions of each stage.
    """

    width: int = 64
    blocks: tuple[int, ...] = (2, 2, 4, 4, 4)

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b y x o"]:
        """The last map; `train` changes nothing."""
        place = 0  # in the list of layers that pretrained weights count: convolution, relu, ..., maximum
        for stage, blocks in enumerate(self.blocks):
            for _ in range(blocks):
                width = self.width * 2 ** min(stage, 3)
                x = nn.relu(Conv(width, bias=True, name=f"features_{place}")(x))
                place += 2
            x = keep(self, x, "stream_1") if stage == len(self.blocks) - 1 else x
            x = max_pool(x, 2, 2, 0) if min(x.shape[1:3]) > 1 else x
            place += 1
        return x


class VGG19(nn.Module):
    """VGG19: 143,667,240 parameters for 1000 classes.

    | layer | output at 224 x 224 |
    | --- | --- |
    | 2 convolutions, maximum | b, 112, 112, 64 |
    | 2 convolutions, maximum | b, 56, 56, 128 |
    | 4 convolutions, maximum | b, 28, 28, 256 |
    | 4 convolutions, maximum | b, 14, 14, 512 |
    | 4 convolutions, maximum | b, 7, 7, 512 |
    | dense over 7 x 7 with relu, dropout, dense with relu | b, 1, 1, 4096 |
    | dropout, dense | b, classes |

    The dense layers are convolutions that slide over a larger map, whose results are averaged. A map smaller than
    7 x 7, of an input below 224 pixels, is spread to 7 x 7 first, as in timm. Below 32 pixels, where timm has no map
    left, the last maxima are left out (OUR CHOICE).

    Attributes:
        classes: number of classes.
        width: channels of the first stage.
        blocks: convolutions of each stage.
        hidden: width of the dense layers.
        dropout: rate after the dense layers.
        standard: what the input is scaled to, see `layers.standardise`; "imagenet" for pretrained weights is OUR
            CHOICE.
    """

    classes: int
    width: int = 64
    blocks: tuple[int, ...] = (2, 2, 4, 4, 4)
    hidden: int = 4096
    dropout: float = 0.5
    standard: str = "none"

    def __post_init__(self) -> None:
        """Refuses unknown names."""
        check_names("vgg19", standard=(self.standard, tuple(STANDARDS)))
        super().__post_init__()

    @property
    def streams(self) -> int:
        """Streams that the input must have."""
        return 1

    def setup(self) -> None:
        """The trunk and the head."""
        self.trunk = VGGTrunk(self.width, self.blocks)
        self.fc1 = Conv(self.hidden, SIDE, padding=0, bias=True)
        self.fc2 = Conv(self.hidden, 1, bias=True)
        self.drops = Dropout(self.dropout), Dropout(self.dropout)
        self.fc3 = nn.Dense(self.classes)

    def features(self, x: Float[Array, "b p h w c"], *, train: bool) -> Float[Array, "b y x o"]:
        """The last map of the trunk."""
        return self.trunk(standardise(x[:, 0], self.standard), train=train)

    def __call__(self, x: Float[Array, "b p h w c"], *, train: bool) -> Float[Array, "b {self.classes}"]:
        """Logits of a batch."""
        y = spread(self.features(x, train=train))
        y = self.drops[0](nn.relu(self.fc1(y)), train=train)
        y = nn.relu(self.fc2(y)).mean((1, 2))
        return self.fc3(self.drops[1](y, train=train))


def spread(x: Float[Array, "b h w c"]) -> Float[Array, "b y x c"]:
    """A map of at least 7 x 7 cells, each the mean of those that it overlaps; a side of 7 or more stays as it is."""

    def bounds(side: int) -> list[tuple[int, int]]:
        count = max(side, SIDE)
        return [(i * side // count, -(-(i + 1) * side // count)) for i in range(count)]

    return means(x, bounds(x.shape[1]), bounds(x.shape[2]))
