"""The server lets in this machine's reader and nobody else, and loses nothing."""

from __future__ import annotations

import contextlib
import csv
import gzip
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fibrovol.analysis.reviews import Read, make_review
from fibrovol.cli import main
from fibrovol.review import serve
from fibrovol.review.gate import MAX_BODY_BYTES
from fibrovol.tables import read_table

from .folder import SHAPE, SUBJECTS, VISITS, write_results
from .reader import served, served_apart, waits

CASE = "Kim-01_baseline_scan"


class Client:
    """A browser without a window: keeps its cookie, sends its origin."""

    def __init__(self, url: str, reader: str = "") -> None:
        self.address = urlsplit(url).netloc
        self.token = url.partition("token=")[2]
        answer = self.ask("GET", f"/?token={self.token}")
        assert answer.status == 303
        self.cookie = answer.headers["set-cookie"].partition(";")[0]
        if reader:
            assert self.ask("POST", "/api/reader", {"reader": reader}).status == 200

    def ask(self, method: str, path: str, body=None, **headers: str):
        connection = http.client.HTTPConnection(self.address, timeout=30)
        sent = {"host": self.address, "origin": f"http://{self.address}"}
        sent |= {"cookie": getattr(self, "cookie", "")}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        connection.request(method, path, data, {k: v for k, v in sent.items() if v})
        answer = connection.getresponse()
        answer.text = answer.read()  # type: ignore[attr-defined]
        connection.close()
        return answer

    def get(self, path: str):
        answer = self.ask("GET", path)
        assert answer.status == 200, (path, answer.status, answer.text)
        return json.loads(answer.text)

    def verdict(self, case: str, **answer):
        now = self.get(f"/api/cases/{case}")
        seen = {"mask_sha256": now["mask_sha256"], "revision": now["revision"]}
        return self.ask("POST", f"/api/cases/{case}/verdict", {**seen, **answer})


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_results(tmp_path_factory.mktemp("review"))


@pytest.fixture(scope="module")
def url(results: Path) -> Iterator[str]:
    with served(results) as address:
        yield address


@pytest.fixture
def client(url: str) -> Client:
    return Client(url, "r1")


def test_a_folder_that_was_moved_and_a_draft_that_cannot_be_kept_are_said(
    client: Client, results: Path
) -> None:
    elsewhere = results.with_name("elsewhere")
    results.rename(elsewhere)
    try:
        asked = ("/api/cases", f"/api/cases/{CASE}", f"/api/scans/{CASE}/grid")
        answers = [client.ask("GET", path) for path in asked]
        answers.append(client.ask("POST", f"/api/cases/{CASE}/verdict", {"verdict": "accept"}))
        for answer in answers:
            assert answer.status == 422
            assert "no longer where it was" in json.loads(answer.text)["error"]
        assert not results.exists()
    finally:
        elsewhere.rename(results)
    in_the_way = results / ".fibrovol" / "drafts"
    in_the_way.write_text("", encoding="utf-8")
    try:
        body = gzip.compress(bytes(SHAPE[0] * SHAPE[1] * SHAPE[2]))
        answer = client.ask("PUT", f"/api/scans/{CASE}/draft", body)
        assert answer.status == 422
        assert "cannot be written" in json.loads(answer.text)["error"]
    finally:
        in_the_way.unlink()


def test_without_the_token_nothing_is_told(url: str) -> None:
    stranger = Client(url)
    stranger.cookie = ""
    for path in ("/", "/api/cases", "/static/scan.js", f"/api/cases/{CASE}/picture"):
        assert stranger.ask("GET", path).status == 403
    assert stranger.ask("GET", "/?token=guess").status == 403
    stranger.cookie = "fibrovol_1=guess"
    assert stranger.ask("GET", "/").status == 403


def test_the_token_is_exchanged_for_a_cookie_that_scripts_do_not_see(client: Client) -> None:
    answer = client.ask("GET", f"/?token={client.token}")
    assert answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_a_foreign_host_is_refused(client: Client) -> None:
    for host in ("evil.example", f"evil.example:{client.address.partition(':')[2]}", ""):
        answer = client.ask("GET", "/api/cases", host=host or " ")
        assert answer.status == 400


@pytest.mark.parametrize("origin", ["http://evil.example", "null", " "])
def test_a_foreign_origin_cannot_change_anything(client: Client, results: Path, origin) -> None:
    before = (results / "reviews.csv").exists()
    answer = client.ask("POST", f"/api/cases/{CASE}/verdict", {"verdict": "accept"}, origin=origin)
    assert answer.status == 403
    assert (results / "reviews.csv").exists() == before


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/api/cases/..%2f..%2fetc/picture",
        "/api/cases/%2e%2e/picture",
        "//etc/passwd",
        "/static/",
        "/api/scans/nobody/grid",
    ],
)
def test_path_tricks_lead_nowhere(client: Client, path: str) -> None:
    assert client.ask("GET", path).status == 404


def test_every_answer_carries_a_strict_policy(client: Client) -> None:
    for path in ("/", "/scan", "/slide", "/static/page.css", "/api/cases", "/nowhere"):
        headers = client.ask("GET", path).headers
        policy = headers["content-security-policy"]
        assert "unsafe-inline" not in policy
        assert "unsafe-eval" not in policy
        assert policy.startswith("default-src 'none'")
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"


def test_an_oversized_body_is_refused_also_without_a_length(client: Client) -> None:
    answer = client.ask(
        "POST", f"/api/scans/{CASE}/labels", b"x", content_length=str(MAX_BODY_BYTES + 1)
    )
    assert answer.status == 413

    def pieces() -> Iterator[bytes]:
        for _ in range(MAX_BODY_BYTES // (1 << 20) + 2):
            yield bytes(1 << 20)

    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        answer = client.ask("POST", f"/api/scans/{CASE}/labels", pieces())
        assert answer.status == 413


def test_a_broken_mask_is_refused_and_changes_nothing(client: Client, results: Path) -> None:
    before = (results / "volumes.csv").read_bytes()
    now = client.get(f"/api/cases/{CASE}")
    size = SHAPE[0] * SHAPE[1] * SHAPE[2]
    headers = {
        "x_input_sha256": now["input_sha256"],
        "x_mask_sha256": now["mask_sha256"],
        "x_revision": "0",
    }
    for body in (b"", b"no gzip", gzip.compress(bytes(size - 1)), gzip.compress(b"\x07" * size)):
        answer = client.ask("POST", f"/api/scans/{CASE}/labels", body, **headers)
        assert answer.status == 422, body[:10]
        assert "What to do" in json.loads(answer.text)["error"]
    whole = gzip.compress(b"\x01" * size)
    for wrong in ({"x_input_sha256": "f" * 64}, {"x_mask_sha256": "f" * 64}, {"x_revision": "9"}):
        answer = client.ask("POST", f"/api/scans/{CASE}/labels", whole, **{**headers, **wrong})
        assert answer.status == 409, wrong
    assert (results / "volumes.csv").read_bytes() == before


def test_labels_come_only_for_the_mask_that_the_address_names(client: Client) -> None:
    assert client.ask("GET", f"/api/scans/{CASE}/labels/{'0' * 64}").status == 409
    mask = client.get(f"/api/cases/{CASE}")["mask_sha256"]
    answer = client.ask("GET", f"/api/scans/{CASE}/labels/{mask}")
    assert len(gzip.decompress(answer.text)) == SHAPE[0] * SHAPE[1] * SHAPE[2]


def test_a_verdict_on_what_the_reader_did_not_see_is_refused(client: Client) -> None:
    answer = client.ask(
        "POST",
        f"/api/cases/{CASE}/verdict",
        {"verdict": "accept", "mask_sha256": "0" * 64, "revision": 0},
    )
    assert answer.status == 409


def test_a_second_reader_sees_the_firsts_verdict_only_after_giving_one(url: str) -> None:
    first, second = Client(url, "one"), Client(url, "two")
    case = "Kim-02_baseline_scan"
    assert first.verdict(case, verdict="reject", reason="=2+3").status == 200
    for path in (f"/api/cases/{case}", "/api/cases"):
        told = second.ask("GET", path).text.decode()
        assert "one" not in re.findall(r'"reader": ?"(\w*)"', told)
        assert "2+3" not in told
    assert second.get(f"/api/cases/{case}")["others"] is None
    assert second.verdict(case, verdict="accept", quality=4).status == 200
    (others,) = second.get(f"/api/cases/{case}")["others"]
    assert (others["reader"], others["verdict"], others["reason"]) == ("one", "reject", "'=2+3")


def test_nobody_gives_a_verdict_without_a_code(url: str) -> None:
    answer = Client(url).verdict(CASE, verdict="accept")
    assert answer.status == 422
    assert "The reader's code is missing" in json.loads(answer.text)["error"]


def test_two_servers_at_once_leave_each_other_signed_in(results: Path, url: str) -> None:
    with served_apart(results) as other:
        one, two = Client(url), Client(other)
        jar = f"{one.cookie}; {two.cookie}"
        one.cookie = two.cookie = jar
        assert one.ask("GET", "/api/cases").status == 200
        assert two.ask("GET", "/api/cases").status == 200


def test_two_pages_open_at_once_lose_no_verdict(tmp_path: Path) -> None:
    results = write_results(tmp_path)
    cases = [f"{s}_{v}_scan" for s in SUBJECTS for v in VISITS][:5]
    with served_apart(results) as one, served_apart(results) as two:
        clients = [Client(one, "a"), Client(two, "b"), Client(two, "c")]

        def read(client: Client) -> None:
            for case in cases * 3:
                assert client.verdict(case, verdict="accept").status == 200

        threads = [threading.Thread(target=read, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    rows = read_table(results, "reviews")
    assert [row["review"] for row in rows] == list(range(1, 46))
    assert {str(row["reader"]) for row in rows} == {"a", "b", "c"}


@pytest.mark.parametrize("kills", [8, pytest.param(30, marks=pytest.mark.stress)])
def test_a_kill_at_any_moment_leaves_whole_lines_and_every_line_that_was_told(
    tmp_path: Path, kills: int
) -> None:
    answer = {"verdict": "accept", "reader": "r1", "note": "x" * 1900}
    row = make_review(Read("A", 0, "a" * 64, 1.5), answer, at=datetime.now(UTC), version="1")
    code = (
        "import json, sys; from pathlib import Path;"
        "from fibrovol.review.verdicts import add_review;"
        "d = Path(sys.argv[1]); w = d / '.fibrovol'; w.mkdir(exist_ok=True);"
        "row = json.loads(sys.argv[2]);\n"
        "while True:\n"
        "    print(add_review(d, w, dict(row))['review'], flush=True)\n"
    )
    told = 0
    pick = random.Random(0)
    before = b""
    for _ in range(kills):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), json.dumps(row)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        told = int(process.stdout.readline())
        time.sleep(pick.uniform(0, 0.15))
        os.kill(process.pid, signal.SIGKILL)
        told = max([told, *(int(line) for line in process.stdout if line.endswith("\n"))])
        process.communicate()
        content = (tmp_path / "reviews.csv").read_bytes()
        assert content.startswith(before)
        before = content
        rows = read_table(tmp_path, "reviews")
        assert [row["review"] for row in rows] == list(range(1, len(rows) + 1))
        assert told <= len(rows) <= told + 1
    with (tmp_path / "reviews.csv").open(encoding="utf-8", newline="") as stream:
        assert {len(line) for line in csv.reader(stream)} == {13}


def listens(client: Client) -> bool:
    """Whether the server takes connections; asking it for anything would keep it awake."""
    host, _, port = client.address.partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=30).close()
    except ConnectionRefusedError:
        return False
    return True


def test_it_stops_when_nobody_looks_but_never_under_an_open_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "_LOOK_SECONDS", 0.1)
    with served(write_results(tmp_path), idle_minutes=0.01) as url:
        client = Client(url)
        stream = http.client.HTTPConnection(client.address)
        sent = {"host": client.address, "cookie": client.cookie}
        stream.request("GET", "/api/alive", headers=sent)
        answer = stream.getresponse()
        assert answer.readline().startswith(b"data:")
        time.sleep(2)
        assert listens(client)
        answer.close()
        stream.close()
        assert waits(lambda: not listens(client), 60)


def test_how_long_it_waits_is_what_the_command_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}
    monkeypatch.setattr(serve, "serve", lambda app, **options: asked.update(options))
    words = ["review", str(write_results(tmp_path)), "--no-browser", "--idle-minutes", "0.05"]
    assert main(words) == 0
    assert asked["idle_minutes"] == 0.05


def test_blinded_nothing_tells_subject_visit_or_file(tmp_path: Path) -> None:
    results = write_results(tmp_path)
    names = [path.name for path in (results / "masks").iterdir()]
    secrets = [*SUBJECTS, *VISITS, "Drawn bodies", str(results), *names]
    with served_apart(results, "--blind", "--seed", "3") as url:
        client = Client(url, "r9")
        told = []
        listed = client.get("/api/cases")
        told.append(json.dumps(listed))
        keys = [one["key"] for one in listed["cases"]]
        for key in keys:
            for path in ("cases/{}", "scans/{}/grid", "cases/{}/picture", "scans/{}/voxels"):
                answer = client.ask("GET", "/api/" + path.format(key))
                told += [answer.text.decode("latin-1"), str(answer.headers)]
            told.append(client.verdict(key, verdict="reject", reason="x").text.decode("latin-1"))
            answer = client.ask("GET", f"/api/scans/{key}/labels/{'0' * 64}")
            told.append(answer.text.decode("latin-1"))
        found = [secret for secret in secrets for text in told if secret in text]
        assert found == []
        order = [one["value"] for one in listed["cases"]]
    with served(results, blind_seed=4) as url:
        other = [one["value"] for one in Client(url).get("/api/cases")["cases"]]
    assert sorted(map(str, order)) == sorted(map(str, other))
    assert order != other
    own = [row for row in read_table(results, "reviews") if row["reader"] == "r9"]
    assert {str(row["case_id"]) for row in own} == {
        f"{s}_{v}_scan" for s in SUBJECTS for v in VISITS
    }
