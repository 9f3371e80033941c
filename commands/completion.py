"""completion: print the script that completes commands and options in a shell."""

from __future__ import annotations

import argparse

DESCRIPTION = """\
Prints a script for your shell that completes commands, options and file names, for example:

  fibrovol completion bash > ~/.local/share/bash-completion/completions/fibrovol

Takes no time.
"""
SHELLS = ("bash", "zsh", "tcsh")


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = DESCRIPTION
    parser.add_argument("shell", choices=SHELLS, help="the shell that you use")


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    import shtab  # noqa: PLC0415 - start-up time

    print(shtab.complete(arguments.build_parser(), arguments.shell))
    return 0
