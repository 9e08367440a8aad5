"""The published answers of 400 and above: each names the codes that its operations can give, and
shows an example of each. Operations with the same problems share an answer."""

from __future__ import annotations

import json
import re
import textwrap
from collections import Counter
from typing import Any, NamedTuple

from service.engine.problems import Problem
from service.engine.spec import refusals
from service.engine.spec.documents import operations

_MEDIA_TYPE = "application/problem+json"
_REFERENCE = re.compile(
    r"^(        '?(\d{3})'?:\n          \$ref: ['\"]?#/components/responses/)(\w+)", re.MULTILINE
)
_PREFIX = "#/components/responses/"
_PLAIN = re.compile(
    r"(?!(?:true|false|null|yes|no|on|off)$)[A-Za-z/][\w/-]*(?:[ .,]+[\w/-]+)*\.?", re.IGNORECASE
)
_WIDTH = 90


class Example(NamedTuple):
    """The text of an example, and the code that it shows."""

    code: str
    text: str


class ShownProblems:
    """The answers with problems of all operations of a document.

    `answers` are their texts by name, for each name in the file; `examples` are the texts of what
    they show, by name.
    """

    def __init__(self, document: dict[str, Any], known: refusals.Catalogue) -> None:
        self._shared = document.get("components", {}).get("responses", {})
        found: dict[tuple[str, int], tuple[str, tuple[Example, ...]]] = {}
        for path, _, operation in operations(document):
            for status, shown in refusals.examples(operation, path, document, known).items():
                if name := self._name(operation["responses"], status):
                    texts = tuple(Example(one.code, _shown(one)) for one in shown)
                    found[operation["operationId"], status] = name, texts
        examples = {
            (operation_id, status, one.code): (
                "".join(map(str.capitalize, one.code.split("-"))),
                one,
            )
            for (operation_id, status), (_, texts) in found.items()
            for one in texts
        }
        names = _named(examples)
        self.examples = {names[place]: one.text for place, (_, one) in examples.items()}
        self._names = _named(found)
        self.answers: dict[str, dict[str, str]] = {}
        for place, (name, texts) in found.items():
            refer = {one.code: names[*place, one.code] for one in texts}
            text = _answer(self._shared[name], refer)
            self.answers.setdefault(name, {})[self._names[place]] = text

    def refer(self, operation_id: str, text: str) -> str:
        """The text of an operation that refers to its own answers."""

        def own(found: re.Match[str]) -> str:
            name = self._names.get((operation_id, int(found[2])), found[3])
            return f"{found[1]}{name}"

        return _REFERENCE.sub(own, text)

    def _name(self, responses: dict[Any, Any], status: int) -> str | None:
        """The name of the shared answer that shows a Problem, if it is one."""
        declared = responses.get(str(status)) or responses.get(status, {})
        name: str = declared.get("$ref", "").removeprefix(_PREFIX)
        return name if _MEDIA_TYPE in self._shared.get(name, {}).get("content", {}) else None


def _named(texts: dict[Any, tuple[str, Any]]) -> dict[Any, str]:
    """A name for each text, by places that begin with the operation, from the name that it would
    have alone. The most frequent text keeps that; another is called after the first operation that
    has it: `ConflictOfCreateTask`."""
    usual: dict[str, Any] = {}
    for (name, text), _ in Counter(texts.values()).most_common():
        usual.setdefault(name, text)
    names = {(name, text): name for name, text in usual.items()}
    for (operation_id, *_), answer in texts.items():
        of = "".join(word.capitalize() for word in operation_id.split("_"))
        names.setdefault(answer, f"{answer[0]}Of{of}")
    return {place: names[answer] for place, answer in texts.items()}


def _shown(problem: Problem) -> str:
    """The text of an example."""
    value = "\n".join(f"  {line}" for line in _block(problem.document(refusals.REQUEST_ID)))
    return f"summary: {_scalar(problem.title)}\nvalue:\n{value}\n"


def _answer(answer: dict[str, Any], examples: dict[str, str]) -> str:
    """The text of a shared answer that refers to these examples, by code; without examples, it says
    what the file says."""
    said = answer["description"].strip()
    if examples:
        *others, last = [f"`{code}`" for code in examples]
        said += (
            f" The `code` is {', '.join(others)} or {last}."
            if others
            else f" The `code` is {last}."
        )
    wrapped = textwrap.wrap(said, _WIDTH, break_on_hyphens=False)
    lines = ["description: |", *(f"  {line}" for line in wrapped)]
    if "headers" in answer:
        lines += ["headers:", *(f"  {line}" for line in _block(answer["headers"]))]
    lines += ["content:", f"  {_MEDIA_TYPE}:", "    schema:"]
    lines += [f"      {line}" for line in _block(answer["content"][_MEDIA_TYPE]["schema"])]
    lines += ["    examples:"] if examples else []
    for code, name in examples.items():
        lines += [f"      {code}:", f"        $ref: '#/components/examples/{name}'"]
    return "\n".join(lines) + "\n"


def _block(value: dict[str, Any]) -> list[str]:
    """A mapping in YAML, two levels deep; what is deeper is written as JSON, which is YAML too."""
    lines = []
    for key, item in value.items():
        if isinstance(item, dict) and item:
            lines += [f"{key}:", *(f"  {name}: {_scalar(one)}" for name, one in item.items())]
        else:
            lines.append(f"{key}: {_scalar(item)}")
    return lines


def _scalar(value: Any) -> str:
    """A value in YAML: text that looks like nothing else needs no quotation marks."""
    is_plain = isinstance(value, str) and _PLAIN.fullmatch(value)
    return value if is_plain else json.dumps(value, ensure_ascii=False)
