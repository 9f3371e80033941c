"""What a notebook sees: images of other libraries, pictures, progress, and the example notebook."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import fibrovol
import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from fibrovol.batch.progress import Event, Progress
from fibrovol.batch.shown_progress import _bar_html, shown_progress
from fibrovol.errors import ScanError
from fibrovol.imaging.measure import LiverMeasurement
from fibrovol.imaging.volume import ScanSource, Volume
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]


def oblique() -> np.ndarray:
    """A turned, left-handed grid with odd spacings, far from the corner."""
    turned, _ = np.linalg.qr(np.array([[0.8, 0.3, 0.1], [-0.2, 0.9, 0.4], [0.1, -0.3, 0.95]]))
    affine = np.eye(4)
    affine[:3, :3] = turned * [0.712345, 0.9, -3.2]
    affine[:3, 3] = [112.123456, -233.987654, 1401.5]
    return affine


def scan(**changes) -> Volume:
    values = np.random.default_rng(0).integers(-900, 900, (14, 12, 9)).astype(np.int16)
    return Volume.from_array(values, oblique(), **changes)


def metatensor_module():
    return pytest.importorskip("monai.data.meta_tensor")


def landmark_mm(volume: Volume) -> np.ndarray:
    index = np.argwhere(volume.array == volume.array.max())[0]
    return volume.affine @ [*index, 1]


@pytest.mark.xdist_group("monai")
def test_every_round_trip_keeps_voxels_and_affine() -> None:
    metatensor_module()
    before = scan()
    nifti = Volume.from_nibabel(before.to_nibabel())
    itk = Volume.from_sitk(nifti.to_sitk())
    tensor = Volume.from_metatensor(itk.to_metatensor())
    after = Volume.of(tensor.to_nibabel())
    for volume in (nifti, itk, tensor, after):
        assert np.abs(volume.affine - before.affine).max() < 1e-6
        assert volume.array.dtype == np.int16
        assert np.array_equal(volume.array, before.array)
        assert landmark_mm(volume) == pytest.approx(landmark_mm(before), abs=1e-5)


def test_a_saved_volume_is_read_again(tmp_path: Path) -> None:
    path = scan().save(tmp_path / "a.nii.gz")
    again = fibrovol.read_scan(path)
    assert np.array_equal(again.array, scan().array)
    assert np.abs(again.affine - oblique()).max() < 1e-3  # NIfTI keeps 32 bits
    with pytest.raises(ValueError, match=r"saved as \.nii"):
        scan().save(tmp_path / "a.png")


def test_millimetres_are_those_of_simpleitk() -> None:
    image = scan().to_sitk()
    lps = image.TransformIndexToPhysicalPoint((3, 4, 5))
    assert np.array(lps) * [-1, -1, 1] == pytest.approx((oblique() @ [3, 4, 5, 1])[:3], abs=1e-6)


def test_a_unit_of_metres_is_obeyed() -> None:
    affine = oblique()
    affine[:3] /= 1000
    image = nibabel.Nifti1Image(scan().array, affine)
    image.header.set_xyzt_units("meter")
    assert Volume.from_nibabel(image).affine == pytest.approx(oblique(), rel=1e-5)


def test_scaled_labels_stay_whole_numbers() -> None:
    labels = (np.arange(14 * 12 * 9) % 4).reshape(14, 12, 9).astype(np.uint16)
    image = nibabel.Nifti1Image(labels, oblique())
    stream = io.BytesIO()
    image.header.set_slope_inter(1.0, 0.0)
    image.to_file_map({"image": nibabel.FileHolder(fileobj=stream)})
    again = nibabel.Nifti1Image.from_bytes(stream.getvalue())
    assert np.array_equal(Volume.from_nibabel(again).array, labels)


def sheared() -> np.ndarray:
    affine = oblique()
    affine[:3, 2] += 0.3 * affine[:3, 0]
    return affine


@pytest.mark.xdist_group("monai")
@pytest.mark.parametrize("way", ["array", "nibabel", "sitk", "metatensor"])
def test_a_sheared_grid_is_refused_into_and_out_of_every_library(way: str) -> None:
    array = scan().array
    if way == "array":
        with pytest.raises(ScanError, match="sheared"):
            Volume.from_array(array, sheared())
        return
    with pytest.raises(ScanError, match="sheared"):
        getattr(Volume(array, sheared()), f"to_{way}")()
    if way == "nibabel":
        with pytest.raises(ScanError, match="sheared"):
            Volume.of(nibabel.Nifti1Image(array, sheared()))


class Unplaced:
    """Voxels that nobody placed, as each library has them."""

    array = np.zeros((8, 8, 8), np.int16)
    sitk = sitk.GetImageFromArray(array)
    nibabel = nibabel.Nifti1Image(array, None)
    text = {"not": "an image"}  # noqa: RUF012


@pytest.mark.parametrize("what", ["array", "sitk", "nibabel", "text"])
def test_voxels_without_geometry_are_refused(what: str) -> None:
    with pytest.raises(ScanError) as refused:
        fibrovol.measure_liver(getattr(Unplaced, what))
    assert refused.value.failure.code == "no_valid_affine"


@pytest.mark.xdist_group("monai")
def test_a_tensor_without_geometry_is_refused() -> None:
    tensors = metatensor_module()
    import torch

    for tensor in (torch.zeros(8, 8, 8), tensors.MetaTensor(torch.zeros(1, 8, 8, 8))):
        with pytest.raises(ScanError, match="how large its voxels are"):
            Volume.of(tensor)


@pytest.mark.parametrize(
    ("array", "affine", "code"),
    [
        (np.zeros((8, 8, 8)), None, "no_valid_affine"),
        (np.zeros((8, 8, 8)), np.eye(3), "no_valid_affine"),
        (np.zeros((8, 8, 8)), np.zeros((4, 4)), "no_valid_affine"),
        (np.zeros((8, 8, 8, 3)), np.diag([1, 1, 5, 1]), "four_dimensional"),
        (np.zeros((8, 8)), np.diag([1, 1, 5, 1]), "too_few_slices"),
        (np.zeros((8, 8, 8), complex), np.diag([1, 1, 5, 1]), "unsupported_pixel_data"),
        (np.full((8, 8, 8), np.nan), np.diag([1, 1, 5, 1]), "unsupported_pixel_data"),
        (np.zeros((8, 8, 8)), np.diag([0.001, 0.001, 0.005, 1]), "implausible_geometry"),
    ],
)
def test_what_is_no_scan_is_refused(array, affine, code: str) -> None:
    with pytest.raises(ScanError) as refused:
        Volume.from_array(array, affine)
    assert refused.value.failure.code == code


def test_two_dimensions_of_simpleitk_are_refused() -> None:
    with pytest.raises(ScanError, match="fewer than 4 slices"):
        Volume.from_sitk(sitk.Image(4, 4, sitk.sitkUInt8))


def test_an_image_can_be_the_first_thing_that_a_notebook_makes() -> None:
    """In a new process: here, other tests have imported what it needs."""
    code = (
        "import numpy, fibrovol\n"
        "print(fibrovol.Volume.from_array(numpy.zeros((4, 5, 6)), numpy.diag([2, 2, 2, 1.0])))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stdout.startswith("<Volume 4 x 5 x 6"), done.stderr


def test_an_explicit_identity_is_flagged() -> None:
    assert Volume.from_array(np.zeros((8, 8, 8)), np.eye(4)).flags == ("identity_affine",)


def test_colours_are_refused() -> None:
    with pytest.raises(ScanError, match="colours"):
        Volume.from_sitk(sitk.GetImageFromArray(np.zeros((8, 8, 8, 3), np.uint8), isVector=True))


def test_numpy_sees_the_voxels() -> None:
    volume = scan()
    assert np.asarray(volume).max() == volume.array.max()
    assert np.asarray(volume, dtype=np.float32).dtype == np.float32
    assert np.shares_memory(np.asarray(volume), volume.array)


def liver_of(volume: Volume) -> LiverMeasurement:
    mask = np.zeros(volume.array.shape, bool)
    mask[3:11, 3:9, 2:7] = True
    return LiverMeasurement(
        volume_ml=1409.6,
        volume_ml_low=1340.2,
        volume_ml_high=1480.9,
        mask=Volume(mask, volume.affine),
        volume=volume,
        modality="CT",
        flags=("thick_slices", "orientation_doubtful"),
        engine="liver_net 0.3.0",
        engine_sha256="0" * 64,
    )


def pictures_of(html: str) -> list[Image.Image]:
    import base64

    found = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", html)
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in found]


def test_a_measurement_shows_itself_in_one_line_and_with_its_picture() -> None:
    liver = liver_of(scan())
    assert repr(liver) == (
        "<LiverMeasurement 1,410 mL (95 % limits 1,340 to 1,481), CT, liver_net 0.3.0, "
        "flags thick_slices orientation_doubtful>"
    )
    html = liver._repr_html_()
    assert "1,410 mL" in html
    assert "doubtful: orientation_doubtful" in html
    (picture,) = pictures_of(html)
    assert picture.size == (1200, 476)
    red = np.asarray(picture.convert("RGB")).astype(int)
    assert ((red[..., 0] > 200) & (red[..., 1] < 120) & (red[..., 2] < 120)).sum() > 100


def test_what_is_shown_is_short_whatever_the_flags() -> None:
    volume = Volume(scan().array, oblique(), "CT", tuple(f"flag_{n:040d}" for n in range(50)))
    assert len(repr(volume)) < 300
    assert repr(volume).endswith("...>")
    assert "mask" in repr(liver_of(volume).mask)


def test_nothing_of_a_header_is_markup_and_no_file_is_named() -> None:
    source = ScanSource(files=(Path("MUELLER^ANNA.nii"),), contrast="<img src=x onerror=alert(1)>")
    html = Volume(scan().array, oblique(), "CT", source=source)._repr_html_()
    assert "<img src=x" not in html
    assert "&lt;img src=x" in html
    assert "MUELLER" not in html


def test_saving_a_measurement_writes_what_it_rests_on(tmp_path: Path) -> None:
    liver = liver_of(scan())
    written = liver.save(tmp_path / "new folder", "S01")
    assert [path.name for path in written] == ["S01_liver.nii.gz", "S01.png", "S01.json"]
    plain = json.loads(written[2].read_text(encoding="utf-8"))
    assert plain["volume_ml"] == 1409.6
    assert plain["spacing_mm"] == pytest.approx([0.712345, 0.9, 3.2])
    again = nibabel.load(written[0])
    assert np.array_equal(np.asarray(again.dataobj).astype(bool), liver.mask.array)


def test_a_figure_shows_itself_without_pyplot() -> None:
    png = scan().plot()._repr_png_()
    assert Image.open(io.BytesIO(png)).format == "PNG"


def test_a_slide_shows_and_saves_itself(tmp_path: Path) -> None:
    from fibrovol.phantoms.slides import write_slide

    truth = write_slide(tmp_path / "a.tif", caf_percent=12, size_px=(600, 500))
    measured = fibrovol.measure_collagen(truth.path, stain="psr")
    assert re.fullmatch(r"<CollagenMeasurement collagen 1\d\.\d\d % .*, psr, .*>", repr(measured))
    assert len(repr(measured)) < 300
    (picture,) = pictures_of(measured._repr_html_())
    shown = np.asarray(picture.convert("RGB")).astype(int)
    assert (shown[..., 1] - shown[..., 0] > 60).mean() > 0.002  # collagen is tinted green
    assert measured.plot()._repr_png_().startswith(b"\x89PNG")
    files = measured.save(tmp_path / "out", "S01", polygons=False)
    assert files.mask_path.is_file()
    plain = json.loads((tmp_path / "out/S01.json").read_text(encoding="utf-8"))
    assert plain["caf_percent"] == measured.caf_percent
    assert "a.tif" not in json.dumps(plain)


def test_the_bar_names_failed_cases_and_escapes_them() -> None:
    event = Progress(Event.FAILED, "S02", 2, 3, 1, 0, 10.0, "bad")
    html = _bar_html(event, ["S02: <script>"])
    assert 'value="2" max="3"' in html
    assert "1 failed" in html
    assert "<script>" not in html


def test_progress_outside_a_notebook_is_lines() -> None:
    stream = io.StringIO()
    with shown_progress(stream) as show:
        show(Progress(Event.MEASURED, "S01", 1, 2, 0, 0, 3.0))
    assert stream.getvalue() == "[1/2] S01: measured, about 3 s left\n"


@pytest.mark.xdist_group("serial")
def test_the_example_notebook_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    notebook = nbformat.read(ROOT / "docs/examples/notebook.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "committed without output"
    client = nbclient.NotebookClient(
        notebook,
        timeout=300,
        startup_timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    texts = [
        json.dumps(output.get("data", {})) + output.get("text", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    ]
    everything = "\n".join(texts)
    assert "does not say how large its voxels are" in everything
    assert everything.count("image/png") >= 3  # a volume, a measurement, a plot
    assert '<progress value=\\"2\\" max=\\"2\\">' in everything
    assert "(1, ['S02" in everything
