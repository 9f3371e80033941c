"""A run: every case has a row, nothing is measured twice, nothing of the user is overwritten."""

import contextlib
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from fibrovol.batch.runner import run_study, taken_ids
from fibrovol.batch.verify import verify
from fibrovol.errors import ManifestError, OutputError
from fibrovol.intake.study import command_line_case, read_study, study_of_cases
from fibrovol.settings import load_settings
from fibrovol.tables import read_table
from fibrovol.tests.batch import cases_for_tests as texts


def _like(paths, case):
    return [replace(case, path=path) for path in paths]


@pytest.fixture
def study(tmp_path):
    return read_study(texts.write_texts(tmp_path / "in", ["1500", "1650.5", "bad", "1200"]))


def _tables(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.csv")}


def test_every_case_has_a_row_and_the_failed_one_a_sentence(tmp_path, study):
    events = []
    summary = run_study(study, tmp_path / "out", measure=texts.measure_text, progress=events.append)
    rows = read_table(tmp_path / "out", "volumes")
    assert [row["status"] for row in rows] == ["measured", "measured", "failed", "measured"]
    assert [row["volume_ml"] for row in rows] == [1500, 1650.5, None, 1200]
    assert rows[0]["subject"] == "S0001"
    assert rows[2]["error"].startswith("too_few_slices: too few. Found: 2.")
    assert (tmp_path / "out" / rows[0]["mask_path"]).read_text(encoding="utf-8")
    assert summary.n_measured == 3
    assert [name for name, _ in summary.failures] == ["S0002_baseline_scan"]
    assert [event.event for event in events] == [
        "start",
        "measured",
        "measured",
        "failed",
        "measured",
        "end",
    ]
    assert events[-1].done == 4
    assert not (tmp_path / "out" / "collagen.csv").exists()


def test_a_second_run_measures_nothing_and_writes_the_same_bytes(tmp_path, study):
    out = tmp_path / "out"
    run_study(study, out, measure=texts.measure_text)
    first = _tables(out)
    summary = run_study(study, out, measure=texts.measure_text)
    assert summary.n_reused == 4
    assert _tables(out) == first
    assert all(texts.times_measured(case.path) == 1 for case in study.cases)
    fresh = tmp_path / "fresh"
    run_study(study, fresh, measure=texts.measure_text)
    assert _tables(fresh) == first


def test_what_changed_is_measured_again_and_nothing_else(tmp_path, study):
    out = tmp_path / "out"
    run_study(study, out, measure=texts.measure_text)
    study.cases[0].path.write_text("1600\n", encoding="utf-8")
    os.utime(study.cases[1].path, ns=(1, 1))  # touched, the same content
    (out / "masks" / "S0002_month6_scan.txt").unlink()
    run_study(study, out, measure=texts.measure_text)
    assert [texts.times_measured(case.path) for case in study.cases] == [2, 1, 1, 2]
    assert read_table(out, "volumes")[0]["volume_ml"] == 1600


def test_a_parameter_of_slides_does_not_measure_scans_again(tmp_path, study):
    out = tmp_path / "out"
    run_study(study, out, measure=texts.measure_text)
    for change, times in (
        ({"collagen": {"shortest_biopsy_mm": 10}}, 1),
        ({"run": {"case_time_limit_min": 5}}, 1),
        ({"liver": {"engine": "existing_mask"}}, 2),
    ):
        run_study(study, out, settings=load_settings(change), measure=texts.measure_text)
        assert texts.times_measured(study.cases[0].path) == times


def test_a_file_that_came_back_is_measured(tmp_path, study):
    out, path = tmp_path / "out", study.cases[3].path
    path.rename(path.with_suffix(".away"))
    run_study(study, out, measure=texts.measure_text)
    assert read_table(out, "volumes")[3]["status"] == "failed"
    path.with_suffix(".away").rename(path)
    assert run_study(study, out, measure=texts.measure_text).n_reused == 3
    assert read_table(out, "volumes")[3]["volume_ml"] == 1200


def test_an_edited_mask_is_kept(tmp_path, study):
    out = tmp_path / "out"
    run_study(study, out, measure=texts.measure_text)
    mask = out / "masks" / "S0001_baseline_scan.txt"
    mask.write_text("edited by hand", encoding="utf-8")
    study.cases[0].path.write_text("1700\n", encoding="utf-8")
    summary = run_study(study, out, measure=texts.measure_text)
    (kept,) = summary.kept
    assert (out / kept).read_text(encoding="utf-8") == "edited by hand"
    assert mask.read_text(encoding="utf-8") == "mask of 1700\n"
    # an edited mask of a case that is not measured again just stays
    mask.write_text("edited again", encoding="utf-8")
    run_study(study, out, measure=texts.measure_text)
    assert mask.read_text(encoding="utf-8") == "edited again"


def test_study_json_and_provenance_say_what_the_report_and_the_reader_need(tmp_path):
    source = texts.write_texts(tmp_path / "in", ["1500", "1650", "1200"])
    source.with_name("clinical.csv").write_text(
        "subject,timepoint,inr,name\nS0001,baseline,1.2,Kim\n", encoding="utf-8"
    )
    out = tmp_path / "out"
    run_study(read_study(source), out, measure=texts.measure_text)
    study = json.loads((out / "study.json").read_text(encoding="utf-8"))
    assert study["timepoints"] == ["baseline", "month6"]
    assert study["subjects"] == [
        {"subject": "S0001", "timepoints": ["baseline", "month6"]},
        {"subject": "S0002", "timepoints": ["baseline"]},
    ]
    assert study["biological_variation_percent"] == {"liver_volume_ml": 16.0}
    assert read_table(out, "clinical")[0]["inr"] == 1.2
    provenance = json.loads((out / "provenance.json").read_text(encoding="utf-8"))
    case = provenance["cases"]["S0001_baseline_scan"]
    assert case["input"]["n_files"] == 1
    assert len(case["input"]["content_sha256"]) == 64
    assert "masks/S0001_baseline_scan.txt" in case["outputs"]
    assert provenance["tables"]["volumes.csv"]
    package = json.loads((out / "datapackage.json").read_text(encoding="utf-8"))
    assert [r["name"] for r in package["resources"]] == ["volumes", "clinical"]
    for path in out.glob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert "Kim" not in text
            assert str(tmp_path) not in text, f"{path.name} says where the inputs lie"


def test_single_scans_gather_in_one_directory(tmp_path):
    texts.write_texts(tmp_path / "a", ["1000"])
    texts.write_texts(tmp_path / "b", ["2000"])
    out = tmp_path / "out"
    for folder in ("a", "b", "a"):
        study = study_of_cases(
            _like([tmp_path / folder / "scan0.txt"], command_line_case("scan")),
            taken=taken_ids(out),
        )
        run_study(study, out, measure=texts.measure_text)
    rows = read_table(out, "volumes")
    assert {row["case_id"]: row["volume_ml"] for row in rows} == {"scan0": 1000, "scan0_2": 2000}
    assert texts.times_measured(tmp_path / "a" / "scan0.txt") == 1
    cases = json.loads((out / "provenance.json").read_text(encoding="utf-8"))["cases"]
    assert set(cases) == {"scan0", "scan0_2"}


def test_a_study_and_single_scans_do_not_share_a_directory(tmp_path, study):
    single = study_of_cases(_like([study.cases[0].path], command_line_case("scan")))
    run_study(study, tmp_path / "study", measure=texts.measure_text)
    with pytest.raises(OutputError, match="those of a study"):
        run_study(single, tmp_path / "study", measure=texts.measure_text)
    run_study(single, tmp_path / "single", measure=texts.measure_text)
    with pytest.raises(OutputError, match="those of single scans"):
        run_study(study, tmp_path / "single", measure=texts.measure_text)


def test_nothing_to_measure_is_said():
    with pytest.raises(ManifestError, match="nothing to measure"):
        run_study(study_of_cases(_like([], command_line_case("scan"))), Path("never-made"))
    assert not Path("never-made").exists()


def test_stains_and_engines_that_do_not_exist_are_all_named_at_once(tmp_path):
    path = tmp_path / "study.csv"
    path.write_text(
        "subject,timepoint,kind,path,stain,engine\n"
        "A,base,slide,a.svs,mason,\nA,base,scan,a.nii.gz,,livernet\nB,base,slide,b.svs,psr,\n",
        encoding="utf-8",
    )
    with pytest.raises(ManifestError) as caught:
        run_study(read_study(path), tmp_path / "out")
    assert "line 2: the stain 'mason' is not known: did you mean 'masson'?" in str(caught.value)
    assert "line 3: the engine 'livernet' does not exist: did you mean 'liver_net'?" in str(
        caught.value
    )
    assert not (tmp_path / "out").exists()


def test_an_output_directory_in_the_way_is_refused(tmp_path, study):
    with pytest.raises(OutputError, match="own folder"):
        run_study(study, tmp_path / "in", measure=texts.measure_text)
    folder = tmp_path / "dicom"
    folder.mkdir()
    single = study_of_cases(_like([folder], command_line_case("scan")))
    with pytest.raises(OutputError, match="inside an input folder"):
        run_study(single, folder / "out", measure=texts.measure_text)
    file = tmp_path / "file"
    file.write_text("x", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot be written"):
        run_study(study, file, measure=texts.measure_text)


@pytest.mark.skipif(os.name == "nt", reason="links need a right on Windows")
@pytest.mark.parametrize(
    "name", ["masks", "overlays", "logs", "kept", ".fibrovol", ".fibrovol/staging"]
)
def test_no_link_leads_writing_out_of_the_output_directory(tmp_path, study, name):
    outside, out = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    (out / name).parent.mkdir(parents=True)
    (out / name).symlink_to(outside)
    with pytest.raises(OutputError, match="points outside it"):
        run_study(study, out, measure=texts.measure_text)
    assert not list(outside.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="links need a right on Windows")
def test_a_link_in_place_of_a_result_is_replaced_not_followed(tmp_path, study):
    victim, out = tmp_path / "victim", tmp_path / "out"
    victim.write_text("precious", encoding="utf-8")
    (out / "masks").mkdir(parents=True)
    (out / "datapackage.json").symlink_to(victim)
    (out / "masks" / "S0001_baseline_scan.txt").symlink_to(victim)
    run_study(study, out, measure=texts.measure_text)
    assert victim.read_text(encoding="utf-8") == "precious"


@pytest.mark.skipif(os.name == "nt", reason="links need a right on Windows")
def test_no_file_of_a_results_folder_is_written_through_a_link(tmp_path, study):
    """Every file that a run left, replaced by a link: the next run harms none of their targets."""
    out, outside = tmp_path / "out", tmp_path / "outside"
    run_study(study, out, measure=texts.measure_text)
    names = sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file())
    assert {".fibrovol/run.lock", "volumes.csv", "provenance.json"} <= {*names}
    outside.mkdir()
    for number, name in enumerate(names):
        victim = outside / str(number)
        victim.write_text(f"precious {name}", encoding="utf-8")
        (out / name).unlink()
        (out / name).symlink_to(victim)
        with contextlib.suppress(OutputError):  # to refuse is right as well
            run_study(study, out, measure=texts.measure_text)
        assert victim.read_text(encoding="utf-8") == f"precious {name}"
        (out / name).unlink(missing_ok=True)
    assert sorted(p.name for p in outside.iterdir()) == sorted(map(str, range(len(names))))


def test_a_journal_cut_off_in_the_middle_loses_one_case_only(tmp_path, study):
    out = tmp_path / "out"
    run_study(study, out, measure=texts.measure_text)
    expected = _tables(out)
    journal = out / ".fibrovol" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-10])
    assert run_study(study, out, measure=texts.measure_text).n_reused == 3
    assert _tables(out) == expected
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(lines[0] + lines[1].replace(b"1650.5", b"1950.5") + lines[2])
    assert run_study(study, out, measure=texts.measure_text).n_reused == 1
    assert _tables(out) == expected


def test_verify_reads_the_folder_of_an_mrxs_slide(tmp_path):
    (tmp_path / "slide").mkdir()
    pixels = tmp_path / "slide" / "Data0000.dat"
    pixels.write_bytes(b"pixels")
    (tmp_path / "slide.mrxs").write_text("bad", encoding="utf-8")
    like = command_line_case("slide", stain="psr")
    out = tmp_path / "out"
    run_study(
        study_of_cases(_like([tmp_path / "slide.mrxs"], like)), out, measure=texts.measure_text
    )
    assert verify(out).n_inputs == 1
    assert verify(out).mismatches == ()
    for disturb in (lambda: pixels.write_bytes(b"other."), pixels.unlink):
        disturb()
        assert [(m.what, m.name) for m in verify(out).mismatches] == [("input", "slide")]


def test_a_run_that_is_interrupted_goes_on_where_it_was(tmp_path, study):
    def stop_at_third(task):
        if task.case is study.cases[2]:
            raise KeyboardInterrupt
        return texts.measure_text(task)

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run_study(study, out, measure=stop_at_third)
    assert not (out / "volumes.csv").exists()  # half a table would look like a whole one
    assert run_study(study, out, measure=texts.measure_text).n_reused == 2
