"""Running the page's server: on this machine only, until told to stop or nobody looks any more."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import tempfile
import webbrowser
from collections.abc import Callable, Mapping
from pathlib import Path

import uvicorn

from .app import ReviewApp
from .gate import Gate

ADDRESS = "127.0.0.1"
_LOOK_SECONDS = 2.0


def serve(
    app: ReviewApp,
    *,
    port: int = 0,
    idle_minutes: float = 60.0,
    open_browser: bool = True,
    ready: Callable[[str, int], None],
    unopened: Callable[[], None] = lambda: None,
) -> None:
    """Serve until the reader stops it, Ctrl-C, or nobody had a page open for a while.

    Args:
        app: what is served.
        port: 0 takes a free one.
        idle_minutes: without any open page.
        open_browser: ask the system for its browser.
        ready: called with the address and the port once a browser can be answered.
        unopened: called if the system had no browser to open.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((ADDRESS, port))
    port = int(listener.getsockname()[1])
    token = secrets.token_urlsafe(24)
    gate = Gate(
        app.asgi(),
        hosts=[f"{name}:{port}" for name in (ADDRESS, "localhost")],
        token=token,
        cookie=f"fibrovol_{port}",
    )
    server = uvicorn.Server(
        uvicorn.Config(
            gate,
            log_level="error",
            access_log=False,
            server_header=False,
            lifespan="on",
            timeout_graceful_shutdown=2,
        )
    )

    def stop() -> None:
        server.should_exit = True

    app.on_stop = stop
    url = f"http://{ADDRESS}:{port}/?token={token}"
    with contextlib.ExitStack() as stack:
        stack.callback(listener.close)
        page = stack.enter_context(_redirect(url)) if open_browser else None

        async def watch() -> None:
            task = asyncio.create_task(server.serve(sockets=[listener]))
            while not server.started and not task.done():
                await asyncio.sleep(0.02)
            if server.started:
                ready(url, port)
                if page is not None:
                    opened = False
                    with contextlib.suppress(webbrowser.Error):
                        opened = await asyncio.to_thread(webbrowser.open, page.as_uri())
                    if not opened:
                        unopened()
            while not task.done():
                await asyncio.wait({task}, timeout=_LOOK_SECONDS)
                if _idle_seconds(app) > idle_minutes * 60:
                    stop()
            await task

        try:
            asyncio.run(watch())
        except KeyboardInterrupt:
            pass
        finally:
            app.rebuilder.wait()


def why_no_browser(environ: Mapping[str, str], system: str, release: str) -> str:
    """Why no browser of this machine is to be opened, "" if one can be.

    Without a desktop Python would start a text browser, which takes the terminal and shows nothing;
    under WSL the browser is one of Windows, which cannot see a file of this machine.

    Args:
        environ: of the process.
        system: sys.platform.
        release: platform.release().
    """
    if environ.get("BROWSER") or not system.startswith("linux"):
        return ""
    if environ.get("WSL_DISTRO_NAME") or "microsoft" in release.lower():
        return "Under WSL, open the address in your browser in Windows."
    if not (environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")):
        return "There is no desktop here to open a browser on."
    return ""


def _idle_seconds(app: ReviewApp) -> float:
    activity = app.activity
    if activity is None or activity.open_pages or app.rebuilder.busy:
        return 0.0
    return asyncio.get_running_loop().time() - activity.last_seen


@contextlib.contextmanager
def _redirect(url: str):  # type: ignore[no-untyped-def]
    """A file that only this user can read and that leads to the page.

    The browser is started with its path: an address with the key in it would stand in the list of
    processes, which everybody on the machine can read.
    """
    handle, name = tempfile.mkstemp(prefix="fibrovol-review-", suffix=".html")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(
            "<!DOCTYPE html><meta charset=utf-8><title>Fibrovol</title>"
            f'<meta http-equiv="refresh" content="0;url={url}">'
        )
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
