"""Slides of several files: each is part of the input, for its hash, a resumed run and verify."""

import os
from dataclasses import replace

import numpy as np
import pytest
from fibrovol.batch.runner import run_study
from fibrovol.batch.task import CaseResult, combined, input_states
from fibrovol.batch.verify import verify
from fibrovol.errors import Failure
from fibrovol.files import combine_sha256, sha256_file
from fibrovol.histology.readers import open_slide
from fibrovol.histology.readers.companions import slide_companions
from fibrovol.intake import remote
from fibrovol.intake.study import command_line_case, read_study, study_of_cases
from fibrovol.phantoms.slides import render_slide
from fibrovol.provenance import content_sha256, input_state
from fibrovol.tables import read_table
from fibrovol.tests.histology.support.dicom_slides import write_dicom
from fibrovol.tests.histology.support.hamamatsu import write_vms

FLAT = np.full((512, 512, 3), 240, np.uint8)


def look(task):
    """Measures nothing, but looks at the inputs as every measurement does."""
    states = input_states(task.case)
    return CaseResult(
        task.case.case_id,
        failure=Failure("no_tissue_found", "glass"),
        stat_sha256=combined([state.stat_sha256 for state in states]),
        content_sha256=combined([content_sha256(state) for state in states]),
        input_files=[""],
    )


def dicom_file(folder):
    write_dicom(folder, FLAT, (1.0, 1.0), levels=2)
    return folder / "level0_0.dcm", folder / "level1_0.dcm"


def vms_file(folder):
    folder.mkdir()
    return write_vms(folder / "s.vms", FLAT, (1.0, 1.0)), folder / "s(1,0).jpg"


def mrxs_file(folder):
    (folder / "s").mkdir(parents=True)
    (folder / "s.mrxs").write_bytes(b"glass")
    (folder / "s" / "Slidedat.ini").write_bytes(b"[GENERAL]")
    (folder / "s" / "Data0000.dat").write_bytes(b"pixels")
    return folder / "s.mrxs", folder / "s" / "Data0000.dat"


def grown(file):
    """Another byte at the end: a later change of a file of the same size would be as good."""
    file.write_bytes(file.read_bytes() + b"\0")


@pytest.mark.parametrize("write", [dicom_file, vms_file, mrxs_file])
def test_a_part_that_changes_goes_or_comes_is_measured_again_and_told(tmp_path, write):
    slide, part = write(tmp_path / "in")
    whole = part.read_bytes()
    case = replace(command_line_case("slide", stain="psr"), path=slide)
    study, out = study_of_cases([case]), tmp_path / "out"

    def measured_again():
        return run_study(study, out, measure=look).n_reused == 0

    assert measured_again()
    assert not measured_again()
    assert verify(out).mismatches == ()
    disturbances = (lambda: grown(part), part.unlink, lambda: part.write_bytes(whole))
    for disturb in disturbances:
        before = combined([state.stat_sha256 for state in input_states(case)])
        disturb()
        assert combined([state.stat_sha256 for state in input_states(case)]) != before
        assert [(one.what, one.name) for one in verify(out).mismatches] == [
            ("input", study.cases[0].case_id)
        ]
        assert measured_again()
        assert verify(out).mismatches == ()
    os.utime(part, (1e9, 1e9))  # copied to another disk: the same content is the same slide
    assert not measured_again()


def test_the_hash_of_an_mrxs_slide_is_what_it_was_before_others_had_parts(tmp_path):
    slide, part = mrxs_file(tmp_path / "in")
    states = input_states(replace(command_line_case("slide"), path=slide))
    assert [state.root for state in states] == [slide, part.parent]
    assert [content_sha256(state) for state in states] == [
        sha256_file(slide),
        combine_sha256([sha256_file(file) for file in part.parent.iterdir()]),
    ]


def test_a_dicom_file_brings_its_series_and_no_other(tmp_path):
    slide, _ = dicom_file(tmp_path / "in")

    def other_series(dataset):
        dataset.SeriesInstanceUID = "1.2.3"

    other = write_dicom(tmp_path / "other", FLAT, (1.0, 1.0), levels=1, change=other_series)
    (other / "level0_0.dcm").rename(slide.with_name("other.dcm"))
    (slide.parent / "cut.dcm").write_bytes(slide.read_bytes()[:200])
    (slide.parent / "notes.txt").write_bytes(b"x")
    (slide.parent / "folder.dcm").mkdir()
    assert [file.name for file in slide_companions(slide)] == [
        "LABEL.dcm",
        "OVERVIEW.dcm",
        "level1_0.dcm",
    ]
    assert slide_companions(slide.with_name("other.dcm")) == []
    assert slide_companions(slide.with_name("notes.txt")) == []
    assert slide_companions(slide.parent) == []
    with open_slide(slide) as opened:
        assert len(opened.levels) == 2  # what is hashed is what is read


def test_a_text_file_brings_what_it_names_in_its_folder(tmp_path):
    slide, _ = vms_file(tmp_path / "in")
    names = ["s(1,0).jpg", "s.jpg", "smacro.jpg", "smap.jpg"]
    assert [file.name for file in slide_companions(slide)] == names
    text = slide.read_text("ascii")
    more = "OptimisationFile=s.opt\r\nImageFile(0,1)=gone.jpg\r\nMapFile=" + "x" * 300 + "\r\n"
    slide.write_text("\ufeff" + text + more, encoding="utf-8", newline="")
    assert [file.name for file in slide_companions(slide)] == names
    (slide.parent / "s.opt").write_bytes(b"x")
    assert [file.name for file in slide_companions(slide)] == sorted([*names, "s.opt"])


@pytest.mark.parametrize("name", ["s.svs", "s.tiff", "s.ndpi", "s.png", "s.vms", "s.mrxs", "s.dcm"])
def test_a_slide_that_is_not_there_or_is_one_file_brings_nothing(tmp_path, name, monkeypatch):
    path = tmp_path / name
    assert slide_companions(path) == []
    if path.suffix not in (".vms", ".mrxs", ".dcm"):  # it is not even opened
        path.write_bytes(b"II*\0")
        monkeypatch.setattr(type(path), "open", None)
    assert slide_companions(path) == []


def test_slides_of_several_files_at_an_address(tmp_path):
    store = pytest.importorskip("fsspec").filesystem("memory")
    slide = render_slide(stain="psr", caf_percent=15.0, seed=1, size_px=(1024, 512))
    (tmp_path / "in").mkdir()
    vms = write_vms(tmp_path / "in" / "v.vms", slide.rgb, (1.0, 1.0))
    write_dicom(tmp_path / "in" / "d", slide.rgb, (1.0, 1.0), levels=2)
    store.put(f"{tmp_path / 'in'}/", "/parts/", recursive=True)
    try:
        rows = {}
        for name, base in (("local", tmp_path / "in"), ("away", "memory://parts")):
            lines = ["subject,timepoint,kind,path,stain"]
            lines += [f"A,{visit},slide,{base}/{place},psr" for visit, place in VISITS.items()]
            (tmp_path / name).mkdir()
            path = tmp_path / name / "study.csv"
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
            order = path.with_name("study.yaml")
            order.write_text(f"timepoints: [{', '.join(VISITS)}]\n", encoding="utf-8")
            run_study(read_study(order), tmp_path / name / "out")
            rows[name] = read_table(tmp_path / name / "out", "collagen")
        vms_row, folder_row, file_row = rows["local"]
        assert rows["away"][:2] == [vms_row, folder_row]
        # one file of the slide stands for all of it, here; there its fellows would not be fetched
        assert file_row["input_sha256"] == folder_row["input_sha256"]
        assert "address of the folder" in rows["away"][2]["error"]
        url = remote.read_url("memory://parts/v.vms")
        assert remote.remote_content_sha256(url) == [
            content_sha256(input_state(file)) for file in (vms, *slide_companions(vms))
        ]
        out, before = tmp_path / "away" / "out", remote.remote_state(url)
        assert verify(out).mismatches == ()
        store.rm("/parts/v(1,0).jpg")
        assert remote.remote_state(url).stat_sha256 != before.stat_sha256
        assert [one.name for one in verify(out).mismatches] == ["A_vms_slide"]
    finally:
        store.store.clear()


VISITS = {"vms": "v.vms", "folder": "d", "file": "d/level1_0.dcm"}
