"""The liver mask as DICOM Segmentation, on the slices as they were acquired."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from ...files import atomic_path
from ..volume import Volume
from .dicom_source import Identity, derived_uid, source_images

MANUFACTURER = "Fibrovol"


def write_seg(
    mask: Volume, scan: Volume, path: Path, *, identity: Identity, engine: str, version: str
) -> Any:
    """Write a mask as DICOM SEG that refers to the images of its scan.

    The frames lie on the original slices, also where the scan was brought to a regular grid.

    Args:
        mask: bool, on the scan's grid.
        scan: as ``read_scan`` gave it, from DICOM.
        path: the file; by custom ends in ``.dcm``.
        identity: whose result it is; see :class:`Identity`.
        engine: name of the segmentation engine; ``existing_mask`` is written as drawn by hand.
        version: of the software.

    Returns:
        the ``highdicom.seg.Segmentation`` that was written, for :func:`.dicom_sr.write_sr`.

    Raises:
        OutputError: ``no_dicom_source``.
        ValueError: the mask is empty or not on the scan's grid.
    """
    import highdicom as hd  # noqa: PLC0415 - start-up time
    from pydicom.sr.codedict import codes  # noqa: PLC0415

    if mask.array.shape != scan.array.shape or not mask.array.any():
        raise ValueError("the mask is empty or not on the scan's grid")
    sources = source_images(scan, identity)
    frames = sources.frames(mask.array)
    manual = engine.startswith("existing_mask")
    algorithm = None
    if not manual:
        algorithm = hd.AlgorithmIdentificationSequence(
            name=engine, family=codes.cid7162.ArtificialIntelligence, version=version
        )
    liver = hd.seg.SegmentDescription(
        segment_number=1,
        segment_label="Liver",
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=codes.SCT.Liver,
        algorithm_type="MANUAL" if manual else "AUTOMATIC",
        algorithm_identification=algorithm,
        tracking_uid=derived_uid([scan.source.series_uid, "liver"]),
        tracking_id="Liver",
    )
    digest = hashlib.sha256(np.packbits(frames).tobytes()).hexdigest()
    first = sources.datasets[0]  # another patient's name or date in it makes another object
    whose = [str(first.PatientID), str(first.StudyDate)]
    parts = [scan.source.series_uid, digest, engine, version, identity.subject, *whose]
    segmentation = hd.seg.Segmentation(
        source_images=sources.datasets,
        pixel_array=frames.astype(np.uint8),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[liver],
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
