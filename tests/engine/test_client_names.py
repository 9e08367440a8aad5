"""What the methods of clients are called, for any specification."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from service.engine.spec.client_names import ClientName, client_names
from tests.engine.planner.settings import Settings

ANSWER = {"200": {"description": "It."}}


def names(*operations: tuple[str, str], **nouns: str) -> dict[str, str]:
    """`tag.method` of each operation of a tag, in a document that has only these."""
    found = client_names(document(*operations, **nouns)).items()
    return {identifier: f"{name.python_tag}.{name.python}" for identifier, name in found}


def document(*operations: tuple[str, str], **nouns: str) -> dict[str, Any]:
    paths = {
        f"/{number}": {"get": {"tags": [tag], "operationId": identifier, "responses": ANSWER}}
        for number, (tag, identifier) in enumerate(operations)
    }
    return {"tags": [{"name": tag, "x-noun": noun} for tag, noun in nouns.items()], "paths": paths}


@pytest.mark.parametrize(
    ("tag", "identifier", "name"),
    [
        ("tasks", "list_tasks", "tasks.list"),
        ("tasks", "create_task", "tasks.create"),
        ("task", "list_tasks", "task.list"),
        ("companies", "delete_company", "companies.delete"),
        ("addresses", "get_address", "addresses.get"),
        ("boxes", "open_box", "boxes.open"),
        ("line-items", "list_line_items", "line_items.list"),
        ("tasks", "start_task_timer", "tasks.start_task_timer"),
        ("tasks", "begin_with_task", "tasks.begin_with_task"),
        ("tasks", "tasks", "tasks.tasks"),
        ("auth", "get_me", "auth.get_me"),
        ("tasks", "import_tasks", "tasks.import_"),
    ],
)
def test_a_method_is_the_operation_without_the_noun_of_its_tag(
    tag: str, identifier: str, name: str
) -> None:
    assert names((tag, identifier)) == {identifier: name}


def test_a_tag_may_say_what_its_noun_is() -> None:
    operations = ("audit", "list_audit_events"), ("audit", "export_audit")
    assert [*names(*operations, audit="audit_event").values()] == ["audit.list", "audit.export"]


def test_typescript_spells_names_in_camel_case() -> None:
    name = ClientName("line_items", "list_open")
    assert (name.typescript_tag, name.typescript) == ("lineItems", "listOpen")
    assert ClientName("tasks", "import").typescript == "import"  # a member may be called that


def test_an_operation_that_answers_with_a_page_is_not_in_clients() -> None:
    pages = document(("ops", "get_home"), ("ops", "get_health"))
    pages["paths"]["/0"]["get"]["responses"] = {"200": {"content": {"text/html": {}}}}
    assert [*client_names(pages)] == ["get_health"]


@pytest.mark.parametrize(
    "others",
    [("list_task", "list_tasks"), ("list", "list_tasks"), ("get_a1", "get_a_1")],
)
def test_two_operations_of_a_tag_cannot_have_the_same_name(others: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=f"for both {others[0]} and {others[1]}; rename one"):
        names(*(("tasks", identifier) for identifier in others))
    assert len(names(("tasks", others[0]), ("notes", others[1]))) == 2


@pytest.mark.parametrize(
    ("tag", "identifier"),
    [
        *(("tasks", "then"), ("tasks", "constructor"), ("tasks", "_hide"), ("2024", "list_years")),
        # They would take the place of `byline.close()` and `byline.signIn()`.
        *(("close", "list_nearest"), ("sign-in", "list_attempts"), ("request", "list_pending")),
    ],
)
def test_a_name_that_no_client_can_use_is_refused(tag: str, identifier: str) -> None:
    with pytest.raises(ValueError, match=f"^{identifier}: clients cannot have"):
        names((tag, identifier))


def test_the_published_document_gives_the_same_names_as_the_file() -> None:
    planner = Settings.specification
    names = client_names(orjson.loads(planner.public_json()))
    assert names == client_names(planner.document)
    assert names["create_project"] == ("projects", "create")
