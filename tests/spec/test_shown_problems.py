"""The published answers of 400 and above name the codes that their operations can give, and show an
example of each that is true of them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from jsonschema_rs import Draft201909Validator

from service.engine.spec.schemas import compiled
from service.specification import _Specification, specification
from tests.kit.references import resolved
from tests.kit.serving import Person
from tests.spec.test_documented_refusals import answers

PUBLIC = orjson.loads(specification.public_json())
MEDIA_TYPE = "application/problem+json"
NOT_OF_AN_OPERATION = {"method-not-allowed", "headers-too-large", "internal-error"}
ANSWERS = {
    (operation["operationId"], int(status)): resolved(answer, PUBLIC)
    for item in PUBLIC["paths"].values()
    for operation in item.values()
    for status, answer in operation["responses"].items()
    if "400" <= status < "600"
}


def shown(operation: str, status: int) -> dict[str, Any]:
    """The examples of an answer by code."""
    found = ANSWERS[operation, status]["content"][MEDIA_TYPE]["examples"]
    return {code: example["value"] for code, example in found.items()}


@pytest.mark.parametrize(
    ("operation", "status", "codes"),
    [
        ("login", 401, {"invalid-credentials", "second-factor-required"}),
        ("login", 403, {"account-disabled", "email-unverified", "origin-not-allowed"}),
        ("register", 409, {"email-taken", "username-taken"}),
        ("get_user", 400, {"invalid-request", "bad-request", "host-not-allowed"}),
        ("get_liveness", 400, {"bad-request"}),
        ("get_home", 400, {"bad-request", "host-not-allowed"}),
        (
            "list_sessions",
            401,
            {"authentication-required", "invalid-token", "token-expired", "session-revoked"},
        ),
        ("list_sessions", 403, {"scope-missing"}),
        ("get_metrics", 401, {"authentication-required", "invalid-token"}),
        ("list_accounts", 403, {"admin-required", "scope-missing", "email-unverified"}),
    ],
)
def test_an_answer_shows_the_codes_that_its_operation_can_give(
    operation: str, status: int, codes: set[str]
) -> None:
    assert shown(operation, status).keys() == codes


def test_an_answer_names_the_codes_that_it_shows_and_keeps_its_headers() -> None:
    written = specification.document["paths"]
    for path, item in PUBLIC["paths"].items():
        for method, operation in item.items():
            for status, answer in operation["responses"].items():
                if "400" <= status < "600":
                    public = resolved(answer, PUBLIC)
                    own = resolved(written[path][method]["responses"][status])
                    assert public["headers"] == own["headers"]
                    for code in public["content"][MEDIA_TYPE]["examples"]:
                        assert f"`{code}`" in public["description"]


def test_every_code_is_shown_somewhere() -> None:
    codes = {code for operation, status in ANSWERS for code in shown(operation, status)}
    known = set(PUBLIC["components"]["schemas"]["ProblemCode"]["enum"])
    assert codes == known - NOT_OF_AN_OPERATION


def test_every_example_is_a_problem_with_its_code_and_status() -> None:
    schema = resolved(PUBLIC["components"]["schemas"]["Problem"], PUBLIC)
    problem: Draft201909Validator = compiled(schema)
    for operation, status in ANSWERS:
        for code, example in shown(operation, status).items():
            assert problem.is_valid(example), (operation, code)
            assert (example["status"], example["code"]) == (status, code)
            assert example["detail"].rstrip(".") != example["title"], code


def test_what_is_not_found_is_what_the_path_names(anna: Person) -> None:
    """In the examples; that answers say the same is checked of all traffic (tests/kit/drift.py)."""
    assert shown("get_user", 404)["not-found"]["detail"] == "There is no such user."
    assert shown("revoke_session", 404)["not-found"]["detail"] == "There is no such session."
    assert anna.http.delete("/auth/totp").json()["detail"] == "You have no authenticator app."


def test_an_empty_body_is_refused_as_the_example_says(anna: Person) -> None:
    refused = answers(anna, 413, content=b"{}")
    assert len(refused) > 20
    for operation, answer in refused.items():
        example = shown(operation, 400)["invalid-request"]
        if answer.status_code == 400:
            assert answer.json()["detail"] == example["detail"]
            assert example["errors"][0] in answer.json()["errors"], operation


def test_an_answer_whose_problems_nothing_tells_stays_as_it_is(tmp_path: Any) -> None:
    text = specification.path.read_text().replace("      x-problems: {'409': [last-passkey]}\n", "")
    file = tmp_path / "openapi.yaml"
    file.write_text(text)
    public = orjson.loads(_Specification(file).public_json())
    answer = public["paths"]["/auth/passkeys/{passkey_id}"]["delete"]["responses"]["409"]
    found = resolved(answer, public)
    assert found["description"] == "The request conflicts with existing data.\n"
    assert found["content"] == {MEDIA_TYPE: {"schema": found["content"][MEDIA_TYPE]["schema"]}}


def test_a_code_that_no_problem_has_stops_the_start(tmp_path: Any) -> None:
    file = tmp_path / "openapi.yaml"
    file.write_text(specification.path.read_text().replace("[last-passkey]", "[last-pass-key]"))
    with pytest.raises(ValueError, match="delete_passkey: x-problems names last-pass-key"):
        _Specification(file).check()
    assert specification.check() is None
