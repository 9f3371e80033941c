"""The names that ``import fibrovol`` gives, and what it costs."""

import subprocess
import sys
from importlib import metadata

import fibrovol
import pytest


def test_the_public_names_are_these():
    assert fibrovol.__all__ == [
        "CollagenMeasurement",
        "FibrovolError",
        "LiverMeasurement",
        "Volume",
        "__version__",
        "measure_collagen",
        "measure_liver",
        "read_results",
        "read_scan",
        "run_study",
    ]
    assert dir(fibrovol) == sorted(fibrovol.__all__)


@pytest.mark.parametrize("name", fibrovol.__all__)
def test_every_public_name_leads_somewhere(name):
    assert getattr(fibrovol, name) is not None


def test_the_version_is_the_installed_one():
    assert fibrovol.__version__ == metadata.version("fibrovol")


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="measure_spleen"):
        fibrovol.measure_spleen  # noqa: B018


@pytest.mark.parametrize("words", [["--help"], ["volume", "--help"], ["--version"]])
def test_help_waits_for_no_library(words):
    code = (
        "import sys; from fibrovol.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'monai', 'pandas', 'matplotlib', 'scipy', 'cv2', 'dask', 'pydicom'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("heavy: []\n")
