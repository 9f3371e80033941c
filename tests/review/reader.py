"""A reader at the page: a real server, and headless Chromium before it."""

from __future__ import annotations

import importlib.util
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fibrovol.review.app import ReviewApp
from fibrovol.review.results import Results
from fibrovol.review.serve import serve

from ..report.chromium import Browser


@contextmanager
def served(
    directory: Path, *, blind_seed: int | None = None, idle_minutes: float = 60.0
) -> Iterator[str]:
    """The page's server on a folder, in a thread; gives the address with its token."""
    app = ReviewApp(Results(directory), blind_seed=blind_seed)
    address: queue.Queue[str] = queue.Queue()
    thread = threading.Thread(
        target=serve,
        args=(app,),
        kwargs={
            "idle_minutes": idle_minutes,
            "open_browser": False,
            "ready": lambda url, port: address.put(url),
        },
    )
    thread.start()
    try:
        yield address.get(timeout=60)
    finally:
        app.on_stop()
        thread.join(60)
        assert not thread.is_alive()


@contextmanager
def served_apart(directory: Path, *options: str) -> Iterator[str]:
    """`fibrovol review` on a folder, as a process of its own; gives the address with its token."""
    command = [sys.executable, "-m", "fibrovol", "review", str(directory), "--json"]
    process = subprocess.Popen(
        [*command, "--no-browser", *options],
        stdout=subprocess.PIPE,
        text=True,
        cwd=directory.anchor,
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.communicate(timeout=60)


class Reader(Browser):
    """What a person does: opens addresses, waits, presses keys, moves the mouse."""

    base = ""
    """The server's address, once one was opened."""

    def visit(self, url: str) -> float:
        """Open an address; the seconds until it has loaded."""
        self.events.clear()
        started = time.perf_counter()
        self.call("Page.navigate", url=url)
        self.wait_for_load()
        return time.perf_counter() - started

    def _receive(self) -> dict[str, Any]:
        """Also leave a page that asks whether to: nobody is there to answer."""
        message = super()._receive()
        if message.get("method") == "Page.javascriptDialogOpening":
            self._chromium.send("Page.handleJavaScriptDialog", self._session, accept=True)
        return message

    def size(self, width: int, height: int, ratio: float = 1.0) -> None:
        """The window's size in CSS pixels, and the device's pixels along one of them."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=ratio, mobile=False,
        )  # fmt: skip

    def complaints(self) -> list[str]:
        """As of any page, less OpenSeadragon's word on a tile whose layer was hidden meanwhile."""
        return [text for text in super().complaints() if "loaded before reset" not in text]

    def until(self, expression: str, seconds: float = 90.0) -> Any:
        """Wait until JavaScript gives something true, and return it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if found := self.ask(f"(x => x instanceof Element ? true : x)({expression})"):
                    return found
            except RuntimeError:  # the page is just being left
                pass
            time.sleep(0.05)
        text = self.ask("document.body.innerText.slice(0, 1500)")
        raise AssertionError(f"never true: {expression}\n{text}\n{self.complaints()}")

    def sign(self, code: str) -> None:
        """Enter a reader's code in the worklist."""
        self.until("document.querySelectorAll('#rows tr').length > 0")
        self.ask(
            f"document.getElementById('reader').value = {json.dumps(code)};"
            "document.getElementById('sign').requestSubmit()"
        )
        self.until(f"document.getElementById('message').textContent === 'Reading as {code}.'")

    def key(self, key: str, modifiers: int = 0) -> None:
        """Press and let go of a key; modifiers: 1 alt, 2 ctrl, 8 shift."""
        codes = {"Enter": 13, "Tab": 9, "ArrowUp": 38, "ArrowDown": 40, "Backspace": 8}
        code = codes.get(key, ord(key[0].upper()))
        text = {} if len(key) > 1 or modifiers & 3 else {"text": key}
        if key == "Enter":
            text = {"text": "\r"}
        common = {"key": key, "modifiers": modifiers, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", **common, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def drag(self, *places: tuple[float, float], modifiers: int = 0) -> None:
        """Press the left button at the first place, move over the others, let go."""
        for number, (x, y) in enumerate([*places, places[-1]]):
            kind = "mousePressed" if not number else "mouseMoved"
            self.call(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1,
                clickCount=1, modifiers=modifiers,
            )  # fmt: skip
        x, y = places[-1]
        self.call(
            "Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y, button="left", clickCount=1
        )

    def serious_violations(self) -> list[Any]:
        """What axe calls serious or critical on the page as it is: impact, rule, the nodes."""
        found = importlib.util.find_spec("axe_core_python")
        if found is None or found.origin is None:
            pytest.skip("axe-core-python is not installed")
        source = (Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8")
        self.call("Page.setBypassCSP", enabled=True)
        self.ask(source + "; true")
        answer = self.ask(
            "axe.run(document, {resultTypes: ['violations']}).then(r => JSON.stringify("
            "r.violations.map(v => [v.impact, v.id, v.nodes.map(n => n.html).slice(0, 3)])))"
        )
        return [one for one in json.loads(answer) if one[0] in ("serious", "critical")]

    def shot(self, path: Path) -> None:
        """A PNG of what is in the window."""
        import base64

        data = self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(data["data"]))


def waits(condition: Callable[[], bool], seconds: float = 90.0) -> bool:
    """Whether a condition comes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False
