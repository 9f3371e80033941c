"""Laws of reading: what a series is called, and how it was filed, does not change its volume."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fibrovol.errors import ScanError
from fibrovol.imaging.readers import read_scan
from fibrovol.imaging.readers.dicom_geometry import ALIGNED_PIXELS, place_slices, stack_geometry
from fibrovol.imaging.readers.dicom_phases import places, split_by_keys
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .. import dicom_writer as writer
from ..dicom_writer import TRUE_ML, SeriesSpec, measured_centre, measured_ml

SMALL = SeriesSpec(
    heights_mm=tuple(np.arange(-66.0, 66.01, 3.0)), rows=64, columns=70, spacing_mm=(2.0, 2.2)
)
FILED = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PURE = settings(max_examples=200, deadline=None)


@st.composite
def rotations(draw: st.DrawFn) -> np.ndarray:
    """Any orientation of the slices in space, by a unit quaternion."""
    parts = np.array([draw(st.floats(-1, 1)) for _ in range(4)])
    length = np.linalg.norm(parts)
    w, x, y, z = parts / length if length > 0.1 else (1.0, 0.0, 0.0, 0.0)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


@FILED
@given(
    rotation=rotations(),
    order=st.randoms(use_true_random=False),
    position=st.sampled_from(["HFS", "HFP", "FFS", "FFP", "HFDR", "FFDL"]),
    backwards=st.booleans(),
)
def test_volume_does_not_depend_on_filing_or_position(
    rotation: np.ndarray, order: object, position: str, backwards: bool
) -> None:
    orientation = (*rotation[:, 0], *rotation[:, 1])
    heights = SMALL.heights_mm[::-1] if backwards else SMALL.heights_mm
    spec = replace(
        SMALL, orientation=orientation, heights_mm=heights, patient_position=position,
        rows=72, columns=72,
    )  # fmt: skip
    parts = writer.slices(spec)
    numbers = list(range(len(parts)))
    order.shuffle(numbers)  # type: ignore[attr-defined]
    for part, number in zip(parts, numbers, strict=True):
        part.InstanceNumber = number
    order.shuffle(parts)  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as folder:
        writer.save(parts, Path(folder))
        volume = read_scan(Path(folder))
    assert volume.flags == ()
    assert measured_ml(volume) == pytest.approx(TRUE_ML, rel=0.005)
    assert measured_centre(volume) == pytest.approx([-12, 25, 310], abs=0.6)


@FILED
@given(
    missing=st.sets(st.integers(1, 43), max_size=3),
    degrees=st.sampled_from([0.0, 8.0, -22.0]),
    order=st.randoms(use_true_random=False),
)
def test_missing_slices_and_tilt_never_change_the_volume_silently(
    missing: set[int], degrees: float, order: object
) -> None:
    spec = writer.without(replace(SMALL, tilt_degrees=degrees), *missing)
    parts = writer.slices(spec)
    order.shuffle(parts)  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as folder:
        writer.save(parts, Path(folder))
        volume = read_scan(Path(folder))
    assert ("gantry_tilt" in volume.flags) == (degrees != 0)
    assert bool({"missing_slices", "uneven_slices"} & set(volume.flags)) == bool(missing)
    # a mask's own limit where 9 mm lie between two of its slices
    assert measured_ml(volume) == pytest.approx(TRUE_ML, rel=0.008)


@PURE
@given(
    heights=st.lists(st.floats(0, 300), min_size=4, max_size=60, unique=True),
    rotation=rotations(),
    seed=st.integers(0, 99),
)
def test_a_stack_is_ordered_and_placed_truly_or_refused(
    heights: list[float], rotation: np.ndarray, seed: int
) -> None:
    """Whatever the positions: the grid holds every slice, in order, within the stated spacing."""
    order = np.random.default_rng(seed).permutation(len(heights))
    ordered = np.array(heights)[order]
    positions = ordered[:, None] * rotation[:, 2] + 5
    gaps = np.diff(np.sort(heights))
    grid, code = None, ""
    try:
        grid = stack_geometry(positions, [*rotation[:, 0], *rotation[:, 1]], (1.0, 1.0), 64, 64)
    except ScanError as error:
        code = error.code
    if grid is None:
        too_wide, too_close = bool(gaps.max() > 15 - 1e-6), bool(gaps.min() < 0.2)
        assert code in ["slice_gap_too_large"] * too_wide + ["implausible_geometry"] * too_close
        return
    assert np.all(np.diff(ordered[grid.order]) > 0)
    assert grid.heights_mm[-1] == pytest.approx(np.ptp(heights))
    length = (grid.shape[2] - 1) * grid.grid_step_mm
    assert length == pytest.approx(np.ptp(heights), rel=1e-6)
    if not grid.flags:
        assert grid.shape[2] == len(heights)


@PURE
@given(
    gaps=st.lists(st.sampled_from([2.0, 3.0, 4.0, 6.0, 10.0]), min_size=6, max_size=30),
    tangent=st.floats(-0.6, 0.6),
    seed=st.integers(0, 99),
)
def test_a_linear_field_survives_resampling(gaps: list[float], tangent: float, seed: int) -> None:
    """A value that grows linearly in space is the same at every point of the new grid."""
    heights = np.concatenate([[0.0], np.cumsum(gaps)])
    positions = np.stack([np.zeros_like(heights), heights * tangent, heights], axis=1)
    shuffled = np.random.default_rng(seed).permutation(len(heights))
    try:
        grid = stack_geometry(positions[shuffled], (1, 0, 0, 0, 1, 0), (1.5, 1.5), 20, 18)
    except ScanError as error:
        pytest.fail(f"{error.code}: {gaps}")
    j = np.arange(20)

    def slices() -> object:
        for index in grid.order:
            _, y, z = positions[shuffled][index]
            yield np.repeat((0.3 * (y + 1.5 * j) + 2 * z)[:, None], 18, axis=1).astype(np.float32)

    array = place_slices(slices(), grid, np.dtype(np.float32), np.nan)
    known = np.argwhere(np.isfinite(array))
    points = known @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    expected = 0.3 * -points[:, 1] + 2 * points[:, 2]
    # a drift of up to ALIGNED_PIXELS over the stack is taken for rounding and not sheared back:
    # no voxel is then further than half of it from its true place
    aligned = not {"gantry_tilt", "shifted_slices"} & set(grid.flags)
    unsheared = 0.3 * 1.5 * ALIGNED_PIXELS / 2 if aligned else 0.0
    assert len(known) > 0
    assert np.abs(array[tuple(known.T)] - expected).max() <= 0.02 + unsheared


@PURE
@given(
    count=st.integers(4, 40),
    copies=st.integers(2, 4),
    step=st.sampled_from([1.0, 2.5, 5.0]),
    seed=st.integers(0, 99),
)
def test_phases_come_apart_whatever_the_order(
    count: int, copies: int, step: float, seed: int
) -> None:
    heights = np.tile(np.arange(count) * step, copies)
    phase = np.repeat(np.arange(copies), count).astype(float)
    order = np.random.default_rng(seed).permutation(len(heights))
    split = split_by_keys(heights[order], {"EchoTime": phase[order].tolist()}, {}, step)
    assert split is not None
    assert len(split.groups) == copies
    for members in split.groups:
        assert len(set(phase[order][list(members)])) == 1
        assert len(members) == count


@PURE
@given(count=st.integers(4, 60), per_block=st.integers(1, 6), seed=st.integers(0, 99))
def test_blocks_along_the_body_stay_together(count: int, per_block: int, seed: int) -> None:
    """An acquisition number per table position is no reason to take a stack apart."""
    heights = np.arange(count) * 2.0
    block = (np.arange(count) // per_block).astype(float)
    order = np.random.default_rng(seed).permutation(count)
    keys = {"AcquisitionNumber": block[order].tolist()}
    assert split_by_keys(heights[order], {}, keys, 2.0) is None
    assert sorted(places(heights[order])) == list(range(count))
