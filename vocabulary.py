"""The closed vocabularies of the tables: each word with its meaning."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """What became of a case."""

    MEASURED = "measured"
    """It has a number."""
    FAILED = "failed"
    """It has an error's code and sentence, and every number is empty."""


class Call(StrEnum):
    """What one subject's change is against the error of measuring it."""

    INCREASED = "increased"
    """Beyond measurement error, and beyond what a stable patient varies where that is known."""
    DECREASED = "decreased"
    """The same, downwards."""
    WITHIN_VARIATION = "within biological variation"
    """Beyond measurement error, but no further than an unchanged patient's value moves: over time,
    or, for a biopsy, from one part of the liver to the next."""
    WITHIN_ERROR = "within measurement error"
    """The limits of the change hold zero."""
    NO_LIMITS = "no limits"
    """How far the measurement may be off is not known for both visits: nothing is called."""
    NOT_PAIRED = "not paired"
    """One of the visits is missing, failed, doubtful or not comparable."""


class Event(StrEnum):
    """What outcomes.csv can say about a subject."""

    NONE = "none"
    """Alive and without any of the others until then."""
    DEATH = "death"
    """Death, whatever the cause."""
    TRANSPLANT = "transplant"
    """Liver transplantation."""
    HCC = "hcc"
    """Hepatocellular carcinoma."""
    OTHER_CANCER = "other_cancer"
    """Any other cancer."""
    DECOMPENSATION = "decompensation"
    """Hepatic decompensation."""
    BLEEDING = "bleeding"
    """Variceal bleeding."""
    LOST = "lost"
    """Lost to follow-up, alive when last seen."""


class StandardVolume(StrEnum):
    """Formulas of the liver volume that is expected from body size."""

    URATA = "urata"
    """Urata 1995."""
    HEINEMANN = "heinemann"
    """Heinemann 1999."""
    HASHIMOTO = "hashimoto"
    """Hashimoto 2006."""
    FENG = "feng"
    """Feng 2017."""
