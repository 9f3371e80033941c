"""What the page may ask about a slide: its sizes, tiles, white, and what readers draw on it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..errors import InputError
from .common import Common, from_json
from .regions import Drawn, drawn_view, save_regions
from .slides import SlideShelf
from .views import case_view


class SlideAnswers:
    """Answers about slides.

    Args:
        common: what all answers share.
    """

    def __init__(self, common: Common) -> None:
        self._common = common
        self._shelf = SlideShelf(common.results)

    def close(self) -> None:
        """Close the slides that are open."""
        self._shelf.close()

    def info(self, request: Request, _: bytes) -> Response:
        """Sizes of a slide and its layers."""
        case = self._common.case(request, "slide")
        return JSONResponse({**self._shelf.get(case).info(), "mask_sha256": case.mask_sha256})

    def tile(self, request: Request, _: bytes) -> Response:
        """One tile of the picture or of a layer of exactly the mask that the address names."""
        case, asked = self._common.case(request, "slide"), request.path_params
        is_picture = asked["layer"] == "picture"  # the same whatever was measured
        if not is_picture and asked["mask"] != (case.mask_sha256 or "none"):
            raise InputError(
                "changed_meanwhile",
                "The mask changed since the page was loaded",
                found="another mask",
                do="load the page again",
            )
        slide, place = self._shelf.get(case), (asked["level"], asked["column"], asked["row"])
        if is_picture:
            return Response(slide.tile(*place), media_type="image/jpeg")
        if slide.mask is None:
            raise KeyError(asked["layer"])
        return Response(slide.mask.tile(asked["layer"], *place), media_type="image/png")

    def drawn(self, request: Request, _: bytes) -> Response:
        """What readers drew on a slide and what stands of it."""
        return JSONResponse(drawn_view(self._common.results, self._common.case(request, "slide")))

    def white(self, request: Request, _: bytes) -> Response:
        """The colour of the empty glass at a place."""
        slide, query = self._shelf.get(self._common.case(request, "slide")), request.query_params
        try:
            x, y = float(query["x"]), float(query["y"])
        except (KeyError, ValueError):
            raise InputError("bad_review", "The request names no place", found="", do="") from None
        return JSONResponse({"white": slide.white_at(x, y)})

    def save_drawn(self, request: Request, body: bytes) -> Response:
        """Measure a slide again with what was drawn on it."""
        case, reader = self._common.case(request, "slide"), self._common.reader(request)
        drawn = Drawn.of_page(from_json(body), reader)
        slide = self._shelf.get(case)
        with self._common.measuring:
            save_regions(self._common.results, case, drawn, slide.size_px, slide.origin_px)
        self._common.rebuilder.ask()
        return JSONResponse(case_view(self._common.desk, self._common.case(request), reader))
