"""The methods: what was done, in the words of a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from ...analysis.acquisition import GROUPED, acquisition_rows, summary
from ...analysis.design import Design
from ...analysis.inputs import Inputs
from ...analysis.reading import reading
from ...analysis.statistics_table import MIXED
from ...measures import MEASURES
from ...tables import TABLES
from .. import checklists
from ..apparatus import collagen_text, outlining_text, read_by_kind
from ..references import references
from ..section import Entry, Section, Source
from ..words import count, interval, number


def entries(source: Source) -> Sequence[Entry]:
    """Always there."""
    inputs = source.analysis.inputs
    content = {
        "paragraphs": methods_text(
            inputs,
            source.versions,
            require_review=source.analysis.require_review,
            mixed=any(MIXED in by_name for by_name in source.analysis.found.values()),
        ),
        "acquisition": acquisition_tables(inputs),
        "references": references(inputs),
        "checklists": [
            one.name for one in checklists.fitting(arms=source.analysis.arms is not None)
        ],
        "versions": source.versions,
    }
    return [Entry("methods", "Methods", content)]


SECTION = Section("methods", entries)


def acquisition_tables(inputs: Inputs) -> list[dict[str, Any]]:
    """How scans and slides were made, as tables to print: caption, headings, rows with counts."""
    rows = acquisition_rows(inputs)
    units = {column.name: column.unit for column in TABLES["acquisition"].columns}
    tables = []
    for kind, names in GROUPED.items():
        made = summary(rows, kind)
        # a column that no header fills says nothing; the data of acquisition.csv are complete
        filled = [i for i in range(len(names)) if any(values[i] for values, _ in made)]
        if made:
            tables.append(
                {
                    "caption": f"How the {kind}s were made, as their headers state it",
                    "headings": [_HEADINGS.get(names[i], names[i].capitalize()) for i in filled],
                    "rows": [
                        (
                            [_cell(values[i], units[names[i]]) for i in filled],
                            n,
                        )
                        for values, n in made
                    ],
                }
            )
    return tables


_HEADINGS = {
    "tube_voltage_kv": "Tube voltage",
    "field_strength_t": "Field strength",
    "slice_thickness_mm": "Slice thickness",
    "objective_power": "Objective",
    "mpp_um": "Pixel",
    "mpp_source": "Pixel size from",
}


def _cell(value: object, unit: str) -> str:
    if value is None:
        return "not stated"
    if isinstance(value, float):
        unit = {"1": "x", "um": "\u00b5m"}.get(unit, unit)
        return f"{value:.4g} {unit}"
    return str(value)


def methods_text(
    inputs: Inputs,
    versions: Mapping[str, str],
    *,
    require_review: bool = False,
    mixed: bool = False,
) -> list[str]:
    """Paragraphs that describe this run, ready to paste; only of what took place in it.

    Args:
        inputs: the output directory.
        versions: of the software.
        require_review: whether only accepted cases were compared.
        mixed: whether a mixed model was fitted to any measure.
    """
    design = inputs.design
    paragraphs = []
    engines = sorted({str(row["engine"]) for row in inputs.volumes if row["engine"]})
    if inputs.volumes:
        named = " and ".join(engines) or "none"
        paragraphs.append(
            "Liver volume is the number of voxels inside the outline times the volume of a voxel, "
            "from the geometry that each file states; scans without a stated geometry were "
            f"refused. Segmentation engine: {named}. The limits of a volume are 95 % limits as "
            "described in the data package next to this page."
        )
        paragraphs.append(outlining_text(inputs))
    stains = sorted(
        {str(row.get("stain_title") or row["stain"]) for row in inputs.collagen if row["stain"]}
    )
    if inputs.collagen:
        paragraphs.append(
            "The collagen area fraction is the area stained as collagen over the area of tissue"
            + (f" (stain: {', '.join(stains)})" if stains else "")
            + ". Several slides of one visit were combined by tissue area (collagen summed over "
            "tissue summed); several scans of one visit by their mean. Slides of different "
            "families of stains were never compared with each other."
        )
        paragraphs.append(collagen_text(inputs))
    corrected = any(row["reader"] for row in [*inputs.volumes, *inputs.collagen])
    if inputs.reviews or corrected or require_review:
        paragraphs.append(reading_text(inputs, require_review=require_review))
        paragraphs.append(read_by_kind(inputs))
    else:
        paragraphs.append("No outline or picture was reviewed by a reader in Fibrovol.")
    if len(design.timepoints) > 1:
        paragraphs.append(_calls(design))
        paragraphs.append(_tests(design))
        paragraphs.append(_days(design))
        if mixed:
            paragraphs.append(_MIXED)
        if design.group_names:
            paragraphs.append(_ARMS)
    if inputs.clinical:
        scores = [
            measure.source
            for key, measure in MEASURES.items()
            if measure.source and any(row.get(key) not in (None, "") for row in inputs.clinical)
        ]
        paragraphs.append(
            (
                f"{_listed(scores)} {_were(len(scores))} computed from the values of each visit; a "
                "score with a missing or implausible part was not computed. "
                if scores
                else ""
            )
            + "Changes were compared by Spearman's correlation with bootstrap intervals."
        )
    if inputs.outcomes:
        paragraphs.append(
            "Survival was estimated by Kaplan and Meier's method with log-log limits, median "
            "follow-up as such and by the reverse method, and the incidence of each event by Aalen "
            "and Johansen's estimator (limits from the infinitesimal jackknife): transplantation "
            "competes with death, a cancer and any other event with death and transplantation."
        )
    paragraphs.append(_software(versions))
    return [paragraph for paragraph in paragraphs if paragraph]


def reading_text(inputs: Inputs, *, require_review: bool) -> str:
    """Who read how much, and what came of it."""
    read = reading(inputs.volumes, inputs.collagen, inputs.reviews, inputs.stands)
    text = (
        f"{read.n_read} of {count(read.n_cases, 'case')} {_were(read.n_read)} read by "
        f"{count(len(read.readers), 'reader')}: {read.n_accepted} accepted, {read.n_rejected} "
        "rejected and left out of every comparison."
    )
    if read.n_overruled:
        text += f" For {count(read.n_overruled, 'accepted case')} a flag was overruled."
    if read.n_corrected:
        text += (
            f" The outline of {count(read.n_corrected, 'scan')} was corrected or drawn by a "
            "reader; its limits are those of human reading"
        )
        if read.correction is not None:
            low, high = read.correction.lower.value, read.correction.upper.value
            text += (
                f" (corrected minus measured: {number(read.correction.bias.value, 0, signed=True)}"
                f" mL on average, limits of agreement {number(low, 0, signed=True)} to "
                f"{number(high, 0, signed=True)} mL, n = {read.correction.n})"
            )
        text += "."
    if read.n_drawn:
        text += (
            f" On {count(read.n_drawn, 'slide')} a reader drew areas to leave out or to keep to, "
            "or picked the white of the glass, and the fraction was measured again."
        )
    for two in read.agreement:
        text += (
            f" Readers {two.readers[0]} and {two.readers[1]} gave the same verdict on {two.agreed} "
            f"of {count(two.n, 'case')}"
        )
        if two.kappa is not None:
            limits = interval(two.kappa.low, two.kappa.high, 2)
            text += f" (Cohen's kappa {number(two.kappa.value, 2)}, 95 % interval {limits})"
        for kind, (n, icc) in two.icc.items():
            what = "volumes" if kind == "scan" else "fractions"
            text += f"; ICC(2,1) of their {what} {number(icc.value, 3)} (n = {n})"
        text += "."
    if require_review:
        text += " A case that no reader accepted was compared with nothing."
    return text


def _days(design: Design) -> str:
    """How long after the first visit the later ones were, by their dates; "" without dates."""
    each = []
    for later in design.timepoints[1:]:
        days = sorted(design.days[s, later] for s in design.subjects if (s, later) in design.days)
        if days:
            each.append(
                f"{later} {median(days):g} days (range {days[0]} to {days[-1]}; n = {len(days)})"
            )
    first = design.timepoints[0]
    return f"Median time from {first}, by the dates of the visits: {'; '.join(each)}." * bool(each)


def _were(n: int) -> str:
    return "was" if n == 1 else "were"


_MIXED = (
    "Where visits were missing, the mean changes were also estimated by a mixed model of all "
    "visits (unstructured covariance, restricted maximum likelihood, observed information with "
    "Kenward and Roger's correction, Satterthwaite's degrees of freedom), which assumes that who "
    "is missing can be foreseen from their other visits."
)
_ARMS = (
    "Arms were compared by analysis of covariance of the later value on baseline and arm, with "
    "Fisher and Pitman's permutation test of the changes; survival by the log-rank test, and "
    "incidences by Gray's score with a permutation p-value. Holm's correction goes over the "
    "primary measures, visits and arms. As a sensitivity analysis, those of the second arm who "
    "were not compared were assumed to have changed as the first arm did."
)


def _listed(names: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _software(versions: Mapping[str, str]) -> str:
    """One sentence with the versions that count."""
    named = [
        f"{label} {versions[name]}"
        for name, label in (("python", "Python"), ("numpy", "NumPy"), ("scipy", "SciPy"))
        if name in versions
    ]
    program = f"Fibrovol {versions['fibrovol']}" if "fibrovol" in versions else "Fibrovol"
    return f"All numbers were made with {program}" + (f" ({', '.join(named)})." if named else ".")


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
    sampling = [
        f"{number(cv, 0)} % for {MEASURES[key].inside}"
        for key, cv in design.sampling_cv_percent.items()
        if cv and key in MEASURES
    ]
    if sampling:
        text += (
            ", and more than two biopsies of one unchanged liver differ (coefficient of variation "
            f"within a liver {', '.join(sampling)})"
        )
    text += (
        ". A change whose limits exclude zero but that does not exceed these is called within "
        "biological variation; one whose limits hold zero, within measurement error."
    )
    if design.smallest_detectable:
        known = " and ".join(
            MEASURES[key].inside for key in design.smallest_detectable if key in MEASURES
        )
        text += f" For {known} the limits are at least as wide as the smallest detectable change "
        text += "of repeated measurements."
    return text


def _tests(design: Design) -> str:
    primary = " and ".join(MEASURES[key].inside for key in design.primary_measures)
    text = (
        f"Later visits were compared with {design.timepoints[0]}, within subjects. The test of "
        "the mean change is Fisher's sign-flip test (exact to 40 pairs and for scores, beyond that "
        "sampled and called so); the paired t test and Wilcoxon's signed-rank test (exact "
        "permutation distribution of the midranks, zeros left out) are given as well. The interval "
        "of a mean change is that of the sign-flip test (Hartigan 1969); bias-corrected "
        "accelerated bootstrap intervals (9,999 resamples, tails widened for the sample size after "
        "Hesterberg 2015) are given as well, and serve the per cent changes; they are approximate "
        "(in simulations they covered the truth in "
        "91 to 97 % with 6 to 19 pairs). The Hodges-Lehmann estimate has the interval of the "
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
