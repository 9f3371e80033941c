"""All DICOM results of one measurement: a segmentation and a report on it."""

from __future__ import annotations

import logging
from pathlib import Path

from ...errors import OutputError
from ..measure import LiverMeasurement
from .dicom_seg import Organ, write_seg
from .dicom_source import Identity, source_images
from .dicom_sr import Size, write_sr

NOT_WRITTEN = "dicom_not_written"


def write_results(
    liver: LiverMeasurement, folder: Path, stem: str, *, identity: Identity, version: str
) -> tuple[str, ...]:
    """Write ``STEM_liver.seg.dcm`` and ``STEM_volume.sr.dcm`` for the liver, and the spleen if any.

    The images of the scan are looked up once for both. Whatever goes wrong in the export is said
    in the case's log and leaves the measurement alone.

    Args:
        liver: the measurement.
        folder: where to write.
        stem: how the files' names begin.
        identity: whose result it is.
        version: of the software.

    Returns:
        flags: ``dicom_not_written`` where there is no DICOM result, ``frame_of_reference_made_up``
        where the images state none.

    Raises:
        OutputError: ``output_not_writable``, which is not the case's fault.
        OSError: the disk cannot be written.
    """
    log = logging.getLogger("fibrovol.case")
    written = [folder / f"{stem}_liver.seg.dcm", folder / f"{stem}_volume.sr.dcm"]
    organs = [Organ("Liver", liver.mask)]
    limits = None
    if liver.volume_ml_low is not None and liver.volume_ml_high is not None:
        limits = (liver.volume_ml_low, liver.volume_ml_high)
    sizes = [Size("Liver", liver.volume_ml, limits)]
    if liver.spleen_mask is not None and liver.spleen_volume_ml is not None:
        organs.append(Organ("Spleen", liver.spleen_mask))
        sizes.append(Size("Spleen", liver.spleen_volume_ml))
    try:
        sources = source_images(liver.volume, identity)
        segmentation = write_seg(organs, sources, written[0], engine=liver.engine, version=version)
        write_sr(segmentation, sources, sizes, written[1], engine=liver.engine, version=version)
    except OSError:
        raise
    except OutputError as error:
        if error.code != "no_dicom_source":
            raise
        log.warning("%s", error)
    except Exception as error:  # of highdicom and pydicom, for values that they do not take
        log.exception("the DICOM results could not be made: %s", type(error).__name__)
    else:
        return ("frame_of_reference_made_up",) if sources.made_up_frame else ()
    for path in written:
        path.unlink(missing_ok=True)
    return (NOT_WRITTEN,)
