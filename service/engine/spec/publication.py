"""The published form of the specification: without the `x-` keys that configure the server. What
some of them demand of clients is added to the descriptions of the operations instead, and every
operation has a `default` answer, so that clients have a type for the problems that any address can
answer with."""

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
_NAME = re.compile(r"^      operationId: *(\w+)", re.MULTILINE)
_DESCRIPTION = re.compile(r"^      description:.*\n(?:(?: {8}.*)?\n)*", re.MULTILINE)
_SUMMARY = re.compile(r"^      summary:.*\n", re.MULTILINE)
_ANSWERS = re.compile(r"^      responses:\n(?:\n*(?: {8}.*)\n)*", re.MULTILINE)
_SHARED_ANSWERS = re.compile(r"^  responses:\n", re.MULTILINE)
_WIDTH = 92  # beside the indentation of a description

DEFAULT = "        default:\n          $ref: '#/components/responses/OtherProblem'\n"
OTHER_PROBLEM = """
    OtherProblem:
      description: Any other problem, such as a 405, a 431 or a 500.
      headers:
        X-Request-Id:
          description: Identifies this request in the server's log.
          required: true
          schema:
            type: string
      content:
        application/problem+json:
          schema:
            $ref: '#/components/schemas/Problem'
"""


def published(text: str, document: dict[str, Any]) -> str:
    """The text of a specification in YAML, as everybody may read it, with its comments and layout;
    `document` is what the text says."""
    operations = {
        operation["operationId"]: operation
        for item in document.get("paths", {}).values()
        for operation in item.values()
        if isinstance(operation, dict) and "operationId" in operation
    }
    components = document.get("components", {})
    # Without shared answers there is no place for one more.
    has_problems = "Problem" in components.get("schemas", {}) and "responses" in components

    def completed(found: re.Match[str]) -> str:
        text = found[0]
        name = _NAME.search(text)
        operation = operations.get(name[1] if name else "")
        if operation is None:
            return text
        if notes := [note(operation[key]) for key, note in NOTES.items() if key in operation]:
            text = _described(text, operation, textwrap.fill(" ".join(notes), _WIDTH))
        if has_problems and "default" not in operation.get("responses", {}):
            text = _ANSWERS.sub(lambda answers: answers[0] + DEFAULT, text, count=1)
        return text

    text = _WIRING.sub("", _OPERATION.sub(completed, text))
    if has_problems and "OtherProblem" not in components["responses"]:
        text = _SHARED_ANSWERS.sub(lambda found: found[0] + OTHER_PROBLEM, text, count=1)
    return text


def _described(text: str, operation: dict[str, Any], notes: str) -> str:
    """The text of an operation, with a further paragraph in its description."""
    if "description" not in operation:
        added = f"      description: |\n{textwrap.indent(notes, ' ' * 8)}\n"
        return _SUMMARY.sub(lambda summary: summary[0] + added, text, count=1)
    paragraphs = f"{operation['description'].rstrip()}\n\n{notes}\n"
    block = f"      description: |\n{textwrap.indent(paragraphs, ' ' * 8)}"
    return _DESCRIPTION.sub(lambda _: block, text, count=1)
