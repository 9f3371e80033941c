"""Settings: what a user may change, read from configs/default.yaml and checked before use.

The keys, their units and their defaults stand in ``configs/default.yaml`` and nowhere else; the
dataclasses here give them types and limits. To add one, add a line there and a field here: a test
holds the two together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml

from .errors import ConfigError, suggest
from .vocabulary import StandardVolume

_MAX_YAML_BYTES = 1_000_000  # a settings file is a page; anything else is the wrong file


@dataclass(frozen=True)
class RunSettings:
    """How a batch is run; none of these changes a number."""

    workers: int
    """Cases measured at the same time."""
    threads_per_worker: int
    """Threads one case may use; 0 shares the machine's cores evenly."""
    memory_per_worker_gib: float
    """Memory one case may use in GiB; 0 shares the machine's evenly."""
    case_time_limit_min: float
    """Minutes after which a case has failed."""
    download_limit_gib: float
    """The most that is fetched from an object store for one case, in GiB."""

    def __post_init__(self) -> None:
        _check_range("run.workers", self.workers, 1, 4096)
        _check_range("run.threads_per_worker", self.threads_per_worker, 0, 4096)
        _check_range("run.memory_per_worker_gib", self.memory_per_worker_gib, 0, 65536)
        _check_range("run.case_time_limit_min", self.case_time_limit_min, 0.01, 14400)
        _check_range("run.download_limit_gib", self.download_limit_gib, 0.001, 65536)


@dataclass(frozen=True)
class LiverSettings:
    """How scans are measured."""

    engine: str
    """Segmentation engine of scans that name none."""
    mask_segment: str
    """Name or number of the liver in masks that hold several organs."""
    mask_threshold: float
    """From which value on a voxel of a probability map is liver; 0 for none."""
    resample_mask: bool
    """Lay a mask drawn on another grid onto the scan's."""
    fill_slices: bool
    """Draw slices between drawn ones of a mask by shape."""
    bundle: str
    """Folder of a MONAI bundle, for the engine monai_bundle; "" without."""
    bundle_label: str
    """Name or number of the liver among the bundle's outputs."""
    weights: str
    """Folder with downloaded weights of an engine that needs them; "" without."""
    device: str
    """What networks run on: auto, cpu, cuda or mps."""
    fast: bool
    """The quicker, coarser variant of an engine that has one."""
    dicom: bool
    """Also write DICOM Segmentation and Structured Report of scans read from DICOM."""

    def __post_init__(self) -> None:
        _check_range("liver.mask_threshold", self.mask_threshold, 0, 1e6)


@dataclass(frozen=True)
class CollagenSettings:
    """How slides are measured; the stains themselves stand in configs/stains.yaml."""

    analysis_mpp_um: float
    """Micrometres along one pixel of the analysis."""
    analysis_pixels_min: int
    """Tissue with fewer such pixels is analysed in finer ones; 0 for never."""
    shortest_biopsy_mm: float
    """Below this total length a biopsy is flagged ``short_biopsy``."""
    custom_stain: str
    """File that describes the stain "custom"; "" without."""
    polygons: bool
    """Also write tissue and collagen as GeoJSON for QuPath."""

    def __post_init__(self) -> None:
        _check_range("collagen.analysis_mpp_um", self.analysis_mpp_um, 0.1, 10.0)
        _check_range("collagen.analysis_pixels_min", self.analysis_pixels_min, 0, 1e9)
        _check_range("collagen.shortest_biopsy_mm", self.shortest_biopsy_mm, 0.0, 1000.0)


@dataclass(frozen=True)
class ReportSettings:
    """What the report shows."""

    biological_variation_percent: float
    """Reference change value of liver volume in stable cirrhosis."""
    standard_liver_volume: str
    """Formula of the volume expected from body size, one of StandardVolume."""
    require_review: bool
    """Compare only cases that a reader has accepted."""

    def __post_init__(self) -> None:
        _check_range(
            "report.biological_variation_percent", self.biological_variation_percent, 0, 100
        )
        if self.standard_liver_volume not in tuple(StandardVolume):
            raise ConfigError(
                "bad_config",
                "the setting report.standard_liver_volume is not a formula that is known",
                found=repr(self.standard_liver_volume),
                do=suggest(self.standard_liver_volume, tuple(StandardVolume)),
            )


@dataclass(frozen=True)
class Settings:
    """All settings, one attribute for each section of ``configs/default.yaml``."""

    run: RunSettings
    liver: LiverSettings
    collagen: CollagenSettings
    report: ReportSettings


_T = TypeVar("_T")

# What no file may say, because a study's files often come from somebody else.
_ONLY_BY_HAND = {
    "liver.trust_bundle": ("a file may not say that a MONAI bundle is trusted", "--trust-bundle"),
    "liver.keep_identity": ("a file may not ask for patients' names", "--keep-identity"),
}


def _check_range(key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(
            "bad_config",
            f"the setting {key} is out of range",
            found=f"{value:g}",
            do=f"give a number from {low:g} to {high:g}",
        )


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML in which a key given twice is an error: the second would silently win."""


def _mapping_without_repeats(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[object] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str | int | float | bool):
            raise yaml.YAMLError(f"line {key_node.start_mark.line + 1}: a key must be a word")
        if key in seen:
            raise yaml.YAMLError(f"line {key_node.start_mark.line + 1}: {key!r} is given twice")
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_StrictLoader.add_constructor(
    yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_repeats
)


def parse_yaml(text: str, name: str) -> dict[str, Any]:
    """Read a YAML mapping; no tag in it can run code, and no key may be given twice.

    Args:
        text: the file's text.
        name: the file's name, for messages.

    Raises:
        ConfigError: not YAML, or not ``key: value`` lines.
    """
    if len(text) > _MAX_YAML_BYTES:
        raise ConfigError(
            "bad_config",
            f"{name} is too large for a settings file",
            found=f"{len(text)} characters",
            do="check that the right file was given",
        )
    try:
        data = yaml.load(text, Loader=_StrictLoader)  # noqa: S506  # a SafeLoader # nosec B506
    except yaml.YAMLError as error:
        raise ConfigError(
            "bad_config",
            f"{name} is not valid YAML",
            found=" ".join(str(error).split()),
            do="write one `key: value` a line and indent with spaces, not tabs",
        ) from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(
            "bad_config",
            f"{name} must hold `key: value` lines",
            found=type(data).__name__,
            do="compare it with configs/default.yaml",
        )
    return {str(key): value for key, value in data.items()}


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file as :func:`parse_yaml` does.

    Raises:
        ConfigError: the file cannot be read, is not UTF-8 or not valid.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(
            "bad_config",
            f"{path.name} cannot be read",
            found=str(reason),
            do="check the path, and save the file as UTF-8 text",
        ) from None
    return parse_yaml(text, path.name)


def _wrong_type(key: str, value: object, expected: str) -> ConfigError:
    return ConfigError(
        "bad_config", f"the setting {key} must be {expected}", found=repr(value), do="correct it"
    )


def _given(kind: Any) -> Any:
    """The type of a value that is given: None is what a key that is left out means."""
    kinds = [one for one in get_args(kind) if one is not type(None)]
    return kinds[0] if get_origin(kind) is UnionType else kind


def _convert(key: str, value: object, kind: Any) -> object:
    """Check one value against its field's type; YAML leaves ``1e-3`` a string, so try numbers."""
    if get_origin(kind) is tuple:
        if not isinstance(value, list | tuple):
            raise _wrong_type(key, value, "a list")
        inner = get_args(kind)
        kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else list(inner)
        if len(kinds) != len(value):
            raise _wrong_type(key, value, f"a list of {len(kinds)}")
        pairs = zip(value, kinds, strict=True)
        return tuple(_convert(f"{key}[{n}]", item, k) for n, (item, k) in enumerate(pairs))
    if kind is bool:
        if not isinstance(value, bool):
            raise _wrong_type(key, value, "true or false")
        return value
    if kind is str:
        if not isinstance(value, str):
            raise _wrong_type(key, value, "text")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _wrong_type(key, value, "a number")
    try:
        number = float(value)
    except ValueError:
        raise _wrong_type(key, value, "a number") from None
    if not math.isfinite(number):
        raise _wrong_type(key, value, "a finite number")
    if kind is int:
        if number != int(number):
            raise _wrong_type(key, value, "a whole number")
        return int(number)
    return number


def build(kind: type[_T], data: Mapping[str, Any], prefix: str, name: str) -> _T:
    """A dataclass from plain values, strictly: no key too many or too few, each of its type.

    Args:
        kind: the dataclass; nested ones are built likewise, a field with a default may be missing.
        data: the values by field.
        prefix: of the keys, for messages: "collagen.".
        name: the file's name, for messages.

    Raises:
        ConfigError: a key that does not exist (the nearest one is named), or a wrong value.
    """
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for key in data:
        if prefix + key in _ONLY_BY_HAND:
            what, option = _ONLY_BY_HAND[prefix + key]
            raise ConfigError(
                "bad_config",
                what,
                found=f"{prefix}{key} in {name}",
                do=f"take it out; give {option} yourself if that is what you want",
            )
        if key not in names:
            raise ConfigError(
                "bad_config",
                f"{name}: the setting {prefix}{key} does not exist",
                found=f"{prefix}{key}",
                do=suggest(key, names),
            )
    values: dict[str, Any] = {}
    optional = {
        field.name
        for field in fields(kind)  # type: ignore[arg-type]
        if field.default is not MISSING
    }
    for key in names:
        if key not in data:
            if key in optional:
                continue
            raise ConfigError("bad_config", f"{name}: {prefix}{key} is missing", do="add it")
        value = data[key]
        if is_dataclass(hints[key]):
            if not isinstance(value, Mapping):
                raise _wrong_type(prefix + key, value, "a group of `key: value` lines")
            values[key] = build(hints[key], value, f"{prefix}{key}.", name)
        else:
            values[key] = _convert(prefix + key, value, _given(hints[key]))
    return kind(**values)


def _merge(base: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, Mapping)
        merged[key] = _merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


@lru_cache(maxsize=1)  # to parse it takes longer than to outline the tissue of a small field
def _defaults(text: str) -> dict[str, Any]:
    """What ``configs/default.yaml`` says; never changed, for all callers get the same."""
    return parse_yaml(text, "default.yaml")


def load_settings(*changes: Path | Mapping[str, Any]) -> Settings:
    """The defaults with the user's changes laid over them.

    Args:
        *changes: settings files or mappings of the same shape as ``configs/default.yaml``, each
            with any part of its keys; later ones win.

    Raises:
        ConfigError: a key that does not exist (the nearest one is named), or a wrong value.
    """
    text = (resources.files(__package__) / "configs" / "default.yaml").read_text(encoding="utf-8")
    data = _defaults(text)
    name = "settings"
    for change in changes:
        if isinstance(change, Path):
            name = change.name
            data = _merge(data, read_yaml(change))
        else:
            data = _merge(data, change)
    return build(Settings, data, "", name)


def as_plain(settings: object) -> dict[str, Any]:
    """A settings object as nested plain values, for provenance and for keys of the journal."""
    return asdict(settings)  # type: ignore[call-overload]
