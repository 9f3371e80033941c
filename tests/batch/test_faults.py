"""Runs that are killed, disks that fill up, inputs that vanish: then nothing is wrong or lost.

Every fault here is real: processes get SIGKILL at random moments, the disk is a small tmpfs.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pydicom
import pytest
from fibrovol.batch.journal import read_records
from fibrovol.batch.runner import run_study
from fibrovol.errors import OutputError
from fibrovol.files import sha256_file
from fibrovol.imaging.export.nifti import write_mask
from fibrovol.imaging.volume import Volume
from fibrovol.intake.study import command_line_case, read_study, study_of_cases
from fibrovol.phantoms import scans
from fibrovol.phantoms.scans import draw_anatomy, write_ct_series
from fibrovol.tables import read_table
from fibrovol.tests.batch import cases_for_tests as texts

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="SIGKILL and mounts are not of Windows"),
    pytest.mark.xdist_group("serial"),
]
KILLS = pytest.mark.parametrize("wanted_kills", [8, pytest.param(30, marks=pytest.mark.stress)])

WORDS = [f"sleep0.0{n % 7}" for n in range(60)] + ["bad"] + [str(1000 + n) for n in range(19)]


def _tables(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.csv")}


@pytest.fixture(scope="module")
def tables_undisturbed(tmp_path_factory):
    """What a run that nobody disturbs writes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    source = texts.write_texts(folder / "in", WORDS)
    run_study(read_study(source), folder / "plain", measure=texts.measure_text)
    return _tables(folder / "plain")


@pytest.fixture
def undisturbed(tmp_path, tables_undisturbed):
    """A study and what a run that nobody disturbs writes."""
    return texts.write_texts(tmp_path / "in", WORDS), tables_undisturbed


def _start(source, output, executor):
    command = [sys.executable, "-m", "fibrovol.tests.batch.run_for_tests"]
    return subprocess.Popen(
        [*command, str(source), str(output), executor],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _check_finished_so_far(output):
    """What the journal calls finished is there, whole; what is not whole has no final name."""
    records = {r.case_id: r for r in read_records(output / ".fibrovol" / "journal.jsonl")}
    for record in records.values():
        for name, sha256 in record.result.outputs.items():
            if name.startswith("masks/"):
                assert sha256_file(output / name) == sha256
    for mask in (output / "masks").glob("*"):
        assert mask.read_text(encoding="utf-8").endswith("\n"), "half a mask was taken for whole"
    assert not (output / "volumes.csv").exists() or len(read_table(output, "volumes")) == len(WORDS)
    return len(records)


def _finish(source, output, executor):
    assert _start(source, output, executor).wait(timeout=120) == 0


def _orphans(before):
    """Case processes begun since then whose run is gone."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if "fibrovol.batch.isolation" in (process.info["cmdline"] or [])
        and process.pid not in before
        and process.ppid() == 1
    ]


@pytest.mark.slow
@KILLS
@pytest.mark.parametrize("executor", ["one", "several"])
def test_a_run_killed_at_random_moments_ends_as_if_undisturbed(
    tmp_path, undisturbed, executor, wanted_kills
):
    source, expected = undisturbed
    before = {process.pid for process in psutil.process_iter()}
    rng = random.Random(executor)
    output, kills, rounds = tmp_path / "out", 0, 0
    while kills < wanted_kills:
        process = _start(source, output, executor)
        try:
            process.wait(timeout=rng.uniform(0.3, 2.5))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
            _check_finished_so_far(output)
        else:
            assert process.returncode == 0
            assert _tables(output) == expected
            rounds += 1
            output = tmp_path / f"out{rounds}"
    _finish(source, output, executor)
    assert _tables(output) == expected
    assert list(output.rglob(".partial-*")) == [], "half-written files are left"
    deadline = time.monotonic() + 20  # on a busy machine the orphans take a while to notice
    while (left := _orphans(before)) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert left == [], "processes outlived their killed run"


@pytest.mark.slow
@KILLS
def test_case_processes_killed_at_random_moments(tmp_path, undisturbed, wanted_kills):
    source, expected = undisturbed
    rng = random.Random(0)
    output, kills = tmp_path / "out0", 0
    for round_number in range(40):
        process = _start(source, output, "several")
        while process.poll() is None:
            time.sleep(rng.uniform(0.05, 0.4))
            with contextlib.suppress(psutil.Error, IndexError):
                children = psutil.Process(process.pid).children()
                rng.choice(children).kill()
                kills += 1
        assert process.returncode == 0, "the run survives what happens to its case processes"
        _check_finished_so_far(output)
        _finish(source, output, "several")  # cases killed twice have failed; they are tried again
        assert _tables(output) == expected
        if kills >= wanted_kills:
            break
        output = tmp_path / f"out{round_number + 1}"
    assert kills >= wanted_kills


@contextlib.contextmanager
def _cluster(folder, port, workers=2):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    address = f"tcp://127.0.0.1:{port}"
    words = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1"]
    processes = [subprocess.Popen([*words, "--port", str(port), "--no-dashboard"], **quiet)]
    words = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1"]
    # no nanny, which would start a second process for each: nobody restarts a worker here
    words += ["--no-nanny", "--no-dashboard", "--memory-limit", "0", "--death-timeout", "20"]
    processes += [subprocess.Popen(words, **quiet) for _ in range(workers)]
    try:
        yield address, processes
    finally:
        for process in processes:
            with contextlib.suppress(psutil.Error):
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.kill()
            process.kill()
            process.wait()


def _wait_for_a_case(process, output):
    """Until a first case has finished: before that a kill disturbs nothing but the start."""
    journal = output / ".fibrovol" / "journal.jsonl"
    deadline = time.monotonic() + 60
    while process.poll() is None and not (journal.is_file() and journal.stat().st_size):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("kills", [2, pytest.param(30, marks=pytest.mark.stress)])
def test_schedulers_and_workers_killed_at_random_moments(tmp_path, undisturbed, kills):
    source, expected = undisturbed
    rng = random.Random(1)
    output = tmp_path / "out"
    for pair in range(kills // 2):
        with _cluster(tmp_path, 18800 + pair) as (address, processes):
            process = _start(source, output, address)
            _wait_for_a_case(process, output)
            time.sleep(rng.uniform(0.0, 1.5))
            for child in psutil.Process(processes[1].pid).children(recursive=True):
                child.kill()
            processes[1].kill()
            assert process.wait(timeout=90) == 0
            _check_finished_so_far(output)
            assert _tables(output) == expected
            output = tmp_path / f"out{pair}"
            process = _start(source, output, address)  # the other worker is left
            _wait_for_a_case(process, output)
            time.sleep(rng.uniform(0.0, 1.5))
            processes[0].kill()
            assert process.wait(timeout=60) != 0 or _tables(output) == expected
        _check_finished_so_far(output)  # and the next run goes on from there
    with _cluster(tmp_path, 18890, workers=1) as (address, _):
        _finish(source, output, address)
    assert _tables(output) == expected


@contextlib.contextmanager
def _mounted(folder, options):
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount the small disk of this test")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("kib", [16, 64, 160, 400])
def test_a_full_disk_stops_the_run_and_loses_nothing(tmp_path, undisturbed, kib):
    source, expected = undisturbed
    study = read_study(source)
    with _mounted(tmp_path / "disk", f"size={kib}k") as disk:
        output = disk / "out"
        with pytest.raises(OutputError) as caught:
            run_study(study, output, measure=texts.measure_text)
        assert "No space left" in str(caught.value)
        assert "finished cases are kept" in str(caught.value)
        finished = _check_finished_so_far(output)
        subprocess.run(["mount", "-o", "remount,size=100m", str(disk)], check=True)
        assert run_study(study, output, measure=texts.measure_text).n_reused >= finished - 1
        assert _tables(output) == expected


def test_a_read_only_output_is_refused_at_once(tmp_path, undisturbed):
    source, _ = undisturbed
    with _mounted(tmp_path / "disk", "size=10m") as disk:
        (disk / "out").mkdir()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        before = texts.times_measured(source.with_name("scan0.txt"))
        with pytest.raises(OutputError, match="Read-only file system"):
            run_study(read_study(source), disk / "out", measure=texts.measure_text)
        assert texts.times_measured(source.with_name("scan0.txt")) == before


@pytest.fixture
def slide(tmp_path):
    import cv2
    import numpy as np

    picture = np.full((300, 400, 3), 247, np.uint8)
    picture[50:250, 50:350] = (120, 190, 230)
    picture[60:240:5, 60:340] = (80, 40, 190)
    cv2.imwrite(str(tmp_path / "slide.png"), picture)
    return tmp_path / "slide.png"


@pytest.mark.parametrize(
    "disturb",
    [lambda path: path.write_bytes(path.read_bytes() + b"more"), lambda path: path.unlink()],
    ids=["changes", "vanishes"],
)
def test_an_input_that_changes_or_vanishes_while_it_is_read(tmp_path, slide, monkeypatch, disturb):
    import fibrovol.histology.measure as histology

    measure = histology.measure_collagen

    def disturbed(path, **kwargs):
        measurement = measure(path, **kwargs)
        disturb(Path(path))
        return measurement

    like = command_line_case("slide", stain="psr", mpp_um=1.0)
    study = study_of_cases([replace(like, path=slide)])
    content = slide.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(histology, "measure_collagen", disturbed)
        run_study(study, tmp_path / "out")
    (row,) = read_table(tmp_path / "out", "collagen")
    assert str(row["error"]).startswith("input_changed: ")
    assert row["caf_percent"] is None
    assert not list((tmp_path / "out").glob("masks/*"))
    slide.write_bytes(content)
    assert run_study(study, tmp_path / "out").failures == ()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A folder with a series and a mask of its liver: the network is not what is disturbed."""
    folder = tmp_path_factory.mktemp("drawn")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scans, "_FINE_MM", 10.01)  # it is looked at by nobody
        truth = write_ct_series(folder / "in", draw_anatomy(3), spacing_mm=(8.0, 8.0, 10.0))
    write_mask(Volume(truth.liver_mask, truth.affine), folder / "liver.nii.gz")
    return folder


@pytest.mark.parametrize("how", ["cut short", "overwritten", "removed"])
def test_a_series_that_changes_in_the_middle_of_being_read(tmp_path, drawn, monkeypatch, how):
    shutil.copytree(drawn, tmp_path, dirs_exist_ok=True)
    series, mask = tmp_path / "in", tmp_path / "liver.nii.gz"
    files = sorted(series.glob("*.dcm"))
    content = files[-1].read_bytes()
    read, count = pydicom.dcmread, 0

    def reading(*args, **kwargs):
        nonlocal count
        count += 1
        if count == len(files) // 2:  # half of the headers are read, the last file is not
            if how == "cut short":
                files[-1].write_bytes(content[: len(content) // 2])
            elif how == "overwritten":  # a copy from another visit: whole, but not the same
                files[-1].write_bytes(files[-2].read_bytes() + b"\0\0")
            else:
                files[-1].unlink()
        return read(*args, **kwargs)

    like = command_line_case("scan")
    study = study_of_cases([replace(like, path=series, mask=mask)])
    with monkeypatch.context() as patch:
        patch.setattr(pydicom, "dcmread", reading)
        run_study(study, tmp_path / "out")
    (row,) = read_table(tmp_path / "out", "volumes")
    assert count >= len(files) // 2
    assert str(row["error"]).startswith("input_changed: ")
    assert row["volume_ml"] is None
    assert not list((tmp_path / "out").glob("masks/*"))
    files[-1].write_bytes(content)
    assert run_study(study, tmp_path / "out").failures == ()


def test_ctrl_c_ends_a_run_and_its_processes(tmp_path):
    source = texts.write_texts(tmp_path / "in", ["hang"] * 4)
    process = _start(source, tmp_path / "out", "several")
    deadline = time.monotonic() + 60
    while not (children := psutil.Process(process.pid).children(recursive=True)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) != 0
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []


def test_what_a_killed_run_left_half_written_is_swept_away(tmp_path, undisturbed):
    source, expected = undisturbed
    output = tmp_path / "out"
    for name in (".partial-abc-volumes.csv", "masks/.partial-abc-x.txt", "logs/.partial-abc-x.log"):
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_text("half", encoding="utf-8")
    run_study(read_study(source), output, measure=texts.measure_text)
    assert _tables(output) == expected
    assert list(output.rglob(".partial-*")) == []
