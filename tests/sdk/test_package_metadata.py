"""What the client packages say of themselves comes from the specification of the service."""

from __future__ import annotations

import ast
import copy
from pathlib import Path
from typing import Any

import pytest

from openapi.sdk import examples
from openapi.sdk.packages import changes, project
from service.engine.spec.publication import Edition
from service.engine.spec.specification import Specification
from service.specification import specification

PLANNER = Specification(
    Path(__file__).parents[1] / "engine" / "planner" / "openapi" / "openapi.yaml"
).document


def with_info(**info: Any) -> dict[str, Any]:
    return {"info": {"title": "Tea House", "version": "1.2.3", **info}}


def test_the_summary_has_the_first_sentence_of_the_description() -> None:
    described = with_info(description="Pots, cups\nand leaves v1.2 of it. For everybody.")
    assert project(described).summary == (
        "A typed client for the Tea House API. Pots, cups and leaves v1.2 of it."
    )
    assert project(with_info()).summary == "A typed client for the Tea House API."


@pytest.mark.parametrize(
    ("name", "expression"),
    [("mit", "MIT"), ("Apache-2.0 OR MIT", "Apache-2.0 OR MIT"), ("Apache 2.0", None), ("", None)],
)
def test_only_a_license_that_indexes_know_is_named(name: str, expression: str | None) -> None:
    assert project(with_info(license={"name": name})).license == expression


def test_links_lead_somewhere_from_a_package() -> None:
    document = with_info(
        contact={"name": "Mei", "email": "mei@tea.example", "url": "/about"},
        **{"x-repository": "https://git.example/tea"},
    )
    document["externalDocs"] = {"url": "https://tea.example/guide"}
    told = project(document)
    assert told.author == {"name": "Mei", "email": "mei@tea.example"}
    assert told.urls == {
        "Documentation": "https://tea.example/guide",
        "Source": "https://git.example/tea",
    }
    assert project(with_info()).urls == {}


def test_the_changelog_of_a_client_has_what_changed_in_clients() -> None:
    changelog = (
        "# Changelog\n\nAbout it.\n\n## 0.2.0\n\nText.\n\n### Server\n\n- Faster.\n\n"
        "### Clients and pages\n\n- The Python client\n  is new.\n- The TypeScript client is.\n\n"
        "### Other\n\n- Rest.\n\n"
        "## 0.1.0 (2026-12-01)\n\n- All of it.\n"
    )
    older = "\n## 0.1.0 (2026-12-01)\n\n- All of it.\n"
    python = "## 0.2.0\n\n- The Python client\n  is new.\n"
    assert changes(changelog, "python") == python + older
    typescript = "## 0.2.0\n\n- The TypeScript client is.\n"
    assert changes(changelog, "typescript") == typescript + older


def test_the_example_uses_a_resource_that_any_user_may_change() -> None:
    document = copy.deepcopy(PLANNER)
    schemas = document["components"]["schemas"]
    schemas["NewProject"]["example"] = {"name": "Spring", "notes": "It's time."}
    schemas["ProjectChanges"]["example"] = {"tags": [{"due": None}, True]}
    program = examples.python(document, "planner", "Planner")
    assert ast.parse(program)
    assert program.splitlines()[2:] == [
        'planner = Planner("https://planner.example.com", token="...")',
        'project = planner.projects.create(name="Spring", notes="It\'s time.")',
        'planner.projects.update(project, tags=[{"due": None}, True])',
        "for project in planner.projects.list():",
        "    print(project)",
    ]
    assert examples.typescript(document, "planner", "Planner").splitlines()[2:] == [
        "const planner = new Planner('https://planner.example.com', { token: '...' });",
        "const project = await planner.projects.create({ name: 'Spring', notes: \"It's time.\" });",
        "await planner.projects.update(project, { tags: [{ due: null }, true] });",
        "for await (const project of planner.projects.list()) console.log(project);",
    ]


def test_without_such_a_resource_the_example_reads_something() -> None:
    bare = copy.deepcopy(specification.document)
    for path in [path for path, item in bare["paths"].items() if "patch" in item]:
        del bare["paths"][path]
    assert examples.python(bare, "tea", "Tea").splitlines()[-2:] == [
        'tea.sign_in("anna@example.com", "correct horse battery staple")',
        "print(tea.auth.get_me())",
    ]
    assert examples.typescript(bare, "tea", "Tea").splitlines()[-1] == (
        "console.log(await tea.auth.getMe());"
    )


def test_an_example_is_at_most_eight_lines() -> None:
    for program in (
        examples.python(specification.document, "tea", "Tea"),
        examples.typescript(specification.document, "tea", "Tea"),
    ):
        lines = program.splitlines()
        assert len(lines) <= 8
        assert max(map(len, lines)) <= 100


def test_an_example_has_the_address_of_the_service_if_the_specification_has_one() -> None:
    known = with_info() | {"servers": [{"url": "https://tea.example/v1"}]}
    assert Edition(known).address == "https://tea.example/v1"
    assert Edition(with_info()).address == "https://tea-house.example.com"
