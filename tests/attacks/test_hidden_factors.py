"""Before the password is right, nothing that the service does depends on second factors."""

from __future__ import annotations

import httpx

from tests.kit.second_factors import add_app, log_in
from tests.kit.serving import Person, Server
from tests.kit.statements import noted


def statements(http: httpx.Client, person: Person, password: str) -> list[str]:
    """The statements that a sign-in takes."""
    with noted() as found:
        log_in(http, person, password)
    return found


def test_a_wrong_password_takes_the_same_statements_with_a_second_factor(
    server: Server,
    anna: Person,
    ben: Person,
    anonymous: httpx.Client,
) -> None:
    add_app(anna)
    with_one, without = (statements(anonymous, person, "wrong") for person in (anna, ben))
    assert with_one == without
    assert len(without) > 1
    right = statements(anonymous, anna, anna.password)
    assert any("challenges" in sql for sql in right)
    assert not any("totp_factors" in sql or "challenges" in sql for sql in with_one)
