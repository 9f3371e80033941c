"""The shipped network: MONAI's residual ``UNet``, laid out here to spare inference its import.

Importing MONAI runs all of its modules, which took twice as long as a liver does. The layers carry
the names that MONAI gives them: the weights are those of ``monai.networks.nets.UNet`` as
models/liver/configs/inference.yaml describes it, and a test holds both to the same output.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

CLASSES = ("background", "liver", "spleen", "other organs")

_CHANNELS = (16, 32, 64, 128, 256)


def build_network() -> nn.Module:
    """A residual U-Net of 4.8 million weights.

    In: (n, 1, x, y, z), sides divisible by 16, grey about 0 to 1. Out: (n, 4, x, y, z) logits for
    :data:`CLASSES`.
    """
    return _UNet(1, len(CLASSES), _CHANNELS)


class _UNet(nn.Module):
    """Residual units, halved by strides, doubled by transposed convolutions (Kerfoot 2018)."""

    def __init__(self, n_in: int, n_out: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.model = _level(n_in, n_out, channels, is_top=True)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the size of the image."""
        out: Tensor = self.model(x)
        return out


class _Conv3d(nn.Conv3d):
    """A convolution that oneDNN computes where it can.

    For one small window on one thread PyTorch takes its own ``slow_conv3d``: three layers of 32
    channels took half of the network's time, seven times as long as with oneDNN.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if _one_dnn_may(input):
            sizes = (self.padding, self.stride, self.dilation, self.groups)
            out: Tensor = torch.ops.aten.mkldnn_convolution(input, weight, bias, *sizes)
            return out
        return super()._conv_forward(input, weight, bias)


def _one_dnn_may(x: Tensor) -> bool:
    """Where it is built in and nothing is trained: the choice is PyTorch's again elsewhere."""
    return (
        torch.backends.mkldnn.is_available()
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
    )


class _Residual(nn.Module):
    """Convolutions in parallel with one that only matches their shape, or with nothing."""

    def __init__(
        self, n_in: int, n_out: int, *, stride: int = 1, units: int = 2, last_is_bare: bool = False
    ) -> None:
        super().__init__()
        self.conv = nn.Sequential()
        for unit in range(units):
            first = unit == 0
            conv = _Conv3d(n_in if first else n_out, n_out, 3, stride if first else 1, padding=1)
            bare = last_is_bare and unit == units - 1
            self.conv.add_module(f"unit{unit}", _unit(conv, n_out, bare=bare))
        self.residual: nn.Module = nn.Identity()
        if stride != 1:
            self.residual = _Conv3d(n_in, n_out, 3, stride, padding=1)
        elif n_in != n_out:
            self.residual = _Conv3d(n_in, n_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        shortcut: Tensor = self.residual(x)
        return shortcut + self.conv(x)


class _Skip(nn.Module):
    """What goes into the levels below, joined to what comes out of them."""

    def __init__(self, submodule: nn.Module) -> None:
        super().__init__()
        self.submodule = submodule

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.submodule(x)], dim=1)


def _unit(conv: nn.Module, channels: int, *, bare: bool = False) -> nn.Sequential:
    if bare:
        return nn.Sequential(OrderedDict(conv=conv))
    after = nn.Sequential(
        OrderedDict(
            N=nn.InstanceNorm3d(channels, affine=True),
            A=nn.LeakyReLU(negative_slope=0.01, inplace=True),
        )
    )
    return nn.Sequential(OrderedDict(conv=conv, adn=after))


def _level(n_in: int, n_out: int, channels: Sequence[int], *, is_top: bool) -> nn.Sequential:
    here, below = channels[0], channels[1]
    if len(channels) > 2:
        inner: nn.Module = _level(here, here, channels[1:], is_top=False)
        joined = 2 * here
    else:
        inner = _Residual(here, below)
        joined = here + below
    up = nn.ConvTranspose3d(joined, n_out, 3, stride=2, padding=1, output_padding=1)
    return nn.Sequential(
        _Residual(n_in, here, stride=2),
        _Skip(inner),
        nn.Sequential(_unit(up, n_out), _Residual(n_out, n_out, units=1, last_is_bare=is_top)),
    )
