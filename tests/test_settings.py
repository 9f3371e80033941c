"""Settings: the file and the dataclasses agree, and what is misspelt is refused with a hint."""

from dataclasses import fields, is_dataclass
from typing import get_type_hints

import pytest
from fibrovol.errors import ConfigError
from fibrovol.settings import Settings, as_plain, load_settings, parse_yaml


def _leaves(kind, prefix=""):
    hints = get_type_hints(kind)
    for field in fields(kind):
        if is_dataclass(hints[field.name]):
            yield from _leaves(hints[field.name], f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}"


def test_every_setting_has_a_line_with_its_unit_in_the_default_file(repository):
    text = (repository / "configs" / "default.yaml").read_text(encoding="utf-8")
    for key in _leaves(Settings):
        section, name = key.split(".")
        body = text.split(f"\n{section}:", 1)[1]
        line = next(line for line in body.splitlines() if line.strip().startswith(f"{name}:"))
        assert " # " in line, f"{key} has no comment"


def test_changes_lie_over_the_defaults_and_later_ones_win(tmp_path):
    defaults = load_settings()
    file = tmp_path / "mine.yaml"
    file.write_text("run:\n  workers: 3\n", encoding="utf-8")
    changed = load_settings(file, {"run": {"case_time_limit_min": "1e1"}})
    assert changed.run.workers == 3
    assert changed.run.case_time_limit_min == 10.0
    assert changed.liver == defaults.liver
    assert load_settings(as_plain(changed)) == changed


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"run": {"worker": 2}}, "did you mean 'workers'"),
        ({"runn": {"workers": 2}}, "did you mean 'run'"),
        ({"run": {"workers": 0}}, "from 1 to"),
        ({"run": {"workers": 1.5}}, "a whole number"),
        ({"run": {"workers": True}}, "a number"),
        ({"run": {"workers": None}}, "a number"),
        ({"run": {"case_time_limit_min": float("nan")}}, "finite"),
        ({"run": 3}, "group of"),
        ({"liver": {"engine": 3}}, "text"),
    ],
)
def test_a_wrong_key_or_value_is_refused_with_what_to_do(change, says):
    with pytest.raises(ConfigError, match=says) as caught:
        load_settings(change)
    assert caught.value.code == "bad_config"
    assert "What to do" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\na: 2\n",
        "a: !!python/object/apply:os.system ['true']\n",
        "- a\n- b\n",
        "a: [1\n",
        "\ta: 1\n",
        "? [a, b]\n: 1\n",
        "a: 1\n" * 300_000,
    ],
)
def test_yaml_that_repeats_runs_or_lists_is_refused(text):
    with pytest.raises(ConfigError):
        parse_yaml(text, "x.yaml")


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_settings(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(tmp_path / "missing.yaml")
