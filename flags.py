"""The table of flags. Results carry the codes, joined by ``;``.

A flag never replaces a number: it says what a reader must know before trusting it. A flag that is
*doubtful* also keeps its number out of every comparison until a reader has accepted the case.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Flag:
    """What a code in a ``flags`` column says."""

    sentence: str
    """What a reader must know before trusting the number."""
    doubtful: bool = False
    """Whether the number may be wrong outright: it stays in its table, but is not compared
    until a reader accepts the case."""
    incomplete: tuple[str, ...] = ()
    """Keys of the measures (measures.py) that are larger than their number: these are not compared
    until a reader accepts the case, unless the visit has another scan without the flag."""


FLAGS: dict[str, Flag] = {
    # scans
    "uneven_slices": Flag(
        "Slices were unevenly spaced; the scan was resampled from their positions.",
    ),
    "missing_slices": Flag("Slices are missing inside the series; they were interpolated."),
    "gantry_tilt": Flag(
        "The gantry was tilted; the slices were sheared back to a rectangular grid.",
    ),
    "shifted_slices": Flag(
        "Slices were displaced sideways; they were moved to their true positions.",
    ),
    "duplicate_slices": Flag("Some slices were present twice; one copy of each was kept."),
    "repeated_slices": Flag(
        "Slices show exactly the picture of others elsewhere in the scan: copies may stand where "
        "the true slices were lost.",
        doubtful=True,
    ),
    "no_rescale": Flag(
        "The CT states no rescale to Hounsfield units; stored values were taken as HU.",
    ),
    "thick_slices": Flag(
        "The slices are thicker than 5 mm; the volume may be off by several per cent.",
    ),
    "liver_cut_off": Flag(
        "The liver touches the edge of the scan; the true volume is larger.",
        incomplete=("liver_volume_ml", "liver_spleen_ratio"),
    ),
    "mr_unvalidated": Flag(
        "The network was not trained on MR. On eight fat-suppressed T2 scans (CHAOS) its Dice was "
        "0.91 (median), 0.88 at worst, its volume off by 4 % on average, 11 % at worst; no other "
        "sequence was measured: check the contour.",
    ),
    "low_confidence": Flag("The limits of the liver volume are wider than 25 %."),
    "device_fallback": Flag(
        "The graphics card's memory was not enough: the processor measured the rest of the scan.",
    ),
    "small_liver": Flag("The liver is smaller than 400 mL: check the picture."),
    "large_liver": Flag("The liver is larger than 4,000 mL: check the picture."),
    "correction_outdated": Flag(
        "A reader had corrected another version of this scan or slide; that correction is not in "
        "the number.",
        doubtful=True,
    ),
    "corrected_by_reader": Flag(
        "A reader corrected the outline; the limits are those of human reading."
    ),
    "regions_by_reader": Flag(
        "A reader drew areas to leave out or to keep to, or picked the white of the glass; the "
        "slide was measured again with them."
    ),
    "patient_id_differs": Flag(
        "The images of this subject state more than one PatientID: check that they are one person.",
    ),
    "another_person": Flag(
        "The images of this subject state two birth dates or sexes: they may be of two people.",
        doubtful=True,
    ),
    "images_set_aside": Flag(
        "Images of the series without a stated position were left out; inspect lists them.",
    ),
    "orientation_doubtful": Flag(
        "The liver lies on the left of the body, the spine in front, or the network finds more "
        "organ in the mirrored scan: the scan may be mirrored or turned.",
        doubtful=True,
    ),
    "fat_taken_for_liver": Flag(
        "The network took fat or lung for liver, as where a liver was resected. It was left out of "
        "the volume: check the contour.",
        doubtful=True,
    ),
    "fluid_in_liver": Flag(
        "More than 3 % of the liver is fluid, such as cysts: at the border some may have been left "
        "out. Check the contour.",
        doubtful=True,
    ),
    "grey_values_doubtful": Flag(
        "Fat is not at -150 to -62 HU, as in any body: the grey values were probably shifted or "
        "scaled. Export the original series, or check the contour.",
        doubtful=True,
    ),
    "identity_affine": Flag(
        "The file states voxels of 1 mm from the corner, as written by programs that lost the "
        "geometry: check the voxel size.",
        doubtful=True,
    ),
    "mask_slices_filled": Flag("Slices that nobody drew were interpolated between drawn ones."),
    "mask_of_other_series": Flag(
        "The mask was drawn on another series of the same study: check that it fits.",
    ),
    "dicom_not_written": Flag(
        "The DICOM results could not be written; the case's log says why. The volume is valid.",
    ),
    "frame_of_reference_made_up": Flag(
        "The images state no FrameOfReferenceUID; the DICOM results carry a made-up one.",
    ),
    # slides
    "short_biopsy": Flag("The cores total less than 15 mm: the sample may be inadequate."),
    "out_of_focus": Flag("Part of the tissue is out of focus."),
    "unusual_stain": Flag(
        "The slide does not look like its declared stain: a colour is missing or another one "
        "is there, or what was read as collagen looks like nuclei.",
        doubtful=True,
    ),
    "white_assumed": Flag(
        "No empty glass was seen, or pale tissue may have been taken for it: under a lamp of "
        "another colour the fraction is off.",
        doubtful=True,
    ),
    "fills_frame": Flag(
        "What was taken for tissue fills the picture from edge to edge, without a hole: empty "
        "glass may have been taken for it.",
        doubtful=True,
    ),
    "tinted_glass": Flag("The glass has a colour of its own; all colours were corrected for it."),
    "region_without_effect": Flag(
        "The given regions remove no tissue: they may belong to another slide, or "
        "their coordinates to another unit.",
        doubtful=True,
    ),
    "little_tissue": Flag("Less than 1 mm2 of tissue was found.", doubtful=True),
    "finer_pixels": Flag(
        "There is so little tissue that it was measured in finer pixels than other slides: compare "
        "it only with slides measured in the same pixels (analysis_mpp_um)."
    ),
    "pen_marks": Flag("Pen marks were found and left out."),
    "pen_suspected": Flag(
        "Strokes of collagen's colour lie in the glass, or far stronger red ones in the "
        "tissue: pen, torn-off fibres or a dense scar. They were counted: look at the "
        "picture.",
    ),
    "overexposed": Flag("Much of the tissue is overexposed: colours are clipped and less certain."),
    "coarse_pixels": Flag(
        "The slide's pixels are too coarse for single fibres; the fraction may be off.",
        doubtful=True,
    ),
    "pixel_size_overridden": Flag("The given pixel size differs from the one the file states."),
    # pairs
    "modality_mismatch": Flag("The two visits were scanned with different modalities."),
    "stain_mismatch": Flag("The two visits were stained differently; they are not compared."),
    "phase_mismatch": Flag(
        "The two visits were scanned in different contrast phases or sequences.",
    ),
    "slice_thickness_mismatch": Flag(
        "The slice thickness of one visit is more than double the other's.",
    ),
    "no_baseline": Flag("Nothing was measured at the first visit."),
    "no_followup": Flag("Nothing was measured at the later visit."),
    "failed_baseline": Flag("The measurement failed at the first visit."),
    "failed_followup": Flag("The measurement failed at the later visit."),
    "several_combined": Flag("Several scans or slides of one visit were combined into one value."),
    "case_failed": Flag("Another scan or slide of the same visit failed and is not in the value."),
    "case_left_out": Flag(
        "Another scan or slide of the same visit is not in the value: a reader rejected it, or it "
        "is doubtful and no reader has accepted it."
    ),
    "doubtful_baseline": Flag(
        "The measurement at the first visit is doubtful and no reader has accepted it: it is "
        "not compared."
    ),
    "doubtful_followup": Flag(
        "The measurement at the later visit is doubtful and no reader has accepted it: it is "
        "not compared."
    ),
    "rejected_baseline": Flag("A reader rejected the scan or slide of the first visit."),
    "rejected_followup": Flag("A reader rejected the scan or slide of the later visit."),
    "unread_baseline": Flag(
        "No reader has accepted the scan or slide of the first visit, and every one must be read."
    ),
    "unread_followup": Flag(
        "No reader has accepted the scan or slide of the later visit, and every one must be read."
    ),
    "visit_order": Flag(
        "By its date the later visit is not after the first: the dates of this subject may be "
        "swapped. Not compared."
    ),
    "outside_window": Flag("The later visit is outside the window in which it was planned."),
    "after_transplant": Flag(
        "Measured after transplantation: it is another liver, and is not compared."
    ),
    "after_death": Flag(
        "Measured after the recorded death: one of the two is wrong, and it is not compared."
    ),
    "engine_mismatch": Flag("The two visits were outlined by different engines or persons."),
    "within_sampling_error": Flag(
        "The change is beyond measurement error, but no larger than the difference between two "
        "biopsies of one unchanged liver."
    ),
    "no_limits": Flag("The measurement-error limits are not known for both visits."),
    "within_biological_variation": Flag(
        "The change is beyond measurement error, but no larger than the variation in a stable "
        "patient.",
    ),
}


class Acquisition(NamedTuple):
    """What in a scan can change a volume between two visits."""

    modality: str
    contrast: str
    """Phase of a CT or sequence of an MR, "" if nothing is known."""
    slice_mm: float | None


NO_AGENT = "no agent stated"
"""A CT whose headers name neither a phase nor a contrast agent."""
_THICKNESS_RATIO = 2.0


def scan_mismatches(first: Acquisition, later: Acquisition) -> tuple[str, ...]:
    """How the scans of two visits differ in ways that move a volume: codes of :data:`FLAGS`."""
    flags = []
    if first.modality and later.modality and first.modality != later.modality:
        flags.append("modality_mismatch")
    elif (
        first.contrast
        and later.contrast
        and first.contrast != later.contrast
        # nothing said of an agent is what an unenhanced scan looks like
        and {first.contrast, later.contrast} != {NO_AGENT, "unenhanced"}
    ):
        flags.append("phase_mismatch")
    if first.slice_mm and later.slice_mm:
        thick, thin = max(first.slice_mm, later.slice_mm), min(first.slice_mm, later.slice_mm)
        if thick > _THICKNESS_RATIO * thin:
            flags.append("slice_thickness_mismatch")
    return tuple(flags)


def join_flags(flags: Iterable[str]) -> str:
    """Join flags for a table's ``flags`` column, each once, in the order of :data:`FLAGS`.

    Raises:
        KeyError: a flag is not in the table (a programming error).
    """
    order = {code: position for position, code in enumerate(FLAGS)}
    return ";".join(sorted(set(flags), key=lambda flag: order[flag]))


def doubtful(flags: Iterable[str]) -> tuple[str, ...]:
    """Those of some flags that keep a number out of comparisons, in the order of :data:`FLAGS`.

    Codes that the table does not have, such as another version's, are passed over.
    """
    found = set(flags)
    return tuple(code for code, flag in FLAGS.items() if flag.doubtful and code in found)


def incomplete(flags: Iterable[str], measure: str) -> tuple[str, ...]:
    """Those of some flags by which a measure is larger than its number, in the order of the table.

    Args:
        flags: codes; those that the table does not have are passed over.
        measure: key of the measure.
    """
    found = set(flags)
    return tuple(
        code for code, flag in FLAGS.items() if code in found and measure in flag.incomplete
    )


def questioned(flags: Iterable[str]) -> tuple[str, ...]:
    """Those of some flags that keep a number out of a comparison until a reader overrules them."""
    found = set(flags)
    return tuple(
        code for code, flag in FLAGS.items() if code in found and (flag.doubtful or flag.incomplete)
    )
