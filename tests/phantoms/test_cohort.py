"""The phantom study: what the pipeline is given, and what is known of it."""

import csv
import hashlib
import shutil

import numpy as np
import pydicom
import pytest
import yaml
from fibrovol.intake.study import read_study
from fibrovol.phantoms import cohort as cohort_module
from fibrovol.phantoms import scans
from fibrovol.phantoms.cohort import DEMO_YAML, read_truth, write_cohort
from fibrovol.phantoms.patients import clinical_rows, outcome_rows
from fibrovol.tests.phantoms import coarse

SUBJECTS = 5


@pytest.fixture(scope="module")
def options():
    settings = yaml.safe_load(DEMO_YAML.read_text(encoding="utf-8"))
    settings["small"] |= {"ct_spacing_mm": [9.0, 9.0, 12.0], "slide_px": [700, 600]}
    return {"subjects": SUBJECTS, "small": True, "seed": 7, "settings": settings}


@pytest.fixture(scope="module")
def coarsely():
    """Draw bodies on voxels of 9 mm instead of 3, also in other processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scans, "_FINE_MM", scans._FINE_MM)  # write_job sets it
        patch.setattr(cohort_module, "_write_job", coarse.write_job)
        yield


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def cohort(tmp_path_factory, options, told, coarsely):
    folder = tmp_path_factory.mktemp("cohort")
    return write_cohort(folder, **options, progress=lambda *news: told.append(news))


def digest(directory):
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_the_study_is_one_that_fibrovol_takes(cohort):
    study = read_study(cohort.directory / "study.yaml")
    assert study.timepoints == ("baseline", "month6")
    assert len(study.cases) == len(cohort.cases)
    assert all(case.path.exists() for case in study.cases)
    assert len(study.clinical) >= SUBJECTS
    assert {row["subject"] for row in study.outcomes} == {case.subject for case in study.cases}


def test_it_has_the_shape_of_the_trial(cohort):
    scans = [case for case in cohort.cases if case.kind == "scan"]
    at_month6 = [case for case in scans if case.timepoint == "month6"]
    assert len({case.subject for case in scans}) == SUBJECTS
    assert len(at_month6) == SUBJECTS - 2
    assert [case.readable for case in scans].count(False) == 1
    assert len(cohort.pairs("scan")) == SUBJECTS - 3
    assert len(cohort.pairs("slide")) == SUBJECTS - 2


def test_livers_grow_and_collagen_falls(cohort):
    assert cohort.mean_volume_change_ml > 0
    assert cohort.mean_caf_change_points == pytest.approx(-4.0, abs=0.5)


def test_the_broken_scan_is_short_of_pixels(cohort):
    (broken,) = (case for case in cohort.cases if not case.readable)
    assert broken.liver_volume_ml is None
    files = sorted((cohort.directory / broken.path).glob("*.dcm"))
    assert files
    dataset = pydicom.dcmread(files[0], force=True)
    expected = dataset.Rows * dataset.Columns * 2
    assert len(dataset.get("PixelData", b"")) < expected


def test_the_truth_is_read_back_as_it_was(cohort):
    again = read_truth(cohort.directory)
    assert [case.path for case in again.cases] == [case.path for case in cohort.cases]
    for one, other in zip(again.cases, cohort.cases, strict=True):
        assert (one.liver_volume_ml is None) == (other.liver_volume_ml is None)
        if other.liver_volume_ml is not None:
            assert one.liver_volume_ml == pytest.approx(other.liver_volume_ml, abs=1e-4)
    assert again.mean_caf_change_points == pytest.approx(cohort.mean_caf_change_points, abs=1e-3)


def test_no_path_leaves_the_folder_and_all_use_forward_slashes(cohort):
    for case in cohort.cases:
        assert "\\" not in case.path
        assert (cohort.directory / case.path).resolve().is_relative_to(cohort.directory.resolve())


def test_writing_it_again_with_more_processes_gives_the_same_bytes(cohort, options, tmp_path):
    before = digest(cohort.directory)
    shutil.copytree(cohort.directory, tmp_path / "again")
    for path in (tmp_path / "again").rglob("*.*"):
        if path.is_file():
            path.write_bytes(b"")  # all of it is written again
    write_cohort(tmp_path / "again", **options, workers=2)
    assert digest(tmp_path / "again") == before


def test_it_tells_of_each_file_once(cohort, told):
    assert [news[0] for news in told] == list(range(1, len(cohort.cases) + 1))
    assert {news[1] for news in told} == {len(told)}


def test_too_few_subjects_are_refused(tmp_path):
    with pytest.raises(ValueError, match="too few"):
        write_cohort(tmp_path, subjects=2)


@pytest.mark.parametrize("seed", range(5))
def test_clinical_courses_are_plausible_and_get_better(seed):
    subjects = [f"S{n:02d}" for n in range(40)]
    rows = clinical_rows(subjects, set(subjects[:36]), seed)
    assert len(rows) == 36 * 3 + 4
    albumin = {
        visit: np.mean([float(r["albumin_g_dl"]) for r in rows if r["timepoint"] == visit])
        for visit in ("baseline", "month12")
    }
    assert albumin["month12"] > albumin["baseline"]
    for row in rows:
        assert 1.5 <= float(row["albumin_g_dl"]) <= 5.0
        assert 0.3 <= float(row["bilirubin_mg_dl"]) <= 10.0
        assert row["ascites"] in ("none", "mild", "moderate")


def test_outcomes_follow_the_course_of_each_subject():
    subjects = [f"S{n:02d}" for n in range(30)]
    rows = outcome_rows(subjects, set(subjects[2:]), 3)
    for subject in subjects:
        own = [row for row in rows if row["subject"] == subject]
        months = [float(row["followup_months"]) for row in own]
        assert months == sorted(months)
        assert own[-1]["event"] in ("none", "death", "transplant", "lost")
        assert all(row["event"] in ("hcc", "other_cancer") for row in own[:-1])
        assert (months[-1] < 6.0) == (subject in subjects[:2])
    alive = [float(r["followup_months"]) for r in rows if r["event"] == "none"]
    assert max(alive) >= 66.0


def test_the_tables_are_utf8_with_line_feeds(cohort):
    for name in ("study.csv", "clinical.csv", "outcomes.csv", "truth.csv"):
        data = (cohort.directory / name).read_bytes()
        assert b"\r" not in data
        rows = list(csv.reader(data.decode("utf-8").splitlines()))
        assert len({len(row) for row in rows}) == 1
