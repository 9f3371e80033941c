"""What goes wrong while results are written is said in one way, and stops the run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ..errors import OutputError


def not_writable(error: OSError) -> OutputError:
    """The sentence for a full disk, a read-only share, a file that another program has open."""
    return OutputError(
        "output_not_writable",
        "The output directory cannot be written",
        found=error.strerror or str(error),
        do="free space, correct its permissions or close what has a file open, then give the same "
        "command again: finished cases are kept",
    )


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """What goes wrong in here is the output's fault, not a case's.

    Raises:
        OutputError: ``output_not_writable``, for any OSError.
    """
    try:
        yield
    except OSError as error:
        raise not_writable(error) from error
