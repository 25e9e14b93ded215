"""Networks of merjax in PyTorch, layer by layer: the peers of `fold_step.py` and `accelerator.py`."""

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional


class STSTNet(nn.Sequential):
    """Images of 28 x 28; its three branches see one input, so they are one convolution."""

    def __init__(self, classes: int) -> None:
        super().__init__(
            nn.Conv2d(3, 16, 3, padding=2),
            nn.ReLU(inplace=True),
            nn.BatchNorm2d(16),
            nn.MaxPool2d(3, 3, 1),
            nn.Dropout(0.5),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(400, classes),
        )


class LEARNet(nn.Module):
    """Images of 112 x 112. Keras' odd padding, one more at the end, is symmetric here: the same sizes and products."""

    def __init__(self, classes: int) -> None:
        super().__init__()

        def conv(before: int, after: int, size: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(before, after, size, 2, size // 2), nn.ReLU(inplace=True))

        self.stem = conv(3, 16, 3)
        self.paths = nn.ModuleList(nn.ModuleList([conv(16, 16, 1), conv(16, 32, 3), conv(32, 64, 5)]) for _ in "abcd")
        self.norms = nn.ModuleList(nn.BatchNorm2d(c, eps=1e-3, momentum=0.01) for c in (16, 32, 16, 32, 256))
        self.last = conv(256, 256, 3)
        self.head = nn.Sequential(nn.Linear(4096, 256), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(256, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch."""
        x, ends = self.stem(x), []
        for pair in (0, 1):
            straight, crossed = self.paths[2 * pair], self.paths[2 * pair + 1]
            s, c = straight[0](x), crossed[0](x)
            for depth in (1, 2):
                c = crossed[depth](self.norms[2 * pair + depth - 1](s + c))
                s = straight[depth](s)
            ends += [s, c]
        return self.head(self.last(self.norms[4](torch.cat(ends, 1))).flatten(1))


class Block(nn.Module):
    """A basic residual block, with group norms by default."""

    def __init__(self, before: int, after: int, stride: int, norm: Callable[[int], nn.Module] | None = None) -> None:
        super().__init__()
        norm = norm or group_norm
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            norm(after),
            nn.ReLU(inplace=True),
            nn.Conv2d(after, after, 3, 1, 1, bias=False),
            norm(after),
        )
        same = stride == 1 and before == after
        self.short = (
            nn.Identity() if same else nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), norm(after))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The block's map."""
        return functional.relu(self.short(x) + self.body(x))


class FMANet(nn.Module):
    """Two streams of 28 x 28, as `configs/fmanet_megc2019.py` has it: small stem, three stages of one block."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        half = 2 * width

        def trunk() -> nn.Sequential:
            stem = (nn.Conv2d(3, width, 3, 1, 1, bias=False), group_norm(width), nn.ReLU(inplace=True), nn.AvgPool2d(2))
            return nn.Sequential(*stem, Block(width, width, 1), Block(width, half, 2))

        self.trunks = nn.ModuleList([trunk(), trunk()])
        self.gate, self.attention = nn.Conv2d(2 * half, half, 1), nn.Conv2d(3, 1, 7, padding=3)
        self.last = Block(half, 2 * half, 2)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Dropout(0.5), nn.Linear(18 * half, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch [b, 6, h, w]: three channels of the first stream, then those of the second."""
        streams = halves(x)
        first, second = (net(stream) for net, stream in zip(self.trunks, streams, strict=True))
        gate = torch.sigmoid(self.gate(torch.cat([first, second], 1)))
        f = torch.lerp(second, first, gate)
        magnitude = (streams[0][:, 2:] + streams[1][:, 2:]) / 2
        magnitude = functional.interpolate(magnitude, f.shape[2:], mode="bilinear", antialias=True)
        seen = torch.cat([f.mean(1, keepdim=True), f.amax(1, keepdim=True), magnitude], 1)
        return self.head(self.last(f * (1 + torch.sigmoid(self.attention(seen)))))


class Trunk(nn.Sequential):
    """A ResNet of basic blocks with batch norms and no head; its default is that of ResNet-18."""

    def __init__(self, width: int = 64, blocks: Sequence[int] = (2, 2, 2, 2)) -> None:
        stem = (nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(True), nn.MaxPool2d(3, 2, 1))
        layers, before = list[nn.Module](), width
        for stage, count in enumerate(blocks):
            for number in range(count):
                after, stride = width * 2**stage, 2 if stage and number == 0 else 1
                layers.append(Block(before, after, stride, nn.BatchNorm2d))
                before = after
        super().__init__(*stem, *layers)
        self.channels = before


class ResNet18(nn.Sequential):
    """The trunk, its mean over space, one linear layer."""

    def __init__(self, classes: int, **own: object) -> None:
        trunk = Trunk(**own)
        super().__init__(trunk, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(trunk.channels, classes))


class AFN(nn.Module):
    """Two trunks whose pooled features a gate mixes."""

    def __init__(self, classes: int, **own: object) -> None:
        super().__init__()
        self.trunks = nn.ModuleList(Trunk(**own) for _ in range(2))
        d = self.trunks[0].channels
        self.gate = nn.Sequential(nn.Linear(2 * d, d), nn.ReLU(inplace=True), nn.Linear(d, d), nn.Sigmoid())
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(d, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch [b, 6, h, w], as `FMANet` takes it."""
        first, second = (trunk(image).mean((2, 3)) for trunk, image in zip(self.trunks, halves(x), strict=True))
        return self.head(torch.lerp(second, first, self.gate(torch.cat([first, second], 1))))


class CrossAttention(nn.Module):
    """What the tokens of one stream take from those of the other; no layer has a bias."""

    def __init__(self, channels: int, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(channels, width, bias=False) for _ in range(3))
        self.out = nn.Linear(width, channels, bias=False)

    def forward(self, x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """The change of the tokens `x`."""
        given = (self.query(x), self.key(other), self.value(other))
        split = (a.unflatten(-1, (self.heads, -1)).transpose(1, 2) for a in given)
        seen = functional.scaled_dot_product_attention(*split)
        return self.out(seen.transpose(1, 2).flatten(2))


class DIANet(nn.Module):
    """Two trunks whose places look at each other, one linear layer from both."""

    def __init__(self, classes: int, attention: int = 256, heads: int = 4, **own: object) -> None:
        super().__init__()
        self.trunks = nn.ModuleList(Trunk(**own) for _ in range(2))
        d = self.trunks[0].channels
        self.norms = nn.ModuleList(nn.LayerNorm(d, eps=1e-6) for _ in range(2))
        self.looks = nn.ModuleList(CrossAttention(d, attention, heads) for _ in range(2))
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(2 * d, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch [b, 6, h, w], as `FMANet` takes it."""
        maps = [trunk(image) for trunk, image in zip(self.trunks, halves(x), strict=True)]
        first, second = (f.flatten(2).transpose(1, 2) for f in maps)
        seen = [norm(f) for norm, f in zip(self.norms, (first, second), strict=True)]
        ends = [first + self.looks[0](seen[0], seen[1]), second + self.looks[1](seen[1], seen[0])]
        return self.head(torch.cat([end.mean(1) for end in ends], 1))


def halves(x: torch.Tensor) -> list[torch.Tensor]:
    """Both streams of a batch [b, 6, h, w], channels-last."""
    return [image.contiguous(memory_format=torch.channels_last) for image in (x[:, :3], x[:, 3:])]


def group_norm(channels: int) -> nn.GroupNorm:
    """Groups of four or more channels, as `layers.Norm` has them."""
    return nn.GroupNorm(max(1, min(32, channels // 4)), channels)
