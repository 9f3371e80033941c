"""train: what the numbers in label maps mean is asked strictly."""

import json
from functools import partial

import pytest
from fibrovol.cli import main
from fibrovol.commands.train import parse_labels
from fibrovol.errors import ConfigError


def test_labels_are_translated_to_btcv():
    assert parse_labels("liver=1, spleen=2,right_kidney=9") == {1: 6, 2: 1, 9: 2}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("livr=1", "did you mean 'liver'"),
        ("liver", "ORGAN=NUMBER"),
        ("liver=0", "1 to 255"),
        ("liver=1,spleen=1", "once"),
        ("spleen=1", "name the liver"),
        ("", "must be one of"),
    ],
)
def test_labels_that_do_not_say_what_they_mean_are_refused(text, says):
    with pytest.raises(ConfigError, match=says):
        parse_labels(text)


def test_a_folder_without_labelled_scans_is_refused(tmp_path, capsys):
    status = main(["train", str(tmp_path), "-o", str(tmp_path / "out"), "--minutes", "0.01"])
    assert status == 1
    assert "no labelled scans" in capsys.readouterr().err


@pytest.fixture
def small_steps(monkeypatch):
    """Train on one small window a step: what is learnt is not the point."""
    from fibrovol.training import train
    from fibrovol.training.synthesis import SynthesisSettings

    small = SynthesisSettings(window=(32, 32, 32), spacing_mm=8.0)
    settings = partial(train.TrainSettings, batch=1, synthesis=small)
    monkeypatch.setattr(train, "TrainSettings", settings)


@pytest.mark.slow
@pytest.mark.xdist_group("monai")
@pytest.mark.usefixtures("small_steps")
def test_train_writes_a_bundle_that_evaluate_takes(tmp_path, capsys):
    import nibabel as nib
    import numpy as np

    hu = np.full((64, 64, 40), -1000.0, np.float32)
    hu[8:56, 8:56] = 40.0
    organs = np.zeros(hu.shape, np.uint8)
    organs[14:40, 14:40, 8:32] = 1
    hu[organs == 1] = 100.0
    for kind, array in (("ct", hu), ("organs", organs)):
        image = nib.Nifti1Image(array, np.diag([4.0, 4.0, 5.0, 1.0]))
        nib.save(image, tmp_path / f"a_{kind}.nii.gz")
    words = ["train", str(tmp_path), "-o", str(tmp_path / "out"), "--minutes", "0.02"]
    assert main([*words, "--labels", "liver=1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["weights"].endswith("model.pt")
    assert (tmp_path / "out" / "model.pt").stat().st_size > 1_000_000
    assert (tmp_path / "out" / "bundle" / "docs" / "README.md").is_file()

    words = ["evaluate", str(tmp_path), "--liver-label", "1", "-o", str(tmp_path / "judged")]
    words += ["--bundle", result["bundle"], "--trust-bundle", "--json"]
    assert main(words) == 0
    judged = json.loads(capsys.readouterr().out)
    assert judged["n"] == 1
    assert 0 <= judged["median_dice"] <= 1
    rows = (tmp_path / "judged" / "evaluation.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 2
    assert (tmp_path / "judged" / "overlays" / "a.png").read_bytes()[:4] == b"\x89PNG"


def test_a_bundle_must_be_trusted_to_be_evaluated(tmp_path, capsys):
    import nibabel as nib
    import numpy as np

    for kind in ("ct", "organs"):
        image = nib.Nifti1Image(
            (10 * np.indices((8, 8, 8)).sum(axis=0) - 100).astype(np.int16),
            np.diag([30.0, 30.0, 30.0, 1.0]),
        )
        nib.save(image, tmp_path / f"a_{kind}.nii.gz")
    (tmp_path / "b" / "configs").mkdir(parents=True)
    (tmp_path / "b" / "configs" / "metadata.json").write_text("{}", encoding="utf-8")
    words = ["evaluate", str(tmp_path), "--liver-label", "1", "--bundle", str(tmp_path / "b")]
    assert main(words) == 1
    assert "--trust-bundle" in capsys.readouterr().err


def test_training_on_nothing_but_held_out_cases_is_refused(tmp_path, capsys):
    for kind in ("ct", "organs"):
        (tmp_path / f"a_{kind}.nii.gz").touch()
    words = ["train", str(tmp_path), "-o", str(tmp_path / "out"), "--hold-out", "a"]
    assert main(words) == 1
    assert "held out" in capsys.readouterr().err
