"""The methods' words on what measured: the network, the rule for collagen, the pixels' size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..analysis.inputs import Inputs
from .references import OWN_ENGINE, shipped_network
from .words import count, number

_TOLD = {"btcv24 29": "BTCV cases 24 to 29:", "chaos t2 spir": "CHAOS T2-SPIR:"}


def outlining_text(inputs: Inputs) -> str:
    """What outlined the livers of this run, with its weights and its makers' tested figures."""
    by_engine: dict[str, set[str]] = {}
    for row in inputs.volumes:
        if row["engine"] and row["status"] == "measured":
            case = inputs.cases.get(str(row["case_id"]), {})
            found = by_engine.setdefault(str(row["engine"]), set())
            if sha256 := str(case.get("engine_sha256") or ""):
                found.add(sha256)
    texts = [_engine(name, sorted(by_engine[name])) for name in sorted(by_engine)]
    return " ".join(filter(None, texts))


def _engine(name: str, hashes: Sequence[str]) -> str:
    if name == "drawn by a reader":
        return ""  # the paragraph on the readers says how many
    if name == "existing_mask":
        return "Outlines that existed already were measured; you must add who drew them and how."
    if name.split(" ", maxsplit=1)[0] != OWN_ENGINE:
        weights = f" (weights' SHA-256 {', '.join(hashes)})" if hashes else ""
        return (
            f"Engine {name}{weights}: Fibrovol knows neither its training data nor its tested "
            "figures; you must add them."
        )
    network = shipped_network()
    released = network["fibrovol"]["sha256"]
    ours = {str(released["model.pt"]), str(released["model_mr.pt"])}  # for CT and for MR
    used = [sha256 for sha256 in hashes if sha256 in ours]
    sentences = []
    if used:
        sentences += [
            f"The outlines are by the network \u201c{network['name']}\u201d of Fibrovol, version "
            f"{network['version']} (weights' SHA-256 {' and '.join(used)}).",
            str(network["description"]),
            f"Training data: {network['data_source']}.",
            f"Figures measured by its makers on scans that were not trained on: "
            f"{figures_of(network['eval_metrics'])}.",
        ]
    for other in hashes:
        if other not in ours:
            sentences.append(
                f"Some or all outlines are by other weights of Fibrovol's network (SHA-256 {other})"
                " than those of the installation that wrote this report, whose figures do not "
                "hold for them; you must add theirs."
            )
    if not hashes:
        sentences.append(
            "The outlines are by Fibrovol's network; no provenance.json says which weights, so "
            "its version and tested figures cannot be stated."
        )
    return " ".join(sentences)


def figures_of(metrics: Mapping[str, Any]) -> str:
    """A network's figures as words, grouped by the data they are from."""
    groups: dict[str, list[str]] = {}
    for key, value in metrics.items():
        words = key.replace("_", " ")
        group = next((start for start in _TOLD if words.startswith(start + " ")), "")
        what = words.removeprefix(group).strip().replace("dice", "Dice")
        unit = " %" if what.endswith(" percent") else ""
        groups.setdefault(group, []).append(f"{what.removesuffix(' percent')} {value}{unit}")
    return "; ".join(
        f"{_TOLD.get(group, '')} {', '.join(found)}".strip() for group, found in groups.items()
    )


def collagen_text(inputs: Inputs) -> str:
    """How collagen was told, and at what size of a pixel; "" if no provenance says it."""
    cases = [
        case["parameters"]
        for row in inputs.collagen
        if row["status"] == "measured"
        and (case := inputs.cases.get(str(row["case_id"]), {})).get("parameters")
    ]
    settings = [case.get("settings") or {} for case in cases]
    resolution = sorted({float(s["analysis_mpp_um"]) for s in settings if "analysis_mpp_um" in s})
    if not resolution:
        return ""
    named = " and ".join(f"{mpp_um:g}" for mpp_um in resolution)
    finer = sum("finer_pixels" in str(row["flags"]).split(";") for row in inputs.collagen)
    little = f", {count(finer, 'slide')} with very little tissue in finer pixels" if finer else ""
    text = (
        f"Slides were analysed at {named} \u00b5m a pixel, coarser ones at their own pixels"
        f"{little}. "
        "Collagen was told by hue, not by a fixed threshold of colour: white is the slide's own "
        "glass, the hues of counterstain and collagen were estimated from samples of the slide's "
        "own tissue, and a pixel is collagen where its hue lies beyond the border between the two "
        "and its colour is strong enough for collagen's and for its own darkness. Lumens, fat "
        "vacuoles, glass, pen and dirt are not tissue. Border and colours of each slide stand in "
        "provenance.json."
    )
    assumed = sum(case.get("glass_seen") is False for case in cases)
    if assumed:
        text += f" On {count(assumed, 'slide')} no glass was seen and white was assumed or given."
    if any(s.get("custom_stain") for s in settings):
        text += " The laboratory's own description of its stain was used; you must add it."
    return text


def read_by_kind(inputs: Inputs) -> str:
    """How many of the scans and of the slides a reader reviewed, and how many readers."""
    parts = []
    for rows, noun in ((inputs.volumes, "scan"), (inputs.collagen, "slide")):
        if rows:
            read = [row for row in rows if _verdict(inputs, row)]
            readers = _readers(inputs, read)
            text = f"{number(len(read), 0)} of {count(len(rows), noun)}"
            parts.append(text + (f" by {count(readers, 'reader')}" if readers else ""))
    return f"Reviewed were {' and '.join(parts)}."


def _verdict(inputs: Inputs, row: Mapping[str, Any]) -> str:
    stand = inputs.stands.get(str(row["case_id"]))
    return stand.verdict if stand else ""


def _readers(inputs: Inputs, rows: Iterable[Mapping[str, Any]]) -> int:
    return len({name for row in rows for name in inputs.stands[str(row["case_id"])].readers})
