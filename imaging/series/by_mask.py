"""Choose which series of a folder a given mask was drawn on, by what the mask refers to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...errors import RegionError
from ..masks.gate import references_in
from ..masks.references import References
from ..readers.dicom import DicomListing
from ..readers.dicom_stack import Stack
from .choice import SeriesChoice, choose, load_rules
from .find import Listing
from .summary import SeriesSummary


def choose_by_mask(
    listing: Listing, mask: Path, *, modality: str = "", match: SeriesSummary | None = None
) -> SeriesChoice | None:
    """Choose the series of a folder that a mask was drawn on.

    Where the mask fits several series, as the phases of one frame of reference, the rules of
    configs/series.yaml choose among these.

    Args:
        listing: of the folder.
        mask: the mask's file, or its folder.
        modality: as the user stated it, "" for any.
        match: the series of the subject's first visit.

    Returns:
        None if the mask refers to nothing, as NIfTI does: then the rules choose among all.

    Raises:
        RegionError: ``bad_region``: the mask was drawn on none of the series.
        ScanError: the one that it was drawn on cannot be measured, with why; or the rules do not
            distinguish those that it fits.
    """
    references = references_in(mask)
    if not references:
        return None
    every = [one for part in listing.dicom.series for one in part.stacks]
    stacks = drawn_on(references, every)
    if not stacks:
        _refuse_left_out(references, listing.dicom, mask.name)
        stacks = in_its_frame(references, every)
    if not stacks:
        raise _on_none(references, every, mask.name)
    good = {stack.uid for stack in stacks if stack.problem is None}
    if not good:
        worst = max(stacks, key=lambda stack: len(stack.slices))
        assert worst.problem is not None
        raise worst.problem
    series = [one for one in listing.series if one.series_uid in good]
    chosen = choose(series, listing.path, modality=modality, match=match, rules=load_rules())
    return replace(chosen, by_mask=True)


def drawn_on(references: References, stacks: Sequence[Stack]) -> list[Stack]:
    """Those of some stacks that a mask was drawn on: by most of its images, else by the series.

    A mask that names other images of a series, as after another export, still belongs to it.

    Args:
        references: of the mask.
        stacks: of a folder.
    """
    for count in (references.count_drawn, references.count_listed):
        hits = {stack.uid: count(stack.slices) for stack in stacks}
        most = max(hits.values(), default=0)
        if most:
            return [stack for stack in stacks if hits[stack.uid] == most]
    return [stack for stack in stacks if stack.slices[0].series_uid in references.series]


def in_its_frame(references: References, stacks: Sequence[Stack]) -> list[Stack]:
    """Those of the mask's study in its frame of reference: drawn on another series of the visit."""
    return [
        stack
        for stack in stacks
        if stack.slices[0].frame_of_reference_uid in references.frames
        and references.study in ("", stack.slices[0].study_uid)
    ]


def _refuse_left_out(references: References, listing: DicomListing, name: str) -> None:
    """What was drawn on a projection or a map is no liver of a plain series."""
    for part in listing.series:
        for left in part.left_out:
            if part.uid in references.series or references.count_listed(left.images):
                raise RegionError(
                    "bad_region",
                    f"The mask {name} was drawn on images that are not measured",
                    found=left.reason,
                    do="draw it on a plain series, or say which series it fits with --series-uid",
                )


def _on_none(references: References, stacks: Sequence[Stack], name: str) -> RegionError:
    """What shows that the mask is of somebody or something else."""
    heads = [stack.slices[0] for stack in stacks]
    others = {
        "another patient": (references.patient, {head.patient_id for head in heads}),
        "another study": (references.study, {head.study_uid for head in heads}),
    }
    found = [what for what, (own, theirs) in others.items() if own and own not in theirs]
    if references.frames and not references.frames & {one.frame_of_reference_uid for one in heads}:
        found.append("another frame of reference")
    return RegionError(
        "bad_region",
        f"The mask {name} was drawn on none of the {len(heads)} series of the folder",
        found=", ".join([*found, "other images and series"]),
        do="give the folder of the series that it was drawn on, or the mask of this visit",
    )
