"""models/liver is a MONAI bundle: MONAI's own tools accept it, and its words match its weights."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from fibrovol.files import sha256_file
from fibrovol.imaging.agreement import dice
from fibrovol.imaging.engines.liver_net import bundle_folder
from fibrovol.imaging.measure import measure_liver
from fibrovol.models.inference import load_weights
from fibrovol.models.network import build_network
from fibrovol.training.bundle import BundleFacts, write_bundle

pytestmark = pytest.mark.xdist_group("monai")

MODEL_ZOO_KEYS = {
    "schema", "version", "changelog", "monai_version", "pytorch_version", "numpy_version",
    "required_packages_version", "name", "task", "description", "authors", "copyright",
    "data_source", "data_type", "image_classes", "label_classes", "pred_classes", "eval_metrics",
    "intended_use", "references", "network_data_format",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder() -> Path:
    return bundle_folder()


@pytest.fixture(scope="module")
def metadata(folder):
    return json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))


def test_metadata_has_the_model_zoo_keys(metadata):
    assert set(metadata) >= MODEL_ZOO_KEYS
    assert metadata["version"] in metadata["changelog"]
    assert metadata["eval_metrics"]


def test_weights_are_those_recorded_small_and_loadable(folder, metadata):
    weights = folder / "models" / "model.pt"
    for name, sha256 in metadata["fibrovol"]["sha256"].items():
        assert sha256_file(weights.parent / name) == sha256
    assert weights.stat().st_size <= 25e6
    load_weights(build_network(), str(weights))


def test_bundle_says_what_it_was_trained_on_and_for(folder):
    card = (folder / "docs" / "README.md").read_text(encoding="utf-8")
    assert "not for diagnosis" in card.lower()
    assert "BTCV" in (folder / "docs" / "data_license.txt").read_text(encoding="utf-8")


@pytest.mark.slow
def test_monai_finds_the_network_as_described(folder):
    pytest.importorskip("ignite", reason="MONAI's bundle tools need pytorch-ignite (extra: dev)")
    from monai.bundle import verify_net_in_out

    verify_net_in_out(
        net_id="network_def",
        meta_file=str(folder / "configs" / "metadata.json"),
        config_file=str(folder / "configs" / "inference.yaml"),
    )


@pytest.mark.slow
def test_monai_runs_the_bundle_on_a_folder_and_agrees_with_ours(folder, scan_of_a_liver, tmp_path):
    pytest.importorskip("ignite", reason="MONAI's bundle tools need pytorch-ignite (extra: dev)")
    from monai.bundle import run

    run(
        config_file=str(folder / "configs" / "inference.yaml"),
        bundle_root=str(folder),
        dataset_dir=str(scan_of_a_liver.parent),
        output_dir=str(tmp_path / "out"),
    )
    theirs = nib.load(tmp_path / "out" / "case_seg.nii.gz")
    assert np.allclose(theirs.affine, nib.load(scan_of_a_liver).affine, atol=1e-3)
    ours = measure_liver(scan_of_a_liver).mask.array
    assert dice(np.asarray(theirs.dataobj) == 1, ours) > 0.97


def test_a_bundle_is_written_whole_and_keeps_edited_documents(folder, tmp_path):
    target = tmp_path / "mine"
    (target / "configs").mkdir(parents=True)
    (target / "configs" / "inference.yaml").write_text("edited: by hand\n")
    facts = BundleFacts(
        version="1.0.0",
        description="d",
        authors="a",
        data_source="s",
        changelog={"1.0.0": "first"},
        eval_metrics={"dice": 0.5},
        volume_limits={"ct": {"floor": 0.02, "slope": 1.0}, "mr": None},
        largest_spread=0.25,
    )
    write_bundle(target, folder / "models" / "model.pt", facts)
    written = json.loads((target / "configs" / "metadata.json").read_text(encoding="utf-8"))
    assert set(written) >= MODEL_ZOO_KEYS
    assert written["fibrovol"]["sha256"] == {
        "model.pt": sha256_file(target / "models" / "model.pt")
    }
    assert (target / "configs" / "inference.yaml").read_text() == "edited: by hand\n"
