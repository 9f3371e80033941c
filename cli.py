"""The command line: argument parser, exit codes, error messages.

Exit codes: 0 all measured; 1 nothing to measure, or the input cannot be used; 2 wrong command line;
3 finished, but some cases failed (they are listed).
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import NoReturn

from .errors import FibrovolError
from .provenance import fibrovol_version

COMMANDS = {
    "demo": "make a phantom study, measure it and write its report: start here",
    "inspect": "list the scans and slides under a path, and which can be measured",
    "init": "draft the study tables from a folder of scans and slides",
    "pull": "copy the scans of listed patients from a DICOMweb server (PACS)",
    "volume": "measure the liver volume of CT or MR scans",
    "collagen": "measure the collagen area fraction of stained slides",
    "run": "measure a whole study and write its report",
    "merge": "put the results of parts of a study together, after a job array",
    "report": "write the report of a measured study again",
    "plan": "say how many subjects the next trial needs, from this study's variation",
    "review": "look, accept, reject and correct: opens a page in your browser",
    "push": "send DICOM SEG and SR of a results folder to a DICOMweb server",
    "export": "write results for 3D Slicer, ITK-SNAP or QuPath, like BIDS, or as an RO-Crate",
    "status": "say how far a run is, or how it ended",
    "verify": "check that inputs and results are still what was measured",
    "train": "train the liver network on your own labelled CTs",
    "evaluate": "compare an engine with livers drawn by people",
    "completion": "print a script that completes commands and options in your shell",
}
"""Each command is a module of its name in commands/, which adds its arguments and runs it."""

_EPILOG = """\
Start with `fibrovol demo`: it makes phantom scans and slides, measures them and writes a report.
Help on one command: fibrovol COMMAND --help
Exit status: 0 all measured; 1 the input cannot be used; 2 wrong command line; 3 some cases failed.
"""


class _Parser(argparse.ArgumentParser):
    """Says which option was probably meant; argparse only says what is wrong."""

    def refuse_unknown_options(self, words: Sequence[str]) -> None:
        """Refuse what begins with ``--`` and is not an option, before anything missing is said."""
        known = [option for option in self._option_string_actions if option.startswith("--")]
        for word in words:
            if word == "--":
                return
            name = word.partition("=")[0]
            if name.startswith("--") and not any(option.startswith(name) for option in known):
                self.refuse("option", name, known)

    def refuse(self, what: str, name: str, known: Iterable[str]) -> NoReturn:
        """End with exit status 2, naming the nearest of what there is."""
        close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
        self.error(f"there is no {what} {name}" + (f": did you mean {close[0]}?" if close else ""))


def build_parser(only: str = "") -> _Parser:
    """The command line.

    Args:
        only: the command whose arguments are added; those of all if not given. A command's module
            is imported for it, and --help must not wait for all of them.
    """
    parser = _Parser(
        prog="fibrovol",
        description="Measures liver volume on CT and MR and collagen on biopsy slides, and\n"
        "compares two visits of each patient. For research; not a medical device.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fibrovol {fibrovol_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, short in COMMANDS.items():
        own = commands.add_parser(
            name, help=short, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if only in ("", name):
            module = import_module(f".commands.{name}", __package__)
            module.add(own)
            own.set_defaults(run=module.run, build_parser=build_parser)
        own.add_argument(
            "--json",
            action="store_true",
            help="print the result as one line of JSON on stdout, and progress as JSON on stderr",
        )
        own.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    return parser


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read a command line; a wrong one ends the program with exit status 2."""
    name = words[0] if words else ""
    if name in COMMANDS:
        parser = build_parser(name)
        _subparser(parser, name).refuse_unknown_options(words[1:])
    else:
        parser = build_parser("-")
        if name and not name.startswith("-"):
            parser.refuse("command", name, COMMANDS)
        parser.refuse_unknown_options(words)
    return parser.parse_args(words)


def _subparser(parser: _Parser, name: str) -> _Parser:
    for action in parser._actions:
        if isinstance(action.choices, dict):
            return action.choices[name]
    raise LookupError(name)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: the arguments; those of the process if not given.

    Returns:
        The exit status, see the module.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a Korean or Western Windows console lacks characters
            stream.reconfigure(errors="replace")
    arguments = parse(sys.argv[1:] if argv is None else argv)
    if not arguments.debug:
        # what a library warns of while a case is measured goes to the case's log
        warnings.simplefilter("ignore")
    try:
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        print(
            "\nStopped. Finished cases are kept: run the same command again to continue.",
            file=sys.stderr,
        )
        return 130
    except BrokenPipeError:  # `fibrovol … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except FibrovolError as error:
        print(f"fibrovol: {error}", file=sys.stderr)
        return 1
    except Exception as error:
        if arguments.debug:
            raise
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        print(
            f"fibrovol: An unexpected error. Found: {reason}. What to do: give the command again "
            "with --debug and report what it prints.",
            file=sys.stderr,
        )
        return 1


if __name__ == "__main__":
    sys.exit(main())
