"""What differs on Windows, as far as it can be simulated elsewhere."""

from __future__ import annotations

import ast
import csv
import os
import subprocess
import sys
from pathlib import Path, PureWindowsPath

import pytest
from fibrovol.batch.runner import run_study
from fibrovol.cli import COMMANDS, build_parser
from fibrovol.errors import OutputError
from fibrovol.files import move, write_text
from fibrovol.imaging.export.nifti import write_mask
from fibrovol.imaging.readers import read_scan
from fibrovol.imaging.volume import Volume
from fibrovol.intake.cases import refuse_windows_names, slug, unique_ids
from fibrovol.intake.study import read_study
from fibrovol.scripts import rules
from fibrovol.tables import read_table
from fibrovol.tests.batch import cases_for_tests as texts
from fibrovol.tests.dicom_writer import write_series

NOT_THERE = (
    *("fork", "forkpty", "killpg", "getpgid", "setsid", "link", "mkfifo", "geteuid", "getuid"),
    *("getgid", "sched_getaffinity", "sched_setaffinity", "statvfs", "chown", "nice"),
)
NO_SIGNALS = ("SIGKILL", "SIGHUP", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGCHLD", "setitimer", "alarm")
AS_WINDOWS = f"""
import builtins, os, signal, sys
for name in {NOT_THERE}:
    if hasattr(os, name): delattr(os, name)
for name in set({NO_SIGNALS}) - {{"SIGKILL"}}:  # which Python's own subprocess needs here
    if hasattr(signal, name): delattr(signal, name)
def refused(*_, **__): raise OSError(1314, "A required privilege is not held by the client")
os.symlink = refused
taken = builtins.__import__
def imported(name, *words, **options):
    own = ((words[0] if words else None) or {{}}).get("__name__", "").startswith("fibrovol")
    if own and name in ("fcntl", "grp", "pwd", "resource", "termios"): raise ImportError(name)
    return taken(name, *words, **options)
builtins.__import__ = imported
"""


@pytest.mark.parametrize(
    "name", ["CON", "aux.csv", "nul.tar.gz", "COM1", "lpt9.txt", "COM¹", "lpt³.dcm"]
)
def test_no_file_of_ours_is_a_device(name: str) -> None:
    made = slug(name)
    assert PureWindowsPath(made).stem.split(".")[0].lower() not in {"con", "aux", "nul", "com1"}
    assert made.startswith("case-")
    with pytest.raises(ValueError, match="for a device"):
        refuse_windows_names(PureWindowsPath("C:/scans") / name)


@pytest.mark.parametrize("name", ["a.", "a ", "a . ", "a.nii.gz."])
def test_a_name_whose_end_windows_drops_is_refused_and_never_made(name: str) -> None:
    assert slug(name)[-1] not in ". "
    with pytest.raises(ValueError, match="drops the last character"):
        refuse_windows_names(PureWindowsPath(f"C:\\{name}\\scan"))
    refuse_windows_names(PureWindowsPath("..\\.\\scans\\a b.nii.gz"))
    refuse_windows_names(PureWindowsPath("\\\\server\\share\\scans"))


def test_ids_that_only_differ_in_case_become_two_files() -> None:
    ids = unique_ids(["P1", "p1", "Straße", "STRASSE", "ſ1", "s1", "a\u0308", "\u00e4"])
    assert len({name.casefold() for name in ids}) == len(ids)


def test_help_can_be_printed_on_a_western_console() -> None:
    for name in COMMANDS:
        parser = build_parser(name)
        (commands,) = (a.choices for a in parser._actions if isinstance(a.choices, dict))
        commands[name].format_help().encode("cp1252")


def guarded(tree: ast.AST) -> set[ast.AST]:
    """What is below a test for being there: ``hasattr``, or an import that may fail."""
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If | ast.IfExp):
            asked = ast.unparse(node.test)
            is_guard = "hasattr" in asked or "os.name" in asked
        else:
            handlers = node.handlers if isinstance(node, ast.Try) else []
            is_guard = any("ImportError" in ast.unparse(handler) for handler in handlers)
        if is_guard:
            found |= set(ast.walk(node))
    return found


def test_the_package_uses_nothing_that_windows_lacks() -> None:
    lacking = {*(f"os.{name}" for name in NOT_THERE), *(f"signal.{name}" for name in NO_SIGNALS)}
    wrong = []
    for name in rules.tracked_files():
        if not name.endswith(".py") or name.split("/")[0] in ("tests", "scripts", "docs"):
            continue
        tree = ast.parse((rules.ROOT / name).read_text(encoding="utf-8"))
        known = guarded(tree)
        for node in ast.walk(tree):
            used = ""
            if isinstance(node, ast.Attribute) and ast.unparse(node) in lacking:
                used = ast.unparse(node)
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", "")}
                used = ", ".join(names & {"fcntl", "grp", "pwd", "resource", "termios"})
            if isinstance(node, ast.Call) and (called := ast.unparse(node.func)).endswith(
                ("ProcessPoolExecutor", "get_context", "multiprocessing.Pool", "symlink_to")
            ):
                how = ast.unparse(node)
                used = "" if "spawn" in how or "mp_context=context" in how else called
            if used and node not in known:
                wrong.append(f"{name}, line {getattr(node, 'lineno', '?')}: {used}")
    assert wrong == []


def test_a_study_is_measured_as_on_windows(tmp_path: Path) -> None:
    """Nothing of POSIX, a Western console, CRLF, backslashes, and names of every kind at once."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(AS_WINDOWS, encoding="utf-8")
    folder = tmp_path / "Zürich 환자 a b"
    write_series(folder / "Größe 1" / "ct")
    scan = read_scan(folder / "Größe 1" / "ct")
    inside = scan.array > scan.array.mean()
    write_mask(Volume(inside, scan.affine), folder / "Größe 1" / "mask.nii.gz")
    rows = [
        "subject,timepoint,kind,path,mask",
        "Ä-1,baseline,scan,Größe 1\\ct,.\\Größe 1\\mask.nii.gz",
        "환자2,baseline,scan,fehlt\\ct,",
    ]
    (folder / "study.csv").write_bytes("\r\n".join([*rows, ""]).encode("utf-8-sig"))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site), str(rules.ROOT / ".cache")]),
        "PYTHONIOENCODING": "cp1252",
    }
    done = subprocess.run(
        [sys.executable, "-m", "fibrovol", "run", "study.csv", "-o", "ergebnisse"],
        check=False,
        capture_output=True,
        cwd=folder,
        env=environment,
    )
    said = done.stderr.decode("cp1252")
    assert done.returncode == 3, said
    assert "1 of 2 measured" in said
    measured, failed = read_table(folder / "ergebnisse", "volumes")
    assert (measured["subject"], measured["status"]) == ("Ä-1", "measured")
    assert (failed["subject"], failed["status"]) == ("환자2", "failed")
    expected = float(inside.sum()) * scan.voxel_volume_ml
    assert measured["volume_ml"] == pytest.approx(expected, rel=1e-3)


class OpenElsewhere:
    """Windows' answer to a rename onto a file that Excel has open."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, times: int = 1 << 30) -> None:
        self.left, self.name, self.slept = times, name, 0.0
        whole = Path.replace

        def replace(path: Path, target: Path) -> Path:
            if Path(target).name == self.name and self.left > 0:
                self.left -= 1
                reason = "The process cannot access the file because another process uses it"
                raise PermissionError(13, reason, str(path), 32, str(target))
            return whole(path, target)

        monkeypatch.setattr(Path, "replace", replace)
        monkeypatch.setattr("fibrovol.files.time.sleep", self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.slept += seconds


def test_what_is_open_for_a_moment_is_waited_for(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "a.csv").write_text("old", encoding="utf-8")
    scanner = OpenElsewhere(monkeypatch, "a.csv", times=3)
    write_text(tmp_path / "a.csv", "new")
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == "new"
    assert 0 < scanner.slept < 2
    scanner.left = 1 << 30
    with pytest.raises(PermissionError):
        move(tmp_path / "a.csv", tmp_path / "a.csv")


def test_a_table_open_in_excel_is_named_and_nothing_is_lost(tmp_path: Path, monkeypatch) -> None:
    study = read_study(texts.write_texts(tmp_path / "in", ["1000", "1010"]))
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        OpenElsewhere(patch, "volumes.csv")
        with pytest.raises(OutputError) as caught:
            run_study(study, out, measure=texts.measure_text)
    assert caught.value.code == "output_not_writable"
    assert "volumes.csv" in caught.value.failure.found
    assert "close what has a file open" in caught.value.failure.do
    assert not list(out.rglob(".partial-*"))
    again = run_study(study, out, measure=texts.measure_text)
    assert (again.n_measured, again.n_reused) == (2, 2)


def test_paths_of_ours_leave_room_for_the_users_folder(tmp_path: Path) -> None:
    """Windows ends paths at 260 characters; ours take at most 190, whatever the codes are."""
    folder = tmp_path / "in"
    study_csv = texts.write_texts(folder, ["1000"])
    lines = list(csv.reader(study_csv.read_text(encoding="utf-8").splitlines()))
    at = lines[0].index("subject")
    for line in lines[1:]:
        line[at] = "S" * 64
    study_csv.write_text("\n".join(",".join(line) for line in lines) + "\n", encoding="utf-8")
    study = read_study(study_csv)
    (case,) = study.cases
    work = f".fibrovol/staging/{'0' * 32}/1-1234567-{10**18}/masks/"
    longest = work + ".partial-12345678-" + case.case_id + "_regions.geojson"
    assert len(longest) <= 190
    pulled = f"{'1' * 64}/.partial-{'1' * 64}/00001.dcm"
    assert len(pulled) <= 160
