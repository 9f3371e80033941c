"""Where much tissue is violet the border lies between violet and the dye, and nowhere else."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from fibrovol.histology.measure import measure_collagen
from fibrovol.phantoms import slides
from fibrovol.phantoms.slides import StainLook, render_slide

from .conftest import write_png


@pytest.mark.parametrize("caf", [6.0, 15.0, 35.0])
def test_violet_cytoplasm_is_no_collagen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caf: float
) -> None:
    """Cells that took up as much haematoxylin as scarlet: hue 265, half way to aniline blue."""
    look = slides.STAINS["masson"]
    violet = StainLook(look.collagen, (0.42, 0.50, 0.25), look.nuclei)
    monkeypatch.setitem(slides.STAINS, "masson", violet)
    drawn = render_slide(stain="masson", caf_percent=caf, seed=2, size_px=(1500, 800))
    path = write_png(tmp_path / "f.png", drawn.rgb)
    measured = measure_collagen(path, stain="masson", mpp_um=1.0)
    assert measured.parameters["colours"]["violet"] > 0.9
    assert measured.caf_percent == pytest.approx(drawn.caf_percent, abs=2.0)


@pytest.mark.parametrize("caf", [2.0, 12.0, 40.0])
def test_ordinary_sections_are_measured_as_ever(tmp_path: Path, caf: float) -> None:
    drawn = render_slide(stain="masson", caf_percent=caf, seed=3, size_px=(1500, 800))
    path = write_png(tmp_path / "f.png", drawn.rgb)
    measured = measure_collagen(path, stain="masson", mpp_um=1.0)
    assert measured.parameters["colours"]["violet"] == 0.0
    assert measured.caf_percent == pytest.approx(drawn.caf_percent, abs=1.0)


def test_people_agree_with_it_as_with_each_other(shared_data: Path) -> None:
    folder = shared_data / "slides" / "annotated_masson"
    likeness, errors = [], []
    for number in range(1, 5):
        path = folder / f"masson_crop{number}.png"
        people = [
            cv2.imread(str(folder / f"{path.stem}_person_{one}.png"), cv2.IMREAD_GRAYSCALE) > 127
            for one in "ABC"
        ]
        measured = measure_collagen(path, stain="masson", mpp_um=0.25)
        assert {"little_tissue", "finer_pixels"} <= set(measured.flags)
        ours = measured.collagen_mask.to_array()
        overlaps = [2 * (ours & one).sum() / (ours.sum() + one.sum()) for one in people]
        likeness.append(np.mean(overlaps))
        errors.append(abs(100 * ours.mean() - 100 * np.mean([one.mean() for one in people])))
        assert all(a.shape == b.shape for a, b in itertools.combinations(people, 2))
    assert np.mean(likeness) >= 0.74
    assert np.mean(errors) <= 4.0
