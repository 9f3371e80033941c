"""Put newly trained weights into models/liver: threshold, limits and metadata from held-out cases.

    python scripts/release_liver.py WEIGHTS --border BORDER --version 0.3.0 --change WHAT \\
        --labelled FOLDER --hold-out btcv13 ...

Bends and recolours the held-out cases (never the test cases, never an MR), measures the copies,
chooses the MR threshold without bias, fits the 95 % limits and writes the bundle. The figures of
the test cases (eval_metrics) come from ``fibrovol evaluate --json``, given with --metrics.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fibrovol.imaging import postprocess, volumetry
from fibrovol.imaging.engines.liver_net import bundle_folder
from fibrovol.models.border import Border, load_border, place_border
from fibrovol.models.inference import LIVER, OTHER, load_weights, predict
from fibrovol.models.looks import look_again
from fibrovol.models.network import build_network
from fibrovol.training.bundle import BundleFacts, write_bundle
from fibrovol.training.calibrate import (
    LARGEST_FAT_SHARE,
    Trial,
    best_threshold,
    fat_share,
    fit_limits,
    run_trials,
)
from fibrovol.training.dataset import find_pairs, load_case
from numpy.typing import NDArray

MR_THRESHOLDS = (0.25, 0.3, 0.35, 0.4, 0.45, 0.5)


def calibrate(
    weights: Path,
    border: Path,
    labelled: Path,
    names: Sequence[str],
    copies: int,
    largest_spread: float,
    kept_mr: dict[str, Any] | None,
) -> dict[str, Any]:
    """Threshold and limits from held-out cases, for scans up to the spread that is accepted."""
    network = load_weights(build_network(), str(weights))
    border_net = load_border(border)

    def measure(
        array: NDArray[Any], affine: NDArray[np.float64], is_ct: bool, thresholds: Sequence[float]
    ) -> list[tuple[float, float]]:
        probability, grid = predict(network, array, affine, is_ct=is_ct)
        if not is_ct:  # as the engine does with what the bundle says of scales
            looks = look_again(network, array, affine, probability, grid, is_ct=False)
            probability = torch.stack([probability, *looks]).mean(0)
        found = []
        for threshold in thresholds:
            soft = postprocess.solid_organ(probability[LIVER].numpy(), threshold)
            ml = float((soft > threshold).sum()) * grid.spacing_mm**3 / 1000
            spread = volumetry.threshold_spread(soft, low=0.2, high=0.8, threshold=threshold)
            if is_ct:
                other = probability[OTHER].numpy()
                placed = place_border(border_net, soft, other, grid, array, affine)
                ml = 0.0 if placed is None else _placed_ml(placed, threshold)
            found.append((ml, spread))
        return found

    pairs = [pair for pair in find_pairs(labelled) if pair[0] in names]
    if len(pairs) != len(names):
        raise SystemExit(f"{len(names)} cases were named, {len(pairs)} are in {labelled}")
    cases = []
    for name, scan, labels in pairs:
        case = load_case(scan, labels)
        share = fat_share(case)
        if share <= LARGEST_FAT_SHARE:
            cases.append(case)
        left_out = " (left out)" if share > LARGEST_FAT_SHARE else ""
        print(f"{name}: {100 * share:.2f} % of the liver's label is fat or lung{left_out}")
    ct = run_trials(cases, measure, copies=copies, is_ct=True)[0.5]
    _say("CT", ct)
    if kept_mr is not None:
        return {
            "threshold": {"ct": 0.5, "mr": kept_mr["threshold"]["mr"]},
            "volume_limits": {"ct": fit_limits(ct), "mr": kept_mr["volume_limits"]["mr"]},
            "largest_spread": largest_spread,
        }
    by_threshold = run_trials(cases, measure, copies=copies, is_ct=False, thresholds=MR_THRESHOLDS)
    for threshold, trials in by_threshold.items():
        _say(f"MR at {threshold}", trials)
    threshold = best_threshold(by_threshold)
    mr = by_threshold[threshold]
    accepted = [t for t in mr if t.spread <= largest_spread]
    _say(f"MR at {threshold}, accepted", accepted)
    return {
        "threshold": {"ct": 0.5, "mr": threshold},
        "volume_limits": {"ct": fit_limits(ct), "mr": fit_limits(accepted)},
        "largest_spread": largest_spread,
    }


def _placed_ml(placed: Border, threshold: float) -> float:
    solid = postprocess.solid_organ(placed.probability, threshold)
    voxel_ml = abs(float(np.linalg.det(placed.affine[:3, :3]))) / 1000
    return float(np.count_nonzero(solid > threshold)) * voxel_ml


def _say(what: str, trials: Sequence[Trial]) -> None:
    errors = [100 * (t.measured_ml / t.true_ml - 1) for t in trials]
    spreads = [t.spread for t in trials if np.isfinite(t.spread)]
    print(
        f"{what}: {len(trials)} copies, volume error median {np.median(errors):+.1f} %, "
        f"absolute {np.median(np.abs(errors)):.1f} %, 95th {np.quantile(np.abs(errors), 0.95):.1f} "
        f"%; spread median {np.median(spreads):.3f}, 95th {np.quantile(spreads, 0.95):.3f}",
        flush=True,
    )


def main() -> None:
    """Calibrate and write the bundle."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--border", type=Path, required=True, help="of scripts/train_border.py")
    parser.add_argument("--keep-mr", action="store_true", help="MR's threshold and limits stay")
    parser.add_argument("--version", required=True)
    parser.add_argument("--change", required=True, help="what this version changed")
    parser.add_argument("--labelled", type=Path, required=True)
    parser.add_argument("--hold-out", nargs="+", required=True)
    parser.add_argument(
        "--largest-spread", type=float, help="beyond it no number is given (default: unchanged)"
    )
    parser.add_argument("--copies", type=int, default=14)
    parser.add_argument("--metrics", type=json.loads, default={}, help="JSON of measured figures")
    parser.add_argument("--spleen", action="store_true", help="the spleen is good enough")
    arguments = parser.parse_args()
    metadata_path = bundle_folder() / "configs" / "metadata.json"
    before = json.loads(metadata_path.read_text(encoding="utf-8"))
    largest_spread = arguments.largest_spread or before["fibrovol"]["largest_spread"]
    found = calibrate(
        arguments.weights,
        arguments.border,
        arguments.labelled,
        arguments.hold_out,
        arguments.copies,
        largest_spread,
        before["fibrovol"] if arguments.keep_mr else None,
    )
    print(json.dumps(found, indent=2))
    facts = BundleFacts(
        version=arguments.version,
        description=before["description"],
        authors=before["authors"],
        data_source=before["data_source"],
        changelog={**before["changelog"], arguments.version: arguments.change},
        eval_metrics=arguments.metrics or before["eval_metrics"],
        references=before["references"],
        spleen=arguments.spleen,
        **found,
    )
    with tempfile.TemporaryDirectory() as folder:
        half = Path(folder) / "model.pt"  # float16 keeps 3 of their digits, and is half as large
        state = torch.load(arguments.weights, weights_only=True)
        torch.save({k: v.half() if v.is_floating_point() else v for k, v in state.items()}, half)
        write_bundle(bundle_folder(), half, facts, border=arguments.border)


if __name__ == "__main__":
    main()
