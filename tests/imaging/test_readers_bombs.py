"""Hostile and absurd input: refused within bounded memory and time."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from fibrovol.errors import FibrovolError, ScanError
from fibrovol.imaging.readers import read_scan
from fibrovol.imaging.readers.dicom_geometry import stack_geometry
from fibrovol.imaging.readers.dicom_pixels import codestream_size
from fibrovol.imaging.series.find import find_series
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless

from .. import dicom_writer as writer
from ..dicom_writer import SeriesSpec

TINY = SeriesSpec(heights_mm=(-15.0, -5.0, 5.0, 15.0), rows=32, columns=32, spacing_mm=(4.0, 4.0))
LIMIT_BYTES = 200 << 20


def bounded(read: Callable[[], object]) -> ScanError:
    """The refusal, which must have needed less than 200 MiB."""
    tracemalloc.start()
    try:
        with pytest.raises(FibrovolError) as refusal:
            read()
        assert tracemalloc.get_traced_memory()[1] < LIMIT_BYTES
    finally:
        tracemalloc.stop()
    return refusal.value


def changed(folder: Path, change: Callable[[int, Dataset], None]) -> None:
    writer.write_series(folder, replace(TINY, change=change))


def _headers(**values: object) -> Callable[[int, Dataset], None]:
    def change(_: int, ds: Dataset) -> None:
        for keyword, value in values.items():
            setattr(ds, keyword, value)

    return change


ABSURD = {
    "65,535 rows and columns": (_headers(Rows=65535, Columns=65535), "truncated_pixel_data"),
    "a billion frames": (_headers(NumberOfFrames=10**9), "implausible_geometry"),
    "400 frames that are not there": (_headers(NumberOfFrames=400), "no_position"),
    "0 rows": (_headers(Rows=0), "implausible_geometry"),
    "spacing of 1e300": (_headers(PixelSpacing=["1e300", "1e300"]), "implausible_geometry"),
    "BitsStored 65535": (_headers(BitsStored=65535), None),
}


@pytest.mark.parametrize("case", ABSURD)
def test_absurd_headers(tmp_path: Path, case: str) -> None:
    change, code = ABSURD[case]
    changed(tmp_path, change)
    error = bounded(lambda: read_scan(tmp_path))
    assert code is None or error.code == code
    assert not any(one.usable for one in find_series(tmp_path)) or code is None


def test_positions_that_would_need_a_huge_grid() -> None:
    """Tilted by 44 degrees over 6 m: a grid of tens of thousands of rows."""
    heights = np.arange(0, 6000.0, 14.0)
    positions = np.stack([np.zeros_like(heights), heights * 0.96, heights], axis=1)
    axial = (1, 0, 0, 0, 1, 0)
    error = bounded(lambda: stack_geometry(positions, axial, (0.2, 0.2), 512, 512))
    assert error.code == "implausible_geometry"


def test_a_deflate_bomb(tmp_path: Path) -> None:
    """500 KB that inflate to 500 MB."""
    (part, *_) = writer.slices(TINY)
    part.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    (path,) = writer.save([part], tmp_path)
    data = path.read_bytes()
    at = data.index(b"1.2.840.10008.1.2.1.99")
    head = data[: 132 + 12 + int.from_bytes(data[140:144], "little")]
    assert at < len(head)
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    megabyte = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    bomb = 500 * megabyte + packer.flush()  # after a full flush each is the same
    assert len(bomb) < 600_000
    path.write_bytes(head + bomb)
    assert bounded(lambda: read_scan(tmp_path)).code == "unreadable_file"


def test_a_gzip_bomb(tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.diag([1.0, 1.0, 1.0, 1.0]))
    image.header["dim"][1:4] = 1000
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(image.header.binaryblock + bytes(4) + bytes(100_000)))
    assert bounded(lambda: read_scan(path)).code == "unreadable_file"


@pytest.mark.parametrize("uid", [JPEG2000Lossless, JPEGLSLossless])
def test_a_codestream_larger_than_stated(tmp_path: Path, uid: str) -> None:
    parts = writer.slices(TINY)
    for part in parts:
        part.compress(uid, generate_instance_uid=False)
        part.Rows = part.Columns = 16
    writer.save(parts, tmp_path)
    error = bounded(lambda: read_scan(tmp_path))
    assert error.code == "unsupported_pixel_data"
    assert "32 x 32" in error.found


def test_the_size_in_a_codestream_is_read_without_decoding() -> None:
    from pydicom.encaps import generate_frames

    (part, *_) = writer.slices(replace(TINY, rows=40))
    for uid in (JPEG2000Lossless, JPEGLSLossless):
        part = writer.slices(replace(TINY, rows=40))[0]
        part.compress(uid, generate_instance_uid=False)
        (frame,) = generate_frames(part.PixelData, number_of_frames=1)
        assert codestream_size(frame) == (40, 32)
    assert codestream_size(b"") is None
    assert codestream_size(b"\xff\xd8\xff") is None


def test_a_length_of_four_gigabytes(tmp_path: Path) -> None:
    paths = writer.save(writer.slices(TINY), tmp_path)
    data = bytearray(paths[0].read_bytes())
    at = data.index(b"\x08\x00\x60\x00CS")
    data[at + 4 : at + 12] = b"OB\x00\x00\xff\xff\xff\xfe"
    paths[0].write_bytes(bytes(data))
    assert bounded(lambda: read_scan(tmp_path)).code == "unreadable_file"


def test_a_folder_in_a_folder_in_a_folder(tmp_path: Path) -> None:
    """Links that lead back are not followed."""
    writer.write_series(tmp_path / "scan", TINY)
    try:
        (tmp_path / "scan" / "again").symlink_to(tmp_path, target_is_directory=True)
    except OSError:
        pytest.skip("no symbolic links here")
    assert read_scan(tmp_path).flags == ("thick_slices",)
    assert len(find_series(tmp_path)) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_or_device_is_not_waited_for(tmp_path: Path) -> None:
    writer.write_series(tmp_path / "scan", TINY)
    for name in ("pipe", "pipe.nii", "pipe.zip"):
        os.mkfifo(tmp_path / "scan" / name)
    assert [one.usable for one in find_series(tmp_path)] == [True]
    assert read_scan(tmp_path / "scan").array.shape == (32, 32, 4)
    for path in (tmp_path / "scan" / "pipe", tmp_path / "scan" / "pipe.nii", Path("/dev/zero")):
        assert bounded(partial(read_scan, path)).code == "unreadable_file"


def zip_bomb(path: Path) -> None:
    """256 MiB of zeros in 256 KiB, under names that lead out of any folder."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (
            "../../up.dcm",
            "/tmp/fibrovol-zip-slip.dcm",
            "C:\\up.dcm",
            "a/" * 500 + "b.dcm",
        ):
            archive.writestr(name, bytes(64 << 20))


def test_a_zip_is_refused_without_being_opened(tmp_path: Path) -> None:
    """By the API, by inspect and by a study: nothing is unpacked, whatever its name says it is."""
    (tmp_path / "in").mkdir()
    zip_bomb(tmp_path / "in" / "scan.zip")
    (tmp_path / "in" / "scan.dcm").write_bytes((tmp_path / "in" / "scan.zip").read_bytes())
    (tmp_path / "in" / "scan").write_bytes((tmp_path / "in" / "scan.zip").read_bytes())
    before = sorted(tmp_path.parent.rglob("*"))
    refusal = bounded(lambda: read_scan(tmp_path / "in" / "scan.zip"))
    assert (refusal.code, refusal.what) == ("not_a_scan", "scan.zip is an archive")
    assert "unpack" in refusal.do
    for name in ("scan.dcm", "scan", "."):
        assert bounded(partial(read_scan, tmp_path / "in" / name)).code == "not_a_scan"
    (listed,) = find_series(tmp_path / "in")
    assert (listed.path.name, listed.usable) == ("scan.zip", False)
    assert listed.reason == "an archive: unpack it first"
    assert sorted(tmp_path.parent.rglob("*")) == before
    assert not Path("/tmp/fibrovol-zip-slip.dcm").exists()


def test_a_short_fuzz_run_ends_with_refusals_only(repository: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(repository / "scripts" / "fuzz_readers.py"), "--inputs", "110"]
    result = subprocess.run(
        [*command, "--seed", "7", "--keep", str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-2000:]
    assert "0 failures" in result.stdout
