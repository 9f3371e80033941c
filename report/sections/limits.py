"""The limits: what this comparison cannot show."""

from __future__ import annotations

from collections.abc import Sequence

from ...analysis.design import Pair
from ...analysis.inputs import Inputs
from ..section import Entry, Section, Source


def entries(source: Source) -> Sequence[Entry]:
    """Always there."""
    sentences = limits_text(source.analysis.inputs, source.analysis.pairs)
    return [Entry("limits", "Limits", {"sentences": sentences})]


SECTION = Section("limits", entries)


def limits_text(inputs: Inputs, pairs: Sequence[Pair]) -> list[str]:
    """What this comparison cannot show."""
    alone = "" if inputs.design.group_names else " and has no control group"
    sentences = [
        f"The comparison of visits is within subjects{alone}: a change may be the natural course, "
        "regression to the mean, diet, abstinence or another treatment.",
    ]
    primary = inputs.design.primary_measures
    lost = {pair.subject for pair in pairs if not pair.paired and pair.measure in primary}
    if lost:
        sentences.append(
            f"{len(lost)} of {len(inputs.design.subjects)} subjects miss at least one primary "
            "comparison. "
            "If those who were lost fared worse or better than the rest, every mean here is biased."
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
            "of a single patient are sampling. The limits here hold the stain's border and how the "
            "tissue varies along the slide, not how another part of the liver would have read."
        )
    sentences.append(
        "Measurement limits say how far the measurement may be off, not whether the change matters "
        "to the patient. This report is for research and not for diagnosis."
    )
    return sentences
