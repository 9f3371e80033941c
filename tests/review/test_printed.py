"""What `fibrovol review` prints when it is ready, over ssh and where a proxy is set."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
from pathlib import Path

from .folder import write_results


def test_over_ssh_and_behind_a_proxy_it_says_how_to_open_it_and_answers(tmp_path: Path) -> None:
    results = write_results(tmp_path)
    command = [sys.executable, "-m", "fibrovol", "review", str(results), "--no-browser"]
    nobody = "http://127.0.0.1:9"  # a proxy that would catch every request
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path.anchor,
        env={
            **os.environ,
            "SSH_CONNECTION": "10.0.0.1 50000 10.0.0.2 22",
            **dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), nobody),
        },
    )
    try:
        assert process.stderr is not None
        printed = ""
        while "ssh -N -L" not in printed:
            line = process.stderr.readline()
            assert line, printed
            printed += line
        found = re.search(r"http://127\.0\.0\.1:(\d+)(/\?token=\S+)", printed)
        assert found is not None
        port, path = int(found[1]), found[2]
        assert f"{port}:127.0.0.1:{port}" in printed.rpartition("ssh -N -L")[2]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", path)  # printed only once it can be answered
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("location")) == (303, "/")
        connection.close()
    finally:
        process.terminate()
        process.communicate(timeout=60)
