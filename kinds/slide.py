"""A slide: a stained biopsy in, the area fraction of collagen out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SlideError
from ..files import writing
from ..flags import join_flags
from .base import Job, Kind, Measured, Permissions

if TYPE_CHECKING:
    from ..intake.cases import Case
    from ..settings import Settings

_COLUMNS = (
    "stain",
    "mpp_um",
    "tissue_mm2",
    "collagen_mm2",
    "caf_percent",
    "caf_percent_low",
    "caf_percent_high",
    "n_fragments",
    "length_mm",
    "caf_with_lumens_percent",
    "image",
    "stain_title",
    "stain_family",
    "analysis_mpp_um",
)
_FRAGMENT_COLUMNS = (
    "tissue_mm2",
    "collagen_mm2",
    "caf_percent",
    "length_mm",
    "lumens_mm2",
    "caf_with_lumens_percent",
)


def _measure(job: Job) -> Measured:
    from ..histology.measure import measure_collagen, write_outputs  # noqa: PLC0415 - start-up time
    from ..histology.settings import SlideChoices, Tuning  # noqa: PLC0415

    case, start = job.case, time.perf_counter()
    measurement = measure_collagen(
        case.path,
        stain=case.stain,
        mpp_um=case.mpp_um,
        include=case.include_regions,
        exclude=case.exclude_regions,
        choices=SlideChoices(
            image=case.image,
            white=case.white,
            region_label=case.region_label,
            include_classes=_names(case.include_class),
            exclude_classes=_names(case.exclude_class),
            drawn=case.drawn_regions,
        ),
        settings=job.settings.collagen,
        tuning=Tuning(threads=job.threads),
    )
    job.seconds["measure"] = time.perf_counter() - start
    with writing():
        masks, overlays = job.staging / "masks", job.staging / "overlays"
        polygons = job.settings.collagen.polygons
        files = write_outputs(measurement, masks, case.case_id, polygons=polygons)
        overlays.mkdir(exist_ok=True)
        for picture in (files.overlay_path, files.pair_path):
            picture.replace(overlays / picture.name)
    job.seconds["write"] = time.perf_counter() - start - job.seconds["measure"]
    return Measured(
        {
            **{name: getattr(measurement, name) for name in _COLUMNS},
            **{f"excluded_{what}_mm2": mm2 for what, mm2 in measurement.excluded_mm2.items()},
            "flags": join_flags(measurement.flags),
            "mask_path": f"masks/{files.mask_path.name}",
            "overlay_path": f"overlays/{files.overlay_path.name}",
        },
        parts=tuple(
            {
                "fragment": fragment.number,
                **{name: float(getattr(fragment, name)) for name in _FRAGMENT_COLUMNS},
            }
            for fragment in measurement.fragments
        ),
        parameters=measurement.parameters,
    )


def _names(joined: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in joined.split(";") if name.strip())


def _parameters(case: Case, settings: Settings, permissions: Permissions) -> dict[str, Any]:
    del permissions  # none concerns a slide
    given = ("stain", "mpp_um", "image", "white", "region_label", "include_class", "exclude_class")
    return {
        **{name: getattr(case, name) for name in given},
        "settings": dict(vars(settings.collagen)),
    }


def _settings_files(settings: Settings) -> tuple[str, ...]:
    return (settings.collagen.custom_stain,)


def _problem(case: Case, settings: Settings) -> str:
    del settings
    from ..errors import suggest  # noqa: PLC0415
    from ..histology.colour.stain_table import stain_names  # noqa: PLC0415 - start-up time

    known = stain_names()
    if case.stain in known:
        return ""
    return f"the stain {case.stain!r} is not known: {suggest(case.stain, known)}"


def _companions(path: Path) -> list[Path]:
    from ..histology.readers.companions import slide_companions  # noqa: PLC0415 - start-up time

    return slide_companions(path)


def _check_copy(path: Path) -> None:
    """Refuse one file of a DICOM slide: its other files are next to it, and were not fetched.

    Raises:
        SlideError: ``unreadable_slide``.
    """
    from ..histology.readers.companions import dicom_series  # noqa: PLC0415 - start-up time

    if dicom_series(path) is not None:
        raise SlideError(
            "unreadable_slide",
            "The address names one file of a DICOM slide; its other files would be left out, "
            "the sharpest level perhaps",
            found="a single DICOM whole-slide file",
            do="give the address of the folder (prefix) that contains the files of this slide "
            "and of no other",
        )


SLIDE = Kind(
    name="slide",
    table="collagen",
    value="caf_percent",
    unit="%",
    measure=_measure,
    parameters=_parameters,
    settings_files=_settings_files,
    problem=_problem,
    module=__name__,
    companions=_companions,
    check_copy=_check_copy,
    case_columns=("stain",),
    parts_table="fragments",
)
