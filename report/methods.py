"""The methods and limits paragraphs: what was done, in the words of a paper."""

from __future__ import annotations

from collections.abc import Sequence

from ..study.measures import MEASURES
from ..study.paired import Design, Pair
from .inputs import Inputs
from .words import number


def methods_text(inputs: Inputs) -> list[str]:
    """Paragraphs that describe this run, ready to paste; only of what took place in it."""
    design = inputs.design
    paragraphs = []
    engines = sorted({str(row["engine"]) for row in inputs.volumes if row["engine"]})
    if inputs.volumes:
        named = " and ".join(engines) or "none"
        paragraphs.append(
            "Liver volume is the number of voxels inside the outline times the volume of a voxel, "
            "from the geometry that each file states; scans without a stated geometry were "
            f"refused. Segmentation engine: {named}. The limits of a volume are 95 % limits as "
            "described in the data package beside this page."
        )
    stains = sorted({str(row["stain"]) for row in inputs.collagen if row["stain"]})
    if inputs.collagen:
        paragraphs.append(
            "The collagen area fraction is the area stained as collagen over the area of tissue"
            + (f" (stain: {', '.join(stains)})" if stains else "")
            + ". Several slides of one visit were combined by tissue area (collagen summed over "
            "tissue summed); several scans of one visit by their mean. Slides of different stains "
            "were never compared with each other."
        )
    if len(design.timepoints) > 1:
        paragraphs.append(_calls(design))
        paragraphs.append(_tests(design))
    return paragraphs


def _calls(design: Design) -> str:
    """How a patient's change is called."""
    text = (
        "Each change carries 95 % measurement-error limits that join the limits of its two visits "
        "by the square-and-add rule (Zou and Donner 2008). It is called increased or decreased "
        "where these limits exclude zero"
    )
    variation = [
        f"{number(percent, 0)} % for {MEASURES[key].inside if key in MEASURES else key}"
        for key, percent in design.biological_variation_percent.items()
    ]
    if variation:
        text += (
            " and the change also exceeds what a stable patient varies over time (reference "
            f"change value {', '.join(variation)})"
        )
    return text + ", and within measurement error otherwise."


def _tests(design: Design) -> str:
    primary = " and ".join(MEASURES[key].inside for key in design.primary_measures)
    text = (
        f"Later visits were compared with {design.timepoints[0]}, within subjects. The test of "
        "the mean change is Fisher's exact sign-flip test; the paired t test and Wilcoxon's "
        "signed-rank test (exact permutation distribution of the midranks, zeros left out) stand "
        "beside it. The interval of a mean change is that of the sign-flip test (Hartigan 1969); "
        "bias-corrected accelerated bootstrap intervals (9,999 "
        "resamples, tails widened for the sample size after Hesterberg 2015) stand beside it and "
        "serve the per cent changes. The Hodges-Lehmann estimate has the interval of the "
        "signed-rank distribution, Cohen's dz that of the noncentral t distribution. All tests are "
        "two-sided. "
    )
    if len(design.primary_measures) * (len(design.timepoints) - 1) > 1:
        text += (
            f"Holm's correction goes over the primary measures ({primary}) and all later visits; "
            "all other measures are secondary and not corrected. "
        )
    return (
        text + "Missing visits were not imputed: a subject without a comparable pair is excluded."
    )


def limits_text(inputs: Inputs, pairs: Sequence[Pair]) -> list[str]:
    """What this comparison cannot show."""
    sentences = [
        "The comparison is within subjects and has no control group: a change may be the natural "
        "course, regression to the mean, diet, abstinence or another treatment.",
    ]
    lost = {pair.subject for pair in pairs if not pair.paired}
    if lost:
        sentences.append(
            f"{len(lost)} of {len(inputs.design.subjects)} subjects miss at least one comparison. "
            "If those who were lost fared worse or better than the others, every mean here is off."
        )
    if inputs.volumes:
        sentences.append(
            "Liver volume also moves with hydration, congestion, meals and breathing; in stable "
            "compensated cirrhosis the reference change value over years is about 16 % "
            "(PMC9588852). Slices of 10 mm move a volume by about 4 %."
        )
    if inputs.collagen:
        sentences.append(
            "A biopsy samples a fifty-thousandth of the liver. Within one cirrhotic liver the "
            "collagen fraction has a coefficient of variation of about 43 %, so that many changes "
            "of a single patient are sampling. The limits here hold the error of measuring a "
            "slide, not that of where the needle went."
        )
    sentences.append(
        "Measurement limits say how far the measurement may be off, not whether the change matters "
        "to the patient. This report is for research and not for diagnosis."
    )
    return sentences
