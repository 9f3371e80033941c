"""Cases that hang, crash or take all memory end alone; the others are measured."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest
from fibrovol.batch.cluster import DaskExecutor
from fibrovol.batch.executor import make_executor
from fibrovol.batch.isolation import Limits
from fibrovol.batch.pool import (
    Plan,
    PoolExecutor,
    available_cores,
    available_memory_bytes,
    make_plan,
)
from fibrovol.batch.runner import run_study
from fibrovol.errors import ConfigError, OutputError
from fibrovol.intake.study import read_study
from fibrovol.settings import RunSettings, load_settings
from fibrovol.tables import read_table
from fibrovol.tests.batch import cases_for_tests as texts

pytestmark = pytest.mark.xdist_group("serial")

# a busy machine starts slowly: shorter, and every case would be late
LIMITS = Limits(seconds=15.0, memory_bytes=400 << 20)
EXECUTORS = {
    "one": lambda limits=LIMITS: PoolExecutor(Plan(1, 1, limits)),
    "several": lambda limits=LIMITS: PoolExecutor(Plan(2, 1, limits)),
}


def _tables(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.csv")}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXECUTORS)
def test_what_goes_wrong_in_one_case_stays_in_it(tmp_path, name):
    words = ["1500", "die", "hang", "greedy", "1600", "bad", "1700"]
    study = read_study(texts.write_texts(tmp_path / "in", words))
    run_study(study, tmp_path / "out", executor=EXECUTORS[name](), measure=texts.measure_text)
    rows = read_table(tmp_path / "out", "volumes")
    codes = [str(row["error"]).partition(":")[0] for row in rows]
    assert codes[1] in ("internal_error", "out_of_memory")
    assert codes == ["", codes[1], "time_limit", "out_of_memory", "", "too_few_slices", ""]
    assert [row["volume_ml"] for row in rows if row["volume_ml"]] == [1500, 1600, 1700]
    assert texts.times_measured(study.cases[1].path) == 2  # tried once more
    assert texts.times_measured(study.cases[2].path) == 1
    assert texts.times_measured(study.cases[3].path) == 2
    assert (tmp_path / "out" / "logs" / "S0002_baseline_scan.log").is_file()
    assert not any((tmp_path / "out" / ".fibrovol" / "staging").iterdir())


@pytest.mark.parametrize("name", EXECUTORS)
def test_every_executor_gives_the_same_tables(tmp_path, name):
    study = read_study(texts.write_texts(tmp_path / "in", [str(1000 + n) for n in range(12)]))
    run_study(study, tmp_path / "plain", measure=texts.measure_text)
    run_study(study, tmp_path / "out", executor=EXECUTORS[name](), measure=texts.measure_text)
    assert _tables(tmp_path / "out") == _tables(tmp_path / "plain")


def test_a_run_on_this_machine_opens_no_port(tmp_path):
    study = read_study(texts.write_texts(tmp_path / "in", ["1000"] * 3))
    before, listening = set(psutil.Process().net_connections()), []

    def look(event):
        for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                found = set(process.net_connections()) - before
                listening.extend(one for one in found if one.status == psutil.CONN_LISTEN)

    executor = EXECUTORS["several"]()
    options = {"executor": executor, "measure": texts.measure_text, "progress": look}
    run_study(study, tmp_path / "out", **options)
    assert listening == []


def test_a_process_serves_one_case_after_the_other(tmp_path):
    """A second case pays for no import again."""
    study = read_study(texts.write_texts(tmp_path / "in", ["1000"] * 6))
    for executor, processes in ((EXECUTORS["one"](), 1), (EXECUTORS["several"](), 2)):
        output = tmp_path / f"out{processes}"
        run_study(study, output, executor=executor, measure=texts.measure_naming_process)
        rows = read_table(output, "volumes")
        assert 1 <= len({row["volume_ml"] for row in rows}) <= processes
        assert len(rows) == 6


def test_dask_is_asked_for_by_name_where_it_is_missing(monkeypatch):
    monkeypatch.setattr("fibrovol.batch.cluster.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"scripts/install --cluster") as caught:
        make_executor(load_settings().run, "tcp://127.0.0.1:8786")
    assert caught.value.code == "not_installed"
    assert isinstance(make_executor(load_settings().run), PoolExecutor)


def test_after_a_run_no_process_is_left(tmp_path):
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    for name, make in EXECUTORS.items():
        study = read_study(texts.write_texts(tmp_path / name, ["1000"] * 3))
        run_study(study, tmp_path / f"{name}-out", executor=make(), measure=texts.measure_text)
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


def test_output_errors_of_a_worker_stop_the_run(tmp_path):
    for name, make in EXECUTORS.items():
        study = read_study(texts.write_texts(tmp_path / name, ["1000"] * 3))
        with pytest.raises(OutputError, match="disk is full"):
            run_study(
                study,
                tmp_path / f"{name}-out",
                executor=make(),
                measure=texts.measure_on_full_disk,
            )


def test_the_machine_is_shared_and_never_exceeded():
    defaults = load_settings().run
    cores = available_cores()
    for workers in (1, 2, 3, 1000):
        for threads in (0, 1, 64):
            plan = make_plan(replace(defaults, workers=workers, threads_per_worker=threads))
            assert 1 <= plan.workers <= cores
            assert plan.workers * plan.threads <= cores
            assert plan.workers * plan.limits.memory_bytes <= available_memory_bytes()
    given = make_plan(RunSettings(1, 0, 2.0, 0.5, 50.0))
    assert given.limits == Limits(seconds=30.0, memory_bytes=2 << 30)


def test_a_scheduler_that_is_not_there_is_a_sentence(tmp_path):
    study = read_study(texts.write_texts(tmp_path / "in", ["1000"]))
    executor = DaskExecutor(Plan(1, 1, LIMITS), "tcp://127.0.0.1:9")
    with pytest.raises(OutputError) as caught:
        run_study(study, tmp_path / "out", executor=executor, measure=texts.measure_text)
    assert caught.value.code == "scheduler_lost"


def _wait_for_workers(address, count):
    """A busy machine starts them in its own time."""
    from distributed import Client

    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, TimeoutError), Client(address, timeout=5) as client:
            if len(client.scheduler_info(n_workers=-1)["workers"]) >= count:
                return
        time.sleep(0.5)
    pytest.fail("the workers did not start")


@pytest.mark.slow
def test_workers_started_by_hand_on_loopback(tmp_path):
    study = read_study(texts.write_texts(tmp_path / "in", [str(1000 + n) for n in range(20)]))
    run_study(study, tmp_path / "plain", measure=texts.measure_text)
    python = [sys.executable, "-m"]
    port = 18786
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    processes = [
        subprocess.Popen(
            [
                *python,
                *("distributed.cli.dask_scheduler", "--host", "127.0.0.1"),
                *("--port", str(port), "--no-dashboard"),
            ],
            **quiet,
        )
    ]
    try:
        worker = [*python, "distributed.cli.dask_worker", f"tcp://127.0.0.1:{port}"]
        options = ["--nthreads", "1", "--no-dashboard", "--memory-limit", "0"]
        processes += [subprocess.Popen([*worker, *options], **quiet) for _ in range(2)]
        _wait_for_workers(f"tcp://127.0.0.1:{port}", 2)
        executor = DaskExecutor(Plan(2, 1, Limits(60.0)), f"tcp://127.0.0.1:{port}")
        killed = []

        def kill_one_worker(event):
            if event.done == 5 and not killed:
                killed.append(processes[1].pid)
                for child in [*psutil.Process(processes[1].pid).children(recursive=True)]:
                    child.send_signal(signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
                processes[1].kill()

        run_study(
            study,
            tmp_path / "out",
            executor=executor,
            measure=texts.measure_text,
            progress=kill_one_worker,
        )
        assert killed
        assert _tables(tmp_path / "out") == _tables(tmp_path / "plain")
    finally:
        for process in processes:
            if process.poll() is None:
                process.terminate()
                process.wait()
