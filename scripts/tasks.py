"""What scripts/install, check, test, demo, lock and release do. Needs only Python 3.11 or newer.

One implementation for every system: the files of these names only call :func:`main`, so that
``scripts/demo`` on Linux and macOS and ``python scripts\\demo`` on Windows do the same.

Everything is installed into ``.venv`` in the repository root (another place with
``FIBROVOL_VENV``); a stamp in it says for which pyproject.toml and constraints.txt, so a second
call starts at once.
"""

from __future__ import annotations

import argparse
import csv
import difflib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from audit import audit
from package_link import show_root_as_package
from pins import LOCKED_EXTRAS, renewed_constraints

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = Path(os.environ.get("FIBROVOL_VENV", ROOT / ".venv"))
BIN = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
STAMP = ENVIRONMENT / "fibrovol-installed.json"
LOG = ENVIRONMENT / "fibrovol-install.log"

# PyPI's Linux build of torch brings 3 GB of CUDA libraries that Fibrovol does not need. PyTorch's
# own index has the CPU build; where it cannot be reached, pip continues with the usual index.
TORCH_INDEX = os.environ.get(
    "FIBROVOL_TORCH_INDEX",
    "https://download.pytorch.org/whl/cpu" if sys.platform == "linux" else "",
)
SOME_CASES_FAILED = 3
# bandit: start programs with fixed words, ask a fixed https address, simulate with random numbers
SCRIPTS_MAY = "B101,B310,B311,B404,B603,B607"
# The checks of scripts/check in their order: a title and the words of the command.
CHECKS = {
    "style (ruff check)": ["ruff", "check", "."],
    "layout (ruff format)": ["ruff", "format", "--check", "."],
    "types (mypy --strict)": ["mypy", "-p", "fibrovol"],
    "layers (import-linter)": ["lint-imports"],
    "files (scripts/rules.py)": ["python", "scripts/rules.py"],
    "the reader's page (tsc, eslint, node --test)": ["python", "scripts/build_page.py", "--check"],
    "documentation (mkdocs, strict)": ["python", "-m", "mkdocs", "build", "--strict", "-q"],
    "licences of what is installed": ["python", "scripts/licences.py"],
    "security (bandit)": ["bandit", "-q", "-r", ".", "-c", "pyproject.toml"],
    # these start programs all the time, with fixed words and without a shell
    "security (bandit, scripts)": ["bandit", "-q", "-r", "scripts", "-s", SCRIPTS_MAY],
}
# The same on the files of a commit: what needs neither the other files nor a network.
CHECKS_OF_FILES = {
    "style (ruff check)": ["ruff", "check", "--force-exclude"],
    "layout (ruff format)": ["ruff", "format", "--check", "--force-exclude"],
    "files (scripts/rules.py)": ["python", "scripts/rules.py"],
}


class TaskError(Exception):
    """A step failed; the message says what and what to do."""


def say(text: str) -> None:
    """Print a step at once, also where the output is a pipe."""
    print(text, flush=True)


def install(extras: frozenset[str]) -> None:
    """Make ``.venv`` hold the package (editable) and the extras; do nothing where it already does.

    Raises:
        TaskError: the environment cannot be made or a package cannot be installed.
    """
    wanted = _digest()
    digest, installed_extras = _read_stamp()
    if digest == wanted and extras <= installed_extras and PYTHON.is_file():
        return
    extras |= installed_extras
    started = time.monotonic()
    if not PYTHON.is_file():
        say(f"Making a Python environment in {ENVIRONMENT} ...")
        made = subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=False)
        if made.returncode:
            raise TaskError(
                f"{sys.executable} could not make a virtual environment. What to do: on Debian and"
                " Ubuntu install the package python3-venv, then start this script again."
            )
    LOG.unlink(missing_ok=True)
    constraints = ["-c", str(ROOT / "constraints.txt")]
    # the pip that Python brings needs twice the time; without network to spare it does as well
    _pip([*constraints, "--upgrade", "pip"])
    say("Installing PyTorch (about 200 MB) ...")
    # --no-deps: one question to the extra index, which a firewall may leave unanswered
    torch_build = ["--extra-index-url", TORCH_INDEX, "--retries", "1", "--timeout", "15"]
    if not (TORCH_INDEX and _pip([*torch_build, "--no-deps", *constraints, "torch"])) and not _pip(
        ["--no-deps", *constraints, "torch"]
    ):
        raise _install_error()
    say("Installing Fibrovol and the libraries it uses (2 to 5 minutes) ...")
    target = str(ROOT) + (f"[{','.join(sorted(extras))}]" if extras else "")
    if not _pip([*constraints, "-e", target]):
        raise _install_error()
    _compile()
    STAMP.write_text(
        json.dumps({"digest": wanted, "extras": sorted(extras)}), encoding="utf-8", newline="\n"
    )
    say(f"Installed in {time.monotonic() - started:.0f} s.")


def _compile() -> None:
    """Compile what was installed, on every core: pip would do it one file after another.

    A file that cannot be compiled, such as a template, is no matter.
    """
    folder = subprocess.run(
        [str(PYTHON), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    words = ["-m", "compileall", "-qq", "-j", "0", "-x", r"[/\\]tests[/\\]", folder]
    with LOG.open("ab") as log:
        subprocess.run([str(PYTHON), *words], check=False, stdout=log, stderr=log)


def _pip(arguments: list[str]) -> bool:
    command = [str(PYTHON), "-m", "pip", "install", "--no-input", "--progress-bar", "off"]
    command.append("--no-compile")  # see _compile
    with LOG.open("ab") as log:
        log.write(("\n$ " + " ".join([*command, *arguments]) + "\n").encode())
        log.flush()
        done = subprocess.run([*command, *arguments], check=False, stdout=log, stderr=log)
    return done.returncode == 0


def _install_error() -> TaskError:
    last_lines = LOG.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
    return TaskError(
        "The installation stopped:\n  " + "\n  ".join(last_lines) + f"\nThe whole log is {LOG}."
        " What to do: check the internet connection. Behind a hospital's firewall ask for its proxy"
        " and set HTTPS_PROXY, or for its package mirror and set PIP_INDEX_URL; then start this"
        " script again."
    )


def _digest() -> str:
    digest = hashlib.sha256(sys.version.encode())
    page = [path for path in (ROOT / "review" / "page").rglob("*") if path.is_file()]
    page = [path for path in page if "node_modules" not in path.parts]
    # the reader's page is built by the installation
    for path in (ROOT / "pyproject.toml", ROOT / "constraints.txt", *sorted(page)):
        digest.update(path.read_bytes())
    digest.update(str(ROOT).encode())
    return digest.hexdigest()


def _read_stamp() -> tuple[str, frozenset[str]]:
    if not STAMP.is_file():
        return "", frozenset()
    state = json.loads(STAMP.read_text(encoding="utf-8"))
    return state["digest"], frozenset(state["extras"])


def run(command: list[str]) -> int:
    """Run a command in the repository root and give its exit status."""
    return subprocess.run(command, check=False, cwd=ROOT).returncode


def task_install(arguments: list[str]) -> int:
    """Install Fibrovol into .venv; --dev adds what development needs."""
    parser = argparse.ArgumentParser(prog="scripts/install", description=task_install.__doc__)
    parser.add_argument("--dev", action="store_true", help="also the tests' and checks' libraries")
    parser.add_argument(
        "--totalsegmentator", action="store_true", help="also the TotalSegmentator engine"
    )
    parser.add_argument("--s3", action="store_true", help="also to read from object stores")
    parser.add_argument("--pacs", action="store_true", help="also pull and push by DIMSE")
    parser.add_argument("--cluster", action="store_true", help="also --scheduler (Dask)")
    chosen = parser.parse_args(arguments)
    install(frozenset(name for name, wanted in vars(chosen).items() if wanted))
    if chosen.dev:
        show_root_as_package(ROOT)  # for editors
    activate = BIN / "activate"
    say(f"Fibrovol is ready: {BIN / 'fibrovol'} --help")
    say(f"To type only `fibrovol`: {activate if os.name == 'nt' else f'source {activate}'}")
    return 0


def task_demo(arguments: list[str]) -> int:
    """Install Fibrovol, then run its demo; arguments go to `fibrovol demo`."""
    install(frozenset())
    folder = ROOT / "fibrovol-demo"
    where = arguments or ["-o", str(folder)]
    # not `python -m`: that would take modules from whatever folder the user is in
    status = subprocess.run([str(BIN / "fibrovol"), "demo", *where], check=False).returncode
    # `fibrovol` ends with 3 where cases failed. Here one is meant to: that is not a failed demo.
    if status == SOME_CASES_FAILED and not arguments and _failed_cases(folder) == 1:
        return 0
    return status


def _failed_cases(folder: Path) -> int:
    failed = 0
    for name in ("volumes.csv", "collagen.csv"):
        with (folder / name).open(encoding="utf-8", newline="") as stream:
            failed += sum(row["status"] == "failed" for row in csv.DictReader(stream))
    return failed


def task_test(arguments: list[str]) -> int:
    """Install what the tests need, then run them; arguments go to pytest.

    Without arguments every test runs, a process per core and two more, because browsers, archives
    and killed runs are waited for. In CI the coverage must not fall below the floor that
    pyproject.toml states (it costs two fifths more time, so not everywhere), and there is one
    process less, because slower tests wait less. What each test took is left in
    .cache/durations.tsv.
    """
    install(frozenset({"dev"}))
    in_ci = "CI" in os.environ
    processes = _cores() + (1 if in_ci else 2)
    whole_suite = ["-n", str(processes), "--dist", "loadgroup", "--durations=15"]
    if in_ci:
        whole_suite += ["--cov", "--cov-report=term:skip-covered"]
    return run([str(PYTHON), "-m", "pytest", *(arguments or whole_suite)])


def _cores() -> int:
    """How many cores this process may use; a container often gives fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def task_check(arguments: list[str]) -> int:
    """Hold the style, the types, the layers, the rules for files and what is known of security."""
    parser = argparse.ArgumentParser(prog="scripts/check", description=task_check.__doc__)
    parser.add_argument(
        "files",
        nargs="*",
        help="only these, only style and file rules, and no network (pre-commit)",
    )
    if files := parser.parse_args(arguments).files:
        return _check_files(files)
    install(frozenset({"dev"}))
    show_root_as_package(ROOT)
    failed = _failing(CHECKS)
    say("--- known vulnerabilities (pip-audit)")
    found = audit(PYTHON)
    for line in found.vulnerable:
        say(line)
    if found.vulnerable:
        failed.append("known vulnerabilities (pip-audit)")
    unknown = f"NOT CHECKED: known vulnerabilities of the libraries. {found.reason}."
    if not found.checked:
        say("!" * 80 + f"\n{unknown}\n" + "!" * 80)
    elif found.skipped:
        say(f"Not known to the service, so not checked: {', '.join(found.skipped)}.")
    passed = "All checks passed." if found.checked else "All checks that were made passed."
    say(f"FAILED: {', '.join(failed)}" if failed else passed)
    if not found.checked:
        say(f"But {unknown}")  # again, where it is read; a machine without network is not a failure
    return 1 if failed else 0


def _check_files(files: list[str]) -> int:
    if not PYTHON.is_file():
        raise TaskError(f"There is no {PYTHON}. What to do: run scripts/install --dev once.")
    python = [name for name in files if name.endswith(".py") or name.startswith("scripts/")]
    failed = _failing(
        {
            title: [*command, *(files if "scripts/rules.py" in command else python)]
            for title, command in CHECKS_OF_FILES.items()
            if python or "scripts/rules.py" in command
        }
    )
    return 1 if failed else 0


def _failing(checks: dict[str, list[str]]) -> list[str]:
    """Run checks beside each other, a core each; their output in the order of the checks."""

    def done(command: list[str]) -> subprocess.CompletedProcess[str]:
        program, *rest = command
        full = [str(PYTHON if program == "python" else BIN / program), *rest]
        return subprocess.run(
            full, check=False, cwd=ROOT, text=True, encoding="utf-8", errors="replace",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    failed = []
    with ThreadPoolExecutor(_cores()) as pool:
        for title, result in zip(checks, pool.map(done, checks.values()), strict=True):
            say(f"--- {title}\n{result.stdout.rstrip()}".rstrip())
            if result.returncode:
                failed.append(title)
    return failed


def task_lock(arguments: list[str]) -> int:
    """Renew constraints.txt with the newest versions that fit together; installs nothing."""
    argparse.ArgumentParser(prog="scripts/lock", description=task_lock.__doc__).parse_args(
        arguments
    )
    install(frozenset({"dev"}))
    say("Asking the package index for the newest versions (some minutes) ...")
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        torch_index = ["--extra-index-url", TORCH_INDEX] if TORCH_INDEX else []
        options = ["--dry-run", "--ignore-installed", "--report", str(answer), *torch_index]
        if not _pip([*options, f"{ROOT}[{','.join(LOCKED_EXTRAS)}]"]):
            raise _install_error()
        resolved = json.loads(answer.read_text(encoding="utf-8"))
    path = ROOT / "constraints.txt"
    before = path.read_text(encoding="utf-8")
    after = renewed_constraints(before, resolved)
    path.write_text(after, encoding="utf-8", newline="\n")
    changes = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    for line in [line for line in changes if line[:1] in "+-" and line[:3] not in ("+++", "---")]:
        say(line)
    say("constraints.txt is renewed. Next: scripts/check and scripts/test, with these versions.")
    return 0


def task_release(arguments: list[str]) -> int:
    """Make a release: version, changelog, archives built twice, checksums, tag."""
    install(frozenset({"dev"}))
    return run([str(PYTHON), "scripts/release_tool.py", *arguments])


TASKS = {
    "install": task_install,
    "demo": task_demo,
    "test": task_test,
    "check": task_check,
    "lock": task_lock,
    "release": task_release,
}


def main(task: str) -> int:
    """Run a task with the command line's arguments; the exit status."""
    _need_new_python()
    try:
        return TASKS[task](sys.argv[1:])
    except TaskError as error:
        print(error, file=sys.stderr)
        return 1


def _need_new_python() -> None:
    """Go on with a newer Python where there is one; an older must be able to read this file."""
    if sys.version_info >= (3, 11):
        return
    for name in ("python3.13", "python3.12", "python3.11"):
        if shutil.which(name):
            sys.exit(subprocess.run([name, *sys.argv], check=False).returncode)
    sys.exit("Fibrovol needs Python 3.11 or newer; this is " + sys.version.split()[0] + ".")
