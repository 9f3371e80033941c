"""review: serve the reader's page."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from importlib import resources
from pathlib import Path

from ..errors import EngineError
from .console import give, say
from .options import minutes

DESCRIPTION = """\
Opens a page in your browser to look at every outline of a results folder, to accept or
reject cases with a reason, and to correct outlines. It can be reached from this machine only.
Verdicts are kept in reviews.csv, corrected masks in corrections/; the report follows.

Starts in a second or two.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = DESCRIPTION
    parser.add_argument(
        "directory", type=Path, metavar="DIR", help="the results folder of `fibrovol run`"
    )
    parser.add_argument(
        "--blind",
        action="store_true",
        help="hide subjects and visits and shuffle the cases; verdicts are matched automatically",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the shuffling (default: 0)"
    )
    parser.add_argument(
        "--port",
        type=int,
        default=0,
        metavar="N",
        help="a fixed port, for ssh (default: any free one)",
    )
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    parser.add_argument(
        "--idle-minutes",
        type=minutes,
        default=60.0,
        metavar="N",
        help="stop when no page has been open for this long (default: 60)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until it is stopped."""
    from ..review.app import ReviewApp  # noqa: PLC0415 - start-up time
    from ..review.results import Results  # noqa: PLC0415
    from ..review.serve import ADDRESS, serve, why_no_browser  # noqa: PLC0415

    refuse_without_page()
    app = ReviewApp(Results(arguments.directory), blind_seed=_seed(arguments))

    why_not = why_no_browser(os.environ, sys.platform, platform.release())
    wanted = not arguments.no_browser and not arguments.json

    def ready(url: str, port: int) -> None:
        if arguments.json:
            give({"command": "review", "url": url, "port": port})
            return
        say(f"The reader's page: {url}")
        say("It can be reached from this machine only. Stop it with Ctrl-C, or on the page.")
        if wanted and why_not:
            say(why_not)
        if os.environ.get("SSH_CONNECTION"):
            say(
                f"From your own machine: ssh -N -L {port}:{ADDRESS}:{port} {platform.node()}, "
                "then open the address there."
            )

    serve(
        app,
        port=arguments.port,
        idle_minutes=arguments.idle_minutes,
        open_browser=wanted and not why_not,
        ready=ready,
        unopened=lambda: say("No browser was found: open the address above in one."),
    )
    return 0


def _seed(arguments: argparse.Namespace) -> int | None:
    return arguments.seed if arguments.blind else None


def refuse_without_page() -> None:
    """Refuse to start where the page's own files were not built.

    Raises:
        EngineError: ``engine_not_installed``.
    """
    if not (resources.files("fibrovol.review") / "static" / "worklist.html").is_file():
        raise EngineError(
            "engine_not_installed",
            "The reader's page was not built when Fibrovol was installed",
            found="no review/static",
            do="install again where the npm registry can be reached (scripts/install, or pip "
            "install with npm_config_registry set to your mirror)",
        )
