"""What a reader decided outlasts the next run: a corrected outline, a chosen series."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fibrovol.batch.runner import run_study
from fibrovol.batch.verify import verify
from fibrovol.errors import InputError
from fibrovol.imaging.export.nifti import write_mask
from fibrovol.imaging.readers import read_scan
from fibrovol.imaging.series.find import find_series
from fibrovol.imaging.volume import Volume
from fibrovol.intake.study import read_study
from fibrovol.review.correct import Painted, save_labels
from fibrovol.review.results import Results
from fibrovol.review.scans import LIVER, ScanShelf, read_labels
from fibrovol.review.series import choose_series, series_view
from fibrovol.tables import read_table
from pydicom.uid import generate_uid

from ..dicom_writer import SeriesSpec, write_series
from ..report.chromium import Chromium
from .folder import bodies, write_scan_as
from .reader import Reader, served

CASE = "S1_baseline_scan"


def study_of(folder: Path, scan: str) -> Path:
    """A study of one scan that is measured by a mask, without any network."""
    (folder / "study.csv").write_text(
        "subject,timepoint,kind,path,mask,engine\n"
        f"S1,baseline,scan,{scan},mask.nii.gz,existing_mask\n",
        encoding="utf-8",
    )
    return folder / "study.csv"


def contents(results: Path) -> bytes:
    return (results / "volumes.csv").read_bytes()


def cases_of(results: Path):
    """The cases in provenance.json, without the times that differ from run to run."""
    return json.loads((results / "provenance.json").read_text(encoding="utf-8"))["cases"]


def test_a_second_run_keeps_a_correction(tmp_path: Path) -> None:
    hu, liver, _ = bodies()
    write_scan_as(tmp_path / "scan.nii.gz", hu)
    affine = read_scan(tmp_path / "scan.nii.gz").affine
    write_mask(Volume(liver, affine), tmp_path / "mask.nii.gz")
    study = read_study(study_of(tmp_path, "scan.nii.gz"))
    run_study(study, tmp_path / "results")
    results = Results(tmp_path / "results")
    before, case = contents(results.directory), results.state().cases[CASE]
    scan = ScanShelf(results).get(case)
    labels = read_labels(results.directory, case, scan)
    labels[tuple(np.argwhere(labels == LIVER)[:20].T)] = 0
    save_labels(results, case, scan, Painted(labels, "r1", 0, case.mask_sha256))
    corrected, provenance = contents(results.directory), cases_of(results.directory)
    assert corrected != before
    assert run_study(study, results.directory).n_reused == 1
    assert contents(results.directory) == corrected
    assert cases_of(results.directory) == provenance
    assert verify(results.directory).mismatches == ()


@pytest.fixture(scope="module")
def tie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two series that the rules cannot tell apart, run once."""
    folder = tmp_path_factory.mktemp("tie")
    one = SeriesSpec(
        heights_mm=tuple(range(-90, 91, 10)),
        rows=40,
        columns=40,
        spacing_mm=(8.0, 8.0),
        thickness_mm=10.0,
    )
    for name in ("s1", "s2"):
        write_series(folder / "visit" / name, one, series_uid=generate_uid())
    first = next(one for one in find_series(folder / "visit") if one.path.name == "s1")
    scan = read_scan(folder / "visit", series_uid=first.series_uid)
    mask = np.zeros(scan.array.shape, bool)
    mask[10:25, 10:25, 5:15] = True
    write_mask(Volume(mask, scan.affine), folder / "mask.nii.gz")
    run_study(read_study(study_of(folder, "visit")), folder / "results")
    return folder


@pytest.mark.browser
def test_a_tie_of_series_is_settled_in_the_page(chromium: Chromium, tie: Path) -> None:
    results = Results(tie / "results")
    case = results.state().cases[CASE]
    assert str(case.row["error"]).startswith("several_series")
    listed = series_view(results, case, blind=False)["series"]
    assert [one["usable"] for one in listed] == [True, True]
    with pytest.raises(InputError, match="cannot be measured"):
        choose_series(results, case, "0" * 16, "r1")
    place = 1 + [one.path.name for one in find_series(tie / "visit")].index("s1")
    with served(results.directory) as url, Reader(chromium) as page:
        page.size(1280, 900)
        page.visit(url)
        page.sign("r1")
        page.visit(f"{url.partition('/?')[0]}/scan?case={CASE}")
        page.until("document.querySelectorAll('#series-list button').length === 2")
        page.ask(
            f"document.querySelector('#series-list li:nth-child({place}) button').click(); true"
        )
        page.until("document.getElementById('live')?.textContent.includes('mL')")
        page.until("!document.querySelector('button.accept').disabled")
        assert page.ask("document.getElementById('error').textContent") == ""
    row = read_table(results.directory, "volumes")[0]
    assert row["status"] == "measured"
    assert row["volume_ml"] == pytest.approx(15 * 15 * 10 * 8 * 8 * 10 / 1000, rel=1e-3)
    entry = cases_of(results.directory)[CASE]
    assert entry["series_chosen"]["series_uid"] == row["series_uid"]
    assert entry["series_chosen"]["reader"] == "r1"
    assert verify(results.directory).mismatches == ()
    kept = contents(results.directory)
    study = read_study(tie / "study.csv")
    assert run_study(study, results.directory).n_reused == 1
    assert contents(results.directory) == kept
    assert cases_of(results.directory)[CASE] == entry


def test_blinded_the_series_say_nothing_of_the_hospital(tie: Path) -> None:
    results = Results(tie / "results")
    text = json.dumps(series_view(results, results.state().cases[CASE], blind=True))
    for one in find_series(tie / "visit"):
        assert one.series_uid not in text
        assert one.description not in text
        assert one.study_date not in text
