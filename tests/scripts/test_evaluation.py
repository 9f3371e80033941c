"""Altered scans and drawn diseases are what their names say, with the volume they state."""

import numpy as np
import pytest
from fibrovol.imaging.volume import Volume
from fibrovol.scripts.evaluation.alterations import alterations
from fibrovol.scripts.evaluation.liver import verdict
from fibrovol.scripts.evaluation.sick_livers import KINDS, Body

SHAPE, SPACING_MM = (80, 60, 50), (4.0, 4.0, 5.0)


def body() -> Body:
    """Liver right, spleen left, gallbladder and vena cava between, in fat, in a body in air."""
    organs = np.zeros(SHAPE, np.uint8)
    organs[40:70, 15:45, 15:40] = 6
    organs[12:22, 15:28, 22:36] = 1
    organs[48:52, 40:45, 15:20] = 4
    organs[42:46, 12:15, 5:45] = 9
    hu = np.full(SHAPE, -1000, np.float32)
    hu[5:75, 5:55] = -100
    for organ, level in ((6, 110), (1, 120), (4, 10), (9, 140)):
        hu[organs == organ] = level
    return Body(hu, organs, SPACING_MM)


def scan(modality: str = "CT") -> tuple[Volume, np.ndarray]:
    drawn = body()
    return Volume(drawn.hu, np.diag([*SPACING_MM, 1.0]), modality), drawn.liver


def test_every_alteration_changes_the_scan_and_keeps_the_original():
    original, liver = scan()
    before = original.array.copy()
    made = list(alterations(original, liver, seed=1))
    assert len({(a.group, a.name) for a in made}) == len(made) >= 25
    for altered in made:
        same = altered.scan.array.shape == before.shape and np.array_equal(
            altered.scan.array, before
        )
        assert not same or not np.array_equal(altered.scan.affine, original.affine), altered.name
    assert np.array_equal(original.array, before)


def test_a_cut_scan_keeps_its_voxels_where_they_were():
    original, liver = scan()
    (upper,) = (a for a in alterations(original, liver, 1) if a.name == "upper half alone")
    first = (upper.scan.affine @ [0, 0, 0, 1])[:3]
    index = np.rint(np.linalg.inv(original.affine) @ [*first, 1])[:3].astype(int)
    assert upper.scan.array[50, 30, 0] == original.array[50, 30, index[2]]
    share = np.count_nonzero(liver[:, :, index[2] :]) / np.count_nonzero(liver)
    assert 0.45 < share < 0.6


def test_the_grey_values_of_an_mr_are_not_altered():
    assert not [a for a in alterations(*scan("MR"), seed=1) if a.group == "shifted"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "as it is"])
def test_a_drawn_disease_changes_grey_values_and_nothing_but_what_it_says(kind):
    healthy = body()
    sick = KINDS[kind](healthy, np.random.default_rng(2))
    changed = np.abs(sick.hu - healthy.hu) > 15
    assert changed.any()
    assert not changed[healthy.hu == -1000].any(), "drawn into air"
    lost = healthy.liver & ~sick.liver
    assert not (sick.liver & ~healthy.liver).any()
    if "resected" in kind:
        assert 0.2 < lost.sum() / healthy.liver.sum() < 0.8
        assert sick.hu[lost].mean() < 20  # fat and fluid, no liver
    elif kind == "ascites":
        assert 0 < lost.sum() < 0.5 * healthy.liver.sum()
    else:
        assert sick.liver_ml == healthy.liver_ml


def test_a_tumour_is_as_large_as_stated():
    healthy = body()
    sick = KINDS["tumour of 10 cm"](healthy, np.random.default_rng(2))
    tumour_ml = np.count_nonzero(sick.hu < healthy.hu - 25) * np.prod(SPACING_MM) / 1000
    assert 350 < tumour_ml < 650  # a ball of 10 cm has 524 mL


def test_flags_that_every_mr_has_do_not_count():
    assert verdict({"refused": "no_liver_found"}) == "refused"
    assert verdict({"flags": ["mr_unvalidated", "low_confidence"]}) == "passed"
    assert verdict({"flags": ["mr_unvalidated", "small_liver"]}) == "flagged"
    assert verdict({"flags": ["liver_cut_off"]}) == "not compared"
