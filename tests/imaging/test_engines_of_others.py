"""An installed package adds an engine by an entry point, and a broken one says what is wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fibrovol.errors import EngineError
from fibrovol.imaging.engines import engine_names, get_engine
from fibrovol.imaging.measure import measure_liver
from fibrovol.imaging.volume import Volume

CODE = """
import numpy as np
from fibrovol.imaging.engines.base import EngineResult

def cube(volume, options):
    liver = np.zeros(volume.array.shape, bool)
    liver[5:35, 5:35, 5:25] = True
    return EngineResult(liver, None, None, "cube 1.0", "")
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A tiny package as pip lays it into a target folder."""
    (tmp_path / "cube_engine.py").write_text(CODE, encoding="utf-8")
    info = tmp_path / "cube_engine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cube-engine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[fibrovol.engines]\ncube = cube_engine:cube\nlost = cube_engine:not_there\n"
        "liver_net = cube_engine:cube\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("cube_engine", None)


def test_an_installed_package_adds_an_engine(installed: None) -> None:
    assert "cube" in engine_names()
    array = np.full((40, 40, 30), 50, np.int16)
    array[0] = -1000
    found = measure_liver(Volume(array, np.diag([4.0, 4.0, 5.0, 1.0])), engine="cube")
    assert found.volume_ml == pytest.approx(30 * 30 * 20 * 0.08)
    assert found.engine == "cube 1.0"


def test_our_own_names_are_ours(installed: None) -> None:
    assert get_engine("liver_net").__module__ == "fibrovol.imaging.engines.liver_net"


def test_a_broken_engine_is_refused_with_the_reason(installed: None) -> None:
    with pytest.raises(EngineError, match="not_there") as caught:
        get_engine("lost")
    assert caught.value.code == "engine_not_installed"


def test_a_misspelt_engine_is_refused() -> None:
    with pytest.raises(EngineError, match="liver_net"):
        get_engine("liver_nett")
