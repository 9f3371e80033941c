"""The one exception tree of Fibrovol, and the table of codes that results carry.

::

    FibrovolError
    ├── InputError            what was given cannot be measured
    │   ├── ScanError         a CT or MR: geometry, pixels, format
    │   ├── SlideError        a slide: pixel size, stain, format
    │   ├── RegionError       a region or mask file that does not fit its image
    │   ├── ManifestError     study.csv, study.yaml, clinical.csv, outcomes.csv
    │   └── ConfigError       a configuration key or value
    ├── MeasurementError      the input was read, but nothing can be said about it
    ├── EngineError           a segmentation engine that is missing or does not fit
    └── OutputError           the output directory: not writable, held by another run, changed

Every error has a ``code`` of :data:`ERROR_CODES` (it stands in the table's ``error`` column) and a
message that says what is wrong, what was found and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

ERROR_CODES: dict[str, str] = {
    # scans
    "not_a_scan": "No readable CT or MR series was found at the path.",
    "no_pixel_spacing": "The image states no PixelSpacing.",
    "no_orientation": "The image states no ImageOrientationPatient.",
    "no_position": "A slice states no ImagePositionPatient.",
    "too_few_slices": "Fewer than 4 slices: no volume can be measured.",
    "slice_gap_too_large": "Two neighbouring slices are more than 15 mm apart.",
    "inconsistent_slices": "The slices differ in size, PixelSpacing or orientation.",
    "ambiguous_slices": "Different images have the same position, and nothing distinguishes them.",
    "truncated_pixel_data": "The pixel data are shorter than the header says.",
    "unsupported_pixel_data": "The pixel data cannot be decoded or are not grey-scale.",
    "several_images": "The file contains several pictures that may be the slide.",
    "several_series": "The path contains several measurable series and none was chosen.",
    "four_dimensional": "The image has a time or channel axis.",
    "no_valid_affine": "The NIfTI file states neither a valid qform nor a valid sform.",
    "implausible_values": "The grey values are not those of a CT or MR.",
    "derived_images": "The images are computed from others: projections, maps, subtractions.",
    "contradictory_geometry": "The NIfTI header states its geometry twice, and differently.",
    "implausible_geometry": "The spacing or size is outside what a scanner produces.",
    "unreadable_file": "The file could not be opened or decoded.",
    # slides
    "no_pixel_size": "The slide states no pixel size and none was given.",
    "implausible_pixel_size": "The pixel size is outside 0.1 to 5 um.",
    "unreadable_slide": "The slide could not be opened or decoded.",
    "unknown_stain": "The stain is not one of those configured.",
    "bad_region": "The region or mask file does not fit its image.",
    # tables and settings
    "bad_manifest": "A study table or file has a missing or wrong entry.",
    "bad_config": "A configuration key or value is wrong.",
    "bad_review": "A reader's verdict or correction lacks something or cannot be used.",
    "changed_meanwhile": "Somebody else changed the case while it was read.",
    # measurement
    "no_liver_found": "No liver was found in the scan.",
    "no_tissue_found": "No tissue was found on the slide.",
    # engines
    "unknown_engine": "The segmentation engine is not one of those listed.",
    "engine_not_installed": "An optional library of the engine is not installed.",
    "device_not_usable": "The graphics card that was asked for is missing or computes wrongly.",
    "weights_missing": "The network's weights are missing.",
    "weights_changed": "The network's weights do not match their recorded SHA-256.",
    "bundle_not_usable": "The MONAI bundle lacks what is needed to run it.",
    "input_missing": "The file or folder of the case does not exist.",
    "input_changed": "The input changed while it was measured.",
    "storage_not_installed": "A library for reading from this kind of storage is not installed.",
    "storage_unreachable": "The object store or server could not be reached, or disconnected.",
    # output and running
    "no_dicom_source": "A DICOM result needs the DICOM images that were measured.",
    "output_not_writable": "The output directory cannot be written.",
    "output_in_use": "Another run is using the output directory.",
    "not_a_result": "The folder contains no results of a run.",
    "out_of_memory": "The case needed more memory than was allowed.",
    "time_limit": "The case took longer than was allowed.",
    "not_installed": "An optional library that the command needs is not installed.",
    "scheduler_lost": "The Dask scheduler cannot be reached or has stopped.",
    "internal_error": "An unexpected error: please report it with the case's log.",
}


def _sentence(what: str, found: str, do: str) -> str:
    parts = [what.rstrip(".") + "."]
    if found:
        parts.append(f"Found: {found.rstrip('.')}.")
    if do:
        parts.append(f"What to do: {do.rstrip('.')}.")
    return " ".join(parts)


@dataclass(frozen=True)
class Failure:
    """Why a case failed; in tables it is written as ``code: sentence``.

    Raises:
        KeyError: ``code`` is not in :data:`ERROR_CODES` (a programming error).
    """

    code: str
    """A key of :data:`ERROR_CODES`."""
    what: str
    """What is wrong, in one clause."""
    found: str = ""
    """What was found in the input."""
    do: str = ""
    """What the user can do about it."""

    def __post_init__(self) -> None:
        if self.code not in ERROR_CODES:
            raise KeyError(f"error code {self.code!r} is not in ERROR_CODES")

    @property
    def sentence(self) -> str:
        """For people."""
        return _sentence(self.what, self.found, self.do)

    def mapped(self, change: Callable[[str], str]) -> Failure:
        """The same with a change made to each of its texts, such as a name taken out."""
        return Failure(self.code, change(self.what), change(self.found), change(self.do))

    def __str__(self) -> str:
        """As in the ``error`` column of the tables."""
        return f"{self.code}: {self.sentence}"


class FibrovolError(Exception):
    """Root of all errors that Fibrovol raises on purpose.

    Args:
        code: a key of :data:`ERROR_CODES`.
        what: what is wrong, in one clause.
        found: what was found in the input.
        do: what the user can do about it.

    Raises:
        KeyError: ``code`` is not in the table (a programming error).
    """

    def __init__(self, code: str, what: str, *, found: str = "", do: str = "") -> None:
        if code not in ERROR_CODES:
            raise KeyError(f"error code {code!r} is not in ERROR_CODES")
        self.code, self.what, self.found, self.do = code, what, found, do
        super().__init__(_sentence(what, found, do))

    @property
    def failure(self) -> Failure:
        """The same as a value, for the record of a case."""
        return Failure(self.code, self.what, self.found, self.do)

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the fields when the error crosses a process border."""
        return (_rebuild, (type(self), self.code, self.what, self.found, self.do))


def _rebuild(cls: type[FibrovolError], code: str, what: str, found: str, do: str) -> FibrovolError:
    return cls(code, what, found=found, do=do)


class InputError(FibrovolError):
    """What was given cannot be measured."""


class ScanError(InputError):
    """A CT or MR scan whose geometry, pixels or format cannot be trusted."""


class SlideError(InputError):
    """A slide whose pixel size, stain or format cannot be trusted."""


class RegionError(InputError):
    """A region or mask file that does not fit its image."""


class ManifestError(InputError):
    """A study table or study.yaml with a missing or wrong entry."""


class ConfigError(InputError):
    """A configuration key or value that is wrong."""


class MeasurementError(FibrovolError):
    """The input was read, but it contains nothing that can be measured."""


class EngineError(FibrovolError):
    """A segmentation engine that is missing or does not fit."""


class OutputError(FibrovolError):
    """The output directory cannot be used."""


def how_to_install(extra: str) -> str:
    """What to type for the libraries of an extra: Fibrovol is installed from its folder.

    Args:
        extra: a key of the optional dependencies in pyproject.toml.
    """
    return (
        f"in the project's folder type scripts/install --{extra}, or in an environment of your own "
        f"pip install -c constraints.txt '.[{extra}]'"
    )


def suggest(name: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant, or list them all.

    Args:
        name: what was found.
        known: the valid names.
    """
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"it must be one of {', '.join(names)}"
