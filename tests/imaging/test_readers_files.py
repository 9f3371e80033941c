"""NIfTI, NRRD and MetaImage: the same rules as for DICOM."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fibrovol.errors import ScanError
from fibrovol.imaging.export.nifti import write_mask
from fibrovol.imaging.readers import READERS, read_scan
from fibrovol.imaging.series.find import find_series
from fibrovol.imaging.volume import Volume

nibabel = pytest.importorskip("nibabel")
sitk = pytest.importorskip("SimpleITK")

OBLIQUE = np.array(
    [[-0.8, 0.1, 0.3, 12.0], [-0.05, -0.9, 0.6, -33.0], [0.1, -0.2, 2.9, 401.0], [0, 0, 0, 1]]
)


def values(shape: tuple[int, ...] = (14, 12, 9)) -> np.ndarray:
    return np.random.default_rng(0).integers(-900, 900, shape).astype(np.int16)


def nifti(
    path: Path, array: np.ndarray, affine: np.ndarray, *, codes: tuple[int, int] = (1, 0)
) -> Path:
    image = nibabel.Nifti1Image(array, None)
    image.header.set_zooms([1.0] * array.ndim)
    image.set_sform(affine, code=codes[0])
    image.set_qform(affine, code=codes[1], strip_shears=True)
    nibabel.save(image, path)
    return path


def orthogonal() -> np.ndarray:
    """An affine with right angles, which qform, NRRD and MetaImage can hold."""
    turned, _ = np.linalg.qr(OBLIQUE[:3, :3])
    affine = np.eye(4)
    affine[:3, :3] = turned * [0.9, 0.8, 3.0]
    affine[:3, 3] = OBLIQUE[:3, 3]
    return affine


@pytest.mark.parametrize("codes", [(1, 0), (2, 1), (0, 1), (4, 4)])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_by_sform_or_qform(tmp_path: Path, codes: tuple[int, int], suffix: str) -> None:
    affine = orthogonal()
    volume = read_scan(nifti(tmp_path / f"scan{suffix}", values(), affine, codes=codes))
    assert volume.array.dtype == np.int16
    assert np.array_equal(volume.array, values())
    assert volume.affine == pytest.approx(affine, abs=1e-4)
    assert volume.modality == ""


def test_a_packed_scan_reads_as_the_plain_one_whoever_packed_it(tmp_path: Path) -> None:
    for number, kind in enumerate(("<i2", ">i2", "<f4", "u1")):
        array = np.abs(values()).astype(kind) if kind == "u1" else values().astype(kind)
        image = nibabel.Nifti1Image(array, orthogonal())
        image.header.set_data_dtype(kind)
        image.header.set_slope_inter(*((2.0, -5.0) if kind == "u1" else (1.0, 0.0)))
        plain = tmp_path / f"{number}.nii"
        nibabel.save(image, plain)
        wanted, whole = read_scan(plain).array, plain.read_bytes()
        packed = tmp_path / f"{number}.nii.gz"
        for members in ((whole,), (whole[:500], whole[500:]), (whole, b"\0" * 64)):
            packed.write_bytes(b"".join(gzip.compress(part, 6) for part in members))
            found = read_scan(packed).array
            assert found.dtype == wanted.dtype
            assert np.array_equal(found, wanted), (kind, len(members))
        once = gzip.compress(whole, 6)
        for damaged in (once[:-20] + bytes(12) + once[-8:], once[:-8] + bytes(4) + once[-4:]):
            packed.write_bytes(damaged)
            with pytest.raises(ScanError, match=r"unreadable_file|cannot be read"):
                read_scan(packed)


def test_nifti_with_shear_keeps_its_volume(tmp_path: Path) -> None:
    volume = read_scan(nifti(tmp_path / "a.nii", values(), OBLIQUE))
    assert volume.voxel_volume_ml == pytest.approx(abs(np.linalg.det(OBLIQUE[:3, :3])) / 1000)


def test_nifti_scale_factors_give_hounsfield_units(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii", values(), orthogonal())
    stored = (values() + 1024).astype(np.uint16)
    image = nibabel.Nifti1Image(stored, orthogonal())
    image.header.set_slope_inter(0.5, -1024)
    nibabel.save(image, path)
    assert read_scan(path).array == pytest.approx(stored * 0.5 - 1024)


def test_nifti_in_metres_and_microns(tmp_path: Path) -> None:
    for unit, factor in (("meter", 1e-3), ("micron", 1e3), ("mm", 1.0)):
        affine = orthogonal()
        affine[:3] *= factor
        image = nibabel.Nifti1Image(values(), affine)
        image.header.set_xyzt_units(unit)
        nibabel.save(image, tmp_path / "a.nii")
        assert read_scan(tmp_path / "a.nii").affine == pytest.approx(orthogonal(), rel=1e-4)


def test_trailing_axes_of_one_are_dropped(tmp_path: Path) -> None:
    volume = read_scan(nifti(tmp_path / "a.nii", values()[..., None], orthogonal()))
    assert volume.array.shape == (14, 12, 9)


def itk_image(array: np.ndarray, affine: np.ndarray) -> object:
    image = sitk.GetImageFromArray(array.transpose(2, 1, 0))
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    spacing = np.sqrt((lps[:3, :3] ** 2).sum(axis=0))
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    return image


@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd"])
def test_nrrd_and_metaimage(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"scan{suffix}"
    sitk.WriteImage(itk_image(values(), orthogonal()), str(path))
    volume = read_scan(path)
    assert np.array_equal(volume.array, values())
    assert volume.affine == pytest.approx(orthogonal(), abs=1e-6)
    assert len(volume.source.files) == (2 if suffix in {".nhdr", ".mhd"} else 1)
    (found,) = [one for one in find_series(tmp_path) if one.usable]
    assert found.path == path
    assert found.spacing_mm == pytest.approx((0.9, 0.8, 3.0))


def test_nrrd_with_a_pixel_type_beyond_int16(tmp_path: Path) -> None:
    sitk.WriteImage(
        itk_image(values().astype(np.int32) * 100, orthogonal()), str(tmp_path / "a.nrrd")
    )
    assert np.array_equal(read_scan(tmp_path / "a.nrrd").array, values().astype(np.float32) * 100)


def _no_form(path: Path) -> Path:
    return nifti(path / "a.nii", values(), orthogonal(), codes=(0, 0))


def _four_axes(path: Path) -> Path:
    return nifti(path / "a.nii.gz", values((8, 8, 8, 3)), orthogonal())


def _analyze(path: Path) -> Path:
    image = nibabel.AnalyzeImage(values(), np.eye(4))
    nibabel.save(image, path / "a.hdr")
    (path / "a.hdr").rename(path / "a.nii")
    return path / "a.nii"


def _singular(path: Path) -> Path:
    affine = orthogonal()
    affine[:3, 2] = affine[:3, 1]
    image = nibabel.Nifti1Image(values(), None)
    image.set_sform(affine, code=1)
    nibabel.save(image, path / "a.nii")
    return path / "a.nii"


def _scaled(factor: float) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        affine = orthogonal()
        affine[:3, :3] *= factor
        return nifti(path / "a.nii", values(), affine)

    return write


def _cut(path: Path) -> Path:
    file = nifti(path / "a.nii.gz", values((60, 60, 60)), orthogonal())
    file.write_bytes(file.read_bytes()[:3000])
    return file


def _cut_plain(path: Path) -> Path:
    file = nifti(path / "a.nii", values((60, 60, 60)), orthogonal())
    file.write_bytes(file.read_bytes()[:-3000])
    return file


def _colours(path: Path) -> Path:
    kind = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    return nifti(path / "a.nii", np.zeros((8, 8, 8), kind), orthogonal())


def _not_finite(path: Path) -> Path:
    array = values().astype(np.float32)
    array[3, 3, 3] = np.nan
    return nifti(path / "a.nii", array, orthogonal())


def _nrrd_without_spacing(path: Path) -> Path:
    head = "NRRD0004\ntype: short\ndimension: 3\nsizes: 5 5 5\nencoding: raw\nendian: little\n\n"
    (path / "a.nrrd").write_bytes(head.encode() + bytes(250))
    return path / "a.nrrd"


def _nrrd_vectors(path: Path) -> Path:
    image = sitk.GetImageFromArray(np.zeros((6, 6, 6, 3), np.int16), isVector=True)
    sitk.WriteImage(image, str(path / "a.nrrd"))
    return path / "a.nrrd"


def _huge(path: Path) -> Path:
    """A header that promises far more than the file holds: 30,000 x 30,000 x 30,000."""
    image = nibabel.Nifti1Image(values(), orthogonal())
    image.header["dim"][1:4] = 30000
    raw = image.header.binaryblock + bytes(4) + bytes(1000)
    (path / "a.nii").write_bytes(raw)
    return path / "a.nii"


def _three_slices(path: Path) -> Path:
    return nifti(path / "a.nii", values((9, 9, 3)), orthogonal())


def _text(path: Path) -> Path:
    (path / "a.nii.gz").write_text("not an image", encoding="utf-8")
    return path / "a.nii.gz"


def _cut_itk(name: str) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        sitk.WriteImage(itk_image(values((30, 30, 30)), orthogonal()), str(path / f"a.{name}"))
        data = path / ("a.raw" if name in {"mhd", "nhdr"} else f"a.{name}")
        data.write_bytes(data.read_bytes()[:-2000])
        return path / f"a.{name}"

    return write


def _voxels_elsewhere(path: Path) -> Path:
    (path / "sub").mkdir()
    sitk.WriteImage(itk_image(values(), orthogonal()), str(path / "a.mhd"))
    text = (path / "a.mhd").read_text(encoding="utf-8").replace("a.raw", "../a.raw")
    (path / "sub" / "a.mhd").write_text(text, encoding="utf-8")
    return path / "sub" / "a.mhd"


def _voxels_missing(path: Path) -> Path:
    sitk.WriteImage(itk_image(values(), orthogonal()), str(path / "a.nhdr"))
    (path / "a.raw").unlink()
    return path / "a.nhdr"


REFUSED = {
    "MetaImage cut short": (_cut_itk("mha"), "unreadable_file"),
    "MetaImage with a header of its own, cut short": (_cut_itk("mhd"), "unreadable_file"),
    "NRRD cut short": (_cut_itk("nrrd"), "unreadable_file"),
    "NRRD with a header of its own, cut short": (_cut_itk("nhdr"), "unreadable_file"),
    "voxels outside the folder": (_voxels_elsewhere, "unreadable_file"),
    "voxels that are not there": (_voxels_missing, "unreadable_file"),
    "neither qform nor sform": (_no_form, "no_valid_affine"),
    "four axes": (_four_axes, "four_dimensional"),
    "an Analyze header": (_analyze, "unreadable_file"),
    "axes that coincide": (_singular, "no_valid_affine"),
    "spacing in metres not declared": (_scaled(1e-3), "implausible_geometry"),
    "spacing of 30 mm": (_scaled(10), "slice_gap_too_large"),
    "cut short, compressed": (_cut, "unreadable_file"),
    "cut short": (_cut_plain, "unreadable_file"),
    "colours": (_colours, "unreadable_file"),
    "not a number": (_not_finite, "unsupported_pixel_data"),
    "NRRD without spacing": (_nrrd_without_spacing, "no_pixel_spacing"),
    "NRRD of vectors": (_nrrd_vectors, "four_dimensional"),
    "promises 27e12 voxels": (_huge, "implausible_geometry"),
    "text": (_text, "unreadable_file"),
    "three slices": (_three_slices, "too_few_slices"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_is_refused(tmp_path: Path, case: str) -> None:
    write, code = REFUSED[case]
    path = write(tmp_path)
    with pytest.raises(ScanError) as refusal:
        read_scan(path)
    assert refusal.value.code == code
    assert refusal.value.do


def test_a_four_dimensional_file_is_listed_with_what_to_do(tmp_path: Path) -> None:
    _four_axes(tmp_path)
    (found,) = find_series(tmp_path)
    assert not found.usable
    assert found.code == "four_dimensional"
    assert "phase or echo" in found.reason


@pytest.mark.parametrize("name", ["mask.nii", "mask.nii.gz"])
def test_masks_come_back_as_they_went(tmp_path: Path, name: str) -> None:
    mask = Volume(values() > 0, orthogonal())
    write_mask(mask, tmp_path / name)
    again = read_scan(tmp_path / name)
    assert np.array_equal(again.array.astype(bool), mask.array)
    assert again.affine == pytest.approx(mask.affine, abs=1e-4)
    image = sitk.ReadImage(str(tmp_path / name))  # as 3D Slicer and ITK-SNAP read it
    assert np.array_equal(sitk.GetArrayFromImage(image).transpose(2, 1, 0), mask.array)
    lps = np.array(image.GetOrigin())
    assert lps * [-1, -1, 1] == pytest.approx(mask.affine[:3, 3], abs=1e-3)


def test_the_same_mask_gives_the_same_bytes(tmp_path: Path) -> None:
    mask = Volume(values() > 0, orthogonal())
    write_mask(mask, tmp_path / "a.nii.gz")
    write_mask(mask, tmp_path / "b.nii.gz")
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_a_mask_must_be_bool(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bool"):
        write_mask(Volume(values(), orthogonal()), tmp_path / "a.nii")


def test_the_table_of_readers_is_ordered_and_complete() -> None:
    assert [reader.name for reader in READERS] == ["NIfTI", "NRRD or MetaImage", "DICOM"]
    assert READERS[-1].suffixes == ()
