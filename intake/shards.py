"""Take a part of a study, for one of many jobs that measure it together."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import replace

from ..errors import ConfigError, suggest
from .cases import Case
from .study import Study


def take_cases(study: Study, names: Collection[str]) -> Study:
    """The study with some of its cases; the others stay known, as baselines are.

    Args:
        study: the whole study.
        names: case_ids.

    Raises:
        ConfigError: a case that the study does not have; the nearest is named.
    """
    known = [case.case_id for case in study.cases]
    for name in names:
        if name not in known:
            raise ConfigError(
                "bad_config",
                "--only names a case that the study does not have",
                found=name,
                do=suggest(name, known)
                if len(known) < 50 or _is_near(name, known)
                else "write it as in the case_id column: SUBJECT_VISIT_KIND",
            )
    return _split(study, (case for case in study.cases if case.case_id in set(names)))


def _is_near(name: str, known: Iterable[str]) -> bool:
    return suggest(name, known).startswith("did you mean")


def take_shard(study: Study, shard: str) -> Study:
    """Every N-th case, so that scans and slides are spread over the shards.

    Args:
        study: the whole study.
        shard: "I/N", the I-th of N parts, counted from 1.

    Returns:
        The part; without cases where there are fewer cases than shards.

    Raises:
        ConfigError: it is not such a part.
    """
    number, count = read_shard(shard)
    return _split(study, study.cases[number - 1 :: count])


def read_shard(shard: str) -> tuple[int, int]:
    """I and N of "I/N".

    Raises:
        ConfigError: it is not that, or I is not from 1 to N.
    """
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", shard)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise ConfigError(
            "bad_config",
            "--shard is not a part of a whole",
            found=shard,
            do="write I/N with I from 1 to N, such as 3/50",
        )
    return int(found[1]), int(found[2])


def _split(study: Study, cases: Iterable[Case]) -> Study:
    own = tuple(cases)
    ids = {case.case_id for case in own}
    rest = tuple(case for case in study.cases if case.case_id not in ids)
    return replace(study, cases=own, elsewhere=(*study.elsewhere, *rest))
