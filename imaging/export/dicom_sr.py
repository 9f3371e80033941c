"""Volumes as DICOM Structured Report, template TID 1500."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...files import atomic_path
from .dicom_seg import MANUFACTURER, tracking_uid
from .dicom_source import SourceImages, derived_uid


@dataclass(frozen=True)
class Size:
    """A measured volume."""

    name: str
    """Of the organ, as its segment is called."""
    volume_ml: float
    limits_ml: tuple[float, float] | None = None
    """95 % limits, None if the engine gives none."""


def write_sr(
    segmentation: Any,
    sources: SourceImages,
    sizes: Sequence[Size],
    path: Path,
    *,
    engine: str,
    version: str,
) -> Any:
    """Write volumes as a TID 1500 report that refers to the segmentation and the images.

    Codes: liver SCT 10200004, spleen SCT 78961009, volume SCT 118565006 in UCUM cm3 (1 mL), method
    DCM 126030 "Sum of segmented voxel method for volume". The 95 % limits stand as upper and lower
    uncertainty.

    Args:
        segmentation: what :func:`.dicom_seg.write_seg` returned.
        sources: the scan's images.
        sizes: one for each segment, in their order.
        path: the file.
        engine: name of the segmentation engine.
        version: of the software.

    Returns:
        the ``highdicom.sr.Comprehensive3DSR`` that was written.
    """
    import highdicom as hd  # noqa: PLC0415 - start-up time
    from pydicom.sr.codedict import codes  # noqa: PLC0415

    groups = [
        _group(segmentation, number, size, sources, hd.sr.AlgorithmIdentification(engine, version))
        for number, size in enumerate(sizes, start=1)
    ]
    observer = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=derived_uid(["device", version]),
        name=MANUFACTURER,
        manufacturer_name=MANUFACTURER,
        model_name=MANUFACTURER,
    )
    report = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(
            observer_device_context=hd.sr.ObserverContext(
                observer_type=codes.DCM.Device, observer_identifying_attributes=observer
            )
        ),
        procedure_reported=codes.LN.CTUnspecifiedBodyRegion
        if sources.scan.modality == "CT"
        else codes.LN.MRIUnspecifiedBodyRegion,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    parts = [segmentation.SOPInstanceUID, *(f"{one.volume_ml:.3f}" for one in sizes), version]
    document = hd.sr.Comprehensive3DSR(
        evidence=[*sources.datasets, segmentation],
        content=report,
        series_instance_uid=derived_uid([*parts, "sr series"]),
        series_number=9002,
        sop_instance_uid=derived_uid([*parts, "sr"]),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_verified=False,
        series_description="Liver volume (Fibrovol)",
    )
    with atomic_path(Path(path)) as temporary:
        document.save_as(temporary)
    return document


def _group(
    segmentation: Any, number: int, size: Size, sources: SourceImages, algorithm: Any
) -> Any:
    """The measurement of one segment."""
    import highdicom as hd  # noqa: PLC0415 - start-up time
    from pydicom.sr.codedict import codes  # noqa: PLC0415

    properties = None
    if size.limits_ml is not None:
        properties = hd.sr.MeasurementProperties(
            upper_measurement_uncertainty=round(size.limits_ml[1] - size.volume_ml, 3),
            lower_measurement_uncertainty=round(size.volume_ml - size.limits_ml[0], 3),
        )
    measurement = hd.sr.Measurement(
        name=codes.SCT.Volume,
        value=round(size.volume_ml, 3),
        unit=codes.UCUM.CubicCentimeter,
        method=codes.DCM.SumOfSegmentedVoxelMethodForVolume,
        properties=properties,
        algorithm_id=algorithm,
    )
    return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(
            uid=tracking_uid(sources.scan, size.name), identifier=size.name
        ),
        referenced_segment=hd.sr.ReferencedSegment(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            segment_number=number,
            source_series=hd.sr.SourceSeriesForSegmentation(
                referenced_series_instance_uid=sources.datasets[0].SeriesInstanceUID
            ),
        ),
        finding_type=codes.SCT.Organ,
        finding_sites=[hd.sr.FindingSite(anatomic_location=getattr(codes.SCT, size.name))],
        measurements=[measurement],
    )
