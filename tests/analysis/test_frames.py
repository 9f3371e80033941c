"""Result tables as typed frames."""

from __future__ import annotations

from pathlib import Path

import fibrovol
import pytest
from fibrovol.errors import ManifestError
from fibrovol.tables import write_table


def test_codes_stay_text_and_gaps_stay_gaps(tmp_path: Path) -> None:
    rows = [
        {"subject": "0107", "measure": "meld", "timepoint": "month6", "baseline": 12.0,
         "followup": 10.0, "change": -2.0, "days": 183},
        {"subject": "107", "measure": "meld", "timepoint": "month6", "call": "not paired"},
    ]  # fmt: skip
    write_table(tmp_path, "paired", rows)
    frame = fibrovol.read_results(tmp_path)["paired"]
    assert list(frame["subject"]) == ["0107", "107"]
    assert str(frame["days"].dtype) == "Int64"
    assert frame["change"].sum() == -2.0
    assert frame["call"].isna().tolist() == [True, False]
    with pytest.raises(ManifestError, match="no result tables"):
        fibrovol.read_results(tmp_path / "nowhere")
