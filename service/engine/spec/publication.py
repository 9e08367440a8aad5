"""The published form of the specification: without the `x-` keys that configure the server. What
some of them demand of clients is added to the descriptions of the operations instead."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from typing import Any

from service.engine.spec import freshness

# What a key of an operation adds to its description.
NOTES: dict[str, Callable[[Any], str]] = {
    "x-fresh-authentication": freshness.note,
    "x-scope": "Requires the scope `{}` of a personal token.".format,
}

# The `x-` keys that are published as they are: the noun of a tag, for names in clients.
FOR_CLIENTS = ("x-noun",)

# Another `x-` key and its value: lines that are indented deeper, and list items at the same depth.
_WIRING = re.compile(
    rf"^( *)(?!(?:{'|'.join(FOR_CLIENTS)}):)x-[\w-]+:.*\n(?:\n*\1[ -].*\n)*", re.MULTILINE
)
_OPERATION = re.compile(r"^    [a-z]+:\n(?:(?: {6}.*)?\n)+", re.MULTILINE)
_DESCRIPTION = re.compile(r"^      description:.*\n(?:(?: {8}.*)?\n)*", re.MULTILINE)
_SUMMARY = re.compile(r"^      summary:.*\n", re.MULTILINE)
_WIDTH = 92  # beside the indentation of a description


def published(text: str, parsed: Callable[[str], Any]) -> str:
    """The text of a specification in YAML, as everybody may read it, with its comments and layout;
    `parsed` reads YAML."""

    def with_notes(found: re.Match[str]) -> str:
        if not any(f"\n      {key}:" in found[0] for key in NOTES):
            return found[0]
        [operation] = parsed(textwrap.dedent(found[0])).values()
        notes = [note(operation[key]) for key, note in NOTES.items() if key in operation]
        return _described(found[0], operation, textwrap.fill(" ".join(notes), _WIDTH))

    return _WIRING.sub("", _OPERATION.sub(with_notes, text))


def _described(text: str, operation: dict[str, Any], notes: str) -> str:
    """The text of an operation, with a further paragraph in its description."""
    if "description" not in operation:
        added = f"      description: |\n{textwrap.indent(notes, ' ' * 8)}\n"
        return _SUMMARY.sub(lambda summary: summary[0] + added, text, count=1)
    paragraphs = f"{operation['description'].rstrip()}\n\n{notes}\n"
    block = f"      description: |\n{textwrap.indent(paragraphs, ' ' * 8)}"
    return _DESCRIPTION.sub(lambda _: block, text, count=1)
