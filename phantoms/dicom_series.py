"""Write an axial stack as DICOM files that any reader accepts.

Everything in the files follows from the seeds: the same phantom gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from ..errors import OutputError
from .canvas import Grid
from .shapes import Array


@dataclass(frozen=True)
class SeriesIdentity:
    """Who and what a phantom series is; all of it made up.

    Attributes:
        subject: PatientID.
        study_date: ISO date.
        body_seed, scan_seed: they give the UIDs.
        description: SeriesDescription.
    """

    subject: str
    study_date: str
    body_seed: int
    scan_seed: int
    description: str

    def uid(self, what: str) -> str:
        """A UID that depends on the identity and ``what`` alone."""
        sources = [
            "fibrovol phantom", self.subject, self.study_date, str(self.body_seed),
            str(self.scan_seed), self.description, what,
        ]  # fmt: skip
        return str(generate_uid(entropy_srcs=sources))


def write_series(
    directory: Path, image: Array, grid: Grid, modality: str, identity: SeriesIdentity
) -> str:
    """Write a stack as one DICOM file a slice, feet first in the numbering.

    Args:
        directory: is created.
        image: HU or signal, shape (slices, rows, columns).
        grid: places the stack in LPS.
        modality: "CT" or "MR".
        identity: names and UIDs.

    Returns:
        SeriesInstanceUID.

    Raises:
        OutputError: the folder contains other files, which would mix with the series.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    names = {f"IM{number:04d}.dcm" for number in range(1, image.shape[0] + 1)}
    strangers = sorted(p.name for p in directory.iterdir() if p.name not in names)
    if strangers:
        raise OutputError(
            "output_not_writable",
            f"the folder {directory} for a phantom series is not empty",
            found=", ".join(strangers[:3]),
            do="choose another folder or empty this one",
        )
    offset = 1024.0 if modality == "CT" else 0.0
    stored = np.clip(np.rint(image + offset), 0, 65535).astype("<u2")
    series_uid = identity.uid("series")
    dataset = _common(modality, identity, grid, series_uid)
    for index in range(stored.shape[0]):
        number = index + 1
        uid = identity.uid(f"slice {number}")
        dataset.SOPInstanceUID = uid
        dataset.InstanceNumber = number
        z, y, x = grid.first_mm
        position = z + grid.spacing_mm[0] * index
        dataset.ImagePositionPatient = [_decimal(v) for v in (x, y, position)]
        dataset.SliceLocation = _decimal(position)
        dataset.PixelData = stored[index].tobytes()
        _save(directory / f"IM{number:04d}.dcm", dataset, uid)
    return series_uid


def _common(modality: str, identity: SeriesIdentity, grid: Grid, series_uid: str) -> Dataset:
    """Everything that the slices share."""
    ds = Dataset()
    date = identity.study_date.replace("-", "")
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = CTImageStorage if modality == "CT" else MRImageStorage
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = date
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "090000"
    ds.AccessionNumber = ""
    ds.Modality = modality
    ds.Manufacturer = "Fibrovol"
    ds.ManufacturerModelName = "Phantom"
    ds.ReferringPhysicianName = ""
    ds.StudyDescription = "Abdomen phantom"
    ds.SeriesDescription = identity.description
    ds.PatientName = f"Phantom^{identity.subject}"
    ds.PatientID = identity.subject
    ds.PatientBirthDate = ""
    ds.PatientSex = "O"
    ds.PatientPosition = "HFS"
    ds.BodyPartExamined = "ABDOMEN"
    ds.StudyInstanceUID = identity.uid("study")
    ds.SeriesInstanceUID = series_uid
    ds.FrameOfReferenceUID = identity.uid("frame")
    ds.PositionReferenceIndicator = ""
    ds.StudyID = "1"
    ds.SeriesNumber = 2
    ds.AcquisitionNumber = 1
    dz, dy, dx = grid.spacing_mm
    ds.SliceThickness = _decimal(dz)
    ds.SpacingBetweenSlices = _decimal(dz)
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing = [_decimal(dy), _decimal(dx)]
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = int(grid.shape[1]), int(grid.shape[2])
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
    ds.PixelRepresentation = 0
    _add_modality(ds, modality, identity)
    return ds


def _add_modality(ds: Dataset, modality: str, identity: SeriesIdentity) -> None:
    """What only a CT or only an MR states."""
    if modality == "CT":
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.KVP = 120
        ds.ConvolutionKernel = "STANDARD"
        ds.ContrastBolusAgent = "simulated"
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = -1024, 1, "HU"
        ds.WindowCenter, ds.WindowWidth = 60, 400
    else:
        ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "NONE"]
        t2 = "T2" in identity.description
        ds.ScanningSequence = "SE" if t2 else "GR"
        ds.SequenceVariant = "SK" if t2 else "SP"
        ds.ScanOptions = "FS"
        ds.MRAcquisitionType = "2D" if t2 else "3D"
        ds.RepetitionTime, ds.EchoTime = (1800, 70) if t2 else (4, 2.4)
        ds.EchoTrainLength = 20 if t2 else 1
        ds.FlipAngle = 90 if t2 else 10
        ds.MagneticFieldStrength = 1.5
        ds.WindowCenter, ds.WindowWidth = 350, 700


def _save(path: Path, dataset: Dataset, uid: str) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationVersionName = "FIBROVOL"
    file = FileDataset(str(path), dataset, file_meta=meta, preamble=b"\0" * 128)
    pydicom.dcmwrite(path, file, enforce_file_format=True)


def _decimal(value: float) -> str:
    """A DICOM decimal string to a tenth of a micrometre: at most 16 characters, never rounded off.

    Positions must step evenly: six significant digits would move slices by half a micrometre.
    """
    return f"{value:.4f}".rstrip("0").rstrip(".")
