"""What the page may ask for: cases, pictures, scans, verdicts, corrections."""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from typing import Any
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
from ..files import atomic_path
from .correct import Painted, save_labels
from .gate import BodyTooLargeError
from .rebuild import Rebuilder
from .results import ReadCase, Results
from .scans import ScanShelf, for_page, from_page, read_labels, unpacked
from .slides import SlideShelf
from .verdicts import add_review, software
from .views import Desk, case_view, list_view

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
        self.results = results
        self.desk = Desk(results, blind_seed)
        self.shelf = ScanShelf(results)
        self.slides = SlideShelf(results)
        self.rebuilder = Rebuilder(results.directory)
        self.activity: Activity | None = None
        self.on_stop: Callable[[], None] = lambda: None
        self._readers: dict[str, str] = {}

    def asgi(self) -> Starlette:
        """The application, without the gate before it."""
        here = resources.files(__package__) / "static"
        files = {e.name: e for e in here.iterdir() if e.is_file()} if here.is_dir() else {}
        pages = {"/": "worklist.html", "/scan": "scan.html", "/slide": "slide.html"}

        def static(name: str) -> Callable[[Request], Awaitable[Response]]:
            async def serve(_: Request) -> Response:
                kind = TYPES.get("." + name.rpartition(".")[2], "application/octet-stream")
                return Response(files[name].read_bytes(), media_type=kind)

            return serve

        routes = [Route(path, static(name)) for path, name in pages.items() if name in files]
        routes += [Route(f"/static/{name}", static(name)) for name in files]
        routes += [
            Route("/open", self._asked(self.open_case)),
            Route("/api/cases", self._asked(self.list_cases)),
            Route("/api/reader", self._asked(self.set_reader), methods=["POST"]),
            Route("/api/alive", self.alive),
            Route("/api/stop", self._asked(self.stop_server), methods=["POST"]),
            Route("/api/cases/{key}", self._asked(self.one_case)),
            Route("/api/cases/{key}/picture", self._asked(self.picture)),
            Route("/api/cases/{key}/verdict", self._asked(self.give_verdict), methods=["POST"]),
            Route("/api/slides/{key}/info", self._asked(self.slide_info)),
            Route(
                "/api/slides/{key}/{mask}/{layer}/{level:int}/{column:int}/{row:int}",
                self._asked(self.slide_tile),
            ),
            Route("/api/scans/{key}/grid", self._asked(self.grid)),
            Route("/api/scans/{key}/voxels", self._asked(self.voxels)),
            Route("/api/scans/{key}/labels/{mask}", self._asked(self.labels)),
            Route("/api/scans/{key}/labels", self._asked(self.save), methods=["POST"]),
            Route("/api/scans/{key}/draft", self._asked(self.draft)),
            Route("/api/scans/{key}/draft", self._asked(self.keep_draft), methods=["PUT"]),
            Route("/api/scans/{key}/draft", self._asked(self.drop_draft), methods=["DELETE"]),
        ]
        return Starlette(routes=routes, lifespan=self._lifespan)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self.activity = Activity()
        yield

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
                status = 409 if error.code in ("changed_meanwhile", "output_in_use") else 422
                # a sentence may name a file, which is named after subject and visit
                text = ERROR_CODES[error.code] if self.desk.blind else str(error)
                return JSONResponse({"error": text, "code": error.code}, status)
            except KeyError:
                return JSONResponse({"error": "There is no such case."}, 404)

        return answer

    def _case(self, request: Request) -> ReadCase:
        return self.desk.case(request.path_params["key"])

    def _scan_case(self, request: Request) -> ReadCase:
        case = self._case(request)
        if case.kind != "scan":
            raise KeyError(case.case_id)
        return case

    def _reader(self, request: Request) -> str:
        reader = self._readers.get(str(request.scope.get("session")), "")
        if not reader:
            raise InputError(
                "bad_review",
                "The reader's code is missing",
                found="no reader's code",
                do="enter your code at the top of the worklist",
            )
        return reader

    def _who(self, request: Request) -> str:
        return self._readers.get(str(request.scope.get("session")), "")

    # --- cases and verdicts

    def list_cases(self, request: Request, _: bytes) -> Response:
        """The worklist."""
        return JSONResponse(list_view(self.desk, self._who(request), self.rebuilder.state()))

    def one_case(self, request: Request, _: bytes) -> Response:
        """One case, with what a reader needs to judge it."""
        return JSONResponse(case_view(self.desk, self._case(request), self._who(request)))

    def open_case(self, request: Request, _: bytes) -> Response:
        """Lead to the page for a case of either kind."""
        key = request.query_params.get("case", "")
        query = urlencode({"case": key})
        return RedirectResponse(f"/{self.desk.case(key).kind}?{query}", 303)

    def set_reader(self, request: Request, body: bytes) -> Response:
        """Say who is reading; the code is checked as that of a verdict is."""
        reader = str(_json(body).get("reader") or "")
        case = next(iter(self.results.state().cases.values()))
        make_review(case.read, {"verdict": "withdraw", "reader": reader}, at=_now(), version="")
        self._readers[str(request.scope.get("session"))] = reader
        return JSONResponse({"reader": reader})

    def give_verdict(self, request: Request, body: bytes) -> Response:
        """Keep a verdict on exactly what the reader saw."""
        case, reader, answer = self._case(request), self._reader(request), _json(body)
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
        return JSONResponse(case_view(self.desk, self._case(request), reader))

    def picture(self, request: Request, _: bytes) -> Response:
        """The case's overlay."""
        name = str(self._case(request).row["overlay_path"] or "")
        path = (self.results.directory / name).resolve()
        if not name or not path.is_relative_to(self.results.directory.resolve()):
            raise KeyError(name)
        if not path.is_file():
            raise KeyError(name)
        return FileResponse(path, media_type="image/png")

    # --- slides

    def _slide_case(self, request: Request) -> ReadCase:
        case = self._case(request)
        if case.kind != "slide":
            raise KeyError(case.case_id)
        return case

    def slide_info(self, request: Request, _: bytes) -> Response:
        """Sizes of a slide and its layers."""
        case = self._slide_case(request)
        return JSONResponse({**self.slides.get(case).info(), "mask_sha256": case.mask_sha256})

    def slide_tile(self, request: Request, _: bytes) -> Response:
        """One tile of the picture or of a layer of exactly the mask that the address names."""
        case, asked = self._slide_case(request), request.path_params
        if asked["mask"] != (case.mask_sha256 or "none"):
            raise InputError(
                "changed_meanwhile",
                "The mask changed since the page was loaded",
                found="another mask",
                do="load the page again",
            )
        slide, place = self.slides.get(case), (asked["level"], asked["column"], asked["row"])
        if asked["layer"] == "picture":
            return Response(slide.tile(*place), media_type="image/jpeg")
        if slide.mask is None:
            raise KeyError(asked["layer"])
        return Response(slide.mask.tile(asked["layer"], *place), media_type="image/png")

    # --- scans

    def grid(self, request: Request, _: bytes) -> Response:
        """Sizes and windows of a scan, and the outline that stands."""
        case = self._scan_case(request)
        scan = self.shelf.get(case)
        return JSONResponse(
            {
                **scan.grid(),
                "revision": case.corrections.standing,
                "mask_sha256": case.mask_sha256,
                "input_sha256": str(case.row["input_sha256"] or ""),
            }
        )

    def voxels(self, request: Request, _: bytes) -> Response:
        """Grey values: int16, little endian, first along R, then A, then S."""
        scan = self.shelf.get(self._scan_case(request))
        # the transpose of a Fortran array runs along R first and needs no copy
        voxels: Any = scan.voxels.T.astype("<i2", order="C", copy=False)
        data = memoryview(voxels).cast("B")
        return StreamingResponse(
            _pieces(data),
            media_type="application/octet-stream",
            headers={"content-length": str(len(data))},
        )

    def labels(self, request: Request, _: bytes) -> Response:
        """The labels of exactly the mask that the address names."""
        case = self._scan_case(request)
        if request.path_params["mask"] != (case.mask_sha256 or "none"):
            raise InputError(
                "changed_meanwhile",
                "The outline changed since the page was loaded",
                found="another mask",
                do="load the page again",
            )
        scan = self.shelf.get(case)
        labels = for_page(read_labels(self.results.directory, case, scan), scan)
        return Response(
            gzip.compress(labels, 1),
            media_type="application/octet-stream",
            headers={"content-encoding": "gzip"},
        )

    def save(self, request: Request, body: bytes) -> Response:
        """Save what was painted: only on the scan and revision that the page had loaded."""
        case, reader = self._scan_case(request), self._reader(request)
        scan = self.shelf.get(case)
        if request.headers.get("x-input-sha256") != str(case.row["input_sha256"] or ""):
            raise InputError(
                "changed_meanwhile",
                "What was painted belongs to another scan",
                found="another input",
                do="load the page again",
            )
        revision = request.headers.get("x-revision", "")
        painted = Painted(
            from_page(unpacked(body, scan.voxels.size), scan),
            reader,
            int(revision) if revision.isdigit() else -1,
            request.headers.get("x-mask-sha256", ""),
        )
        save_labels(self.results, case, scan, painted)
        self._draft_path(case, reader).unlink(missing_ok=True)
        self.rebuilder.ask()
        return JSONResponse(case_view(self.desk, self._case(request), reader))

    # --- drafts: what was painted and not saved, kept as it came

    def _draft_path(self, case: ReadCase, reader: str) -> Any:
        return self.results.work / "drafts" / f"{case.case_id}-{reader}.gz"

    def draft(self, request: Request, _: bytes) -> Response:
        """The reader's unsaved outline of this scan, with what it was drawn over."""
        path = self._draft_path(self._scan_case(request), self._reader(request))
        if not path.is_file():
            return Response(status_code=204)
        head, _, packed = path.read_bytes().partition(b"\n")
        return Response(
            packed,
            media_type="application/octet-stream",
            headers={"content-encoding": "gzip", "x-drawn-over": head.decode()},
        )

    def keep_draft(self, request: Request, body: bytes) -> Response:
        """Keep an unsaved outline."""
        case = self._scan_case(request)
        unpacked(body, self.shelf.get(case).voxels.size)
        over = f"{request.headers.get('x-mask-sha256', '')[:64]}\n".encode()
        with atomic_path(self._draft_path(case, self._reader(request))) as temporary:
            temporary.write_bytes(over + body)
        return JSONResponse({})

    def drop_draft(self, request: Request, _: bytes) -> Response:
        """Forget it."""
        self._draft_path(self._scan_case(request), self._reader(request)).unlink(missing_ok=True)
        return JSONResponse({})

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


def _now() -> datetime:
    return datetime.now(UTC)


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError("bad_review", "The request is not valid", found="no JSON object", do="")
    return found


async def _pieces(data: memoryview) -> AsyncIterator[memoryview]:
    for start in range(0, len(data), 1 << 22):
        yield data[start : start + (1 << 22)]
