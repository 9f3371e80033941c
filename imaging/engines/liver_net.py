"""The shipped network: a MONAI U-Net in models/liver, for CT and MR, without any download."""

from __future__ import annotations

import functools
import json
import math
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import EngineError, MeasurementError
from ...files import sha256_file
from ...models.border import Border, BorderNet, load_border, place_border, weigh_border
from ...models.device import Runner, choose_device
from ...models.grid import CT_WINDOW_HU, NetworkGrid
from ...models.inference import LIVER, OTHER, load_weights, to_scan
from ...models.looks import Look, predict_by_looks
from ...models.mirrored import mirrored_by
from ...models.network import build_network
from .. import postprocess, volumetry
from ..cysts import MUCH_FLUID, fluid_share, smoothed, with_cysts
from ..volume import Volume
from .base import EngineOptions, EngineResult

SPLEEN = 2

_SURE_SPREAD = 0.065
"""The spread of the border below which no mirrored scan was seen: of 18 the least had 0.073. Most
CT lie below it and are spared the eight looks of :func:`mirrored_by`."""


_MOST_FAT = 0.03
"""Share of a CT's liver that may have the HU of fat or lung before it is left out: partial volume
at the border is less (labels have at most 0.43 %, but for one that was drawn into fat)."""


def bundle_folder() -> Path:
    """The shipped MONAI bundle."""
    return Path(str(resources.files("fibrovol.models") / "liver"))


def shipped_weights(*, is_ct: bool = True) -> Path:
    """The shipped network's state dict for CT or MR, to start a training from."""
    return bundle_folder() / "models" / ("model.pt" if is_ct else "model_mr.pt")


@functools.cache
def _metadata() -> dict[str, Any]:
    """What the bundle says of itself."""
    path = bundle_folder() / "configs" / "metadata.json"
    if not path.exists():
        raise _incomplete(path)
    metadata: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return metadata


def _incomplete(path: Path) -> EngineError:
    return EngineError(
        "weights_missing",
        "the liver network is not complete",
        found=f"no {path.name} in {path.parent}",
        do="install fibrovol again",
    )


def _released(path: Path) -> str:
    """The SHA-256 of weights that are those released.

    Raises:
        EngineError: they are missing or others.
    """
    if not path.exists():
        raise _incomplete(path)
    sha256 = sha256_file(path)
    if sha256 != _metadata()["fibrovol"]["sha256"].get(path.name):
        raise EngineError(
            "weights_changed",
            "the liver network's weights are not those that were released",
            found=f"SHA-256 {sha256} of {path.name}",
            do="install fibrovol again, or use your own network with --engine monai_bundle",
        )
    return sha256


@functools.cache
def _network(*, is_ct: bool) -> tuple[Any, str]:
    """The network for CT or MR with its weights, and their SHA-256; read once."""
    weights = shipped_weights(is_ct=is_ct)
    sha256 = _released(weights)
    return load_weights(build_network(), str(weights)), sha256


@functools.cache
def _border_net() -> BorderNet:
    """What places the border on CT; read once."""
    path = bundle_folder() / "models" / "border.pt"
    _released(path)
    return load_border(path)


def liver_net(volume: Volume, options: EngineOptions) -> EngineResult:
    """Segment liver and spleen with the shipped network.

    Raises:
        EngineError: the weights are missing or not those released; the device cannot be used.
        MeasurementError: ``no_liver_found``: the network is less sure of the border than is
            accepted, or part of the liver lies where the scan is blank.
    """
    is_ct = volume.modality == "CT"
    shipped, sha256 = _network(is_ct=is_ct)
    device = options.settings.device
    network = Runner(shipped, choose_device(device))
    metadata = _metadata()
    own = metadata["fibrovol"]
    threshold = own["threshold"]["ct" if is_ct else "mr"]
    looks = [Look(**look) for look in own["looks"]["ct" if is_ct else "mr"]]
    probability, grid = predict_by_looks(
        network, volume.array, volume.affine, is_ct=is_ct, looks=looks
    )
    liver_soft = postprocess.solid_organ(probability[LIVER].numpy(), threshold)
    flags = [] if is_ct else ["mr_unvalidated"]
    if is_ct and (bare := _without_fat(liver_soft, grid.fat(), threshold)) is not None:
        liver_soft = bare
        flags.append("fat_taken_for_liver")
    shape = volume.array.shape
    placed, placed_affine = liver_soft, grid.affine
    if is_ct:
        other = probability[OTHER].numpy()
        border = place_border(_border_net(), liver_soft, other, grid, volume.array, volume.affine)
    else:
        border = weigh_border(liver_soft, grid, volume.array, volume.affine)
    if border is not None:
        placed_affine = border.affine
        placed = postprocess.solid_organ(border.probability, threshold)
        if is_ct:
            placed, much_fluid = _with_cysts(placed, border, threshold)
            if much_fluid:
                flags.append("fluid_in_liver")
    liver = to_scan(placed, placed_affine, shape, volume.affine, threshold=threshold)
    spread = volumetry.threshold_spread(liver_soft, low=0.2, high=0.8, threshold=threshold)
    if math.isfinite(spread) and spread > own["largest_spread"]:
        raise MeasurementError(
            "no_liver_found",
            "no liver could be distinguished from its surroundings",
            found=f"a border so unsure that it moves the volume by {100 * spread:.0f} %, where "
            f"{100 * own['largest_spread']:.0f} % is the limit",
            do="look at the series: does it show the whole liver? If it does, draw the liver and "
            "give it as a mask (--mask), or use another engine",
        )
    _refuse_blanks(volume, liver)
    limits = own["volume_limits"]["ct" if is_ct else "mr"]
    spleen = None
    if own["spleen"] and is_ct:  # on MR it is too often wrong
        spleen_soft = postprocess.solid_organ(probability[SPLEEN].numpy())
        spleen = to_scan(spleen_soft, grid.affine, shape, volume.affine)
    # the weights for CT tell a mirrored MR better: trained on, MR's own also like some of them
    asked = network if is_ct else Runner(_network(is_ct=True)[0], choose_device(device))
    mirrored = _mirrored_by(asked, grid, liver_soft > threshold, spread)
    if network.fell_back or asked.fell_back:  # known once everything has run
        flags.append("device_fallback")
    return EngineResult(
        liver=liver,
        half_width=None if limits is None else limits["floor"] + limits["slope"] * spread,
        spleen=spleen,
        engine=f"liver_net {metadata['version']}",
        engine_sha256=sha256,
        flags=tuple(flags),
        device=network.used,
        mirrored_by=mirrored,
    )


def _with_cysts(
    placed: NDArray[np.float32], border: Border, threshold: float
) -> tuple[NDArray[np.float32], bool]:
    """A CT's liver with its cysts, on the grid of its border; whether much of it is fluid."""
    low, high = CT_WINDOW_HU
    i, j, k = (float(mm) for mm in border.spacing_mm)
    smooth = smoothed(border.grey.numpy() * (high - low) + low, (i, j, k))
    placed = with_cysts(placed, smooth, (i, j, k), threshold=threshold)
    placed = postprocess.fill_holes(placed, threshold)
    return placed, fluid_share(placed > threshold, smooth) > MUCH_FLUID


def _without_fat(
    liver: NDArray[np.float32], fat: NDArray[np.bool_], threshold: float
) -> NDArray[np.float32] | None:
    """The liver without what a CT shows to be fat or lung; None if there is too little to matter.

    The network learnt shapes in any contrast: it finds a liver in the fat where one was resected.

    Args:
        liver: probability (x, y, z).
        fat: where fat, lung and air are, of the same shape.
        threshold: what counts as inside.
    """
    inside = liver > threshold
    if np.count_nonzero(inside & fat) <= _MOST_FAT * np.count_nonzero(inside):
        return None
    return postprocess.solid_organ(np.where(fat, np.float32(0), liver), threshold)


def _refuse_blanks(volume: Volume, liver: NDArray[np.bool_]) -> None:
    """A scan whose middle was blanked gives a volume that looks right and is not."""
    blank = volumetry.blank_planes(volume.array, liver)
    if blank:
        raise MeasurementError(
            "no_liver_found",
            "part of the liver lies where the scan is blank",
            found=f"{blank} planes between the ends of the liver or next to them hold a single "
            "value",
            do="give the original series, without blanked parts",
        )


def _mirrored_by(
    network: Any, grid: NetworkGrid, liver: NDArray[np.bool_], spread: float
) -> str | None:
    """Ask the network, unless it is surer of the border than of any mirrored scan."""
    unsure = math.isfinite(spread) and spread > _SURE_SPREAD
    return mirrored_by(network, grid, liver) if unsure else None
