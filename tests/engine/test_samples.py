"""Code samples for an API that is not the example's."""

from __future__ import annotations

import ast
from typing import Any

import yaml

from service.engine.spec.samples import Samples
from service.engine.spec.specification import Specification
from tests.engine.planner.settings import Settings

PYTHON = """from planner_client import Planner

planner = Planner("https://planner.example.com", token="...")

project = planner.projects.create(name="...")
print(project)"""
TYPESCRIPT = """import { Planner } from 'planner-client';

const planner = new Planner('https://planner.example.com', { token: '...' });

for await (const line of planner.projects.export()) {
  console.log(line);
}"""
CURL = """curl -X PATCH https://planner.example.com/projects/01a1f83c-047f-7c31-9a42-5be07d4f8e16 \\
  -H "Authorization: Bearer $ACCESS_TOKEN" \\
  -H 'If-Match: *' \\
  -H 'Content-Type: application/json' \\
  -d '{"name": "..."}'"""


def samples(operation: str, document: dict[str, Any] | None = None) -> dict[str, str]:
    """The samples of an operation by their label."""
    made = Samples(document or Settings.specification.document, "https://planner.example.com")
    return {sample["label"]: sample["source"] for sample in made.of(operation)}


def document(body: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A document with one operation, `set_class` of the tag `things`."""
    operation: dict[str, Any] = {"tags": ["things"], "operationId": "set_class", **more}
    operation.setdefault("responses", {"204": {"description": "It is done."}})
    if body:
        operation["requestBody"] = {"content": {"application/json": body}}
    return {"info": {"title": "Tea House"}, "paths": {"/things": {"put": operation}}}


def test_a_service_without_signing_in_takes_a_token() -> None:
    assert samples("create_project")["Python"] == PYTHON
    assert samples("export_projects")["TypeScript"] == TYPESCRIPT
    assert samples("update_project")["curl"] == CURL


def test_what_is_changed_is_read_first() -> None:
    assert 'project = planner.projects.get("01a1' in samples("update_project")["Python"]
    assert (
        "changed_project = planner.projects.update(project, " in samples("update_project")["Python"]
    )


def test_names_are_those_that_clients_can_have() -> None:
    schema = {"properties": {"type": {}, "class": {}, "dueAt": {"format": "date-time"}}}
    body = {
        "schema": schema,
        "example": {"type": "a", "class": "b", "dueAt": "2026-11-22T16:23:12Z"},
    }
    found = samples("set_class", document(body))
    assert found["Python"].startswith(
        "from datetime import datetime\n\nfrom tea_house_client import TeaHouse\n"
    )
    assert "teahouse.things.set_class(\n" in found["Python"]
    assert '    type_="a",\n    class_="b",\n' in found["Python"]
    assert '    due_at=datetime.fromisoformat("2026-11-22T16:23:12Z"),\n' in found["Python"]
    assert (
        "await teaHouse.things.setClass({\n  type: 'a',\n  class: 'b',\n  dueAt:"
        in found["TypeScript"]
    )


def test_text_is_quoted_for_each_language() -> None:
    text = 'It\'s "tea"\nand $more\\'
    body = {"schema": {}, "example": {"text": text, "of-it": [True, None, {"a": 1.5}]}}
    found = samples("set_class", document(body))
    [call] = [node for node in ast.walk(ast.parse(found["Python"])) if isinstance(node, ast.Call)][
        -1:
    ]
    values = {one.arg: ast.literal_eval(one.value) for one in call.keywords}
    assert values == {"text": text, "of_it": [True, None, {"a": 1.5}]}
    assert "'of-it': [true, null, { a: 1.5 }]" in found["TypeScript"]
    assert "It'\"'\"'s" in found["curl"]


def test_samples_of_ones_own_stay(tmp_path: Any) -> None:
    own = [{"lang": "Go", "source": "tea.Pour()\n"}]
    written = document(**{"x-codeSamples": own}) | {"openapi": "3.0.3", "components": {}}
    file = tmp_path / "openapi.yaml"
    file.write_text(yaml.safe_dump(written, indent=2))
    public = yaml.safe_load(Specification(file).public_yaml())
    assert public["paths"]["/things"]["put"]["x-codeSamples"] == own
