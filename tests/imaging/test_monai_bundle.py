"""A bundle made here in the layout of the Model Zoo's wholeBody_ct_segmentation, with a network so
simple that its answer is known: a 1 x 1 x 1 convolution that calls liver what is above 50 HU."""

import json

import numpy as np
import pytest
import torch
from fibrovol.errors import EngineError
from fibrovol.imaging.engines import EngineOptions
from fibrovol.imaging.measure import measure_liver
from fibrovol.imaging.volume import Volume

pytestmark = pytest.mark.xdist_group("monai")

INFERENCE = {
    "imports": ["$import glob"],
    "bundle_root": "/somewhere",
    "network_def": {
        "_target_": "torch.nn.Conv3d",
        "in_channels": 1,
        "out_channels": 3,
        "kernel_size": 1,
    },
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": "image"},
            {"_target_": "EnsureChannelFirstd", "keys": "image"},
            {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
            {"_target_": "Spacingd", "keys": "image", "pixdim": [3.0] * 3, "mode": "bilinear"},
            {
                "_target_": "ScaleIntensityRanged",
                "keys": "image", "a_min": -100, "a_max": 200, "b_min": 0, "b_max": 1, "clip": True,
            },
        ],
    },
    "inferer": {
        "_target_": "SlidingWindowInferer",
        "roi_size": [64, 64, 64],
        "sw_batch_size": 1,
        "overlap": 0.25,
    },
}  # fmt: skip
CHANNELS = {"0": "background", "1": "spleen", "2": "liver"}


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "toy_bundle"
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "configs" / "inference.json").write_text(json.dumps(INFERENCE))
    metadata = {
        "name": "toy",
        "version": "0.3.0",
        "network_data_format": {"outputs": {"pred": {"channel_def": CHANNELS}}},
    }
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    state = {
        "weight": torch.tensor([0.0, 0.0, 40.0]).reshape(3, 1, 1, 1, 1),
        "bias": torch.tensor([0.0, -99.0, -20.0]),
    }
    torch.save(state, folder / "models" / "model.pt")
    return folder


@pytest.fixture
def scan():
    """A bright box of 864 mL on an LPS grid, off-centre so that a flip would show."""
    array = np.full((80, 70, 40), -80, np.int16)
    array[10:40, 20:60, 8:26] = 110
    affine = np.diag([-2.0, -2.0, 5.0, 1.0])
    affine[:3, 3] = [60.0, 40.0, -300.0]
    return Volume(array, affine, "CT")


def run(scan, bundle, **options):
    chosen = EngineOptions.of(bundle=str(bundle), **{"trust_bundle": True, **options})
    return measure_liver(scan, engine="monai_bundle", options=chosen)


@pytest.mark.parametrize("label", ["liver", "Liver", "2"])
def test_the_bundle_runs_and_its_mask_lies_on_the_scan(scan, bundle, label):
    found = run(scan, bundle, bundle_label=label)
    true = scan.array > 0
    assert found.volume_ml == pytest.approx(true.sum() * scan.voxel_volume_ml, rel=0.03)
    overlap = 2 * (found.mask.array & true).sum() / (found.mask.array.sum() + true.sum())
    assert overlap > 0.97
    assert found.engine == "monai_bundle toy 0.3.0"
    assert len(found.engine_sha256) == 64


def test_an_untrusted_bundle_is_not_run(scan, bundle):
    config = json.loads((bundle / "configs" / "inference.json").read_text())
    marker = bundle / "ran"
    config["imports"] = [f"$open({str(marker)!r}, 'w').close()"]
    config["preprocessing"] = f"$open({str(marker)!r}, 'w').close()"
    (bundle / "configs" / "inference.json").write_text(json.dumps(config))
    with pytest.raises(EngineError, match="--trust-bundle"):
        run(scan, bundle, trust_bundle=False)
    assert not marker.exists()


def test_a_label_the_bundle_does_not_have_is_named(scan, bundle):
    with pytest.raises(EngineError, match="did you mean 'liver'"):
        run(scan, bundle, bundle_label="livers")


def test_missing_weights_say_what_to_do(scan, bundle):
    (bundle / "models" / "model.pt").unlink()
    with pytest.raises(EngineError) as raised:
        run(scan, bundle)
    assert raised.value.code == "weights_missing"


def test_weights_of_another_network_are_refused(scan, bundle):
    torch.save({"weight": torch.zeros(2, 1, 1, 1, 1)}, bundle / "models" / "model.pt")
    with pytest.raises(EngineError, match="do not fit its network"):
        run(scan, bundle)


def test_weights_that_would_run_code_are_refused(scan, bundle):
    class Payload:
        def __reduce__(self):
            return (print, ("code ran",))

    torch.save({"weight": Payload()}, bundle / "models" / "model.pt")
    with pytest.raises(EngineError, match="do not fit"):
        run(scan, bundle)


def test_any_other_folder_is_no_bundle(scan, tmp_path):
    with pytest.raises(EngineError, match="not a MONAI bundle"):
        run(scan, tmp_path)


@pytest.mark.slow
def test_the_shipped_bundle_runs_through_this_engine_too(scan_of_a_liver):
    from fibrovol.imaging.agreement import dice
    from fibrovol.imaging.engines.liver_net import bundle_folder

    options = EngineOptions.of(bundle=str(bundle_folder()), trust_bundle=True)
    theirs = measure_liver(scan_of_a_liver, engine="monai_bundle", options=options)
    ours = measure_liver(scan_of_a_liver)
    assert dice(theirs.mask.array, ours.mask.array) > 0.97
