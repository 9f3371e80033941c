"""The engine around the shipped network: which weights are asked what."""

import numpy as np
import pytest
import torch
from fibrovol.imaging.engines import EngineOptions, liver_net
from fibrovol.imaging.volume import Volume
from fibrovol.models.grid import NetworkGrid
from fibrovol.models.inference import LIVER

AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
SHAPE = (50, 50, 40)


@pytest.fixture
def unsure_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probabilities without a network: a liver whose whole border is doubtful."""
    probability = torch.zeros((4, *SHAPE))
    probability[LIVER, 8:42, 8:42, 8:32] = 0.7
    probability[LIVER, 9:41, 9:41, 9:31] = 0.95
    probability[0] = 1 - probability[LIVER]

    def predict(_network: object, array: np.ndarray, affine: np.ndarray, **_: object):
        return probability, NetworkGrid(torch.from_numpy(array), affine, 3.0, (0.0, 1.0))

    monkeypatch.setattr(liver_net, "predict_by_looks", predict)


@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.usefixtures("unsure_network")
def test_the_weights_for_ct_are_asked_whether_a_scan_is_mirrored(modality, monkeypatch):
    """MR's own weights are as sure of some mirrored MR."""
    asked = []

    def network(*, is_ct: bool) -> tuple[str, str]:
        return ("for CT" if is_ct else "for MR", "0" * 64)

    class Runner:
        fell_back, used = False, "cpu"

        def __init__(self, network: str, _device: str) -> None:
            self.network = network

    monkeypatch.setattr(liver_net, "_network", network)
    monkeypatch.setattr(liver_net, "Runner", Runner)
    monkeypatch.setattr(
        liver_net,
        "mirrored_by",
        lambda runner, *_: asked.append(runner.network) or "left and right",
    )
    grey = np.random.default_rng(0).normal(0.5, 0.05, SHAPE).astype(np.float32)
    found = liver_net.liver_net(Volume(grey, AFFINE, modality), EngineOptions.of())
    assert asked == ["for CT"]
    assert found.mirrored_by == "left and right"
