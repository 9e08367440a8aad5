"""`x-fresh-authentication`: an operation may ask how long ago its user signed in (RFC 9470)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from service.engine.tokens.keys import KeyRing
from service.engine.tokens.tokens import Authentication, Tokens
from tests.kit.planning import Owner, Planner

Serve = Callable[..., Planner]
TOO_OLD = (401, "authentication-too-old")


def token(owner: Owner, age: float | None) -> dict[str, str]:
    """A token of an owner who has signed in so many seconds ago, if it says when."""
    settings = owner.server.settings
    ring = KeyRing.from_directory(settings.jwt_keys_dir)
    ours = Tokens(ring, issuer=settings.jwt_issuer, audience=settings.jwt_audience)
    said = None if age is None else Authentication(int(time.time() - age), ("pwd",), "aal1")
    return {"Authorization": f"Bearer {ours.access(owner.id, owner.id, 0, 60, said)}"}


def delete(owner: Owner, age: float | None) -> Any:
    return owner.http.delete("/me", headers=token(owner, age))


def test_an_old_authentication_is_refused_and_nothing_is_done(server: Planner) -> None:
    anna = server.sign_up()
    project = anna.project()
    for age in (None, 62, 100_000):
        answer = delete(anna, age)
        assert (answer.status_code, answer.json()["code"]) == TOO_OLD
        assert answer.headers["www-authenticate"] == (
            'Bearer realm="planner", error="insufficient_user_authentication",'
            ' error_description="More recent authentication is required", max_age=60'
        )
    assert anna.http.get(f"/projects/{project['id']}").status_code == 200
    assert delete(anna, 0).status_code == 204
    assert anna.http.get(f"/projects/{project['id']}").status_code == 404


def test_a_clock_that_is_ahead_does_no_harm(server: Planner) -> None:
    assert delete(server.sign_up(), -2).status_code == 204


def test_a_refusal_takes_nothing_of_the_limits_of_the_operation(serve: Serve) -> None:
    anna = serve(rate_limit_enabled=True).sign_up()
    for _ in range(3):
        answer = delete(anna, 62)
        assert (answer.status_code, answer.json()["code"]) == TOO_OLD
        assert "farewell" not in answer.headers["RateLimit"]
    assert delete(anna, 0).status_code == 204
    assert delete(anna, 0).status_code == 429


def test_it_is_shown_in_the_description(server: Planner) -> None:
    described = server.client().get("/openapi.json").json()["paths"]["/me"]["delete"]
    assert "more than 60\nseconds ago" in described["description"]
    assert [key for key in described if key.startswith("x-")] == ["x-codeSamples"]
