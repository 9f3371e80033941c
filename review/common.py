"""What every answer of the page's server needs: the folder, its cases, and who is asking."""

from __future__ import annotations

import json
import threading
from typing import Any

from starlette.requests import Request

from ..errors import InputError
from .rebuild import Rebuilder
from .results import ReadCase, Results
from .views import Desk


class Common:
    """Shared by all answers for one results folder.

    Args:
        results: the folder.
        blind_seed: shuffles and hides who and when; None shows them.
    """

    def __init__(self, results: Results, blind_seed: int | None) -> None:
        self.results = results
        self.desk = Desk(results, blind_seed)
        self.rebuilder = Rebuilder(results.directory)
        self.measuring = threading.Lock()
        """Held while a case is measured, which redirects the log of the process."""
        self._readers: dict[str, str] = {}

    def case(self, request: Request, kind: str = "") -> ReadCase:
        """The case that an address names.

        Raises:
            KeyError: there is none, or it is of another kind.
        """
        case = self.desk.case(request.path_params["key"])
        if kind and case.kind != kind:
            raise KeyError(case.case_id)
        return case

    def who(self, request: Request) -> str:
        """The code of the reader who asks, "" before one was entered."""
        return self._readers.get(str(request.scope.get("session")), "")

    def sign_in(self, request: Request, reader: str) -> None:
        """Remember who is reading."""
        self._readers[str(request.scope.get("session"))] = reader

    def reader(self, request: Request) -> str:
        """The code of the reader who asks.

        Raises:
            InputError: ``bad_review``: none was entered.
        """
        reader = self.who(request)
        if not reader:
            raise InputError(
                "bad_review",
                "The reader's code is missing",
                found="no reader's code",
                do="enter your code at the top of the worklist",
            )
        return reader


def from_json(body: bytes) -> dict[str, Any]:
    """The object in a request's body.

    Raises:
        InputError: ``bad_review``: there is none.
    """
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError("bad_review", "The request is not valid", found="no JSON object", do="")
    return found
