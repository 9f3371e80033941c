"""What DICOMweb servers were seen to do wrong is an error of ours, never a shorter result."""

from __future__ import annotations

import io
import json
import logging
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pydicom
import pytest
from fibrovol.batch.push import push
from fibrovol.errors import InputError, ManifestError
from fibrovol.intake.dicomweb import DicomWeb
from fibrovol.intake.dicomweb_session import TOKEN_VARIABLE
from fibrovol.intake.pull import pull
from fibrovol.tests.dicom_writer import SeriesSpec, slices
from fibrovol.tests.intake.drawn_server import DrawnServer, encoded
from pydicom.uid import RLELossless, generate_uid

PATIENT = "HOSP-0042"
HEIGHTS = (-10.0, 0.0, 10.0)


def series(patient: str = PATIENT, day: str = "20240131") -> list[pydicom.Dataset]:
    """Three small images of a series."""
    images = slices(SeriesSpec(rows=32, columns=32, heights_mm=HEIGHTS))
    study, own = generate_uid(), generate_uid()
    for image in images:
        image.PatientID, image.StudyDate = patient, day
        image.StudyInstanceUID, image.SeriesInstanceUID = study, own
    return list(images)


def patients(folder: Path, *lines: str) -> Path:
    path = folder / "patients.csv"
    path.write_text("\n".join(["patient_id,study_uid", *lines]) + "\n", encoding="utf-8")
    return path


def many_studies(count: int, *, days: int) -> list[pydicom.Dataset]:
    """One image for each study of a patient, spread over some days, latest first."""
    images = []
    for number in range(count):
        image = series()[0]
        day = date(2020, 1, 1) + timedelta((count - number) % days)
        image.StudyDate = f"{day:%Y%m%d}"
        images.append(image)
    return images


def test_a_capped_list_of_studies_is_put_together_from_shorter_times() -> None:
    images = many_studies(23, days=23)
    with DrawnServer(images) as server:
        server.cap = 5
        found = DicomWeb(server.url).studies_of(PATIENT)
    assert found == sorted(image.StudyInstanceUID for image in images)


@pytest.mark.parametrize("warns", [False, True])
def test_a_list_that_stays_capped_is_refused(warns: bool) -> None:
    with DrawnServer(many_studies(23, days=2)) as server:
        server.cap, server.warns = 5, warns
        with pytest.raises(InputError, match="cut short"):
            DicomWeb(server.url).studies_of(PATIENT)


def test_studies_without_a_date_are_not_lost_in_a_capped_list() -> None:
    images = many_studies(9, days=9)
    images[0].StudyDate = ""
    with DrawnServer(images) as server:
        assert len(DicomWeb(server.url).studies_of(PATIENT)) == 9
        server.cap = 5
        with pytest.raises(InputError, match="without a date"):
            DicomWeb(server.url).studies_of(PATIENT)


@pytest.mark.parametrize(
    ("strange", "why"),
    [
        ({"status": 206}, "status 206"),
        ({"closing": b"\r\n"}, "the server's message has no end"),
        ({"cut": 100}, "an image that breaks off"),
        ({"cut": 2500}, "an image that breaks off"),
    ],
    ids=["status 206", "no closing boundary", "cut in the pixels", "cut before the pixels"],
)
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.filterwarnings("ignore:End of file reached before delimiter")
def test_a_part_is_not_taken_for_the_whole(
    tmp_path: Path, strange: dict[str, object], why: str, compressed: bool
) -> None:
    images = series()
    if compressed:
        for image in images:
            image.compress(RLELossless, generate_instance_uid=False)
    cut = min(int(str(strange.get("cut", 0))), len(encoded(images[-1])) // 2)
    with DrawnServer(images) as server:
        for name, value in (strange | ({"cut": cut} if cut else {})).items():
            setattr(server, name, value)
        done = pull(DicomWeb(server.url), patients(tmp_path, f"{PATIENT},"), tmp_path / "out")
    ((line, failure),) = done.failures
    assert (line, failure.what) == (2, "The series did not arrive complete")
    assert failure.found == why
    assert not list((tmp_path / "out").rglob("*.dcm"))


def _give(send: Any, images: list[pydicom.Dataset], request: Any, _: Any) -> None:
    """Send these images, whatever was asked for."""
    send(request, images)


def test_images_of_another_series_do_not_make_up_the_number(tmp_path: Path, monkeypatch) -> None:
    images = series()
    with DrawnServer(images) as server:
        uids = (images[0].StudyInstanceUID, images[0].SeriesInstanceUID)
        other = [*images[:2], pydicom.dcmread(io.BytesIO(encoded(images[2])))]
        other[2].SeriesInstanceUID = generate_uid()
        monkeypatch.setattr(server, "_images", partial(_give, server._images, other))
        with pytest.raises(InputError, match="images of another series"):
            DicomWeb(server.url).save_series(uids, 3, tmp_path / "out")


def test_the_same_series_of_another_server_or_patient_is_fetched_anew(tmp_path: Path) -> None:
    images, out = series(), tmp_path / "out"
    study = images[0].StudyInstanceUID
    with DrawnServer(images) as first, DrawnServer(images) as second:
        wanted = patients(tmp_path, f"{PATIENT},{study}")
        fresh = [
            pull(DicomWeb(server.url), wanted, out).series[0].fresh
            for server in (first, first, second, second)
        ]
        assert fresh == [True, False, True, False]
        for image in second.images:
            image.PatientID = "ELSE"
        done = pull(DicomWeb(second.url), patients(tmp_path, f"ELSE,{study}"), out)
    assert done.series[0].fresh
    (folder,) = (path for path in out.glob("*/*") if path.is_dir())
    assert {pydicom.dcmread(file).PatientID for file in folder.iterdir()} == {"ELSE"}


def results(folder: Path, *images: pydicom.Dataset) -> Path:
    """A results folder whose journal names these files as a case's DICOM results."""
    from fibrovol.batch.journal import JOURNAL_NAME, Journal
    from fibrovol.batch.output import WORK_NAME
    from fibrovol.batch.record import Record
    from fibrovol.batch.task import CaseResult
    from fibrovol.files import sha256_file

    outputs = {}
    (folder / "masks").mkdir(parents=True)
    for number, image in enumerate(images):
        name = f"masks/{number}.seg.dcm"
        image.save_as(folder / name, enforce_file_format=True)
        outputs[name] = sha256_file(folder / name)
    (folder / WORK_NAME).mkdir()
    result = CaseResult("S1", {}, None, [], outputs, "", "", [""])
    with Journal(folder / WORK_NAME / JOURNAL_NAME) as journal:
        journal.add(Record(result, "scan", "p", ("p",), "c", "p", None, 1, "2026-01-01"))
    return folder


REFUSED = json.dumps(
    {"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [272]}}]}}
).encode()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((202, "application/dicom+json", REFUSED), "refused"),
        ((202, "application/dicom+json; charset=utf-8", REFUSED), ""),
        ((409, "application/dicom+json", REFUSED), "409"),
        ((400, "text/html", b"<p>no"), "400"),
        ((503, "text/plain", b"busy"), "503"),
        ((200, "application/dicom+json", b"not JSON"), ""),
    ],
)
def test_one_good_and_one_that_the_server_does_not_keep(
    tmp_path: Path, answer: tuple[int, str, bytes], why: str
) -> None:
    good, other = series()[:2]
    folder = results(tmp_path / "results", other, good)
    with DrawnServer([]) as server:
        server.stow = (answer,)
        done = push(DicomWeb(server.url), folder, without_identity=True)
        assert done.stored == ("masks/1.seg.dcm",)
        ((name, problem),) = done.failed
        assert name == "masks/0.seg.dcm"
        assert why in problem
        # sent once, and whole again when the command is repeated
        assert len(server.sent) == 2
        again = push(DicomWeb(server.url), folder, without_identity=True)
    assert again.failed == ()
    boundary = server.sent[0].split(b"\r\n")[0]
    assert server.sent[2].replace(server.sent[2].split(b"\r\n")[0], boundary) == server.sent[0]


def test_a_large_object_is_sent_whole_after_the_server_was_busy(tmp_path: Path) -> None:
    image = series()[0]
    image.Rows = image.Columns = 1024
    image.PixelData = bytes(range(256)) * (1024 * 1024 * 2 // 256)
    folder = results(tmp_path / "results", image)
    with DrawnServer([]) as server:
        server.stow = ((503, "text/plain", b"busy"),)
        assert "503" in push(DicomWeb(server.url), folder, without_identity=True).failed[0][1]
        assert push(DicomWeb(server.url), folder, without_identity=True).failed == ()
        assert server.images[0].PixelData == image.PixelData


def test_logs_name_no_patient_and_no_token(tmp_path: Path, monkeypatch, caplog) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "secret-token-17")
    caplog.set_level(logging.DEBUG)
    images = series()
    with DrawnServer(images) as server:
        web = DicomWeb(server.url)
        pull(web, patients(tmp_path, f"{PATIENT},"), tmp_path / "out")
        push(web, results(tmp_path / "results", images[0]))
    for secret in (PATIENT, "secret-token-17", images[0].StudyInstanceUID):
        assert secret not in caplog.text


@pytest.mark.parametrize("written", ["*", "HOSP-00?2", "A\\B"])
def test_a_pattern_is_no_patient(tmp_path: Path, written: str) -> None:
    with pytest.raises(ManifestError, match="is a pattern"):
        pull(DicomWeb("http://127.0.0.1:1/x"), patients(tmp_path, f"{written},"), tmp_path / "o")


def _answer(server: DrawnServer, kind: str, body: bytes, request: Any) -> None:
    """Answer everything alike."""
    server._answer(request, 200, kind, body)


@pytest.mark.parametrize(
    ("kind", "body", "found"),
    [
        ("text/html", b"<html>Log in</html>", "a page to log in"),
        ("application/dicom+json", b'{"error": 1}', "without a PatientID"),
        ("application/dicom+json", b"[1, 2]", "JSON of another form"),
        ("application/dicom+json", b'[{"0020000D": {"vr": "UI"}}]', "without a PatientID"),
        ("application/dicom+json", b'[{"00100020": {"Value": [7]}}]', "a UID that is not valid"),
    ],
)
def test_what_is_no_answer_is_not_taken_for_no_study(
    tmp_path: Path, monkeypatch, kind: str, body: bytes, found: str
) -> None:
    with DrawnServer([]) as server:
        monkeypatch.setattr(server, "get", partial(_answer, server, kind, body))
        with pytest.raises(InputError) as caught:
            pull(DicomWeb(server.url), patients(tmp_path, "7,"), tmp_path / "out")
    assert found in caught.value.failure.found


@pytest.mark.parametrize(
    ("lines", "says"), [((), "lists no patient"), ((",1.2.3",), "patient_id is empty")]
)
def test_no_line_of_the_list_is_dropped(tmp_path: Path, lines: tuple[str, ...], says: str) -> None:
    with pytest.raises(ManifestError, match=says):
        pull(DicomWeb("http://127.0.0.1:1/x"), patients(tmp_path, *lines), tmp_path / "o")


def test_a_patient_listed_twice_is_pulled_once(tmp_path: Path) -> None:
    with DrawnServer(series()) as server:
        wanted = patients(tmp_path, f"{PATIENT},", f"{PATIENT},")
        assert len(pull(DicomWeb(server.url), wanted, tmp_path / "out").series) == 1
