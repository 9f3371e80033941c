"""Whether grey values are those of a CT or an MR: asked before anything is measured. Pure.

A network gives a volume for any array. So a CT must hold air near -1,000 HU or at least soft tissue
near 0 to 100 HU, and what an exporter has shifted, scaled or windowed is refused with the cause.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import ScanError
from .volume import Volume

_SAMPLE = 2_000_000
_LEAST_BODY_MM = 80.0
"""A human liver is longer than this; a scan that is not has its spacing in another unit."""
_AIR_HU, _TISSUE_HU, _FAT_HU = (-1150.0, -700.0), (-200.0, 300.0), (-150.0, -20.0)
_LEAST_AIR, _LEAST_TISSUE, _LEAST_FAT = 0.005, 0.02, 0.03
_SHIFTED = (800.0, 1400.0)
"""Where soft tissue lies when 1,024 was not subtracted."""
_SUNK_HU, _FAR_BELOW_HU = -300.0, -1500.0
"""Nearly all values of a CT minus 1,024 lie below the first, and air below the second."""
_BEYOND_HU, _MOST_BEYOND = 4000.0, 0.01
"""No tissue, and metal fills less than this share of a scan."""
_MOST_ZERO = 0.15
_PALE_AIR_HU = (-700.0, -350.0)
_AIR_AT_MOST_HU, _AIR_WIDTH_HU, _MUCH_AIR = -880.0, 60.0, 0.05
"""Air is below the first, and unlike lung its values differ by less than the second."""
_LEAST_BODY_FAT = 0.005
_BELOW_FAT_HU, _BELOW_FAT = (-1500.0, -150.0), (0.0005, 0.3)
"""Gas in the bowel and noise: a cropped CT has some values there, an MR minus its mean none or its
whole background."""
_SHIFTED_PLANE, _MOST_OF_A_PLANE = (900.0, 1300.0), 0.15
"""Values of soft tissue plus 1,024; bone fills less of a slice."""
_FAT_PEAK_HU = (-150.0, -62.0)
"""Where the fat of a body peaks: -117 to -77 in 32 scans (kV, iodine and noise move it). Minus
100 HU takes it to -177 at most, half the scale to -58 at least."""
_DARK_HU, _BIN_HU, _SMOOTH_BINS, _LEAST_PEAK = (-300.0, -20.0), 5.0, 2.0, 0.01
_MAX_LABELS = 120
_FLAT = 0.85
"""Of neighbours that are equal: organs in a label map are flat, tissue never is."""


def modality_of(volume: Volume, asked: str) -> str:
    """CT or MR: as asked for or stated, else by the grey values as a whole.

    Args:
        volume: the scan.
        asked: "CT", "MR" or "".

    Raises:
        ScanError: ``not_a_scan``: another modality, or a label map; ``implausible_values``: the
            grey values do not tell.
    """
    stated = (asked or volume.modality).upper()
    if stated in ("CT", "MR"):
        return stated
    if stated:
        raise ScanError(
            "not_a_scan", "only CT and MR are measured", found=stated, do="give a CT or MR series"
        )
    return by_values(volume.array)


def by_values(array: NDArray[Any]) -> str:
    """CT or MR by the values of a file that does not say.

    Raises:
        ScanError: as :func:`modality_of`.
    """
    values = sample(array)
    _refuse_labels(array, values)
    scale = _scale(values)
    if scale:
        raise ScanError(
            "implausible_values",
            "The grey values do not tell whether this is a CT or an MR",
            found=scale,
            do="give --modality mr if it is an MR; a CT must be in Hounsfield units",
        )
    if _is_shifted(values):
        raise _not_hu("values like those of a CT to which 1,024 was added: soft tissue near 1,060")
    if _is_sunk(values):
        raise _not_hu(_SUNK)
    tissue, air = _share(values, *_TISSUE_HU), _share(values, *_AIR_HU)
    body = values[values > _AIR_HU[1]]  # an MR with a padding of -1,024 has no fat below 0
    if air >= _LEAST_AIR and tissue >= _LEAST_TISSUE and _share(body, *_FAT_HU) >= _LEAST_BODY_FAT:
        return "CT"
    floor = float(values.min())
    if floor <= _FAT_HU[1] and _share(values, floor, floor) >= 0.05:  # a window was cut out
        inside = values[values > floor]
        if _share(inside, *_FAT_HU) >= _LEAST_FAT and _share(inside, *_TISSUE_HU) >= 0.5:
            return "CT"
    cropped = _share(values, *_FAT_HU) >= _LEAST_FAT and tissue >= 0.5
    below = _share(values, *_BELOW_FAT_HU)
    cropped = cropped and _BELOW_FAT[0] <= below <= _BELOW_FAT[1]
    return "CT" if cropped and values.min() >= -1500 else "MR"


def check_ct(values: NDArray[Any]) -> None:
    """Refuse a CT whose values are not Hounsfield units.

    Args:
        values: of the scan (i, j, k), k across the slices, or of a sample of it.

    Raises:
        ScanError: ``implausible_values``, with what was probably done to them.
    """
    planes = values
    values = sample(values)
    scale = _scale(values)
    if scale:
        raise _not_hu(scale)
    if _is_shifted(values):
        raise _not_hu("values like those of a CT to which 1,024 was added: soft tissue near 1,060")
    if _is_sunk(values):
        raise _not_hu(_SUNK)
    above, below = _share(values, _BEYOND_HU, 1e9), _share(values, -1e9, -_BEYOND_HU)
    varied = np.ptp(values[values < -_BEYOND_HU]) > 1 if below else False  # padding is one value
    if above >= _MOST_BEYOND or (below >= _MOST_BEYOND and varied):
        raise _not_hu(
            f"{100 * (above + below):.0f} % of the voxels beyond {_BEYOND_HU:,.0f} HU: scaled by "
            "another factor, or padding that the file does not state"
        )
    if _share(values, 0.0, 0.0) >= _MOST_ZERO and values.min() < _FAT_HU[0]:
        raise _not_hu(
            f"{100 * _share(values, 0.0, 0.0):.0f} % of the voxels exactly 0 HU, water, as some "
            "programs write outside the body"
        )
    if _is_pale(values):
        raise _not_hu("air near -500 HU instead of -1,000: scaled by half, or to another range")
    if (air_hu := _displaced_air(values)) is not None:
        raise _not_hu(f"air near {air_hu:.0f} HU instead of -1,000: shifted or scaled")
    if planes.ndim == 3 and (shifted := _shifted_planes(planes)):
        raise _not_hu(
            f"{shifted} of {planes.shape[2]} slices like those of a CT to which 1,024 was added"
        )
    tissue = _share(values, *_TISSUE_HU)
    if tissue >= _LEAST_TISSUE:
        return
    raise _not_hu(
        f"{100 * tissue:.1f} % of the voxels between {_TISSUE_HU[0]:g} and {_TISSUE_HU[1]:g} HU, "
        "where soft tissue lies"
    )


def fat_is_misplaced(array: NDArray[Any]) -> bool:
    """Whether the fat of a CT is at other HU than fat: it was shifted or scaled by a little.

    Air tells more (:func:`check_ct`), but a window may have cut it off. Nothing is said of a body
    with too little fat for a peak in the histogram.

    Args:
        array: HU (i, j, k).
    """
    values = sample(array)
    lowest = float(values.min())
    if lowest > _FAT_PEAK_HU[1]:
        return True  # nothing is as dark as fat
    top = _TISSUE_HU[1]
    # without what a window cut off, which lies at its lowest value
    body = values[(values > max(lowest + 1, _DARK_HU[0])) & (values < top)]
    edges = np.arange(_DARK_HU[0], top + _BIN_HU, _BIN_HU)
    share = np.histogram(body, edges)[0] / max(body.size, 1)
    share = ndimage.gaussian_filter1d(share, _SMOOTH_BINS)
    inner = share[1:-1]
    peak = (inner >= share[:-2]) & (inner > share[2:]) & (inner >= _LEAST_PEAK)
    peaks_hu = (edges[1:-2] + _BIN_HU / 2)[peak]
    dark = peaks_hu[peaks_hu < _DARK_HU[1]]
    return bool(len(dark)) and not _FAT_PEAK_HU[0] <= dark[0] <= _FAT_PEAK_HU[1]


def check_body(volume: Volume) -> None:
    """Refuse a file that is too small to hold a liver: its spacing has another unit.

    Raises:
        ScanError: ``implausible_geometry``.
    """
    longest = max(mm * n for mm, n in zip(volume.spacing_mm, volume.array.shape, strict=True))
    if longest < _LEAST_BODY_MM:
        raise ScanError(
            "implausible_geometry",
            "The scan is too small for a human liver",
            found=f"{longest:.3g} mm at its longest",
            do="check the unit of the spacing: it may be centimetres or metres without saying so; "
            "convert the scan again from DICOM",
        )


def sample(array: NDArray[Any]) -> NDArray[np.float32]:
    """At most about two million of the values, evenly spread."""
    step = 1
    while array.size // step**3 > _SAMPLE:
        step += 1
    thin = array[(slice(None, None, step),) * array.ndim] if step > 1 else array
    return np.asarray(thin, dtype=np.float32).ravel()


def _share(values: NDArray[np.float32], low: float, high: float) -> float:
    return float(np.count_nonzero((values >= low) & (values <= high))) / max(values.size, 1)


def _scale(values: NDArray[np.float32]) -> str:
    """How values were scaled for display or for a network; "" if they were not."""
    low, high = float(values.min()), float(values.max())
    fractions = bool(np.abs(values - np.rint(values)).max() > 0)
    if low >= -1.5 and high <= (3.0 if fractions else 1.5):
        return f"values from {low:.3g} to {high:.3g}: scaled to 1"
    if low >= 0 and high <= 255:
        return f"values from {low:.3g} to {high:.3g}: scaled to 255, as for display"
    return ""


def _is_shifted(values: NDArray[np.float32]) -> bool:
    """Whether soft tissue lies where a CT has it that lacks its offset, and no air below."""
    bright = values[values > 300]
    if bright.size < 0.05 * values.size or _share(values, -1e9, -500.0) > 0.001:
        return False
    return _share(bright, *_SHIFTED) >= 0.7


_SUNK = "values like those of a CT minus 1,024 twice: soft tissue near -960"


def _is_sunk(values: NDArray[np.float32]) -> bool:
    """Whether the offset was subtracted once too often."""
    far = _share(values, -1e9, _FAR_BELOW_HU) >= 0.05  # more than a corner of padding
    return far and float(np.quantile(values, 0.98)) < _SUNK_HU


def _is_pale(values: NDArray[np.float32]) -> bool:
    """Whether air lies where only the edge of a lung does; one value alone is a clipped window."""
    low, high = _PALE_AIR_HU
    pale = values[(values >= low) & (values <= high)]
    if pale.size < 0.1 * values.size or _share(values, -1e9, low) > _LEAST_AIR:
        return False
    return bool(np.count_nonzero(pale == pale.min()) < 0.5 * pale.size)


def _displaced_air(values: NDArray[np.float32]) -> float | None:
    """Where air lies if it lies too high; None where it is right, clipped or cut away."""
    air = values[values < _PALE_AIR_HU[0]]
    if air.size < _MUCH_AIR * values.size:
        return None
    low, middle = np.quantile(air, (0.05, 0.5))
    clipped = np.count_nonzero(air == air.min()) >= 0.5 * air.size
    if low <= _AIR_AT_MOST_HU or middle - low > _AIR_WIDTH_HU or clipped:
        return None
    return float(middle)


def _shifted_planes(array: NDArray[Any]) -> int:
    """Slices that lack the offset: an exporter may lose it in some files of a series alone."""
    thin = array[::4, ::4]
    low, high = _SHIFTED_PLANE
    shares = ((thin >= low) & (thin <= high)).mean(axis=(0, 1))
    return int(np.count_nonzero(shares > _MOST_OF_A_PLANE))


def _refuse_labels(array: NDArray[Any], values: NDArray[np.float32]) -> None:
    if values.min() < 0 or np.abs(values - np.rint(values)).max() > 0:
        return
    labels = np.unique(values)
    if len(labels) > _MAX_LABELS:
        return
    drawn = array[1:] != 0
    flat = (array[1:] == array[:-1]) & drawn
    if not drawn.any() or np.count_nonzero(flat) >= _FLAT * np.count_nonzero(drawn):
        raise ScanError(
            "not_a_scan",
            "This is a label map or a mask, not a scan",
            found=f"{len(labels)} different values in flat regions",
            do="give the CT or MR; the mask goes into --mask or the column mask",
        )


def _not_hu(found: str) -> ScanError:
    return ScanError(
        "implausible_values",
        "The grey values are not Hounsfield units",
        found=found,
        do="export the original series, with its rescale slope and intercept",
    )
