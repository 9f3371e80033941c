"""Write CT and MR series of a phantom body as DICOM, with the exact volume of its liver.

The body is rendered on a grid finer than the scan's, so a voxel has what a scanner would average
over it. The truth is the sum of the liver's partial-volume fractions, not a count of voxels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from .anatomy import Anatomy, draw_anatomy
from .canvas import Canvas, Grid, block_mean
from .contrasts import CT_PORTAL_VENOUS, MR_T1_WATER, MR_T2_FAT_SUPPRESSED, Contrast
from .dicom_series import SeriesIdentity, write_series
from .organs import paint_body
from .shapes import Array

MR_CONTRASTS = {"t2_spir": MR_T2_FAT_SUPPRESSED, "t1_dixon": MR_T1_WATER}
"""The MR sequences that can be drawn, by name."""

ORGANS = ("liver", "spleen")
"""The organs whose volume is kept."""

_FINE_MM = 3.01
"""The body is drawn on voxels of at most this size, or on the scan's where they are finer."""


@dataclass(frozen=True)
class ScanTruth:
    """What is known of a phantom scan.

    Attributes:
        directory: the folder with the DICOM files.
        modality: "CT" or "MR".
        liver_volume_ml, spleen_volume_ml: exact, from partial-volume fractions.
        liver_mask: bool, shape (i, j, k), voxels of which the liver fills at least half.
        affine: 4 x 4, (i, j, k) to RAS mm; the grid of the DICOM series, k to the head.
        series_uid: SeriesInstanceUID.
    """

    directory: Path
    modality: str
    liver_volume_ml: float
    spleen_volume_ml: float
    liver_mask: NDArray[np.bool_]
    affine: NDArray[np.float64]
    series_uid: str


@dataclass(frozen=True)
class RenderedScan:
    """A scan in memory: image (HU or signal) and fractions, shape (slices, rows, columns).

    The fractions tell how much of each voxel a tracked tissue fills.
    """

    image: Array
    fractions: dict[str, Array]
    liver_volume_ml: float
    spleen_volume_ml: float
    grid: Grid

    @property
    def liver_fraction(self) -> Array:
        """How much of each voxel the liver fills."""
        return self.fractions["liver"]


def write_ct_series(
    directory: Path,
    anatomy: Anatomy,
    *,
    spacing_mm: tuple[float, float, float] = (2.5, 2.5, 5.0),
    seed: int = 0,
    subject: str = "PHANTOM",
    study_date: str = "2017-01-01",
) -> ScanTruth:
    """Write a portal-venous CT of a body as a DICOM series, one file a slice.

    Args:
        directory: is created; files are named IM0001.dcm and so on.
        anatomy: the body.
        spacing_mm: along columns (x), rows (y) and slices (z).
        seed: noise, positioning and breath of this scan.
        subject: PatientID, made up.
        study_date: ISO date.

    Returns:
        The truth.
    """
    rendered = render_scan(anatomy, CT_PORTAL_VENOUS, spacing_mm=spacing_mm, seed=seed)
    identity = SeriesIdentity(subject, study_date, anatomy.seed, seed, CT_PORTAL_VENOUS.name)
    uid = write_series(directory, rendered.image, rendered.grid, "CT", identity)
    return _truth(directory, "CT", rendered, uid)


def write_mr_series(
    directory: Path,
    anatomy: Anatomy,
    *,
    contrast: str = "t2_spir",
    spacing_mm: tuple[float, float, float] = (1.6, 1.6, 7.0),
    seed: int = 0,
    subject: str = "PHANTOM",
    study_date: str = "2017-01-01",
) -> ScanTruth:
    """Write an MR of a body as a DICOM series; ``contrast`` is a key of :data:`MR_CONTRASTS`.

    Raises:
        KeyError: unknown contrast.
    """
    look = MR_CONTRASTS[contrast]
    rendered = render_scan(anatomy, look, spacing_mm=spacing_mm, seed=seed)
    identity = SeriesIdentity(subject, study_date, anatomy.seed, seed, look.name)
    uid = write_series(directory, rendered.image, rendered.grid, "MR", identity)
    return _truth(directory, "MR", rendered, uid)


def render_scan(
    anatomy: Anatomy,
    contrast: Contrast,
    *,
    spacing_mm: tuple[float, float, float],
    seed: int,
    tracked: tuple[str, ...] = ORGANS,
) -> RenderedScan:
    """Draw a body as a scanner would see it; arguments as in :func:`write_ct_series`.

    ``tracked`` names the tissues whose fractions are wanted, liver and spleen among them.
    """
    rng = np.random.default_rng([anatomy.seed, seed, 11])
    grid = _field_of_view(anatomy, spacing_mm, rng)
    factors = (
        max(1, int(np.ceil(spacing_mm[2] / _FINE_MM))),
        max(1, int(np.ceil(spacing_mm[1] / _FINE_MM))),
        max(1, int(np.ceil(spacing_mm[0] / _FINE_MM))),
    )
    values = {
        name: value + (contrast.spread * float(rng.normal()) if name not in _FIXED else 0.0)
        for name, value in sorted(contrast.values.items())
    }
    canvas = Canvas(
        grid.finer(factors), values, tracked=tracked, warp=anatomy.warp, scale=anatomy.scale
    )
    low = grid.first_mm[0] - spacing_mm[2]
    high = grid.first_mm[0] + spacing_mm[2] * (grid.shape[0] + 1)
    paint_body(canvas, anatomy, low_z_mm=low / anatomy.scale, high_z_mm=high / anatomy.scale)
    image = block_mean(canvas.image, factors)
    acquire: Callable[..., Array] = _acquire_ct if contrast.modality == "CT" else _acquire_mr
    return RenderedScan(
        image=acquire(image, contrast, rng),
        fractions={name: block_mean(part, factors) for name, part in canvas.fractions.items()},
        liver_volume_ml=canvas.volume_ml("liver"),
        spleen_volume_ml=canvas.volume_ml("spleen"),
        grid=grid,
    )


_FIXED = ("air", "gas", "lung", "fat", "visceral_fat", "bone", "table")
"""Tissues whose value does not change with contrast medium or patient."""


def _field_of_view(
    anatomy: Anatomy, spacing_mm: tuple[float, float, float], rng: np.random.Generator
) -> Grid:
    """The scan's grid: the whole trunk with a rim of air, the liver with a margin of slices."""
    dx, dy, dz = spacing_mm
    trunk = anatomy.trunk
    columns = _even((2.0 * anatomy.scale * trunk.half_width_mm + 36.0) / dx)
    rows = _even((anatomy.scale * (trunk.front_mm - trunk.back_mm) + 44.0) / dy)
    top, bottom = 38.0 + 6.0 * float(rng.uniform(-1, 1)), -232.0 * anatomy.scale
    slices = int(np.ceil((top - bottom) / dz))
    shift = rng.uniform(-1.0, 1.0, size=3) * (6.0, 6.0, 2.0)
    middle_y = -0.5 * anatomy.scale * (trunk.front_mm + trunk.back_mm)
    first = (
        top - dz * (slices - 1) + float(shift[2]),
        middle_y - 0.5 * dy * (rows - 1) + float(shift[1]),
        -0.5 * dx * (columns - 1) + float(shift[0]),
    )
    # whole tenths of a micrometre, as the files state them: the truth lies on the files' grid
    z, y, x = (round(value, 4) for value in first)
    return Grid((slices, rows, columns), (dz, dy, dx), (z, y, x))


def _even(count: float) -> int:
    return 8 * int(np.ceil(count / 8.0))


def _acquire_ct(image: Array, contrast: Contrast, rng: np.random.Generator) -> Array:
    """Unsharpness and correlated noise of a reconstructed CT."""
    texture = gaussian_filter(rng.normal(size=image.shape).astype(np.float32), (0.6, 1.4, 1.4))
    solid = np.clip((image + 250.0) / 150.0, 0.0, 1.0)
    image = image + solid * _scaled(texture, contrast.texture)
    image = gaussian_filter(image, (0.0, 0.45, 0.45))
    noise = gaussian_filter(rng.normal(size=image.shape).astype(np.float32), (0.2, 0.6, 0.6))
    image = image + _scaled(noise, contrast.noise)
    return np.asarray(np.clip(image, -1024.0, 3071.0), np.float32)


def _acquire_mr(image: Array, contrast: Contrast, rng: np.random.Generator) -> Array:
    """Texture, the coil's uneven sensitivity and Rician noise."""
    texture = gaussian_filter(rng.normal(size=image.shape).astype(np.float32), (0.3, 1.2, 1.2))
    strength = image / np.float32(contrast.values["liver"])
    image = image + np.clip(strength, 0.0, 1.5) * _scaled(texture, contrast.texture)
    nz, ny, nx = (np.linspace(-1.0, 1.0, n, dtype=np.float32) for n in image.shape)
    tilt = rng.normal(0.0, 0.10, size=6)
    x, y, z = nx[None, None, :], ny[None, :, None], nz[:, None, None]
    field = tilt[0] * x + tilt[1] * y + 0.6 * (tilt[2] * z + tilt[3] * x * x + tilt[4] * y * y)
    field = field - abs(tilt[5]) * z * z
    image = gaussian_filter(image, (0.0, 0.4, 0.4)) * np.exp(field)
    real = image + contrast.noise * rng.normal(size=image.shape)
    imaginary = contrast.noise * rng.normal(size=image.shape)
    return np.asarray(np.hypot(real, imaginary), np.float32)


def _scaled(noise: Array, deviation: float) -> Array:
    return np.asarray(noise * np.float32(deviation / max(float(noise.std()), 1e-6)), np.float32)


def _truth(directory: Path, modality: str, rendered: RenderedScan, uid: str) -> ScanTruth:
    # array (k, rows, columns) in LPS becomes (i, j, k) with i along columns
    mask = np.ascontiguousarray((rendered.liver_fraction >= 0.5).transpose(2, 1, 0))
    return ScanTruth(
        directory=Path(directory),
        modality=modality,
        liver_volume_ml=rendered.liver_volume_ml,
        spleen_volume_ml=rendered.spleen_volume_ml,
        liver_mask=mask,
        affine=rendered.grid.affine,
        series_uid=uid,
    )


def write_truth_mask(truth: ScanTruth, path: Path) -> None:
    """Write the truth mask as NIfTI (uint8) on the scan's grid."""
    image = nib.Nifti1Image(truth.liver_mask.astype(np.uint8), truth.affine)
    image.header.set_xyzt_units("mm")
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)


__all__ = [
    "MR_CONTRASTS", "ScanTruth", "draw_anatomy", "render_scan", "write_ct_series",
    "write_mr_series", "write_truth_mask",
]  # fmt: skip
