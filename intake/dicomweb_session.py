"""The connection to a DICOMweb server: who asks, what is logged, and whether an answer is whole.

A server or a proxy may break off in the middle and still say success. What HTTP itself states about
a part of an answer is checked here, for every answer.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    import requests
    from dicomweb_client import DICOMwebClient

TOKEN_VARIABLE = "FIBROVOL_DICOMWEB_TOKEN"  # the variable's name # noqa: S105 # nosec B105
"""Environment variable with a bearer token; without it requests looks into ~/.netrc."""

_BOUNDARY = re.compile(r'boundary="?([^";]+)"?', re.IGNORECASE)
_PARTIAL = 206
_LOGGERS = ("dicomweb_client", "urllib3.connectionpool")
"""They log the address of every query, which contains patients' numbers."""


def connect(url: str) -> DICOMwebClient:
    """A client of a server whose answers are checked for being whole.

    Args:
        url: the root of its services.
    """
    import requests  # noqa: PLC0415 - start-up time
    from dicomweb_client import DICOMwebClient  # noqa: PLC0415

    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    token = os.environ.get(TOKEN_VARIABLE, "")
    headers = {"Authorization": f"Bearer {token}"} if token else None
    session = requests.Session()
    session.hooks["response"].append(_refuse_parts)
    client = DICOMwebClient(url, session=session, headers=headers, timeout=(10, 120))
    # its second try of a large object would send the spent rest of the first
    client.set_http_retry_params(retry=False)
    return client


def truncated(found: str) -> InputError:
    """The refusal of a list that is not whole."""
    return InputError(
        "storage_unreachable",
        "The server's answer is cut short",
        found=found,
        do="ask its administrator to raise the limit of results, then run the same command again",
    )


def not_complete(found: str) -> InputError:
    """The refusal of a part of a series."""
    return InputError(
        "input_changed",
        "The series did not arrive complete",
        found=found,
        do="run the same command again; nothing of the series was kept",
    )


def _refuse_parts(response: requests.Response, **_: Any) -> None:
    """Refuse an answer that says it is a part, and watch for the end of one in several parts."""
    kind = response.headers.get("Content-Type", "")
    error = None
    if response.status_code == _PARTIAL:
        error = (truncated if "json" in kind.lower() else not_complete)("status 206")
    # 299: PS3.18 8.3.4.4, there are more results than are given
    elif response.headers.get("Warning", "").startswith("299") and "json" in kind.lower():
        error = truncated("the server's warning that there are more results")
    if error is not None:
        response.close()
        raise error
    boundary = _BOUNDARY.search(kind)
    if response.ok and boundary and kind.lower().startswith("multipart/"):
        _watch_the_end(response, b"--" + boundary[1].encode() + b"--")


def _watch_the_end(response: requests.Response, end: bytes) -> None:
    chunks_of = response.iter_content

    def iter_content(*words: Any, **options: Any) -> Iterator[Any]:
        last = b""
        for chunk in chunks_of(*words, **options):
            last = (last + chunk)[-len(end) - 1024 :]  # what follows the end is an epilogue
            yield chunk
        if end not in last:
            response.close()
            raise not_complete("the server's message has no end")

    response.iter_content = iter_content
