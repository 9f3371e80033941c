"""Fixtures that every test may use."""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

# scripts/test runs more test processes than there are cores: one thread each, or they wait for each
# other. To be set before numpy, torch and OpenCV are imported, here and in the programs that tests
# start.
if "PYTEST_XDIST_WORKER" in os.environ:
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
        os.environ.setdefault(variable, "1")

# Containers often forbid compiled files. Then each of the hundreds of programs that tests start
# would compile the package again, and every test process all tests: half of its collection.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# The same examples each time, so that a red run can be repeated; no deadline, because a busy
# machine is no failure.
hypothesis.settings.register_profile("fibrovol", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("fibrovol")


@pytest.fixture(autouse=True)
def one_thread_again() -> Iterator[None]:
    """Undo a number of threads that a training or a run set: it made later tests 4 times slower.

    Two test processes of two threads each, on two cores, wait for each other.
    """
    yield
    torch = sys.modules.get("torch")
    if torch is not None and "PYTEST_XDIST_WORKER" in os.environ:
        torch.set_num_threads(1)


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a module in one process where they share a fixture that takes long.

    Tests that disturb others, or are disturbed, carry ``xdist_group("serial")`` instead, and
    those that load MONAI or torch's compiler ``xdist_group("monai")``: each process takes 6 s.
    """
    for item in items:
        fixtures = getattr(item, "_fixtureinfo", None)
        if fixtures is None or item.get_closest_marker("xdist_group"):
            continue
        scopes = {found[-1].scope for found in fixtures.name2fixturedefs.values()}
        if scopes & {"module", "class"}:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays to the end: a tenth of the time went into it."""
    gc.collect()
    gc.freeze()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name long values by their length: pytest-xdist sends the ids of all tests back and forth."""
    if isinstance(val, str | bytes) and len(val) > 200:
        return f"{argname} of {len(val)}"
    return None


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter) -> None:
    """Leave what each test took in .cache/durations.tsv, the longest first, after a whole run."""
    seconds: dict[str, float] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                test = re.sub(r"@[^@\]]*$", "", report.nodeid)  # without pytest-xdist's group
                seconds[test] = seconds.get(test, 0.0) + report.duration
    if terminalreporter.config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    path = REPOSITORY / ".cache" / "durations.tsv"
    path.parent.mkdir(exist_ok=True)
    longest_first = sorted(seconds.items(), key=lambda item: -item[1])
    lines = [f"{duration:.2f}\t{nodeid}\n" for nodeid, duration in longest_first]
    path.write_text("seconds\ttest\n" + "".join(lines), encoding="utf-8")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checked-out project, which is also the package."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real scans and slides that lies beside the checkout and is never committed.

    Tests that need it are skipped, with the reason, where it is missing.
    """
    path = REPOSITORY.parent / "shared" / "data"
    if not (path / "README.md").is_file():
        pytest.skip(f"the real scans and slides are not at {path}")
    return path


@pytest.fixture(scope="session")
def scan_of_a_liver(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real CT cut to the box round its liver, with 2 cm more on each side.

    For tests in which two ways of measuring must agree: it takes a network a third of the time.
    """
    import nibabel as nib
    import numpy as np

    folder = shared_data / "scans" / "labelled_ct"
    scan = nib.load(folder / "btcv21_ct.nii.gz")
    liver = np.argwhere(np.asarray(nib.load(folder / "btcv21_organs.nii.gz").dataobj) == 6)
    margin = np.ceil(20 / np.array(scan.header.get_zooms())).astype(int)
    first, last = np.maximum(liver.min(axis=0) - margin, 0), liver.max(axis=0) + margin
    path = tmp_path_factory.mktemp("liver") / "case.nii.gz"
    nib.save(scan.slicer[tuple(map(slice, first, last))], path)
    return path


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure here, where a test is about what a command says and not about its processes.

    Each new process loads the libraries again: 2 s of the processor.
    """
    from fibrovol.batch.pool import SerialExecutor
    from fibrovol.commands import measuring

    monkeypatch.setattr(measuring, "make_executor", lambda settings, scheduler: SerialExecutor(1))
