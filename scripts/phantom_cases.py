"""Draw phantom bodies as labelled CTs, to train the liver network with labelled patients.

    python scripts/phantom_cases.py FOLDER --seeds 910001 910002 910003

Writes ``phantomSEED_ct.nii.gz`` and ``phantomSEED_organs.nii.gz`` (BTCV's organ numbers), as
``fibrovol train`` reads them. Cirrhotic livers, large spleens and ascites are rare in labelled CTs;
every other body here has fluid. The demo and the tests draw other seeds (below 100,000), so no
phantom that is measured has been trained on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np
from fibrovol.phantoms.anatomy import draw_anatomy
from fibrovol.phantoms.contrasts import CT_PORTAL_VENOUS
from fibrovol.phantoms.scans import RenderedScan, render_scan
from numpy.typing import NDArray

SPACING_MM = (2.0, 2.0, 2.5)

# BTCV's number: the tissues that make up the organ
ORGANS = {
    1: ("spleen",),
    2: ("kidney_cortex", "kidney_medulla"),  # the left one becomes 3
    4: ("gallbladder_wall", "gallbladder"),
    6: ("liver",),
    7: ("stomach_wall", "stomach_fluid"),
    8: ("aorta",),
    9: ("ivc",),
    10: ("portal_vein",),
    11: ("pancreas",),
}
LEFT_KIDNEY = 3


def organ_numbers(scan: RenderedScan) -> NDArray[np.uint8]:
    """The organ that fills most of each voxel, (x, y, z); 0 if none fills half of it."""
    grid = scan.grid
    numbers = np.zeros(grid.shape, np.uint8)
    for number, names in ORGANS.items():
        numbers[sum(scan.fractions[name] for name in names) >= 0.5] = number
    left = grid.first_mm[2] + grid.spacing_mm[2] * np.arange(grid.shape[2]) > 0
    numbers[(numbers == 2) & left] = LEFT_KIDNEY
    return np.ascontiguousarray(numbers.transpose(2, 1, 0))


def write_case(folder: Path, seed: int, *, cirrhosis: float, ascites_mm: float) -> float:
    """Write one body; returns its liver's volume in mL."""
    anatomy = draw_anatomy(seed, cirrhosis=cirrhosis, ascites_mm=ascites_mm)
    tissues = tuple(name for names in ORGANS.values() for name in names)
    scan = render_scan(anatomy, CT_PORTAL_VENOUS, spacing_mm=SPACING_MM, seed=0, tracked=tissues)
    hu = np.ascontiguousarray(scan.image.transpose(2, 1, 0)).round().astype(np.int16)
    nib.save(nib.Nifti1Image(hu, scan.grid.affine), folder / f"phantom{seed}_ct.nii.gz")
    organs = nib.Nifti1Image(organ_numbers(scan), scan.grid.affine)
    nib.save(organs, folder / f"phantom{seed}_organs.nii.gz")
    return scan.liver_volume_ml


def main() -> None:
    """Write a body for each seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    words = parser.parse_args()
    words.folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(words.seeds):
        cirrhosis = float(np.random.default_rng(seed).uniform(0.1, 1.0))
        ascites_mm = 12.0 * (number % 2)
        ml = write_case(words.folder, seed, cirrhosis=cirrhosis, ascites_mm=ascites_mm)
        print(f"phantom{seed}: liver {ml:.0f} mL, cirrhosis {cirrhosis:.1f}, fluid {ascites_mm} mm")


if __name__ == "__main__":
    main()
