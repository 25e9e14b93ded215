"""STSTNet, LEARNet and FMANet in PyTorch, layer by layer those of merjax: the peers of `fold_step.py`."""

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
    """A basic residual block with group norms."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            group_norm(after),
            nn.ReLU(inplace=True),
            nn.Conv2d(after, after, 3, 1, 1, bias=False),
            group_norm(after),
        )
        same = stride == 1 and before == after
        self.short = (
            nn.Identity() if same else nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), group_norm(after))
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
        streams = [part.contiguous(memory_format=torch.channels_last) for part in (x[:, :3], x[:, 3:])]
        first, second = (net(stream) for net, stream in zip(self.trunks, streams, strict=True))
        gate = torch.sigmoid(self.gate(torch.cat([first, second], 1)))
        f = torch.lerp(second, first, gate)
        magnitude = (streams[0][:, 2:] + streams[1][:, 2:]) / 2
        magnitude = functional.interpolate(magnitude, f.shape[2:], mode="bilinear", antialias=True)
        seen = torch.cat([f.mean(1, keepdim=True), f.amax(1, keepdim=True), magnitude], 1)
        return self.head(self.last(f * (1 + torch.sigmoid(self.attention(seen)))))


def group_norm(channels: int) -> nn.GroupNorm:
    """Groups of four or more channels, as `layers.Norm` has them."""
    return nn.GroupNorm(max(1, min(32, channels // 4)), channels)
