"""Masks of liver and spleen as DICOM Segmentation, on the slices as they were acquired."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...files import atomic_path
from ..volume import Volume
from .dicom_source import SourceImages, derived_uid

MANUFACTURER = "Fibrovol"
_MOST_FILLERS = 16  # frames: their number repeats what a viewer may trip over after 16 at most
NOTHING = "Empty (for viewers)"
"""Label of a segment without a voxel, whose empty frames make the length even."""


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

    The frames lie on the original slices, also where the scan was brought to a regular grid. Where
    some viewers would trip over the length of the pixel data, an empty frame or a few are added;
    if the organs are on every slice, they belong to a segment of their own, :data:`NOTHING`.

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
    drawn = np.stack([sources.frames(one.mask.array) for one in organs], axis=-1)
    frames, fillers = _with_fillers(drawn)
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
    segments += [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=NOTHING,
            segmented_property_category=codes.SCT.SpatialAndRelationalConcept,
            segmented_property_type=codes.DCM.Background,
            algorithm_type="MANUAL",
        )
        for number in range(len(organs) + 1, frames.shape[3] + 1)
    ]
    digest = hashlib.sha256(np.packbits(drawn).tobytes()).hexdigest()
    first = sources.datasets[0]  # another patient's name or date in it makes another object
    whose = [str(first.PatientID), str(first.StudyDate)]
    parts = [scan.source.series_uid, digest, engine, version, sources.identity.subject, *whose]
    segmentation = hd.seg.Segmentation(
        source_images=sources.datasets,
        pixel_array=_marked(frames, fillers),
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
    _clear(segmentation, fillers, sources)
    with atomic_path(Path(path)) as temporary:
        segmentation.save_as(temporary)
    return segmentation


def every_viewer_reads(n_frames: int, n_pixels: int) -> bool:
    """Whether a viewer that tells the layout of the bits by their length finds the right one.

    PS3.5 8.1.1 packs all frames' bits without a gap and A.2 pads the value to an even length. What
    OHIF reads with (@cornerstonejs/adapters, getBitmapFramesFromDataset) knows no padding byte: it
    refuses it, or takes the length for that of frames that begin on a byte each and shifts them.

    Args:
        n_frames: of the object.
        n_pixels: of one frame.
    """
    length = -(-n_frames * n_pixels // 8)
    by_frame = n_frames * -(-n_pixels // 8)
    return length % 2 == 0 and (length != by_frame or n_pixels % 8 == 0 or n_frames == 1)


def _with_fillers(
    drawn: NDArray[np.bool_],
) -> tuple[NDArray[np.bool_], list[tuple[int, int]]]:
    """Empty frames to be written all the same, so that every viewer reads the object.

    Args:
        drawn: (frames of the source, rows, columns, organs).

    Returns:
        the frames, with empty segments after the organs if these leave too few frames free, and
        the fillers: index of the source's frame and of the segment.
    """
    frames = drawn
    while (fillers := _fillers(frames)) is None:
        frames = np.concatenate([frames, np.zeros_like(frames[..., :1])], axis=-1)
    return frames, fillers


def _fillers(frames: NDArray[np.bool_]) -> list[tuple[int, int]] | None:
    """The fillers, next to the organs where they can be; None if the empty frames are too few."""
    filled: NDArray[np.bool_] = np.any(frames, axis=(1, 2))
    n_pixels = frames.shape[1] * frames.shape[2]
    n_frames = int(filled.sum())
    free = [(int(at), int(organ)) for at, organ in np.argwhere(~filled)]
    used = [np.flatnonzero(filled[:, organ]) for organ in range(frames.shape[3])]
    free.sort(
        key=lambda one: (
            len(used[one[1]]) == 0,  # a segment for fillers alone is the last resort
            int(np.abs(used[one[1]] - one[0]).min(initial=len(frames))),
            one,
        )
    )
    for extra in range(min(len(free), _MOST_FILLERS) + 1):
        if every_viewer_reads(n_frames + extra, n_pixels):
            return free[:extra]
    return None


def _marked(frames: NDArray[np.bool_], fillers: Sequence[tuple[int, int]]) -> NDArray[np.uint8]:
    """The frames for highdicom, which leaves out every empty one: a filler has one voxel set."""
    marked = frames.astype(np.uint8)
    for at, organ in fillers:
        marked[at, 0, 0, organ] = 1
    return marked


def _clear(segmentation: Any, fillers: Sequence[tuple[int, int]], sources: SourceImages) -> None:
    """Take the voxel out of the fillers again."""
    if not fillers:
        return
    one_file = len(sources.datasets) == 1  # multi-frame: its frames are distinguished by number
    images = [str(image.SOPInstanceUID) for image in sources.datasets]
    wanted = {(at, organ + 1) for at, organ in fillers}
    n_pixels = int(segmentation.Rows) * int(segmentation.Columns)
    shared = segmentation.SharedFunctionalGroupsSequence[0]

    def group(frame: Any, keyword: str) -> Any:
        """What holds for all frames is said once."""
        return (frame if keyword in frame else shared)[keyword].value[0]

    data = bytearray(segmentation.PixelData)
    cleared = set()
    for number, frame in enumerate(segmentation.PerFrameFunctionalGroupsSequence):
        source = group(frame, "DerivationImageSequence").SourceImageSequence[0]
        if one_file:
            at = int(source.ReferencedFrameNumber) - 1
        else:
            at = images.index(str(source.ReferencedSOPInstanceUID))
        segment = group(frame, "SegmentIdentificationSequence").ReferencedSegmentNumber
        which = (at, int(segment))
        if which in wanted:
            byte, bit = divmod(number * n_pixels, 8)
            data[byte] &= ~(1 << bit) & 0xFF
            cleared.add(which)
    if cleared != wanted:
        raise ValueError("the frames of the segmentation are not those that were to be written")
    segmentation.PixelData = bytes(data)


def tracking_uid(scan: Volume, organ: str) -> str:
    """What the segment and its measurement are known by, the same in every object about them."""
    return derived_uid([scan.source.series_uid, organ.lower()])
