"""How the measured images were made: the rows of acquisition.csv, and their summary for a paper."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from .inputs import Inputs

#: What two images must share to stand in one line of the summary.
GROUPED = {
    "scan": (
        "modality",
        "manufacturer",
        "model",
        "tube_voltage_kv",
        "field_strength_t",
        "sequence",
        "slice_thickness_mm",
        "kernel",
        "phase",
    ),
    "slide": ("manufacturer", "model", "format", "objective_power", "mpp_um", "mpp_source"),
}


def acquisition_rows(inputs: Inputs) -> list[dict[str, Any]]:
    """A row for each measured case, from provenance.json; what a header does not say is empty.

    Nothing in it names a person, a place or a device's serial number.
    """
    rows: list[dict[str, Any]] = []
    for row in inputs.volumes:
        if row["status"] == "measured":
            headers = _parameters(inputs, row).get("technical_headers") or {}
            parts = (headers.get("ScanningSequence"), headers.get("SequenceVariant"))
            rows.append(
                {
                    **_named(row, "scan"),
                    "modality": row["modality"],
                    "manufacturer": headers.get("Manufacturer"),
                    "model": headers.get("ManufacturerModelName"),
                    "tube_voltage_kv": _number(headers.get("KVP")),
                    "field_strength_t": _number(headers.get("MagneticFieldStrength")),
                    "sequence": " ".join(str(part) for part in parts if part),
                    "repetition_time_ms": _number(headers.get("RepetitionTime")),
                    "echo_time_ms": _number(headers.get("EchoTime")),
                    "slice_thickness_mm": _number(headers.get("SliceThickness")),
                    "spacing_mm": row["spacing_mm"],
                    "kernel": headers.get("ConvolutionKernel"),
                    "phase": row["contrast"],
                }
            )
    for row in inputs.collagen:
        if row["status"] == "measured":
            parameters = _parameters(inputs, row)
            scanner = parameters.get("scanner") or {}
            rows.append(
                {
                    **_named(row, "slide"),
                    "manufacturer": scanner.get("manufacturer"),
                    "model": scanner.get("model"),
                    "format": parameters.get("format"),
                    "objective_power": _number(scanner.get("objective_power")),
                    "mpp_um": row["mpp_um"],
                    "mpp_source": parameters.get("mpp_source"),
                }
            )
    return rows


def summary(rows: Sequence[Mapping[str, Any]], kind: str) -> list[tuple[tuple[Any, ...], int]]:
    """The different ways in which the images of a kind were made, the most frequent first.

    Returns:
        The values of :data:`GROUPED` (None where not stated) and the number of images.
    """
    made = Counter(
        tuple(row.get(name) or None for name in GROUPED[kind])
        for row in rows
        if row["kind"] == kind
    )
    return sorted(made.items(), key=lambda item: (-item[1], str(item[0])))


def _named(row: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {name: row[name] for name in ("subject", "timepoint", "case_id")} | {"kind": kind}


def _parameters(inputs: Inputs, row: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = inputs.cases.get(str(row["case_id"]), {}).get("parameters") or {}
    return found


def _number(value: object) -> float | None:
    """A header's number; None for what is none, as headers may hold anything."""
    try:
        number = float(value)  # type: ignore[arg-type]  # whatever is no number raises here
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None
