"""The paper kit: methods that name what measured, references.bib, the data package's origin."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from fibrovol.datapackage import write_datapackage
from fibrovol.report.apparatus import figures_of
from fibrovol.report.page import build_report
from fibrovol.report.references import bibliography, shipped_network
from fibrovol.tables import read_table, write_table

from .cohort import write_directory

SHIPPED, SHIPPED_MR = (
    str(shipped_network()["fibrovol"]["sha256"][name]) for name in ("model.pt", "model_mr.pt")
)


def study(
    directory: Path,
    engine: str = "liver_net 0.7.0",
    weights: str = SHIPPED,
    *,
    images_only: bool = True,
) -> Path:
    """A cohort with an engine and a provenance that says what it and the slides' rule were."""
    write_directory(directory, 3 if images_only else 12, images_only=images_only)
    cases: dict[str, Any] = {}
    rows = read_table(directory, "volumes")
    for row in rows:
        row["engine"] = engine if row["status"] == "measured" else ""
        cases[str(row["case_id"])] = {"kind": "scan", "engine_sha256": weights, "parameters": {}}
    write_table(directory, "volumes", rows)
    for row in read_table(directory, "collagen"):
        parameters = {"settings": {"analysis_mpp_um": 0.8}, "glass_seen": True}
        cases[str(row["case_id"])] = {"kind": "slide", "parameters": parameters}
    text = json.dumps({"written": "2026-11-27T13:01:55+00:00", "cases": cases}, indent=1)
    (directory / "provenance.json").write_text(text, encoding="utf-8")
    return directory


def methods(directory: Path) -> str:
    page = build_report(directory).read_text(encoding="utf-8")
    section = page[page.index('<h2 id="methods">') :]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", section)).split())


@pytest.mark.parametrize("weights", [SHIPPED, SHIPPED_MR])
def test_methods_name_network_data_figures_weights_and_the_rule_for_collagen(
    tmp_path: Path, weights: str
) -> None:
    network, text = shipped_network(), methods(study(tmp_path, weights=weights))
    assert f"version {network['version']} (weights' SHA-256 {weights})" in text
    assert str(network["data_source"]) in text
    for value in network["eval_metrics"].values():
        assert str(value) in text
    assert "analysed at 0.8 µm a pixel" in text
    assert "; you must add" not in text
    assert "No outline or picture was reviewed by a reader" in text
    bib = (tmp_path / "references.bib").read_text(encoding="utf-8")
    assert "Left-ventricle quantification using residual U-Net" in bib


def test_figures_of_one_network_are_never_given_for_another(tmp_path: Path) -> None:
    text = methods(study(tmp_path, weights="ab" * 32))
    assert "ab" * 32 in text
    assert "you must add theirs" in text
    assert str(shipped_network()["data_source"]) not in text


def test_another_engine_is_named_and_its_training_asked_for(tmp_path: Path) -> None:
    text = methods(study(tmp_path, engine="monai_bundle Mine 1.0", weights="cd" * 32))
    assert f"Engine monai_bundle Mine 1.0 (weights' SHA-256 {'cd' * 32})" in text
    assert "you must add them" in text
    assert "residual U-Net" not in (tmp_path / "references.bib").read_text(encoding="utf-8")


def test_without_provenance_no_version_is_claimed(tmp_path: Path) -> None:
    study(tmp_path)
    (tmp_path / "provenance.json").unlink()
    text = methods(tmp_path)
    assert "no provenance.json says which weights" in text
    assert SHIPPED not in text


def test_bibtex_is_whole_and_keys_are_unique(tmp_path: Path) -> None:
    build_report(study(tmp_path, images_only=False))
    bib = (tmp_path / "references.bib").read_text(encoding="utf-8")
    keys = re.findall(r"^@\w+\{([^,]+),$", bib, flags=re.M)
    assert len(keys) == len(set(keys)) > 10
    assert bib.count("{") == bib.count("}")
    assert "author = {Zou, G. Y. and Donner, A.}" in bib
    assert "pages = {1693--1702}" in bib
    assert not re.search(r"title = \{\}|\bnote = \{[^}]{60,}", bib), (
        "a reference was not told apart"
    )


def test_what_cannot_be_told_apart_stays_whole_and_is_escaped() -> None:
    bib = bibliography(["A & B, some report of 50 %"])
    assert r"note = {A \& B, some report of 50 \%}" in bib
    twice = bibliography(["Holm S. One. J A 1979;6:1-2.", "Holm S. Two. J A 1979;7:1-2."])
    assert "@article{holm1979," in twice
    assert "@article{holm1979b," in twice


def test_figures_keep_their_unit_and_an_unknown_one_its_name() -> None:
    text = figures_of({"btcv24_29_worst_dice": 0.9, "new_data_error_percent": 1.5})
    assert text == "BTCV cases 24 to 29: worst Dice 0.9; new data error 1.5 %"


def test_package_states_time_source_and_licence_and_stays_as_it_is(tmp_path: Path) -> None:
    study(tmp_path)
    build_report(tmp_path)
    path = tmp_path / "datapackage.json"
    before = path.read_bytes()
    package = json.loads(before)
    assert package["created"] == "2026-11-27T13:01:55+00:00"
    assert package["sources"][0]["path"] == "provenance.json"
    assert "licenses" not in package, "nobody gave one"
    build_report(tmp_path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("licence", "said"),
    [("CC-BY-4.0", {"name": "CC-BY-4.0"}), ("https://e.org/l", {"path": "https://e.org/l"})],
)
def test_licence_is_what_the_study_gave(tmp_path: Path, licence: str, said: dict[str, str]) -> None:
    (tmp_path / "study.json").write_text(json.dumps({"licence": licence}), encoding="utf-8")
    package = json.loads(write_datapackage(tmp_path).read_text(encoding="utf-8"))
    assert package["licenses"] == [said]
    assert "created" not in package, "no provenance says when"


def test_acquisition_comes_from_the_headers_and_gaps_stay_gaps(tmp_path: Path) -> None:
    study(tmp_path)
    path = tmp_path / "provenance.json"
    provenance = json.loads(path.read_text(encoding="utf-8"))
    headers = {"Manufacturer": "Maker", "ManufacturerModelName": "M1", "KVP": 120.0,
               "SliceThickness": "thick", "ConvolutionKernel": "B30f"}  # fmt: skip
    provenance["cases"]["S01_baseline_scan"]["parameters"] = {"technical_headers": headers}
    scanner = {"manufacturer": "aperio", "objective_power": "20"}
    provenance["cases"]["S01_baseline_slide"]["parameters"] = {"scanner": scanner, "format": "SVS"}
    path.write_text(json.dumps(provenance), encoding="utf-8")
    text = methods(tmp_path)
    rows = {row["case_id"]: row for row in read_table(tmp_path, "acquisition")}
    scan, slide = rows["S01_baseline_scan"], rows["S01_baseline_slide"]
    assert (scan["manufacturer"], scan["tube_voltage_kv"], scan["kernel"]) == ("Maker", 120, "B30f")
    assert scan["slice_thickness_mm"] is None, "a header that is no number"
    assert (slide["manufacturer"], slide["objective_power"]) == ("aperio", 20)
    assert slide["mpp_um"]
    assert rows["S02_baseline_scan"]["manufacturer"] == ""
    failed = {r["case_id"] for r in read_table(tmp_path, "volumes") if r["status"] == "failed"}
    assert failed
    assert not failed & set(rows)
    assert "Maker M1 120 kV" in text
    assert "not stated" in text
