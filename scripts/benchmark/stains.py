"""How much the collagen fraction of one field moves when the field is photographed differently.

    python scripts/benchmark/stains.py [--fields ../shared/data/slides/reexposed_fields]
    python scripts/benchmark/stains.py --pieces 12

Each field exists in several exposures of the same tissue with a human tissue mask: a perfect rule
gives one fraction for all of them. Ours is run next to the rules that laboratories use: fixed hue
and saturation (HSV), a fixed optical density along published stain vectors, the same with Otsu's
threshold, and the channel difference with Otsu's threshold of the usual ImageJ macros.

``--pieces N`` asks instead whether the limits are honest: N phantom slides a stain, of 2 to 40 %,
are cut into 2 and into 4 pictures, each is measured as a slide of its own, and the limits that hold
the whole slide's true fraction are counted.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from fibrovol.histology.colour.channels import channel_shift, settle_shift
from fibrovol.histology.colour.hue import colour_histogram
from fibrovol.histology.colour.lookup import classify, compile_table
from fibrovol.histology.colour.model import estimate_model
from fibrovol.histology.colour.stain_table import stain_definition
from fibrovol.histology.colour.stains import COLLAGEN, TISSUE
from fibrovol.histology.measure import measure_collagen
from fibrovol.histology.overview.white import find_glass
from fibrovol.histology.tiles.tiles import smooth
from fibrovol.phantoms.slides import render_slide
from skimage.color import separate_stains
from skimage.filters import threshold_otsu

ROOT = Path(__file__).resolve().parents[2]
Rule = Callable[[np.ndarray, np.ndarray, str], np.ndarray]
# Published optical densities (collagen, rest of the tissue), as in ImageJ's and QuPath's lists.
VECTORS = {
    "psr": ((0.10, 0.74, 0.67), (0.11, 0.27, 0.96)),
    "masson": ((0.80, 0.59, 0.10), (0.10, 0.73, 0.67)),
}
FIXED_DENSITY = 0.25


def ours(rgb: np.ndarray, mask: np.ndarray, stain: str) -> np.ndarray:
    white = find_glass(rgb)
    corners = [(y, x) for y in range(0, rgb.shape[0], 256) for x in range(0, rgb.shape[1], 256)]
    shift = settle_shift([channel_shift(rgb[y : y + 256, x : x + 256]) for y, x in corners])
    soft = smooth(rgb, shift=shift)
    model = estimate_model(colour_histogram(soft, mask), white, stain_definition(stain))
    classes = classify(soft, compile_table(model))
    return np.where(classes >= COLLAGEN, 1.0, np.where(classes >= TISSUE, 0.0, np.nan))


def hsv(rgb: np.ndarray, _mask: np.ndarray, stain: str) -> np.ndarray:
    hue, saturation, _ = np.moveaxis(cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV).astype(int), 2, 0)
    if stain == "psr":
        return (((hue < 8) | (hue > 165)) & (saturation > 90)).astype(float)
    return ((hue > 100) & (hue < 140) & (saturation > 40)).astype(float)


def collagen_density(rgb: np.ndarray, stain: str) -> np.ndarray:
    collagen, rest = (np.array(v) / np.linalg.norm(v) for v in VECTORS[stain])
    basis = np.stack([collagen, rest, np.cross(collagen, rest)])
    return separate_stains(rgb, np.linalg.inv(basis).astype(np.float64))[..., 0]


def fixed_density(rgb: np.ndarray, _mask: np.ndarray, stain: str) -> np.ndarray:
    return (collagen_density(rgb, stain) > FIXED_DENSITY).astype(float)


def otsu_density(rgb: np.ndarray, mask: np.ndarray, stain: str) -> np.ndarray:
    density = collagen_density(rgb, stain)
    return (density > threshold_otsu(density[mask])).astype(float)


def channel_difference(rgb: np.ndarray, mask: np.ndarray, stain: str) -> np.ndarray:
    red, green, blue = np.moveaxis(rgb.astype(np.float32), 2, 0)
    difference = red - green if stain == "psr" else blue - red
    return (difference > threshold_otsu(difference[mask])).astype(float)


RULES: dict[str, Rule] = {
    "fibrovol": ours,
    "HSV, fixed": hsv,
    "optical density, fixed": fixed_density,
    "optical density, Otsu": otsu_density,
    "channel difference, Otsu": channel_difference,
}


def ranges(folder: Path, stain: str, rule: Rule) -> list[float]:
    """Range of the fraction over the versions of each field, in percentage points."""
    out = []
    for mask_path in sorted(folder.glob(f"{stain}*_tissue.png")):
        mask = cv2.imread(str(mask_path), cv2.IMREAD_GRAYSCALE) > 127
        name = mask_path.name.removesuffix("_tissue.png")
        fractions = []
        for path in sorted(folder.glob(f"{name}_v*.jpg")):
            rgb = np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])
            fractions.append(100 * float(np.nanmean(rule(rgb, mask, stain)[mask])))
        out.append(max(fractions) - min(fractions))
    return out


def pieces_held(stain: str, slides: int) -> dict[int, tuple[int, int, float]]:
    """Pieces whose limits hold the whole's fraction, pieces, and the limits' median width."""
    held: dict[int, list[bool]] = {2: [], 4: []}
    widths: dict[int, list[float]] = {2: [], 4: []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "piece.png"
        for seed in range(slides):
            wanted = float(np.random.default_rng(seed).uniform(2, 40))
            whole = render_slide(stain=stain, caf_percent=wanted, seed=seed, size_px=(4800, 1600))
            for parts, found in held.items():
                for piece in np.array_split(whole.rgb, parts, axis=1):
                    cv2.imwrite(str(path), piece[..., ::-1])
                    measured = measure_collagen(path, stain=stain, mpp_um=1.0)
                    low, high = measured.caf_percent_low, measured.caf_percent_high
                    found.append(low <= whole.caf_percent <= high)
                    widths[parts].append(high - low)
    return {k: (sum(v), len(v), float(np.median(widths[k]))) for k, v in held.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    default = ROOT.parent / "shared" / "data" / "slides" / "reexposed_fields"
    parser.add_argument("--fields", type=Path, default=default)
    parser.add_argument("--pieces", type=int, default=0, help="phantom slides a stain to cut up")
    options = parser.parse_args()
    if options.pieces:
        for stain in ("psr", "masson"):
            for parts, (hits, count, width) in pieces_held(stain, options.pieces).items():
                print(
                    f"{stain:7} cut into {parts}: {hits} of {count} limits hold the whole's "
                    f"fraction; median width {width:.1f} points",
                    flush=True,
                )
        return 0
    folder = options.fields
    if not folder.is_dir():
        print(f"no fields at {folder}")
        return 1
    print(f"{'rule':26} {'stain':7} {'fields':>6} {'median':>7} {'mean':>6} {'worst':>6}  points")
    for name, rule in RULES.items():
        for stain in ("psr", "masson"):
            found = ranges(folder, stain, rule)
            print(
                f"{name:26} {stain:7} {len(found):6} {np.median(found):7.2f} "
                f"{np.mean(found):6.2f} {max(found):6.2f}"
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
