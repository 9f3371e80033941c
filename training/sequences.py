"""Signal of tissues in MR sequences as people have them, for training on labelled CT.

A grey level for each tissue comes from the signal equation of a sequence drawn at random:
T2-weighted spin echo with and without fat suppression; T1-weighted gradient echo before and after
contrast medium, in and out of phase, Dixon's water and fat, the hepatobiliary phase; balanced
gradient echo; diffusion from b 0 to 800. Relaxation times at 1.5 T are those of de Bazelaire et
al., Radiology 2004;230:652-659 and Stanisz et al., Magn Reson Med 2005;54:507-512, each varied at
random. So the levels that occur together in MR, such as a liver as dark as muscle between
suppressed fat, occur together in training, while no MR scan is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .draw import Draw


@dataclass(frozen=True)
class Tissue:
    """What a sequence sees of a tissue."""

    t1_ms: float
    """At 1.5 T."""

    t2_ms: float
    """At 1.5 T."""

    protons: float
    """Proton density, of water."""

    adc: float
    """Apparent diffusion coefficient in 1e-3 mm2/s."""

    uptake: float
    """How much contrast medium it takes up, of blood."""

    moves: float = 0.0
    """Share of the signal that flow takes away in a spin echo."""


FLUID = Tissue(2800, 800, 1.0, 2.8, 0.02)
MUSCLE = Tissue(1000, 44, 0.75, 1.5, 0.2)
FAT = Tissue(343, 90, 0.9, 0.1, 0.05)
MARROW = Tissue(550, 55, 0.6, 0.4, 0.2)
CORTEX = Tissue(1000, 10, 0.1, 0.3, 0.05)
BLOOD = Tissue(1441, 250, 0.9, 1.8, 1.0, moves=0.9)
SLOW_BLOOD = Tissue(1441, 250, 0.9, 1.8, 1.0)
LIVER_TISSUE = Tissue(586, 46, 0.8, 1.1, 0.5)

# by BTCV's organ numbers, from 1: spleen, kidneys, gallbladder, oesophagus, liver, stomach, aorta,
# inferior vena cava, portal and splenic veins, pancreas, adrenal glands
ORGAN_TISSUES = (
    Tissue(1057, 79, 0.85, 0.9, 0.6),
    Tissue(1200, 85, 0.9, 2.0, 0.8),
    Tissue(1200, 85, 0.9, 2.0, 0.8),
    Tissue(2200, 400, 1.0, 2.8, 0.02),
    Tissue(950, 50, 0.8, 1.5, 0.3),
    LIVER_TISSUE,
    Tissue(1400, 120, 0.85, 2.0, 0.25),
    BLOOD,
    BLOOD,
    BLOOD,
    Tissue(584, 48, 0.8, 1.4, 0.5),
    Tissue(700, 65, 0.8, 1.3, 0.5),
    Tissue(700, 65, 0.8, 1.3, 0.5),
)

_KINDS = ("t2", "t1", "balanced", "diffusion")
_SHARES = (0.42, 0.36, 0.09, 0.13)
_T1_KINDS = ("plain", "in_phase", "out_of_phase", "water", "fat")
_T1_SHARES = (0.45, 0.15, 0.2, 0.15, 0.05)
_B_VALUES = (0.0, 0.05, 0.4, 0.8)  # 1e3 s/mm2


class PulseSequence:
    """The signal of a tissue under one set of sequence parameters; tissues vary at each call."""

    def __init__(self, kind: str, draw: Draw) -> None:
        self.kind, self.draw = kind, draw
        self.te_ms = draw.uniform(55, 140)
        self.tr_ms = draw.uniform(1500, 9000)
        self.flip = 90.0
        self.b = float(draw.rng.choice(_B_VALUES)) * draw.uniform(0.8, 1.2)
        self.fat_left = draw.uniform(0.03, 0.3) if draw.chance(0.65) else draw.uniform(0.6, 1.2)
        if kind == "diffusion":
            self.fat_left = draw.uniform(0.02, 0.3)
        self.flow = draw.uniform(0.6, 1.0) if draw.chance(0.75) else 0.0
        self.iron = draw.uniform(0.4, 1.0) if draw.chance(0.25) else 1.0  # of the liver's T2
        self.contrast_medium = 0.0  # relaxivity times concentration, 1/s in blood
        self.liver_uptake, self.other_uptake = draw.uniform(0.2, 1.8), 1.0
        self.image, self.liver_fat = "plain", 0.0
        self.cancels = 0.0  # share of the signal lost where fat and water share a voxel
        if kind == "t1":
            self._draw_t1()

    def _draw_t1(self) -> None:
        """Volumetric or slice by slice, Dixon's images, contrast medium, the late liver phase."""
        draw = self.draw
        if draw.chance(0.6):
            self.tr_ms, self.flip = draw.uniform(3, 8), draw.uniform(8, 18)
        else:
            self.tr_ms, self.flip = draw.uniform(80, 200), draw.uniform(55, 85)
        self.image = str(draw.rng.choice(_T1_KINDS, p=_T1_SHARES))
        self.liver_fat = draw.uniform(0.05, 0.35) if draw.chance(0.3) else 0.0
        if self.image == "water":
            self.fat_left = draw.uniform(0.0, 0.1)
        elif self.image != "plain":
            self.fat_left = 1.0
        if self.image == "out_of_phase" or (self.image == "plain" and draw.chance(0.25)):
            self.cancels = draw.uniform(0.3, 0.95)
        if draw.chance(0.6):
            self.contrast_medium = draw.uniform(0.5, 12)
            if draw.chance(0.2):  # hepatobiliary: the liver keeps what the blood has lost
                self.liver_uptake, self.other_uptake = (
                    draw.uniform(1.5, 3.5),
                    draw.uniform(0.1, 0.5),
                )

    def __call__(self, tissue: Tissue) -> float:
        """Signal of a tissue; its relaxation times vary a little at each call."""
        draw, is_liver = self.draw, tissue is LIVER_TISSUE
        t1 = tissue.t1_ms * float(np.exp(draw.rng.normal(0, 0.15)))
        t2 = tissue.t2_ms * float(np.exp(draw.rng.normal(0, 0.18)))
        uptake, protons = tissue.uptake * self.other_uptake, tissue.protons
        if is_liver:
            t2 *= self.iron
            uptake = self.liver_uptake
            mixed = {"in_phase": self.liver_fat, "out_of_phase": -self.liver_fat}
            protons *= 1 - self.liver_fat + mixed.get(self.image, 0.0)
        if self.image == "fat" and tissue is not FAT:
            protons *= self.liver_fat if is_liver else draw.uniform(0.01, 0.06)
        still = 1 - tissue.moves * self.flow
        if self.kind == "t2":
            recovered = 1 - np.exp(-self.tr_ms / t1)
            return float(protons * still * np.exp(-self.te_ms / t2) * recovered)
        if self.kind == "diffusion":
            adc = tissue.adc * draw.uniform(0.8, 1.2)
            return float(protons * still * np.exp(-self.te_ms / t2 - self.b * adc))
        if self.kind == "balanced":
            return protons / (1 + t1 / t2)
        rate = 1 / t1 + self.contrast_medium * uptake / 1000
        e1 = np.exp(-self.tr_ms * rate)
        flip = np.deg2rad(self.flip)
        return float(protons * np.sin(flip) * (1 - e1) / (1 - np.cos(flip) * e1))


def draw_sequence(draw: Draw) -> PulseSequence:
    """A sequence as often as people have it."""
    return PulseSequence(str(draw.rng.choice(_KINDS, p=_SHARES)), draw)
