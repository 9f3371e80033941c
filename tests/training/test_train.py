"""Training on a folder: it learns, stops by the clock, resumes and refuses what it cannot use."""

import contextlib
import json
import math
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch
from fibrovol.errors import ConfigError, ManifestError
from fibrovol.models import network as network_module
from fibrovol.models.inference import WINDOW, load_weights
from fibrovol.models.network import build_network
from fibrovol.training import train as train_module
from fibrovol.training.dataset import find_pairs, load_case
from fibrovol.training.recipe import SHIPPED, read_train_settings
from fibrovol.training.synthesis import SynthesisSettings
from fibrovol.training.train import TrainSettings, _schedule, segmentation_loss, train

pytestmark = pytest.mark.xdist_group("monai")


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


SMALL = SynthesisSettings(window=(32, 32, 32), spacing_mm=8.0)


def quick(steps: int) -> TrainSettings:
    return TrainSettings(steps=steps, minutes=None, threads=1, batch=1, synthesis=SMALL)


@pytest.fixture
def narrow(monkeypatch):
    """A network of few channels, where what is learnt is not the point."""
    monkeypatch.setattr(network_module, "_CHANNELS", (4, 8, 8, 16, 16))


class KilledError(Exception):
    """Stands for a kill signal at a certain step."""


def test_training_goes_on_from_weights_and_leaves_small_files(folder, tmp_path):
    out = tmp_path / "out"
    train(folder, out, quick(3))
    facts = json.loads((out / "settings.json").read_text())
    assert (facts["cases"], facts["steps"], facts["initial"]) == (["a01", "a02"], 3, "")
    network = load_weights(build_network(), str(out / "model.pt"))
    assert all(torch.isfinite(p).all() for p in network.parameters())
    files = [p for p in out.rglob("*") if p.is_file()]
    assert len(files) > 5
    assert max(p.stat().st_size for p in files) < 16 * 2**20
    again = tmp_path / "again"
    train(folder, again, quick(1), initial=out / "model.pt")
    assert json.loads((again / "settings.json").read_text())["initial"] == "model.pt"


@pytest.mark.usefixtures("narrow")
def test_killed_five_times_it_follows_the_same_curve(folder, tmp_path, monkeypatch):
    steps, kills = 13, [2, 5, 6, 10, 11]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(folder, whole, quick(steps))
    every_step = replace(quick(steps), checkpoint_minutes=0.0)
    real_step = train_module._step

    def step(state, *arguments, **options):
        if kills and state.step == kills[0]:
            kills.pop(0)
            raise KilledError
        return real_step(state, *arguments, **options)

    monkeypatch.setattr(train_module, "_step", step)
    tries = 0
    while not (broken / "settings.json").exists():
        tries += 1
        with contextlib.suppress(KilledError):
            train(folder, broken, every_step)
    assert tries == 6
    curves = [
        [(line["step"], line["loss"]) for line in map(json.loads, log.read_text().splitlines())]
        for log in (whole / "log.jsonl", broken / "log.jsonl")
    ]
    assert curves[0] == curves[1]
    assert [step for step, _ in curves[0]] == [10, 13]
    first, second = (torch.load(out / "model.pt", weights_only=True) for out in (whole, broken))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.usefixtures("narrow")
def test_what_was_logged_after_the_last_checkpoint_is_not_logged_twice(folder, tmp_path):
    out = tmp_path / "out"
    train(folder, out, quick(12))
    with (out / "log.jsonl").open("a") as stream:  # as of a try that died before it saved
        stream.write('{"step": 20, "minutes": 1.0, "loss": 9.0}\n')
    train(folder, out, quick(20))
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 12, 20]
    assert lines[-1]["loss"] < 9


@pytest.mark.usefixtures("narrow")
def test_training_stops_by_the_clock(folder, tmp_path):
    settings = replace(quick(100_000), steps=None, minutes=0.03)
    train(folder, tmp_path / "out", settings)
    assert 1 <= json.loads((tmp_path / "out" / "settings.json").read_text())["steps"] < 1000


@pytest.mark.slow
@pytest.mark.usefixtures("narrow")
def test_training_lowers_the_loss(folder, tmp_path):
    losses = []
    settings = replace(quick(40), learning_rate=3e-3)
    train(folder, tmp_path / "out", settings, progress=lambda now: losses.append(now.loss))
    assert losses[-1] < 0.8 * losses[0]


def test_the_rate_rises_stays_and_falls_to_zero():
    settings = TrainSettings(warm_up=0.1, constant=0.4)
    rates = [_schedule(done, settings) for done in (0.0, 0.05, 0.1, 0.3, 0.49, 0.75, 1.0)]
    assert rates[0] < rates[1] < rates[2] == rates[3] == rates[4] == 1.0
    assert rates[5] == pytest.approx(0.5)
    assert rates[6] == pytest.approx(0.0)


def test_the_shipped_weights_are_made_by_a_configuration_that_is_read_strictly(tmp_path):
    for recipe in SHIPPED.values():
        shipped = read_train_settings(recipe)
        assert shipped.settings.synthesis.window == WINDOW
        assert not set(shipped.hold_out) & set(shipped.only)
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("learning_rat: 0.1\n")
    with pytest.raises(ConfigError, match="learning_rate"):
        read_train_settings(wrong)
    wrong.write_text("batch: many\n")
    with pytest.raises(ConfigError, match="batch"):
        read_train_settings(wrong)


def test_loss_is_near_zero_for_a_perfect_answer_and_high_for_a_wrong_one():
    target = torch.zeros(1, 1, 16, 16, 16, dtype=torch.long)
    target[..., 4:12, 4:12, 4:12] = 1
    right = torch.full((1, 4, 16, 16, 16), -20.0).scatter_(1, target, 20.0)
    wrong = torch.full((1, 4, 16, 16, 16), -20.0).scatter_(1, 1 - target, 20.0)
    for only_liver in (False, True):
        partial = torch.tensor([only_liver])
        assert segmentation_loss(right, target, partial) < 0.01
        assert segmentation_loss(wrong, target, partial) > 1.0


def test_a_spleen_is_no_error_where_only_the_liver_is_labelled():
    target = torch.zeros(1, 1, 16, 16, 16, dtype=torch.long)
    target[..., 4:12, 4:12, 4:12] = 1
    seen = target.clone()
    seen[..., :4, :, :] = 2  # a spleen that nobody drew
    logits = torch.full((1, 4, 16, 16, 16), -20.0).scatter_(1, seen, 20.0)
    assert segmentation_loss(logits, target, torch.tensor([True])) < 0.01
    assert segmentation_loss(logits, target, torch.tensor([False])) > 1.0


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
    with pytest.raises(ManifestError, match="contains no liver"):
        load_case(folder / "a01_ct.nii.gz", folder / "a01_organs.nii.gz", {1: 1})


def test_labels_on_another_grid_are_refused(folder):
    labels = nib.load(folder / "a01_organs.nii.gz")
    array, affine = np.asarray(labels.dataobj).copy(), labels.affine.copy()
    affine[0, 3] += 0.5
    nib.save(nib.Nifti1Image(array, affine), folder / "a01_organs.nii.gz")
    with pytest.raises(ManifestError, match="different grids"):
        load_case(folder / "a01_ct.nii.gz", folder / "a01_organs.nii.gz")


def test_a_step_without_a_finite_gradient_changes_no_weight(folder, tmp_path, monkeypatch):
    out = tmp_path / "out"
    real_loss = train_module.segmentation_loss
    monkeypatch.setattr(
        train_module, "segmentation_loss", lambda *given: real_loss(*given) * math.nan
    )
    train(folder, out, quick(2))
    after = torch.load(out / "model.pt", weights_only=True)
    assert all(torch.isfinite(value).all() for value in after.values())


@pytest.mark.usefixtures("narrow")
def test_the_number_of_threads_is_given_back(folder, tmp_path):
    before = torch.get_num_threads()
    train(folder, tmp_path / "out", replace(quick(1), threads=before + 1))
    assert torch.get_num_threads() == before
