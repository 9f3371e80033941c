"""How each tissue looks on CT (HU) and on two MR sequences (arbitrary signal)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Contrast:
    """A modality's values.

    Attributes:
        modality: "CT" or "MR".
        name: what the series description says.
        values: tissue to HU or signal.
        spread: random change of each tissue's value from scan to scan, one standard deviation.
        noise: standard deviation of the noise.
        texture: standard deviation of the tissues' own unevenness.
    """

    modality: str
    name: str
    values: dict[str, float]
    spread: float
    noise: float
    texture: float


CT_PORTAL_VENOUS = Contrast(
    modality="CT",
    name="Abdomen portal venous phantom",
    values={
        "air": -1000, "skin": 10, "fat": -105, "visceral_fat": -98, "muscle": 58, "lung": -840,
        "heart_wall": 105, "heart_blood": 155, "disc": 85, "bone": 480, "marrow": 210, "canal": 32,
        "cartilage": 110, "bowel_wall": 75, "bowel_content": 35, "bowel_fluid": 15, "feces": 20,
        "gas": -960, "stomach_wall": 72, "stomach_fluid": 18, "pancreas": 92, "kidney_cortex": 190,
        "kidney_medulla": 165, "spleen": 122, "aorta": 158, "portal_vein": 160, "vein": 142,
        "ivc": 128, "liver": 108, "gallbladder_wall": 55, "gallbladder": 9, "ascites": 8,
        "table": -150,
    },
    spread=4.0,
    noise=11.0,
    texture=3.0,
)  # fmt: skip

MR_T2_FAT_SUPPRESSED = Contrast(
    modality="MR",
    name="T2 SPIR phantom",
    values={
        "air": 4, "skin": 90, "fat": 70, "visceral_fat": 80, "muscle": 90, "lung": 14,
        "heart_wall": 110, "heart_blood": 60, "disc": 330, "bone": 25, "marrow": 170, "canal": 700,
        "cartilage": 110, "bowel_wall": 240, "bowel_content": 330, "bowel_fluid": 640, "feces": 130,
        "gas": 6, "stomach_wall": 230, "stomach_fluid": 620, "pancreas": 260, "kidney_cortex": 560,
        "kidney_medulla": 620, "spleen": 470, "aorta": 45, "portal_vein": 330, "vein": 310,
        "ivc": 150, "liver": 195, "gallbladder_wall": 220, "gallbladder": 800, "ascites": 820,
        "table": 4,
    },
    spread=10.0,
    noise=16.0,
    texture=8.0,
)  # fmt: skip

MR_T1_WATER = Contrast(
    modality="MR",
    name="T1 Dixon water phantom",
    values={
        "air": 3, "skin": 120, "fat": 55, "visceral_fat": 60, "muscle": 250, "lung": 18,
        "heart_wall": 260, "heart_blood": 420, "disc": 200, "bone": 30, "marrow": 120, "canal": 130,
        "cartilage": 160, "bowel_wall": 260, "bowel_content": 210, "bowel_fluid": 120, "feces": 240,
        "gas": 6, "stomach_wall": 280, "stomach_fluid": 110, "pancreas": 380, "kidney_cortex": 420,
        "kidney_medulla": 330, "spleen": 300, "aorta": 520, "portal_vein": 500, "vein": 490,
        "ivc": 440, "liver": 400, "gallbladder_wall": 280, "gallbladder": 150, "ascites": 90,
        "table": 3,
    },
    spread=10.0,
    noise=12.0,
    texture=6.0,
)  # fmt: skip
