"""Writing the report again after a verdict or a correction, one at a time, behind the reader."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from ..errors import FibrovolError


class Rebuilder:
    """Rebuilds the report of a folder; several wishes while it works become one.

    Args:
        directory: the results folder.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._wanted = False
        self._worker: threading.Thread | None = None
        self._error = ""
        self._done = 0

    @property
    def busy(self) -> bool:
        """Whether the report is being written, or about to be."""
        with self._lock:
            return self._worker is not None

    def state(self) -> dict[str, Any]:
        """For the page: whether it works, how often it finished, what went wrong."""
        with self._lock:
            return {
                "report_busy": self._worker is not None,
                "reports_written": self._done,
                "report_error": self._error,
            }

    def ask(self) -> None:
        """Have the report written again soon."""
        with self._lock:
            self._wanted = True
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="report")
                self._worker.start()

    def wait(self) -> None:
        """Wait until everything asked for is written."""
        worker = self._worker
        if worker is not None:
            worker.join()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._wanted:
                    self._worker = None
                    return
                self._wanted = False
            error = ""
            from ..report.page import build_report  # noqa: PLC0415 - start-up time

            try:
                build_report(self._directory)
            except (FibrovolError, OSError, ValueError) as failure:
                error = f"The report could not be written: {failure}"
            with self._lock:
                self._error, self._done = error, self._done + 1
