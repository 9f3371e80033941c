"""Training on a folder: it learns, stops by the clock, resumes and refuses what it cannot use."""

import json

import nibabel as nib
import numpy as np
import pytest
import torch
from fibrovol.errors import ManifestError
from fibrovol.models.inference import load_weights
from fibrovol.models.network import build_network
from fibrovol.training.dataset import find_pairs, load_case
from fibrovol.training.train import TrainSettings, segmentation_loss, train


@pytest.fixture
def folder(tmp_path):
    """Two labelled CTs of a box with a liver and a spleen, BTCV's numbers."""
    rng = np.random.default_rng(0)
    for name in ("a01", "a02"):
        labels = np.zeros((60, 50, 40), np.uint8)
        labels[35:55, 15:40, 10:30] = 6
        labels[6:16, 15:30, 10:25] = 1
        hu = np.full(labels.shape, -125.0)
        hu[3:57, 5:45] = -60
        hu[labels == 6], hu[labels == 1] = 100, 130
        hu += rng.normal(0, 5, hu.shape)
        affine = np.diag([4.0, 4.0, 5.0, 1.0])
        nib.save(nib.Nifti1Image(hu.astype(np.float32), affine), tmp_path / f"{name}_ct.nii.gz")
        nib.save(nib.Nifti1Image(labels, affine), tmp_path / f"{name}_organs.nii.gz")
    return tmp_path


def quick(minutes: float) -> TrainSettings:
    return TrainSettings(minutes=minutes, workers=0, threads=1, contrasts=1)


@pytest.mark.slow
def test_training_lowers_the_loss_and_resumes(folder, tmp_path):
    out = tmp_path / "out"
    train(folder, out, quick(0.05))
    first = json.loads((out / "settings.json").read_text())
    assert first["cases"] == ["a01", "a02"]
    assert first["steps"] >= 1
    network = load_weights(build_network(), str(out / "model.pt"))
    assert all(torch.isfinite(p).all() for p in network.parameters())
    train(folder, out, quick(0.1))
    second = json.loads((out / "settings.json").read_text())
    assert second["steps"] > first["steps"]


def test_loss_is_near_zero_for_a_perfect_answer_and_high_for_a_wrong_one():
    target = torch.zeros(1, 1, 16, 16, 16, dtype=torch.long)
    target[..., 4:12, 4:12, 4:12] = 1
    right = torch.full((1, 4, 16, 16, 16), -20.0).scatter_(1, target, 20.0)
    wrong = torch.full((1, 4, 16, 16, 16), -20.0).scatter_(1, 1 - target, 20.0)
    assert segmentation_loss(right, target) < 0.01
    assert segmentation_loss(wrong, target) > 1.0


def test_scan_without_labels_is_named(folder):
    (folder / "a02_organs.nii.gz").unlink()
    with pytest.raises(ManifestError, match=r"a02_ct\.nii\.gz has no label map"):
        find_pairs(folder)


def test_empty_folder_is_refused(tmp_path):
    with pytest.raises(ManifestError, match="no labelled scans"):
        find_pairs(tmp_path)


def test_label_numbers_can_be_mapped(folder):
    scan, labels = folder / "a01_ct.nii.gz", folder / "a01_organs.nii.gz"
    mapped = load_case(scan, labels, {6: 1, 1: 6})
    plain = load_case(scan, labels)
    assert int((mapped.organs == 1).sum()) == int((plain.organs == 6).sum())


def test_labels_without_a_liver_are_refused(folder):
    with pytest.raises(ManifestError, match="holds no liver"):
        load_case(folder / "a01_ct.nii.gz", folder / "a01_organs.nii.gz", {1: 1})


def test_labels_on_another_grid_are_refused(folder):
    labels = nib.load(folder / "a01_organs.nii.gz")
    array, affine = np.array(labels.dataobj), labels.affine.copy()
    affine[0, 3] += 0.5
    nib.save(nib.Nifti1Image(array, affine), folder / "a01_organs.nii.gz")
    with pytest.raises(ManifestError, match="different grids"):
        load_case(folder / "a01_ct.nii.gz", folder / "a01_organs.nii.gz")
