"""Learning from corrections: exactly the corrected outlines, and a training of two steps."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import nibabel
import numpy as np
import pytest
from fibrovol.analysis.reviews import make_review
from fibrovol.cli import main
from fibrovol.errors import InputError
from fibrovol.review.correct import Painted, save_labels
from fibrovol.review.results import Results
from fibrovol.review.scans import LIVER, SPLEEN, ScanShelf, read_labels
from fibrovol.review.training_cases import write_training_cases
from fibrovol.review.verdicts import add_review
from fibrovol.tables import read_table, write_table

from .folder import write_results

CASES = ("Kim-01_baseline_scan", "Kim-02_baseline_scan", "Kim-02_month6_scan")


def correct(results: Results, case_id: str) -> np.ndarray:
    case = results.state().cases[case_id]
    scan = ScanShelf(results).get(case)
    labels = read_labels(results.directory, case, scan)
    labels[tuple(np.argwhere(labels == LIVER)[:20].T)] = 0
    save_labels(results, case, scan, Painted(labels, "r1", 0, case.mask_sha256))
    return labels


@pytest.mark.xdist_group("monai")
def test_corrected_outlines_are_trained_on_and_others_named(tmp_path: Path, capsys) -> None:
    results = Results(write_results(tmp_path))
    with pytest.raises(InputError, match="no corrected outline"):
        write_training_cases(results.directory, tmp_path / "none")
    rows = read_table(results.directory, "volumes")
    write_table(
        results.directory,
        "volumes",
        [{**r, "modality": "MR" if r["case_id"] == CASES[1] else r["modality"]} for r in rows],
    )
    labels = [correct(results, case_id) for case_id in CASES]
    case = results.state().cases[CASES[2]]
    said = {"verdict": "reject", "reason": "motion or other artefacts", "reader": "r1"}
    row = make_review(case.read, said, at=datetime.now(UTC), version="")
    add_review(results.directory, results.work, row)
    (tmp_path / "two.yaml").write_text("steps: 2\nbatch: 1\nthreads: 1\n", encoding="utf-8")
    words = ["train", "--from-reviews", str(results.directory), "-o", str(tmp_path / "out")]
    assert main([*words, "--recipe", str(tmp_path / "two.yaml"), "--json"]) == 0
    said_so = capsys.readouterr()
    assert f"{CASES[1]} is left out: it is MR" in said_so.err
    assert f"{CASES[2]} is left out: a reader rejected it" in said_so.err
    folder = tmp_path / "out" / "reviews"
    assert sorted(path.name for path in folder.iterdir()) == [
        f"{CASES[0]}_ct.nii.gz", f"{CASES[0]}_organs.nii.gz", "training.csv",
    ]  # fmt: skip
    organs = np.asarray(nibabel.load(folder / f"{CASES[0]}_organs.nii.gz").dataobj)
    assert np.array_equal(organs == 6, labels[0] == LIVER)
    assert np.array_equal(organs == 1, labels[0] == SPLEEN)
    assert (folder / "training.csv").read_text(encoding="utf-8").count(CASES[0]) == 1
    assert Path(json.loads(said_so.out)["weights"]).stat().st_size > 1_000_000


@pytest.mark.parametrize("words", [[], ["folder", "--from-reviews", "results"]])
def test_what_to_train_on_is_asked_strictly(tmp_path: Path, capsys, words) -> None:
    assert main(["train", *words, "-o", str(tmp_path / "out")]) == 1
    assert "What to train on is not clear" in capsys.readouterr().err
