"""Painted labels come back to the file's own voxels, whatever the file's axes."""

from __future__ import annotations

import itertools

import nibabel
import numpy as np
import pytest
from fibrovol.errors import InputError, RegionError
from fibrovol.imaging.export.nifti import write_mask
from fibrovol.imaging.patient_axes import oriented, stored, to_ras
from fibrovol.imaging.volume import Volume
from fibrovol.review.scans import (
    first_planes,
    first_slices,
    for_page,
    from_page,
    read_mask,
    shown,
    unpacked,
)

ORIENTATIONS = [
    "".join(axes[n][ends[n]] for n in range(3))
    for axes in itertools.permutations(["RL", "AP", "SI"])
    for ends in itertools.product((0, 1), repeat=3)
]


def scan(code: str, spacing=(0.8, 1.1, 5.0), tilt=0.0) -> Volume:
    """A small scan stored along the axes of a code, turned about the patient's axis by a tilt."""
    array = np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]]
    image = nibabel.Nifti1Image(array, turn @ np.diag([*spacing, 1.0]))
    image.affine[:3, 3] = (12, -30, 7)
    image = image.as_reoriented(nibabel.orientations.axcodes2ornt(code))
    # reordered axes hold the same image; number its voxels anew in file order
    shape = image.shape
    return Volume(np.arange(np.prod(shape), dtype=np.int16).reshape(shape), image.affine, "CT")


@pytest.mark.parametrize("code", ["RAS", "LPS", "SRA", "PIL"])
def test_the_slices_that_come_first_are_those_of_the_whole_scan(code: str) -> None:
    view = shown(scan(code))
    whole = np.zeros(view.voxels.shape, np.uint8)
    whole[1:4, 2:5, 2:6] = 1
    labels = from_page(whole.tobytes(order="F"), view)
    slices = first_slices(labels, view)
    assert all(whole.take(at, axis).any() for axis, at in enumerate(slices))
    grey = b"".join(view.voxels.take(at, n).tobytes(order="F") for n, at in enumerate(slices))
    drawn = b"".join(whole.take(at, n).tobytes(order="F") for n, at in enumerate(slices))
    assert first_planes(labels, view, slices) == grey + drawn
    assert first_slices(np.zeros_like(labels), view) == tuple(n // 2 for n in whole.shape)


@pytest.mark.parametrize("tilt", [0.0, 0.3])
@pytest.mark.parametrize("code", ORIENTATIONS)
def test_one_painted_voxel_lands_where_it_was_seen(code: str, tilt: float) -> None:
    volume = scan(code, tilt=tilt)
    view = shown(volume)
    grid = view.grid()
    nx, ny, _ = grid["shape"]
    place = (3, 2, 4)
    painted = np.zeros(int(np.prod(grid["shape"])), np.uint8)
    painted[place[0] + nx * (place[1] + ny * place[2])] = 1
    labels = from_page(painted.tobytes(), view)
    assert labels.shape == volume.array.shape
    (voxel,) = np.argwhere(labels)
    seen_mm = np.array(grid["affine"]) @ [*place, 1]
    stored_mm = volume.affine @ [*voxel, 1]
    assert np.allclose(seen_mm, stored_mm)
    assert view.voxels[place] == volume.array[tuple(voxel)]
    sent = np.frombuffer(view.voxels.tobytes(order="F"), np.int16)
    assert sent[painted.argmax()] == volume.array[tuple(voxel)]
    assert for_page(labels, view) == painted.tobytes()
    axes = np.array(grid["affine"])[:3, :3]
    assert (np.diag(axes) > 0).all()


@pytest.mark.parametrize("code", ORIENTATIONS)
def test_turning_and_turning_back_gives_every_voxel_of_all_six_faces(code: str) -> None:
    volume = scan(code)
    order = to_ras(volume.affine)
    assert np.array_equal(stored(oriented(volume.array, order), order), volume.array)


def test_grey_values_that_are_no_int16_are_shown_by_a_scale() -> None:
    volume = Volume(np.linspace(0, 1e6, 60).reshape(3, 4, 5), np.eye(4), "MR")
    view = shown(volume)
    back = view.voxels.astype(float) * view.slope + view.intercept
    assert np.abs(back - volume.array).max() <= 1e6 / 65000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a, m: (a, m + np.array([[0, 0, 0, 10]] + [[0] * 4] * 3)), "mm away"),
        (lambda a, m: (a[:-1], m), "voxels on a scan"),
        (lambda a, m: (a * 300, m), "the values 300"),
        (lambda a, m: (a * 2, m), "the values 2"),
    ],
    ids=["elsewhere", "smaller", "int16 label", "another label"],
)
def test_a_mask_that_does_not_fit_is_refused(tmp_path, change, words: str) -> None:
    volume = scan("LPS")
    array, affine = change((volume.array > 100).astype(np.int16), volume.affine)
    path = tmp_path / "mask.nii.gz"
    nibabel.save(nibabel.Nifti1Image(array, affine), path)
    with pytest.raises(RegionError, match=words):
        read_mask(path, volume)


def test_a_mask_with_a_slope_is_read_by_its_values(tmp_path) -> None:
    volume = scan("RAS")
    mask = volume.array > 100
    path = tmp_path / "slope.nii"
    nibabel.save(nibabel.Nifti1Image((mask * 2).astype(np.int16), volume.affine), path)
    content = bytearray(path.read_bytes())
    content[112:120] = np.array([0.5, 0.0], "<f4").tobytes()  # scl_slope, scl_inter
    path.write_bytes(content)
    assert np.array_equal(read_mask(path, volume), mask)
    write_mask(Volume(mask, volume.affine), tmp_path / "mask.nii.gz")
    assert np.array_equal(read_mask(tmp_path / "mask.nii.gz", volume), mask)


def test_a_painted_body_of_another_size_or_with_strange_labels_is_refused() -> None:
    view = shown(scan("RAS"))
    size = view.voxels.size
    with pytest.raises(RegionError, match="does not fit"):
        from_page(bytes(size - 1), view)
    with pytest.raises(RegionError, match="label that does not exist"):
        from_page(b"\x03" * size, view)


def test_a_bomb_is_notunpacked() -> None:
    import gzip

    bomb = gzip.compress(bytes(200_000_000), 9)
    with pytest.raises(InputError, match="did not arrive complete"):
        unpacked(bomb, 1000)
    with pytest.raises(InputError, match="did not arrive complete"):
        unpacked(gzip.compress(bytes(1000))[:-9], 1000)
    assert unpacked(gzip.compress(bytes(1000)), 1000) == bytes(1000)
