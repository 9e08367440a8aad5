"""What the hooks of `make contract` do to requests: a failure must be one of the service."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import pytest
import schemathesis.auths
import schemathesis.checks
import schemathesis.hooks
from schemathesis import GenerationMode
from schemathesis.generation.meta import TestPhase

KEY = "Idempotency-Key"


@pytest.fixture(scope="module")
def hooks() -> Any:
    """The module that schemathesis loads, whose hooks must not stay for other tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CONTRACT_URL", "CONTRACT_MAILS", "CONTRACT_DATABASE"):
            patch.setenv(name, "http://127.0.0.1:9")
        yield importlib.import_module("tests.contract.hooks")
        schemathesis.hooks.unregister_all()
        schemathesis.auths.unregister()
        schemathesis.checks.CHECKS.unregister("admins_only")


def request(
    operation_id: str,
    *,
    headers: dict[str, str],
    path: dict[str, str] | None = None,
    phase: TestPhase = TestPhase.STATEFUL,
    mode: GenerationMode = GenerationMode.POSITIVE,
) -> Any:
    """What schemathesis hands to the hooks."""
    definition = SimpleNamespace(raw={"operationId": operation_id})
    return SimpleNamespace(
        path_parameters=path or {},
        query={},
        body={"title": "a", "content": "b"},
        headers=headers,
        method="POST",
        operation=SimpleNamespace(method="post", definition=definition),
        meta=SimpleNamespace(
            generation=SimpleNamespace(mode=mode), phase=SimpleNamespace(name=phase)
        ),
    )


def sent(hooks: Any, phase: TestPhase, mode: GenerationMode = GenerationMode.POSITIVE) -> str:
    """The key with which a request for a new post goes out that was generated with the key 0."""
    case = request("create_post", headers={KEY: "0"}, phase=phase, mode=mode)
    hooks.before_call(None, case, {})
    return str(case.headers[KEY])


def test_a_stateful_request_never_gets_anothers_answer(hooks: Any) -> None:
    keys = {sent(hooks, TestPhase.STATEFUL) for _ in range(10)}
    assert len(keys) == 10
    assert "0" not in keys


def test_an_invalid_key_stays_invalid(hooks: Any) -> None:
    assert sent(hooks, TestPhase.STATEFUL, GenerationMode.NEGATIVE) == "0"


@pytest.mark.parametrize("maker", ["user", "admin"])
def test_a_personal_token_is_ended_by_who_made_it(
    hooks: Any, monkeypatch: pytest.MonkeyPatch, maker: str
) -> None:
    people = {role: SimpleNamespace(access=f"Bearer {role}") for role in ("user", "admin")}
    found = SimpleNamespace(get=people.get, sender=lambda _: people[maker])
    monkeypatch.setattr(hooks, "callers", found)
    made = request("create_personal_token", headers={"Authorization": people[maker].access})
    answer = SimpleNamespace(status_code=201, json=lambda: {"id": f"of the {maker}"})
    hooks.after_call(None, made, answer)
    path = {"token_id": f"of the {maker}"}
    ended = request("revoke_personal_token", headers={"Authorization": hooks.SOMEBODY}, path=path)
    hooks.before_call(None, ended, {})
    assert ended.headers["Authorization"] == people[maker].access
