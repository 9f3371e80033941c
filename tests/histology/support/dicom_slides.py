"""DICOM whole-slide images (VL Whole Slide Microscopy), a file an image of the pyramid.

Written from the standard alone, with pydicom, and not with the library that reads them: PS3.3
A.32.8 (the object), C.8.12.4 (image), C.8.12.6 (plane position), C.7.6.17 (tiles: TILED_FULL lists
none of its places, TILED_SPARSE all of those it has), C.7.6.16.2.2.4 (concatenations).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import JPEGBaseline8Bit, generate_uid

from .pictures import Rgb, jpeg, macro_picture, pyramid, widened

_WSI = "1.2.840.10008.5.1.4.1.1.77.1.6"
_TILE = 256

Place = tuple[int, int]  # row and column of a tile


def write_dicom(
    folder: Path,
    rgb: Rgb,
    mpp_um: tuple[float, float] | None,
    *,
    levels: int = 3,
    sparse: Callable[[int, Place], bool] | None = None,
    parts: int = 1,
    macro: bool = True,
    change: Callable[[Dataset], None] | None = None,
) -> Path:
    """Write a slide as a folder of DICOM files.

    Args:
        folder: made where it is missing.
        rgb: the picture.
        mpp_um: pixel size along x and y; None leaves it out.
        levels: number of levels, each half the one before.
        sparse: which tiles of a level are stored; all, as TILED_FULL, where None.
        parts: into how many files of a concatenation the finest level is split.
        macro: whether an overview and a label lie beside the levels.
        change: changes each data set before it is written.
    """
    folder.mkdir(exist_ok=True)
    study, series, frame = (generate_uid(entropy_srcs=[name]) for name in ("study", "series", "f"))

    def save(dataset: Dataset, name: str) -> None:
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
        dataset.FrameOfReferenceUID = frame
        if change is not None:
            change(dataset)
        dataset.save_as(folder / name, enforce_file_format=True)

    for number, level in enumerate(pyramid(rgb, levels)):
        mpp = (mpp_um[0] * 2**number, mpp_um[1] * 2**number) if mpp_um else None
        tiles = _tiles(level)
        chosen = {p: t for p, t in tiles.items() if sparse is None or sparse(number, p)}
        groups = np.array_split(np.arange(len(chosen)), parts if number == 0 else 1)
        for part, group in enumerate(groups):
            kept = dict(list(chosen.items())[group[0] : group[-1] + 1])
            dataset = _image("VOLUME", level.shape[:2], kept, mpp, sparse is not None)
            dataset.InstanceNumber = number + 1
            if len(groups) > 1:
                _concatenate(dataset, part, len(groups), int(group[0]))
            save(dataset, f"level{number}_{part}.dcm")
    if macro:
        for kind in ("OVERVIEW", "LABEL"):
            picture = macro_picture(_TILE, _TILE)
            save(_image(kind, picture.shape[:2], _tiles(picture), None, False), f"{kind}.dcm")
    return folder


def _tiles(rgb: Rgb) -> dict[Place, Rgb]:
    down, across = (-(-n // _TILE) for n in rgb.shape[:2])
    padded = widened(rgb, down * _TILE, across * _TILE)
    return {
        (row, column): padded[
            row * _TILE : (row + 1) * _TILE, column * _TILE : (column + 1) * _TILE
        ]
        for row in range(down)
        for column in range(across)
    }


def _image(
    kind: str,
    shape: tuple[int, ...],
    tiles: dict[Place, Rgb],
    mpp_um: tuple[float, float] | None,
    sparse: bool,
) -> Dataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = _WSI
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = JPEGBaseline8Bit
    found = Dataset()
    found.file_meta = meta
    found.SOPClassUID, found.SOPInstanceUID = _WSI, meta.MediaStorageSOPInstanceUID
    found.Modality = "SM"
    found.ImageType = ["ORIGINAL", "PRIMARY", kind, "NONE"]
    found.VolumetricProperties = "VOLUME"
    found.PatientName = found.PatientID = found.StudyID = found.AccessionNumber = ""
    found.StudyDate, found.StudyTime = "20200101", "000000"
    found.AcquisitionDateTime = "20200101000000"
    found.ContainerIdentifier = "1"
    found.Rows = found.Columns = _TILE
    found.TotalPixelMatrixRows, found.TotalPixelMatrixColumns = shape
    found.TotalPixelMatrixFocalPlanes = found.NumberOfOpticalPaths = 1
    found.ImageOrientationSlide = [0, -1, 0, -1, 0, 0]
    origin = Dataset()
    origin.XOffsetInSlideCoordinateSystem = origin.YOffsetInSlideCoordinateSystem = 20.0
    found.TotalPixelMatrixOriginSequence = Sequence([origin])
    found.SamplesPerPixel, found.PhotometricInterpretation = 3, "YBR_FULL_422"
    found.PlanarConfiguration = found.PixelRepresentation = 0
    found.BitsAllocated = found.BitsStored = 8
    found.HighBit = 7
    found.LossyImageCompression, found.BurnedInAnnotation = "01", "NO"
    found.SpecimenLabelInImage = "YES" if kind == "LABEL" else "NO"
    found.FocusMethod, found.ExtendedDepthOfField = "AUTO", "NO"
    found.ImagedVolumeWidth = found.ImagedVolumeHeight = found.ImagedVolumeDepth = 1.0
    if mpp_um is not None:
        found.ImagedVolumeWidth = shape[1] * mpp_um[0] / 1000
        found.ImagedVolumeHeight = shape[0] * mpp_um[1] / 1000
    found.OpticalPathSequence = Sequence([_optical_path()])
    found.DimensionOrganizationType = "TILED_SPARSE" if sparse else "TILED_FULL"
    shared = Dataset()
    measures = Dataset()
    measures.SliceThickness = 0.001
    if mpp_um is not None:  # row spacing first: the distance along y
        measures.PixelSpacing = [mpp_um[1] / 1000, mpp_um[0] / 1000]
    shared.PixelMeasuresSequence = Sequence([measures])
    found.SharedFunctionalGroupsSequence = Sequence([shared])
    if sparse:
        found.PerFrameFunctionalGroupsSequence = Sequence([_position(place) for place in tiles])
    found.NumberOfFrames = len(tiles)
    found.PixelData = encapsulate([jpeg(tile) for tile in tiles.values()])
    found["PixelData"].is_undefined_length = True
    return found


def _optical_path() -> Dataset:
    path, light = Dataset(), Dataset()
    path.OpticalPathIdentifier = "1"
    light.CodeValue, light.CodingSchemeDesignator = "111744", "DCM"
    light.CodeMeaning = "Brightfield illumination"
    path.IlluminationTypeCodeSequence = Sequence([light])
    return path


def _position(place: Place) -> Dataset:
    item, plane, identity = Dataset(), Dataset(), Dataset()
    plane.RowPositionInTotalImagePixelMatrix = place[0] * _TILE + 1
    plane.ColumnPositionInTotalImagePixelMatrix = place[1] * _TILE + 1
    plane.XOffsetInSlideCoordinateSystem = plane.YOffsetInSlideCoordinateSystem = 0.0
    plane.ZOffsetInSlideCoordinateSystem = 0.0
    item.PlanePositionSlideSequence = Sequence([plane])
    identity.OpticalPathIdentifier = "1"
    item.OpticalPathIdentificationSequence = Sequence([identity])
    return item


def _concatenate(dataset: Dataset, part: int, parts: int, offset: int) -> None:
    dataset.ConcatenationUID = generate_uid(entropy_srcs=["concatenation"])
    dataset.SOPInstanceUIDOfConcatenationSource = generate_uid(entropy_srcs=["source"])
    dataset.InConcatenationNumber = part + 1
    dataset.InConcatenationTotalNumber = parts
    dataset.ConcatenationFrameOffsetNumber = offset
