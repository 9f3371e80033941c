"""TotalSegmentator's engine. Its weights cannot be had in the tests: what is tested with the real
library, where it is installed, is that missing weights are refused before anything is downloaded;
the rest is tested against a stand-in with the same Python API (version 2.18)."""

import importlib.util
import json
import os
import sys
import types
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from fibrovol.errors import EngineError
from fibrovol.imaging.engines import EngineOptions
from fibrovol.imaging.engines.totalsegmentator import totalsegmentator as engine
from fibrovol.imaging.measure import measure_liver
from fibrovol.imaging.volume import Volume

CT_FOLDERS = ("Dataset297_fast", "Dataset298_coarse")
module = sys.modules["fibrovol.imaging.engines.totalsegmentator"]


@pytest.fixture
def scan():
    array = np.full((60, 50, 40), -80, np.int16)
    array[10:40, 10:40, 8:30] = 110
    return Volume(array, np.diag([-3.0, -3.0, 5.0, 1.0]), "CT")


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """The library's API with a threshold for a network; calls are recorded."""
    calls = []

    def segment(image, output, **options):
        home = Path(os.environ["TOTALSEG_HOME_DIR"])
        settings = json.loads((home / "config.json").read_text())
        calls.append({**options, "weights": os.environ["TOTALSEG_WEIGHTS_PATH"], **settings})
        labels = (np.asarray(image.dataobj) > 0).astype(np.uint8) * 5
        return nib.Nifti1Image(labels, image.affine)

    parts = {
        "totalsegmentator": {},
        "totalsegmentator.libs": {
            "TASK_ID_WEIGHTS_CONFIGS": {
                297: {"foldername": CT_FOLDERS[0]},
                298: {"foldername": CT_FOLDERS[1]},
            }
        },
        "totalsegmentator.map_to_binary": {"class_map": {"total": {1: "spleen", 5: "liver"}}},
        "totalsegmentator.python_api": {
            "totalsegmentator": segment,
            "get_task_config": lambda task, fast: {"task_id": 297},
        },
    }
    for name, content in parts.items():
        part = types.ModuleType(name)
        part.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, part)
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(module, "version", lambda name: "2.18.0")
    for folder in CT_FOLDERS:
        (tmp_path / folder).mkdir()
    return calls


def options(tmp_path, **more):
    return EngineOptions.of(weights=str(tmp_path), fast=True, **more)


def test_the_liver_comes_back_on_the_scan(scan, stand_in, tmp_path):
    found = measure_liver(scan, engine="totalsegmentator", options=options(tmp_path))
    assert np.array_equal(found.mask.array, scan.array > 0)
    assert found.engine == "totalsegmentator 2.18.0 total fast"
    assert found.volume_ml_low is None  # it states no limits, so none are invented
    assert stand_in[0]["roi_subset"] == ["liver"]
    assert stand_in[0]["weights"] == str(tmp_path)
    assert (stand_in[0]["device"], found.device) == ("cpu", "cpu")


def test_the_card_has_the_librarys_own_name(scan, stand_in, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "choose_device", lambda asked: "cuda")
    found = measure_liver(scan, engine="totalsegmentator", options=options(tmp_path))
    assert (stand_in[0]["device"], found.device) == ("gpu", "cuda")


def test_nothing_is_reported_to_anybody(scan, stand_in, tmp_path):
    before = dict(os.environ)
    measure_liver(scan, engine="totalsegmentator", options=options(tmp_path))
    assert stand_in[0]["send_usage_stats"] is False
    assert dict(os.environ) == before


def test_missing_weights_are_refused_before_a_download(scan, stand_in, tmp_path):
    (tmp_path / CT_FOLDERS[1]).rmdir()
    with pytest.raises(EngineError) as raised:
        measure_liver(scan, engine="totalsegmentator", options=options(tmp_path))
    assert raised.value.code == "weights_missing"
    assert CT_FOLDERS[1] in raised.value.found
    assert stand_in == []


def test_without_the_library_it_says_how_to_get_it(scan, monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"scripts/install --totalsegmentator"):
        measure_liver(scan, engine="totalsegmentator")


@pytest.mark.skipif(
    importlib.util.find_spec("totalsegmentator") is None,
    reason="TotalSegmentator is not installed (extra: totalsegmentator)",
)
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_the_real_library_is_not_let_to_download(scan, tmp_path, modality):
    with pytest.raises(EngineError) as raised:
        engine(Volume(scan.array, scan.affine, modality), EngineOptions.of(weights=str(tmp_path)))
    assert raised.value.code == "weights_missing"
    assert "Dataset" in raised.value.found
