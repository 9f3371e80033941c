"""Writes DICOM series of an ellipsoid of known volume, clean or with one thing wrong.

The object is sampled where each slice truly lies, so a reader that believes the positions finds the
true volume, and one that trusts file names, InstanceNumber or a fixed spacing does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    MRImageStorage,
    SecondaryCaptureImageStorage,
    generate_uid,
)

OBJECT_VALUE = 100.0
OUTSIDE_VALUE = -900.0
SEMI_AXES_MM = (60.0, 48.0, 52.0)
TRUE_ML = 4 / 3 * np.pi * np.prod(SEMI_AXES_MM) / 1000
PLANES = {
    "axial": (1, 0, 0, 0, 1, 0),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "coronal": (1, 0, 0, 0, 0, -1),
    "oblique": (
        *(np.array([0.9239, 0.3314, 0.1913]) / np.linalg.norm([0.9239, 0.3314, 0.1913])),
        *(np.array([-0.3827, 0.8002, 0.4619]) / np.linalg.norm([-0.3827, 0.8002, 0.4619])),
    ),
    "feet_first_prone": (-1, 0, 0, 0, 1, 0),
}


@dataclass(frozen=True)
class SeriesSpec:
    """What to write.

    Attributes:
        heights_mm: of the slices along the normal, from the centre of the object.
        tilt_degrees: the gantry's tilt: slices are displaced along their columns.
        value: stored value of a HU: stored = (HU - intercept) / slope.
    """

    heights_mm: tuple[float, ...] = tuple(np.arange(-65, 65.01, 2.5))
    orientation: tuple[float, ...] = PLANES["axial"]
    rows: int = 120
    columns: int = 140
    spacing_mm: tuple[float, float] = (1.25, 1.125)
    tilt_degrees: float = 0.0
    jitter_mm: float = 0.0
    modality: str = "CT"
    slope: float = 1.0
    intercept: float = -1024.0
    signed: bool = False
    bits: int = 16
    photometric: str = "MONOCHROME2"
    thickness_mm: float = 2.5
    patient_position: str = "HFS"
    object_value: float = OBJECT_VALUE
    centre_mm: tuple[float, float, float] = (12.0, -25.0, 310.0)
    semi_axes_mm: tuple[float, float, float] = SEMI_AXES_MM
    series_uid: str = field(default_factory=generate_uid)
    study_uid: str = field(default_factory=generate_uid)
    frame_uid: str = field(default_factory=generate_uid)
    change: Callable[[int, Dataset], None] | None = None


def axes(orientation: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    row, column = np.array(orientation[:3], float), np.array(orientation[3:], float)
    return row, column, np.cross(row, column)


def positions(spec: SeriesSpec) -> np.ndarray:
    """ImagePositionPatient of every slice, shape (n, 3)."""
    row, column, normal = axes(spec.orientation)
    heights = np.array(spec.heights_mm)
    if spec.jitter_mm:
        heights = heights + np.random.default_rng(0).uniform(-1, 1, len(heights)) * spec.jitter_mm
    start = (
        np.array(spec.centre_mm)
        - row * spec.spacing_mm[1] * (spec.columns - 1) / 2
        - column * spec.spacing_mm[0] * (spec.rows - 1) / 2
    )
    sideways = np.tan(np.radians(spec.tilt_degrees)) * heights
    return start + heights[:, None] * normal + sideways[:, None] * column


def image(spec: SeriesSpec, position: np.ndarray) -> np.ndarray:
    """HU of the slice at a position: part of each pixel inside the ellipsoid, by 3 x 3 samples."""
    inside = _part_inside(
        spec.orientation,
        (spec.rows, spec.columns),
        spec.spacing_mm,
        tuple(float(value) for value in position - np.array(spec.centre_mm)),
        spec.semi_axes_mm,
    )
    return OUTSIDE_VALUE + (spec.object_value - OUTSIDE_VALUE) * inside


@cache
def _part_inside(
    orientation: tuple[float, ...],
    size: tuple[int, int],
    spacing_mm: tuple[float, float],
    start_mm: tuple[float, ...],
    semi_axes_mm: tuple[float, ...],
) -> np.ndarray:
    row, column, _ = axes(orientation)
    inside = np.zeros(size)
    for a in (-1 / 3, 0, 1 / 3):
        for b in (-1 / 3, 0, 1 / 3):
            i = (np.arange(size[1]) + a) * spacing_mm[1]
            j = (np.arange(size[0]) + b) * spacing_mm[0]
            distance = np.zeros(size)
            for axis in range(3):  # one by one: an array of points takes four times as long
                down, across = start_mm[axis] + j * column[axis], i * row[axis]
                distance += ((down[:, None] + across) / semi_axes_mm[axis]) ** 2
            inside += distance <= 1
    return inside / 9


def dataset(spec: SeriesSpec, number: int, position: np.ndarray) -> FileDataset:
    """One classic image."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", Dataset(), file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID = CTImageStorage if spec.modality == "CT" else MRImageStorage
    ds.SOPInstanceUID = generate_uid()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.StudyInstanceUID, ds.SeriesInstanceUID = spec.study_uid, spec.series_uid
    ds.FrameOfReferenceUID = spec.frame_uid
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = "Doe^Jane", "HOSP-4711", "19500102"
    ds.PatientSex = "F"
    ds.AccessionNumber, ds.StudyID, ds.ReferringPhysicianName = "ACC0815", "S1", "House^Gregory"
    ds.StudyDate, ds.StudyTime = "20200101", "101500"
    ds.Modality, ds.Manufacturer = spec.modality, "Phantom"
    ds.SeriesNumber, ds.InstanceNumber = 3, number + 1
    ds.SeriesDescription = "Abdomen portal venous"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.PatientPosition = spec.patient_position
    ds.SliceThickness = spec.thickness_mm
    if spec.modality == "CT":
        ds.KVP, ds.ConvolutionKernel = 120, "B30f"
    else:
        ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions = "GR", "SP", ""
        ds.RepetitionTime, ds.EchoTime, ds.MagneticFieldStrength = 4.0, 1.9, 1.5
        ds.MRAcquisitionType, ds.EchoTrainLength = "3D", 1
    ds.AcquisitionNumber = 1
    ds.ImageOrientationPatient = [f"{value:.8f}" for value in spec.orientation]
    ds.ImagePositionPatient = [f"{value:.8f}" for value in position]
    ds.PixelSpacing = list(spec.spacing_mm)
    set_pixels(ds, spec, image(spec, position))
    if spec.change is not None:
        spec.change(number, ds)
    return ds


def set_pixels(ds: Dataset, spec: SeriesSpec, hu: np.ndarray) -> None:
    """Store HU with the spec's rescale and type; a value for the slice's own slope may be set."""
    slope, intercept = spec.slope, spec.intercept
    if spec.signed and intercept == -1024.0:
        intercept = 0.0
    stored = np.rint((hu - intercept) / slope)
    kind = np.int16 if spec.signed else np.uint16
    limits = np.iinfo(kind)
    assert stored.min() >= limits.min
    assert stored.max() <= limits.max
    ds.Rows, ds.Columns = hu.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, spec.photometric
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, spec.bits, spec.bits - 1
    ds.PixelRepresentation = int(spec.signed)
    if spec.modality == "CT" or slope != 1 or intercept != 0:
        ds.RescaleSlope, ds.RescaleIntercept = f"{slope:.12g}", f"{intercept:.12g}"
        ds.RescaleType = "HU" if spec.modality == "CT" else "US"
    ds.PixelData = stored.astype(kind).tobytes()


def slices(spec: SeriesSpec) -> list[FileDataset]:
    return [dataset(spec, number, place) for number, place in enumerate(positions(spec))]


def save(datasets: list[FileDataset], folder: Path, *, name: str = "im{:04d}") -> list[Path]:
    """Write images without suffix, as many PACS do."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, ds in enumerate(datasets):
        path = folder / name.format(number)
        ds.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def write_series(folder: Path, spec: SeriesSpec | None = None, **changes: Any) -> SeriesSpec:
    """Write a series; keyword arguments change the spec."""
    spec = replace(spec or SeriesSpec(), **changes)
    save(slices(spec), folder)
    return spec


def without(spec: SeriesSpec, *missing: int) -> SeriesSpec:
    """The spec without the slices of these numbers."""
    heights = tuple(h for n, h in enumerate(spec.heights_mm) if n not in missing)
    return replace(spec, heights_mm=heights)


def capture(spec: SeriesSpec, *, with_place: bool = True) -> FileDataset:
    """A screen capture filed into the series; some archives copy position tags into it."""
    ds = dataset(spec, 900, positions(spec)[0] - 4 * axes(spec.orientation)[2])
    ds.SOPClassUID = SecondaryCaptureImageStorage
    ds.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    ds.ImageType = ["DERIVED", "SECONDARY"]
    if not with_place:
        del ds.ImagePositionPatient, ds.ImageOrientationPatient, ds.PixelSpacing
    return ds


def localizer(spec: SeriesSpec, *, labelled: bool) -> FileDataset:
    """A coronal scout of the same size."""
    scout = replace(spec, orientation=PLANES["coronal"], heights_mm=(0.0,), change=None)
    ds = dataset(scout, 901, positions(scout)[0])
    if labelled:
        ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    return ds


def big_endian(ds: FileDataset) -> FileDataset:
    swapped = np.frombuffer(ds.PixelData, "<u2").astype(">u2")
    ds.PixelData = swapped.tobytes()
    ds["PixelData"].VR = "OW"
    ds.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    ds.set_original_encoding(False, False, "ISO_IR 6")
    return ds


def enhanced(spec: SeriesSpec, *, order: list[int] | None = None, echoes: int = 1) -> FileDataset:
    """One enhanced multi-frame object holding the series; further echoes follow the first."""
    parts = slices(replace(spec, change=None))
    order = order or list(range(len(parts)))
    ds = parts[0]
    ds.SOPClassUID = EnhancedCTImageStorage if spec.modality == "CT" else EnhancedMRImageStorage
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    geometry = [
        (p.ImagePositionPatient, p.ImageOrientationPatient, p.PixelSpacing, p.PixelData)
        for p in parts
    ]
    for keyword in (
        "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness",
        "RescaleSlope", "RescaleIntercept", "RescaleType", "EchoTime", "AcquisitionNumber",
    ):  # fmt: skip
        if keyword in ds:
            delattr(ds, keyword)
    shared = Dataset()
    measures, plane = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = geometry[0][2], spec.thickness_mm
    plane.ImageOrientationPatient = geometry[0][1]
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([plane])
    if spec.modality == "CT":
        transform = Dataset()
        transform.RescaleSlope, transform.RescaleIntercept = spec.slope, spec.intercept
        transform.RescaleType = "HU"
        shared.PixelValueTransformationSequence = Sequence([transform])
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    frames, data = [], b""
    for echo in range(echoes):
        for index in order:
            frame, place = Dataset(), Dataset()
            place.ImagePositionPatient = geometry[index][0]
            frame.PlanePositionSequence = Sequence([place])
            if spec.modality == "MR":
                timing = Dataset()
                timing.EffectiveEchoTime = 2.3 * (echo + 1)
                frame.MREchoSequence = Sequence([timing])
            frames.append(frame)
            pixels = np.frombuffer(geometry[index][3], np.uint16)
            data += (pixels // (echo + 1)).astype(np.uint16).tobytes()
    ds.PerFrameFunctionalGroupsSequence = Sequence(frames)
    ds.NumberOfFrames = len(frames)
    ds.PixelData = data
    return ds


def _inside(volume: Any, threshold: float | None) -> np.ndarray:
    """Part of each voxel in a mask at half of the object's height.

    A voxel exactly at the level, as half-way between a slice inside and one outside, is half in.
    """
    level = (OBJECT_VALUE + OUTSIDE_VALUE) / 2 if threshold is None else threshold
    above = (volume.array > level + 0.01).astype(float)
    return (above + (volume.array >= level - 0.01)) / 2


def measured_ml(volume: Any, threshold: float | None = None) -> float:
    return float(_inside(volume, threshold).sum()) * volume.voxel_volume_ml


def measured_centre(volume: Any, threshold: float | None = None) -> np.ndarray:
    """Centre of mass of the object, RAS mm."""
    weight = _inside(volume, threshold)
    index = [
        float((weight.sum(axis=other) * np.arange(size)).sum() / weight.sum())
        for size, other in zip(weight.shape, ((1, 2), (0, 2), (0, 1)), strict=True)
    ]
    return volume.affine[:3, :3] @ index + volume.affine[:3, 3]


def read_back(path: Path) -> FileDataset:
    return pydicom.dcmread(path)
