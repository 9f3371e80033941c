"""Shifted dates: one shift a subject, a list that stays with its owner, nothing that undoes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fibrovol.batch.runner import run_study
from fibrovol.cli import main
from fibrovol.errors import ManifestError, OutputError
from fibrovol.intake.date_shifts import LONGEST_DRAWN_DAYS, date_shifts, read_shifts
from fibrovol.intake.study import read_study
from fibrovol.tests.batch import cases_for_tests as texts


def test_a_list_that_is_not_there_is_drawn_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "private" / "shifts.csv"
    subjects = [f"S{number:03d}" for number in range(200)]
    drawn = date_shifts(path, [*subjects, *subjects], results=tmp_path / "results")
    assert list(drawn) == subjects
    assert all(-LONGEST_DRAWN_DAYS <= days <= -1 for days in drawn.values())
    assert len(set(drawn.values())) > 100  # not one for all
    assert date_shifts(path, subjects[:5]) == {name: drawn[name] for name in subjects[:5]}
    assert read_shifts(path) == drawn
    assert date_shifts(tmp_path / "other.csv", subjects) != drawn


def test_a_list_of_the_trial_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "shifts.csv"
    path.write_text("subject, days\nA , -40\nB,1000\nC,7\n", encoding="utf-8-sig")
    before = path.read_bytes()
    assert date_shifts(path, ["B", "A"]) == {"A": -40, "B": 1000}
    assert path.read_bytes() == before


def test_a_subject_without_a_shift_is_refused_with_lines_to_add(tmp_path: Path) -> None:
    path = tmp_path / "shifts.csv"
    path.write_text("subject,days\nA,-40\n", encoding="utf-8")
    with pytest.raises(ManifestError, match="no shift for 2 of 3") as refusal:
        date_shifts(path, ["A", "S2", "S3"])
    assert refusal.value.found == "S2, S3"
    lines = refusal.value.do.rpartition(": ")[2].split("; ")
    path.write_text("\n".join(["subject,days", "A,-40", *lines]) + "\n", encoding="utf-8")
    assert set(date_shifts(path, ["A", "S2", "S3"])) == {"A", "S2", "S3"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("subject,days\nA,0\n", "days is 0"),
        ("subject,days\nA,40000\n", "more than 36500"),
        ("subject,days\nA,x\n", "not a whole number"),
        ("subject,days\nA,\n", "lacks subject or days"),
        ("subject,days\nA,1\nA,2\n", "line 3: the subject appears twice"),
        ("id,shift\nA,1\n", "lacks subject or days"),
        ("subject,days\n\x00,1\n", ""),
    ],
)
def test_a_wrong_list_is_refused(tmp_path: Path, text: str, found: str) -> None:
    path = tmp_path / "shifts.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError) as refusal:
        date_shifts(path, ["A"])
    assert refusal.value.code == "bad_manifest"
    assert found in refusal.value.found


def test_the_list_never_lies_among_the_results(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="may not lie in the results"):
        date_shifts(tmp_path / "results" / "shifts.csv", ["A"], results=tmp_path / "results")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("words", [[], ["--dicom", "--keep-identity"]])
def test_it_asks_for_dicom_results_without_identity(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "study.csv").write_text(
        "subject,timepoint,kind,path\nA,base,scan,scan\n", encoding="utf-8"
    )
    shifts = tmp_path / "shifts.csv"
    command = ["run", str(tmp_path / "study.csv"), "-o", str(tmp_path / "out")]
    assert main([*command, "--shift-dates", str(shifts), *words]) == 1
    assert "--shift-dates changes the dates" in capsys.readouterr().err
    assert not shifts.exists()


def test_another_shift_writes_that_subjects_scans_again(tmp_path: Path) -> None:
    study = read_study(texts.write_texts(tmp_path / "in", ["1500", "1600", "1700"]))
    one = {"S0001": -5, "S0002": -9}
    counts, hashes = [], set()
    for shifts in (one, one, {**one, "S0001": -6}, None):
        summary = run_study(study, tmp_path / "out", measure=texts.measure_text, date_shifts=shifts)
        counts.append(summary.n_reused)
        provenance = json.loads((tmp_path / "out" / "provenance.json").read_text(encoding="utf-8"))
        hashes.add(tuple(case["parameters_sha256"] for case in provenance["cases"].values()))
    assert counts == [0, 3, 1, 0]
    assert len(hashes) == 1  # a few hundred shifts could be tried out on a hash
    shared = [path for path in (tmp_path / "out").glob("*") if path.is_file()]
    assert not any(b"date_shift" in path.read_bytes() for path in shared)
