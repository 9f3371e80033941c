"""Measure the liver of a scan: the one place in imaging/ that orchestrates."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import MeasurementError, RegionError, ScanError
from ..files import write_json
from ..notebook import card, flag_rows, short, with_limits
from . import volumetry
from .engines import EngineOptions, get_engine
from .grey_values import check_body, check_ct, fat_is_misplaced, modality_of
from .grid_limits import THICK_MM
from .organ_places import place_flags
from .readers import read_scan
from .volume import Volume

_LEAST_LIVER_ML = 100.0
"""Less than this is not a liver: the smallest adult cirrhotic livers are near 400 mL."""

_SMALL_ML, _LARGE_ML = 400.0, 4000.0
_CUT_OFF_MM2 = 100.0  # contact with the edge of the scan: a stray voxel is not a cut liver
_LOW_CONFIDENCE = 0.25  # (high - low) / volume


@dataclass(frozen=True, repr=False)
class LiverMeasurement:
    """The liver of one scan."""

    volume_ml: float
    """Liver volume."""
    volume_ml_low: float | None
    """Lower 95 % limit, None if the engine cannot say."""
    volume_ml_high: float | None
    """Upper 95 % limit."""
    mask: Volume
    """Bool ``Volume`` on the scan's grid."""
    volume: Volume
    """The scan as it was measured."""
    modality: str
    """CT or MR."""
    flags: tuple[str, ...]
    """Codes of ``FLAGS``."""
    engine: str
    """Name and version."""
    engine_sha256: str
    """Of the weights or the mask."""
    spleen_volume_ml: float | None = None
    """None if the engine gives none or found none."""
    spleen_mask: Volume | None = None
    """Bool ``Volume``, None likewise."""
    border_contact_mm2: float = 0.0
    """Liver area on the faces of the scan."""
    device: str = ""
    """What the network ran on, "" if none ran."""
    parameters: dict[str, str | float | bool] = field(default_factory=dict)
    """What was asked, for provenance."""

    @property
    def liver_spleen_ratio(self) -> float | None:
        """Liver over spleen volume; below 2.9 it predicts decompensation in HBV cirrhosis."""
        if not self.spleen_volume_ml:
            return None
        return self.volume_ml / self.spleen_volume_ml

    def plot(self) -> Any:
        """Draw eight slices with the contour of the liver in red and of the spleen in blue.

        Returns:
            A matplotlib ``Figure`` that a notebook shows.
        """
        from .panels import Scan, draw_panels  # noqa: PLC0415 - start-up time

        scan = Scan(self.volume.array, self.volume.affine, self.modality)
        spleen = None if self.spleen_mask is None else self.spleen_mask.array
        return draw_panels(scan, self.mask.array, spleen)

    def save(self, folder: Path | str, stem: str = "scan") -> list[Path]:
        """Write ``<stem>_liver.nii.gz`` (and ``_spleen``), ``<stem>.png`` and ``<stem>.json``.

        Args:
            folder: made where it is missing.
            stem: start of the file names; it must not hold a patient's name.

        Returns:
            The paths.
        """
        from .export.nifti import write_mask  # noqa: PLC0415 - start-up time
        from .overlay import write_overlay  # noqa: PLC0415

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        written = [folder / f"{stem}_liver.nii.gz", folder / f"{stem}.png", folder / f"{stem}.json"]
        write_mask(self.mask, written[0])
        write_overlay(self.volume, self.mask, written[1], second=self.spleen_mask)
        write_json(written[2], self.as_plain())
        if self.spleen_mask is not None:
            written.append(folder / f"{stem}_spleen.nii.gz")
            write_mask(self.spleen_mask, written[-1])
        return written

    def as_plain(self) -> dict[str, Any]:
        """Numbers and what they rest on as JSON can hold them; no voxels, no path, no patient."""
        names = (
            "volume_ml", "volume_ml_low", "volume_ml_high", "modality", "flags", "engine",
            "engine_sha256", "spleen_volume_ml", "liver_spleen_ratio", "border_contact_mm2",
            "device",
            "parameters",
        )  # fmt: skip
        spacing = {"spacing_mm": list(self.volume.spacing_mm)}
        return {name: getattr(self, name) for name in names} | spacing

    def _volume_text(self) -> str:
        return with_limits(self.volume_ml, self.volume_ml_low, self.volume_ml_high, "mL", ",.0f")

    def __repr__(self) -> str:
        flags = f"flags {' '.join(self.flags)}" if self.flags else "no flags"
        parts = (self._volume_text(), self.modality, self.engine, flags)
        return short("LiverMeasurement", parts)

    def _repr_html_(self) -> str:
        spleen = self.spleen_volume_ml
        rows = {
            "liver": self._volume_text(),
            "spleen": f"{spleen:,.0f} mL" if spleen else "",
            "modality": self.modality,
            "contrast": self.volume.source.contrast,
            "engine": self.engine,
            **flag_rows(self.flags),
        }
        picture = self.plot()._repr_png_()
        return card("Liver volume", rows, picture, "slices of the scan, the liver outlined in red")


def measure_liver(
    scan: Path | str | Any,
    *,
    engine: str = "liver_net",
    modality: str = "",
    series_uid: str | None = None,
    mask: Path | str | None = None,
    options: EngineOptions | None = None,
) -> LiverMeasurement:
    """Measure the liver on one CT or MR.

    Args:
        scan: a path as :func:`read_scan` takes it, a ``Volume``, or an image of nibabel,
            SimpleITK or MONAI as :meth:`Volume.of` takes it.
        engine: a name of the ``ENGINES`` table.
        modality: "CT" or "MR"; "" takes the file's, or tells by the grey values where it has none.
        series_uid: which series of a folder; if omitted, a mask that refers to one decides.
        mask: the mask for the engine ``existing_mask``, short for ``options.mask_path``.
        options: what else an engine needs to know; see ``EngineOptions``.

    Returns:
        the measurement; its mask lies on the scan's own grid.

    Raises:
        ScanError: the scan cannot be trusted.
        EngineError: the engine is missing or does not fit.
        MeasurementError: ``no_liver_found``.

    Examples:
        A phantom whose liver is known, and a mask that a person drew on it:

        >>> import tempfile, fibrovol
        >>> from fibrovol.imaging.export.nifti import write_mask
        >>> from fibrovol.phantoms.anatomy import draw_anatomy
        >>> from fibrovol.phantoms.scans import write_ct_series
        >>> folder = Path(tempfile.mkdtemp())
        >>> truth = write_ct_series(
        ...     folder / "ct", draw_anatomy(3, liver_volume_ml=1400), subject="P1"
        ... )
        >>> drawn = folder / "liver.nii.gz"
        >>> write_mask(Volume(truth.liver_mask, truth.affine), drawn)
        >>> liver = fibrovol.measure_liver(folder / "ct", engine="existing_mask", mask=drawn)
        >>> abs(liver.volume_ml / truth.liver_volume_ml - 1) < 0.005
        True
    """
    segment = get_engine(engine)  # before the scan is read: a misspelt name fails at once
    options = options or EngineOptions.of()
    if mask is not None:
        options = replace(options, mask_path=Path(mask))
    is_path = isinstance(scan, str | Path)
    volume = _read(Path(scan), series_uid, options.mask_path) if is_path else Volume.of(scan)
    kind = _checked_modality(volume, modality, is_drawn=engine == "existing_mask")
    try:
        found = segment(replace(volume, modality=kind), options)
    except MeasurementError as error:
        if "identity_affine" not in volume.flags:
            raise
        raise ScanError(  # what the engine says of its doubt is not the cause
            "no_valid_affine",
            "The file has probably lost its geometry",
            found="voxels of 1 mm from the corner, as written by programs that drop the affine, "
            "and no liver that could be distinguished from its surroundings",
            do="convert the scan again from DICOM",
        ) from error
    volume_ml = volumetry.volume_ml(found.liver, volume.voxel_volume_ml)
    if volume_ml < _LEAST_LIVER_ML and options.mask_path is not None:
        raise RegionError(
            "bad_region",
            "the mask is too small for a liver",
            found=f"{volume_ml:.0f} mL, less than {_LEAST_LIVER_ML:.0f} mL",
            do="check that the right mask, label and scan were given",
        )
    if volume_ml < _LEAST_LIVER_ML:
        raise MeasurementError(
            "no_liver_found",
            "no liver was found in the scan",
            found=f"{volume_ml:.0f} mL that look like liver, less than {_LEAST_LIVER_ML:.0f} mL",
            do="check that the series shows the upper abdomen; else draw the liver and give it "
            "as a mask (engine existing_mask)",
        )
    low = high = None
    if found.half_width is not None:
        low = volume_ml * max(0.0, 1.0 - found.half_width)
        high = volume_ml * (1.0 + found.half_width)
    seen = volumetry.content_box(volume.array)
    contact_mm2 = volumetry.border_contact_mm2(found.liver[seen], volume.spacing_mm)
    flags = _flags(volume, volume_ml, found.half_width, contact_mm2)
    if engine != "existing_mask":
        flags += place_flags(volume, found, kind)
        if kind == "CT" and fat_is_misplaced(volume.array):
            flags.append("grey_values_doubtful")
    spleen_mask = None
    spleen_ml = None
    if found.spleen is not None and found.spleen.any():
        spleen_mask = Volume(found.spleen, volume.affine)
        spleen_ml = volumetry.volume_ml(found.spleen, volume.voxel_volume_ml)
    return LiverMeasurement(
        volume_ml=volume_ml,
        volume_ml_low=low,
        volume_ml_high=high,
        mask=Volume(found.liver, volume.affine),
        volume=volume,
        modality=kind,
        flags=tuple(dict.fromkeys([*volume.flags, *found.flags, *flags])),
        engine=found.engine,
        engine_sha256=found.engine_sha256,
        spleen_volume_ml=spleen_ml,
        spleen_mask=spleen_mask,
        border_contact_mm2=contact_mm2,
        device=found.device,
        parameters={"engine": engine, "modality": kind, **options.parameters},
    )


def _read(path: Path, series_uid: str | None, mask: Path | None) -> Volume:
    """Read a scan; of a folder of several series the one that the mask refers to."""
    from .series.by_mask import choose_by_mask  # noqa: PLC0415 - start-up time
    from .series.find import list_scans  # noqa: PLC0415

    if series_uid is None and mask is not None and path.is_dir():
        listing = list_scans(path)
        several = len(listing.dicom.measurable) > 1
        choice = choose_by_mask(listing, mask) if several else None
        return listing.read() if choice is None else listing.read_chosen(choice.chosen)
    return read_scan(path, series_uid=series_uid)


def _checked_modality(volume: Volume, asked: str, *, is_drawn: bool) -> str:
    """CT or MR; grey values must be those of one, unless the liver was drawn by hand."""
    if is_drawn:
        try:
            return modality_of(volume, asked)
        except ScanError as error:
            if error.code != "implausible_values":
                raise
            return "MR"  # the drawing alone is measured, whatever the values are scaled to
    if not volume.source.series_uid:
        check_body(volume)
    kind = modality_of(volume, asked)
    if kind == "CT":
        check_ct(volume.array)
    return kind


def _flags(
    volume: Volume, volume_ml: float, half_width: float | None, contact_mm2: float
) -> list[str]:
    thickness = max(volume.source.slice_thickness_mm or 0.0, *volume.spacing_mm)
    checks = {
        "thick_slices": thickness > THICK_MM,
        "repeated_slices": volumetry.repeated_planes(volume.array) > 0,
        "liver_cut_off": contact_mm2 > _CUT_OFF_MM2,
        "small_liver": volume_ml < _SMALL_ML,
        "large_liver": volume_ml > _LARGE_ML,
        "low_confidence": half_width is not None and 2 * half_width > _LOW_CONFIDENCE,
    }
    return [flag for flag, raised in checks.items() if raised]
