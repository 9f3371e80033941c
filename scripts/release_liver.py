"""Put weights into models/liver: threshold, limits and metadata from cases not trained on.

    python scripts/release_liver.py --weights CT MR --border BORDER --version 0.3.0 \\
        --change WHAT --labelled FOLDER --hold-out btcv13 ...

Bends and recolours cases that the weights were not trained on (never an MR), measures the copies,
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
from fibrovol.models.border import Border, load_border, place_border, weigh_border
from fibrovol.models.inference import LIVER, OTHER, load_weights
from fibrovol.models.looks import LOOKS, predict_by_looks
from fibrovol.models.network import build_network
from fibrovol.training.bundle import BundleFacts, write_bundle
from fibrovol.training.calibrate import (
    LARGEST_FAT_SHARE,
    Measure,
    Trial,
    best_threshold,
    fat_share,
    fit_limits,
    from_patient_to_patient,
    run_trials,
)
from fibrovol.training.dataset import find_pairs, load_case
from fibrovol.training.geometry import Case
from numpy.typing import NDArray

KINDS = ("ct", "mr")
MR_THRESHOLDS = (0.4, 0.45, 0.5, 0.55)


def calibrate(
    weights: dict[bool, Path],
    border: Path,
    labelled: Path,
    names: Sequence[str],
    copies: int,
    largest_spread: float,
    kept: dict[str, dict[str, Any]],
    mr_thresholds: Sequence[float],
) -> dict[str, Any]:
    """Threshold and limits from held-out cases, for scans up to the spread that is accepted.

    Weights are by whether they are for CT; what is kept, by ``ct`` or ``mr``.
    """
    networks = {is_ct: load_weights(build_network(), str(path)) for is_ct, path in weights.items()}
    border_net = load_border(border)

    def measure(
        array: NDArray[Any], affine: NDArray[np.float64], is_ct: bool, thresholds: Sequence[float]
    ) -> list[tuple[float, float]]:
        looks = () if is_ct else LOOKS  # as the bundle is written
        probability, grid = predict_by_looks(
            networks[is_ct], array, affine, is_ct=is_ct, looks=looks
        )
        found = []
        for threshold in thresholds:
            soft = postprocess.solid_organ(probability[LIVER].numpy(), threshold)
            spread = volumetry.threshold_spread(soft, low=0.2, high=0.8, threshold=threshold)
            if is_ct:
                other = probability[OTHER].numpy()
                placed = place_border(border_net, soft, other, grid, array, affine)
            else:
                placed = weigh_border(soft, grid, array, affine)
            found.append((0.0 if placed is None else _placed_ml(placed, threshold), spread))
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
    found: dict[str, Any] = {"threshold": {}, "volume_limits": {}}
    for kind in KINDS:
        if kind in kept:
            for what, values in found.items():
                values[kind] = kept[kind][what]
            continue
        if kind == "ct":
            threshold, trials = 0.5, run_trials(cases, measure, copies=copies, is_ct=True)[0.5]
            _say("CT", trials)
        else:
            threshold, trials = _mr_trials(cases, measure, copies, largest_spread, mr_thresholds)
        found["threshold"][kind] = threshold
        found["volume_limits"][kind] = fit_limits(trials)
        _say_from_patient_to_patient(kind, trials)
    return {**found, "largest_spread": largest_spread}


def _mr_trials(
    cases: Sequence[Case],
    measure: Measure,
    copies: int,
    largest_spread: float,
    thresholds: Sequence[float],
) -> tuple[float, list[Trial]]:
    """The threshold without bias in the median, and the copies that would not be refused."""
    by_threshold = run_trials(cases, measure, copies=copies, is_ct=False, thresholds=thresholds)
    for threshold, trials in by_threshold.items():
        _say(f"MR at {threshold}", trials)
    threshold = best_threshold(by_threshold)
    accepted = [t for t in by_threshold[threshold] if t.spread <= largest_spread]
    _say(f"MR at {threshold}, accepted", accepted)
    return threshold, accepted


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


def _say_from_patient_to_patient(kind: str, trials: Sequence[Trial]) -> None:
    try:
        tried = from_patient_to_patient(trials)
    except ValueError as error:  # hours of measuring are not lost for it
        print(f"{kind}: limits were not tried from patient to patient: {error}")
        return
    for name, (limits, held) in tried.items():
        print(f"{kind} without {name}: {limits}, which hold {held:.0%} of its copies")


def main() -> None:
    """Calibrate and write the bundle."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, nargs=2, required=True, metavar=("CT", "MR"))
    parser.add_argument("--border", type=Path, required=True, help="of scripts/train_border.py")
    parser.add_argument(
        "--keep", choices=KINDS, nargs="*", default=[], help="whose threshold and limits stay"
    )
    parser.add_argument("--version", required=True)
    parser.add_argument("--change", required=True, help="what this version changed")
    parser.add_argument("--labelled", type=Path, required=True)
    parser.add_argument("--hold-out", nargs="+", required=True)
    parser.add_argument(
        "--largest-spread", type=float, help="beyond it no number is given (default: unchanged)"
    )
    parser.add_argument("--mr-thresholds", type=float, nargs="+", default=MR_THRESHOLDS)
    parser.add_argument("--copies", type=int, default=40, help="of each case")
    parser.add_argument("--metrics", type=json.loads, default={}, help="JSON of measured figures")
    parser.add_argument("--spleen", action="store_true", help="the spleen is good enough")
    arguments = parser.parse_args()
    metadata_path = bundle_folder() / "configs" / "metadata.json"
    before = json.loads(metadata_path.read_text(encoding="utf-8"))
    largest_spread = arguments.largest_spread or before["fibrovol"]["largest_spread"]
    weights = dict(zip((True, False), arguments.weights, strict=True))
    found = calibrate(
        weights,
        arguments.border,
        arguments.labelled,
        arguments.hold_out,
        arguments.copies,
        largest_spread,
        {
            kind: {what: before["fibrovol"][what][kind] for what in ("threshold", "volume_limits")}
            for kind in arguments.keep
        },
        arguments.mr_thresholds,
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
        halves = [Path(folder) / "model.pt", Path(folder) / "model_mr.pt"]
        for source, half in zip(weights.values(), halves, strict=True):
            state = torch.load(source, weights_only=True)
            # float16 keeps 3 of their digits, and is half as large
            torch.save(
                {k: v.half() if v.is_floating_point() else v for k, v in state.items()}, half
            )
        others = {halves[1].name: halves[1], "border.pt": arguments.border}
        write_bundle(bundle_folder(), halves[0], facts, others=others)


if __name__ == "__main__":
    main()
