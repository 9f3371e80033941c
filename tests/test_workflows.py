"""The workflows of docs/examples run as they stand there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fibrovol.tables import read_table
from fibrovol.tests.batch import cases_for_tests as texts


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("snakemake") is None, reason="Snakemake is not installed")
def test_the_snakemake_workflow_measures_shards_and_merges_them(repository, tmp_path):
    folder = tmp_path / "a b"  # a folder with a blank in its name
    texts.write_texts(folder, ["no scan"] * 2)
    scripts = Path(sys.executable).parent
    found = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [
            "snakemake",
            *("--snakefile", repository / "docs" / "examples" / "Snakefile", "--cores", "2"),
            *("--config", "shards=2"),
        ],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=found,
    )
    assert done.returncode == 0, done.stderr
    rows = read_table(folder / "results", "volumes")
    assert [row["status"] for row in rows] == ["failed", "failed"]
    assert (folder / "results" / "report.html").is_file()
    assert len(list((folder / "results" / "shards").glob("*-of-2"))) == 2
