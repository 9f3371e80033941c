"""The tested versions in constraints.txt, from what pip would install today."""

from __future__ import annotations

from typing import Any

LOCKED_EXTRAS = ("dev", "s3")
CUDA = ("nvidia-", "cuda-", "triton")


def renewed_constraints(before: str, resolved: dict[str, Any]) -> str:
    """Put the versions of pip's installation report under the comments of constraints.txt.

    A build's label (2.13.0+cpu) goes, as do the CUDA libraries of PyPI's torch: other machines take
    other builds of one version.

    Args:
        before: constraints.txt as it is.
        resolved: what ``pip install --dry-run --report`` wrote.
    """
    head = [line for line in before.splitlines() if line.startswith("#")]
    pins = {
        entry["metadata"]["name"]: entry["metadata"]["version"].partition("+")[0]
        for entry in resolved["install"]
    }
    kept = sorted(
        (name for name in pins if not name.lower().startswith(("fibrovol", *CUDA))), key=str.lower
    )
    return "\n".join([*head, *(f"{name}=={pins[name]}" for name in kept)]) + "\n"
