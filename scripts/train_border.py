"""Train the perceptron that places the liver's border on CT (models/border.py).

    python -m fibrovol.scripts.train_border LABELLED --hold-out btcv13 btcv21 ... \\
        --work FOLDER -o border.pt

LABELLED contains CTs with label maps in BTCV's numbers. The network of --weights (default: the
shipped one) looks at each case as it is; at every second one of the first twelve also with weak
contrast and more noise, at the others with ascites drawn in, and at every third with metastases.
What it finds stays in --work, so that a second run takes minutes. ``scripts/release_liver.py
--border`` puts the result into the bundle.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from fibrovol.files import sha256_file
from fibrovol.imaging import postprocess
from fibrovol.imaging.engines.liver_net import shipped_weights
from fibrovol.models.border import BorderNet, features_of, look_at_border
from fibrovol.models.grid import NetworkGrid, sample
from fibrovol.models.inference import LIVER, OTHER, load_weights, predict
from fibrovol.models.network import build_network
from fibrovol.scripts.evaluation.sick_livers import Body, ascites, metastases
from fibrovol.training.dataset import find_pairs, load_labelled
from torch import Tensor
from torch.nn import functional

MOST_POINTS = 50_000
"""Of one picture, drawn at random: a large liver counts no more than a small one."""

STEPS, BATCH, RATE, DECAY = 4000, 8192, 3e-3, 1e-3
LIVER_COUNTS = 1.22
"""How much more a voxel of liver counts in the loss: without, livers that were not trained
on came out 1.2 % too small (btcv13, btcv21)."""

_UNENHANCED_HU = 40.0


def pale(body: Body, rng: np.random.Generator) -> Body:
    """As without a contrast agent: soft tissue nearly at one level, and more noise."""
    over = np.clip(body.hu - _UNENHANCED_HU, 0, 160)
    hu = body.hu - over * (1 - rng.uniform(0.1, 0.5))
    hu = hu + rng.normal(0, rng.uniform(8, 20), hu.shape)
    return Body(hu.astype(np.float32), body.organs, body.spacing_mm)


DRAWN_CASES = 12
"""Cases of which other pictures are drawn; more would take the network too long."""

Change = Callable[[Body, np.random.Generator], Body]


def variants(number: int) -> dict[str, Change]:
    """What is drawn of the case of a number, by name."""
    chosen: dict[str, Change] = {"as it is": lambda body, _: body}
    if number >= DRAWN_CASES:
        return chosen
    chosen |= {"ascites": ascites} if number % 2 else {"pale": pale}
    return chosen | ({"metastases": metastases} if number % 3 == 0 else {})


def examples(
    labelled: Path, held_out: list[str], weights: Path, work: Path
) -> Iterator[tuple[Tensor, Tensor]]:
    """Features (n, :data:`N_FEATURES`) and whether they are of liver (n,), for each picture."""
    network = load_weights(build_network(), str(weights))
    known = sha256_file(weights)[:12]
    work.mkdir(parents=True, exist_ok=True)
    pairs = [pair for pair in find_pairs(labelled) if pair[0] not in held_out]
    for number, (name, scan, labels) in enumerate(pairs):
        hu, organs, image = load_labelled(scan, labels)
        spacing = tuple(float(mm) for mm in image.header.get_zooms()[:3])
        for variant, change in variants(number).items():
            rng = np.random.default_rng(zlib.crc32(f"{name}: {variant}".encode()))
            body = change(Body(hu, organs, (spacing[0], spacing[1], spacing[2])), rng)
            kept = work / f"{known}_{name}_{variant.replace(' ', '_')}.npz"
            if not kept.exists():
                found, grid = predict(network, body.hu, image.affine, is_ct=True)
                np.savez(kept, found=found.numpy().astype(np.float16), affine=grid.affine,
                         grey=grid.image.numpy(), spacing_mm=grid.spacing_mm)  # fmt: skip
            print(name, variant, flush=True)
            with np.load(kept) as read:
                found = read["found"].astype(np.float32)
                grey = torch.from_numpy(read["grey"])
                grid = NetworkGrid(grey, read["affine"], float(read["spacing_mm"]))
            liver = postprocess.solid_organ(found[LIVER])
            border = look_at_border(liver, grid, body.hu, image.affine)
            if border is None:
                continue
            true = sample(
                torch.from_numpy(body.liver.astype(np.float32)),
                np.linalg.inv(image.affine) @ border.affine,
                shape=border.where.shape,
                outside=0.0,
            )
            features = features_of(border, liver, found[OTHER], grid)
            chosen = torch.from_numpy(rng.permutation(len(features))[:MOST_POINTS])
            yield features[chosen], (true[border.where] > 0.5).float()[chosen]


def fit(features: Tensor, true: Tensor, *, steps: int = STEPS, seed: int = 0) -> BorderNet:
    """A perceptron trained on the points by cross-entropy.

    Args:
        features: (n, :data:`N_FEATURES`).
        true: (n,), 1 where there is liver.
        steps: of :data:`BATCH` points each.
        seed: of the weights and the order.
    """
    torch.manual_seed(seed)
    net = BorderNet()
    counts = torch.tensor(LIVER_COUNTS)
    optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=DECAY)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    for step in range(steps):
        chosen = torch.randint(len(features), (BATCH,))
        odds, inside = net(features[chosen]), true[chosen]
        loss = functional.binary_cross_entropy_with_logits(odds, inside, pos_weight=counts)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rate.step()
        if step % 250 == 0:
            print(f"step {step}, loss {loss.item():.4f}", flush=True)
    return net.eval()


def main() -> None:
    """Look, train and save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("labelled", type=Path)
    parser.add_argument("--hold-out", nargs="+", required=True)
    parser.add_argument("--weights", type=Path, default=shipped_weights())
    parser.add_argument("--work", type=Path, required=True, help="keeps what the network found")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    seen = list(examples(arguments.labelled, arguments.hold_out, arguments.weights, arguments.work))
    net = fit(torch.cat([features for features, _ in seen]), torch.cat([true for _, true in seen]))
    torch.save(net.state_dict(), arguments.output)
    print(f"{sum(len(true) for _, true in seen)} points of {len(seen)} pictures")


if __name__ == "__main__":
    main()
