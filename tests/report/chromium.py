"""Headless Chromium over its debugging pipe: open a page, listen, ask, print. No driver needed."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from fibrovol.files import Closing

_SAID = ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def find_chromium() -> str | None:
    """The browser's program, None where there is none."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


class Chromium(Closing):
    """A running browser: takes commands and gives messages; pages open in it one after another.

    It takes longer to start than a page, so that tests share one.
    """

    def __init__(self, program: str) -> None:
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        # the browser reads commands from descriptor 3 and answers on 4
        script = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
        self._process = subprocess.Popen(
            [
                "/bin/bash", "-c", script, program,
                "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe",
                f"--user-data-dir={self._profile.name}", "--window-size=1200,900", "about:blank",
            ],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)
        self._buffer = b""
        self._number = 0

    def close(self) -> None:
        """End the browser."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        os.close(self._write)
        os.close(self._read)
        self._profile.cleanup()

    def send(self, method: str, session: str = "", **parameters: Any) -> int:
        """Give a command, to a page if its session is named; returns the command's number."""
        self._number += 1
        command: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session:
            command["sessionId"] = session
        os.write(self._write, json.dumps(command).encode() + b"\0")
        return self._number

    def receive(self) -> dict[str, Any]:
        """Wait for the next message: an answer, or what happened in a page."""
        while b"\0" not in self._buffer:
            piece = os.read(self._read, 1 << 20)
            if not piece:
                raise RuntimeError("the browser ended")
            self._buffer += piece
        message, self._buffer = self._buffer.split(b"\0", 1)
        found: dict[str, Any] = json.loads(message)
        return found


class Browser(Closing):
    """One page, with cookies, storage and cache of its own, until it is closed.

    Attributes:
        events: everything the page reported, in order.
    """

    def __init__(self, chromium: Chromium) -> None:
        self.events: list[dict[str, Any]] = []
        self._chromium = chromium
        self._session = ""
        self._context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call(
            "Target.createTarget", url="about:blank", browserContextId=self._context,
            width=1200, height=900,
        )["targetId"]  # fmt: skip
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        """Close the page and forget what it kept."""
        self._session = ""
        self.call("Target.disposeBrowserContext", browserContextId=self._context)

    def _receive(self) -> dict[str, Any]:
        """The next message to this page; another's, which was closed, says nothing of this one."""
        while True:
            message = self._chromium.receive()
            if message.get("sessionId", "") == self._session:
                return message

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give a command and return its result; what happens meanwhile is kept in ``events``."""
        number = self._chromium.send(method, self._session, **parameters)
        while True:
            message = self._receive()
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                result: dict[str, Any] = message["result"]
                return result
            self.events.append(message)

    def open(self, path: Path) -> float:
        """Open a file and wait until it has loaded; returns the seconds that took."""
        self.events.clear()
        started = time.perf_counter()
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait_for_load()
        return time.perf_counter() - started

    def wait_for_load(self) -> None:
        """Wait until the page has loaded, and forget what the one before it said last."""
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self._receive())
        methods = [event.get("method") for event in self.events]
        if "Runtime.executionContextsCleared" in methods:
            begun = methods.index("Runtime.executionContextsCleared")
            kept = [event for event in self.events[:begun] if event.get("method") not in _SAID]
            self.events = kept + self.events[begun:]

    def ask(self, expression: str) -> Any:
        """Evaluate JavaScript in the page and return its value."""
        result = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in result:
            raise RuntimeError(str(result["exceptionDetails"]))
        return result["result"].get("value")

    def dark(self, on: bool) -> None:
        """Pretend that the system prefers a dark page."""
        value = "dark" if on else "light"
        self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": value}],
        )

    def picture(self, path: Path) -> None:
        """A PNG of the whole page."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True, format="png")
        path.write_bytes(base64.b64decode(data["data"]))

    def pdf(self, path: Path) -> None:
        """The page printed to A4 with the page's own margins."""
        data = self.call(
            "Page.printToPDF",
            preferCSSPageSize=True,
            printBackground=True,
            displayHeaderFooter=False,
        )
        path.write_bytes(base64.b64decode(data["data"]))

    def requests(self) -> list[str]:
        """Addresses that the page asked for since it was opened."""
        return [
            str(event["params"]["request"]["url"])
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]

    def complaints(self) -> list[str]:
        """Console errors and warnings, exceptions and log entries since the page was opened."""
        found = []
        for event in self.events:
            parameters = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                found.append(str(parameters["exceptionDetails"]))
            elif event.get("method") == "Log.entryAdded":
                found.append(str(parameters["entry"]["text"]))
            elif event.get("method") == "Runtime.consoleAPICalled" and parameters["type"] in (
                "error",
                "warning",
                "assert",
            ):
                found.append(str(parameters["args"]))
        return found
