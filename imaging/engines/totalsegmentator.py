"""TotalSegmentator by its Python API, offline: liver only, weights from a folder of the user's.

Left to itself the library downloads weights and reports each run to its authors' server. Here it
does neither: missing weights are refused before it starts, and it is given a settings folder in
which reporting is off.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import nibabel
import numpy as np

from ...errors import EngineError, how_to_install
from ...models.device import choose_device
from ..volume import Volume
from .base import EngineOptions, EngineResult

_CROP_TASK = {"total": 298, "total_mr": 852}
"""The coarse network with which the library finds the liver before it looks closely."""


def totalsegmentator(volume: Volume, options: EngineOptions) -> EngineResult:
    """Segment the liver with TotalSegmentator's ``total`` (CT) or ``total_mr`` network.

    Raises:
        EngineError: the library is not installed, or its weights are not where they should be.
    """
    if importlib.util.find_spec("totalsegmentator") is None:
        raise EngineError(
            "engine_not_installed",
            "TotalSegmentator is not installed",
            do=how_to_install("totalsegmentator"),
        )
    task = "total" if volume.modality == "CT" else "total_mr"
    with tempfile.TemporaryDirectory(prefix="fibrovol-") as home:
        quiet = {"totalseg_id": "fibrovol", "send_usage_stats": False, "prediction_counter": 0,
                 "statistics_disclaimer_shown": True}  # fmt: skip
        (Path(home) / "config.json").write_text(json.dumps(quiet), encoding="utf-8")
        changes = {"TOTALSEG_HOME_DIR": home, "TOTALSEG_WEIGHTS_PATH": str(_weights(options))}
        with _environment(changes):
            _check_weights(task, options)
            device = choose_device(options.settings.device)
            found = _run(volume, task, fast=options.settings.fast, device=device)
    return EngineResult(
        liver=found,
        half_width=None,  # it says nothing of how sure it is
        spleen=None,
        engine=f"totalsegmentator {version('TotalSegmentator')} {task}"
        + (" fast" if options.settings.fast else ""),
        engine_sha256="",
        device=device,
    )


def _weights(options: EngineOptions) -> Path:
    """The user's folder, TOTALSEG_WEIGHTS_PATH, or where the library keeps them."""
    if options.settings.weights:
        return Path(options.settings.weights)
    own = os.environ.get("TOTALSEG_WEIGHTS_PATH")
    return Path(own) if own else Path.home() / ".totalsegmentator" / "nnunet" / "results"


def _check_weights(task: str, options: EngineOptions) -> None:
    from totalsegmentator.libs import TASK_ID_WEIGHTS_CONFIGS  # noqa: PLC0415 - optional, heavy
    from totalsegmentator.python_api import get_task_config  # noqa: PLC0415

    with contextlib.redirect_stdout(None):  # it prints what it was asked for
        wanted = get_task_config(task, fast=options.settings.fast)["task_id"]
    numbers = [*(wanted if isinstance(wanted, list) else [wanted]), _CROP_TASK[task]]
    names = [TASK_ID_WEIGHTS_CONFIGS[number]["foldername"] for number in dict.fromkeys(numbers)]
    folder = _weights(options)
    missing = [name for name in names if not (folder / name).is_dir()]
    if missing:
        raise EngineError(
            "weights_missing",
            "TotalSegmentator's weights are missing",
            found=f"not in {folder}: {', '.join(missing)}",
            do=f"on a computer with internet run totalseg_download_weights -t {task}"
            + ("_fast" if options.settings.fast else "")
            + ", copy ~/.totalsegmentator/nnunet/results here, and name it with --weights",
        )


def _run(
    volume: Volume, task: str, *, fast: bool, device: str
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    from totalsegmentator.map_to_binary import class_map  # noqa: PLC0415 - optional, heavy
    from totalsegmentator.python_api import totalsegmentator as segment  # noqa: PLC0415

    kind = np.int16 if np.issubdtype(volume.array.dtype, np.integer) else np.float32
    labels = segment(
        nibabel.Nifti1Image(volume.array.astype(kind), volume.affine),
        None,
        ml=True,
        task=task,
        fast=fast,
        roi_subset=["liver"],
        device="gpu" if device == "cuda" else device,
        quiet=True,
        nr_thr_resamp=1,
        nr_thr_saving=1,
    )
    number = next(n for n, name in class_map[task].items() if name == "liver")
    found = np.asarray(labels.dataobj).round() == number
    if found.shape != volume.array.shape or not np.allclose(
        labels.affine, volume.affine, atol=1e-3
    ):
        raise EngineError(
            "bundle_not_usable",
            "TotalSegmentator returned a mask on another grid than the scan's",
            found=f"{found.shape}, the scan has {volume.array.shape}",
            do="report this with the version of TotalSegmentator",
        )
    return found


@contextlib.contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    """Set environment variables and put them back."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
