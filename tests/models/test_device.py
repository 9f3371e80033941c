"""A graphics card is used only if it is there and computes what the processor computes."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
import torch
from fibrovol.errors import EngineError
from fibrovol.imaging.engines import EngineOptions
from fibrovol.imaging.measure import measure_liver
from fibrovol.imaging.volume import Volume
from fibrovol.models.device import Runner, choose_device, largest_error
from fibrovol.models.grid import to_network_grid
from fibrovol.phantoms.anatomy import draw_anatomy
from fibrovol.phantoms.scans import write_ct_series
from torch import nn


@pytest.fixture(autouse=True)
def forget():
    largest_error.cache_clear()
    yield
    largest_error.cache_clear()


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv3d(1, 2, 3, padding=1).eval()


BATCH = torch.arange(216.0).reshape(1, 1, 6, 6, 6)


def there(monkeypatch: pytest.MonkeyPatch, **present: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: present.get("cuda", False))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: present.get("mps", False))


def elsewhere(monkeypatch: pytest.MonkeyPatch, compute) -> None:
    """Stand in for a device: ``compute(network, batch)``."""
    monkeypatch.setattr(Runner, "_elsewhere", lambda own, batch: compute(own._network, batch))


@pytest.mark.parametrize(
    ("present", "chosen"),
    [
        ({}, "cpu"),
        ({"cuda": True}, "cuda"),
        ({"mps": True}, "cpu"),
        ({"cuda": True, "mps": True}, "cuda"),
    ],
)
def test_auto_takes_cuda_if_there_is_one_and_never_mps(monkeypatch, present, chosen) -> None:
    there(monkeypatch, **present)
    elsewhere(monkeypatch, lambda network, batch: network(batch))
    assert choose_device("auto") == chosen


@pytest.mark.parametrize("asked", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused(monkeypatch, asked: str) -> None:
    there(monkeypatch)
    with pytest.raises(EngineError) as refused:
        choose_device(asked)
    assert refused.value.code == "device_not_usable"
    assert "finds none here" in str(refused.value)
    assert choose_device("cpu") == "cpu"


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(EngineError, match="give one of auto, cpu, cuda, mps"):
        choose_device("tpu")


@pytest.mark.parametrize("asked", ["mps", "cuda", "auto"])
@pytest.mark.parametrize("factor", [1.01, float("nan")])
def test_a_device_that_computes_wrongly_is_refused(monkeypatch, asked: str, factor: float) -> None:
    there(monkeypatch, cuda=asked != "mps", mps=True)
    elsewhere(monkeypatch, lambda network, batch: network(batch) * factor)
    with pytest.raises(EngineError, match="its convolutions differ"):
        choose_device(asked)


def test_rounding_is_no_error(monkeypatch) -> None:
    there(monkeypatch, mps=True)
    elsewhere(monkeypatch, lambda network, batch: network(batch) * (1 + 1e-5))
    assert choose_device("mps") == "mps"


def test_the_processor_continues_where_the_cards_memory_ends(monkeypatch, network) -> None:
    calls = []

    def compute(own, batch):
        calls.append(1)
        if len(calls) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return own(batch)

    elsewhere(monkeypatch, compute)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    runner = Runner(network, "cuda")
    with torch.inference_mode():
        results = [runner(BATCH)]
        assert (runner.used, runner.fell_back) == ("cuda", False)
        results += [runner(BATCH), runner(BATCH)]
        assert all(torch.equal(result, network(BATCH)) for result in results)
    assert (runner.used, runner.fell_back) == ("cuda, then cpu", True)
    assert len(calls) == 2  # it is not tried again


def test_another_error_of_the_device_is_not_hidden(monkeypatch, network) -> None:
    def compute(own, batch):
        raise RuntimeError("device-side assert triggered")

    elsewhere(monkeypatch, compute)
    with pytest.raises(RuntimeError, match="assert"):
        Runner(network, "cuda")(BATCH)


def test_a_measurement_says_what_its_network_ran_on(monkeypatch) -> None:
    engine = import_module("fibrovol.imaging.engines.liver_net")
    monkeypatch.setattr(engine, "choose_device", lambda asked: asked)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)

    def compute(own, batch):
        raise torch.OutOfMemoryError("out of memory")

    def predict(network, array, affine, *, is_ct, looks):
        network(torch.zeros(1, 1, 32, 16, 16))
        grid = to_network_grid(array, affine, is_ct=is_ct, spacing_mm=3.0)
        found = torch.zeros(4, *grid.image.shape)
        found[1, 10:50, 20:50, 12:40] = 1.0
        return found, grid

    elsewhere(monkeypatch, compute)
    monkeypatch.setattr(engine, "predict_by_looks", predict)
    array = np.full((110, 90, 50), -1000, np.int16)
    array[10:100, 10:80] = np.random.default_rng(0).normal(50, 8, (90, 70, 50))
    scan = Volume.from_array(array, np.diag([3.0, 3.0, 4.0, 1.0]), modality="CT")
    liver = measure_liver(scan, options=EngineOptions.of(device="cuda"))
    assert liver.device == "cuda, then cpu"
    assert "device_fallback" in liver.flags
    assert liver.as_plain()["device"] == "cuda, then cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_a_card_gives_the_processors_volume(tmp_path) -> None:
    write_ct_series(tmp_path, draw_anatomy(3, liver_volume_ml=1400), subject="P1")
    volumes = {
        device: measure_liver(tmp_path, options=EngineOptions.of(device=device)).volume_ml
        for device in ("cpu", "cuda")
    }
    assert volumes["cuda"] == pytest.approx(volumes["cpu"], rel=1e-3)
