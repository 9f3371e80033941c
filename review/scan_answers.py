"""What the page may ask about a scan: its voxels, its outline, saving, and drafts."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from ..errors import FibrovolError, InputError
from ..files import atomic_path
from .common import Common, from_json
from .correct import Painted, save_labels
from .grow import grow
from .results import ReadCase
from .scans import (
    LIVER,
    SPLEEN,
    ScanShelf,
    first_planes,
    first_slices,
    for_page,
    from_page,
    read_labels,
    slice_of,
    unpacked,
)
from .series import choose_series, series_view
from .views import case_view


class ScanAnswers:
    """Answers about scans.

    Args:
        common: what all answers share.
    """

    def __init__(self, common: Common) -> None:
        self._common = common
        self._shelf = ScanShelf(common.results)

    def grid(self, request: Request, _: bytes) -> Response:
        """Sizes and windows of a scan, and the outline that stands."""
        case = self._common.case(request, "scan")
        scan = self._shelf.get(case)
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
        scan = self._shelf.get(self._common.case(request, "scan"))
        # the transpose of a Fortran array runs along R first and needs no copy
        voxels: Any = scan.voxels.T.astype("<i2", order="C", copy=False)
        data = memoryview(voxels).cast("B")
        return StreamingResponse(
            _pieces(data),
            media_type="application/octet-stream",
            headers={"content-length": str(len(data))},
        )

    def start(self, key: str) -> None:
        """Begin to read a scan whose page was asked for; other keys are passed over."""
        with contextlib.suppress(KeyError, FibrovolError):
            case = self._common.desk.case(key)
            if case.kind == "scan":
                self._shelf.start(case)

    def planes(self, request: Request, _: bytes) -> Response:
        """The slices that are seen first: they are there long before the whole scan is."""
        case = self._of_mask(request)
        scan = self._shelf.get(case)
        labels = read_labels(self._common.results.directory, case, scan)
        slices = first_slices(labels, scan)
        return Response(
            first_planes(labels, scan, slices),
            media_type="application/octet-stream",
            headers={"x-slices": ",".join(map(str, slices))},
        )

    def _of_mask(self, request: Request) -> ReadCase:
        """The case, if its mask is the one that the address names."""
        case = self._common.case(request, "scan")
        if request.path_params["mask"] != (case.mask_sha256 or "none"):
            raise InputError(
                "changed_meanwhile",
                "The outline changed since the page was loaded",
                found="another mask",
                do="load the page again",
            )
        return case

    def labels(self, request: Request, _: bytes) -> Response:
        """The labels of exactly the mask that the address names."""
        case = self._of_mask(request)
        scan = self._shelf.get(case)
        labels = for_page(read_labels(self._common.results.directory, case, scan), scan)
        return Response(
            gzip.compress(labels, 1),
            media_type="application/octet-stream",
            headers={"content-encoding": "gzip"},
        )

    def save(self, request: Request, body: bytes) -> Response:
        """Save what was painted: only on the scan and revision that the page had loaded."""
        case, reader = self._common.case(request, "scan"), self._common.reader(request)
        scan = self._shelf.get(case)
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
        save_labels(self._common.results, case, scan, painted)
        self._draft_path(case, reader).unlink(missing_ok=True)
        self._common.rebuilder.ask()
        return JSONResponse(case_view(self._common.desk, self._common.case(request), reader))

    def series(self, request: Request, _: bytes) -> Response:
        """The series of the folder where the scan lies."""
        case = self._common.case(request, "scan")
        return JSONResponse(series_view(self._common.results, case, blind=self._common.desk.blind))

    def choose_series(self, request: Request, body: bytes) -> Response:
        """Measure the scan on a series that the reader chose."""
        case, reader = self._common.case(request, "scan"), self._common.reader(request)
        key = str(from_json(body).get("series") or "")
        with self._common.measuring:
            choose_series(self._common.results, case, key, reader)
        self._common.rebuilder.ask()
        return JSONResponse(case_view(self._common.desk, self._common.case(request), reader))

    def grow(self, request: Request, body: bytes) -> Response:
        """Grow an organ in one slice to the edge round it; labels run as the page shows them."""
        scan, asked = self._shelf.get(self._common.case(request, "scan")), request.path_params
        plane, organ = asked["plane"], asked["organ"]
        if plane > 2 or organ not in (LIVER, SPLEEN) or asked["slice"] >= scan.voxels.shape[plane]:
            raise KeyError(plane)
        grey = slice_of(scan.voxels, plane, asked["slice"])
        labels = np.frombuffer(unpacked(body, grey.size), np.uint8).reshape(grey.shape, order="F")
        spacing = np.delete(scan.grid()["spacing_mm"], plane)
        found = grow(
            grey.astype(np.float64),
            labels == organ,
            (labels != organ) & (labels > 0),
            (float(spacing[0]), float(spacing[1])),
        )
        return Response(
            found.astype(np.uint8).tobytes(order="F"), media_type="application/octet-stream"
        )

    # --- drafts: what was painted and not saved, kept as it came

    def _draft_path(self, case: ReadCase, reader: str) -> Any:
        return self._common.results.work / "drafts" / f"{case.case_id}-{reader}.gz"

    def draft(self, request: Request, _: bytes) -> Response:
        """The reader's unsaved outline of this scan, with what it was drawn over."""
        path = self._draft_path(self._common.case(request, "scan"), self._common.reader(request))
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
        case = self._common.case(request, "scan")
        unpacked(body, self._shelf.get(case).voxels.size)
        over = f"{request.headers.get('x-mask-sha256', '')[:64]}\n".encode()
        with atomic_path(self._draft_path(case, self._common.reader(request))) as temporary:
            temporary.write_bytes(over + body)
        return JSONResponse({})

    def drop_draft(self, request: Request, _: bytes) -> Response:
        """Forget it."""
        self._draft_path(self._common.case(request, "scan"), self._common.reader(request)).unlink(
            missing_ok=True
        )
        return JSONResponse({})


async def _pieces(data: memoryview) -> AsyncIterator[memoryview]:
    for start in range(0, len(data), 1 << 22):
        yield data[start : start + (1 << 22)]
