"""Feed damaged scans to the readers: every one must be read or refused, nothing else.

    .venv/bin/python scripts/fuzz_readers.py --inputs 20000 --seed 0
    .venv/bin/python scripts/fuzz_readers.py --of masks --inputs 10000
    .venv/bin/python scripts/fuzz_readers.py --of nifti --inputs 10000

Starts from small valid files (classic, enhanced, deflated and compressed DICOM, DICOM SEG, NIfTI,
NRRD, MetaImage) and changes bytes, mainly in the headers: flips, runs of 0x00 or 0xFF, cuts,
insertions, doubled parts, and numbers put where lengths stand. With ``--of masks`` the files are
masks of all kinds, laid on a scan; with ``--of nifti`` headers alone are damaged. An input passes
when the reader returns a finite volume or raises a FibrovolError within the time limit and the
memory limit.
Prints one line and exits 1 when an input fails; the failing file is kept in --keep.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import highdicom
import nibabel
import numpy as np
import SimpleITK
from fibrovol.errors import FibrovolError
from fibrovol.imaging.export.dicom_seg import Organ, write_seg
from fibrovol.imaging.export.dicom_source import Identity, source_images
from fibrovol.imaging.masks.gate import MaskOptions, take_mask
from fibrovol.imaging.masks.segmentation import read_segment
from fibrovol.imaging.readers import read_scan
from fibrovol.imaging.series.find import find_series
from fibrovol.imaging.volume import Volume
from fibrovol.tests import dicom_writer as writer
from fibrovol.tests.imaging.test_masks import structure_set
from pydicom.sr.codedict import codes
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
    generate_uid,
)

try:
    import resource
except ImportError:  # Windows has none
    resource = None  # type: ignore[assignment]

MEMORY_GIB = 3
BATCH = 1000
SECONDS = 10.0
HEADER_BYTES = 2200
"""Most changes go here: in the seeds, nearly all of the header."""


SPEC = writer.SeriesSpec(
    heights_mm=(-15.0, -5.0, 5.0, 15.0), rows=32, columns=32, spacing_mm=(4.0, 4.0)
)


def nifti_seeds(folder: Path) -> dict[str, list[Path]]:
    """NIfTI in one file and in two, of which the header is damaged."""
    array = np.random.default_rng(0).integers(-1000, 1000, (8, 9, 10)).astype(np.int16)
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    made = {}
    for name, kind in (("a.nii", nibabel.Nifti1Image), ("b.nii", nibabel.Nifti2Image)):
        nibabel.save(kind(array, affine), folder / name)
        made[name] = [folder / name]
    (folder / "pair").mkdir()
    nibabel.save(nibabel.Nifti1Pair(array, affine), folder / "pair" / "c.img")
    made["c.hdr"] = [folder / "pair" / "c.hdr"]
    return made


def mask_seeds(folder: Path) -> dict[str, list[Path]]:
    """Masks of every kind for the scan in ``folder / "classic"``."""
    images = writer.slices(SPEC)
    writer.save(images, folder / "classic")
    scan = read_scan(folder / "classic")
    mask = Volume(scan.array > -400, scan.affine)
    labels = (mask.array * 1 + (scan.array > 90) * 4).astype(np.int16)
    made = {}
    for name in ("mask.nii", "mask.hdr"):
        kind = nibabel.Nifti1Pair if name.endswith("hdr") else nibabel.Nifti1Image
        nibabel.save(kind(labels, scan.affine), folder / name)
        made[name] = [folder / name]
    image = SimpleITK.GetImageFromArray(labels.astype(np.uint8).transpose(2, 1, 0))
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ scan.affine
    image.SetSpacing(list(scan.spacing_mm))
    image.SetDirection((lps[:3, :3] / np.array(scan.spacing_mm)).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetMetaData("Segment0_Name", "liver")
    image.SetMetaData("Segment0_LabelValue", "1")
    for name in ("mask.seg.nrrd", "mask.mha"):
        SimpleITK.WriteImage(image, str(folder / name))
        made[name] = [folder / name]
    sources = source_images(scan, Identity("x"))
    write_seg([Organ("Liver", mask)], sources, folder / "seg.dcm", engine="e", version="1")
    made["seg.dcm"] = [folder / "seg.dcm"]
    contours = []
    for number, place in enumerate(writer.positions(SPEC)):
        corners = np.array([[20, 20], [90, 20], [90, 90], [20, 90]], float)
        contours.append((number, place + np.pad(corners, ((0, 0), (0, 1)))))
    structure_set(images, contours).save_as(folder / "rs.dcm")
    made["rs.dcm"] = [folder / "rs.dcm"]
    soft = (mask.array * 1.0).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(soft, scan.affine), folder / "mask-soft.nii.gz")
    made["mask-soft.nii.gz"] = [folder / "mask-soft.nii.gz"]
    for kind in ("FRACTIONAL", "LABELMAP"):
        made[f"seg-{kind}.dcm"] = [folder / f"seg-{kind}.dcm"]
        _other_segmentation(images, mask.array, kind).save_as(folder / f"seg-{kind}.dcm")
    return made


def _other_segmentation(images: list[Any], mask: Any, kind: str) -> Any:
    """A segmentation of a type that Fibrovol reads and does not write."""
    liver = highdicom.seg.SegmentDescription(
        1, "liver", codes.SCT.AnatomicalStructure, codes.SCT.Liver, "MANUAL"
    )
    pixels = mask.transpose(2, 1, 0)
    return highdicom.seg.Segmentation(
        images, pixels.astype(np.float32 if kind == "FRACTIONAL" else np.uint8), kind, [liver],
        generate_uid(), 1, generate_uid(), 1, "m", "n", "1", "s",
    )  # fmt: skip


def seeds(folder: Path) -> dict[str, list[Path]]:
    """Valid inputs by name: the files of one scan each; the first one is the one to damage."""
    spec = SPEC
    made: dict[str, list[Path]] = {"classic": writer.save(writer.slices(spec), folder / "classic")}
    for name, uid in (("j2k", JPEG2000Lossless), ("rle", RLELossless)):
        parts = writer.slices(spec)
        for part in parts:
            part.compress(uid, generate_instance_uid=False)
        made[name] = writer.save(parts, folder / name)
    parts = writer.slices(spec)
    for part in parts:
        part.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    made["deflated"] = writer.save(parts, folder / "deflated")
    made["enhanced CT"] = writer.save([writer.enhanced(spec)], folder / "ect")
    made["enhanced MR"] = writer.save(
        [writer.enhanced(replace(spec, modality="MR"), echoes=2)], folder / "emr"
    )
    array = np.random.default_rng(0).integers(-1000, 1000, (8, 9, 10)).astype(np.int16)
    for name in ("a.nii", "a.nii.gz"):
        path = folder / name
        nibabel.save(nibabel.Nifti1Image(array, np.diag([2.0, 2.0, 3.0, 1.0])), path)
        made[name] = [path]
    for name in ("a.nrrd", "a.mha"):
        image = SimpleITK.GetImageFromArray(array)
        image.SetSpacing((2.0, 2.0, 3.0))
        SimpleITK.WriteImage(image, str(folder / name))
        made[name] = [folder / name]
    scan = read_scan(folder / "classic")
    mask = Volume(scan.array > -400, scan.affine)
    sources = source_images(scan, Identity("x"))
    write_seg([Organ("Liver", mask)], sources, folder / "s.dcm", engine="e", version="1")
    made["segmentation"] = [folder / "s.dcm"]
    return made


def damage(data: bytes, random: np.random.Generator) -> bytes:
    """One to four changes, most of them in the header."""
    changed = bytearray(data)
    for _ in range(int(random.integers(1, 5))):
        end = min(len(changed), HEADER_BYTES if random.random() < 0.85 else len(changed))
        if end < 2:
            break
        at = int(random.integers(0, end))
        kind = int(random.integers(0, 7))
        if kind == 0:
            changed[at] ^= 1 << int(random.integers(0, 8))
        elif kind == 1:
            size = int(random.integers(1, 9))
            changed[at : at + size] = bytes([int(random.choice([0, 255]))]) * size
        elif kind == 2:
            changed = changed[:at]
        elif kind == 3:
            changed[at:at] = random.bytes(int(random.integers(1, 17)))
        elif kind == 4:
            size = int(random.integers(1, 65))
            changed[at:at] = changed[at : at + size]
        elif kind == 5:
            number = int(random.choice([0, 1, 127, 255, 65535, 2**31 - 1, 2**32 - 1]))
            changed[at : at + 4] = number.to_bytes(4, "little")
        else:
            changed[at] = int(random.choice(list(b"0123456789.-eE\\ ")))
    return bytes(changed)


@cache
def scan_of_masks(folder: Path) -> Volume:
    """What all masks are laid on: never damaged, so read once."""
    return read_scan(folder)


def try_one(name: str, paths: list[Path]) -> str:
    """Read a damaged input; returns what became of it, raises what must not happen."""
    target = paths[0] if len(paths) == 1 else paths[0].parent
    try:
        if name == "segmentation":
            frames = read_segment(target)
            assert frames.images.any()
            return "read"
        if "mask" in name or name.startswith(("seg", "rs")):
            scan = scan_of_masks(paths[0].parent / "classic")
            options = MaskOptions(segment="" if len(name) % 2 else "1", fill_slices=True)
            liver = take_mask(paths[0], scan, options).liver
            assert liver.dtype == bool
            assert liver.shape == scan.array.shape
            return "read"
        find_series(target, values=True)
        volume = read_scan(target)
    except FibrovolError as error:
        return error.code
    assert np.isfinite(volume.array).all()
    assert np.isfinite(volume.affine).all()
    assert volume.voxel_volume_ml > 0
    return "read"


def _limit_memory() -> None:
    if resource is None:
        return  # Windows: without a memory limit
    limit = MEMORY_GIB << 30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


SEEDS = {"readers": seeds, "masks": mask_seeds, "nifti": nifti_seeds}


def work(first: int, last: int, seed: int, keep: Path, what: str) -> int:
    """Try inputs first to last - 1 in this process; print what became of them as JSON."""
    warnings.simplefilter("ignore")
    outcomes: Counter[str] = Counter()
    failures: list[str] = []
    slowest = 0.0
    with tempfile.TemporaryDirectory() as place:
        made = SEEDS[what](Path(place))
        names = sorted(made)
        originals = {name: made[name][0].read_bytes() for name in names}
        _limit_memory()
        for number in range(first, last):
            name = names[number % len(names)]
            paths = made[name]
            random = np.random.default_rng([seed, number])
            data = originals[name]
            if what == "nifti":  # the header alone: 348 bytes, of NIfTI-2 540
                data = damage(data[:540], random) + data[540:]
            else:
                data = damage(data, random)
            paths[0].write_bytes(data)
            current = keep / f"{seed}-{number}-{name.replace(' ', '-')}"
            current.write_bytes(data)  # stays if this process dies
            begun = time.monotonic()
            problem = ""
            try:
                outcomes[try_one(name, paths)] += 1
            except (Exception, RecursionError) as error:  # noqa: BLE001 - that is what is sought
                problem = f"{type(error).__name__}: {str(error)[:200]}"
                traceback.print_exc()
            taken = time.monotonic() - begun
            if taken > SECONDS:
                problem = f"took {taken:.1f} s"
            if problem:
                failures.append(f"{current.name}: {problem}")
            else:
                current.unlink()
            slowest = max(slowest, taken)
            paths[0].write_bytes(originals[name])
    print(json.dumps({"outcomes": outcomes, "failures": failures, "slowest": slowest}))
    return 0


def main() -> int:
    """Run in processes of some hundred inputs each, so that a crash is a failure of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--of", choices=list(SEEDS), default="readers")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.keep.mkdir(parents=True, exist_ok=True)
    first, end = arguments.first, arguments.first + arguments.inputs
    if arguments.worker:
        return work(first, end, arguments.seed, arguments.keep, arguments.of)
    outcomes: Counter[str] = Counter()
    failures: list[str] = []
    slowest, started = 0.0, time.monotonic()
    while first < end:
        count = min(BATCH, end - first)
        command = [sys.executable, __file__, "--worker", "--first", str(first)]
        command += ["--inputs", str(count), "--seed", str(arguments.seed)]
        command += ["--keep", str(arguments.keep), "--of", arguments.of]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = result.stdout.strip().splitlines()
        if result.returncode == 0 and lines:
            report = json.loads(lines[-1])
            outcomes.update(report["outcomes"])
            failures += report["failures"]
            slowest = max(slowest, report["slowest"])
            first += count
            continue
        left = sorted(arguments.keep.glob(f"{arguments.seed}-*"), key=lambda f: f.stat().st_mtime)
        if not left:
            print(result.stderr[-2000:])
            return 1
        last_number = int(left[-1].name.split("-")[1])
        failures.append(f"{left[-1].name}: the process died: {result.stderr.strip()[-200:]}")
        first = last_number + 1
    for failure in failures:
        print(failure)
    listed = ", ".join(f"{code} {count}" for code, count in outcomes.most_common())
    seconds = time.monotonic() - started
    print(f"{arguments.inputs} inputs in {seconds:.0f} s, slowest {slowest:.2f} s: {listed}")
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
