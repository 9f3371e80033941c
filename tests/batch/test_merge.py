"""Parts of a study, measured apart, are together what one run would have written."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fibrovol.batch.lock import hold
from fibrovol.batch.merge import merge_parts
from fibrovol.batch.pool import available_cores
from fibrovol.batch.runner import run_study
from fibrovol.batch.verify import verify
from fibrovol.cli import main
from fibrovol.errors import ConfigError, OutputError
from fibrovol.intake.shards import take_cases, take_shard
from fibrovol.intake.study import read_study
from fibrovol.settings import load_settings
from fibrovol.tables import read_table
from fibrovol.tests.batch import cases_for_tests as texts

WORDS = [*(str(1000 + n) for n in range(23)), "bad"]


@pytest.fixture
def study(tmp_path):
    return read_study(texts.write_texts(tmp_path / "in", WORDS))


def _run(study, output, **options):
    return run_study(study, output, measure=texts.measure_text, **options)


def _shards(study, folder, count):
    for number in range(1, count + 1):
        part = take_shard(study, f"{number}/{count}")
        if part.cases:
            _run(part, folder / f"{number}-of-{count}")
    return sorted(folder.iterdir())


def _tables(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.csv")}


@pytest.mark.parametrize("count", [1, 5, 50])
def test_shards_merge_to_what_one_run_writes(tmp_path, study, count):
    _run(study, tmp_path / "one")
    parts = _shards(study, tmp_path / "shards", count)
    summary = merge_parts(study, parts, tmp_path / "out")
    assert (summary.n_cases, summary.n_measured) == (24, 23)
    assert _tables(tmp_path / "out") == _tables(tmp_path / "one")
    study_json = [(tmp_path / name / "study.json").read_bytes() for name in ("one", "out")]
    assert study_json[0] == study_json[1]
    rows = read_table(tmp_path / "out", "volumes")
    assert len({row["case_id"] for row in rows}) == len(rows) == 24
    assert verify(tmp_path / "out").mismatches == ()
    again = _run(study, tmp_path / "out")
    assert again.n_reused == 24  # the whole run finds everything finished
    assert _tables(tmp_path / "out") == _tables(tmp_path / "one")


def test_every_case_is_in_one_shard(study):
    for count in (1, 2, 7, 24, 50):
        ids = [
            case.case_id
            for number in range(1, count + 1)
            for case in take_shard(study, f"{number}/{count}").cases
        ]
        assert sorted(ids) == sorted(case.case_id for case in study.cases)


def test_a_missing_case_is_named_and_nothing_is_written(tmp_path, study):
    parts = _shards(study, tmp_path / "shards", 4)
    with pytest.raises(OutputError, match="6 of 24 cases are in no part") as caught:
        merge_parts(study, parts[1:], tmp_path / "out")
    assert study.cases[0].case_id in str(caught.value)
    assert not (tmp_path / "out" / "volumes.csv").exists()
    missing = [case.case_id for case in take_shard(study, "1/4").cases]
    _run(take_cases(study, missing), tmp_path / "by-name")
    merge_parts(study, [*parts[1:], tmp_path / "by-name"], tmp_path / "out")
    assert len(read_table(tmp_path / "out", "volumes")) == 24


def test_parts_that_do_not_fit_together_are_refused(tmp_path, study):
    parts = _shards(study, tmp_path / "shards", 2)
    merge = lambda *more: merge_parts(study, [*parts, *more], tmp_path / "out")  # noqa: E731
    # another study's case
    other = read_study(texts.write_texts(tmp_path / "other", ["1000"] * 30))
    _run(other, tmp_path / "others")
    with pytest.raises(OutputError, match="cases that the study does not have"):
        merge(tmp_path / "others")
    # other settings
    changed = load_settings({"report": {"require_review": True}})
    _run(take_shard(study, "1/2"), tmp_path / "changed", settings=changed)
    with pytest.raises(OutputError, match="different settings"):
        merge(tmp_path / "changed")
    # the same case with another value
    study.cases[0].path.write_text("1777\n", encoding="utf-8")
    _run(take_cases(study, [study.cases[0].case_id]), tmp_path / "newer")
    with pytest.raises(OutputError, match="disagree about the case S0001_baseline_scan"):
        merge(tmp_path / "newer")
    # still running
    with hold(parts[0] / ".fibrovol"), pytest.raises(OutputError, match="still being measured"):
        merge()
    # a mask that was edited, then lost
    mask = next((parts[0] / "masks").iterdir())
    mask.write_text("edited\n", encoding="utf-8")
    with pytest.raises(OutputError, match="changed after it was written"):
        merge()
    mask.unlink()
    with pytest.raises(OutputError, match="is missing"):
        merge()
    assert not (tmp_path / "out" / "volumes.csv").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"written_path": "other.txt"},
        {"path": Path("elsewhere/other.txt")},
        {"timepoint": "month9"},
        {"mask": Path("m.nii")},
        {"series_uid": "1.2"},
    ],
    ids=str,
)
def test_a_study_that_was_changed_since_is_refused(tmp_path, study, change):
    """The lines of two visits exchanged: their cases would get each other's numbers."""
    parts = _shards(study, tmp_path / "shards", 2)
    first, *rest = study.cases
    changed = replace(study, cases=(replace(first, **change), *rest))
    with pytest.raises(OutputError, match="The study was changed after the case"):
        merge_parts(changed, parts, tmp_path / "out")
    assert not (tmp_path / "out" / "volumes.csv").exists()
    with pytest.raises(OutputError, match="written over a part"):
        merge_parts(study, parts, parts[0])
    moved = [replace(c, path=Path("/mnt/elsewhere") / c.path.name) for c in study.cases]
    assert merge_parts(replace(study, cases=tuple(moved)), parts, tmp_path / "out").n_cases == 24


def test_a_part_does_not_drop_the_rows_of_a_whole_run(tmp_path, study):
    _run(study, tmp_path / "out")
    before = _tables(tmp_path / "out")
    with pytest.raises(OutputError, match="results of other cases"):
        _run(take_cases(study, [study.cases[3].case_id]), tmp_path / "out")
    assert _tables(tmp_path / "out") == before


def test_a_slip_in_a_case_or_a_shard_is_said(study):
    with pytest.raises(ConfigError, match="did you mean 'S0001_baseline_scan'"):
        take_cases(study, ["S0001_baseline_scn"])
    for shard in ("0/4", "5/4", "1", "a/b", "1/0", "-1/4"):
        with pytest.raises(ConfigError, match="such as 3/50"):
            take_shard(study, shard)


@pytest.mark.skipif(os.name == "nt", reason="signals are not of Windows")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_job_that_is_ended_leaves_no_half_file_and_goes_on(tmp_path, how, monkeypatch):
    """What a scheduler does to a job at its time limit."""
    texts.leave_the_code_out(monkeypatch.setattr)
    source = texts.write_texts(tmp_path / "in", ["sleep0.2"] * 12)
    command = [sys.executable, "-m", "fibrovol.tests.batch.run_for_tests"]
    process = subprocess.Popen([*command, str(source), str(tmp_path / "out"), "one"])
    deadline = time.monotonic() + 60
    while len(list((tmp_path / "out" / "masks").glob("*"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(how)
    process.wait(timeout=30)
    assert not (tmp_path / "out" / "volumes.csv").exists()
    for mask in (tmp_path / "out" / "masks").glob("*"):
        assert mask.read_text(encoding="utf-8").endswith("\n")
    study = read_study(source)
    summary = run_study(study, tmp_path / "out", measure=texts.measure_text)
    assert summary.n_reused >= 2  # a third may be published and not yet noted
    assert len(read_table(tmp_path / "out", "volumes")) == 12


def test_a_job_takes_no_more_cores_than_it_was_given(monkeypatch):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    assert available_cores() == 1
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1000000")
    assert available_cores() < 1000000


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
def test_the_commands_of_a_job_array(tmp_path, capsys):
    """From study.csv to the report with the commands as a user gives them; every case fails."""
    source = texts.write_texts(tmp_path / "in", ["no scan"] * 2)
    out = tmp_path / "out"
    for number in (1, 2, 3):
        shard = ["--shard", f"{number}/3"]
        status = main(["run", str(source), "-o", str(out), *shard, "--json"])
        assert status == (3 if number < 3 else 0)
    assert sorted(path.name for path in (out / "shards").iterdir()) == [
        f"{number}-of-3" for number in (1, 2)
    ]
    assert not list(out.rglob("report.html"))
    capsys.readouterr()
    assert main(["merge", str(source), "-o", str(out), "--json"]) == 3
    result = json.loads(capsys.readouterr().out)
    assert (result["n_cases"], result["n_failed"], result["n_reused"]) == (2, 2, 2)
    assert (out / "report.html").stat().st_size > 1000
    shifts = ["--dicom", "--shift-dates", str(tmp_path / "shifts.csv")]
    assert main(["run", str(source), "-o", str(out), "--shard", "1/2", *shifts]) == 1
    assert "each part would draw different ones" in capsys.readouterr().err
