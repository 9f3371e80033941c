"""Measure the collagen of a slide: the one place in histology/ that orchestrates."""

# Long because it is the one place where all steps of a slide meet, in their order.

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MeasurementError, SlideError
from ..flags import FLAGS
from ..settings import CollagenSettings, load_settings
from .choices import GivenRegions, glass_of, read_regions
from .colour.channels import ChannelShift
from .colour.glass import Glass
from .colour.lookup import ColourTable, compile_table
from .colour.model import StainModel, estimate_model
from .colour.stain_table import CUSTOM, stain_definition
from .colour.stains import COLLAGEN, COLLAGEN_LENIENT, COLLAGEN_STRICT, TISSUE, StainDefinition
from .custom import CustomStain, custom_definition, read_custom_stain
from .overview.fill import dark_fill_as_glass
from .overview.fragments import Pieces, label_fragments, midline_lengths_mm
from .overview.tissue import outline_tissue
from .readers import open_slide
from .results.collagen import AreaFraction, collagen_area_fraction
from .results.data import FragmentMeasurement
from .results.limits import BLOCK_MM, caf_limits, pool_squares
from .results.measurement import CollagenMeasurement
from .results.outputs import write_outputs
from .settings import SlideChoices, Tuning
from .slide import Slide
from .tiles.focus import LEAST_DETAIL
from .tiles.grid import AnalysisGrid, pixel_for_um, plan_grid, plan_overview
from .tiles.masks import MASK_COLLAGEN, MASK_TISSUE, BoolMask, SlideMask
from .tiles.samples import Samples, sample_tissue
from .tiles.threads import in_background, thread_count
from .tiles.tiles import COUNTS, SQUARE_PX, Outline, counted_tiles, read_overview

__all__ = ["measure_collagen", "write_outputs"]

#: Less tissue than this is none that could be measured: 2,000 pixels of 1 um. Lumens count, because
#: finer pixels see more of them, and a pixel's rounding does not.
LEAST_TISSUE_MM2 = 0.002
_LITTLE_TISSUE_MM2 = 1.0
# Tissue that fills the picture: its part of that, and the part of it that is white inside.
_FILLED, _NO_HOLE = 0.99, 0.005
_TINTED = 0.1
_PEN_MM2 = 0.05
_BLURRED_PART = 0.2
_CLIPPED_PART = 0.3
_FINER = 0.95  # of the analysis pixel; ordinary grids differ from it by 2 % at most
_COARSEST = 2.2  # pixels above twice the analysis pixel blur single fibres together
_MPP_DISAGREES = 0.05


def measure_collagen(
    path: str | Path,
    *,
    stain: str,
    mpp_um: float | None = None,
    include: str | Path | None = None,
    exclude: str | Path | None = None,
    choices: SlideChoices | None = None,
    settings: CollagenSettings | None = None,
    tuning: Tuning | None = None,
) -> CollagenMeasurement:
    """Measure the collagen area fraction of a slide or a photographed field.

    >>> from fibrovol.phantoms.slides import write_slide
    >>> truth = write_slide(folder / "phantom.tif", caf_percent=12, size_px=(1200, 900))
    >>> measured = measure_collagen(truth.path, stain="psr")
    >>> bool(abs(measured.caf_percent - truth.caf_percent) < 1.0)
    True
    >>> measured.flags
    ('short_biopsy', 'little_tissue')

    Args:
        path: the slide, or a folder of DICOM whole-slide files.
        stain: key of configs/stains.yaml: "psr", "masson", "masson_green", "van_gieson", or
            "custom" with ``settings.custom_stain``.
        mpp_um: micrometres per pixel of the finest level, where the file states none.
        include: region file (regions/): measure only inside it.
        exclude: region file: leave out (capsule, large vessels, clot, folds).
        choices: which picture of the file, what its glass looks like, which regions are meant.
        settings: what a user may change; configs/default.yaml where none are given.
        tuning: how the work is divided.

    Raises:
        SlideError: the slide, its pixel size or its stain cannot be used.
        RegionError: a region file does not fit the slide.
        ConfigError: the file that describes a custom stain is wrong.
        MeasurementError: ``no_tissue_found``.
    """
    settings, tuning = settings or load_settings().collagen, tuning or Tuning()
    choices = choices or SlideChoices()
    threads = thread_count(tuning.threads)
    definition = stain_definition(stain)
    custom = _custom_stain(settings) if stain == CUSTOM else None
    with open_slide(path, mpp_um=mpp_um, image=choices.image) as slide:
        regions = read_regions(slide, include, exclude, choices)
        overview_grid = plan_overview(slide, settings.analysis_mpp_um, tuning.overview_mpp_um)
        overview = read_overview(slide, overview_grid, threads)
        glass = glass_of(slide, overview, choices.white)
        if custom is not None:
            definition = custom_definition(custom, definition, slide, glass)
        found = _find_pieces(overview, glass, definition, overview_grid)
        pieces = found.pieces
        if len(pieces.boxes) == 1:
            raise _no_tissue(slide.path, found.nothing)
        grid, outline = _plan(slide, settings, overview_grid, pieces, regions)
        with in_background(
            lambda: midline_lengths_mm(pieces, overview_grid.mpp_um), threads
        ) as lengths:
            samples = sample_tissue(slide, grid, outline, threads)
            if not samples.counts.any():
                raise _no_tissue(slide.path, regions.nothing_left)
            model = estimate_model(samples.counts, glass, definition, grid.mpp_um)
            table = compile_table(model)
            tally = _tally(slide, grid, outline, table, samples.shift, tuning)
            lengths_mm = lengths()
        job = _Job(
            slide, stain, settings, tuning, grid, model, samples, found, regions, overview_grid
        )
        return _assemble(job, tally, lengths_mm, overview)


def _custom_stain(settings: CollagenSettings) -> CustomStain:
    if not settings.custom_stain:
        raise SlideError(
            "unknown_stain",
            "The stain is custom, but nothing says what it looks like",
            do="describe it in a file and give that with --custom-stain "
            "(collagen.custom_stain in the settings); see docs/concepts/collagen.md",
        )
    return read_custom_stain(settings.custom_stain)


def _plan(
    slide: Slide,
    settings: CollagenSettings,
    overview_grid: AnalysisGrid,
    pieces: Pieces,
    regions: GivenRegions,
) -> tuple[AnalysisGrid, Outline]:
    """The grid of the analysis, finer than usual for little tissue, and the outline on it."""
    size_px = overview_grid.width_px, overview_grid.height_px
    seen = Outline(pieces.labels, size_px, regions.inside, regions.outside)
    area_mm2 = seen.tissue_px() * overview_grid.pixel_mm2
    usual, least_px = settings.analysis_mpp_um, settings.analysis_pixels_min
    grid = plan_grid(slide, pixel_for_um(slide, usual, area_mm2, least_px))
    return grid, replace(seen, size_px=(grid.width_px, grid.height_px))


@dataclass(frozen=True)
class _Found:
    """What the overview shows: the tissue's pieces, areas that are not tissue, doubts."""

    pieces: Pieces
    marks_mm2: dict[str, float]
    pen_suspected: bool
    another_stain: bool
    """Whether so much ink or black lies inside the tissue that it is another stain's fibres."""
    part: float
    """Part of the picture inside the tissue's outline."""

    @property
    def nothing(self) -> str:
        """Why there are no pieces."""
        if self.marks_mm2["coverslip_and_dirt"] > 0:
            return (
                "glass; what is darker on it is without colour: a grey picture, dirt or black ink"
            )
        return "glass; nothing on it is darker"


def _find_pieces(
    overview: NDArray[np.uint8],
    glass: Glass,
    definition: StainDefinition,
    grid: AnalysisGrid,
) -> _Found:
    scanned = dark_fill_as_glass(overview, glass)
    found = outline_tissue(scanned, glass, definition, grid.mpp_um)
    marks = {
        "pen": found.pen,
        "coverslip_and_dirt": found.coverslip_and_dirt,
        "debris": found.debris,
    }
    return _Found(
        label_fragments(found.tissue),
        {name: float(np.count_nonzero(mask)) * grid.pixel_mm2 for name, mask in marks.items()},
        bool(found.doubtful.any()),
        found.another_stain,
        float(found.tissue.mean()),
    )


@dataclass(frozen=True)
class _Job:
    slide: Slide
    stain: str
    settings: CollagenSettings
    tuning: Tuning
    grid: AnalysisGrid
    model: StainModel
    samples: Samples
    found: _Found
    regions: GivenRegions
    overview_grid: AnalysisGrid


@dataclass(frozen=True)
class _Tally:
    """Pixel counts by square and by piece, what was excluded, and the mask."""

    squares: NDArray[np.int64]
    pieces: NDArray[np.int64]
    excluded_px: int
    mask: SlideMask


def _tally(
    slide: Slide,
    grid: AnalysisGrid,
    outline: Outline,
    table: ColourTable,
    shift: ChannelShift,
    tuning: Tuning,
) -> _Tally:
    shape = (-(-grid.height_px // SQUARE_PX), -(-grid.width_px // SQUARE_PX), 2)
    squares = np.zeros(shape, dtype=np.int64)
    pieces = np.zeros((int(outline.labels.max()) + 1, COUNTS), dtype=np.int64)
    mask = SlideMask.empty(grid.height_px, grid.width_px)
    excluded_px = 0
    for tile in counted_tiles(
        slide,
        grid,
        outline,
        table,
        mask,
        shift=shift,
        tile_px=tuning.tile_px,
        threads=tuning.threads,
    ):
        row, column = tile.box.y // SQUARE_PX, tile.box.x // SQUARE_PX
        counted = tile.squares
        squares[row : row + counted.shape[0], column : column + counted.shape[1]] = counted
        for number, counts in tile.pieces.items():
            pieces[number] += counts
        excluded_px += tile.excluded_px
    return _Tally(squares, pieces, excluded_px, mask)


def _assemble(
    job: _Job,
    tally: _Tally,
    lengths_mm: list[float],
    overview: NDArray[np.uint8],
) -> CollagenMeasurement:
    grid = job.grid
    overview_mpp_um = job.overview_grid.mpp_um
    total = tally.pieces.sum(axis=0)
    if total[TISSUE] == 0:
        raise _no_tissue(job.slide.path, job.regions.nothing_left)
    area = _area(total, grid)
    outlined_mm2 = area.tissue_mm2 + area.lumens_mm2
    if round(outlined_mm2, 4) < LEAST_TISSUE_MM2:
        found = f"{outlined_mm2:.4g} mm2; {LEAST_TISSUE_MM2:g} mm2 at least are needed"
        raise _no_tissue(job.slide.path, found)
    merge = max(1, round(BLOCK_MM * 1000.0 / (SQUARE_PX * grid.mpp_um)))
    blocks = pool_squares(tally.squares, merge).reshape(-1, 2)
    low, high = caf_limits(
        blocks[:, 0],
        blocks[:, 1],
        (
            100.0 * float(total[COLLAGEN_LENIENT] / total[TISSUE]),
            100.0 * float(total[COLLAGEN_STRICT] / total[TISSUE]),
        ),
        draws=job.tuning.bootstrap_draws,
        seed=job.tuning.seed,
    )
    fragments = _fragments(tally, job.found.pieces, lengths_mm, grid, overview_mpp_um)
    length_mm = float(sum(piece.length_mm for piece in fragments))
    excluded = {
        "lumens": area.lumens_mm2,
        "regions": tally.excluded_px * grid.pixel_mm2,
        **job.found.marks_mm2,
    }
    return CollagenMeasurement(
        path=job.slide.path,
        stain=job.stain,
        stain_title=job.model.definition.title,
        stain_family=job.model.definition.family,
        image=job.slide.image,
        mpp_um=job.slide.mpp_um,
        analysis_mpp_um=grid.mpp_um,
        tissue_mm2=area.tissue_mm2,
        collagen_mm2=area.collagen_mm2,
        caf_percent=area.caf_percent,
        caf_percent_low=low,
        caf_percent_high=high,
        caf_with_lumens_percent=area.caf_with_lumens_percent,
        n_fragments=len(fragments),
        length_mm=length_mm,
        fragments=fragments,
        excluded_mm2=excluded,
        flags=_flags(job, area.tissue_mm2, length_mm, excluded),
        parameters=_parameters(job),
        tissue_mask=BoolMask(tally.mask, MASK_TISSUE),
        collagen_mask=BoolMask(tally.mask, MASK_COLLAGEN),
        thumbnail=overview,
        thumbnail_mpp_um=overview_mpp_um,
    )


def _flags(
    job: _Job, tissue_mm2: float, length_mm: float, excluded_mm2: dict[str, float]
) -> tuple[str, ...]:
    """What a reader must know before trusting the number."""
    detail = job.samples.detail
    raised = {
        "white_assumed": not job.model.glass.seen,
        "fills_frame": job.found.part > _FILLED and excluded_mm2["lumens"] < _NO_HOLE * tissue_mm2,
        "tinted_glass": job.model.glass.tint > _TINTED,
        "region_without_effect": job.regions.without_effect(tissue_mm2, excluded_mm2["regions"]),
        "short_biopsy": length_mm < job.settings.shortest_biopsy_mm,
        "little_tissue": tissue_mm2 < _LITTLE_TISSUE_MM2,
        "finer_pixels": job.grid.mpp_um < _FINER * job.settings.analysis_mpp_um,
        "unusual_stain": job.model.unusual or job.found.another_stain,
        "out_of_focus": bool(len(detail) and (detail < LEAST_DETAIL).mean() > _BLURRED_PART),
        "overexposed": job.samples.clipped_part > _CLIPPED_PART,
        "pen_marks": excluded_mm2["pen"] > _PEN_MM2,
        "pen_suspected": job.found.pen_suspected,
        "coarse_pixels": job.grid.mpp_um > _COARSEST * job.settings.analysis_mpp_um,
        "pixel_size_overridden": job.slide.mpp_source == "given"
        and job.slide.mpp_stated_um is not None
        and abs(job.slide.mpp_stated_um / job.slide.mpp_um - 1) > _MPP_DISAGREES,
    }
    return tuple(flag for flag in FLAGS if raised.get(flag, False))


def _area(counts: NDArray[np.int64], grid: AnalysisGrid) -> AreaFraction:
    """Areas from cumulative counts (tiles.COUNTS)."""
    return collagen_area_fraction(
        int(counts[TISSUE]),
        int(counts[COLLAGEN]),
        int(counts[0] - counts[TISSUE]),
        grid.pixel_mm2,
    )


def _fragments(
    tally: _Tally,
    pieces: Pieces,
    lengths_mm: list[float],
    grid: AnalysisGrid,
    overview_mpp_um: float,
) -> tuple[FragmentMeasurement, ...]:
    rows: list[FragmentMeasurement] = []
    to_mm = overview_mpp_um / 1000.0
    for label in range(1, len(tally.pieces)):
        counts = tally.pieces[label]
        if counts[TISSUE] == 0:
            continue
        area = _area(counts, grid)
        rows.append(
            FragmentMeasurement(
                number=len(rows) + 1,
                centre_mm=(
                    float(pieces.centres[label, 0] + 0.5) * to_mm,
                    float(pieces.centres[label, 1] + 0.5) * to_mm,
                ),
                tissue_mm2=area.tissue_mm2,
                collagen_mm2=area.collagen_mm2,
                lumens_mm2=area.lumens_mm2,
                caf_percent=area.caf_percent,
                caf_with_lumens_percent=area.caf_with_lumens_percent,
                length_mm=lengths_mm[label - 1],
            )
        )
    return tuple(rows)


def _parameters(job: _Job) -> dict[str, Any]:
    slide, model = job.slide, job.model
    colours = {key: value for key, value in asdict(model).items() if key != "definition"}
    colours["glass"] = {"rgb": model.glass.rgb, "gain": model.glass.gain.tolist()}
    return {
        # of the file its name only: its folder may be a patient's
        "settings": {
            **asdict(job.settings),
            **asdict(job.tuning),
            "custom_stain": Path(job.settings.custom_stain).name,
        },
        "stain": asdict(model.definition),
        "colours": colours,
        "channel_shift_px": asdict(job.samples.shift),
        "image": slide.image,
        "images": list(slide.images),
        "region_notes": job.regions.notes,
        "glass_seen": model.glass.seen,
        "format": slide.format_name,
        "scanner": dict(slide.scanner),
        "mpp_source": slide.mpp_source,
        "mpp_stated_um": slide.mpp_stated_um,
        "icc_profile": slide.has_icc,
        "level_read": asdict(slide.levels[job.grid.level]),
        "size_px": list(slide.size_px),
    }


def _no_tissue(path: Path, found: str) -> MeasurementError:
    return MeasurementError(
        "no_tissue_found",
        f"No tissue was found on {path.name}",
        found=found,
        do="look at the slide; check that regions belong to it and which of their classes are "
        "meant (--include-class, --exclude-class)",
    )
