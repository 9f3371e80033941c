"""One series exported twice with other pixels, a folder each: two stacks, never a mixture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fibrovol.errors import ScanError
from fibrovol.imaging.readers import read_scan
from fibrovol.imaging.readers.dicom_phases import split_by_folder
from fibrovol.imaging.series.find import choose_series, find_series

from .. import dicom_writer as writer
from ..dicom_writer import SeriesSpec

FIRST = SeriesSpec(
    heights_mm=tuple(np.arange(-65.0, 65.01, 5.0)), rows=24, columns=24, modality="MR"
)
SECOND = replace(FIRST, object_value=60.0)


def write(folder: Path, drop: int = 0, spec: SeriesSpec = SECOND) -> Path:
    writer.save(writer.slices(FIRST), folder / "a")
    writer.save(writer.slices(spec)[drop:], folder / "b")
    return folder


def test_each_folder_is_a_stack_of_its_own(tmp_path: Path) -> None:
    write(tmp_path)
    found = find_series(tmp_path)
    assert [(one.label, one.path.name, one.n_slices, one.usable) for one in found] == [
        ("folder 1 of 2", "a", 27, True),
        ("folder 2 of 2", "b", 27, True),
    ]
    for one, spec in zip(found, (FIRST, SECOND), strict=True):
        scan = read_scan(tmp_path, series_uid=one.series_uid)
        assert np.array_equal(scan.array, read_scan(one.path).array)
        assert scan.array.max() == pytest.approx(spec.object_value, abs=1)


def test_neither_is_taken_unasked(tmp_path: Path) -> None:
    write(tmp_path)
    for refuse in (choose_series, read_scan):
        with pytest.raises(ScanError) as refusal:
            refuse(tmp_path)
        assert refusal.value.code == "several_series"


def test_a_folder_that_lacks_a_slice_makes_it_unclear(tmp_path: Path) -> None:
    write(tmp_path, drop=1)
    (one,) = find_series(tmp_path)
    assert one.code == "ambiguous_slices"


def test_plain_copies_in_two_folders_are_still_one_scan(tmp_path: Path) -> None:
    write(tmp_path, spec=FIRST)
    (one,) = find_series(tmp_path)
    assert (one.usable, one.n_slices, one.label) == (True, 27, "")


@pytest.mark.parametrize("seed", range(5))
def test_files_may_come_in_any_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    heights = np.concatenate([np.arange(20) * 5.0, np.arange(20) * 5.0])
    folders = np.array(["x"] * 20 + ["y"] * 20)
    order = rng.permutation(40)
    split = split_by_folder(heights[order], folders[order].tolist())
    assert split is not None
    assert split.labels == ("folder 1 of 2", "folder 2 of 2")
    for members, name in zip(split.groups, "xy", strict=True):
        assert set(folders[order][list(members)]) == {name}
        assert sorted(heights[order][list(members)]) == [n * 5.0 for n in range(20)]
    folders[3] = "y"
    assert split_by_folder(heights[order], folders[order].tolist()) is None
