"""What the TypeScript client is made of, for any specification, and for whom it compiles."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest

from openapi.sdk import typescript_client, typescript_model
from openapi.sdk.packages import PACKAGE
from openapi.sdk.typescript_types import Types
from service.specification import specification
from tests.kit.generated_clients import BIN, node, run
from tests.kit.programs import NPM, npm_programs
from tests.sdk.test_package_metadata import PLANNER

PROGRAM = """
import { ApiError, Byline, EmailTaken, type Post } from 'byline-client';

export async function titles(url: string): Promise<string[]> {
  const byline = new Byline(url, { token: undefined, timeout: 1000 });
  try {
    const found: Post[] = await byline.posts.list({ order: 'oldest', limit: undefined }).toArray();
    return found.map(({ title }) => title);
  } catch (error) {
    if (error instanceof EmailTaken) return [error.name satisfies 'EmailTaken'];
    if (error instanceof ApiError) return error.errors.map(({ pointer }) => pointer);
    throw error;
  }
}
"""
WRONG = """
import { Byline } from 'byline-client';

const byline = new Byline('http://127.0.0.1');
// @ts-expect-error: there is no such filter
byline.posts.list({ author: '1' });
// @ts-expect-error: an enumerated value that is sent is one of those that are known
byline.posts.list({ order: 'random' });
// @ts-expect-error: a title is missing
byline.posts.create({ content: 'Words.' });
// @ts-expect-error: it is a part of another operation
byline.request('posts.list', '1');
// @ts-expect-error: this is more than one operation
byline.request('posts.change', '1');
// One that is read may be newer.
const action: string = (await byline.audit.list().toArray())[0]?.action ?? '';
console.log(action);
"""


def types(**schemas: Any) -> Types:
    """Of a document whose one operation takes `Sent`, and answers with `Answered`."""
    content = {
        name: {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
        for name in ("Sent", "Answered")
    }
    operation = {
        "operationId": "send",
        "requestBody": {"content": content["Sent"]},
        "responses": {"200": {"content": content["Answered"]}},
    }
    named = {"Sent": {"type": "object"}, "Answered": {"type": "object"}, **schemas}
    return Types({"paths": {"/": {"post": operation}}, "components": {"schemas": named}})


@pytest.mark.parametrize(
    ("schema", "sent", "answered"),
    [
        ({"type": "string", "format": "uuid"}, "string", "string"),
        ({"type": "integer", "nullable": True}, "number | null", "number | null"),
        ({"$ref": "#/components/schemas/Word"}, "string", "string"),
        ({"$ref": "#/components/schemas/Mood"}, "Mood", "Open<Mood>"),
        ({"type": "string", "enum": ["a", "b"]}, "'a' | 'b'", "Open<'a' | 'b'>"),
        ({"type": "integer", "enum": [1, 2]}, "1 | 2", "1 | 2"),
        ({"type": "array", "items": {"type": "number"}}, "number[]", "number[]"),
        (
            {"type": "array", "items": {"$ref": "#/components/schemas/Mood"}},
            "Mood[]",
            "Open<Mood>[]",
        ),
        (
            {"type": "array", "items": {"type": "string", "nullable": True}},
            *["(string | null)[]"] * 2,
        ),
        ({"allOf": [{"$ref": "#/components/schemas/Sent"}]}, "Sent", "Sent"),
        ({"oneOf": [{"type": "string"}, {"type": "number"}]}, *["(string | number)"] * 2),
        ({"type": "object"}, *["Record<string, unknown>"] * 2),
        (
            {"type": "object", "additionalProperties": {"type": "boolean"}},
            *["Record<string, boolean>"] * 2,
        ),
        ({}, "unknown", "unknown"),
    ],
)
def test_a_schema_is_the_type_that_it_describes(
    schema: dict[str, Any], sent: str, answered: str
) -> None:
    found = types(Word={"type": "string"}, Mood={"type": "string", "enum": ["calm"]})
    assert found.of(schema, is_open=False) == sent
    assert found.of(schema, is_open=True) == answered


def test_members_that_are_sent_may_be_undefined_and_what_is_answered_is_open() -> None:
    mood = {"type": "string", "enum": ["calm"], "description": "How it is. And more."}
    members = {"properties": {"mood": mood, "x-y": {"type": "string"}}, "required": ["x-y"]}
    found = types(Sent={"type": "object", **members}, Answered={"type": "object", **members})
    declared = found.declared()
    assert declared["Sent"] == (
        "export interface Sent {\n  /** How it is. */\n  mood?: 'calm' | undefined;\n"
        '  "x-y": string;\n}'
    )
    assert "  mood?: Open<'calm'>;\n" in declared["Answered"]


def test_an_api_without_sign_in_has_a_client(tmp_path: Path) -> None:
    npm_programs()
    typescript_client.write(tmp_path, PLANNER)
    text = (tmp_path / "dist" / "index.d.ts").read_text()
    assert "signIn" not in text
    assert "\tchange(project_id: Ref, change: (current: Project) =>" in text
    assert "create(project_id: Ref, body: Name, options?: CallOptions): Promise<Task>;" in text
    assert "): Lines<({\n\t\ttype: 'project';\n\t} & Project)>;" in text


@pytest.mark.parametrize("name", ["Pages", "NotFound", "PostsOperations", "ListPostsQuery"])
def test_two_things_of_one_name_stop_the_generator(name: str) -> None:
    document = copy.deepcopy(specification.document)
    document["components"]["schemas"][name] = {"type": "object", "properties": {}}
    with pytest.raises(ValueError, match=f"two things called {name}$"):
        typescript_model.model(document)


@pytest.mark.parametrize(
    "modules",
    [("node16", "node16"), ("preserve", "bundler")],
)
def test_the_types_need_neither_those_of_browsers_nor_those_of_node(
    modules: tuple[str, str], clients: Path
) -> None:
    module, resolution = modules
    (clients / "plain.mts").write_text(PROGRAM)
    strict = ["--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--noEmit"]
    target = ["--target", "es2022", "--lib", "es2022", "--typeRoots", "none"]
    resolved = ["--module", module, "--moduleResolution", resolution]
    node(NPM / "tsc", *strict, *target, *resolved, "plain.mts", cwd=clients)


def test_what_the_service_would_refuse_does_not_compile(clients: Path) -> None:
    (clients / "wrong.mts").write_text(WRONG)
    options = ["--strict", "--noEmit", "--target", "es2022", "--module", "nodenext"]
    node(NPM / "tsc", *options, "--lib", "es2022,dom", "wrong.mts", cwd=clients)


def test_a_bundler_leaves_out_what_a_program_does_not_use(clients: Path) -> None:
    (clients / "bundled.mjs").write_text(
        "import { ApiError } from 'byline-client'; console.log(ApiError.name);"
    )
    options = ["--bundle", "--format=esm", "--platform=browser", "--minify", "--log-level=warning"]
    bundle = run(BIN / "node", NPM / "esbuild", "bundled.mjs", *options, cwd=clients)
    assert re.search(r"class \w* ?extends Error", bundle)
    assert "localStorage" not in bundle
    assert len(bundle) < 2000


def test_the_module_exports_what_its_types_say(clients: Path) -> None:
    (clients / "exports.mjs").write_text(
        "console.log(Object.keys(await import('byline-client')).join(' '));"
    )
    types = (clients / "node_modules" / PACKAGE / "dist" / "index.d.ts").read_text()
    declared = re.findall(r"^export declare (?:class|function|const) (\w+)", types, re.MULTILINE)
    assert sorted(declared) == node(clients / "exports.mjs").split()
    codes = specification.document["components"]["schemas"]["ProblemCode"]["enum"]
    assert {code.title().replace("-", "") for code in codes} < set(declared)
