"""What the Python client is made of, for any specification."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openapi.sdk import python_client
from openapi.sdk.packages import MODULE, with_lines
from service.engine.spec.specification import Specification
from tests.kit.generated_clients import BIN, run
from tests.kit.planning import planning
from tests.kit.programs import npm_programs

PLANNER = Specification(Path(__file__).parents[1] / "engine/planner/openapi/openapi.yaml")
# Of an API without sign-in, whose problems have no list of codes and errors.
PROGRAM = """
import sys

from byline_client import ApiError, Byline
from byline_client.models import Project

anonymous = Byline(sys.argv[1])
token = anonymous.tokens.create(name="anna")
byline = Byline(sys.argv[1], token.access_token)
assert str(byline.tokens.get_me().id) == str(token.id)
projects = [byline.projects.create(name=name, notes="x") for name in "abcde"]
listed = byline.projects.list(owner_id=token.id, limit=2)
assert [one.name for one in listed] == ["e", "d", "c", "b", "a"]
changed = byline.projects.update(projects[0], name="A")
try:
    byline.projects.update(projects[0], name="B")
except ApiError as error:
    assert (type(error), error.code, error.status) == (ApiError, "precondition-failed", 412)
    assert error.current == changed
    assert error.request_id
last = byline.projects.change(changed.id, lambda seen: {"name": seen.name * 2})
assert last.name == "AA"
lines = byline.projects.export()
assert [line.name for line in lines if isinstance(line, Project)] == ["e", "d", "c", "b", "AA"]
try:
    byline.projects.create(name="")
except ApiError as error:
    assert [one["pointer"] for one in error.errors] == ["/name"]
byline.projects.delete(last)
assert not hasattr(byline, "sign_in")
print("done")
"""


@pytest.fixture
def generate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:
    """Generates the client of the planner, after a change to its document."""
    npm_programs()
    monkeypatch.setattr(python_client, "specification", PLANNER)

    def make(change: Callable[[dict[str, Any]], object] = lambda _: None) -> Path:
        document = with_lines(PLANNER)
        change(document)
        python_client.write(tmp_path, document)
        return tmp_path

    return make


def test_another_api_has_a_client_of_the_same_kind(
    generate: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = generate()
    (folder / "program.py").write_text(PROGRAM)
    mypy = ["--strict", "--no-incremental", "--no-error-summary", "--config-file="]
    run(BIN / "mypy", *mypy, MODULE, "program.py", cwd=folder)
    with planning(tmp_path_factory.mktemp("planner")) as server:
        assert run(sys.executable, folder / "program.py", server.url) == "done\n"


def test_an_argument_that_would_be_named_twice_is_refused(generate: Callable[..., Path]) -> None:
    def change(document: dict[str, Any]) -> None:
        changes = document["components"]["schemas"]["ProjectChanges"]
        changes["properties"]["project_id"] = {"type": "string"}

    with pytest.raises(ValueError, match=r"two arguments of projects.update have one name"):
        generate(change)


def test_a_property_that_has_the_name_of_the_version_is_refused(
    generate: Callable[..., Path],
) -> None:
    def change(document: dict[str, Any]) -> None:
        project = document["components"]["schemas"]["Project"]
        project["properties"]["etag"] = {"type": "string"}

    with pytest.raises(ValueError, match="Project has a property etag"):
        generate(change)


def test_a_method_that_would_be_there_twice_is_refused(generate: Callable[..., Path]) -> None:
    def change(document: dict[str, Any]) -> None:
        document["paths"]["/export"]["get"]["operationId"] = "change_project"

    with pytest.raises(ValueError, match=r"projects.change cannot be added for update_project"):
        generate(change)
