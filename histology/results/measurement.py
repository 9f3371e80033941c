"""What measuring a slide returns: its data, and how they are drawn, saved and shown."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...files import write_json
from ...notebook import card, flag_rows, short, shown, with_limits
from .data import CollagenData, CollagenFiles
from .outputs import write_outputs
from .overlay import draw_overlay

_WIDTH_IN = 8.0


@dataclass(frozen=True, repr=False)
class CollagenMeasurement(CollagenData):
    """The collagen area fraction of a slide and all that it rests on."""

    def picture(self) -> NDArray[np.uint8]:
        """The slide small, with collagen tinted and outlined, tissue outlined, and a scale bar.

        Returns:
            RGB uint8 (height, width, 3).
        """
        size = (self.thumbnail.shape[1], self.thumbnail.shape[0])
        factor = 1
        while factor * 2 * self.analysis_mpp_um <= self.thumbnail_mpp_um:
            factor *= 2
        shares = [
            cv2.resize(share, size, interpolation=cv2.INTER_AREA)
            for share in self.tissue_mask.mask.shares(factor)
        ]
        return draw_overlay(self.thumbnail, shares[0], shares[1], self.thumbnail_mpp_um)

    def plot(self) -> Any:
        """Draw the slide with collagen tinted green and outlined.

        Returns:
            A matplotlib ``Figure`` that a notebook shows.
        """
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - start-up time
        from matplotlib.figure import Figure  # noqa: PLC0415 - start-up time

        rgb = self.picture()
        figure = Figure(figsize=(_WIDTH_IN, _WIDTH_IN * rgb.shape[0] / rgb.shape[1]))
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.imshow(rgb)
        axes.set_axis_off()
        return shown(figure)

    def save(
        self, folder: Path | str, stem: str = "slide", *, polygons: bool = True
    ) -> CollagenFiles:
        """Write mask, pictures and polygons as ``fibrovol collagen`` does, and ``<stem>.json``.

        Args:
            folder: made where it is missing.
            stem: start of the file names; it must not hold a patient's name.
            polygons: also write ``<stem>_regions.geojson``, which QuPath opens.

        Raises:
            OutputError: ``output_not_writable``.
            SlideError: the slide, needed for the pictures, can no longer be read.
        """
        files = write_outputs(self, folder, stem, polygons=polygons)
        write_json(Path(folder) / f"{stem}.json", self.as_plain())
        return files

    def as_plain(self) -> dict[str, Any]:
        """Numbers and what they rest on as JSON can hold them; no pixels, no path."""
        left_out = {"path", "tissue_mask", "collagen_mask", "thumbnail", "fragments"}
        plain = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in left_out
        }
        return plain | {"fragments": [asdict(fragment) for fragment in self.fragments]}

    def _fraction_text(self) -> str:
        return with_limits(
            self.caf_percent, self.caf_percent_low, self.caf_percent_high, "%", ".2f"
        )

    def __repr__(self) -> str:
        flags = f"flags {' '.join(self.flags)}" if self.flags else "no flags"
        tissue = f"{self.tissue_mm2:.2f} mm2 of tissue"
        parts = (f"collagen {self._fraction_text()}", self.stain, tissue, flags)
        return short("CollagenMeasurement", parts)

    def _repr_html_(self) -> str:
        rows = {
            "collagen": self._fraction_text(),
            "tissue": f"{self.tissue_mm2:.2f} mm2 in {self.n_fragments} pieces",
            "stain": self.stain_title,
            "pixel size": f"{self.mpp_um:.4g} um",
            **flag_rows(self.flags),
        }
        _, png = cv2.imencode(".png", cv2.cvtColor(self.picture(), cv2.COLOR_RGB2BGR))
        picture = "the slide, collagen tinted green and outlined"
        return card("Collagen area fraction", rows, png.tobytes(), picture)
