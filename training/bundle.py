"""Write a MONAI bundle around trained weights, in the Model Zoo's layout and keys."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..files import atomic_path, sha256_file, write_text
from ..models.grid import CT_WINDOW_HU
from ..models.inference import SPACING_MM, WINDOW
from ..models.looks import LOOKS, Look
from ..models.network import CLASSES

NO_OTHERS: Mapping[str, Path] = MappingProxyType({})


@dataclass(frozen=True)
class BundleFacts:
    """What a bundle says of its weights."""

    version: str
    """The bundle's version."""

    description: str
    """A sentence or two."""

    authors: str
    """Who trained it."""

    data_source: str
    """What it was trained on, with licence."""

    changelog: dict[str, str]
    """Version to what changed."""

    eval_metrics: dict[str, float]
    """Name to measured value."""

    volume_limits: dict[str, dict[str, float] | None]
    """For "ct" and "mr", ``floor`` and ``slope`` of the relative half-width of the 95 % limits
    against the network's own spread; None if they are not known."""

    largest_spread: float
    """The spread beyond which no number is given, near the 95th percentile of the held-out copies
    in synthesised contrast."""

    spleen: bool = True
    """Whether the spleen is good enough to be reported."""

    references: list[str] = field(default_factory=list)
    """What to cite."""

    name: str = "Liver on CT and MR"
    """What the bundle is called."""

    threshold: dict[str, float] = field(default_factory=lambda: {"ct": 0.5, "mr": 0.5})
    """For "ct" and "mr", the probability above which a voxel is liver."""

    looks: dict[str, Sequence[Look]] = field(default_factory=lambda: {"ct": (), "mr": LOOKS})
    """For "ct" and "mr", how a liver that was found is looked at again; the limits hold for
    these."""

    training: dict[str, Any] = field(default_factory=dict)
    """How the weights were made: settings, seed, cases and steps."""


def write_bundle(
    folder: Path, weights: Path, facts: BundleFacts, *, others: Mapping[str, Path] = NO_OTHERS
) -> Path:
    """Lay out configs/, models/ and docs/ of a bundle around a state dict.

    Files that a person may have edited (docs, LICENSE) are left alone where they exist.

    Args:
        folder: the bundle folder, made where missing.
        weights: a state dict of :func:`build_network`, saved by torch.
        facts: what to say of it.
        others: further weights by the name of their file, such as ``border.pt``.

    Returns:
        the folder.
    """
    sha256 = {}
    for name, source in {"model.pt": weights, **others}.items():
        sha256[name] = sha256_file(_copied(source, folder / "models" / name))
    metadata = _metadata(facts, sha256)
    write_text(folder / "configs" / "metadata.json", json.dumps(metadata, indent=4) + "\n")
    config = folder / "configs" / "inference.yaml"
    if not config.exists():
        shipped = resources.files("fibrovol.models") / "liver/configs/inference.yaml"
        write_text(config, shipped.read_text("utf-8"))
    return folder


def _copied(source: Path, target: Path) -> Path:
    if target.resolve() != source.resolve():
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)
    return target


def bundle_of_training(training: Path) -> Path:
    """Make a bundle of what :func:`fibrovol.training.train.train` left in a folder.

    Nothing was measured with it yet: it claims no limits of the volume and no Dice.

    Args:
        training: contains ``model.pt`` and ``settings.json``.

    Returns:
        the bundle's folder, ``bundle`` in it.
    """
    settings = json.loads((training / "settings.json").read_text(encoding="utf-8"))
    cases = ", ".join(settings["cases"])
    folder = training / "bundle"
    facts = BundleFacts(
        name="Liver network trained by the user",
        version="0.0.1",
        description="Fibrovol's liver network, trained on the user's own labelled CTs.",
        authors="the user of fibrovol train",
        data_source=f"{len(settings['cases'])} labelled CTs: {cases}",
        changelog={"0.0.1": f"{settings['steps']} steps"},
        eval_metrics={},
        volume_limits={"ct": None, "mr": None},
        largest_spread=1.0,
        spleen=False,
        training=settings,
    )
    card = folder / "docs" / "README.md"
    if not card.exists():
        write_text(
            card,
            f"# {facts.name}\n\n{facts.description}\n\n"
            f"- Trained on {facts.data_source}.\n"
            f"- {settings['steps']} steps in {settings['minutes']:g} minutes, seed "
            f"{settings['seed']}.\n"
            "- Not measured yet: `fibrovol evaluate FOLDER --liver-label N --only CASES "
            f"--bundle {folder.name} --trust-bundle` on cases it was not trained on.\n\n"
            "Intended use: research. Not for diagnosis.\n",
        )
    return write_bundle(folder, training / "model.pt", facts)


def _metadata(facts: BundleFacts, sha256: Mapping[str, str]) -> dict[str, Any]:
    low, high = CT_WINDOW_HU
    return {
        "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/"
        "0.8.1/meta_schema_20240725.json",
        "version": facts.version,
        "changelog": facts.changelog,
        "monai_version": version("monai"),
        "pytorch_version": version("torch").split("+")[0],
        "numpy_version": version("numpy"),
        "required_packages_version": {
            "nibabel": version("nibabel"),
            "python": platform.python_version(),
        },
        "supported_apps": {},
        "name": facts.name,
        "task": "Segmentation of liver and spleen on abdominal CT and MR",
        "description": facts.description,
        "authors": facts.authors,
        "copyright": "Copyright (c) The Fibrovol developers",
        "data_source": facts.data_source,
        "data_type": "nibabel",
        "image_classes": f"single channel: CT, HU {low:g} to {high:g} scaled to 0..1; or MR, the "
        "scan's 0.5th percentile to 0 and its tissue's 99.5th to 1",
        "label_classes": "single channel: 1 liver, 2 spleen, 3 other abdominal organs",
        "pred_classes": "4 channels, softmax: " + ", ".join(CLASSES),
        "eval_metrics": facts.eval_metrics,
        "intended_use": "Research. Not for diagnosis, not a medical device.",
        "references": facts.references,
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "hounsfield",
                    "modality": "CT, MR",
                    "num_channels": 1,
                    "spatial_shape": list(WINDOW),
                    "dtype": "float32",
                    "value_range": [0, 1],
                    "is_patch_data": True,
                    "channel_def": {"0": "image"},
                }
            },
            "outputs": {
                "pred": {
                    "type": "image",
                    "format": "segmentation",
                    "num_channels": len(CLASSES),
                    "spatial_shape": list(WINDOW),
                    "dtype": "float32",
                    "value_range": [0, 1],
                    "is_patch_data": True,
                    "channel_def": {str(n): name for n, name in enumerate(CLASSES)},
                }
            },
        },
        "fibrovol": {
            "sha256": dict(sha256),
            "spacing_mm": SPACING_MM,
            "volume_limits": facts.volume_limits,
            "threshold": facts.threshold,
            "looks": {
                kind: [asdict(look) for look in looks] for kind, looks in facts.looks.items()
            },
            "largest_spread": facts.largest_spread,
            "spleen": facts.spleen,
            **({"training": facts.training} if facts.training else {}),
        },
    }
