"""What an evaluation says of a labelled scan."""

import nibabel as nib
import numpy as np
import pytest
from fibrovol.imaging.engines import EngineOptions
from fibrovol.training.evaluate import evaluate, off_doubled_slices


def test_slices_near_a_doubled_one_are_told_apart():
    label = np.zeros((8, 8, 14), bool)
    for k in range(2, 13):  # a cone: no slice equals its neighbour
        label[: 1 + k // 2, : 1 + (k + 1) // 2, k] = True
    assert off_doubled_slices(label) is None
    label[:, :, 7] = label[:, :, 6]
    assert off_doubled_slices(label).tolist() == [2, 3, 4, 9, 10, 11, 12]


def test_a_case_without_a_liver_counts_as_a_dice_of_zero(tmp_path):
    labels = np.zeros((30, 30, 30), np.uint8)
    labels[10:20, 10:20, 10:20] = 1
    fat = np.full(labels.shape, -100, np.int16)
    fat[:, :, ::2] = -90
    for kind, array in (("ct", fat), ("organs", labels)):
        image = nib.Nifti1Image(array, np.diag([4.0, 4.0, 4.0, 1.0]))
        nib.save(image, tmp_path / f"a_{kind}.nii.gz")
    (case,) = evaluate(tmp_path, engine="liver_net", options=EngineOptions.of(), liver_label=1)
    assert (case.dice, case.measured_ml, case.hd95_mm) == (0.0, 0.0, None)
    assert case.true_ml == pytest.approx(64.0)
    assert case.dice_off_doubled_slices is None  # a box is the same in all of its slices
