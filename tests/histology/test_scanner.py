"""What a slide's file says of the scanner that made it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from fibrovol.histology.readers import open_slide

APERIO = (
    "Aperio Image Library v12.0.15\r\n512x512 (256x256) JPEG/RGB Q=70|AppMag = 20|"
    "ScanScope ID = SS1284|MPP = 0.5"
)


@pytest.mark.parametrize(
    ("description", "scanner"),
    [(APERIO, {"manufacturer": "Aperio", "objective_power": "20"}), ("a slide", {})],
)
def test_maker_and_objective_but_no_serial_number(
    tmp_path: Path, description: str, scanner: dict[str, str]
) -> None:
    rgb = np.random.default_rng(0).integers(180, 250, (512, 512, 3)).astype(np.uint8)
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, rgb, tile=(256, 256), photometric="rgb", description=description)
    with open_slide(path, mpp_um=0.5) as slide:
        assert dict(slide.scanner) == scanner
        assert "SS1284" not in str(slide.scanner)
