"""What holds for every command of the table: help, time, completion, slips, progress."""

import argparse
import re

import pytest
from fibrovol.cli import COMMANDS, build_parser, main
from fibrovol.commands.completion import SHELLS


def test_every_option_is_explained():
    parser = build_parser()
    (commands,) = (
        action for action in parser._actions if hasattr(action, "choices") and action.choices
    )
    for name, command in commands.choices.items():
        assert command.description, name
        for action in command._actions:
            assert action.help, f"{name}: {action.dest}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_how_long_it_takes(name):
    parser = build_parser(name)
    (commands,) = (a.choices for a in parser._actions if isinstance(a.choices, dict))
    text = " ".join((commands[name].description or "").split())
    assert re.search(r"\b([Tt]akes|Starts in|for a given time)\b", text), text


def _options_of(name):
    parser = build_parser(name)
    (commands,) = (a.choices for a in parser._actions if isinstance(a.choices, dict))
    return sorted(
        option
        for action in commands[name]._actions
        if action.help != argparse.SUPPRESS
        for option in action.option_strings
        if option.startswith("--")
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_slip_is_answered_with_what_was_meant(capsys, name):
    """A letter twice in the command, two exchanged and one too many in each of its options."""
    slip = name[0] + name
    for words, meant in [([slip], name)] + [
        ([name, f"{option[:-2]}{option[-1]}{option[-2]}x"], option) for option in _options_of(name)
    ]:
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert caught.value.code == 2
        assert f"did you mean {meant}?" in capsys.readouterr().err, words


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_and_option_is_completed(capsys, shell):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for name in COMMANDS:
        assert name in script
        for option in _options_of(name):
            assert option in script or option.lstrip("-") in script, (name, option)


SHOWN_ELSEWHERE = {"collagen": "commands/measuring.py", "run": "commands/measuring.py"}
AT_ONCE = {"status", "completion", "plan", "review", "report"}
"""They take a few seconds, or wait for the user."""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_takes_long_shows_how_far_it_is(repository, name):
    files = [f"commands/{name}.py", SHOWN_ELSEWHERE.get(name) or f"commands/{name}.py"]
    text = "".join((repository / file).read_text(encoding="utf-8") for file in files)
    assert bool(re.search(r"with (counting|progress)\(", text)) == (name not in AT_ONCE)
