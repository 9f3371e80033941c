"""``fibrovol plan`` from a results folder to numbers, curve and figure."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree  # our own file # nosec B405

import pytest
from fibrovol.cli import main
from fibrovol.tables import write_table


@pytest.fixture
def results(tmp_path: Path) -> Path:
    write_table(
        tmp_path,
        "statistics",
        [
            {"measure": "liver_volume_ml", "quantity": "sd_change", "n": 18, "value": 95.0},
            {"measure": "caf_percent", "quantity": "mean_change", "n": 1, "value": 2.0},
        ],
    )
    return tmp_path


def test_one_arm_as_r_plans_it(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # power.t.test(delta = 60, sd = 95, power = 0.8, type = "paired", strict = TRUE): n = 21.68
    figure = results / "curve.svg"
    options = ["--difference", "60", "--dropout", "0.2", "--figure", str(figure)]
    assert main(["plan", str(results), *options]) == 0
    said = capsys.readouterr().out
    assert "SD of the changes of liver volume in this study: 95 mL (n = 18)." in said
    assert "22 compared, 28 enrolled" in said
    assert "   22 compared: power  80.6 %" in said
    # with the SD's upper limit, 95 sqrt(17 / qchisq(0.025, 17)) = 142.42: n = 46.18
    assert "upper 95 % limit of the SD (142.4 mL): 47 compared, 59 enrolled" in said
    root = ElementTree.fromstring(figure.read_text(encoding="utf-8"))  # nosec B314
    assert root.tag.endswith("svg")
    words = " ".join(text for text in root.itertext())
    assert "SD at its upper 95 % limit" in words
    assert "80 % power with 22 subjects" in words
    assert "var(--ink)" in figure.read_text(encoding="utf-8")
    assert "--ink: #" in figure.read_text(encoding="utf-8")


def test_two_arms_as_json(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # power.t.test(delta = 60, sd = 95, power = 0.9, strict = TRUE): n = 53.65
    options = ["--difference", "60", "--arms", "2", "--power", "0.9", "--json"]
    assert main(["plan", str(results), *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["compared_per_arm"], found["enrolled_per_arm"]) == (54, 54)
    assert found["sd_change_high"] == pytest.approx(142.41868, abs=1e-3)
    powers = [one["power"] for one in found["curve"]]
    assert powers == sorted(powers)
    assert {one["compared_per_arm"] for one in found["curve"]} >= {54}


def test_what_cannot_be_planned_says_why(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, said in (
        (["--measure", "caf_percent", "--difference", "2"], "no sd_change of caf_percent"),
        (["--difference", "0"], "needs a difference"),
    ):
        assert main(["plan", str(results), *options]) == 1
        assert said in capsys.readouterr().err


def test_a_study_with_arms_is_planned_from_the_spread_within_them(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [("", 22, 80.9283), ("[control]", 11, 48.8939), ("[cells]", 11, 53.1556)]
    write_table(
        results,
        "statistics",
        [
            {"measure": f"liver_volume_ml{arm}", "quantity": "sd_change", "n": n, "value": sd}
            for arm, n, sd in rows
        ],
    )
    assert main(["plan", str(results), "--difference", "40", "--arms", "2"]) == 0
    said = capsys.readouterr().out
    # R: sqrt((10 * 48.8939^2 + 10 * 53.1556^2) / 20) = 51.069; power.t.test gives n = 26.6
    assert "51.07 mL (n = 22, within its arms)" in said
    assert "27 compared in each arm" in said
