"""The public specification lacks only the `x-` keys, says instead what some of them demand, has a
type for any other problem, and pages load only our own files."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from service import pages
from service.domain.mails import DISPUTES, PAGES
from service.engine.http import docs
from service.engine.spec.publication import FOR_CLIENTS, Edition
from service.engine.spec.specification import Specification, parsed
from service.specification import specification

# Where `published` writes: descriptions and answers of operations, and shared answers.
_ADDED = re.compile(
    r"^      (?:description|responses|x-codeSamples):.*\n(?:(?: {8}.*)?\n)*"
    r"|^  (?:examples|responses):\n(?:(?: {4}.*)?\n)*",
    re.MULTILINE,
)
EDITION = Edition(specification.document, per=specification.per)


def _public(node: Any) -> Any:
    if isinstance(node, dict):
        public = {k: _public(v) for k, v in node.items() if not _is_wiring(k)}
        if added := _added(node):
            public["description"] = "\n\n".join(
                [*([node["description"].rstrip()] if "description" in node else []), *added]
            )
            public["description"] += "\n"
        return public
    return [_public(item) for item in node] if isinstance(node, list) else node


def _added(operation: Any) -> list[str]:
    """The paragraphs that say what the keys of an operation demand."""
    notes = specification.notes.items() if "operationId" in operation else []
    said = [note(operation[key], EDITION) for key, note in notes if key in operation]
    return [textwrap.fill(one, 92) for one in said if one]


def _is_wiring(key: str) -> bool:
    return key.startswith("x-") and key not in FOR_CLIENTS


def _without_additions(public: Any) -> Any:
    """The public document without what `published` adds to it, besides descriptions."""
    for path, item in public["paths"].items():
        for method, operation in item.items():
            del operation["responses"]["default"], operation["x-codeSamples"]
            written = specification.document["paths"][path][method]["responses"]
            assert operation["responses"].keys() == written.keys()
            operation["responses"] |= {code: written[code] for code in written if code >= "400"}
    public["components"]["responses"] = specification.document["components"]["responses"]
    del public["components"]["examples"]
    return public


def _values(node: Any, key: str) -> Iterator[Any]:
    if isinstance(node, dict):
        if key in node:
            yield node[key]
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from _values(item, key)


def _comments(text: str) -> list[str]:
    return re.findall(r"^ *#.*$", text, re.MULTILINE)


def test_the_public_specification_lacks_the_wiring_and_says_what_it_demands() -> None:
    public = _without_additions(parsed(specification.public_yaml()))
    assert public == _public(specification.document)
    assert public != specification.document


def test_every_operation_has_a_type_for_any_other_problem() -> None:
    public = orjson.loads(specification.public_json())
    for item in public["paths"].values():
        for operation in item.values():
            assert operation["responses"]["default"] == {
                "$ref": "#/components/responses/OtherProblem"
            }
    answer = public["components"]["responses"]["OtherProblem"]
    [(media_type, content)] = answer["content"].items()
    assert media_type == "application/problem+json"
    assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
    assert "X-Request-Id" in answer["headers"]


OPERATION = """paths:
  /a:
    get:
      operationId: get_a
      responses:
        '200':
          description: It.

          x-cache: none
        {}
      tags: [a]
    # the next
    post: {{}}
components:
  responses:
    {}:
      description: Any.
  schemas:
    Problem: {{}}
"""


def test_answers_may_stand_anywhere_in_an_operation(tmp_path: Any) -> None:
    file = tmp_path / "openapi.yaml"
    file.write_text(OPERATION.format("# none", "Other"))
    public = parsed(Specification(file).public_yaml())
    assert [*public["paths"]["/a"]["get"]["responses"]] == ["200", "default"]
    assert [*public["components"]["responses"]] == ["OtherProblem", "Other"]


def test_an_answer_of_ones_own_for_other_problems_stays(tmp_path: Any) -> None:
    own = "default:\n          $ref: '#/components/responses/OtherProblem'"
    file = tmp_path / "openapi.yaml"
    file.write_text(OPERATION.format(own, "OtherProblem"))
    public = parsed(Specification(file).public_yaml())
    assert public["components"]["responses"] == {"OtherProblem": {"description": "Any."}}
    file.write_text(OPERATION.format("default: {description: It.}", "Other"))
    public = parsed(Specification(file).public_yaml())
    assert public["paths"]["/a"]["get"]["responses"]["default"] == {"description": "It."}


def test_yaml_and_json_have_the_same_content() -> None:
    assert orjson.loads(specification.public_json()) == parsed(specification.public_yaml())


def test_every_reference_resolves_and_every_component_keeps_its_name() -> None:
    public = orjson.loads(specification.public_json())
    references = set(_values(public, "$ref"))
    assert len(references) > 50
    for reference in references:
        node = public
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    for kind, components in specification.document["components"].items():
        assert set(public["components"][kind]) >= set(components)


def test_comments_and_layout_are_kept() -> None:
    original = specification.path.read_text("utf-8")
    public = specification.public_yaml().decode()
    assert _comments(public) == _comments(original) != []
    lines = iter(_ADDED.sub("", original).splitlines())
    kept = [line for line in _ADDED.sub("", public).splitlines() if line]
    assert len(kept) > 1500
    assert all(line in lines for line in kept)  # in the same order


DELETE = """paths:
  /a:
    delete:
      operationId: delete_a
      summary: Delete
{}      x-fresh-authentication: 60
      tags: [a]
    # the next
    get: {{}}
"""


@pytest.mark.parametrize(
    ("written", "beginning"),
    [
        ("", ""),
        ("      description: One line.\n", "One line.\n\n"),
        ('      description: "One: line."\n', "One: line.\n\n"),
        ("      description: Two\n        lines.\n", "Two lines.\n\n"),
        ("      description: >-\n        Two\n        lines.\n", "Two lines.\n\n"),
        ("      description: |\n        A\n\n          b\n", "A\n\n  b\n\n"),
    ],
)
def test_what_a_key_demands_is_added_to_any_kind_of_description(
    written: str, beginning: str, tmp_path: Any
) -> None:
    file = tmp_path / "openapi.yaml"
    file.write_text(DELETE.format(written))
    [item] = parsed(Specification(file).public_yaml())["paths"].values()
    assert item["delete"].keys() == {"operationId", "summary", "description", "tags"}
    description = item["delete"]["description"]
    assert description.startswith(f"{beginning}Requires fresh authentication: if the `auth_time`")
    assert "more than 60\nseconds ago" in description


@pytest.mark.parametrize(
    "wiring",
    [
        "    x-a: 1\n",
        "    x-a: {b: c}\n",
        "    x-a:\n      b: 1\n\n      # why\n      c: 2\n",
        "    x-a:\n    - 1\n    - {b: 2}\n",
        "    x-a:\n      - 1\n      -\n        b: 2\n",
        "    x-a: |\n      b:\n\n      c\n",
        "    x-a: 1\n    x-b:\n    - 2\n",
    ],
)
def test_everything_below_a_wiring_key_is_removed_with_it(wiring: str, tmp_path: Any) -> None:
    before, after = "a:\n  - b: x-c\n", "\n    # about d\n    d: x-e\n  - f: [x-g]\n"
    file = tmp_path / "openapi.yaml"
    file.write_text(before + wiring + after)
    assert Specification(file).public_yaml().decode() == before + after


def test_an_entity_tag_stands_for_one_document() -> None:
    yaml_headers = docs.document_headers(specification.public_yaml())
    json_headers = docs.document_headers(specification.public_json())
    assert re.fullmatch(r'"[0-9a-f]{32}"', yaml_headers["ETag"])
    assert yaml_headers == docs.document_headers(bytes(bytearray(specification.public_yaml())))
    assert yaml_headers["ETag"] != json_headers["ETag"]


@pytest.mark.parametrize("page", [pages.home_page, pages.docs_page])
def test_a_page_loads_nothing_from_elsewhere_and_has_no_inline_code(page: Any) -> None:
    html = page()
    for address in re.findall(r'(?:src|href)="([^"]*)"', html):
        assert not re.match(r"/|[a-z]+:", address), address
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", html)


def test_the_landing_page_has_a_form_for_every_link_in_mails() -> None:
    html = pages.home_page()
    for form in {*PAGES.values(), *DISPUTES.values()}:
        assert f'<form id="{form}" method="post"' in html
        assert f'<section id="{form}-done"' in html


def test_a_page_may_be_framed_and_scripted_by_nobody_else() -> None:
    for headers in (docs.HOME_HEADERS, docs.DOCS_HEADERS):
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "*" not in policy
    home = docs.HOME_HEADERS["Content-Security-Policy"]
    assert home.endswith("require-trusted-types-for 'script'; trusted-types 'none'")
