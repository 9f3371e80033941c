"""Show how far a run is: a bar in a notebook or on a terminal, plain lines elsewhere."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any, TextIO

from .progress import Event, Progress

_SECONDS_BETWEEN_PICTURES = 0.2


def duration(seconds: float) -> str:
    """A time as people say it: ``8 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@contextmanager
def shown_progress(stream: TextIO | None = None) -> Iterator[Callable[[Progress], None]]:
    """Show a run's progress where the caller sees it.

    Args:
        stream: where text goes; stderr if not given.

    Yields:
        What the run tells its progress to.
    """
    stream = stream or sys.stderr
    if in_notebook():
        yield _notebook_bar()
    elif stream.isatty():
        with _bar() as show:
            yield show
    else:
        yield _plain_lines(stream)


def in_notebook() -> bool:
    """Whether this is a Jupyter kernel, whose output can be replaced."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")


def _notebook_bar() -> Callable[[Progress], None]:
    """A bar of plain HTML: widgets of Jupyter need an extension and are gone from saved files."""
    # not a dependency: in a notebook it is loaded already, elsewhere nobody comes here
    display = importlib.import_module("IPython.display")
    handle: Any = display.display(display.HTML(""), display_id=True)
    failures: list[str] = []
    last = 0.0

    def show(event: Progress) -> None:
        nonlocal last
        if event.message:
            failures.append(f"{event.case_id}: {event.message}")
        now = time.monotonic()
        if event.case_id and event.done < event.total and now - last < _SECONDS_BETWEEN_PICTURES:
            return
        last = now
        handle.update(display.HTML(_bar_html(event, failures)))

    return show


def _bar_html(event: Progress, failures: list[str]) -> str:
    words = f"{event.done} of {event.total} cases, {duration(event.seconds)}{_left(event)}"
    if event.n_failed:
        words += f", {event.n_failed} failed"
    if event.n_reused:
        words += f", {event.n_reused} finished before"
    lines = "".join(f"<li>{escape(line)}</li>" for line in failures)
    return (
        f'<div><progress value="{event.done}" max="{max(event.total, 1)}"></progress> '
        f"{escape(words)}{f'<ul>{lines}</ul>' if lines else ''}</div>"
    )


def _plain_lines(stream: TextIO) -> Callable[[Progress], None]:
    last = 0.0

    def show(event: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if event.event == Event.REUSED and now - last < 1.0 and event.done < event.total:
            return  # thousands of finished cases would fill a log
        last = now
        if event.case_id:
            text = f"[{event.done}/{event.total}] {event.case_id}: {_WORDS[event.event]}"
            print(f"{text}{_left(event)}", file=stream, flush=True)
        if event.message and event.total > 1:  # a single one is said at the end
            print(f"    {event.message}", file=stream, flush=True)

    return show


_WORDS: dict[str, str] = {
    Event.REUSED: "finished before",
    Event.MEASURED: "measured",
    Event.FAILED: "FAILED",
}


def _left(event: Progress) -> str:
    if event.seconds_left is None or event.done >= event.total:
        return ""
    return f", about {duration(event.seconds_left)} left"


@contextmanager
def _bar() -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415

    console = Console(stderr=True)
    with Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        console=console,
    ) as bar:
        task = bar.add_task("Measuring", total=None, left="", rate="")

        def show(event: Progress) -> None:
            fresh = event.done - event.n_reused
            rate = f"{fresh / event.seconds * 60:.3g} a minute" if fresh and event.seconds else ""
            failed = f"Measuring, {event.n_failed} failed" if event.n_failed else "Measuring"
            bar.update(
                task,
                total=event.total,
                completed=event.done,
                left=_left(event).removeprefix(", "),
                rate=rate,
                description=failed,
            )
            if event.message:
                console.print(f"[red]{escape(event.case_id)}[/red]: {escape(event.message)}")

        yield show
