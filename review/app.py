"""What the page may ask for: cases, pictures, scans, verdicts, corrections."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from urllib.parse import urlencode

import anyio
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from ..analysis.reviews import make_review
from ..errors import ERROR_CODES, FibrovolError, InputError
from ..files import not_writable
from .common import Common, from_json
from .gate import BodyTooLargeError
from .results import Results
from .scan_answers import ScanAnswers
from .slide_answers import SlideAnswers
from .verdicts import add_review, software
from .views import case_view, list_view

TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".html": "text/html",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
_ALIVE_SECONDS = 15.0


@dataclass
class Activity:
    """Who is looking: a server with an open page never stops by itself."""

    open_pages: int = 0
    """Pages whose stream is open."""
    last_seen: float = field(default_factory=anyio.current_time)
    """Of the event loop's clock, when anything was asked for last."""


class ReviewApp:
    """The page's server for one results folder.

    Args:
        results: the folder.
        blind_seed: shuffles and hides who and when; None shows them.
    """

    def __init__(self, results: Results, *, blind_seed: int | None = None) -> None:
        self._common = common = Common(results, blind_seed)
        self.results, self.desk, self.rebuilder = results, common.desk, common.rebuilder
        self._scans, self._slides = ScanAnswers(common), SlideAnswers(common)
        self.activity: Activity | None = None
        self.on_stop: Callable[[], None] = lambda: None

    def asgi(self) -> Starlette:
        """The application, without the gate before it."""
        here = resources.files(__package__) / "static"
        files = {e.name: e for e in here.iterdir() if e.is_file()} if here.is_dir() else {}
        pages = {"/": "worklist.html", "/scan": "scan.html", "/slide": "slide.html"}

        def static(name: str) -> Callable[[Request], Awaitable[Response]]:
            async def serve(request: Request) -> Response:
                if name == pages["/scan"]:  # it takes longer to read than the page to start
                    await run_in_threadpool(self._scans.start, request.query_params.get("case", ""))
                kind = TYPES.get("." + name.rpartition(".")[2], "application/octet-stream")
                return Response(files[name].read_bytes(), media_type=kind)

            return serve

        routes = [Route(path, static(name)) for path, name in pages.items() if name in files]
        routes += [Route(f"/static/{name}", static(name)) for name in files]
        asked, scans, slides = self._asked, self._scans, self._slides
        routes += [
            Route("/open", asked(self.open_case)),
            Route("/api/cases", asked(self.list_cases)),
            Route("/api/reader", asked(self.set_reader), methods=["POST"]),
            Route("/api/alive", self.alive),
            Route("/api/stop", asked(self.stop_server), methods=["POST"]),
            Route("/api/cases/{key}", asked(self.one_case)),
            Route("/api/cases/{key}/picture", asked(self.picture)),
            Route("/api/cases/{key}/verdict", asked(self.give_verdict), methods=["POST"]),
            Route("/api/slides/{key}/info", asked(slides.info)),
            Route("/api/slides/{key}/drawn", asked(slides.drawn)),
            Route("/api/slides/{key}/drawn", asked(slides.save_drawn), methods=["POST"]),
            Route("/api/slides/{key}/white", asked(slides.white)),
            Route(
                "/api/slides/{key}/{mask}/{layer}/{level:int}/{column:int}/{row:int}",
                asked(slides.tile),
            ),
            Route("/api/scans/{key}/grid", asked(scans.grid)),
            Route("/api/scans/{key}/series", asked(scans.series)),
            Route("/api/scans/{key}/series", asked(scans.choose_series), methods=["POST"]),
            Route("/api/scans/{key}/voxels", asked(scans.voxels)),
            Route("/api/scans/{key}/planes/{mask}", asked(scans.planes)),
            Route("/api/scans/{key}/labels/{mask}", asked(scans.labels)),
            Route("/api/scans/{key}/labels", asked(scans.save), methods=["POST"]),
            Route(
                "/api/scans/{key}/grow/{plane:int}/{slice:int}/{organ:int}",
                asked(scans.grow),
                methods=["POST"],
            ),
            Route("/api/scans/{key}/draft", asked(scans.draft)),
            Route("/api/scans/{key}/draft", asked(scans.keep_draft), methods=["PUT"]),
            Route("/api/scans/{key}/draft", asked(scans.drop_draft), methods=["DELETE"]),
        ]
        return Starlette(routes=routes, lifespan=self._lifespan)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self.activity = Activity()
        try:
            yield
        finally:
            self._slides.close()

    def _asked(
        self, handler: Callable[[Request, bytes], Response]
    ) -> Callable[[Request], Awaitable[Response]]:
        """A handler in a thread of its own; what it refuses becomes a sentence for the reader."""

        async def answer(request: Request) -> Response:
            if self.activity is not None:
                self.activity.last_seen = anyio.current_time()
            try:
                body = await request.body()
                return await run_in_threadpool(handler, request, body)
            except BodyTooLargeError:
                return JSONResponse({"error": "The request is too large."}, 413)
            except FibrovolError as error:
                return self._refused(error)
            except OSError as error:  # such as a full disk, or a share that is gone
                writes = request.method not in ("GET", "HEAD")
                return self._refused(not_writable(error) if writes else _not_readable(error))
            except KeyError:
                return JSONResponse({"error": "There is no such case."}, 404)

        return answer

    def _refused(self, error: FibrovolError) -> Response:
        status = 409 if error.code in ("changed_meanwhile", "output_in_use") else 422
        # a sentence may name a file, which is named after subject and visit
        text = ERROR_CODES[error.code] if self.desk.blind else str(error)
        return JSONResponse({"error": text, "code": error.code}, status)

    # --- cases and verdicts

    def list_cases(self, request: Request, _: bytes) -> Response:
        """The worklist."""
        return JSONResponse(list_view(self.desk, self._common.who(request), self.rebuilder.state()))

    def one_case(self, request: Request, _: bytes) -> Response:
        """One case, with what a reader needs to judge it."""
        return JSONResponse(
            case_view(self.desk, self._common.case(request), self._common.who(request))
        )

    def open_case(self, request: Request, _: bytes) -> Response:
        """Lead to the page for a case of either kind."""
        key = request.query_params.get("case", "")
        query = urlencode({"case": key})
        return RedirectResponse(f"/{self.desk.case(key).kind}?{query}", 303)

    def set_reader(self, request: Request, body: bytes) -> Response:
        """Say who is reading; the code is checked as that of a verdict is."""
        reader = str(from_json(body).get("reader") or "")
        case = next(iter(self.results.state().cases.values()))
        make_review(case.read, {"verdict": "withdraw", "reader": reader}, at=_now(), version="")
        self._common.sign_in(request, reader)
        return JSONResponse({"reader": reader})

    def give_verdict(self, request: Request, body: bytes) -> Response:
        """Keep a verdict on exactly what the reader saw."""
        case, reader, answer = (
            self._common.case(request),
            self._common.reader(request),
            from_json(body),
        )
        if (answer.get("mask_sha256"), answer.get("revision")) != (
            case.mask_sha256,
            case.corrections.standing,
        ):
            raise InputError(
                "changed_meanwhile",
                "The case has changed since you looked at it",
                found="another outline",
                do="load the page again and look at it",
            )
        row = make_review(case.read, {**answer, "reader": reader}, at=_now(), version=software())
        add_review(self.results.directory, self.results.work, row, title=self.results.title)
        self.rebuilder.ask()
        return JSONResponse(case_view(self.desk, self._common.case(request), reader))

    def picture(self, request: Request, _: bytes) -> Response:
        """The case's overlay."""
        name = str(self._common.case(request).row["overlay_path"] or "")
        path = (self.results.directory / name).resolve()
        if not name or not path.is_relative_to(self.results.directory.resolve()):
            raise KeyError(name)
        if not path.is_file():
            raise KeyError(name)
        return FileResponse(path, media_type="image/png")

    # --- the server itself

    async def alive(self, request: Request) -> Response:
        """A stream that is open as long as the page is: it keeps the server from stopping."""
        activity = self.activity
        assert activity is not None

        async def beats() -> AsyncIterator[str]:
            activity.open_pages += 1
            try:
                while not await request.is_disconnected():
                    yield f"data: {json.dumps(self.rebuilder.state())}\n\n"
                    await anyio.sleep(_ALIVE_SECONDS if not self.rebuilder.busy else 1.0)
            finally:
                activity.open_pages -= 1
                activity.last_seen = anyio.current_time()

        return StreamingResponse(beats(), media_type="text/event-stream")

    def stop_server(self, _: Request, __: bytes) -> Response:
        """End the server, at the reader's wish."""
        self.on_stop()
        return JSONResponse({"stopped": True})


def _not_readable(error: OSError) -> InputError:
    return InputError(
        "input_missing",
        "A file of this case cannot be read",
        found=error.strerror or type(error).__name__,
        do="check the disk or share that it is on",
    )


def _now() -> datetime:
    return datetime.now(UTC)
