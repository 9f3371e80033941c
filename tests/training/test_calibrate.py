"""Limits hold the share of true volumes that they promise."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from fibrovol.training import calibrate
from fibrovol.training.calibrate import (
    OBSERVER_FLOOR,
    WHOLE_SCAN,
    Trial,
    best_threshold,
    design_effect,
    fat_share,
    fit_limits,
    from_patient_to_patient,
    run_trials,
)
from fibrovol.training.draw import Draw
from fibrovol.training.geometry import Case, cut_windows, make_case, turn_slices

COARSE = replace(WHOLE_SCAN, window=(72, 56, 72), spacing_mm=6.0)


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """The windows in voxels of 6 mm: what is asked of them does not depend on finer ones."""
    monkeypatch.setattr(calibrate, "WHOLE_SCAN", COARSE)


def box_case() -> Case:
    """A liver of 25 x 30 x 30 voxels in fat."""
    organs = np.full((80, 70, 60), 14, np.uint8)
    organs[5:75, 5:65] = 0
    organs[40:65, 20:50, 15:45] = 6
    return make_case("box", np.where(organs == 6, 100.0, -90.0), organs, (4.0, 4.0, 4.0))


def simulated(n: int, seed: int) -> list[Trial]:
    """Errors that grow with the spread, as a network's do."""
    rng = np.random.default_rng(seed)
    spread = rng.uniform(0.01, 0.2, n)
    true = rng.uniform(800, 2500, n)
    return [
        Trial(str(case), True, float(t), float(t * (1 + e)), float(s))
        for case, (t, s, e) in enumerate(
            zip(true, spread, rng.normal(0, 0.5 * spread), strict=True)
        )
    ]


def test_limits_hold_95_in_100_of_new_cases():
    limits = fit_limits(simulated(200, 0))
    fresh = simulated(4000, 1)
    inside = [t.relative_error <= limits["floor"] + limits["slope"] * t.spread for t in fresh]
    assert 0.93 <= np.mean(inside) <= 0.99


def test_a_perfect_network_keeps_the_floor_of_human_readers():
    trials = [Trial(str(n), True, 1500.0, 1500.0, 0.05) for n in range(40)]
    assert fit_limits(trials) == {"floor": OBSERVER_FLOOR, "slope": 0.0}


def test_too_few_trials_are_an_error():
    with pytest.raises(ValueError, match="too few"):
        fit_limits(simulated(10, 0))


def test_the_windows_are_of_one_extent():
    whole, coarse = (np.array(w.window) * w.spacing_mm for w in (WHOLE_SCAN, COARSE))
    assert np.array_equal(whole, coarse)


@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize("is_ct", [True, False])
def test_trials_know_the_true_volume(is_ct):
    case = box_case()

    def measure(array, affine, ct, thresholds):
        assert ct is is_ct
        return [(1000.0, 0.1) for _ in thresholds]

    trials = run_trials([case], measure, copies=4, is_ct=is_ct)[0.5]
    box_ml = 25 * 30 * 30 * 64 / 1000
    assert len(trials) == 4
    for trial in trials:  # bent and scaled, so not the same, but of its order
        assert 0.3 * box_ml < trial.true_ml < 3 * box_ml


def test_the_threshold_is_the_one_without_bias():
    def at(ratio):
        return [Trial("a", False, 1000.0, 1000.0 * ratio * e, 0.1) for e in (0.9, 1.0, 1.1)]

    assert best_threshold({0.3: at(1.1), 0.4: at(1.01), 0.5: at(0.9)}) == 0.4


def test_a_label_drawn_into_fat_is_told():
    case = box_case()
    assert fat_share(case) == 0.0
    case.organs[36:40, 20:50, 15:45] = 6  # 4 of now 29 slabs lie in fat
    assert fat_share(case) == pytest.approx(4 / 29)


def rim_voxels(liver) -> int:
    return int(liver.sum() - liver[1:-1, 1:-1, 1:-1].sum())


@pytest.mark.usefixtures("coarse")
def test_every_trial_shows_the_whole_liver(monkeypatch):
    """Of three geometries the first cuts it, and the second shows none."""
    bodies = []

    def cut(*args):
        body = cut_windows(*args)
        if len(bodies) % 3 == 0:
            body.organs[0, 0, 0, 20:30, 20:30] = 6
        elif len(bodies) % 3 == 1:
            body.organs[body.liver] = 0
        bodies.append(body)
        return body

    monkeypatch.setattr(calibrate, "cut_windows", cut)
    trials = run_trials([box_case()], lambda *_: [(1000.0, 0.1)], copies=2, is_ct=False)[0.5]
    voxel_ml = COARSE.spacing_mm**3 / 1000
    whole = [float(body.liver.sum()) * voxel_ml for body in bodies[2::3]]
    assert [trial.true_ml for trial in trials] == pytest.approx(whole)
    assert rim_voxels(bodies[2].liver[0, 0]) == 0 < whole[0]


def test_copies_in_hu_keep_the_slices_of_their_scan():
    """Slices of 100 and -90 HU in turn: what lies between them was never scanned."""
    hu = np.full((80, 70, 60), -90.0)
    hu[..., ::2] = 100.0
    case = make_case("slices", hu, box_case().organs.numpy(), (4.0, 4.0, 5.0))
    turned = turn_slices(case, Draw([3, 0]))
    middle = turned.hu[0, 0, 46:66, 40:58]
    assert torch.allclose(middle[..., ::2], torch.tensor(100.0), atol=0.1)
    assert torch.allclose(middle[..., 1::2], torch.tensor(-90.0), atol=0.1)
    mixed = cut_windows([case], Draw([3, 0]), (80, 70, 60), 4.0, anywhere=0).hu[0, 0, 30:50, 25:45]
    assert float((mixed.abs() < 80).float().mean()) > 0.3


def test_a_copy_in_hu_is_another_patient():
    case = box_case()
    volumes = [int(turn_slices(case, Draw([seed])).liver.sum()) for seed in range(8)]
    own = 25 * 30 * 30
    assert len(set(volumes)) == 8
    assert min(volumes) < 0.9 * own < 1.1 * own < max(volumes)


def test_limits_are_tried_on_each_patient_without_its_copies():
    good = simulated(100, 0)
    bad = [replace(t, case="bad", measured_ml=1.5 * t.true_ml) for t in simulated(60, 1)]
    lost = [replace(bad[0], measured_ml=0.0, spread=float("inf"))] * 5
    found = from_patient_to_patient([*good, *bad, *lost])
    assert found["bad"][0] == fit_limits(good)
    assert found["bad"][1] < 0.1
    assert found["0"][1] == 1.0
    with pytest.raises(ValueError, match="too few"):
        from_patient_to_patient(bad)


def test_copies_that_resemble_each_other_count_once():
    rng = np.random.default_rng(0)
    names = [name for name in "abcdefgh" for _ in range(25)]
    same = np.repeat(rng.normal(size=8), 25)
    assert design_effect(same, names) == pytest.approx(25)
    assert design_effect(rng.normal(size=200), names) == pytest.approx(1, abs=0.5)
    assert design_effect(same, ["a"] * 200) == 200
    assert design_effect(rng.normal(size=8), list("abcdefgh")) == 1


def test_patients_with_few_copies_do_not_hide_one_with_many():
    rng = np.random.default_rng(1)
    sizes = [80, *[2] * 7]
    names = [name for name, size in zip("abcdefgh", sizes, strict=True) for _ in range(size)]
    effects = []
    for _ in range(200):
        own = np.repeat(rng.normal(size=8), sizes)
        effects.append(design_effect(own + rng.normal(size=94), names))
    mean_size = sum(size**2 for size in sizes) / 94
    assert np.mean(effects) == pytest.approx(1 + 0.5 * (mean_size - 1), rel=0.2)


def test_limits_of_one_width_count_patients_by_their_errors():
    """A spread that says nothing hides in the slope that a patient's errors are alike."""
    rng = np.random.default_rng(3)
    trials = [
        Trial(str(case), True, 1000.0, 1000.0 / (1 + error), float(rng.lognormal(-3, 1)))
        for case, error in enumerate(rng.uniform(0.03, 0.08, 12))
        for _ in range(10)
    ]
    limits = fit_limits(trials)
    assert limits["slope"] == 0.0
    assert limits["floor"] == pytest.approx(max(t.relative_error for t in trials))


def test_limits_from_few_patients_are_those_of_the_largest_error():
    """Of 200 copies of eight patients whose errors are their own, no more is known than of 8."""
    rng = np.random.default_rng(2)
    patients = rng.uniform(0.03, 0.08, 8)
    trials = [
        Trial(name, True, 1000.0, 1000.0 / (1 + error + rng.normal(0, 1e-4)), 0.05)
        for name, error in zip("abcdefgh", patients, strict=True)
        for _ in range(25)
    ]
    limits = fit_limits(trials)
    assert limits["floor"] + 0.05 * limits["slope"] >= max(t.relative_error for t in trials)
    pooled = fit_limits([replace(trial, case=str(n)) for n, trial in enumerate(trials)])
    assert pooled["floor"] + 0.05 * pooled["slope"] < max(t.relative_error for t in trials)
