"""The published form of the specification: without the `x-` keys that configure the server. What
some of them demand of clients is added to the descriptions of the operations instead, and every
operation has a `default` answer, so that clients have a type for the problems that any address can
answer with."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from service.engine.spec import freshness, limit_notes, samples
from service.engine.spec.documents import operations
from service.engine.spec.refusals import Catalogue
from service.engine.spec.shown_problems import ShownProblems


class Deployment(NamedTuple):
    """How a running service differs from the file.

    `root` is the path under which a proxy serves the API, such as `/planner`. `limits` are those
    that the operator has set, by policy; None if there are no limits. `address` is where clients
    reach it, empty if that is not known.
    """

    root: str = "/"
    limits: tuple[tuple[str, str], ...] | None = ()
    address: str = ""

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Deployment:
        """That of a Flask application with these settings."""
        limits = dict(config["RATE_LIMITS"])
        if client := config["RATE_LIMIT_CLIENT"]:
            limits["client"] = client
        enabled = config["RATE_LIMIT_ENABLED"]
        limited = tuple(limits.items()) if enabled else None
        return cls(config["APPLICATION_ROOT"], limited, config["PUBLIC_URL"])


FILE = Deployment()  # none in particular


class Edition(NamedTuple):
    """What is published for a deployment.

    `per` is as in `limit_notes.note`, `problems` are those that the service can raise, and
    `own_methods` are as in `samples.Samples`.
    """

    document: dict[str, Any]
    deployment: Deployment = FILE
    per: Mapping[str, str] = limit_notes.PER
    problems: Catalogue = MappingProxyType({})
    own_methods: Mapping[str, str] = MappingProxyType({})

    @property
    def address(self) -> str:
        """Where clients reach the service, or an example of it."""
        [server, *_] = self.document.get("servers") or [{"url": "/"}]
        name = "-".join(re.findall("[a-z0-9]+", self.document["info"]["title"].lower()))
        known = self.deployment.address or (server["url"] if "://" in server["url"] else "")
        return known.rstrip("/") or f"https://{name}.example.com"

    def limits(self, entries: list[dict[str, Any]]) -> str:
        """These entries of `x-rate-limit` in words; nothing if there are no limits."""
        limits = self.deployment.limits
        return "" if limits is None else limit_notes.note(entries, dict(limits), self.per)


def _limits(declared: Any, edition: Edition) -> str:
    """The limits of an operation; unless it says `none`, that of each client is one of them."""
    entries = [declared] if isinstance(declared, dict) else declared
    said = [edition.limits(entries)] if isinstance(entries, list) else []
    if declared != "none" and "x-rate-limit" in edition.document:
        of_all = edition.limits([edition.document["x-rate-limit"]])
        said.append(of_all and f"{of_all}, over all operations")
    return f"Limits: {', '.join(said)}." if any(said) else ""


Note = Callable[[Any, Edition], str]
# What a key of an operation adds to its description; nothing if it is empty.
NOTES: dict[str, Note] = {
    "x-fresh-authentication": lambda declared, _: freshness.note(declared),
    "x-scope": lambda scope, _: f"Requires the scope `{scope}` of a personal token.",
    "x-rate-limit": _limits,
}

# The `x-` keys that are published as they are: the noun of a tag, for names in clients, and the
# samples of an operation, if it has its own.
FOR_CLIENTS = ("x-noun", samples.KEY)

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
_SHARED_EXAMPLES = re.compile(r"^  examples:\n", re.MULTILINE)
_SERVER = re.compile(r"^servers:\n  - url: /\n", re.MULTILINE)
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


def published(text: str, edition: Edition, notes: Mapping[str, Note] = NOTES) -> str:
    """The text of a specification in YAML, as everybody may read it, with its comments and layout;
    the edition's document is what the text says."""
    document = edition.document
    paragraphs = {operation["operationId"]: operation for *_, operation in operations(document)}
    components = document.get("components", {})
    # Without shared answers there is no place for one more.
    has_problems = "Problem" in components.get("schemas", {}) and "responses" in components
    shown = ShownProblems(document, edition.problems) if has_problems else None
    calls = None
    if paragraphs and "info" in document:
        calls = samples.Samples(document, edition.address, edition.own_methods)

    def completed(found: re.Match[str]) -> str:
        text = found[0]
        name = _NAME.search(text)
        operation = paragraphs.get(name[1] if name else "")
        if operation is None:
            return text
        said = [note(operation[key], edition) for key, note in notes.items() if key in operation]
        if notes_of_it := [textwrap.fill(one, _WIDTH) for one in said if one]:
            text = _described(text, operation, "\n\n".join(notes_of_it))
        if has_problems and "default" not in operation.get("responses", {}):
            text = _ANSWERS.sub(lambda answers: answers[0] + DEFAULT, text, count=1)
        text = shown.refer(operation["operationId"], text) if shown else text
        if calls and samples.KEY not in operation:
            text = _sampled(text, calls.of(operation["operationId"]))
        return text

    text = _WIRING.sub("", _OPERATION.sub(completed, text))
    if has_problems and "OtherProblem" not in components["responses"]:
        text = _SHARED_ANSWERS.sub(lambda found: found[0] + OTHER_PROBLEM, text, count=1)
    if shown and shown.examples:
        for name, answers in shown.answers.items():
            text = _replaced(text, name, answers)
        text = _with_examples(text, shown.examples)
    root = f"servers:\n  - url: {json.dumps(edition.deployment.root)}\n"
    return text if edition.deployment.root == "/" else _SERVER.sub(lambda _: root, text, count=1)


def _sampled(text: str, found: list[dict[str, str]]) -> str:
    """The text of an operation, with samples at its end."""
    lines = [f"      {samples.KEY}:"]
    for sample in found:
        lines += [f"        - lang: {sample['lang']}", f"          label: {sample['label']}"]
        lines += ["          source: |-", textwrap.indent(sample["source"], " " * 12)]
    body = text.rstrip("\n")
    return "\n".join([body, *lines]) + text[len(body) :]


def _replaced(text: str, name: str, answers: dict[str, str]) -> str:
    """The text with these answers instead of the shared answer with this name."""
    head, mark, shared = _split(text, _SHARED_ANSWERS)
    one = re.compile(rf"^    {name}:\n(?:\n* {{6}}.*\n)*", re.MULTILINE)
    return head + mark + one.sub(lambda _: _components(answers), shared, count=1)


def _with_examples(text: str, examples: dict[str, str]) -> str:
    """The text with these shared examples, before its own or before the shared answers."""
    written = f"\n{_components(examples)}\n"
    if _SHARED_EXAMPLES.search(text):
        head, mark, own = _split(text, _SHARED_EXAMPLES)
        return head + mark + written + own
    head, mark, shared = _split(text, _SHARED_ANSWERS)
    return f"{head}  examples:\n{written}{mark}{shared}"


def _components(texts: dict[str, str]) -> str:
    return "\n".join(
        f"    {name}:\n{textwrap.indent(text, ' ' * 6)}" for name, text in sorted(texts.items())
    )


def _split(text: str, mark: re.Pattern[str]) -> tuple[str, str, str]:
    [found] = mark.finditer(text)
    return text[: found.start()], found[0], text[found.end() :]


def _described(text: str, operation: dict[str, Any], notes: str) -> str:
    """The text of an operation, with further paragraphs in its description."""
    if "description" not in operation:
        added = f"      description: |\n{textwrap.indent(notes, ' ' * 8)}\n"
        return _SUMMARY.sub(lambda summary: summary[0] + added, text, count=1)
    paragraphs = f"{operation['description'].rstrip()}\n\n{notes}\n"
    block = f"      description: |\n{textwrap.indent(paragraphs, ' ' * 8)}"
    return _DESCRIPTION.sub(lambda _: block, text, count=1)
