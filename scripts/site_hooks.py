"""What mkdocs cannot read in our pages, said in its words; mkdocs.yml names this file."""

from __future__ import annotations

import re
from typing import Any

_LEADS_OUT = re.compile(
    r"\[([^\]]*)\]\((?:\.\./)+((?:models|scripts|\.github)/[^)\s]*|[A-Z]+\.md)\)"
)
_FENCE = re.compile(r"^```(\w+) (?!title=)(.+)$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Make the words after a code block's language its title, as in the pages on extending.

    A link to a file outside docs/ becomes its name: the site does not have it.
    """
    markdown = _LEADS_OUT.sub(lambda match: f"{match[1]} (`{match[2]}`)", markdown)
    return _FENCE.sub(lambda match: f'```{match[1]} title="{match[2].strip()}"', markdown)
