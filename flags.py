"""The one table of flags: a code and a sentence each. Results carry the codes, joined by ``;``.

A flag never replaces a number: it says what a reader must know before trusting it.
"""

from __future__ import annotations

from collections.abc import Iterable

FLAGS: dict[str, str] = {
    # scans
    "uneven_slices": "Slices were unevenly spaced; the scan was resampled from their positions.",
    "missing_slices": "Slices are missing inside the series; they were interpolated.",
    "gantry_tilt": "The gantry was tilted; the slices were sheared back to a rectangular grid.",
    "shifted_slices": "Slices were displaced sideways; they were moved to their true positions.",
    "duplicate_slices": "Some slices were present twice; one of each was kept.",
    "no_rescale": "The CT states no rescale to Hounsfield units; stored values were taken as HU.",
    "thick_slices": "The slices are thicker than 5 mm; the volume may be off by several per cent.",
    "liver_cut_off": "The liver touches the edge of the scan; the true volume is larger.",
    "mr_unvalidated": "The shipped network was measured on eight T2 scans only: check the contour.",
    "low_confidence": "The limits of the liver volume are wider than 25 %.",
    "small_liver": "The liver is smaller than 400 mL: check the picture.",
    "large_liver": "The liver is larger than 4,000 mL: check the picture.",
    # slides
    "short_biopsy": "The cores are shorter than 15 mm in all: the sample may be inadequate.",
    "out_of_focus": "Part of the tissue is out of focus.",
    "unusual_stain": (
        "The slide does not look like its declared stain: a colour is missing or another one is "
        "there, or what was read as collagen looks like nuclei."
    ),
    "little_tissue": "Less than 1 mm2 of tissue was found.",
    "pen_marks": "Pen marks were found and left out.",
    "pen_suspected": (
        "Strokes of collagen's colour lie in the glass, or far stronger red ones in the tissue: "
        "pen, torn-off fibres or a dense scar. They were counted: look at the picture."
    ),
    "overexposed": "Much of the tissue is overexposed: colours are clipped and less certain.",
    "coarse_pixels": (
        "The slide's pixels are too coarse for single fibres; the fraction may be off."
    ),
    "pixel_size_overridden": "The given pixel size differs from the one the file states.",
    # pairs
    "modality_mismatch": "The two visits were scanned with different modalities.",
    "stain_mismatch": "The two visits were stained differently; they are not compared.",
    "phase_mismatch": "The two visits were scanned in different contrast phases or sequences.",
    "slice_thickness_mismatch": "The slice thickness of one visit is more than double the other's.",
    "no_baseline": "Nothing was measured at the first visit.",
    "no_followup": "Nothing was measured at the later visit.",
    "failed_baseline": "The measurement failed at the first visit.",
    "failed_followup": "The measurement failed at the later visit.",
    "several_combined": "Several scans or slides of one visit were combined into one value.",
    "case_failed": "Another scan or slide of the same visit failed and is not in the value.",
    "no_limits": "The measurement-error limits are not known for both visits.",
    "within_biological_variation": (
        "The change is beyond measurement error, but no larger than a stable patient varies."
    ),
}


def join_flags(flags: Iterable[str]) -> str:
    """Join flags for a table's ``flags`` column, each once, in the order of :data:`FLAGS`.

    Raises:
        KeyError: a flag is not in the table (a programming error).
    """
    order = {code: position for position, code in enumerate(FLAGS)}
    return ";".join(sorted(set(flags), key=lambda flag: order[flag]))
