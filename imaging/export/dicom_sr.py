"""The liver volume as DICOM Structured Report, template TID 1500."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...files import atomic_path
from ..volume import Volume
from .dicom_seg import MANUFACTURER
from .dicom_source import Identity, derived_uid, source_images


def write_sr(
    segmentation: Any,
    scan: Volume,
    path: Path,
    *,
    volume_ml: float,
    limits_ml: tuple[float, float] | None,
    identity: Identity,
    engine: str,
    version: str,
) -> Any:
    """Write the volume as a TID 1500 report that refers to the segmentation and the images.

    Codes: liver SCT 10200004, volume SCT 118565006 in UCUM cm3 (1 mL), method DCM 126030 "Sum of
    segmented voxel method for volume". The 95 % limits stand as upper and lower uncertainty.

    Args:
        segmentation: what :func:`.dicom_seg.write_seg` returned.
        scan: as ``read_scan`` gave it.
        path: the file.
        volume_ml: liver volume in mL.
        limits_ml: 95 % limits in mL, None where the engine gives none.
        identity: whose result it is.
        engine: name of the segmentation engine.
        version: of the software.

    Returns:
        the ``highdicom.sr.Comprehensive3DSR`` that was written.

    Raises:
        OutputError: ``no_dicom_source``.
    """
    import highdicom as hd  # noqa: PLC0415 - start-up time
    from pydicom.sr.codedict import codes  # noqa: PLC0415

    sources = source_images(scan, identity)
    properties = None
    if limits_ml is not None:
        properties = hd.sr.MeasurementProperties(
            upper_measurement_uncertainty=round(limits_ml[1] - volume_ml, 3),
            lower_measurement_uncertainty=round(volume_ml - limits_ml[0], 3),
        )
    algorithm = hd.sr.AlgorithmIdentification(name=engine, version=version)
    measurement = hd.sr.Measurement(
        name=codes.SCT.Volume,
        value=round(volume_ml, 3),
        unit=codes.UCUM.CubicCentimeter,
        method=codes.DCM.SumOfSegmentedVoxelMethodForVolume,
        properties=properties,
        algorithm_id=algorithm,
    )
    group = hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(
            uid=derived_uid([scan.source.series_uid, "liver"]), identifier="Liver"
        ),
        referenced_segment=hd.sr.ReferencedSegment(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            segment_number=1,
            source_series=hd.sr.SourceSeriesForSegmentation(
                referenced_series_instance_uid=sources.datasets[0].SeriesInstanceUID
            ),
        ),
        finding_type=codes.SCT.Organ,
        finding_sites=[hd.sr.FindingSite(anatomic_location=codes.SCT.Liver)],
        measurements=[measurement],
    )
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
        if scan.modality == "CT"
        else codes.LN.MRIUnspecifiedBodyRegion,
        imaging_measurements=[group],
        title=codes.DCM.ImagingMeasurementReport,
    )
    parts = [segmentation.SOPInstanceUID, f"{volume_ml:.3f}", version]
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
