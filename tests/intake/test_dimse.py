"""A PACS that speaks DIMSE only: a real Orthanc, one that caps its answers, one that is strange."""

import hashlib
import shutil
import socket

import numpy as np
import pydicom
import pytest
from fibrovol.batch.push import push
from fibrovol.batch.runner import run_study
from fibrovol.errors import ConfigError, InputError
from fibrovol.imaging.readers import read_scan
from fibrovol.intake.archive import open_archive
from fibrovol.intake.dicomweb import DicomWeb
from fibrovol.intake.dimse import Dimse
from fibrovol.intake.pull import pull
from fibrovol.intake.study import read_study
from fibrovol.kinds.base import Permissions
from fibrovol.settings import load_settings
from fibrovol.tests.intake.test_pacs import PATIENT, Orthanc, scan  # noqa: F401 - a fixture

pytest.importorskip("pynetdicom", reason="pynetdicom is not installed (extra: pacs)")
pytestmark = pytest.mark.xdist_group("serial")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def orthanc(tmp_path, scan):  # noqa: F811
    if shutil.which("Orthanc") is None:
        pytest.skip("Orthanc is not installed (Debian: orthanc, orthanc-dicomweb)")
    started = []

    def start(*, known_as="FIBROVOL", **options):
        folder = tmp_path / f"orthanc{len(started)}"
        folder.mkdir()
        port, own = free_port(), free_port()
        server = Orthanc(
            folder,
            DicomServerEnabled=True,
            DicomPort=port,
            DicomAet="ARCHIVE",
            DicomModalities={"us": [known_as, "127.0.0.1", own]},
            DicomCheckCalledAet=True,
            **options,
        )
        started.append(server)
        for file in sorted((scan / "ct").iterdir()):
            server.add(pydicom.dcmread(file), folder)
        return server, f"dimse://ARCHIVE@127.0.0.1:{port}?port={own}"

    yield start
    for server in started:
        server.stop()


def patients(tmp_path):
    path = tmp_path / "patients.csv"
    path.write_text(f"patient_id\n{PATIENT}\nNOBODY\n", encoding="utf-8")
    return path


def pixels(folder):
    return sorted(
        hashlib.sha256(pydicom.dcmread(file).PixelData).hexdigest() for file in folder.iterdir()
    )


def test_scans_come_whole_and_results_go_back(tmp_path, orthanc, scan):  # noqa: F811
    _, url = orthanc()
    done = pull(open_archive(url), patients(tmp_path), tmp_path / "pulled")
    assert [line for line, _ in done.failures] == [3]
    (series,) = done.series
    assert pixels(series.path) == pixels(scan / "ct")
    assert np.array_equal(read_scan(series.path).array, read_scan(scan / "ct").array)
    again = pull(open_archive(url), patients(tmp_path), tmp_path / "pulled")
    assert again.series[0].fresh is False
    table = tmp_path / "study.csv"
    row = f"S1,baseline,scan,{series.path},{scan / 'mask.nii.gz'}"
    table.write_text(f"subject,timepoint,kind,path,mask\n{row}\n", encoding="utf-8")
    settings = load_settings({"liver": {"dicom": True}})
    keep = Permissions(keep_identity=True)
    run_study(read_study(table), tmp_path / "out", settings=settings, permissions=keep)
    sent = push(open_archive(url), tmp_path / "out")
    assert sent.failed == ()
    assert len(sent.stored) == 2
    # the same UID with other pixels: the server says 0x0000 and keeps the old ones
    seg = pydicom.dcmread(next((tmp_path / "out" / "masks").glob("*.seg.dcm")))
    seg.PixelData = bytes(len(seg.PixelData))
    assert "has another object" in open_archive(url).store(seg)
    # a wrong count is no series
    uids = (seg.StudyInstanceUID, pydicom.dcmread(next(series.path.iterdir())).SeriesInstanceUID)
    with pytest.raises(InputError, match="did not arrive complete"):
        open_archive(url).save_series(uids, 3, tmp_path / "short")
    with pytest.raises(InputError, match="another patient"):
        open_archive(url).save_series(uids, 3, tmp_path / "other", patient_id="ELSE")


def test_an_archive_that_does_not_know_us_is_an_error_not_an_empty_answer(tmp_path, orthanc):
    _, url = orthanc(known_as="SOMEBODY")
    with pytest.raises(InputError) as refused:
        pull(open_archive(url), patients(tmp_path), tmp_path / "pulled")
    assert refused.value.code == "storage_unreachable"
    assert PATIENT not in str(refused.value)
    assert not (tmp_path / "pulled").exists()
    with pytest.raises(InputError, match="does not take us"):
        Dimse(url.replace("ARCHIVE", "OTHER")).studies_of(PATIENT)


def test_an_archive_that_caps_its_answers_is_found_out(tmp_path, orthanc, scan):  # noqa: F811
    server, url = orthanc(LimitFindResults=1)
    image = pydicom.dcmread(next((scan / "ct").iterdir()))
    image.StudyInstanceUID, image.SOPInstanceUID = "1.2.3", "1.2.3.5"
    image.SeriesInstanceUID = "1.2.3.4"
    server.add(image, tmp_path)
    with pytest.raises(InputError, match="cut short"):
        open_archive(url).studies_of(PATIENT)


@pytest.mark.parametrize(
    "url",
    ["dimse://host:104", "dimse://A@host", "dimse://A@host:x", "dimse://A@host:104?port=x",
     "dimse://A@:104", f"dimse://{'A' * 17}@host:104"],
)  # fmt: skip
def test_another_form_of_address_is_refused(url):
    with pytest.raises(ConfigError, match="AE_TITLE@HOST:PORT"):
        open_archive(url)


def test_an_address_says_which_way_is_meant():
    assert isinstance(open_archive("http://127.0.0.1:1/dicom-web"), DicomWeb)
    found = open_archive("dimse://A@host:104?aet=ME&port=4711")
    assert (found.url, found.own_title, found.own_port) == ("dimse://A@host:104", "ME", 4711)


def test_a_machine_that_does_not_answer_is_said(tmp_path):
    with pytest.raises(InputError, match="could not be reached"):
        Dimse(f"dimse://A@127.0.0.1:{free_port()}").studies_of(PATIENT)
