"""Seconds and megabytes of the liver network's whole path, and of a network of nnU-Net's shape.

    python scripts/benchmark/liver.py [--slices 280] [--threads 2] [--mr]

A 512 x 512 CT (or an MR of 320 x 260 in slices of 6 mm), array in, mask on its own grid out; both
networks on the same grid with the same windows and looks, in one run on one machine, each in a
process of its own so that the peak memory is its own.
The DynUNet (32 to 320 channels, nnU-Net's default) has random weights: they do not change its time.
So that both are shown the same windows, each is run, and what is bright is taken for liver.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np
import torch
from fibrovol.imaging import postprocess
from fibrovol.imaging.engines.liver_net import bundle_folder, shipped_weights
from fibrovol.models.border import load_border, place_border, weigh_border
from fibrovol.models.inference import LIVER, OTHER, load_weights, to_scan
from fibrovol.models.looks import LOOKS, predict_by_looks
from fibrovol.models.network import build_network
from monai.networks.nets import DynUNet

NETWORKS = ("shipped", "nnunet")


def phantom_ct(slices: int) -> tuple[np.ndarray, np.ndarray]:
    """An ellipse of tissue with a bright ellipsoid in it, 0.8 x 0.8 x 2.5 mm."""
    rng = np.random.default_rng(0)
    i, j = np.meshgrid(np.arange(512) - 256, np.arange(512) - 256, indexing="ij")
    body = (i / 220.0) ** 2 + (j / 150.0) ** 2 < 1
    array = np.full((512, 512, slices), -1000, np.int16)
    array[body] = 40
    for k in range(slices):
        radius2 = 1 - ((k - slices / 2) / (slices / 4)) ** 2
        if radius2 > 0:
            array[..., k][((i - 90) / 110.0) ** 2 + (j / 90.0) ** 2 < radius2] = 110
        array[..., k] += rng.normal(0, 12, (512, 512)).astype(np.int16)
    return array, np.diag([-0.8, -0.8, 2.5, 1.0])


def bright_is_liver(batch: torch.Tensor) -> torch.Tensor:
    """Logits of four classes, liver where a window is bright."""
    logits = torch.zeros(len(batch), 4, *batch.shape[2:])
    logits[:, LIVER] = 40 * (batch[:, 0] - 0.5)
    return logits


def phantom_mr() -> tuple[np.ndarray, np.ndarray]:
    """The same body as an MR, 1.25 x 1.25 x 6 mm, 40 slices."""
    ct, _ = phantom_ct(100)
    return 3 * ct[96:416, 126:386, 10:90:2].clip(min=0), np.diag([-1.25, -1.25, 6.0, 1.0])


def one(network_name: str, slices: int, threads: int, *, is_ct: bool) -> None:
    """Time one network and print a line of JSON."""
    torch.set_num_threads(threads)
    if network_name == "shipped":
        network = load_weights(build_network(), str(shipped_weights(is_ct=is_ct)))
    else:
        network = DynUNet(
            spatial_dims=3,
            in_channels=1,
            out_channels=4,
            kernel_size=[3] * 6,
            strides=[1, 2, 2, 2, 2, [1, 1, 2]],
            upsample_kernel_size=[2, 2, 2, 2, [1, 1, 2]],
            filters=[32, 64, 128, 256, 320, 320],
            norm_name=("INSTANCE", {"affine": True}),
        ).eval()
    array, affine = phantom_ct(slices) if is_ct else phantom_mr()
    in_network = 0.0

    def timed(batch: torch.Tensor) -> torch.Tensor:
        nonlocal in_network
        began = time.perf_counter()
        network(batch)
        in_network += time.perf_counter() - began
        return bright_is_liver(batch)

    timed(torch.zeros(1, 1, 96, 80, 96))  # the first call compiles kernels
    in_network = 0.0
    began = time.perf_counter()
    looks = () if is_ct else LOOKS
    probability, grid = predict_by_looks(timed, array, affine, is_ct=is_ct, looks=looks)
    predicted = time.perf_counter() - began
    soft = postprocess.solid_organ(probability[LIVER].numpy())
    where = grid.affine
    if network_name == "shipped":  # the other has no border to place
        if is_ct:
            net = load_border(bundle_folder() / "models" / "border.pt")
            border = place_border(net, soft, probability[OTHER].numpy(), grid, array, affine)
        else:
            border = weigh_border(soft, grid, array, affine)
        if border is not None:
            soft, where = postprocess.solid_organ(border.probability), border.affine
    mask = to_scan(soft, where, array.shape, affine)
    whole = time.perf_counter() - began
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps(
            {
                "network": network_name,
                "whole_s": round(whole, 2),
                "in_network_s": round(in_network, 2),
                "resample_and_windows_s": round(predicted - in_network, 2),
                "postprocess_and_back_s": round(whole - predicted, 2),
                "peak_mb": round(peak_mb),
                "mask_voxels": int(mask.sum()),
            }
        )
    )


def main() -> None:
    """Run both networks one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=280)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--mr", action="store_true", help="an MR, with its further looks")
    parser.add_argument("--network", choices=NETWORKS)
    arguments = parser.parse_args()
    if arguments.network:
        one(arguments.network, arguments.slices, arguments.threads, is_ct=not arguments.mr)
        return
    rows = []
    for name in NETWORKS:
        done = subprocess.run(
            [
                sys.executable,
                __file__,
                "--network",
                name,
                "--slices",
                str(arguments.slices),
                "--threads",
                str(arguments.threads),
                *(["--mr"] if arguments.mr else []),
            ],
            check=True,
            capture_output=True,
            text=True,
        )
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(rows[-1], flush=True)
    shipped, other = rows
    print(
        f"shipped is {other['whole_s'] / shipped['whole_s']:.1f} times as fast on the whole path, "
        f"{other['in_network_s'] / shipped['in_network_s']:.1f} times in the network"
    )


if __name__ == "__main__":
    main()
