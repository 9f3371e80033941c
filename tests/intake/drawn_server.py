"""A DICOMweb server drawn for tests: it answers as servers were seen to, wrong answers included."""

import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fibrovol.files import Closing
from pydicom import Dataset, dcmread

TAGS = {
    "PatientID": "00100020",
    "StudyInstanceUID": "0020000D",
    "SeriesInstanceUID": "0020000E",
    "StudyDate": "00080020",
    "Modality": "00080060",
}


def encoded(image: Dataset) -> bytes:
    """An image as a file."""
    with io.BytesIO() as stream:
        image.save_as(stream, enforce_file_format=True)
        return stream.getvalue()


class DrawnServer(Closing):
    """A server on loopback with some images; a subclass or attribute makes it strange."""

    cap = 1 << 30
    """Most studies in an answer."""
    warns = False
    """Whether a capped answer has the header that says so."""
    status = 200
    """Of an answer with images."""
    closing = b"\r\n--x--\r\n"
    """The end of an answer with images."""
    cut = 0
    """Bytes that the last image lacks."""
    stow: tuple[tuple[int, str, bytes], ...] = ()
    """Answers to what is sent, one after the other: status, content type, body; then 200."""
    keeps_first = False
    """Whether what is there stays when other pixels come under its UID."""

    def __init__(self, images: list[Dataset]) -> None:
        self.images = list(images)
        self.sent: list[bytes] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.get(self)

            def do_POST(self) -> None:
                server.post(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/dicom-web"

    def close(self) -> None:
        """Stop serving."""
        self.http.shutdown()
        self.http.server_close()

    def get(self, request: Any) -> None:
        """Answer a query, or send images."""
        url = urlsplit(request.path)
        parts = url.path.removeprefix("/dicom-web/").split("/")
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        if parts == ["studies"]:
            self._studies(request, asked)
        elif parts[-1] == "series":
            own = [i for i in self.images if i.StudyInstanceUID == parts[1]]
            rows = [self._row(i) for i in {i.SeriesInstanceUID: i for i in own}.values()]
            self._json(request, rows)
        else:
            level = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
            uids = dict(zip(level, parts[1::2], strict=False))
            chosen = [i for i in self.images if all(i.get(k) == uid for k, uid in uids.items())]
            self._images(request, chosen)

    def _studies(self, request: Any, asked: dict[str, str]) -> None:
        found = {i.StudyInstanceUID: i for i in self.images}.values()
        rows = []
        for image in found:
            first, _, last = asked.get("StudyDate", "-").partition("-")
            day = str(image.get("StudyDate", ""))
            within = "StudyDate" not in asked or (day and first <= day <= last)
            same = all(
                asked.get(name) in (None, str(image.get(name, "")))
                for name in ("PatientID", "StudyInstanceUID")
            )
            if within and same:
                rows.append(self._row(image))
        more = len(rows) > self.cap
        head = {"Warning": '299 x "There are more results"'} if more and self.warns else {}
        self._json(request, rows[: self.cap], **head)

    def _row(self, image: Dataset) -> dict[str, Any]:
        row: dict[str, Any] = {
            tag: {"vr": "LO", "Value": [str(image.get(name, ""))]} for name, tag in TAGS.items()
        }
        study = [i for i in self.images if i.StudyInstanceUID == image.StudyInstanceUID]
        own = [i for i in study if i.SeriesInstanceUID == image.SeriesInstanceUID]
        row["00201206"] = {"vr": "IS", "Value": [len({i.SeriesInstanceUID for i in study})]}
        row["00201209"] = {"vr": "IS", "Value": [len(own)]}
        return row

    def _json(self, request: Any, rows: list[dict[str, Any]], **head: str) -> None:
        self._answer(request, 200, "application/dicom+json", json.dumps(rows).encode(), **head)

    def _images(self, request: Any, images: list[Dataset]) -> None:
        files = [encoded(image) for image in images]
        if files and self.cut:
            files[-1] = files[-1][: -self.cut]
        head = b"--x\r\nContent-Type: application/dicom\r\n\r\n"
        body = b"\r\n".join(head + file for file in files) + self.closing
        kind = 'multipart/related; type="application/dicom"; boundary=x'
        self._answer(request, self.status if images else 404, kind, body)

    def post(self, request: Any) -> None:
        """Take an object, or answer as `stow` says."""
        body = self._body(request)
        self.sent.append(body)
        number = len(self.sent) - 1
        if number < len(self.stow):
            self._answer(request, *self.stow[number])
            return
        start = body.index(b"\r\n\r\n") + 4
        image = dcmread(io.BytesIO(body[start : body.rindex(b"\r\n--")]))
        uids = [one.SOPInstanceUID for one in self.images]
        if image.SOPInstanceUID not in uids or not self.keeps_first:
            self.images = [i for i in self.images if i.SOPInstanceUID != image.SOPInstanceUID]
            self.images.append(image)
        self._answer(request, 200, "application/dicom+json", b"{}")

    @staticmethod
    def _body(request: Any) -> bytes:
        if request.headers.get("Transfer-Encoding") != "chunked":
            return bytes(request.rfile.read(int(request.headers["Content-Length"])))
        body = b""
        while size := int(request.rfile.readline(), 16):
            body += request.rfile.read(size)
            request.rfile.readline()
        request.rfile.readline()
        return body

    @staticmethod
    def _answer(request: Any, status: int, kind: str, body: bytes, **head: str) -> None:
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        for name, value in head.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)
