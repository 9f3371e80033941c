"""The sliding window and the weights' loader, with a network simple enough to know its answer."""

import nibabel as nib
import numpy as np
import pytest
import torch
from fibrovol.imaging.agreement import dice
from fibrovol.imaging.engines.liver_net import shipped_weights
from fibrovol.imaging.postprocess import fill_holes, keep_largest
from fibrovol.models.inference import WINDOW, has_bf16, load_weights, predict, to_scan
from fibrovol.models.network import CLASSES, build_network


def bright_is_liver(batch: torch.Tensor) -> torch.Tensor:
    """Logits of a network that calls liver whatever is brighter than 0.5."""
    liver = 40 * (batch - 0.5)
    return torch.cat([torch.zeros_like(liver), liver], dim=1)


def scan_larger_than_a_window():
    array = np.full((130, 100, 120), -100, np.int16)
    array[20:110, 30:60, 15:100] = 150
    return array, np.diag([3.0, 3.0, 3.0, 1.0])


def test_windows_join_without_a_seam():
    array, affine = scan_larger_than_a_window()
    assert any(n > w for n, w in zip(array.shape, WINDOW, strict=True))
    probability, grid = predict(bright_is_liver, array, affine, is_ct=True, bf16=False)
    assert probability.shape[1:] == grid.image.shape
    assert np.array_equal(probability[1].numpy() > 0.5, array > 0)


def test_overlap_does_not_change_a_local_network():
    array, affine = scan_larger_than_a_window()
    first, _ = predict(bright_is_liver, array, affine, is_ct=True, overlap=0.25, bf16=False)
    second, _ = predict(bright_is_liver, array, affine, is_ct=True, overlap=0.5, bf16=False)
    assert torch.allclose(first, second, atol=1e-5)


def test_probabilities_sum_to_one():
    array, affine = scan_larger_than_a_window()
    probability, _ = predict(
        build_network().eval(), array[:60, :80, :96], affine, is_ct=True, refine=False
    )
    assert probability.shape[0] == len(CLASSES)
    assert torch.allclose(probability.sum(0), torch.ones(()), atol=1e-3)


def test_weights_file_cannot_run_code(tmp_path):
    class Payload:
        def __reduce__(self):
            return (print, ("code ran",))

    torch.save({"weight": Payload()}, tmp_path / "model.pt")
    with pytest.raises(Exception, match="Weights only load failed"):
        load_weights(build_network(), str(tmp_path / "model.pt"))


SMALL_WINDOW = (80, 64, 64)


def one_window_around(organ: np.ndarray, scan: nib.Nifti1Image) -> nib.Nifti1Image:
    """The scan cut to about one window: bfloat16 takes minutes where the processor lacks it."""
    middle = np.argwhere(organ).mean(axis=0)
    half = np.array(SMALL_WINDOW) * 3.0 / 2 / scan.header.get_zooms()
    box = (slice(max(0, int(c - h)), int(c + h)) for c, h in zip(middle, half, strict=True))
    return scan.slicer[tuple(box)]


@pytest.mark.parametrize(
    ("name", "label"), [("labelled_ct/btcv21_ct", 6), ("labelled_mr/chaos_t2_02_mr", 1)]
)
def test_bfloat16_and_float32_agree_voxel_by_voxel(shared_data, monkeypatch, name, label):
    """The processor decides which is used: the volume may not depend on it."""
    monkeypatch.setattr("fibrovol.models.inference.WINDOW", SMALL_WINDOW)
    is_ct = name.endswith("_ct")
    drawn = nib.load(shared_data / f"scans/{name[:-3]}_organs.nii.gz")
    scan = nib.load(shared_data / f"scans/{name}.nii.gz")
    scan = one_window_around(np.asarray(drawn.dataobj) == label, scan)
    array = scan.get_fdata(dtype=np.float32)
    network = load_weights(build_network(), str(shipped_weights()))
    masks = []
    for bf16 in (True, False):
        probability, grid = predict(
            network, array, scan.affine, is_ct=is_ct, bf16=bf16, refine=False
        )
        soft = fill_holes(keep_largest(probability[1].numpy()))
        masks.append(to_scan(soft, grid.affine, array.shape, scan.affine))
    brief, full = masks
    assert (brief == full).mean() >= 0.997
    assert dice(brief, full) >= 0.98
    assert brief.sum() == pytest.approx(full.sum(), rel=0.005 if is_ct else 0.02)


def test_bfloat16_is_used_only_where_the_processor_has_it(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True}, raising=False)
    assert not has_bf16()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    assert has_bf16()
