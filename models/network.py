"""The shipped network's shape."""

from __future__ import annotations

from torch import nn

CLASSES = ("background", "liver", "spleen", "other organs")


def build_network() -> nn.Module:
    """MONAI's residual U-Net, 4.8 million weights.

    In: (n, 1, x, y, z), sides divisible by 16, grey about 0 to 1. Out: (n, 4, x, y, z) logits for
    :data:`CLASSES`.
    """
    from monai.networks.nets import UNet  # noqa: PLC0415 - start-up time

    return UNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=len(CLASSES),
        channels=(16, 32, 64, 128, 256),
        strides=(2, 2, 2, 2),
        num_res_units=2,
        norm=("instance", {"affine": True}),
        act=("leakyrelu", {"negative_slope": 0.01, "inplace": True}),
    )
