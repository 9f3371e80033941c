"""Who may talk to the page's server: this machine's reader and nobody else.

The token of the printed address is exchanged for a cookie at once; foreign hosts (DNS rebinding),
foreign origins and oversized bodies are refused before anything is read.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 64 * 1024 * 1024
"""Of one request: a painted mask is compressed; 1,500 slices of 512 x 512 take a few MB."""

CONTENT_SECURITY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": CONTENT_SECURITY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",  # pictures of patients stay out of the browser's cache
}
_SAFE = ("GET", "HEAD")


class BodyTooLargeError(Exception):
    """A request's body is over the limit."""


class Gate:
    """ASGI middleware that lets in what comes from the page itself.

    Args:
        app: what is behind it.
        hosts: values of Host that are this server: address and port.
        token: of the printed address.
        cookie: the cookie's name; it has the port, because cookies ignore ports and two servers
            on one machine would sign each other out.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], token: str, cookie: str) -> None:
        self._app, self._hosts, self._token, self._cookie = app, frozenset(hosts), token, cookie
        self._sessions: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # no web sockets here
        answer = self._refusal(scope)
        if answer is not None:
            await answer(scope, receive, _secured(send))
            return
        await self._app(scope, _limited(receive), _secured(send))

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if host not in self._hosts:
            return PlainTextResponse("This server answers only on its own address.", 400)
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if scope["path"] == "/" and "token" in query:
            return self._exchange(query["token"][0])
        given = cookie_parser(headers.get("cookie", "")).get(self._cookie, "")
        if given not in self._sessions:
            return PlainTextResponse(
                "Open the address that `fibrovol review` printed: it has the key to this page.",
                403,
            )
        if scope["method"] not in _SAFE and headers.get("origin") != f"http://{host}":
            return PlainTextResponse("This request does not come from the page.", 403)
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            return PlainTextResponse("The request is too large.", 413)
        scope["session"] = given
        return None

    def _exchange(self, token: str) -> Response:
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            return PlainTextResponse("This is not the address that `fibrovol review` printed.", 403)
        session = secrets.token_urlsafe(32)
        self._sessions.add(session)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(self._cookie, session, httponly=True, samesite="strict", path="/")
        return answer


def _secured(send: Send) -> Send:
    async def secured(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
        await send(message)

    return secured


def _limited(receive: Receive) -> Receive:
    """The body, as long as it is not over the limit: a length may also be left out."""
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MAX_BODY_BYTES:
            raise BodyTooLargeError
        return message

    return limited
