"""Scans come whole from a PACS and results go back to the right patient: with a real Orthanc."""

import base64
import hashlib
import json
import shutil
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import nibabel
import numpy as np
import pydicom
import pytest
import requests
from fibrovol.batch.push import push
from fibrovol.batch.runner import run_study
from fibrovol.cli import main
from fibrovol.errors import ConfigError, InputError, ManifestError
from fibrovol.imaging.export.nifti import write_mask
from fibrovol.imaging.readers import read_scan
from fibrovol.imaging.volume import Volume
from fibrovol.intake.dicomweb import DicomWeb
from fibrovol.intake.dicomweb_session import TOKEN_VARIABLE
from fibrovol.intake.pull import pull
from fibrovol.intake.study import read_study
from fibrovol.kinds.base import Permissions
from fibrovol.settings import load_settings
from fibrovol.tests.dicom_writer import write_series
from pydicom.uid import generate_uid

PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
NAME, PASSWORD = "reader", "not-for-any-file"
PATIENT = "HOSP-0042"


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """A small CT of a patient, and a mask of its liver."""
    folder = tmp_path_factory.mktemp("scan")
    write_series(
        folder / "ct",
        rows=40,
        columns=44,
        spacing_mm=(4.0, 4.0),
        heights_mm=tuple(np.arange(-60.0, 61.0, 6.0)),
        thickness_mm=6.0,
        change=lambda _, image: setattr(image, "PatientID", PATIENT),
    )
    volume = read_scan(folder / "ct")
    inside = np.zeros(volume.array.shape, bool)
    inside[10:25, 10:25, 6:16] = True
    write_mask(Volume(inside, volume.affine), folder / "mask.nii.gz")
    return folder


class Orthanc:
    """A server on loopback, with more or fewer manners."""

    def __init__(self, folder, **options):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.config = folder / "orthanc.json"
        settings = {
            "Name": "test",
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "index"),
            "Plugins": [PLUGIN],
            "HttpPort": self.port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True,
            "RegisteredUsers": {NAME: PASSWORD},
            "DicomServerEnabled": False,
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            **options,
        }
        self.config.write_text(json.dumps(settings), encoding="utf-8")
        self.root = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.root}/dicom-web"
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["Orthanc", str(self.config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if self.get("/system").ok:
                    return
            except requests.ConnectionError:
                time.sleep(0.2)
        pytest.fail("Orthanc did not start")

    def get(self, path):
        return requests.get(self.root + path, auth=(NAME, PASSWORD), timeout=30)

    def add(self, dataset, folder):
        file = folder / "one.dcm"
        dataset.save_as(file, enforce_file_format=True)
        auth = (NAME, PASSWORD)
        done = requests.post(f"{self.root}/instances", file.read_bytes(), auth=auth, timeout=30)
        done.raise_for_status()

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def orthanc(tmp_path, monkeypatch, scan):
    if shutil.which("Orthanc") is None:
        pytest.skip("Orthanc is not installed (Debian: orthanc, orthanc-dicomweb)")
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login {NAME} password {PASSWORD}\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    started = []

    def start(**options):
        folder = tmp_path / f"orthanc{len(started)}"
        folder.mkdir()
        server = Orthanc(folder, **options)
        started.append(server)
        for file in sorted((scan / "ct").iterdir()):
            server.add(pydicom.dcmread(file), folder)
        return server

    yield start
    for server in started:
        server.stop()


def _list(tmp_path, *lines):
    path = tmp_path / "patients.csv"
    path.write_text("\n".join(["patient_id,study_uid", *lines]) + "\n", encoding="utf-8")
    return path


def _pixels(folder):
    return sorted(
        hashlib.sha256(pydicom.dcmread(file).PixelData).hexdigest() for file in folder.iterdir()
    )


def test_scans_come_whole_and_results_go_back_bit_identical(tmp_path, orthanc, scan, capsys):
    server = orthanc()
    folder = tmp_path / "pulled"
    words = ["pull", server.url, str(_list(tmp_path, f"{PATIENT},", "NOBODY,")), "-o", str(folder)]
    assert main(words) == 3  # one of the two is not there, and is named
    said = capsys.readouterr().err
    assert "1 series in" in said
    assert "line 3: The server has no such series" in said
    (series,) = (path for path in folder.glob("*/*") if path.is_dir())
    assert _pixels(series) == _pixels(scan / "ct")
    assert np.array_equal(read_scan(series).array, read_scan(scan / "ct").array)
    assert not list(folder.rglob(".partial-*"))
    assert (
        pull(DicomWeb(server.url), _list(tmp_path, f"{PATIENT},"), folder).series[0].fresh is False
    )
    # measured from it, and back
    table = tmp_path / "study.csv"
    row = f"S1,baseline,scan,{series},{scan / 'mask.nii.gz'}"
    table.write_text(f"subject,timepoint,kind,path,mask\n{row}\n", encoding="utf-8")
    dicom = load_settings({"liver": {"dicom": True}})
    for keep, name in ((False, "without"), (True, "with")):
        allowed = Permissions(keep_identity=keep)
        run_study(read_study(table), tmp_path / name, settings=dicom, permissions=allowed)
    refused = push(DicomWeb(server.url), tmp_path / "without")
    assert refused.stored == ()
    assert {why.partition(":")[0] for _, why in refused.failed} == {
        "the server files its study under another patient"
    }
    done = push(DicomWeb(server.url), tmp_path / "with")
    assert done.failed == ()
    assert len(done.stored) == 2
    seg = pydicom.dcmread(next((tmp_path / "with" / "masks").glob("*.seg.dcm")))
    uids = (seg.StudyInstanceUID, seg.SeriesInstanceUID, seg.SOPInstanceUID)
    held = DicomWeb(server.url)._client.retrieve_instance(*uids)
    assert held.PixelData == seg.PixelData
    # the same UID with other pixels: the server says "stored" and keeps the old ones
    seg.PixelData = bytes(len(seg.PixelData))
    assert "has another object" in DicomWeb(server.url).store(seg)
    assert main(["push", str(tmp_path / "with"), server.url, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["stored"]) == 2
    # a file that was changed is not sent
    with next((tmp_path / "with" / "masks").glob("*.sr.dcm")).open("ab") as stream:
        stream.write(b"\0\0")
    assert (
        "changed after it was written" in push(DicomWeb(server.url), tmp_path / "with").failed[0][1]
    )


def test_no_secret_and_no_patient_gets_into_a_message(tmp_path, orthanc, monkeypatch, capfd):
    server = orthanc()
    monkeypatch.setenv("NETRC", str(tmp_path / "nothing"))
    monkeypatch.setenv(TOKEN_VARIABLE, "secret-token-17")
    words = ["pull", server.url, str(_list(tmp_path, f"{PATIENT},")), "-o", str(tmp_path / "p")]
    assert main(words) == 1
    out, err = capfd.readouterr()
    assert "refused" in err
    assert "401" in err
    basic = base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()
    for secret in ("secret-token-17", PASSWORD, PATIENT, basic):
        assert secret not in out + err


def test_a_server_that_goes_away_loses_nothing(tmp_path, orthanc):
    server = orthanc()
    patients, folder = _list(tmp_path, f"{PATIENT},"), tmp_path / "pulled"
    web = DicomWeb(server.url)
    whole = DicomWeb.images_of

    def killed_after_three(self, study, series):
        for number, image in enumerate(whole(self, study, series)):
            if number == 3:
                server.stop()
                raise requests.ConnectionError
            yield image

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(web, "images_of", killed_after_three.__get__(web))
        with pytest.raises((InputError, requests.ConnectionError)):
            pull(web, patients, folder)
    assert not list(folder.rglob("*.dcm")), "a part of a series was taken for whole"
    with pytest.raises(InputError, match="could not be reached"):
        pull(DicomWeb(server.url), patients, folder)
    server.start()
    (series,) = pull(DicomWeb(server.url), patients, folder).series
    assert series.fresh


def test_a_series_that_comes_in_part_is_not_kept(tmp_path, orthanc, monkeypatch):
    server = orthanc()
    whole = DicomWeb.images_of
    cut = lambda self, study, series: list(whole(self, study, series))[:-1]  # noqa: E731
    monkeypatch.setattr(DicomWeb, "images_of", cut)
    done = pull(DicomWeb(server.url), _list(tmp_path, f"{PATIENT},"), tmp_path / "pulled")
    ((line, why),) = done.failures
    assert (line, why.what) == (2, "The series did not arrive complete")
    assert not list((tmp_path / "pulled").rglob("*.dcm"))


def test_a_server_that_caps_its_answers_is_found_out(tmp_path, orthanc, scan):
    server = orthanc(LimitFindResults=3, LimitFindInstances=3)
    first = pydicom.dcmread(sorted((scan / "ct").iterdir())[0])
    for _ in range(6):  # a study of seven series, of which the server names four
        first.SeriesInstanceUID, first.SOPInstanceUID = generate_uid(), generate_uid()
        server.add(first, tmp_path)
    done = pull(DicomWeb(server.url), _list(tmp_path, f"{PATIENT},"), tmp_path / "pulled")
    if done.failures:
        assert "cut short" in done.failures[0][1].what
    else:
        assert len(done.series) == 7


def test_another_patient_in_the_study_is_refused(tmp_path, orthanc, scan):
    server = orthanc()
    other = pydicom.dcmread(sorted((scan / "ct").iterdir())[0])
    other.PatientID, other.SOPInstanceUID = "HOSP-9999", generate_uid()
    server.add(other, tmp_path)
    done = pull(DicomWeb(server.url), _list(tmp_path, f"{PATIENT},"), tmp_path / "pulled")
    for series in done.series:
        ids = {pydicom.dcmread(file).PatientID for file in series.path.iterdir()}
        assert ids == {PATIENT}
    asked = pull(
        DicomWeb(server.url), _list(tmp_path, f"HOSP-0001,{other.StudyInstanceUID}"), tmp_path / "x"
    )
    ((line, why),) = asked.failures
    assert (line, why.what) in (
        (2, "The server has images of another patient in this series"),
        (2, "The server does not give what it lists"),
    )
    assert not list((tmp_path / "x").rglob("*.dcm"))


@pytest.mark.parametrize(
    "url", ["pacs.example.org", "ftp://host/x", "https://me:pw@host/dicom-web"]
)
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ConfigError) as caught:
        DicomWeb(url)
    assert "pw" not in str(caught.value)


def test_a_study_is_measured_from_the_address_of_its_series(tmp_path, orthanc, scan, monkeypatch):
    server = orthanc()
    image = pydicom.dcmread(next((scan / "ct").iterdir()))
    address = f"dicomweb+{server.url}/studies/{image.StudyInstanceUID}"
    table = tmp_path / "study.csv"
    rows = [
        f"S1,baseline,scan,{address},{scan / 'mask.nii.gz'}",
        f"S2,baseline,scan,{address}/series/{image.SeriesInstanceUID},{scan / 'mask.nii.gz'}",
        f"S3,baseline,scan,{address}/series/1.2.3,",
    ]
    table.write_text(
        "\n".join(["subject,timepoint,kind,path,mask", *rows]) + "\n", encoding="utf-8"
    )
    out = tmp_path / "out"
    first = run_study(table, out)
    assert [case for case, _ in first.failures] == ["S3_baseline_scan"]
    assert first.failures[0][1].code == "input_missing"
    inside = nibabel.load(scan / "mask.nii.gz").get_fdata().sum() * 0.096  # mL
    assert (
        first.rows[0]["volume_ml"] == first.rows[1]["volume_ml"] == pytest.approx(inside, abs=0.01)
    )
    assert not list(out.rglob("inputs-*"))  # the copies are gone
    state = DicomWeb(server.url).series_of(image.StudyInstanceUID, ("CT",))
    assert state == [(image.SeriesInstanceUID, len(list((scan / "ct").iterdir())))]
    monkeypatch.setattr(DicomWeb, "images_of", lambda *_: pytest.fail("fetched again"))
    assert run_study(table, out).n_reused == 2
    # a wrong password fails the cases, not the run
    monkeypatch.setenv("NETRC", str(tmp_path / "nothing"))
    codes = {why.code for _, why in run_study(table, tmp_path / "other").failures}
    assert codes == {"unreadable_file"}
    text = (out / "provenance.json").read_text(encoding="utf-8")
    assert PASSWORD not in text
    assert "dicom-web" not in text  # the store only


@pytest.mark.parametrize(
    "path", ["studies/1.2", "root", "root/studies/", "root/studies/x", "root/studies/1/series/../2"]
)
def test_an_address_of_another_form_is_refused_before_anything_runs(tmp_path, path):
    table = tmp_path / "study.csv"
    row = f"S1,baseline,scan,dicomweb+https://{path if '/' in path else 'h/' + path}"
    table.write_text(f"subject,timepoint,kind,path\n{row}\n", encoding="utf-8")
    if path == "studies/1.2":
        row = row.replace("studies", "h")
        table.write_text(f"subject,timepoint,kind,path\n{row}\n", encoding="utf-8")
    with pytest.raises(ManifestError, match="studies/STUDY_UID"):
        read_study(table)


@pytest.mark.parametrize("wanted", ["", "1.2.840.10008.1.2.1", "*"])
def test_a_server_that_wants_another_request_is_asked_again(scan, tmp_path, wanted):
    """The plain request, explicit little endian, or the syntax in which it is stored."""
    image = pydicom.dcmread(next((scan / "ct").iterdir()))
    file = tmp_path / "one.dcm"
    image.save_as(file, enforce_file_format=True)
    asked = []

    class Picky(BaseHTTPRequestHandler):
        def do_GET(self):
            accept = self.headers["Accept"]
            asked.append(accept)
            refused = (
                "transfer-syntax" in accept
                if not wanted
                else f"transfer-syntax={wanted}" not in accept
            )
            body = b""
            if not refused:
                head = b"--x\r\nContent-Type: application/dicom\r\n\r\n"
                body = head + file.read_bytes() + b"\r\n--x--\r\n"
            self.send_response(406 if refused else 200)
            self.send_header(
                "Content-Type", 'multipart/related; type="application/dicom"; boundary=x'
            )
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Picky) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        server = DicomWeb(f"http://127.0.0.1:{http.server_port}/dicom-web")
        uids = (image.StudyInstanceUID, image.SeriesInstanceUID)
        saved = server.save_series(uids, 1, tmp_path / "series")
        http.shutdown()
    assert saved.patient_id == PATIENT
    assert len(asked) == {"": 1, "1.2.840.10008.1.2.1": 2}.get(wanted, 3)
    (came,) = (tmp_path / "series").iterdir()
    assert pydicom.dcmread(came).PixelData == image.PixelData
