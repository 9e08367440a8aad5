"""The clients and what uses them compile strictly; node runs the same programs, types left out."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from service.engine.spec.client_names import client_names
from service.specification import specification
from tests.kit.generated_clients import BIN, run, tsc
from tests.repository import test_guide, test_readme

HERE = Path(__file__).parent
MYPY = ["--strict", "--no-incremental", "--no-error-summary", "--config-file="]
# Whether two types are the same to TypeScript, and not only good for each other.
SAME = """
type OBJECT = Record<string, unknown>;
type Is<A> = <T>() => T extends A ? 1 : 2;
type Same<A, B> = Is<A> extends Is<B> ? true : false;
"""


def test_programs_with_the_python_client_type_check(clients: Path, tmp_path: Path) -> None:
    site = clients / "site"
    (tmp_path / "guide.py").write_text(test_guide.program("python"))
    (tmp_path / "first.py").write_text(test_readme.block("python"))
    programs = [HERE / "tour.py", HERE / "problems.py", *tmp_path.glob("*.py")]
    run(BIN / "mypy", *MYPY, site / "byline_client", *programs, MYPYPATH=str(site))


def test_programs_with_the_typescript_client_type_check(clients: Path, tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(clients / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "guide.ts").write_text(test_guide.program("ts"))
    (tmp_path / "first.mts").write_text(test_readme.block("ts"))
    (tmp_path / "answers.ts").write_text(_answers())
    (tmp_path / "errors.ts").write_text(_errors())
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
