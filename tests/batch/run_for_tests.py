"""A run in a process of its own, to be killed: python -m fibrovol.tests.batch.run_for_tests."""

import signal
import sys
from pathlib import Path

from fibrovol.batch.cluster import DaskExecutor
from fibrovol.batch.isolation import Limits
from fibrovol.batch.pool import Plan, PoolExecutor
from fibrovol.batch.runner import run_study
from fibrovol.intake.study import read_study
from fibrovol.tests.batch import cases_for_tests as texts

LIMITS = Limits(60.0, 2 << 30)
EXECUTORS = {
    "one": lambda: PoolExecutor(Plan(1, 1, LIMITS)),
    "several": lambda: PoolExecutor(Plan(2, 1, LIMITS)),
}


def main(source: str, output: str, executor: str) -> None:
    """Run a study of texts; an executor's name, or the address of a scheduler."""
    # a shell without job control starts its children deaf to Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
    make = EXECUTORS.get(executor, lambda: DaskExecutor(Plan(2, 1, LIMITS), executor))
    texts.leave_the_code_out(setattr)
    run_study(read_study(Path(source)), Path(output), executor=make(), measure=texts.measure_text)


if __name__ == "__main__":
    main(*sys.argv[1:])
