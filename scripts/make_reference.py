"""Write docs/reference/ from the tables in the code, so that the pages cannot fall behind.

    .venv/bin/python scripts/make_reference.py

tests/test_docs.py compares the pages with what this makes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path

from fibrovol import cli
from fibrovol.errors import ERROR_CODES
from fibrovol.files import write_text
from fibrovol.flags import FLAGS
from fibrovol.report import checklists
from fibrovol.scripts.python_reference import python_page
from fibrovol.tables import INPUT_TABLES, TABLES

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "reference"
NOTE = "<!-- Made by scripts/make_reference.py from the code: edit there. -->\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def flags_page() -> str:
    """Every flag with its sentence."""
    rows = [
        (
            f"`{code}`",
            _cell(flag.sentence),
            "yes" if flag.doubtful else ", ".join(f"`{key}`" for key in flag.incomplete),
        )
        for code, flag in FLAGS.items()
    ]
    return (
        f"# Flags\n\n{NOTE}\n"
        "A flag appears in the `flags` column next to a number and says what to know before you"
        " trust it.\nSeveral are joined by `;`.\n\nA flag that makes its number *doubtful* keeps"
        " it out of every comparison until a reader has\naccepted the case. The number stays in"
        ' its table; the subject is listed under "not paired" with the\nflag as the reason.'
        "\n\nMeasures named in the last column are larger than their number. They are kept out in"
        " the same way,\nunless the visit has another scan without the flag.\n\n"
        + _table(("flag", "meaning", "doubtful"), rows)
    )


def errors_page() -> str:
    """Every error code with its sentence."""
    rows = [(f"`{code}`", _cell(sentence)) for code, sentence in ERROR_CODES.items()]
    return (
        f"# Errors\n\n{NOTE}\n"
        "The code is at the start of the `error` column of a failed case, and in the message"
        " on the\nscreen, which also says what was found in your file and what to do.\n\n"
        + _table(("code", "meaning"), rows)
    )


def files_page() -> str:
    """Every column of every result table."""
    parts = [
        f"# Result files\n\n{NOTE}\n"
        "Tables are CSV in UTF-8 with one header line, `.` as decimal sign, empty cells for what is"
        " not\nknown and ISO dates. `datapackage.json` next to them says the same as this page for"
        " programs. What\nyou write yourself is described in [study files](study-files.md).\n"
    ]
    for table in (*TABLES.values(), *INPUT_TABLES.values()):
        rows = [
            (f"`{column.name}`", column.type, _cell(column.unit), _cell(column.description))
            for column in table.columns
        ]
        parts.append(
            f"\n## {table.filename}\n\n{table.title}.\n\n"
            + _table(("column", "type", "unit", "meaning"), rows)
        )
    return "".join(parts)


def settings_page() -> str:
    """configs/*.yaml as they are: each key explains itself."""
    parts = [f"# Settings\n\n{NOTE}"]
    for name in sorted(
        entry.name
        for entry in resources.files("fibrovol.configs").iterdir()
        if entry.name.endswith(".yaml")
    ):
        text = resources.files("fibrovol.configs").joinpath(name).read_text(encoding="utf-8")
        parts.append(f"\n## {name}\n\n```yaml\n{text.rstrip()}\n```\n")
    return "".join(parts)


def _subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _options(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
            continue
        if action.help == argparse.SUPPRESS:
            continue
        choices = "\\|".join(str(choice) for choice in action.choices or ())
        value = "" if action.nargs == 0 else choices or str(action.metavar or action.dest.upper())
        if action.option_strings:
            name = ", ".join(f"`{option}`" for option in action.option_strings)
            name += f" {value}" if value else ""
        else:
            name = f"`{value}`" + (" (several allowed)" if action.nargs in ("+", "*") else "")
        meaning = (action.help or "") % {**vars(action), "prog": parser.prog}
        if action.option_strings and action.required:
            meaning += " (required)"
        yield name, _cell(meaning)


def commands_page() -> str:
    """Every command with its arguments and options."""
    parser = cli.build_parser()
    parts = [
        f"# Commands\n\n{NOTE}\n"
        "`fibrovol COMMAND --help` says the same on the screen. Exit status: 0 all measured; 1"
        " nothing to\nmeasure, or the input cannot be used; 2 wrong command line; 3 finished, but"
        " some cases failed\n(they are listed).\n"
    ]
    top = list(_options(parser))
    if top:
        parts.append("\n## fibrovol\n\n" + _table(("option", "meaning"), top))
    for name, command in _subcommands(parser).items():
        parts.append(f"\n## fibrovol {name}\n\n{(command.description or '').strip()}\n")
        rows = list(_options(command))
        if rows:
            parts.append("\n" + _table(("argument", "meaning"), rows))
    return "".join(parts)


def checklists_page() -> str:
    """What the reporting guidelines ask for, and where it is stated."""
    parts = [f"# Checklists for the paper\n\n{NOTE}\n{checklists.ABOUT}\n"]
    for one in checklists.CHECKLISTS:
        parts.append(f"\n## {one.title}\n\n" + (f"{one.note}\n\n" if one.note else ""))
        parts.append(_table(*checklists.tables(one)))
    return "".join(parts)


PAGES = {
    "checklists.md": checklists_page,
    "commands.md": commands_page,
    "errors.md": errors_page,
    "files.md": files_page,
    "flags.md": flags_page,
    "python.md": lambda: python_page(NOTE),
    "settings.md": settings_page,
}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        write_text(REFERENCE / name, page())


if __name__ == "__main__":
    main()
