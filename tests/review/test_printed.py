"""What `fibrovol review` prints when it is ready, over ssh and where a proxy is set."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fibrovol.review.serve import why_no_browser

from .folder import write_results

BROWSERS = ("xdg-open", "www-browser", "w3m", "lynx", "wslview", "x-www-browser")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_results(tmp_path_factory.mktemp("printed"))


@contextmanager
def started(results: Path, last: str, *options: str, **environ: str) -> Iterator[str]:
    """`fibrovol review` with variables of its own; gives what it prints up to some words."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("BROWSER", "DISPLAY")}
    process = subprocess.Popen(
        [sys.executable, "-m", "fibrovol", "review", str(results), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=results.anchor,
        env=inherited | environ,
    )
    try:
        assert process.stderr is not None
        printed = ""
        while last not in printed:
            line = process.stderr.readline()
            assert line, printed
            printed += line
        yield printed
    finally:
        process.terminate()
        process.communicate(timeout=60)


def answered(printed: str) -> int:
    """The port of the printed address, which answers."""
    found = re.search(r"http://127\.0\.0\.1:(\d+)(/\?token=\S+)", printed)
    assert found is not None
    connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=60)
    connection.request("GET", found[2])  # printed only once it can be answered
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("location")) == (303, "/")
    connection.close()
    return int(found[1])


def test_over_ssh_and_behind_a_proxy_it_says_how_to_open_it_and_answers(results: Path) -> None:
    nobody = "http://127.0.0.1:9"  # a proxy that would catch every request
    proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), nobody)
    ssh = {"SSH_CONNECTION": "10.0.0.1 50000 10.0.0.2 22"}
    with started(results, "ssh -N -L", "--no-browser", **ssh, **proxies) as printed:
        port = answered(printed)
        assert f"{port}:127.0.0.1:{port}" in printed.rpartition("ssh -N -L")[2]


@pytest.mark.skipif(os.name == "nt", reason="WSL is Linux")
def test_under_wsl_no_browser_is_started_and_the_reader_is_told(
    results: Path, tmp_path: Path
) -> None:
    for name in BROWSERS:  # as an installation of WSL may have them
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho {name} >> {tmp_path}/started\n", encoding="utf-8")
        program.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    wsl = {"WSL_DISTRO_NAME": "Ubuntu", "PATH": path, "DISPLAY": ":0"}
    with started(results, "Under WSL", **wsl) as printed:
        answered(printed)
    assert "browser in Windows" in printed
    assert not (tmp_path / "started").exists()


def test_a_browser_is_opened_only_where_there_is_a_desktop() -> None:
    desktop = {"DISPLAY": ":0"}
    assert why_no_browser(desktop, "linux", "6.1") == ""
    assert why_no_browser({"WAYLAND_DISPLAY": "wayland-0"}, "linux", "6.1") == ""
    assert why_no_browser({}, "darwin", "23.0") == why_no_browser({}, "win32", "11") == ""
    assert "no desktop" in why_no_browser({}, "linux", "6.1")
    assert "Windows" in why_no_browser(desktop, "linux", "5.15.90-microsoft-standard-WSL2")
    assert why_no_browser({"BROWSER": "firefox"}, "linux", "5.15-microsoft") == ""
