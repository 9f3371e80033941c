"""What is blinded stays so: pictures without subjects, arms without names."""

from __future__ import annotations

import csv
import html
import json
from dataclasses import replace
from pathlib import Path

from fibrovol.analysis.inputs import read_inputs
from fibrovol.report.blind import blind_arms
from fibrovol.report.page import build_report

from .cohort import write_directory
from .html_page import Page


def test_blinded_pictures_say_nothing(tmp_path: Path) -> None:
    directory = write_directory(tmp_path, 5, images_only=True)
    build_report(directory, blind=True)
    text = (directory / "report_blind.html").read_text(encoding="utf-8")
    page = Page(text)
    said = " ".join(page.text) + " ".join(str(a) for _, a in page.attributes if "src" not in a)
    for secret in ("P01", "P03", "baseline", "month6", "S01", "mL", "thick_slices", "psr"):
        assert secret not in said
    key = (directory / "report_blind_key.csv").read_text(encoding="utf-8").splitlines()
    assert key[0] == "code,subject,timepoint,case_id,kind"
    assert len(key) == 1 + len([1 for tag, _ in page.attributes if tag == "img"])
    order = [line.split(",")[-2] for line in key[1:]]
    assert order != sorted(order)
    build_report(directory, blind=True, seed=1)
    assert (directory / "report_blind.html").read_text(encoding="utf-8") != text


def test_blinded_arms_have_letters_that_the_page_does_not_give_away(tmp_path: Path) -> None:
    directory = write_directory(tmp_path, 8)
    study = json.loads((directory / "study.json").read_text(encoding="utf-8"))
    for index, entry in enumerate(study["subjects"]):
        entry["group"] = "cells & G-CSF" if index % 3 else "control"
    (directory / "study.json").write_text(json.dumps(study), encoding="utf-8")
    build_report(directory, blind=True)
    said = html.unescape((directory / "report_blind_arms.html").read_text(encoding="utf-8"))
    assert "cells & G-CSF" not in said
    assert "control:" not in said
    with (directory / "report_blind_arms_key.csv").open(encoding="utf-8") as stream:
        key = {row["code"]: row["arm"] for row in csv.DictReader(stream)}
    for code, arm in key.items():
        assert f"{code}: {5 if arm != 'control' else 3} subjects" in said
    inputs = read_inputs(directory)
    assert len({blind_arms(inputs, seed)[1] for seed in range(8)}) == 2
    open_page = html.unescape((directory / "report.html").read_text(encoding="utf-8"))
    assert "cells & G-CSF: 5 subjects" in open_page
    alone = replace(inputs.design, groups=dict.fromkeys(inputs.design.subjects, "all"))
    assert blind_arms(replace(inputs, design=alone))[1] == ""
