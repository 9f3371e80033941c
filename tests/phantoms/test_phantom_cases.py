"""A drawn body for training has its organs where BTCV's numbers say, and its true volume."""

import nibabel as nib
import numpy as np
import pytest
from fibrovol.scripts.phantom_cases import write_case
from fibrovol.training.dataset import find_pairs, load_case


@pytest.fixture(scope="module")
def body(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bodies")
    return folder, write_case(folder, 910_009, cirrhosis=0.8, ascites_mm=10.0)


def test_the_liver_label_has_the_bodys_volume(body):
    folder, liver_ml = body
    image = nib.load(folder / "phantom910009_organs.nii.gz")
    voxel_ml = abs(np.linalg.det(image.affine)) / 1000
    labelled_ml = (np.asarray(image.dataobj) == 6).sum() * voxel_ml
    assert labelled_ml == pytest.approx(liver_ml, rel=0.005)


def test_liver_and_right_kidney_lie_on_the_right(body):
    folder, _ = body
    image = nib.as_closest_canonical(nib.load(folder / "phantom910009_organs.nii.gz"))
    organs = np.asarray(image.dataobj)
    # RAS+: the first axis runs to the patient's right
    place = {n: np.argwhere(organs == n)[:, 0].mean() / organs.shape[0] for n in (1, 2, 3, 6)}
    assert place[6] > 0.55
    assert place[2] > 0.55
    assert place[3] < 0.45
    assert place[1] < 0.45


def test_training_reads_it(body):
    folder, _ = body
    ((_, scan, labels),) = find_pairs(folder)
    case = load_case(scan, labels)
    liver_hu = case.hu[case.organs == 6].float()
    assert 80 < float(liver_hu.median()) < 140
