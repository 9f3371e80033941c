"""A change of code measures again what hangs on it, and nothing else."""

import shutil

import pytest
from fibrovol.code_hash import code_files, code_sha256
from fibrovol.kinds.table import KINDS

STARTS = {"scan": "kinds.scan", "slide": "kinds.slide", "report": "report.page"}


@pytest.fixture(scope="module")
def package(repository, tmp_path_factory):
    """A copy of the package whose files may be edited."""
    copy = tmp_path_factory.mktemp("copy") / "fibrovol"
    skipped = (".*", "tests", "scripts", "docs", "__pycache__", "build", "*.egg-info", "dist")
    shutil.copytree(repository, copy, ignore=shutil.ignore_patterns(*skipped))
    return copy


@pytest.fixture(scope="module")
def unchanged(package):
    return _hashes(package)


def _hashes(package):
    code_sha256.cache_clear()
    return {
        name: code_sha256(module, package, wordings=name == "report")
        for name, module in STARTS.items()
    }


def _moved(package, relative, before):
    """Which hashes move when a line is added to a file; the copy is as before afterwards."""
    file = package / relative
    content = file.read_bytes()
    file.write_bytes(content + b"\n# changed\n")
    try:
        after = _hashes(package)
    finally:
        file.write_bytes(content)
    return {name for name in STARTS if before[name] != after[name]}


@pytest.mark.parametrize(
    ("relative", "expected"),
    [
        # decides a volume
        ("kinds/scan.py", {"scan"}),
        ("imaging/measure.py", {"scan"}),
        ("imaging/engines/monai_bundle.py", {"scan"}),
        ("imaging/series/find.py", {"scan"}),
        ("models/inference.py", {"scan"}),
        ("models/liver/models/model.pt", {"scan", "report"}),  # the methods name the network
        ("models/liver/configs/inference.yaml", {"scan", "report"}),
        ("configs/series.yaml", {"scan"}),
        # decides a collagen fraction
        ("kinds/slide.py", {"slide"}),
        ("histology/tiles/focus.py", {"slide"}),
        ("histology/readers/picture.py", {"slide"}),
        ("configs/stains.yaml", {"slide"}),
        # decides both
        ("kinds/base.py", {"scan", "slide"}),
        ("files.py", {"scan", "slide", "report"}),
        # decides what the report shows
        ("report/report.css", {"report"}),
        ("vocabulary.py", {"report"}),
        ("report/sections/flow.html.j2", {"report"}),
        ("report/macros.j2", {"report"}),
        ("analysis/paired.py", {"report"}),
        ("sheets/sheet.py", {"report"}),
        ("tables.py", {"report"}),
        ("errors.py", {"report"}),
        ("flags.py", {"report"}),
        # decides nothing that was measured or drawn
        ("batch/pool.py", set()),
        ("batch/journal.py", set()),
        ("batch/measure_case.py", set()),
        ("intake/remote.py", set()),
        ("report/unchanged.py", set()),
        ("commands/console.py", set()),
        ("settings.py", set()),
        ("provenance.py", set()),
        ("configs/default.yaml", set()),
        ("training/train.py", set()),
        ("phantoms/scans.py", set()),
    ],
)
def test_a_change_moves_what_hangs_on_it(package, unchanged, relative, expected):
    assert _moved(package, relative, unchanged) == expected


def test_a_new_import_is_followed_without_a_list(package):
    (package / "imaging" / "bias.py").write_text("FACTOR = 1\n", encoding="utf-8")
    start = package / "imaging" / "volumetry.py"
    content = start.read_text(encoding="utf-8")
    inside = "\n\ndef scaled():\n    from .bias import FACTOR\n\n    return FACTOR\n"
    by_name = '\n\nLATE = {"bias": ".bias:FACTOR"}\n'
    for addition in (inside, by_name):
        start.write_text(content + addition, encoding="utf-8")
        assert _moved(package, "imaging/bias.py", _hashes(package)) == {"scan"}
    for_types = "\nif TYPE_CHECKING:\n    from .bias import FACTOR\n"
    start.write_text(content + for_types, encoding="utf-8")
    assert _moved(package, "imaging/bias.py", _hashes(package)) == set()
    start.write_text(content, encoding="utf-8")


def test_the_hash_does_not_depend_on_line_ends(package):
    file = package / "kinds" / "scan.py"
    before, content = _hashes(package), file.read_bytes()
    file.write_bytes(content.replace(b"\n", b"\r\n"))
    assert _hashes(package) == before
    file.write_bytes(content)


def test_every_kind_names_its_module_and_each_has_its_own_code(package):
    hashes = {code_sha256(kind.module) for kind in KINDS.values()}
    assert len(hashes) == len(KINDS)
    assert all(len(value) == 64 for value in hashes)


def test_a_module_that_does_not_exist_is_an_error(package):
    with pytest.raises(LookupError, match=r"kinds\.gone"):
        code_files("kinds.gone", package)
