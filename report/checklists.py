"""The checklists of a paper: where each item is stated already, or that the authors must add it.

Our own short descriptions, not the official wording. A part of the report stands between asterisks,
a file or command between backticks, a page of the documentation as a Markdown link.
"""

# Long because every item of three checklists stands here, with its place.

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FILENAME = "checklists.html"


@dataclass(frozen=True)
class Checklist:
    """One checklist with its items."""

    name: str
    """As people call it."""
    title: str
    """The heading."""
    note: str
    """What to know before using it, "" for nothing."""
    numbered: bool
    """Whether items carry their official numbers."""
    items: tuple[tuple[str, str, str], ...]
    """Number or topic, what it asks for, and where it is stated."""


STROBE = Checklist(
    "STROBE",
    "STROBE, for cohort studies",
    "",
    True,
    (
        ("1", "design in the title, balanced abstract", "you must add; numbers from *Summary*"),
        ("2, 3", "background, objectives and hypotheses", "you must add"),
        ("4", "design, early in the text", "you must add; visits compared: *Methods*"),
        (
            "5",
            "setting, places, dates of recruitment and follow-up",
            "you must add; no result holds a date or a place",
        ),
        ("6", "eligibility, how participants were selected and followed", "you must add"),
        (
            "7",
            "outcomes, exposures, confounders defined",
            "measures and scores: *Methods*; the rest you must add",
        ),
        (
            "8",
            "how each variable was measured, alike in all groups",
            "*Methods*, `acquisition.csv`",
        ),
        ("9", "how bias was addressed", "who reviewed: *Methods*; blinding you must add"),
        (
            "10",
            "how the size of the study was arrived at",
            "you must add; `fibrovol plan` computes one",
        ),
        ("11", "how quantitative variables were handled", "*Methods*"),
        (
            "12",
            "statistical methods, missing data, sensitivity analyses",
            "*Methods*; adjustment for confounders you must add",
        ),
        (
            "13",
            "numbers at each stage, reasons, a flow diagram",
            "*Who was compared*; those screened but not enrolled you must add",
        ),
        (
            "14",
            "characteristics, missing values, time followed",
            "*Patients at the first visit*, *What became of the patients*",
        ),
        (
            "15",
            "numbers of events, or summaries over time",
            "*What became of the patients*, `statistics.csv`",
        ),
        ("16", "estimates with their precision", "*Summary*, `statistics.csv`"),
        ("17", "other analyses", "*Do the changes go together?*, `statistics.csv`"),
        ("18, 20, 21", "key results, interpretation, how far they generalise", "you must add"),
        ("19", "limitations", "the measurements': *Limits*; the study's you must add"),
        ("22", "funding and the funders' part", "you must add"),
    ),
)
CONSORT = Checklist(
    "CONSORT",
    "CONSORT 2010, for randomised trials",
    "For a study with arms, if subjects were allocated to them at random; else use STROBE. The "
    "statement of 2025 has more items and other numbers.",
    True,
    (
        (
            "1",
            "that it is randomised in the title, a structured abstract",
            "you must add; numbers from *Summary*",
        ),
        ("2", "background, objectives and hypotheses", "you must add"),
        (
            "3",
            "design with allocation ratio, changes after the start",
            "subjects of each arm: *Arms compared*; the rest you must add",
        ),
        (
            "4",
            "eligibility, settings and places",
            "you must add; no result holds a date or a place",
        ),
        ("5", "what each arm received, how and when", "you must add"),
        (
            "6",
            "outcomes defined in advance, and changes to them",
            "measures and scores: *Methods*; which were planned you must add",
        ),
        (
            "7",
            "how the size of the trial was arrived at, interim analyses, stopping",
            "you must add; `fibrovol plan` computes one",
        ),
        (
            "8, 9, 10",
            "how the random sequence was made, concealed and carried out, and by whom",
            "you must add; Fibrovol allocates nobody",
        ),
        (
            "11",
            "who was blinded and how",
            "pictures and arms can be blinded (`fibrovol report --blind`); who was you must add",
        ),
        ("12", "statistical methods, those for further analyses", "*Methods*"),
        (
            "13",
            "numbers assigned, treated and analysed in each arm, losses with reasons, a diagram",
            "all arms together: *Who was compared*; by arm, and those screened, you must add",
        ),
        (
            "14",
            "dates of recruitment and follow-up, why the trial ended",
            "follow-up: *What became of the patients*; the rest you must add",
        ),
        ("15", "a table of each arm at the start", "*Patients at the first visit*"),
        (
            "16",
            "numbers analysed in each arm, and whether by assignment",
            "*Arms compared*, `statistics.csv`; whether by assignment you must add",
        ),
        (
            "17",
            "results of each arm, the difference with its precision",
            "*Arms compared*, `statistics.csv`",
        ),
        (
            "18",
            "further analyses, planned or exploratory",
            "*Do the changes go together?*, `statistics.csv`; which were planned you must add",
        ),
        ("19", "harms in each arm", "events: *What became of the patients*; the rest you must add"),
        (
            "20",
            "limitations, bias, imprecision, multiplicity",
            "the measurements': *Limits*; the trial's you must add",
        ),
        ("21, 22", "how far the results generalise, interpretation", "you must add"),
        ("23, 24, 25", "registration, protocol, funding", "you must add"),
    ),
)
CLAIM = Checklist(
    "CLAIM",
    "CLAIM, 2024 update, for artificial intelligence in medical imaging",
    "Fibrovol's network is used here as it comes. If you trained or evaluated one of your own, the "
    "items on training and testing are yours.",
    False,
    (
        (
            "title, abstract",
            "that artificial intelligence is used, and how; design, data, results",
            "you must add",
        ),
        (
            "introduction",
            "clinical background, the intended use, aims",
            "you must add; the network is for research, not for diagnosis",
        ),
        ("design", "prospective or retrospective, the goal", "you must add"),
        ("data source", "where the images are from, eligibility", "you must add"),
        (
            "preparation",
            "steps on the images before the network, subsets taken",
            "*Methods*, `provenance.json`",
        ),
        (
            "de-identification",
            "how it was done",
            "you must add; what Fibrovol writes: [results folder](../reference/results-folder.md)",
        ),
        ("missing data", "how it was handled", "*Methods*, *Who was compared*"),
        (
            "acquisition",
            "scanners and protocols",
            '*Methods*, `acquisition.csv`; "not stated" there you must add',
        ),
        (
            "reference standard",
            "what it is, why, who annotated, how readers vary",
            "you must add; agreement of reviewers: *Methods*",
        ),
        (
            "partitions",
            "how data were divided, at what level kept apart",
            "training and tested cases: *Methods*; your own you must add",
        ),
        ("sample size", "of the test set, how it was determined", "you must add"),
        (
            "model",
            "structure, inputs and outputs, software, starting values",
            "*Methods*, `provenance.json`; more in the "
            "[network's page](../../models/liver/docs/README.md)",
        ),
        (
            "training",
            "details, how the final model was selected",
            "[network's page](../../models/liver/docs/README.md)",
        ),
        (
            "metrics",
            "which, with what uncertainty",
            "tested figures: *Methods*; your own you must add",
        ),
        (
            "robustness",
            "sensitivity analyses",
            "you must add; a repeat: *Agreement with the repeat*",
        ),
        (
            "explainability",
            "if methods for it were used, and how validated",
            "you must add; outlines to look at: *Pictures*",
        ),
        (
            "evaluation",
            "on internal and on external data",
            "you must add for your scanners and patients; the makers' figures: *Methods*",
        ),
        (
            "flow, characteristics",
            "who was included, demographic and clinical data",
            "*Who was compared*, *Patients at the first visit*",
        ),
        ("performance", "on each partition, with uncertainty", "you must add for your data"),
        ("failures", "which cases went wrong and why", "*Who was compared*, *Flags*"),
        (
            "discussion",
            "limitations, what it means for practice",
            "*Limits*; the rest you must add",
        ),
        (
            "access, registration, funding",
            "protocol, code, model, data, funders",
            "version and weights: *Methods*; the rest you must add",
        ),
    ),
)
CHECKLISTS = (STROBE, CONSORT, CLAIM)
ABOUT = (
    "Our own short descriptions of each item, not the official wording: fill in the journal's form "
    "from the published checklist. Numbers are the official ones. Items of CLAIM have none: "
    "we were not certain of its numbering, so its topics stand in the order of a paper."
)


def fitting(*, arms: bool) -> tuple[Checklist, ...]:
    """The checklists of a study: CONSORT is for those with arms."""
    return CHECKLISTS if arms else (STROBE, CLAIM)


def sections(arms: bool, anchors: Mapping[str, str]) -> list[dict[str, object]]:
    """The checklists ready to print.

    Args:
        arms: whether the study has arms.
        anchors: id by title of each part that this study's report has.
    """
    return [
        {
            "title": one.title,
            "note": one.note,
            "first": "Item" if one.numbered else "Topic",
            "items": [(number, asks, _linked(where, anchors)) for number, asks, where in one.items],
        }
        for one in fitting(arms=arms)
    ]


def _linked(where: str, anchors: Mapping[str, str]) -> str:
    """The place as HTML: parts of the report and pages of the documentation are links."""
    text = html.escape(where)

    def part(found: re.Match[str]) -> str:
        anchor = anchors.get(html.unescape(found[1]))
        return f'<a href="report.html#{anchor}">{found[1]}</a>' if anchor else f"{found[1]}"

    text = re.sub(r"\*([^*]+)\*", part, text)
    text = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1 (documentation)", text)
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text)


def tables(checklist: Checklist) -> tuple[tuple[str, ...], Sequence[tuple[str, ...]]]:
    """Header and rows for the documentation."""
    first = "item" if checklist.numbered else "topic"
    return (first, "what it asks for", "where it is stated"), checklist.items
