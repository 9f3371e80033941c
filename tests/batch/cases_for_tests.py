"""Measuring that is quick and known, for tests of what happens around it.

The "scan" of these tests is a text file. Its first word says what happens: a number is the volume
in mL, other words are failures.
"""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fibrovol.batch import runner
from fibrovol.batch import task as tasks
from fibrovol.batch.task import CaseResult, CaseTask, combined, input_states
from fibrovol.errors import FibrovolError, OutputError, ScanError
from fibrovol.files import sha256_file, writing
from fibrovol.provenance import content_sha256


def leave_the_code_out(set_attribute: Callable[[object, str, object], None]) -> None:
    """Take the code for the same in every run: hashing it is half of a short one."""
    for module in (tasks, runner):
        set_attribute(module, "code_sha256", lambda *_, **__: "0" * 64)


def measure_text(task: CaseTask) -> CaseResult:
    """Measure a text file."""
    case = task.case
    log = task.staging / "logs" / f"{case.case_id}.log"
    with writing():
        log.parent.mkdir(parents=True)
        log.write_text("measured\n", encoding="utf-8")
    outputs = {f"logs/{case.case_id}.log": sha256_file(log)}
    stat = content = ""
    row, failure = {}, None
    try:
        states = input_states(case)
        stat = combined([state.stat_sha256 for state in states])
        content = combined([content_sha256(state) for state in states])
        count(case.path)
        row = _row(task, case.path.read_text(encoding="utf-8").split()[0], outputs)
        row["input_sha256"] = sha256_file(case.path)
    except OutputError:
        raise
    except FibrovolError as error:
        failure = error.failure
    return CaseResult(case.case_id, row, failure, [], outputs, stat, content, [""])


def _row(task, word, outputs):
    if word == "bad":
        raise ScanError("too_few_slices", "too few", found="2", do="send more")
    if word == "hang":
        time.sleep(600)
    if word == "die":
        os._exit(137)
    if word == "greedy":
        waste = []
        while True:
            waste.append(bytearray(b"x" * (16 << 20)))
    if word.startswith("sleep"):
        time.sleep(float(word[5:]))
        word = "1000"
    mask = f"masks/{task.case.case_id}.txt"
    with writing():
        (task.staging / "masks").mkdir()
        (task.staging / mask).write_text(f"mask of {word}\n", encoding="utf-8")
    outputs[mask] = sha256_file(task.staging / mask)
    return {"volume_ml": float(word), "mask_path": mask}


def measure_naming_process(task: CaseTask) -> CaseResult:
    """The "volume" is the number of the process that measured."""
    found = measure_text(task)
    return replace(found, row={**found.row, "volume_ml": float(os.getpid())})


def count(path: Path) -> None:
    """Note beside the file that it was measured."""
    with path.with_suffix(".count").open("a", encoding="utf-8") as stream:
        stream.write("x")


def times_measured(path: Path) -> int:
    """How often a file was measured."""
    try:
        return len(path.with_suffix(".count").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return 0


def write_texts(folder: Path, words: list[str]) -> Path:
    """A study of such files: two visits a subject."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["subject,timepoint,kind,path"]
    for number, word in enumerate(words):
        (folder / f"scan{number}.txt").write_text(word + "\n", encoding="utf-8")
        visit = ("baseline", "month6")[number % 2]
        lines.append(f"S{number // 2 + 1:04d},{visit},scan,scan{number}.txt")
    path = folder / "study.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def measure_on_full_disk(task: CaseTask) -> CaseResult:
    """As if the disk filled up."""
    raise OutputError("output_not_writable", "The disk is full", do="free space")
