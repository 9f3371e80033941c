"""The examples in the docstrings of what a user calls from Python run as they stand."""

import doctest

import pytest
from fibrovol.imaging import measure, readers


@pytest.mark.parametrize("module", [readers, measure], ids=["read_scan", "measure_liver"])
def test_the_examples_run(module):
    failed, tried = doctest.testmod(module)
    assert tried >= 5
    assert failed == 0
