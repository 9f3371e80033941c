"""Do two arms, visits that people miss and collagen calls keep their promises? A simulation.

    python scripts/benchmark/trials.py [--cohorts 2000] [--only arms|visits|calls] [--json OUT]

- **arms**: two arms of 6, 10 and 15, baseline and later visit correlated. Analysis of covariance
  rejects 5 % without a difference, the permutation test 5 % at most, and the interval holds a true
  difference in 95 %.
- **visits**: 12, 19 and 40 subjects, three visits, no change on average; about a third, who did
  badly at month 6, do not come at month 12. The mixed model's change is unbiased and its interval
  holds the truth in 95 %, whether nobody is lost or these are.
- **calls**: livers that do not change, biopsies at two visits, which differ by a coefficient of
  variation of 43 %: at most 5 % of them are called changed.

Exit 1 where a rate is further off than three Monte-Carlo standard errors. Intervals may hold the
truth more often than promised where the sample is small; never less often.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from fibrovol.analysis import groups
from fibrovol.analysis.calls import within_sampling
from fibrovol.analysis.mmrm import mixed_model

LEVEL = 0.05
STANDARD_ERRORS = 3.0
DIFFERENCE = 0.8

Line = tuple[str, float, int, bool]
"""What was counted, the number, cohorts, and whether the promise held."""


def error(rate: float, cohorts: int) -> float:
    """What chance alone may add."""
    return STANDARD_ERRORS * math.sqrt(rate * (1 - rate) / cohorts)


def arms(cohorts: int, rng: np.random.Generator) -> Iterator[Line]:
    """Two arms, with and without a difference."""
    for each in (6, 10, 15):
        second = np.arange(2 * each) >= each
        rejected = permuted = held = 0
        for _ in range(cohorts):
            first = rng.normal(10, 2, 2 * each)
            later = 4 + 0.6 * first + rng.normal(0, 1.2, 2 * each)
            found = groups.ancova(first, later, second)
            assert found is not None
            rejected += found[1].p_value < LEVEL
            if each == 6:  # the larger ones take minutes, and the test is the same
                permuted += groups.permutation(later - first, second).p_value < LEVEL
            found = groups.ancova(first, later + DIFFERENCE * second, second)
            assert found is not None
            held += found[0].low <= DIFFERENCE <= found[0].high
        rate = rejected / cohorts
        fair = abs(rate - LEVEL) <= error(LEVEL, cohorts)
        yield f"arms n=2x{each}: ANCOVA rejects no difference", rate, cohorts, fair
        if each == 6:
            rate = permuted / cohorts
            fair = rate <= LEVEL + error(LEVEL, cohorts)
            yield f"arms n=2x{each}: permutation rejects no difference", rate, cohorts, fair
        rate = held / cohorts
        fair = abs(rate - 1 + LEVEL) <= error(LEVEL, cohorts)
        yield f"arms n=2x{each}: ANCOVA interval holds the difference", rate, cohorts, fair


def visits(cohorts: int, rng: np.random.Generator) -> Iterator[Line]:
    """Three visits without a change; a poor month 6 keeps people away from month 12."""
    for lost in (False, True):
        for n in (12, 19, 40):
            changes, held = [], 0
            for _ in range(cohorts):
                first = rng.normal(0, 1, n)
                second = 0.8 * first + rng.normal(0, 0.6, n)
                third = 0.2 * first + 0.7 * second + rng.normal(0, 0.45, n)
                away = (second - first < np.quantile(second - first, 0.35)) & (rng.random(n) < 0.85)
                if lost:
                    third[away] = np.nan
                model = mixed_model(np.column_stack([first, second, third]))
                if model is None:
                    continue
                change = model.changes[1]
                changes.append(change.value)
                held += change.low <= 0 <= change.high
            fitted, rate = len(changes), held / len(changes)
            what = f"visits n={n}, {'a third lost' if lost else 'nobody lost'}: mixed model"
            bias = float(np.mean(changes))
            enough = abs(bias) <= STANDARD_ERRORS * float(np.std(changes)) / math.sqrt(fitted)
            yield f"{what}, bias in SD", bias, fitted, enough
            fair = rate >= 1 - LEVEL - error(LEVEL, fitted)
            yield f"{what}, interval holds no change", rate, fitted, fair


def calls(cohorts: int, rng: np.random.Generator) -> Iterator[Line]:
    """Unchanged livers, sampled twice."""
    for samples in (1, 2):
        called = 0
        sd = math.sqrt(math.log1p(0.43**2))
        for _ in range(cohorts):
            mean = rng.uniform(5, 40)
            draw = mean * np.exp(rng.normal(-(sd**2) / 2, sd, (2, samples)))
            first, later = (float(np.exp(np.log(one).mean())) for one in draw)
            called += not within_sampling(first, later, 43.0, (samples, samples))
        rate = called / cohorts
        fair = rate <= LEVEL + error(LEVEL, cohorts)
        yield f"calls, {samples} biopsies a visit: unchanged livers called", rate, cohorts, fair


PARTS = {"arms": arms, "visits": visits, "calls": calls}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohorts", type=int, default=2000)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the numbers here as well")
    arguments = parser.parse_args()
    started = time.perf_counter()
    rows, broken = [], 0
    for name, part in PARTS.items():
        if arguments.only not in (None, name):
            continue
        for what, value, cohorts, held in part(
            arguments.cohorts, np.random.default_rng(arguments.seed)
        ):
            shown = f"{value:+.3f}" if "bias" in what else f"{100 * value:.1f} %"
            print(f"{what:68} {shown:>8} ({cohorts})  {'held' if held else 'BROKEN'}", flush=True)
            rows.append({"what": what, "value": value, "cohorts": cohorts, "held": held})
            broken += not held
    print(
        f"{len(rows) - broken} of {len(rows)} promises held, {time.perf_counter() - started:.0f} s"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
