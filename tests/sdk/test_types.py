"""The clients and what uses them compile strictly; node runs the same programs, types left out."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from openapi.sdk.packages import MODULE
from service.engine.spec.client_names import client_names
from service.specification import specification
from tests.kit.code_samples import samples
from tests.kit.generated_clients import BIN, NPM, node, run, tsc
from tests.kit.guide import program, program_of
from tests.repository import test_readme

HERE = Path(__file__).parent
TWENTY_LINES = "tests/sdk/test_twenty_lines.py"
MYPY = ["--strict", "--no-incremental", "--no-error-summary", "--config-file="]
TASKS = """
from byline_client import ApiError, AsyncByline, AsyncStore, FileStore, Tokens
from byline_client.models import Account, Post


class Kept(AsyncStore):
    async def load(self) -> Tokens | None:
        return None

    async def save(self, tokens: Tokens | None) -> None:
        print(tokens)


async def code(error: ApiError) -> str:
    return str(error.problem.methods)


async def tour(post: Post) -> Account:
    async with AsyncByline("http://x", store=Kept(), second_factor=code) as byline:
        titles = [one.title async for one in byline.posts.list(order="oldest")]
        changed = await byline.posts.change(post, lambda seen: {"title": seen.title})
        async for line in byline.auth.export():
            print(line.title if isinstance(line, Post) else line, changed.title, titles)
    return await AsyncByline("http://x", store=FileStore("x")).auth.get_me()
"""
MISTAKES = """
from byline_client import Byline

byline = Byline("http://127.0.0.1:8000")
byline.posts.create(titel="x", content="x")
byline.posts.create(title="x")
byline.posts.update("x", title=1)
byline.posts.get(1.5)
byline.posts.change("x", lambda seen: {"titel": seen.title})
byline.posts.change("x", lambda seen: {"title": seen.headline})
byline.posts.lists()
byline.post
byline.auth.get_me().emial
byline.posts.list(author_id=1)
"""
# Whether two types are the same to TypeScript, and not only good for each other.
SAME = """
type OBJECT = Record<string, unknown>;
type Is<A> = <T>() => T extends A ? 1 : 2;
type Same<A, B> = Is<A> extends Is<B> ? true : false;
"""


def test_programs_with_the_python_client_type_check(clients: Path, tmp_path: Path) -> None:
    site = clients / "site"
    (tmp_path / "guide.py").write_text(program("python"))
    (tmp_path / "twenty_lines.py").write_text(program_of(TWENTY_LINES, "python"))
    (tmp_path / "first.py").write_text(test_readme.block("python"))
    for name, source in samples("Python").items():
        (tmp_path / f"sample_{name}.py").write_text(source)
    (tmp_path / "tasks.py").write_text(TASKS)
    for name in ("tour.py", "problems.py"):
        shutil.copy(HERE / name, tmp_path)
    programs = sorted(tmp_path.glob("*.py"))
    run(BIN / "mypy", *MYPY, site / "byline_client", *programs, MYPYPATH=str(site))
    # pyotp, which the guide uses, does not say what it exports.
    config: dict[str, Any] = {"typeCheckingMode": "strict", "reportPrivateImportUsage": False}
    config |= {"include": ["*.py", os.path.relpath(site / MODULE, tmp_path)]}
    config |= {"extraPaths": [os.path.relpath(site, tmp_path)]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config))
    if not (pyright := NPM / "pyright").exists() and "node" not in os.environ.get("REQUIRE", ""):
        pytest.skip("pyright is not installed: make .venv/.lint")
    told = node(pyright, "--outputjson", "-p", tmp_path, "--pythonpath", sys.executable)
    assert json.loads(told)["summary"]["filesAnalyzed"] > len([*(site / MODULE).rglob("*.py")])


def test_mistakes_with_the_python_client_do_not_type_check(clients: Path, tmp_path: Path) -> None:
    (tmp_path / "mistakes.py").write_text(MISTAKES)
    site = {"MYPYPATH": str(clients / "site")}
    with pytest.raises(AssertionError) as refused:
        run(BIN / "mypy", *MYPY, "--no-pretty", "mistakes.py", cwd=tmp_path, **site)
    found = {int(line) for line in re.findall(r"mistakes.py:(\d+): error", str(refused.value))}
    lines = MISTAKES.splitlines()
    assert found == {number for number, line in enumerate(lines, 1) if line.startswith("byline.")}


def test_programs_with_the_typescript_client_type_check(clients: Path, tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(clients / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "guide.ts").write_text(program("ts"))
    (tmp_path / "twenty_lines.ts").write_text(program_of(TWENTY_LINES, "ts"))
    (tmp_path / "first.mts").write_text(test_readme.block("ts"))
    (tmp_path / "answers.ts").write_text(_answers())
    (tmp_path / "errors.ts").write_text(_errors())
    for name, source in samples("TypeScript").items():
        (tmp_path / f"sample_{name}.ts").write_text(source)
    for name in ("tour.ts", "problems.ts"):
        shutil.copy(HERE / name, tmp_path)
    tsc(tmp_path, *(path.name for path in tmp_path.glob("*.*ts")))


def _answers() -> str:
    """A program that compiles if each operation answers what is documented."""
    lines = ["import type * as byline from 'byline-client';", SAME]
    names = client_names(specification.document)
    for item in specification.document["paths"].values():
        for operation in item.values():
            if name := names.get(operation["operationId"]):
                method = f"byline.Byline['{name.typescript_tag}']['{name.typescript}']"
                expected = _expected(operation)
                constant = operation["operationId"]
                lines.append(
                    f"export const {constant}: Same<ReturnType<{method}>, {expected}> = true;"
                )
    return "\n".join(lines)


def _expected(operation: dict[str, Any]) -> str:
    """The type of what an operation returns, as test code tells it from the document."""
    answer = next(one for code, one in operation["responses"].items() if code.startswith("2"))
    content = answer.get("content", {})
    if "application/x-ndjson" in content:
        lines = content["application/x-ndjson"]["x-lines"].items()
        kinds = [f"({{ type: '{name}' }} & {_named(schema)})" for name, schema in lines]
        return f"byline.Lines<{' | '.join(kinds)}>"
    if "application/json" not in content:
        return f"Promise<{'string' if content else 'void'}>"
    schema = content["application/json"]["schema"]
    if schema.get("type") == "array":
        item = _named(schema["items"])
        return (
            f"byline.Pages<{item}>" if "Link" in answer.get("headers", {}) else f"Promise<{item}[]>"
        )
    return f"Promise<{_named(schema)}>"


def _named(schema: dict[str, Any]) -> str:
    return f"byline.{schema['$ref'].rpartition('/')[2]}" if "$ref" in schema else "OBJECT"


def _errors() -> str:
    """A program that compiles if each code is known, and has an error that no other code has."""
    codes = specification.document["components"]["schemas"]["ProblemCode"]["enum"]
    known = " | ".join(f"'{code}'" for code in codes)
    lines = ["import * as byline from 'byline-client';", SAME]
    lines.append(f"export const codes: Same<byline.ProblemCode, {known}> = true;")
    lines.append("export function told(error: byline.ApiError): string {")
    for code in codes:
        name = code.title().replace("-", "")
        lines.append(f"  if (error instanceof byline.{name}) return '{code}';")
    lines.append(
        "  return error.detail; // not `never`: the classes are not the same to TypeScript"
    )
    return "\n".join([*lines, "}"])
