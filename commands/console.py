"""Console output: progress and messages on stderr, one result on stdout."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, TextIO

from ..batch.progress import Progress
from ..batch.runner import RunSummary
from ..batch.shown_progress import duration, shown_progress

_LONGEST_LIST = 20
_SECONDS_BETWEEN_LINES = 5.0


def say(text: str) -> None:
    """A message for people, on stderr."""
    print(text, file=sys.stderr, flush=True)


def give(result: dict[str, Any]) -> None:
    """The result for programs: one line of JSON on stdout."""
    print(json.dumps(result, ensure_ascii=False, allow_nan=False), flush=True)


@contextmanager
def progress(
    *, as_json: bool, stream: TextIO | None = None
) -> Iterator[Callable[[Progress], None]]:
    """Show how far a run is: a bar on a terminal, plain lines elsewhere, JSON events for programs.

    Args:
        as_json: events as lines of JSON.
        stream: stderr if not given.

    Yields:
        What the run tells its progress to.
    """
    stream = stream or sys.stderr
    if as_json:
        yield lambda event: print(json.dumps(asdict(event), ensure_ascii=False), file=stream)
    else:
        with shown_progress(stream) as show:
            yield show


@contextmanager
def counting(
    what: str, *, stream: TextIO | None = None, quiet: bool = False
) -> Iterator[Callable[[int, int], None]]:
    """Show how many of many things are done, and how long the rest takes at the rate so far.

    A bar on a terminal, else a line now and then.

    Args:
        what: the things, in the plural.
        stream: stderr if not given.
        quiet: show nothing, as for programs.

    Yields:
        What to call with the numbers done and in all.
    """
    if quiet:
        yield lambda *_: None
        return
    stream = stream or sys.stderr
    if not stream.isatty():
        began = last = time.monotonic()

        def say_now_and_then(done: int, total: int) -> None:
            nonlocal last
            if time.monotonic() - last >= _SECONDS_BETWEEN_LINES:
                last = time.monotonic()
                left = ""
                if 0 < done < total:
                    left = f", about {duration((last - began) / done * (total - done))} left"
                print(f"{done} of {total} {what}{left}", file=stream, flush=True)

        yield say_now_and_then
        return
    from rich.console import Console  # noqa: PLC0415 - start-up time
    from rich.progress import Progress as Bar  # noqa: PLC0415

    with Bar(console=Console(file=stream), transient=True) as bar:
        task = bar.add_task(what)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def summarise(summary: RunSummary) -> None:
    """Say what a run did, and name each failed case with what to do."""
    reused = f", {summary.n_reused} of all finished before" if summary.n_reused else ""
    say(
        f"{summary.n_measured} of {summary.n_cases} measured{reused}, "
        f"in {duration(summary.seconds)}. Results: {summary.output_dir}"
    )
    for name in summary.kept:
        say(f"Your edited file was kept as {summary.output_dir / name}.")
    if summary.failures:
        say(f"{len(summary.failures)} failed:")
        for case_id, failure in summary.failures[:_LONGEST_LIST]:
            say(f"  {case_id}: {failure.sentence}")
        if len(summary.failures) > _LONGEST_LIST:
            say(f"  and {len(summary.failures) - _LONGEST_LIST} more: see the error column.")


def as_result(command: str, summary: RunSummary) -> dict[str, Any]:
    """The result of a run for programs."""
    return {
        "command": command,
        "output_dir": str(summary.output_dir),
        "n_cases": summary.n_cases,
        "n_measured": summary.n_measured,
        "n_failed": len(summary.failures),
        "n_reused": summary.n_reused,
        "failures": [{"case_id": name, "error": str(why)} for name, why in summary.failures],
        "kept": list(summary.kept),
        "seconds": round(summary.seconds, 3),
    }
