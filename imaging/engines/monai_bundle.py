"""Any MONAI segmentation bundle by its folder: the layout of the Model Zoo's wholeBody_ct."""

from __future__ import annotations

import pickle  # only its error's name: weights_only loads no pickle # nosec B403
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import EngineError, suggest
from ...files import sha256_file
from ...models.device import Runner, choose_device
from .. import postprocess
from ..export.nifti import write_scan
from ..volume import Volume
from .base import EngineOptions, EngineResult

_CONFIGS = ("inference.json", "inference.yaml", "inference.yml")


def monai_bundle(volume: Volume, options: EngineOptions) -> EngineResult:
    """Segment with the network of a MONAI bundle, through its own preprocessing and inferer.

    The bundle's ``preprocessing``, ``inferer`` and ``network_def`` are used as its configuration
    gives them; the probability of the liver comes back to the scan's grid by MONAI's ``Invertd``.

    Raises:
        EngineError: no folder was given, it was not trusted, or it lacks what is needed.
    """
    folder = _folder(options)
    config = _config(folder)
    if "modality" in config:  # as the bundles that `fibrovol train` writes have it
        config["modality"] = volume.modality.lower()
    weights = folder / "models" / "model.pt"
    if not weights.is_file():
        raise EngineError(
            "weights_missing",
            f"the bundle {folder.name} has no weights",
            found=f"no {weights}",
            do="download the bundle whole, with models/model.pt",
        )
    channel = _liver_channel(config, options.settings.bundle_label, folder)
    device = choose_device(options.settings.device)
    network = Runner(_network(config, weights, folder), device)
    soft = postprocess.solid_organ(_probability(volume, config, network, channel))
    metadata = config.get_parsed_content("_meta_") or {}
    return EngineResult(
        liver=soft > 0.5,
        half_width=None,  # how wide its limits must be was never calibrated
        spleen=None,
        engine=f"monai_bundle {metadata.get('name', folder.name)} {metadata.get('version', '')}",
        engine_sha256=sha256_file(weights),
        flags=("device_fallback",) if network.fell_back else (),
        device=network.used,
    )


def _folder(options: EngineOptions) -> Path:
    folder = Path(options.settings.bundle)
    if not options.settings.bundle:
        raise EngineError(
            "bundle_not_usable",
            "the engine monai_bundle needs the folder of a bundle",
            do="name it with --bundle FOLDER",
        )
    if not (folder / "configs" / "metadata.json").is_file():
        raise EngineError(
            "bundle_not_usable",
            f"{folder} is not a MONAI bundle",
            found="no configs/metadata.json",
            do="give the folder that contains configs/ and models/",
        )
    if not options.trust_bundle:
        raise EngineError(
            "bundle_not_usable",
            "a MONAI bundle is a program, and this one was not trusted",
            found=str(folder),
            do="read its configs/, and give --trust-bundle if you trust who made it",
        )
    return folder


def _config(folder: Path) -> Any:
    from monai.bundle import ConfigParser  # noqa: PLC0415 - start-up time

    for name in _CONFIGS:
        path = folder / "configs" / name
        if path.is_file():
            parser = ConfigParser()
            parser.read_config(str(path))
            parser.read_meta(str(folder / "configs" / "metadata.json"))
            parser["bundle_root"] = str(folder)
            return parser
    raise EngineError(
        "bundle_not_usable",
        f"the bundle {folder.name} has no inference configuration",
        found=", ".join(sorted(p.name for p in (folder / "configs").iterdir())),
        do=f"it needs one of configs/{', configs/'.join(_CONFIGS)}",
    )


def _liver_channel(config: Any, label: str, folder: Path) -> int:
    """The number of the output channel that is the liver, from metadata.json's channel_def."""
    key = "_meta_::network_data_format::outputs::pred::channel_def"
    try:
        names = {int(n): str(name).lower() for n, name in config[key].items()}
    except (KeyError, AttributeError, ValueError):
        raise EngineError(
            "bundle_not_usable",
            f"the bundle {folder.name} does not say what its outputs are",
            found="no network_data_format/outputs/pred/channel_def in metadata.json",
            do="add it, with one name for each output channel",
        ) from None
    if label.isdigit() and int(label) in names:
        return int(label)
    matches = [n for n, name in names.items() if name == label.lower()]
    if len(matches) != 1:
        raise EngineError(
            "bundle_not_usable",
            f"the bundle {folder.name} has no output named {label!r}",
            found=", ".join(list(names.values())[:20]),
            do=suggest(label, names.values()),
        )
    return matches[0]


def _network(config: Any, weights: Path, folder: Path) -> Any:
    network = config.get_parsed_content("network_def")
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
        for wrapper in ("state_dict", "model"):
            if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
                state = state[wrapper]
        network.load_state_dict(state)
    except (RuntimeError, pickle.UnpicklingError) as error:
        raise EngineError(
            "bundle_not_usable",
            f"the weights of the bundle {folder.name} do not fit its network",
            found=str(error).splitlines()[0],
            do="download the bundle again, whole and of one version",
        ) from None
    return network.eval()


def _probability(volume: Volume, config: Any, network: Any, channel: int) -> NDArray[np.float32]:
    """The liver's softmax probability on the scan's grid."""
    from monai.transforms import Invertd  # noqa: PLC0415 - start-up time

    preprocessing = config.get_parsed_content("preprocessing")
    inferer = config.get_parsed_content("inferer")
    with tempfile.TemporaryDirectory(prefix="fibrovol-") as temporary:
        path = Path(temporary) / "scan.nii.gz"
        write_scan(volume, path)
        item = preprocessing({"image": str(path)})
        with torch.inference_mode():
            logits = inferer(item["image"][None].to("cpu"), network)[0]
            liver = logits.float().softmax(0)[channel : channel + 1].clone()
        # one channel only: a hundred of them at full size would not fit in memory
        item["pred"] = item["image"].clone()
        item["pred"].set_array(liver)
        back = Invertd(
            keys="pred", transform=preprocessing, orig_keys="image", nearest_interp=False
        )(item)
    return np.asarray(back["pred"][0], dtype=np.float32)
