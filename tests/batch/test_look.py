"""status, verify, the lock and the journal: what can be seen of a run, while it goes and after."""

import json
import subprocess
import sys
import threading
import time
import zlib
from dataclasses import replace

import jsonschema
import pytest
from fibrovol.batch.journal import Journal, read_records
from fibrovol.batch.lock import hold
from fibrovol.batch.progress import read_status
from fibrovol.batch.record import Record
from fibrovol.batch.runner import run_study
from fibrovol.batch.task import CaseResult
from fibrovol.batch.verify import verify
from fibrovol.cli import main
from fibrovol.errors import Failure, OutputError
from fibrovol.intake.study import read_study
from fibrovol.tests.batch import cases_for_tests as texts

pytestmark = pytest.mark.xdist_group("serial")


def _record(case_id, number):
    return Record(
        CaseResult(case_id, {"n": number}),
        kind="scan",
        path="",
        inputs=(),
        code_sha256="",
        parameters_sha256="",
        date_shift_days=None,
        attempts=1,
        finished="",
    )


@pytest.fixture
def finished(tmp_path):
    source = texts.write_texts(tmp_path / "in", ["1500", "1650", "bad", "1200"])
    run_study(read_study(source), tmp_path / "out", measure=texts.measure_text)
    return tmp_path / "out"


@pytest.fixture(scope="module")
def schema(repository):
    text = (repository / "configs" / "provenance.schema.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def _provenance(folder):
    return json.loads((folder / "provenance.json").read_text(encoding="utf-8"))


def test_provenance_is_as_its_schema_says(finished, schema):
    schema.validate(_provenance(finished))


@pytest.mark.parametrize(
    "damage",
    [
        lambda p: p["cases"]["S0001_baseline_scan"].pop("code_sha256"),
        lambda p: p["cases"]["S0001_baseline_scan"]["input"].update(sha256="x"),
        lambda p: p["cases"]["S0001_baseline_scan"]["input"].update(content_sha256=""),
        lambda p: p["cases"]["S0001_baseline_scan"]["outputs"].update({"../x": "0" * 64}),
        lambda p: p["cases"]["S0001_baseline_scan"].update(path="/data/KIM"),
        lambda p: p.update(written="today"),
        lambda p: p.pop("versions"),
    ],
)
def test_the_schema_refuses_what_provenance_must_not_be(finished, schema, damage):
    provenance = _provenance(finished)
    damage(provenance)
    assert not schema.is_valid(provenance)


def test_a_finished_run_says_so_and_why_cases_failed(finished, capsys):
    status = read_status(finished)
    assert (status.state, status.progress.done, status.progress.n_failed) == ("finished", 4, 1)
    assert status.failures[0][0] == "S0002_baseline_scan"
    assert main(["status", str(finished)]) == 0
    out = capsys.readouterr().out
    assert "Finished: 4 of 4 cases finished, 1 failed." in out
    assert "S0002_baseline_scan: too few" in out
    assert main(["status", str(finished), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "finished"


def test_a_running_run_can_be_watched_without_disturbing_it(tmp_path):
    source = texts.write_texts(tmp_path / "in", ["sleep0.7"] * 6)
    out = tmp_path / "out"
    thread = threading.Thread(
        target=lambda: run_study(read_study(source), out, measure=texts.measure_text)
    )
    thread.start()
    states = set()
    while thread.is_alive():
        try:
            status = read_status(out)
        except OutputError:
            status = None  # it has not begun to write
        if status is not None and thread.is_alive():
            states.add((status.state, status.progress.done))
        time.sleep(0.1)
    thread.join()
    assert {state for state, _ in states} <= {"running", "finished"}
    assert ("running", 0) in states
    assert any(0 < done < 6 for _, done in states)
    assert read_status(out).state == "finished"


def test_a_folder_without_results_is_named_as_such(tmp_path, capsys):
    for command in ("status", "verify"):
        assert main([command, str(tmp_path)]) == 1
        assert "results" in capsys.readouterr().err


def test_verify_finds_nothing_where_nothing_changed(finished, capsys):
    found = verify(finished)
    assert found.mismatches == ()
    assert (found.n_inputs, found.n_tables) == (4, 1)
    assert main(["verify", str(finished)]) == 0
    assert "All are as they were" in capsys.readouterr().out


def test_verify_names_all_that_changed(finished, tmp_path, capsys):
    (tmp_path / "in" / "scan0.txt").write_text("9999\n", encoding="utf-8")
    (tmp_path / "in" / "scan1.txt").unlink()
    (finished / "masks" / "S0001_month6_scan.txt").write_text("edited", encoding="utf-8")
    (finished / "masks" / "S0002_month6_scan.txt").unlink()
    table = finished / "volumes.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("1500", "2500"), encoding="utf-8")
    found = {(one.what, one.name): one.problem for one in verify(finished).mismatches}
    assert set(found) == {
        ("input", "S0001_baseline_scan"),
        ("input", "S0001_month6_scan"),
        ("output", "masks/S0001_month6_scan.txt"),
        ("output", "masks/S0002_month6_scan.txt"),
        ("table", "volumes.csv"),
    }
    assert "not the content" in found["input", "S0001_baseline_scan"]
    assert main(["verify", str(finished), "--json"]) == 3
    assert len(json.loads(capsys.readouterr().out)["mismatches"]) == 5


def test_verify_reads_nothing_outside_of_the_folder(finished):
    provenance = _provenance(finished)
    provenance["cases"]["S0001_baseline_scan"]["outputs"] = {"../in/scan0.txt": "0" * 64}
    (finished / "provenance.json").write_text(json.dumps(provenance), encoding="utf-8")
    (found,) = verify(finished).mismatches
    assert found.problem == "it is outside the results folder"


HOLDER = """
import sys, time
from pathlib import Path
from fibrovol.batch.lock import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_run_into_one_directory_says_who_holds_it(finished, tmp_path):
    study = read_study(tmp_path / "in" / "study.csv")
    command = [sys.executable, "-c", HOLDER, str(finished / ".fibrovol")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(OutputError) as caught:
            run_study(study, finished, measure=texts.measure_text)
        assert caught.value.code == "output_in_use"
        assert f"process {process.pid}" in str(caught.value)
        assert read_status(finished).state == "running"
        process.kill()
    # a killed run holds nothing
    assert run_study(study, finished, measure=texts.measure_text).n_reused == 4


def test_the_lock_is_let_go_after_an_error(tmp_path):
    with pytest.raises(RuntimeError), hold(tmp_path):
        raise RuntimeError
    with hold(tmp_path):
        pass


def test_the_journal_keeps_the_newest_and_does_not_grow_for_ever(tmp_path):
    path = tmp_path / "journal.jsonl"
    for number in range(400):
        with Journal(path) as journal:
            journal.add(_record(f"c{number % 3}", number))
    assert {r.case_id: r.result.row["n"] for r in read_records(path)} == {
        "c0": 399,
        "c1": 397,
        "c2": 398,
    }
    assert len(path.read_bytes().splitlines()) < 120


def test_reading_a_journal_that_is_being_written_leaves_it_alone(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.add(_record("a", 1))
    half = path.read_bytes() + b"0123"
    path.write_bytes(half)
    assert [r.case_id for r in read_records(path)] == ["a"]
    assert path.read_bytes() == half


def test_a_line_of_another_version_is_passed_over_and_not_taken_for_damage(tmp_path):
    path = tmp_path / "journal.jsonl"
    text = b'{"case_id":"old","row":{}}'
    path.write_bytes(b"%08x %s\n" % (zlib.crc32(text), text))
    with Journal(path) as journal:
        assert journal.get("old") is None
        journal.add(_record("new", 2))
    with Journal(path) as journal:
        assert journal.get("new").result.row == {"n": 2}


def test_a_failure_is_the_same_after_the_journal(tmp_path):
    path = tmp_path / "journal.jsonl"
    why = Failure("too_few_slices", "Only: two", found="2", do="send more")
    record = replace(_record("a", 1), result=CaseResult("a", failure=why))
    with Journal(path) as journal:
        journal.add(record)
        assert journal.get("a") == record
    assert str(why) == "too_few_slices: Only: two. Found: 2. What to do: send more."
