"""Six architectures of other people's papers, built with torch's own layers.

Each takes a width, so that tests can train a small one in seconds; the shapes of the blocks stay those of the papers.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["DSCNN", "TCN", "EcgResNet", "MobileNetV2", "ResNet18", "UNet"]


class _BasicBlock(nn.Module):
    """Two convolutions and a shortcut (He et al., arXiv 1512.03385, figure 5 left)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet18(nn.Module):
    """ResNet-18 with the small-image stem (one 3x3 convolution of stride 1): (N, channels, H, W) to class scores."""

    def __init__(self, channels: int = 1, classes: int = 10, width: int = 64) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(3, 1, 1)
        )
        blocks: list[nn.Module] = []
        inputs = width
        for stage in range(4):
            for block in range(2):
                outputs = width << stage
                blocks.append(_BasicBlock(inputs, outputs, 2 if stage and not block else 1))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.adaptive_avg_pool2d(self.blocks(self.stem(x)), 1).flatten(1))


class _InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, linear bottleneck (Sandler et al., arXiv 1801.04381, table 1)."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        expand = [nn.Conv2d(inputs, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6()] if expansion > 1 else []
        self.layers = nn.Sequential(
            *expand,
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU6(),
            nn.Conv2d(wide, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


class MobileNetV2(nn.Module):
    """MobileNetV2 with strides for small images: (N, channels, H, W) to class scores."""

    def __init__(self, channels: int = 1, classes: int = 10, width: int = 16, repeats: int = 2) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU6()]
        inputs = width
        for outputs, stride, expansion in ((width, 1, 1), (width * 3 // 2, 2, 6), (2 * width, 2, 6), (4 * width, 1, 6)):
            for block in range(repeats):
                layers.append(_InvertedResidual(inputs, outputs, stride if not block else 1, expansion))
                inputs = outputs
        last = 8 * width
        layers += [nn.Conv2d(inputs, last, 1, bias=False), nn.BatchNorm2d(last), nn.ReLU6()]
        self.features, self.head = nn.Sequential(*layers), nn.Linear(last, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).mean((2, 3)))


def _double(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """U-Net of three levels (Ronneberger et al., arXiv 1505.04597): (N, channels, H, W) to a score for each pixel."""

    def __init__(self, channels: int = 1, classes: int = 1, width: int = 16) -> None:
        super().__init__()
        self.down1, self.down2, self.bottom = (
            _double(channels, width),
            _double(width, 2 * width),
            _double(2 * width, 4 * width),
        )
        self.up2, self.join2 = nn.ConvTranspose2d(4 * width, 2 * width, 2, 2), _double(4 * width, 2 * width)
        self.up1, self.join1 = nn.ConvTranspose2d(2 * width, width, 2, 2), _double(2 * width, width)
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        c = self.bottom(F.max_pool2d(b, 2))
        b = self.join2(torch.cat([b, self.up2(c)], 1))
        return self.head(self.join1(torch.cat([a, self.up1(b)], 1)))


class _TemporalBlock(nn.Module):
    """Two dilated causal convolutions and a residual (Bai et al., arXiv 1803.01271, figure 1b)."""

    def __init__(self, inputs: int, outputs: int, size: int, dilation: int) -> None:
        super().__init__()
        self.padding = (size - 1) * dilation
        self.conv1 = nn.utils.parametrizations.weight_norm(nn.Conv1d(inputs, outputs, size, dilation=dilation))
        self.conv2 = nn.utils.parametrizations.weight_norm(nn.Conv1d(outputs, outputs, size, dilation=dilation))
        self.shortcut: nn.Module = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.conv1(F.pad(x, (self.padding, 0))))
        y = F.relu(self.conv2(F.pad(y, (self.padding, 0))))
        return F.relu(y + self.shortcut(x))


class TCN(nn.Module):
    """Temporal convolutional network: (N, channels, T) to one value from the last point of time."""

    def __init__(self, channels: int = 2, outputs: int = 1, width: int = 24, levels: int = 6, size: int = 5) -> None:
        super().__init__()
        widths = [channels] + [width] * levels
        self.blocks = nn.Sequential(*(_TemporalBlock(widths[i], widths[i + 1], size, 1 << i) for i in range(levels)))
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(x)[:, :, -1])


class DSCNN(nn.Module):
    """Keyword spotting on spectrograms (Zhang et al., arXiv 1711.07128, DS-CNN): (N, 1, T, F) to class scores."""

    def __init__(self, classes: int = 8, width: int = 64, layers: int = 4) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, (10, 4), (2, 2), (5, 1), bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        blocks: list[nn.Module] = []
        for _ in range(layers):
            blocks += [nn.Conv2d(width, width, 3, 1, 1, groups=width, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            blocks += [nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        self.blocks, self.head = nn.Sequential(*blocks), nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.adaptive_avg_pool2d(self.blocks(self.stem(x)), 1).flatten(1))


class _EcgBlock(nn.Module):
    """A strided residual block of wide kernels with a pooled shortcut (Ribeiro et al., arXiv 1904.01949, figure 3)."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(inputs, outputs, size, 1, size // 2, bias=False)
        self.bn1 = nn.BatchNorm1d(outputs)
        self.conv2 = nn.Conv1d(outputs, outputs, size, stride, size // 2, bias=False)
        self.bn2 = nn.BatchNorm1d(outputs)
        self.shortcut = nn.Sequential(nn.MaxPool1d(stride), nn.Conv1d(inputs, outputs, 1, bias=False))
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.dropout(F.relu(self.bn1(self.conv1(x))))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class EcgResNet(nn.Module):
    """A residual network over leads and time: (N, leads, T) to a probability for each finding."""

    def __init__(self, leads: int = 12, findings: int = 4, width: int = 32, size: int = 17) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv1d(leads, width, size, 1, size // 2, bias=False), nn.BatchNorm1d(width), nn.ReLU()
        )
        widths = [width, 2 * width, 3 * width, 4 * width]
        self.blocks = nn.Sequential(*(_EcgBlock(a, b, size, 4) for a, b in pairwise(widths)))
        self.head = nn.Linear(widths[-1], findings)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.head(self.blocks(self.stem(x)).mean(2)))
