"""The closed vocabularies of the tables: each word with what it means."""

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
    WITHIN_ERROR = "within measurement error"
    """The limits of the change hold zero."""
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
    LOST = "lost"
    """Lost to follow-up, alive when last seen."""
