"""What a training needs to go on, in files of under 16 MiB: some machines give back no more."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..files import move

_PART_BYTES = 12 * 2**20
_HELD = "tensor:"  # marks, in the first part, a tensor that is in another


def write_checkpoint(folder: Path, values: dict[str, Any]) -> None:
    """Save nested dicts, lists, numbers and tensors; an older checkpoint stays until it is whole.

    Args:
        folder: made anew; what it held is replaced.
        values: what to save.
    """
    tensors: list[Tensor] = []
    outline = _take_out(values, tensors)
    fresh, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    for leftover in (fresh, old) if folder.exists() else (fresh,):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh.mkdir(parents=True)
    torch.save(outline, fresh / "outline.pt")
    for number, part in enumerate(_parts(tensors)):
        torch.save(part, fresh / f"part{number:03d}.pt")
    if folder.exists():
        move(folder, old)
    move(fresh, folder)
    shutil.rmtree(old, ignore_errors=True)


def read_checkpoint(folder: Path, device: str) -> dict[str, Any] | None:
    """What :func:`write_checkpoint` saved, on a device; None if there is none."""
    old = folder.with_name(folder.name + ".old")
    if not folder.exists():
        if not old.exists():
            return None
        folder = old  # killed between two renames: the older one is whole
    tensors: dict[str, Tensor] = {}
    for path in sorted(folder.glob("part*.pt")):
        tensors.update(torch.load(path, map_location=device, weights_only=True))
    outline = torch.load(folder / "outline.pt", map_location="cpu", weights_only=True)
    values: dict[str, Any] = _put_back(outline, tensors)
    return values


def _take_out(value: Any, tensors: list[Tensor]) -> Any:
    if isinstance(value, Tensor):
        tensors.append(value.detach())
        return f"{_HELD}{len(tensors) - 1}"
    if isinstance(value, dict):
        return {key: _take_out(inner, tensors) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_take_out(inner, tensors) for inner in value]
    return value


def _put_back(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, str) and value.startswith(_HELD):
        return tensors[value]
    if isinstance(value, dict):
        return {key: _put_back(inner, tensors) for key, inner in value.items()}
    if isinstance(value, list):
        return [_put_back(inner, tensors) for inner in value]
    return value


def _parts(tensors: list[Tensor]) -> Iterator[dict[str, Tensor]]:
    part: dict[str, Tensor] = {}
    size = 0
    for number, tensor in enumerate(tensors):
        n = tensor.numel() * tensor.element_size()
        if part and size + n > _PART_BYTES:
            yield part
            part, size = {}, 0
        part[f"{_HELD}{number}"] = tensor.contiguous().clone()
        size += n
    yield part
