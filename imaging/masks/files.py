"""Mask files of voxels: NIfTI, NRRD (also 3D Slicer's .seg.nrrd) and MetaImage, as labels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import RegionError
from ..readers import itk, nifti
from ..volume import Volume
from .labels import Label, choose_labels, refuse_growths_apart

_WHOLE = 1e-3
"""A value this near to a whole number is one: scale factors of headers round."""
_MOST_EXACT = 2**24
"""From here on float32 does not tell one whole number from the next: two labels would be one."""
_MAX_LABELS = 65_536
_TABLE_LABEL = re.compile(
    r'<Label\b[^>]*\bKey="(\d+)"[^>]*>\s*(?:<!\[CDATA\[(.*?)\]\]>|([^<]*))\s*</Label>', re.S
)
_TERM = re.compile(r"TerminologyEntry:[^~]*~[^~]*~([A-Za-z0-9]+)\^([^~^]+)\^")
"""Of a .seg.nrrd: context, category, then the type as scheme^value^meaning."""


@dataclass(frozen=True)
class VoxelMask:
    """The voxels of a mask file, before it is decided which of them are the liver."""

    layers: tuple[NDArray[Any], ...]
    """Each (i, j, k): several where a file lets segments overlap."""
    affine: NDArray[np.float64]
    names: Mapping[tuple[int, int], tuple[str, tuple[str, str]]]
    """Name and code by layer and value, where the file states them."""


def is_voxel_file(path: Path) -> bool:
    """Whether a file is one of the formats that this module reads, by its name."""
    return nifti.is_nifti(path) or path.name.lower().endswith(itk.SUFFIXES)


def read_voxels(path: Path) -> VoxelMask:
    """Read a mask file as it is.

    Raises:
        ScanError: it cannot be read, or does not say where its voxels lie.
    """
    if nifti.is_nifti(path):
        array, affine, extensions = nifti.read_mask_values(path)
        names = {
            (0, int(key)): ((cdata or plain).strip(), ("", ""))
            for text in extensions
            for key, cdata, plain in _TABLE_LABEL.findall(text)
        }
        return VoxelMask((array,), affine, names)
    layers, affine, fields = itk.read_mask_values(path)
    return VoxelMask(layers, affine, _slicer_names(fields))


def liver_of(mask: VoxelMask, wanted: str, threshold: float, name: str) -> Volume:
    """The liver's voxels.

    Args:
        mask: from :func:`read_voxels`.
        wanted: which labels, as :func:`.labels.choose_labels` takes them.
        threshold: from which value on a voxel of a probability map is liver; 0 for none.
        name: of the file, for messages.

    Raises:
        RegionError: ``bad_region``: fractions without a threshold, or it is not clear which label.
    """
    if threshold:
        return _above(mask, wanted, threshold, name)
    mask = replace(mask, layers=tuple(_plain_labels(layer, name) for layer in mask.layers))
    labels = _labels(mask)
    drawn = {(label.layer, label.number) for label in labels}
    empty = [
        Label(value, title, code, 0.0, layer)
        for (layer, value), (title, code) in mask.names.items()
        if (layer, value) not in drawn
    ]
    chosen = choose_labels(labels, wanted, name, empty)
    if not wanted.strip():
        refuse_growths_apart(labels, chosen, name)
    array = np.zeros(mask.layers[0].shape, dtype=np.bool_)
    for label in chosen:
        array |= mask.layers[label.layer] == label.number
    return Volume(array, mask.affine)


def _above(mask: VoxelMask, wanted: str, threshold: float, name: str) -> Volume:
    """A probability map from its threshold on."""
    if wanted or mask.names or len(mask.layers) > 1:
        raise RegionError(
            "bad_region",
            f"A threshold was stated for the mask {name}, whose values are labels",
            found="named segments" if mask.names or len(mask.layers) > 1 else f"label {wanted}",
            do="leave out --mask-threshold, or name a label without it",
        )
    (layer,) = mask.layers
    values = np.unique(layer[np.isfinite(layer) & (layer != 0)])
    if len(values) > 1 and threshold <= values[0] and not (values % 1).any():
        raise RegionError(
            "bad_region",
            f"The threshold for the mask {name} leaves none of its values out",
            found=f"{len(values)} values from {values[0]:g} to {values[-1]:g}, all at least "
            f"{threshold:g}: every label would count as liver",
            do="name a label with --mask-segment, or state a threshold in the unit of the file's "
            "values",
        )
    array = np.asarray(layer >= threshold)
    if not array.any():
        raise RegionError(
            "bad_region",
            f"No voxel of the mask {name} reaches the threshold",
            found=f"a largest value of {float(layer.max()):g}, the threshold is {threshold:g}",
            do="state a threshold in the unit of the file's values",
        )
    return Volume(array, mask.affine)


def _plain_labels(layer: NDArray[Any], name: str) -> NDArray[Any]:
    """A layer as whole numbers; one value that is none, as a scale factor makes it, becomes 1.

    Raises:
        RegionError: ``bad_region``: the values are fractions, or too large to be labels.
    """
    if np.issubdtype(layer.dtype, np.integer):
        return layer
    drawn = layer[layer != 0]
    if not drawn.size:
        return np.zeros(layer.shape, dtype=np.int16)
    low, high = float(drawn.min()), float(drawn.max())
    if max(-low, high) >= _MOST_EXACT:
        raise RegionError(
            "bad_region",
            f"The mask {name} contains values that are no labels",
            found=f"values from {low:g} to {high:g}",
            do="save a mask of two values",
        )
    broken = np.abs(drawn - np.rint(drawn)) >= _WHOLE
    if not broken.any() and np.rint(drawn).all():
        return np.rint(layer).astype(np.int32)
    if high - low <= _WHOLE * abs(high):
        return (layer != 0).astype(np.int32)
    raise RegionError(
        "bad_region",
        f"The mask {name} contains fractions, like a probability map",
        found=f"values from {low:.3g} to {high:.3g}, {int(broken.sum())} voxels of no whole number",
        do="save a mask of two values, or say from which value on it is liver with "
        "--mask-threshold",
    )


def _labels(mask: VoxelMask) -> list[Label]:
    """All labels with their volumes."""
    voxel_ml = abs(float(np.linalg.det(mask.affine[:3, :3]))) / 1000.0
    found = []
    for number, layer in enumerate(mask.layers):
        values, counts = np.unique(layer[layer != 0], return_counts=True)
        if len(values) > _MAX_LABELS:
            values, counts = values[:_MAX_LABELS], counts[:_MAX_LABELS]
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            title, code = mask.names.get((number, int(value)), ("", ("", "")))
            found.append(Label(int(value), title, code, count * voxel_ml, number))
    return found


def _slicer_names(
    fields: Mapping[str, str],
) -> dict[tuple[int, int], tuple[str, tuple[str, str]]]:
    """Names and codes from the fields ``Segment0_Name``, ``Segment0_LabelValue`` and so on."""
    names = {}
    for key, title in fields.items():
        match = re.fullmatch(r"(Segment\d+)_Name", key)
        if not match:
            continue
        value = _number(fields.get(f"{match[1]}_LabelValue", "1"))
        layer = _number(fields.get(f"{match[1]}_Layer", "0"))
        term = _TERM.search(fields.get(f"{match[1]}_Tags", ""))
        if value is not None and layer is not None:
            names[(layer, value)] = (title.strip(), (term[2], term[1]) if term else ("", ""))
    return names


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\d{1,9}", text.strip()) else None
