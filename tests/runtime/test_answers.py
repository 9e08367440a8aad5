"""The service checks what it answers more strictly than clients should."""

from __future__ import annotations

import orjson
import pytest

from service.engine.http.problems import answer
from service.engine.problems import InvalidRequest, NotFound
from service.engine.spec.validation import ResponseDrift, ResponseValidator
from service.specification import specification
from tests.kit.references import resolved

USER = resolved(specification.document["components"]["schemas"]["User"])
DECLARED = {"description": "", "content": {"application/json": {"schema": USER}}}


def test_an_answer_has_no_field_that_is_not_documented() -> None:
    user = {**USER["example"]}
    validator = ResponseValidator(DECLARED)
    assert validator.body(user, {})
    with pytest.raises(ResponseDrift, match="/password_hash unknown"):
        validator.body({**user, "password_hash": "secret"}, {})


def test_an_answer_has_every_documented_field() -> None:
    user = {**USER["example"]}
    del user["bio"]
    with pytest.raises(ResponseDrift, match="/bio required"):
        ResponseValidator(DECLARED).body(user, {})


def test_a_problem_has_no_field_that_is_not_documented() -> None:
    documented = specification.document["components"]["schemas"]["Problem"]["properties"].keys()
    refusal = InvalidRequest(errors=[{"pointer": "/title", "code": "required", "detail": "."}])
    for problem in (NotFound(), refusal):
        assert orjson.loads(answer(problem, "id").body).keys() <= documented
