"""Masks of liver and spleen as DICOM Segmentation, on the slices as they were acquired."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...files import atomic_path
from ..volume import Volume
from .dicom_source import SourceImages, derived_uid

MANUFACTURER = "Fibrovol"


@dataclass(frozen=True)
class Organ:
    """A mask to be written as a segment."""

    name: str
    """``Liver`` or ``Spleen``, as SNOMED CT codes of pydicom call them."""
    mask: Volume
    """Bool, on the scan's grid."""


def write_seg(
    organs: Sequence[Organ], sources: SourceImages, path: Path, *, engine: str, version: str
) -> Any:
    """Write masks as one DICOM SEG that refers to the images of their scan.

    The frames lie on the original slices, also where the scan was brought to a regular grid.

    Args:
        organs: what becomes a segment each, numbered from 1.
        sources: the scan's images, from :func:`.dicom_source.source_images`.
        path: the file; by custom ends in ``.dcm``.
        engine: name of the segmentation engine; ``existing_mask`` is written as drawn by hand.
        version: of the software.

    Returns:
        the ``highdicom.seg.Segmentation`` that was written, for :func:`.dicom_sr.write_sr`.

    Raises:
        ValueError: a mask is empty or not on the scan's grid.
    """
    import highdicom as hd  # noqa: PLC0415 - start-up time
    from pydicom.sr.codedict import codes  # noqa: PLC0415

    scan = sources.scan
    if any(one.mask.array.shape != scan.array.shape or not one.mask.array.any() for one in organs):
        raise ValueError("a mask is empty or not on the scan's grid")
    frames = np.stack([sources.frames(one.mask.array) for one in organs], axis=-1)
    manual = engine.startswith("existing_mask")
    algorithm = None
    if not manual:
        algorithm = hd.AlgorithmIdentificationSequence(
            name=engine, family=codes.cid7162.ArtificialIntelligence, version=version
        )
    segments = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=organ.name,
            segmented_property_category=codes.SCT.AnatomicalStructure,
            segmented_property_type=getattr(codes.SCT, organ.name),
            algorithm_type="MANUAL" if manual else "AUTOMATIC",
            algorithm_identification=algorithm,
            tracking_uid=tracking_uid(scan, organ.name),
            tracking_id=organ.name,
        )
        for number, organ in enumerate(organs, start=1)
    ]
    digest = hashlib.sha256(np.packbits(frames).tobytes()).hexdigest()
    first = sources.datasets[0]  # another patient's name or date in it makes another object
    whose = [str(first.PatientID), str(first.StudyDate)]
    parts = [scan.source.series_uid, digest, engine, version, sources.identity.subject, *whose]
    segmentation = hd.seg.Segmentation(
        source_images=sources.datasets,
        pixel_array=frames.astype(np.uint8),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        series_instance_uid=derived_uid([*parts, "seg series"]),
        series_number=9001,
        sop_instance_uid=derived_uid([*parts, "seg"]),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MANUFACTURER,
        software_versions=version,
        device_serial_number="none",
        content_label="LIVER",
        content_description="Liver mask",
        series_description="Liver mask (Fibrovol)",
    )
    with atomic_path(Path(path)) as temporary:
        segmentation.save_as(temporary)
    return segmentation


def tracking_uid(scan: Volume, organ: str) -> str:
    """What the segment and its measurement are known by, the same in every object about them."""
    return derived_uid([scan.source.series_uid, organ.lower()])
