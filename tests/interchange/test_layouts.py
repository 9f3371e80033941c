"""Results in the layouts of other programs are what the tables say, under other names."""

from __future__ import annotations

import csv
import fnmatch
import json
import re
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from fibrovol.cli import main
from fibrovol.commands import export as command
from fibrovol.datapackage import write_datapackage
from fibrovol.errors import OutputError
from fibrovol.files import sha256_file
from fibrovol.imaging.export.nifti import write_mask
from fibrovol.imaging.masks.gate import MaskOptions, take_mask
from fibrovol.imaging.volume import Volume
from fibrovol.interchange.layouts import LAYOUTS, export
from fibrovol.interchange.results import read_folder
from fibrovol.tables import read_table, write_table

AFFINE = np.array([[-6.0, 0, 0, 144], [0, 6, 0, -120], [0, 0, 8, -96], [0, 0, 0, 1.0]])
SUBJECTS = ("S-01", "S-02")


def organs() -> tuple[np.ndarray, np.ndarray]:
    liver, spleen = (np.zeros((20, 18, 12), bool) for _ in range(2))
    liver[3:11, 4:12, 2:9] = True
    spleen[14:17, 6:9, 4:7] = True
    return liver, spleen


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two subjects, two scans of the first at one visit, one failed scan, one slide."""
    folder = tmp_path / "results"
    (folder / "overlays").mkdir(parents=True)
    (folder / ".fibrovol").mkdir()
    (folder / ".fibrovol/journal").write_text("/home/someone/MUELLER", encoding="utf-8")
    liver, spleen = organs()
    rows = []
    for case_id, subject in (("S-01_a", "S-01"), ("S-01_b", "S-01"), ("S-02_a", "S-02")):
        row = {"case_id": case_id, "subject": subject, "timepoint": "month 6"}
        if subject == "S-02":
            rows.append({**row, "status": "failed", "error": "no_liver_found: none"})
            continue
        write_mask(Volume(liver, AFFINE), folder / f"masks/{case_id}_liver.nii.gz")
        write_mask(Volume(spleen, AFFINE), folder / f"masks/{case_id}_spleen.nii.gz")
        (folder / f"overlays/{case_id}.png").write_bytes(b"png")
        files = {
            "mask_path": f"masks/{case_id}_liver.nii.gz",
            "overlay_path": f"overlays/{case_id}.png",
        }
        measured = {"volume_ml": 129.02, "spleen_volume_ml": 7.78, "modality": "CT"}
        rows.append({**row, "status": "measured", **measured, **files})
    write_table(folder, "volumes", rows)
    (folder / "masks/S-01_s_mask.ome.tif").write_bytes(b"tif")
    (folder / "masks/S-01_s_regions.geojson").write_text("{}", encoding="utf-8")
    slide = {"case_id": "S-01_s", "subject": "S-01", "timepoint": "month 6", "status": "measured"}
    found = {"stain": "psr", "caf_percent": 12.5, "mask_path": "masks/S-01_s_mask.ome.tif"}
    write_table(folder, "collagen", [{**slide, **found}])
    written = {
        "written": "2026-11-27T10:00:00+00:00",
        "versions": {"fibrovol": "0.1.0", "numpy": "2"},
    }
    (folder / "provenance.json").write_text(json.dumps({**written, "cases": {}}), encoding="utf-8")
    (folder / "report_blind_key.csv").write_text("code,subject\n", encoding="utf-8")
    write_datapackage(folder, title="A trial")
    return folder


def test_the_command_offers_every_layout() -> None:
    assert set(command._NAMES) == set(LAYOUTS)


def test_slicer_finds_names_colours_and_the_scans_own_grid(results: Path, tmp_path: Path) -> None:
    written = export("slicer", results, tmp_path / "out")
    assert [path.name for path in written] == ["S-01_a.seg.nrrd", "S-01_b.seg.nrrd"]
    head = written[0].read_bytes().split(b"\n\n")[0].decode("ascii")
    for line in (
        "space: left-posterior-superior",
        "Segment0_Name:=liver",
        "Segment0_LabelValue:=1",
        "Segment0_Extent:=3 10 4 11 2 8",
        "Segment0_Color:=0.866667 0.509804 0.396078",
        "Segment1_Name:=spleen",
        "Segment1_LabelValue:=2",
        "Segmentation_ContainedRepresentationNames:=Binary labelmap|",
    ):
        assert line in head
    assert "SCT^10200004^Liver" in head
    liver, spleen = organs()
    values = sitk.GetArrayFromImage(sitk.ReadImage(written[0])).transpose()
    assert np.array_equal(values, liver + 2 * spleen)
    scan = Volume(np.zeros(liver.shape, np.int16), AFFINE, "CT")
    taken = take_mask(written[0], scan, MaskOptions())  # Fibrovol finds it by its name
    assert np.array_equal(taken.liver, liver)


def test_itk_snap_gets_labels_with_names(results: Path, tmp_path: Path) -> None:
    export("itk-snap", results, tmp_path / "out")
    image = nibabel.load(tmp_path / "out/S-01_a.nii.gz")
    liver, spleen = organs()
    assert np.array_equal(np.asarray(image.dataobj), liver + 2 * spleen)
    assert np.allclose(image.affine, AFFINE)
    lines = (tmp_path / "out/labels.txt").read_text(encoding="utf-8").splitlines()
    labels = [line.split(maxsplit=7) for line in lines if not line.startswith("#")]
    assert [(words[0], words[7]) for words in labels] == [
        ("0", '"Clear Label"'),
        ("1", '"Liver"'),
        ("2", '"Spleen"'),
    ]


def test_organs_that_share_voxels_lose_none(results: Path, tmp_path: Path) -> None:
    liver, _ = organs()
    write_mask(Volume(np.roll(liver, 4, 0), AFFINE), results / "masks/S-01_a_spleen.nii.gz")
    written = export("slicer", results, tmp_path / "out")
    names = ["S-01_a_liver.seg.nrrd", "S-01_a_spleen.seg.nrrd", "S-01_b.seg.nrrd"]
    assert [path.name for path in written] == names
    for path in written[:2]:
        assert (sitk.GetArrayFromImage(sitk.ReadImage(path)) > 0).sum() == liver.sum()


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def test_bids_has_every_case_and_every_row(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    written = export("bids", results, out)
    assert set(written) == {path for path in out.rglob("*") if path.is_file()}
    described = json.loads((out / "dataset_description.json").read_text(encoding="utf-8"))
    assert described["DatasetType"] == "derivative"
    assert described["GeneratedBy"][0]["Version"] == "0.1.0"
    assert table(out / "participants.tsv") == [
        {"participant_id": "sub-S01", "subject": "S-01"},
        {"participant_id": "sub-S02", "subject": "S-02"},
    ]
    rows = table(out / "tables/volumes.tsv")
    assert [row["participant_id"] for row in rows] == ["sub-S01", "sub-S01", "sub-S02"]
    assert rows[0]["volume_ml"] == "129.02"
    assert rows[2]["volume_ml"] == "n/a"
    first = "sub-S01/ses-month6/anat/sub-S01_ses-month6_run-1_desc-liver_mask"
    assert rows[0]["mask_path"] == f"{first}.nii.gz"
    assert sha256_file(out / f"{first}.nii.gz") == sha256_file(
        results / "masks/S-01_a_liver.nii.gz"
    )
    spleen = json.loads((out / f"{first.replace('liver', 'spleen')}.json").read_text("utf-8"))
    assert (spleen["Description"], spleen["SpatialReference"]) == ("Spleen", "orig")
    sidecar = json.loads((out / f"{first}.json").read_text(encoding="utf-8"))
    assert sidecar["Fibrovol"]["volume_ml"] == 129.02
    slide = table(out / "tables/collagen.tsv")[0]
    micr = "sub-S01/ses-month6/micr/sub-S01_ses-month6_sample-1_stain-psr_desc-collagen_dseg"
    assert slide["mask_path"] == f"{micr}.ome.tif"
    assert (out / f"{micr}.geojson").is_file()
    units = json.loads((out / "tables/volumes.json").read_text(encoding="utf-8"))
    assert units["volume_ml"]["Units"] == "mL"


def test_bids_hides_from_a_validator_only_what_it_has_no_rule_for(results, tmp_path) -> None:
    """As bids-validator 3.0.2 found: everything else has a name that BIDS knows."""
    out = tmp_path / "out"
    written = export("bids", results, out)
    patterns = (out / ".bidsignore").read_text(encoding="utf-8").split()
    names = [path.relative_to(out).as_posix() for path in written]
    hidden = {
        name
        for name in names
        if any(fnmatch.fnmatch(part, one) for part in name.split("/") for one in patterns)
    }
    known = r"(sub-\w+/ses-\w+/anat/\S+_(run-\d_)?desc-(liver|spleen)_mask\.(nii\.gz|json)|"
    known += r"dataset_description\.json|README|participants\.(tsv|json)|samples\.tsv|\.bidsignore)"
    assert {name for name in names if not re.fullmatch(known, name)} == hidden


def test_bids_refuses_codes_that_become_one(results: Path, tmp_path: Path) -> None:
    rows = read_table(results, "volumes")
    write_table(results, "volumes", [*rows[:2], {**rows[2], "subject": "S01"}])
    with pytest.raises(OutputError, match="S-01, S01"):
        export("bids", results, tmp_path / "out")


def test_a_crate_describes_every_file_and_passes_on_no_secret(
    results: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    export("ro-crate", results, out)
    graph = json.loads((out / "ro-crate-metadata.json").read_text(encoding="utf-8"))["@graph"]
    nodes = {node["@id"]: node for node in graph}
    files = {
        path.relative_to(out).as_posix()
        for path in out.rglob("*")
        if path.is_file() and path.name != "ro-crate-metadata.json"
    }
    assert {part["@id"] for part in nodes["./"]["hasPart"]} == files
    assert {name for name, node in nodes.items() if node["@type"] == "File"} == files
    assert all(nodes[name]["sha256"] == sha256_file(out / name) for name in files)
    assert nodes["ro-crate-metadata.json"]["conformsTo"]["@id"] == "https://w3id.org/ro/crate/1.1"
    assert not {"report_blind_key.csv", ".fibrovol/journal"} & files
    licence = nodes[nodes["./"]["license"]["@id"]]  # a crate must have one
    assert licence["name"] == "No licence stated"
    package = json.loads((results / "datapackage.json").read_text(encoding="utf-8"))
    for stated, where in (
        ({"name": "CC-BY-4.0"}, "#licence"),
        ({"path": "https://l"}, "https://l"),
    ):
        text = json.dumps(package | {"licenses": [stated]})
        (results / "datapackage.json").write_text(text, encoding="utf-8")
        again = tmp_path / where.strip("#").replace("/", "").replace(":", "")
        export("ro-crate", results, again)
        text = (again / "ro-crate-metadata.json").read_text(encoding="utf-8")
        nodes = {node["@id"]: node for node in json.loads(text)["@graph"]}
        assert nodes["./"]["license"] == {"@id": where}
        assert nodes[where]["name"] == next(iter(stated.values()))
    assert nodes["volumes.csv"]["encodingFormat"] == "text/csv"
    assert nodes["masks/S-01_a_liver.nii.gz"]["encodingFormat"] == "application/gzip"


def test_an_export_overwrites_nothing_and_stays_out_of_the_results(results: Path, tmp_path: Path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("x", encoding="utf-8")
    for folder, reason in (
        (tmp_path / "full", "not empty"),
        (tmp_path / "full/mine.txt", "a folder of its own"),
        (results / "new", "into the results"),
    ):
        with pytest.raises(OutputError, match=reason):
            export("bids", results, folder)
    assert not (results / "new").exists()


def test_a_folder_without_a_finished_run_is_refused(results: Path, tmp_path: Path) -> None:
    (results / "masks/S-01_b_liver.nii.gz").unlink()
    with pytest.raises(OutputError, match="A file of S-01_b is missing"):
        read_folder(results)
    (tmp_path / "secret.nii.gz").write_bytes(b"of somebody else")
    rows = read_table(results, "volumes")
    for name in ("../secret.nii.gz", str(tmp_path / "secret.nii.gz")):
        write_table(results, "volumes", [{**rows[0], "mask_path": name}])
        with pytest.raises(OutputError, match="not in the results folder"):
            read_folder(results)
    for text in ("[]", "{}", '{"written": "", "versions": {}}', "null"):
        (results / "provenance.json").write_text(text, encoding="utf-8")
        with pytest.raises(OutputError, match="no finished results folder"):
            read_folder(results)
    (results / "provenance.json").unlink()
    with pytest.raises(OutputError, match="no finished results folder"):
        read_folder(results)


def test_the_command_says_what_it_wrote(results: Path, tmp_path: Path, capsys) -> None:
    assert main(["export", "bids", str(results), "-o", str(tmp_path / "o"), "--json"]) == 0
    given = json.loads(capsys.readouterr().out)
    assert given["layout"] == "bids"
    assert given["n_files"] == len([p for p in (tmp_path / "o").rglob("*") if p.is_file()])
    assert main(["export", "slicer", str(results), "-o", str(tmp_path / "o")]) == 1
    assert "not empty" in capsys.readouterr().err
