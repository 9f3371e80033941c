"""Make docs/reference/python.md from the docstrings of what ``import fibrovol`` gives."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import fibrovol

_SECTIONS = ("Args", "Returns", "Raises", "Examples", "Yields")
_ENTRY = re.compile(r"^(\*{0,2}\w+): (.*)", re.DOTALL)
_ROLE = re.compile(r":\w+:`~?([^`]+)`")


def python_page(note: str) -> str:
    """The page; ``note`` says that it is made."""
    parts = [
        f"# Python\n\n{note}\n"
        "What the commands do, a notebook can do as well. [The example notebook]"
        "(../examples/notebook.ipynb) runs in the tests;\n`pip install jupyterlab` next to Fibrovol"
        " is all that it needs.\n\n"
        "A `Volume` and a measurement show themselves with a picture at the end of a cell, and in"
        " one line\nelsewhere. No patient's name is shown; every text is escaped.\n"
    ]
    for name in sorted(fibrovol.__all__, key=str.lower):
        value = getattr(fibrovol, name)
        if isinstance(value, str):
            parts.append(f"\n## fibrovol.{name}\n\nThe version, a text.\n")
        elif inspect.isclass(value):
            parts += _class(name, value)
        else:
            parts += [f"\n## fibrovol.{name}\n", *_callable(name, value)]
    return "".join(parts)


def _class(name: str, value: type) -> Iterator[str]:
    yield f"\n## fibrovol.{name}\n\n{_prose(inspect.getdoc(value) or '')}"
    fields = {name: text for base in reversed(value.__mro__) for name, text in _fields(base)}
    if fields:
        yield "\n| attribute | meaning |\n| --- | --- |\n"
        yield from (f"| `{field}` | {text} |\n" for field, text in fields.items())
    for method, member in inspect.getmembers(value):
        if method.startswith("_") or inspect.getattr_static(value, method, None) is None:
            continue
        own = str(getattr(member, "__module__", "")).startswith("fibrovol")
        if own and inspect.isroutine(member) and member.__doc__:
            yield f"\n### {name}.{method}\n"
            yield from _callable(f"{name}.{method}", member)


def _fields(value: type) -> Iterator[tuple[str, str]]:
    """Attributes with the text under them, and properties."""
    if not value.__module__.startswith("fibrovol"):
        return
    tree = ast.parse(textwrap.dedent(inspect.getsource(value))).body[0]
    assert isinstance(tree, ast.ClassDef)
    for item, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        text = after.value if isinstance(after, ast.Expr) else None
        if isinstance(item, ast.AnnAssign) and isinstance(text, ast.Constant):
            yield ast.unparse(item.target), _cell(str(text.value))
        if isinstance(item, ast.FunctionDef) and any(
            isinstance(word, ast.Name) and word.id == "property" for word in item.decorator_list
        ):
            yield item.name, _cell(ast.get_docstring(item) or "")


def _callable(name: str, value: Any) -> Iterator[str]:
    signature = inspect.signature(value)
    words = list(_parameters(signature))
    line = f"{name}({', '.join(words)})"
    if len(line) > 90:
        line = f"{name}(\n" + "".join(f"    {word},\n" for word in words) + ")"
    returned = signature.return_annotation
    arrow = "" if returned is inspect.Signature.empty else f" -> {returned}"
    yield f"\n```python\n{line}{arrow}\n```\n\n{_prose(inspect.getdoc(value) or '')}"


def _parameters(signature: inspect.Signature) -> Iterator[str]:
    starred = False
    for part in signature.parameters.values():
        if part.kind is part.KEYWORD_ONLY and not starred:
            starred = True
            yield "*"
        word = part.name
        if part.annotation is not part.empty:
            word += f": {part.annotation}"
        if part.default is not part.empty:
            default = getattr(part.default, "__name__", None) or repr(part.default)
            word += f" = {default}" if ":" in word else f"={default}"
        if part.name != "self":
            yield word


def _prose(text: str) -> str:
    """A Google docstring as Markdown: sections as lists, examples as code."""
    text = _ROLE.sub(lambda match: f"``{match[1].lstrip('.')}``", text).replace("``", "`")
    blocks: list[str] = []
    for block in re.split(r"\n\n", text):
        head, _, body = block.partition("\n")
        if head.rstrip(":") in _SECTIONS and head.endswith(":"):
            blocks.append(_section(head, textwrap.dedent(body)))
        elif block.lstrip().startswith(">>>"):
            blocks.append(f"```pycon\n{textwrap.dedent(block)}\n```")
        else:
            blocks.append(textwrap.dedent(block))
    return "\n\n".join(block for block in blocks if block.strip()) + "\n"


def _section(head: str, body: str) -> str:
    if head == "Examples:":
        is_code = body.startswith(">>>")
        return f"**{head}**\n\n" + (f"```pycon\n{body}\n```" if is_code else body)
    if head == "Returns:":
        return f"**{head}** {' '.join(body.split())}"
    entries: list[str] = []
    for line in body.splitlines():
        if line.startswith(" ") and entries:
            entries[-1] += f" {line.strip()}"
        else:
            entries.append(line)
    listed = [
        f"- `{match[1]}`: {match[2]}" if (match := _ENTRY.match(entry)) else f"- {entry}"
        for entry in entries
    ]
    return f"**{head}**\n\n" + "\n".join(listed)


def _cell(text: str) -> str:
    text = _ROLE.sub(lambda match: f"``{match[1].lstrip('.')}``", text).replace("``", "`")
    return " ".join(text.split()).replace("|", "\\|")
