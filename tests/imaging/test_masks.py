"""A mask is asked what it is: labels, fractions, names, lattice, missing slices, whose it is."""

# Long because each kind of mask that people hand in is a case of one table, with its writer.

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from fibrovol.errors import RegionError
from fibrovol.imaging.engines import EngineOptions
from fibrovol.imaging.masks.contours import fill_contours, overlap_in_part, without_copies
from fibrovol.imaging.masks.labels import Label, choose_labels
from fibrovol.imaging.masks.lattice import on_grid
from fibrovol.imaging.masks.planes import fill_planes, missing_planes
from fibrovol.imaging.measure import measure_liver
from fibrovol.imaging.readers import read_scan
from fibrovol.imaging.volume import Volume
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from .. import dicom_writer as writer
from ..dicom_writer import SeriesSpec

AFFINE = np.diag([-2.0, -2.0, 4.0, 1.0])
SMALL = SeriesSpec(
    heights_mm=tuple(np.arange(-65.0, 65.01, 5.0)), rows=56, columns=64, spacing_mm=(2.5, 2.25),
    thickness_mm=5.0, semi_axes_mm=(60.0, 57.0, 58.0),  # larger than a ball of 50 mm
)  # fmt: skip


def organs() -> np.ndarray:
    """Spleen 1, kidney 2, liver 5, as a program that writes organs as numbers does."""
    labels = np.zeros((90, 80, 50), np.uint8)
    labels[15:55, 15:60, 12:38] = 5
    labels[60:80, 20:50, 20:30] = 1
    labels[60:70, 55:65, 15:25] = 2
    return labels


LIVER = organs() == 5
LIVER_ML = LIVER.sum() * 16 / 1000


@pytest.fixture
def scan() -> Volume:
    array = np.where(organs() > 0, 100, -60).astype(np.int16)
    array[0] = -1000
    return Volume(array, AFFINE)


def save(array: np.ndarray, path: Path, affine: np.ndarray = AFFINE) -> Path:
    nib.save(nib.Nifti1Image(array, affine, dtype=array.dtype), path)
    return path


def ml(scan: Volume, path: Path, **options) -> float:
    return measured(scan, path, **options).volume_ml


def measured(scan: Volume, path: Path, **options):
    return measure_liver(
        scan, engine="existing_mask", options=EngineOptions.of(mask_path=path, **options)
    )


# labels


def test_labels_without_names_are_refused_with_their_volumes(scan, tmp_path):
    path = save(organs(), tmp_path / "organs.nii.gz")
    with pytest.raises(RegionError, match=rf"5 \({LIVER_ML:.0f} mL\)"):
        ml(scan, path)
    assert ml(scan, path, mask_segment="5") == pytest.approx(LIVER_ML)
    both = LIVER_ML + (organs() == 2).sum() * 0.016
    assert ml(scan, path, mask_segment="2,5") == pytest.approx(both)
    with pytest.raises(RegionError, match="no single label 'liver'"):
        ml(scan, path, mask_segment="liver")


def test_totalsegmentators_table_names_the_liver(scan, tmp_path):
    image = nib.Nifti1Image(organs(), AFFINE)
    table = (
        '<?xml version="1.0"?><CaretExtension><VolumeInformation><LabelTable>'
        '<Label Key="1" Red="0.1"><![CDATA[spleen]]></Label>'
        '<Label Key="5" Red="0.2"><![CDATA[liver]]></Label></LabelTable></VolumeInformation>'
        "</CaretExtension>"
    )
    image.header.extensions.append(nib.nifti1.Nifti1Extension(0, table.encode()))
    nib.save(image, tmp_path / "total.nii.gz")
    assert ml(scan, tmp_path / "total.nii.gz") == pytest.approx(LIVER_ML)
    assert ml(scan, tmp_path / "total.nii.gz", mask_segment="LIVER") == pytest.approx(LIVER_ML)


@pytest.mark.parametrize("value", [1, 255, -3])
@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_one_value_is_the_mask_whatever_it_is(scan, tmp_path, value, kind):
    path = save((LIVER * value).astype(kind), tmp_path / "m.nii")
    assert ml(scan, path) == pytest.approx(LIVER_ML)


def test_what_was_not_drawn_may_be_nan(scan, tmp_path):
    path = save(np.where(LIVER, 1, np.nan).astype(np.float32), tmp_path / "m.nii.gz")
    assert ml(scan, path) == pytest.approx(LIVER_ML)


def test_a_mask_called_spleen_is_no_liver():
    with pytest.raises(RegionError, match="not the liver"):
        choose_labels([Label(1, "Spleen")], "", "m")
    assert choose_labels([Label(1, "Spleen")], "1", "m")
    assert choose_labels([Label(1, "Segment 1")], "", "m")


@pytest.mark.parametrize(
    "name",
    ["GTV", "Lebertumor", "Gallenblase", "riñón_izq", "rein gauche", "左腎", "췌장", "Liver-GTV",
     "liver segment 4", "right lobe", "Pankreas"],
)  # fmt: skip
def test_a_single_label_named_after_something_else_is_no_liver(name):
    with pytest.raises(RegionError, match="not the liver"):
        choose_labels([Label(1, name)], "", "m")
    assert choose_labels([Label(1, name)], "1", "m")


@pytest.mark.parametrize(
    "name", ["", "Segment_1", "ROI 1", "reader 2", "mask", "foie final", "vol"]
)
def test_a_single_label_of_any_other_name_is_the_mask(name):
    assert choose_labels([Label(1, name)], "", "m")


def test_a_single_label_is_what_its_code_says():
    with pytest.raises(RegionError, match="coded 78961009 SCT"):
        choose_labels([Label(1, "Segment 1", ("78961009", "SCT"))], "", "m")
    for code in (("85756007", "SCT"), ("T-D0050", "SRT"), ("anything", "99OWN"), ("", "")):
        assert choose_labels([Label(1, "Segment 1", code)], "", "m")
    assert choose_labels([Label(1, "liver", ("78961009", "SCT"))], "", "m")  # the name is typed


def test_another_label_does_not_stand_in_for_an_empty_liver():
    with pytest.raises(RegionError, match="nothing is drawn of it"):
        choose_labels([Label(2, "Region")], "", "m", [Label(1, "Liver")])
    assert choose_labels([Label(2, "Region")], "2", "m", [Label(1, "Liver")])
    assert choose_labels([Label(2, "Region")], "", "m", [Label(1, "Marker")])


@pytest.mark.parametrize("threshold", [0.5, 1.0])
def test_a_threshold_does_not_sum_labels(scan, tmp_path, threshold):
    path = save(organs().astype(np.float32), tmp_path / "m.nii.gz")
    with pytest.raises(RegionError, match="leaves none of its values out"):
        ml(scan, path, mask_threshold=threshold)


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [("1-8", range(1, 9)), ("1,2,5-6", (1, 2, 5, 6)), ("segment 3", (3,)), ("7", (7,))],
)
def test_several_segments_are_asked_for_together(wanted, numbers):
    couinaud = [Label(n, f"liver_segment_{n}", ("10200004", "SCT")) for n in range(1, 9)]
    chosen = choose_labels(couinaud, wanted, "m")
    assert [label.number for label in chosen] == [*numbers]
    with pytest.raises(RegionError, match="more than one of them is liver"):
        choose_labels(couinaud, "", "m")
    with pytest.raises(RegionError, match="no single label '7-9'"):
        choose_labels(couinaud, "7-9", "m")


# fractions


def test_fractions_are_refused_until_a_threshold_is_stated(scan, tmp_path):
    soft = np.where(LIVER, 0.9, 0.001).astype(np.float32)
    soft[15, 15:60, 12:38] = 0.4
    path = save(soft, tmp_path / "soft.nii.gz")
    with pytest.raises(RegionError, match="fractions"):
        ml(scan, path)
    kept = LIVER.sum() - LIVER[15].sum()
    assert ml(scan, path, mask_threshold=0.5) == pytest.approx(kept * 0.016)
    with pytest.raises(RegionError, match="reaches the threshold"):
        ml(scan, path, mask_threshold=2)
    grey = save((soft * 255 + np.arange(50) * 0.5).astype(np.uint8), tmp_path / "grey.nii.gz")
    with pytest.raises(RegionError, match="several labels"):
        ml(scan, grey)


# .seg.nrrd


def seg_nrrd(path: Path, layers: list[np.ndarray], fields: list[str], affine=AFFINE) -> Path:
    """As 3D Slicer writes it: several layers stand first, as a list."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    vectors = " ".join("(" + ",".join(f"{v:g}" for v in lps[:3, k]) + ")" for k in range(3))
    many = len(layers) > 1
    array = np.stack(layers) if many else layers[0]
    head = [
        "NRRD0004", "type: unsigned char", f"dimension: {array.ndim}",
        "space: left-posterior-superior", "sizes: " + " ".join(map(str, array.shape)),
        "space directions: " + ("none " if many else "") + vectors,
        "kinds: " + ("list " if many else "") + "domain domain domain", "encoding: raw",
        "space origin: (" + ",".join(f"{v:g}" for v in lps[:3, 3]) + ")", *fields,
    ]  # fmt: skip
    path.write_bytes(("\n".join(head) + "\n\n").encode() + array.astype(np.uint8).tobytes("F"))
    return path


def named(*segments: tuple[str, int, int]) -> list[str]:
    return [
        line
        for n, (name, value, layer) in enumerate(segments)
        for line in (
            f"Segment{n}_Name:={name}", f"Segment{n}_LabelValue:={value}",
            f"Segment{n}_Layer:={layer}",
        )
    ]  # fmt: skip


def test_slicers_names_are_believed(scan, tmp_path):
    two = (LIVER * 1 + (organs() == 1) * 2).astype(np.uint8)
    path = seg_nrrd(tmp_path / "a.seg.nrrd", [two], named(("liver", 1, 0), ("spleen", 2, 0)))
    assert ml(scan, path) == pytest.approx(LIVER_ML)
    both = LIVER_ML + (organs() == 1).sum() * 0.016
    assert ml(scan, path, mask_segment="spleen,liver") == pytest.approx(both)


def test_names_in_another_encoding_stop_nothing(scan, tmp_path):
    """SimpleITK raises for a key that is no UTF-8, and gives surrogates for such a name."""
    two = (LIVER * 1 + (organs() == 1) * 2).astype(np.uint8)
    path = seg_nrrd(tmp_path / "a.seg.nrrd", [two], named(("liver", 1, 0), ("Niere", 2, 0)))
    data = path.read_bytes()
    path.write_bytes(
        data.replace(b"Niere", b"Nier\xe9", 1).replace(b"Segment1_Lay", b"Segm\xffnt1_")
    )
    assert ml(scan, path) == pytest.approx(LIVER_ML)
    with pytest.raises(RegionError, match="2 Nier\ufffd") as caught:
        ml(scan, path, mask_segment="7")
    str(caught.value).encode()


def test_slicers_overlapping_segments_lie_in_layers(scan, tmp_path):
    tumour = np.zeros_like(LIVER)
    tumour[20:30, 20:30, 20:25] = True
    path = seg_nrrd(
        tmp_path / "a.seg.nrrd", [LIVER, tumour], named(("liver", 1, 0), ("tumor", 1, 1))
    )
    assert ml(scan, path) == pytest.approx(LIVER_ML)


@pytest.mark.parametrize("name", ["tumor", "Liver tumour 1", "HCC", "Zyste", "肝腫瘍"])
def test_a_tumour_with_a_label_of_its_own_is_no_hole_in_the_liver(scan, tmp_path, name):
    two = LIVER.astype(np.uint8)
    two[20:30, 20:30, 20:25] = 2
    path = seg_nrrd(tmp_path / "a.seg.nrrd", [two], named(("liver", 1, 0), (name, 2, 0)))
    with pytest.raises(RegionError, match="--mask-segment 1,2"):
        ml(scan, path)
    assert ml(scan, path, mask_segment="1,2") == pytest.approx(LIVER_ML)
    assert ml(scan, path, mask_segment="1") == pytest.approx(LIVER_ML - 500 * 0.016)
    other = seg_nrrd(tmp_path / "b.seg.nrrd", [two], named(("liver", 1, 0), ("kidney cyst", 2, 0)))
    assert ml(scan, other) == pytest.approx(LIVER_ML - 500 * 0.016)


def test_a_code_names_the_liver_in_any_language(scan, tmp_path):
    two = (LIVER * 1 + (organs() == 1) * 2).astype(np.uint8)
    term = (
        "Segment0_Tags:=Terminology:x|TerminologyEntry:Segmentation category~SCT^123037004^Anatomy"
        "~SCT^10200004^Liver~^^~Anatomic~^^~^^|"
    )
    fields = [*named(("maksa", 1, 0), ("lien", 2, 0)), term]
    path = seg_nrrd(tmp_path / "a.seg.nrrd", [two], fields)
    assert ml(scan, path) == pytest.approx(LIVER_ML)


# lattice


def turned(mask: np.ndarray, affine: np.ndarray, axes, flips, crop) -> Volume:
    """The same voxels, cropped, flipped and with their axes in another order."""
    low, high = crop
    index = np.eye(4)
    index[:3, 3] = low
    part = mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    for axis in range(3):
        if flips[axis]:
            step = np.eye(4)
            step[axis, axis], step[axis, 3] = -1, part.shape[axis] - 1
            part, index = np.flip(part, axis), index @ step
    order = np.eye(4)
    order[:3, :3] = np.eye(3)[:, list(axes)]
    return Volume(part.transpose(axes), affine @ index @ order)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_the_same_voxels_are_placed_exactly(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    shape = tuple(int(n) for n in rng.integers(5, 14, 3))
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = rotation * rng.uniform(0.5, 6, 3)
    affine[:3, 3] = rng.uniform(-300, 300, 3)
    mask = rng.random(shape) < 0.3
    mask[2, 2, 2] = True
    where = np.argwhere(mask)
    low, high = where.min(axis=0), where.max(axis=0) + 1
    axes = data.draw(st.sampled_from([*itertools.permutations(range(3))]))
    flips = data.draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    given_mask = turned(mask, affine, axes, flips, (low, high))
    rounded = replace(given_mask, affine=given_mask.affine.astype(np.float32).astype(float))
    placed = on_grid(rounded, Volume(np.zeros(shape), affine), "m", resample=False)
    assert np.array_equal(placed, mask)


def test_a_mask_that_lost_its_geometry_is_refused_with_the_cause(scan, tmp_path):
    path = save(LIVER.astype(np.uint8), tmp_path / "m.nii", np.eye(4))
    for resample in (False, True):
        with pytest.raises(RegionError, match="lost its position"):
            ml(scan, path, resample_mask=resample)


def test_a_mask_that_hangs_out_of_the_scan_is_refused(scan, tmp_path):
    shifted = AFFINE.copy()
    shifted[2, 3] = -80.0  # twenty slices down
    path = save(LIVER.astype(np.uint8), tmp_path / "m.nii", shifted)
    with pytest.raises(RegionError, match="beyond the scan"):
        ml(scan, path)
    shifted[2, 3] = -81.5
    path = save(LIVER.astype(np.uint8), tmp_path / "m.nii", shifted)
    with pytest.raises(RegionError, match="does not fit"):
        ml(scan, path, resample_mask=True)


def test_a_pair_of_files_is_one_mask(scan, tmp_path):
    nib.save(nib.Nifti1Pair(LIVER.astype(np.uint8), AFFINE), tmp_path / "liver.img")
    assert ml(scan, tmp_path / "liver.hdr") == pytest.approx(LIVER_ML)
    assert ml(scan, tmp_path / "liver.img") == pytest.approx(LIVER_ML)
    assert ml(scan, tmp_path) == pytest.approx(LIVER_ML)  # the folder's one mask


def test_metaimage_is_a_mask_too(scan, tmp_path):
    image = sitk.GetImageFromArray(LIVER.astype(np.uint8).transpose(2, 1, 0))
    image.SetSpacing((2, 2, 4))
    sitk.WriteImage(image, str(tmp_path / "liver.mha"))
    assert ml(scan, tmp_path / "liver.mha") == pytest.approx(LIVER_ML)


# slices that nobody drew


def test_every_second_slice_is_not_half_a_liver(scan, tmp_path):
    drawn = LIVER.copy()
    drawn[:, :, 13::2] = False
    path = save(drawn.astype(np.uint8), tmp_path / "m.nii.gz")
    with pytest.raises(RegionError, match="leaves out slices"):
        ml(scan, path)
    found = measured(scan, path, fill_slices=True)
    # the last slice of the organ was not drawn, and nothing says that it is there
    assert found.volume_ml == pytest.approx(LIVER[:, :, :37].sum() * 0.016)
    assert "mask_slices_filled" in found.flags


def test_shapes_between_slices_are_interpolated():
    grid = np.indices((60, 60, 41)) - np.array([30, 30, 20])[:, None, None, None]
    ball = (grid**2).sum(axis=0) <= 18**2
    sparse = ball.copy()
    sparse[:, :, 1::2] = False
    axis, missing = missing_planes(sparse)
    assert axis == 2
    assert missing == [*range(3, 38, 2)]
    # straight between two drawn slices: a little less than a convex organ
    assert fill_planes(sparse, axis).sum() == pytest.approx(ball.sum(), rel=0.03)
    assert missing_planes(ball) == (2, [])


def test_a_slice_with_a_stray_voxel_was_not_drawn(scan, tmp_path):
    drawn = LIVER.copy()
    drawn[:, :, 20] = False
    drawn[30, 30, 20] = True
    path = save(drawn.astype(np.uint8), tmp_path / "m.nii.gz")
    with pytest.raises(RegionError, match="1 empty planes"):
        ml(scan, path)
    assert ml(scan, path, fill_slices=True) == pytest.approx(LIVER_ML)


def test_a_narrow_end_is_drawn():
    """The tip and the dome have few voxels, and more on one side alone."""
    grid = np.indices((60, 60, 60)) - np.array([30, 30, 30])[:, None, None, None]
    cone = np.hypot(grid[0], grid[1]) <= 0.5 * (grid[2] + 28)
    assert cone.any(axis=(0, 1)).sum() > 50
    assert missing_planes(cone) == (2, [])


def test_two_pieces_apart_are_two_pieces():
    mask = np.zeros((30, 30, 30), bool)
    mask[3:10, 3:10, 3:10] = True
    mask[20:28, 20:28, 15:25] = True
    assert missing_planes(mask) == (2, [])


# RTSTRUCT


def circle(radius: float, centre: tuple[float, float], n: int = 180) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)], 1)


def test_holes_islands_and_keyholes_are_counted_even_odd():
    rings = [circle(80, (100, 100)), circle(50, (100, 100)), circle(20, (100, 100))]
    filled = fill_contours(rings, 200, 200)
    assert filled.sum() == pytest.approx(np.pi * (80**2 - 50**2 + 20**2), rel=0.005)
    keyhole = np.concatenate([rings[0], rings[0][:1], rings[1][::-1], rings[1][-1:]])
    alone = fill_contours([keyhole], 200, 200)
    assert alone.sum() == pytest.approx(np.pi * (80**2 - 50**2), rel=0.01)


@settings(max_examples=50, deadline=None)
@given(st.floats(25, 60), st.floats(70, 130), st.floats(70, 130))
def test_the_area_is_not_biased_wherever_the_contour_lies(radius, x, y):
    area = fill_contours([circle(radius, (x, y))], 200, 200).sum()
    assert area == pytest.approx(np.pi * radius**2, rel=0.02)


def test_corners_on_pixel_centres_do_not_add_a_rim():
    square = np.array([[10, 10], [40, 10], [40, 30], [10, 30]], float)
    assert fill_contours([square], 60, 60).sum() == 30 * 20


def test_a_contour_written_twice_does_not_empty_itself():
    ring = circle(40, (100, 100))
    copies = [ring, np.roll(ring, 7, axis=0)[::-1]]
    assert len(without_copies(copies)) == 1
    assert not overlap_in_part([circle(80, (100, 100)), ring], 200, 200)  # a hole
    assert not overlap_in_part([ring, circle(40, (180.2, 100))], 200, 200)  # a neighbour
    assert overlap_in_part([ring, circle(40, (130, 100))], 200, 200)
    assert overlap_in_part([ring, circle(40.3, (100.2, 100))], 200, 200)


def structure_set(
    images: list[FileDataset], contours: list[tuple[int, np.ndarray]], name: str = "Liver"
) -> FileDataset:
    """Contours given as (number of the image, corners in LPS mm)."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", Dataset(), file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = meta.MediaStorageSOPClassUID, generate_uid()
    ds.Modality, ds.SeriesInstanceUID = "RTSTRUCT", generate_uid()
    for word in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        setattr(ds, word, getattr(images[0], word))
    region = Dataset()
    region.ROINumber, region.ROIName = 4, name
    region.ReferencedFrameOfReferenceUID = ds.FrameOfReferenceUID
    ds.StructureSetROISequence = Sequence([region])
    items = []
    for number, corners in contours:
        item, image = Dataset(), Dataset()
        image.ReferencedSOPInstanceUID = images[number].SOPInstanceUID
        item.ContourImageSequence = Sequence([image])
        item.ContourGeometricType, item.NumberOfContourPoints = "CLOSED_PLANAR", len(corners)
        item.ContourData = [f"{value:.3f}" for value in np.ravel(corners)]
        items.append(item)
    drawn = Dataset()
    drawn.ReferencedROINumber, drawn.ContourSequence = 4, Sequence(items)
    ds.ROIContourSequence = Sequence([drawn])
    return ds


def ball_contours(spec: SeriesSpec, radius: float = 50.0) -> list[tuple[int, np.ndarray]]:
    """A ball around the centre of the object, drawn on every slice that it reaches."""
    row, column, normal = writer.axes(spec.orientation)
    found = []
    for number, height in enumerate(spec.heights_mm):
        if abs(height) < radius:
            flat = circle(np.sqrt(radius**2 - height**2), (0, 0))
            middle = np.array(spec.centre_mm) + height * normal
            found.append((number, middle + flat[:, :1] * row + flat[:, 1:] * column))
    return found


@pytest.mark.parametrize("plane", ["axial", "coronal", "oblique"])
def test_contours_give_the_drawn_volume(tmp_path, plane):
    spec = replace(SMALL, orientation=writer.PLANES[plane])
    images = writer.slices(spec)
    writer.save(images, tmp_path / "ct")
    structure_set(images, ball_contours(spec)).save_as(tmp_path / "rs.dcm")
    found = measured(read_scan(tmp_path / "ct"), tmp_path / "rs.dcm")
    drawn_ml = sum(50**2 - h**2 for h in spec.heights_mm if abs(h) < 50) * np.pi * 5 / 1000
    assert found.volume_ml == pytest.approx(drawn_ml, rel=0.01)
    assert found.flags == ()


def test_contours_of_other_slices_need_resampling(tmp_path):
    images = writer.slices(SMALL)
    writer.save(images, tmp_path / "ct")
    between = replace(SMALL, heights_mm=tuple(np.arange(-64.0, 65.01, 3.0)))
    contours = [(0, corners) for _, corners in ball_contours(between)]
    structure_set(images, contours).save_as(tmp_path / "rs.dcm")
    scan = read_scan(tmp_path / "ct")
    with pytest.raises(RegionError, match="none of the scan's slices"):
        measured(scan, tmp_path / "rs.dcm")
    found = measured(scan, tmp_path / "rs.dcm", resample_mask=True)
    assert found.volume_ml == pytest.approx(4 / 3 * np.pi * 50**3 / 1000, rel=0.03)


# whose mask it is


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"FrameOfReferenceUID": "1.2.3.9"}, "another frame of reference"),
        ({"StudyInstanceUID": "1.2.3.9"}, "another study"),
        ({"PatientID": "SOMEBODY"}, "another patient"),
    ],
)
def test_a_mask_of_somebody_else_is_refused(tmp_path, change, word):
    images = writer.slices(SMALL)
    writer.save(images, tmp_path / "ct")
    others = [pydicom.dcmread(path) for path in sorted((tmp_path / "ct").iterdir())]
    for image in others:
        image.SOPInstanceUID = generate_uid()
        for keyword, value in change.items():
            setattr(image, keyword, value)
    structure_set(others, ball_contours(SMALL)).save_as(tmp_path / "rs.dcm")
    with pytest.raises(RegionError, match=word) as caught:
        measured(read_scan(tmp_path / "ct"), tmp_path / "rs.dcm")
    assert "SOMEBODY" not in str(caught.value)


def test_a_code_in_place_of_the_patient_is_no_other_patient(tmp_path):
    images = writer.slices(SMALL)
    writer.save(images, tmp_path / "ct")
    structures = structure_set(images, ball_contours(SMALL))
    structures.PatientID = "S-007"
    structures.save_as(tmp_path / "rs.dcm")
    assert measured(read_scan(tmp_path / "ct"), tmp_path / "rs.dcm").flags == ()


def test_a_mask_of_another_series_of_the_study_is_flagged(tmp_path):
    images = writer.slices(SMALL)
    writer.save(images, tmp_path / "ct")
    others = [pydicom.dcmread(path) for path in sorted((tmp_path / "ct").iterdir())]
    for image in others:
        image.SOPInstanceUID = generate_uid()
    structure_set(others, ball_contours(SMALL)).save_as(tmp_path / "rs.dcm")
    found = measured(read_scan(tmp_path / "ct"), tmp_path / "rs.dcm")
    assert found.flags == ("mask_of_other_series",)


def test_errors_speak_of_the_mask(scan, tmp_path):
    for array, word in ((np.zeros_like(organs()), "is empty"), (organs() * 0, "is empty")):
        with pytest.raises(RegionError, match=word):
            ml(scan, save(array, tmp_path / "empty.nii.gz"))
    speck = np.zeros_like(organs())
    speck[20:25, 20:25, 20:25] = 1
    with pytest.raises(RegionError, match="mask is too small"):
        ml(scan, save(speck, tmp_path / "speck.nii.gz"))
    (tmp_path / "broken.nii.gz").write_bytes(b"not a gzip file")
    with pytest.raises(RegionError, match="The mask broken"):
        ml(scan, tmp_path / "broken.nii.gz")
    (tmp_path / "none").mkdir()
    with pytest.raises(RegionError, match="has no mask"):
        ml(scan, tmp_path / "none")
