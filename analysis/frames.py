"""The result tables as typed pandas frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ManifestError
from ..tables import INPUT_TABLES, TABLES, read_table

if TYPE_CHECKING:
    import pandas as pd


def read_results(directory: str | Path) -> dict[str, pd.DataFrame]:
    """The tables of a results folder as pandas frames with the right type for each column.

    Codes stay text: a subject ``0107`` keeps its zero, which ``pandas.read_csv`` would take away.

    Args:
        directory: a run's output directory.

    Returns:
        A frame for each table that is there, by name (``volumes``, ``paired``, ``statistics``):
        text as pandas' string type, whole numbers as Int64, other numbers as float, with NA where
        the file is empty. Dates stay ISO text.

    Raises:
        ManifestError: no table there, or a file that is not what it should be.
    """
    import pandas as pd  # noqa: PLC0415 - half a second

    types = {"number": "Float64", "integer": "Int64"}
    frames = {}
    for name, table in {**TABLES, **INPUT_TABLES}.items():
        if not (Path(directory) / table.filename).exists():
            continue
        rows = read_table(Path(directory), name)
        frames[name] = pd.DataFrame(
            {
                column.name: pd.array(
                    [None if row[column.name] == "" else row[column.name] for row in rows],
                    dtype=types.get(column.type, "string"),  # type: ignore[call-overload]
                )
                for column in table.columns
            }
        )
    if not frames:
        raise ManifestError(
            "bad_manifest",
            "There are no result tables",
            found=f"no table in {directory}",
            do="give the output directory of a finished `fibrovol run`",
        )
    return frames
