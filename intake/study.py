"""Read study.csv and study.yaml, and check them as a whole before anything starts.

Everything that is wrong is listed at once, with its line. A file that is not there is not an error
here: that case fails by itself when its turn comes, and the others are measured.
"""

# Long because every key of study.yaml is checked here, each with the sentence for what is wrong.

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from ..errors import ManifestError, suggest
from ..measures import COMPARED, PRIMARY_MEASURES
from ..settings import load_settings, read_yaml
from ..sheets.clinical import read_clinical, read_outcomes
from ..sheets.sheet import read_sheet
from ..sheets.visits import in_time, moment_of
from ..tables import Row
from .cases import REQUIRED_COLUMNS, Case, Kind, locate, place_of, read_cases, slug, unique_ids

#: So many folders are looked up for what tells two slides of one name apart.
_MOST_FOLDERS = 4
YAML_KEYS = (
    "title",
    "cases",
    "clinical",
    "outcomes",
    "timepoints",
    "primary_measures",
    "biological_variation_percent",
    "smallest_detectable",
    "stain",
    "engine",
    "modality",
    "subjects",
    "visits",
    "sampling_cv_percent",
    "important_difference",
    "licence",
    "settings",
)


@dataclass(frozen=True)
class Study:
    """A whole study."""

    title: str
    """For the report."""
    cases: tuple[Case, ...]
    """In the order of study.csv."""
    timepoints: tuple[str, ...]
    """In order; the first is what the others are compared with."""
    primary_measures: tuple[str, ...] = PRIMARY_MEASURES
    """What the study is about."""
    biological_variation_percent: Mapping[str, float] = field(default_factory=dict)
    """Reference change value by measure, in per cent."""
    smallest_detectable: Mapping[str, float] = field(default_factory=dict)
    """Smallest detectable change by measure, in its unit, where the user's own repeats are
    known."""
    clinical: tuple[Row, ...] = ()
    """Rows of clinical.csv with the known columns, () without."""
    outcomes: tuple[Row, ...] = ()
    """Rows of outcomes.csv, () without."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The user's changes to configs/default.yaml."""
    source: Path | None = None
    """The file that was read, None for cases given on the command line."""
    notes: tuple[str, ...] = ()
    """What was passed over or read differently from how it is written, for log and report."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Arm of each subject, empty without arms."""
    enrolled: tuple[str, ...] = ()
    """Every subject, those without any scan or slide last."""
    days: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Days from the first visit by subject and visit, where dates are known."""
    visits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Planned months and window in days by visit, where study.yaml gives them."""
    sampling_cv_percent: Mapping[str, float] = field(default_factory=dict)
    """Variation within one liver by measure, where study.yaml gives it."""
    important_difference: Mapping[str, float] = field(default_factory=dict)
    """The smallest change that matters by measure, where study.yaml gives it."""
    licence: str = ""
    """Of the result tables, a name such as CC-BY-4.0 or an address; "" if none is given."""
    elsewhere: tuple[Case, ...] = ()
    """The cases of the study that are measured by other runs, () for a whole study; see part.py."""


def read_study(path: Path, *, strict: bool = False) -> Study:
    """Read a study.

    Args:
        path: study.yaml, or study.csv alone, or the folder that contains them.
        strict: refuse tables in which entries have to be reinterpreted.

    Returns:
        The study, every row checked.

    Raises:
        ManifestError: something in study.csv, clinical.csv or outcomes.csv is wrong; the message
            lists every problem with its line.
        ConfigError: study.yaml is not valid, or a key in it does not exist.
    """
    path = Path(path)
    if path.is_dir():
        found = [path / name for name in ("study.yaml", "study.yml", "study.csv")]
        path = next((file for file in found if file.is_file()), found[0])
    if not path.is_file():
        raise ManifestError(
            "bad_manifest",
            "The study was not found",
            found=str(path),
            do="give the path of study.yaml or study.csv; `fibrovol init` drafts both from a "
            "folder of scans",
        )
    is_yaml = path.suffix.lower() in (".yaml", ".yml")
    options = read_yaml(path) if is_yaml else {}
    for key in options:
        if key not in YAML_KEYS:
            raise ManifestError(
                "bad_manifest",
                f"{path.name}: the key {key} does not exist",
                found=key,
                do=suggest(key, YAML_KEYS),
            )
    folder = path.resolve().parent
    cases_file = _table_path(options, "cases", "study.csv", folder, path) if is_yaml else path
    if cases_file is None:
        raise ManifestError(
            "bad_manifest", f"{path.name}: no cases", found="no study.csv next to it", do="add it"
        )
    cases, notes = read_cases(
        read_sheet(cases_file, needs=REQUIRED_COLUMNS),
        cases_file.resolve().parent,
        stain=_word(options, "stain", path),
        engine=_word(options, "engine", path),
        modality=_word(options, "modality", path).upper(),
    )
    settings = options.get("settings") or {}
    if not isinstance(settings, Mapping):
        raise _yaml_problem(path, "settings", settings, "a group of `key: value` lines")
    load_settings(settings)
    subjects = tuple(
        dict.fromkeys([*(case.subject for case in cases), *_words(options, "subjects", path)])
    )
    timepoints = _timepoints(options, cases, path)
    clinical_file = _table_path(options, "clinical", "clinical.csv", folder, path)
    outcomes_file = _table_path(options, "outcomes", "outcomes.csv", folder, path)
    arms = {case.subject: case.group for case in cases if case.group}
    clinical = read_clinical(clinical_file, subjects, timepoints, arms) if clinical_file else None
    outcomes = read_outcomes(outcomes_file, subjects) if outcomes_file else None
    all_notes = [*notes, *(note for read in (clinical, outcomes) if read for note in read.notes)]
    if strict and all_notes:
        raise ManifestError(
            "bad_manifest",
            "Entries of the tables had to be reinterpreted, and --strict was given",
            found="\n  " + "\n  ".join(all_notes),
            do="correct the tables, or run without --strict",
        )
    return Study(
        title=_word(options, "title", path) or "Liver volume and collagen",
        cases=cases,
        timepoints=timepoints,
        primary_measures=_measures(options, path),
        biological_variation_percent=_by_measure(
            options, "biological_variation_percent", 100, path
        ),
        smallest_detectable=_by_measure(options, "smallest_detectable", 1e6, path),
        clinical=clinical.rows if clinical else (),
        outcomes=outcomes.rows if outcomes else (),
        settings=settings,
        source=path,
        notes=tuple(all_notes),
        groups=arms,
        enrolled=subjects,
        days=_days(cases, timepoints),
        visits=_visits(options, path),
        sampling_cv_percent=_by_measure(options, "sampling_cv_percent", 500, path),
        important_difference=_by_measure(options, "important_difference", 1e6, path),
        licence=_word(options, "licence", path),
    )


def _days(cases: Iterable[Case], timepoints: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """Days from the first visit; no date goes into a result, only how many days lie between."""
    dates: dict[str, dict[str, date]] = {}
    for case in cases:
        if case.date:
            visits = dates.setdefault(case.subject, {})
            day = date.fromisoformat(case.date)
            visits[case.timepoint] = min(day, visits.get(case.timepoint, day))
    return {
        subject: {visit: (day - visits[timepoints[0]]).days for visit, day in visits.items()}
        for subject, visits in dates.items()
        if timepoints and timepoints[0] in visits
    }


def _visits(options: Mapping[str, Any], path: Path) -> dict[str, dict[str, Any]]:
    """``visits: {month6: {months: 6, window_days: [150, 215]}}``, checked."""
    value = options.get("visits") or {}
    example = "lines such as `month6: {months: 6, window_days: [150, 215]}`"
    if not isinstance(value, Mapping):
        raise _yaml_problem(path, "visits", value, example)
    found: dict[str, dict[str, Any]] = {}
    for visit, plan in value.items():
        if not isinstance(plan, Mapping) or set(plan) - {"months", "window_days"}:
            raise _yaml_problem(path, f"visits.{visit}", plan, example)
        window = plan.get("window_days", [0, 0])
        numbers = [plan.get("months", 0), *(window if isinstance(window, list) else [None])]
        good = all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers)
        if not good or len(numbers) != 3 or numbers[1] > numbers[2]:
            raise _yaml_problem(path, f"visits.{visit}", plan, example)
        found[str(visit)] = dict(plan)
    return found


def _yaml_problem(path: Path, key: str, value: object, expected: str) -> ManifestError:
    return ManifestError(
        "bad_manifest", f"{path.name}: {key} must be {expected}", found=repr(value), do="correct it"
    )


def _word(options: Mapping[str, Any], key: str, path: Path) -> str:
    value = options.get(key)
    if value is None:
        return ""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise _yaml_problem(path, key, value, "text")
    return str(value).strip()


def _words(options: Mapping[str, Any], key: str, path: Path) -> tuple[str, ...]:
    value = options.get(key) or []
    if not isinstance(value, list) or not all(isinstance(item, str | int) for item in value):
        raise _yaml_problem(path, key, value, "a list such as [baseline, month6]")
    return tuple(str(item).strip() for item in value)


def _measures(options: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    measures = _words(options, "primary_measures", path) or PRIMARY_MEASURES
    for measure in measures:
        _check_measure(measure, "primary_measures", path)
    return measures


def _check_measure(measure: str, key: str, path: Path) -> None:
    if measure not in COMPARED:
        raise ManifestError(
            "bad_manifest",
            f"{path.name}: {key} names a measure that does not exist",
            found=measure,
            do=suggest(measure, COMPARED),
        )


def _by_measure(options: Mapping[str, Any], key: str, high: float, path: Path) -> dict[str, float]:
    value = options.get(key) or {}
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = {"liver_volume_ml": value}
    if not isinstance(value, Mapping):
        raise _yaml_problem(path, key, value, "a number or `measure: number` lines")
    result = {}
    for measure, number in value.items():
        _check_measure(str(measure), key, path)
        is_number = isinstance(number, int | float) and not isinstance(number, bool)
        if not is_number or not 0 <= number <= high:
            raise _yaml_problem(path, f"{key}.{measure}", number, f"from 0 to {high:g}")
        result[str(measure)] = float(number)
    return result


def _table_path(
    options: Mapping[str, Any], key: str, default: str, folder: Path, path: Path
) -> Path | None:
    """The file a key names (it must be there), or the default name if it is there, else None."""
    written = _word(options, key, path)
    if not written:
        return folder / default if (folder / default).is_file() else None
    try:
        file = locate(written, folder)
    except ValueError as error:
        raise _yaml_problem(path, key, written, f"a path ({error})") from None
    if not file.is_file():
        raise _yaml_problem(path, key, written, "a file that is there")
    return file


def _timepoints(options: Mapping[str, Any], cases: tuple[Case, ...], path: Path) -> tuple[str, ...]:
    """Given order, else by earliest date where every visit has one, else as the names tell.

    Never by the order of the file: which visit is the baseline decides the sign of every change.
    """
    present = list(dict.fromkeys(case.timepoint for case in cases))
    given = _words(options, "timepoints", path)
    if given:
        if missing := [name for name in present if name not in given]:
            raise _yaml_problem(
                path, "timepoints", list(given), f"all of them: {', '.join(missing)} is missing"
            )
        if len(set(given)) != len(given):
            raise _yaml_problem(path, "timepoints", list(given), "each one once")
        return given
    earliest: dict[str, str] = {}
    for case in cases:
        if case.date:
            earliest[case.timepoint] = min(case.date, earliest.get(case.timepoint, case.date))
    if len(earliest) == len(present):
        # sorted() is stable: visits of one day keep the order of the table
        present.sort(key=lambda name: earliest[name])
        return _baseline_first(present)
    ordered = in_time(present)
    if ordered is None:
        raise ManifestError(
            "bad_manifest",
            "Which visit comes first cannot be told from their names, and not every visit has a "
            "date",
            found=", ".join(present),
            do="write their order into study.yaml, such as `timepoints: [baseline, month6]`, or "
            "fill the column date",
        )
    return _baseline_first(ordered)


def _baseline_first(visits: Sequence[str]) -> tuple[str, ...]:
    """A screening visit is the baseline only where there is no other."""
    moments = {visit: moment_of(visit) for visit in visits}
    first = moments[visits[0]] if visits else None
    baseline = [v for v, moment in moments.items() if moment and moment.kind == "baseline"]
    if first is None or first.kind != "screening" or not baseline:
        return tuple(visits)
    return tuple(dict.fromkeys([*baseline, *visits]))


def study_of_cases(
    drafts: Iterable[Case],
    *,
    taken: Mapping[str, str] | None = None,
    private: Collection[Path] = (),
) -> Study:
    """A study of files given on the command line: no subjects, no visits, ids from file names.

    Args:
        drafts: scans or slides without ids; see :func:`command_line_case`.
        taken: ids that the output directory knows, with the path of each: a path keeps its id.
        private: files and folders whose names may not stand in the results: "case" does.

    Raises:
        ManifestError: the same image twice, or several with what belongs to one image.
    """
    cases = [replace(draft, path=draft.path.absolute()) for draft in drafts]
    names = [place_of(case) for case in cases]
    doubled = [name for name, n in Counter(names).items() if n > 1]
    if doubled:
        raise ManifestError(
            "bad_manifest", "A path is given twice", found=", ".join(doubled), do="give it once"
        )
    given = [
        name
        for name in ("mask", "include_regions", "exclude_regions")
        if cases and getattr(cases[0], name)
    ]
    if len(cases) > 1 and given:
        raise ManifestError(
            "bad_manifest",
            f"{', '.join(given)} belongs to one image, but several were given",
            found=f"{len(cases)} images",
            do="measure them one by one into the same folder, or write a study.csv",
        )
    known = {place: name for name, place in (taken or {}).items()}
    new = [name for name in names if name not in known]
    hidden = {place_of(case) for case in cases if case.path in private}
    unknown = [case for case, name in zip(cases, names, strict=True) if name not in known]
    stems = _stems(unknown, hidden, known.values())
    ids = known | dict(zip(new, unique_ids(stems, known.values()), strict=True))
    return Study(
        title="",
        cases=tuple(
            replace(case, case_id=ids[name], written_path=str(case.path))
            for case, name in zip(cases, names, strict=True)
        ),
        timepoints=(),
    )


def _stems(cases: Sequence[Case], hidden: Collection[str], taken: Collection[str]) -> list[str]:
    """Names for results from the names of files.

    Slides of equal names begin with their folders' names; a scan's folder may be its patient's.
    """
    folders = [0] * len(cases)
    while True:
        stems = [_stem(case, count) for case, count in zip(cases, folders, strict=True)]
        numbers = Counter([*(slug(stem).lower() for stem in stems), *(n.lower() for n in taken)])
        more = [
            min(count + (numbers[slug(stem).lower()] > 1), len(case.path.parts) - 2)
            if case.kind == "slide"
            else 0
            for case, stem, count in zip(cases, stems, folders, strict=True)
        ]
        if more == folders or max(more) > _MOST_FOLDERS:
            break
        folders = more
    return [
        "case" if place_of(case) in hidden else stem
        for case, stem in zip(cases, stems, strict=True)
    ]


def _stem(case: Case, folders: int) -> str:
    name = re.sub(r"(\.nii)?\.[A-Za-z]{2,5}$", "", case.path.name)
    parts = [*case.path.parts[-1 - folders : -1], name]
    return "_".join([*parts, *([f"image{case.image}"] if case.image else [])])


def command_line_case(kind: Kind, **values: Any) -> Case:
    """What the scans or slides of a command have in common, for :func:`study_of_cases`.

    Args:
        kind: "scan" or "slide".
        **values: fields of :class:`Case`; paths are made absolute.
    """
    absolute: dict[str, Any] = {
        name: value.absolute() if isinstance(value, Path) else value
        for name, value in values.items()
    }
    return Case("", "", "", kind, Path(), "", **absolute)
