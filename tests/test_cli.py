"""The command line: exit codes, sentences instead of tracebacks, JSON for programs."""

import io
import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from fibrovol.cli import main
from fibrovol.report import page as report_page
from fibrovol.tables import read_table


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    """A photographed field: yellowish tissue on glass, a fifth of it red fibres; BGR for OpenCV."""
    rng = np.random.default_rng(0)
    picture = np.full((600, 900, 3), (246, 247, 248), np.float64)
    picture[100:500, 100:800] = (120, 190, 230)
    picture[140:460:5, 120:780] = (80, 40, 190)
    picture += rng.normal(0, 2, picture.shape)
    path = tmp_path_factory.mktemp("slides") / "field.png"
    cv2.imwrite(str(path), picture.clip(0, 255).astype(np.uint8))
    return path


def _fibrovol(capsys, *words):
    status = main([str(word) for word in words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_collagen_of_a_field_without_a_study(tmp_path, capsys, field):
    status, out, err = _fibrovol(
        capsys, "collagen", field, "--stain", "PSR", "--mpp", "1.0", "-o", tmp_path / "out"
    )
    assert (status, out) == (0, "")
    assert "[1/1] field: measured" in err
    assert "field: collagen" in err
    (row,) = read_table(tmp_path / "out", "collagen")
    assert row["status"] == "measured"
    assert row["tissue_mm2"] == pytest.approx(0.28, rel=0.1)
    assert 10 < row["caf_percent"] < 30
    assert (tmp_path / "out" / row["mask_path"]).stat().st_size
    assert (tmp_path / "out" / row["overlay_path"]).stat().st_size
    assert read_table(tmp_path / "out", "fragments")[0]["case_id"] == "field"
    assert "measured in" in (tmp_path / "out" / "logs" / "field.log").read_text(encoding="utf-8")


@pytest.mark.usefixtures("in_this_process")
def test_a_folder_of_slides_is_one_case_each(tmp_path, capsys, field):
    folder = tmp_path / "slides" / "day1"
    folder.mkdir(parents=True)
    for name in ("a.png", "b.jpg", "notes.txt"):
        (folder / name).write_bytes(field.read_bytes())
    status, out, _ = _fibrovol(
        capsys,
        *("collagen", tmp_path / "slides", "--stain", "psr", "--mpp", "1"),
        *("-o", tmp_path / "out", "--json"),
    )
    assert status == 0
    assert [row["case_id"] for row in json.loads(out)["results"]] == ["a", "b"]


@pytest.mark.usefixtures("in_this_process")
def test_json_is_one_line_on_stdout_and_events_on_stderr(tmp_path, capsys, field):
    status, out, err = _fibrovol(
        capsys, "collagen", field, "--stain", "psr", "--mpp", "1", "-o", tmp_path, "--json"
    )
    assert status == 0
    (line,) = out.splitlines()
    result = json.loads(line)
    assert result["n_measured"] == 1
    assert result["results"][0]["caf_percent"] > 10
    assert [json.loads(event)["event"] for event in err.splitlines()] == [
        "start",
        "measured",
        "end",
    ]


@pytest.mark.usefixtures("in_this_process")
def test_without_a_pixel_size_it_refuses_and_says_what_to_do(tmp_path, capsys, field):
    status, _, err = _fibrovol(capsys, "collagen", field, "--stain", "psr", "-o", tmp_path / "o")
    assert status == 3
    assert "--mpp" in err
    assert "Traceback" not in err
    (row,) = read_table(tmp_path / "o", "collagen")
    assert row["status"] == "failed"
    assert row["error"].startswith("no_pixel_size: ")
    assert row["caf_percent"] is None
    assert str(field.parent) not in (tmp_path / "o" / "collagen.csv").read_text(encoding="utf-8")


def test_a_study_of_slides_is_measured_and_reported(tmp_path, capsys, field):
    text = "subject,timepoint,kind,path,mpp_um\n"
    for subject in ("A", "B"):
        for visit in ("baseline", "month6"):
            copy = tmp_path / f"{subject}{visit}.png"
            copy.write_bytes(field.read_bytes())
            text += f"{subject},{visit},slide,{copy.name},2\n"
    (tmp_path / "study.csv").write_text(text + "C,baseline,slide,gone.svs,\n", encoding="utf-8")
    (tmp_path / "study.yaml").write_text("title: <b>T</b>\nstain: psr\n", encoding="utf-8")
    status, _, err = _fibrovol(capsys, "run", tmp_path / "study.yaml", "-o", tmp_path / "out")
    assert status == 3
    assert "1 failed" in err
    assert "nothing at gone.svs" in err
    assert "nothing at [input]" in (tmp_path / "out" / "collagen.csv").read_text(encoding="utf-8")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;T&lt;/b&gt;" in page
    paired = read_table(tmp_path / "out", "paired")
    assert {row["change"] for row in paired if row["subject"] == "A"} >= {0}
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.csv")}
    status, out, _ = _fibrovol(
        capsys, "run", tmp_path / "study.yaml", "-o", tmp_path / "out", "--json"
    )
    assert status == 3
    assert json.loads(out)["n_reused"] == 4
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.csv")} == before
    (tmp_path / "out" / "report.html").unlink()
    assert _fibrovol(capsys, "report", tmp_path / "out")[0] == 0
    assert (tmp_path / "out" / "report.html").read_text(encoding="utf-8") == page


@pytest.mark.usefixtures("in_this_process")
def test_a_run_that_changes_nothing_does_not_draw_the_report_again(
    tmp_path, capsys, field, monkeypatch
):
    out, drawn = tmp_path / "out", []

    def build(directory, **options):
        drawn.append(directory)
        return build_report(directory, **options)

    def run_again(times, source=tmp_path):
        drawn.clear()
        assert _fibrovol(capsys, "run", source, "-o", out)[0] == 0
        assert len(drawn) == times
        return (out / "report.html").read_bytes()

    build_report = report_page.build_report
    monkeypatch.setattr(report_page, "build_report", build)
    lines = "subject,timepoint,kind,path,mpp_um,stain\n"
    for visit in ("baseline", "month6"):
        lines += f"A,{visit},slide,{visit}.png,2,psr\n"
        (tmp_path / f"{visit}.png").write_bytes(field.read_bytes())
    (tmp_path / "study.csv").write_text(lines, encoding="utf-8")
    page = run_again(1)
    assert run_again(0) == page
    for damage in (
        lambda: (out / "report.html").write_text("edited", encoding="utf-8"),
        (out / "paired.csv").unlink,
        lambda: (out / ".fibrovol" / "report.json").write_text("{", encoding="utf-8"),
    ):
        damage()
        assert run_again(1) == page
        assert run_again(0) == page
    (picture,) = out.glob("overlays/*month6*pair*")  # what the report shows
    picture.write_bytes(next(out.glob("overlays/*baseline*overlay*")).read_bytes())
    assert run_again(1) != page
    page = run_again(0)
    (tmp_path / "study.csv").write_text(lines.replace("A,", "B,"), encoding="utf-8")
    assert run_again(1) != page
    (tmp_path / "study.yaml").write_text("title: Another\n", encoding="utf-8")
    assert b"Another" in run_again(1)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", "nowhere.yaml", "-o", "out"], "The study was not found"),
        (["volume", "s3://bucket/scan", "-o", "out"], "Addresses are read from study.csv only"),
        (["collagen", "https://a.b/c.svs", "--stain", "psr", "-o", "out"], "write a study.csv"),
        (["report", "nowhere"], "output directory"),
        (["collagen", ".", ".", "--stain", "psr", "-o", "out"], "given twice"),
        (["inspect", "nowhere"], "does not exist"),
        (["volume", "nowhere", "-o", "out"], "nothing at nowhere"),
        (["collagen", "a.svs", "b.svs", "--stain", "psr", "-o", "out"], "nothing at a.svs, b.svs"),
    ],
)
def test_what_cannot_be_used_is_a_sentence_and_exit_code_1(
    tmp_path, monkeypatch, capsys, words, says
):
    monkeypatch.chdir(tmp_path)
    status, out, err = _fibrovol(capsys, *words)
    assert (status, out) == (1, "")
    assert says in err
    assert "What to do" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["mesure"],
        ["volume", "-o", "out"],
        ["volume", "scan"],
        ["volume", "scan", "-o", "out", "--modality", "pet"],
        ["collagen", "slide", "-o", "out"],
        ["collagen", "slide", "-o", "out", "--stain", "psr", "--mpp", "0"],
        ["run", "study.yaml", "-o", "out", "--workers", "0"],
    ],
)
def test_a_wrong_command_line_is_exit_code_2(capsys, words):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "usage: fibrovol" in capsys.readouterr().err


def test_an_unexpected_error_is_a_sentence_too(monkeypatch, capsys, tmp_path):
    def broken(path, **options):
        raise RuntimeError("boom")

    monkeypatch.setattr("fibrovol.report.page.build_report", broken)
    assert main(["report", str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert "RuntimeError: boom" in err
    assert "--debug" in err
    with pytest.raises(RuntimeError):
        main(["report", str(tmp_path), "--debug"])


def test_stopping_says_how_to_go_on(monkeypatch, capsys, tmp_path):
    def stopped(path, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("fibrovol.report.page.build_report", stopped)
    assert main(["report", str(tmp_path)]) == 130
    assert "same command again" in capsys.readouterr().err


def test_python_dash_m_is_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "fibrovol", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("fibrovol 0.")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["colagen"], "collagen"),
        (["collagen", "x", "--stian", "psr", "-o", "out"], "--stain"),
        (["run", "study.csv", "-o", "out", "--worker-count=2"], "--workers"),
        (["volume", "--modallity", "ct"], "--modality"),
        (["--vers"], None),
    ],
)
def test_a_slip_is_answered_with_what_was_meant(capsys, words, meant):
    with pytest.raises(SystemExit) as caught:
        main(words)
    said = capsys.readouterr().err
    if meant is None:  # the beginning of an option stands for it
        assert caught.value.code == 0
    else:
        assert caught.value.code == 2
        assert f"did you mean {meant}?" in said


def test_help_on_a_command_imports_nothing_that_it_needs_for_its_work():
    code = (
        "import sys\n"
        "from fibrovol.cli import COMMANDS, build_parser\n"
        "heavy = {'torch', 'pydicom', 'numpy', 'cv2', 'SimpleITK', 'matplotlib', 'fsspec'}\n"
        "build_parser('-').format_help()\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert not [m for m in sys.modules if m.startswith('fibrovol.commands.')]\n"
        "for name in ('volume', 'collagen', 'run', 'report'):\n"
        "    build_parser(name)\n"
        "    assert not heavy & set(sys.modules), (name, heavy & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


ASK = r"""source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); COMP_LINE="$*"
$(complete -p fibrovol | sed 's/.*-F \([^ ]*\).*/\1/')
printf '%s\n' "${COMPREPLY[@]}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_commands_and_options(tmp_path, capsys):
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "fibrovol"
    script.write_text(capsys.readouterr().out, encoding="utf-8")
    ask = tmp_path / "ask"
    ask.write_text(ASK, encoding="utf-8")
    for words, expected in ((["col"], "collagen"), (["run", "--sched"], "--scheduler")):
        done = subprocess.run(
            ["bash", ask, script, "fibrovol", *words],
            check=False,
            capture_output=True,
            text=True,
        )
        assert expected in done.stdout.split(), done


def test_inspect_lists_slides_and_what_they_lack(capsys, field):
    status, out, err = _fibrovol(capsys, "inspect", field)
    assert status == 1
    assert "needs mpp" in out
    assert "0 of 1 can be measured: 0 of 1 slide." in err


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
def test_volume_of_a_real_scan_lists_and_refuses(shared_data, tmp_path, capsys):
    quirks = shared_data / "scans" / "dicom" / "quirks"
    status, out, _ = _fibrovol(
        capsys, "inspect", shared_data / "scans" / "dicom" / "partial_liver_ct", "--json"
    )
    assert status == 0
    (scan,) = json.loads(out)["scans"]
    assert scan["n_slices"] == 20
    status, out, _ = _fibrovol(
        capsys, "volume", quirks / "localizers_ct", "-o", tmp_path / "out", "--json"
    )
    assert status == 3
    (row,) = json.loads(out)["results"]
    assert row["status"] == "failed"
    assert row["volume_ml"] is None


def test_counting_says_how_long_the_rest_takes(monkeypatch):
    from fibrovol.commands import console

    now = iter([0.0, 10.0, 10.0, 10.5, 30.0, 30.0])
    monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=lambda: next(now)))
    stream = io.StringIO()
    with console.counting("cases", stream=stream) as show:
        show(2, 8)  # after 10 s
        show(3, 8)  # too soon for another line
        show(8, 8)
    assert stream.getvalue() == "2 of 8 cases, about 30 s left\n8 of 8 cases\n"
    with console.counting("cases", stream=stream, quiet=True) as show:
        show(1, 2)
    assert stream.getvalue().count("\n") == 2
