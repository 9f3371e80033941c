"""A JPEG whose pixels were damaged on the way is refused; one that is merely unusual is read."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from fibrovol.errors import SlideError
from fibrovol.histology.readers import open_slide
from fibrovol.histology.readers.jpeg_damage import find_damage

from .conftest import draw_field

SCAN = b"\xff\xda"


def _encode(*settings: int, subsampling: int = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420) -> bytes:
    rgb = draw_field("psr", size=200, bands=3, width=10, seed=3).rgb[:181, :173]
    how = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, subsampling, *settings]
    return cv2.imencode(".jpg", rgb[..., ::-1], how)[1].tobytes()


def _overwrite(whole: bytes, *, seed: int) -> bytes:
    """Twenty bytes of the coded pixels replaced by others, none of them a marker."""
    generator = np.random.default_rng(seed)
    place = int(generator.integers(whole.index(SCAN) + 20, len(whole) - 200))
    return (
        whole[:place]
        + generator.integers(0, 255, 20, dtype=np.uint8).tobytes()
        + whole[place + 20 :]
    )


@pytest.mark.parametrize("quality", [5, 60, 90, 100])
@pytest.mark.parametrize(
    "subsampling",
    [
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411,
    ],
)
@pytest.mark.parametrize(
    "setting", [(), (cv2.IMWRITE_JPEG_OPTIMIZE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 3),
                (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)],
)  # fmt: skip
def test_no_intact_jpeg_is_called_damaged(
    quality: int, subsampling: int, setting: tuple[int, ...]
) -> None:
    whole = _encode(cv2.IMWRITE_JPEG_QUALITY, quality, *setting, subsampling=subsampling)
    for data in (
        whole,
        whole + bytes(300),
        whole[:-2] + b"\xff\xff" + whole[-2:],
        whole[:-2] + bytes(6) + whole[-2:],
    ):
        assert find_damage(data) is None


def test_a_picture_of_one_colour_whose_code_is_nothing_but_zeros_is_whole() -> None:
    white = np.full((320, 320, 3), 255, np.uint8)
    data = cv2.imencode(".jpg", white, [cv2.IMWRITE_JPEG_OPTIMIZE, 1])[1].tobytes()
    assert data[-20:-3] == bytes(17)
    assert find_damage(data) is None


def test_code_that_is_too_short_or_too_long_is_named() -> None:
    whole = _encode()
    middle = (whole.index(SCAN) + len(whole)) // 2
    assert find_damage(whole[:middle].rstrip(b"\xff") + whole[-2:]) == (
        "its coded pixels end before the picture does"
    )
    longer = whole[:-2] + whole[middle : middle + 200].rstrip(b"\xff") + whole[-2:]
    assert find_damage(longer) == "its coded pixels go on after the end of the picture"
    assert find_damage(whole[:middle] + b"\x12\xff\xa7" + whole[middle:]) == (
        "a foreign marker 0xa7 among its coded pixels"
    )
    assert find_damage(whole[:middle].rstrip(b"\xff")) == "its coded pixels have no end"


def test_a_progressive_picture_that_was_cut_is_found() -> None:
    whole = _encode(cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    for part in (0.2, 0.5, 0.9, 0.99):
        cut = whole[: int(part * len(whole))].rstrip(b"\xff") + whole[-2:]
        assert find_damage(cut) == "its coded pixels end before the picture does"


def test_what_libjpeg_only_warns_of_is_found(capfd: pytest.CaptureFixture[str]) -> None:
    """Its warnings, on the process's standard error, are the judge; it tells 3 in 4 such files."""
    whole, warned = _encode(), 0
    for seed in range(40):
        damaged = _overwrite(whole, seed=seed)
        cv2.imdecode(np.frombuffer(damaged, np.uint8), cv2.IMREAD_COLOR)
        if "Corrupt JPEG data" in capfd.readouterr().err:
            warned += 1
            assert find_damage(damaged) is not None
    assert warned > 20


def test_a_damaged_jpeg_is_refused_with_its_cause(tmp_path: Path) -> None:
    whole = _encode()
    middle = (whole.index(SCAN) + len(whole)) // 2
    (tmp_path / "f.jpg").write_bytes(whole[:middle].rstrip(b"\xff") + whole[-2:])
    with pytest.raises(SlideError, match="damaged") as refused:
        open_slide(tmp_path / "f.jpg", mpp_um=1.0)
    assert "end before the picture does" in str(refused.value)
