"""The scan options that `volume` and `run` share, and the settings that they change."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..kinds.base import Permissions


def add_scan_options(parser: argparse.ArgumentParser) -> None:
    """Add them to a command."""
    group = parser.add_argument_group("scans")
    group.add_argument(
        "--dicom",
        action="store_true",
        help="also write the mask as DICOM SEG and the volume as DICOM SR, without identity",
    )
    group.add_argument(
        "--keep-identity",
        action="store_true",
        help="with --dicom: copy name, birth date, dates and numbers, to file it in the PACS",
    )
    group.add_argument(
        "--resample-mask",
        action="store_true",
        help="take a mask that was drawn on another grid than the scan's",
    )
    group.add_argument(
        "--fill-slices",
        action="store_true",
        help="interpolate empty slices between drawn ones of a mask by shape",
    )
    group.add_argument(
        "--mask-threshold",
        type=float,
        metavar="VALUE",
        help="take a mask of probabilities: from this value on a voxel is liver",
    )
    group.add_argument(
        "--fast", action="store_true", help="the quicker, coarser variant, if the engine has one"
    )
    add_device(group)
    add_bundle_options(group)


def add_device(parser: argparse._ActionsContainer) -> None:
    """Add what networks run on."""
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda", "mps"),
        help="what networks run on (default: a CUDA graphics card if there is one, else the "
        "processor)",
    )


def add_bundle_options(parser: argparse._ActionsContainer) -> None:
    """Add what the engine monai_bundle asks."""
    parser.add_argument(
        "--bundle", type=Path, metavar="DIR", help="find the liver with this MONAI bundle"
    )
    parser.add_argument(
        "--bundle-label",
        metavar="NAME",
        help="the liver among the bundle's outputs: name or number (default: liver)",
    )
    parser.add_argument(
        "--trust-bundle",
        action="store_true",
        help="run the bundle's configuration, which is a program: only if you trust its author",
    )


def liver_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the options change in the settings, {} if nothing."""
    liver: dict[str, Any] = {
        name: value
        for name in (
            "resample_mask",
            "fill_slices",
            "mask_threshold",
            "bundle_label",
            "fast",
            "device",
            "dicom",
        )
        if (value := getattr(arguments, name, None))
    }
    if bundle := getattr(arguments, "bundle", None):
        liver |= {"bundle": str(bundle.absolute()), "engine": "monai_bundle"}
    return {"liver": liver} if liver else {}


def permissions(arguments: argparse.Namespace) -> Permissions:
    """What the person at the keyboard allows."""
    return Permissions(
        trust_bundle=getattr(arguments, "trust_bundle", False),
        keep_identity=getattr(arguments, "keep_identity", False),
    )
