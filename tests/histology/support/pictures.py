"""What the writers share: pyramids, JPEG with restart markers, and a macro picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]

QUALITY = 90


def pyramid(rgb: Rgb, levels: int, step: int = 2) -> list[Rgb]:
    """The picture and its means over ``step`` x ``step`` pixels, again and again."""
    found = [rgb]
    for _ in range(levels - 1):
        rows, columns = found[-1].shape[:2]
        size = (-(-columns // step), -(-rows // step))
        found.append(np.asarray(cv2.resize(found[-1], size, interpolation=cv2.INTER_AREA)))
    return found


def widened(rgb: Rgb, rows: int, columns: int) -> Rgb:
    """The picture with its last row and column repeated up to a size."""
    more = ((0, rows - rgb.shape[0]), (0, columns - rgb.shape[1]), (0, 0))
    return np.pad(rgb, more, mode="edge")


def jpeg(rgb: Rgb, *, restart_interval: int = 0) -> bytes:
    """A baseline JPEG without chroma subsampling: MCUs of 8 x 8 pixels.

    Args:
        rgb: the picture.
        restart_interval: MCUs between restart markers; 0 for none.
    """
    wanted = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    wanted += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    wanted += [cv2.IMWRITE_JPEG_RST_INTERVAL, restart_interval]
    done, encoded = cv2.imencode(".jpg", rgb[..., ::-1], wanted)
    assert done
    return encoded.tobytes()


def macro_picture(width: int = 600, height: int = 200) -> Rgb:
    """A whole glass with a label, in colours that no slide of the tests has."""
    picture = np.full((height, width, 3), (40, 90, 200), np.uint8)
    picture[:, : width // 4] = (250, 250, 0)
    return picture
