"""Schemathesis: what its generators make of the specification, under every check it has."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
import sqlalchemy

from service.engine.spec.specification import parsed
from service.models import RestingUsername, User
from service.specification import specification
from tests.kit import databases
from tests.kit.serving import Server, serving

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "25"))
REFUSALS = [400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 428]
# Valid data may still be someone else's, taken, out of date, too many bytes for its characters, or
# have come with an Idempotency-Key that was used before.
ANSWERS = [200, 201, 202, 204, 304, 400, 401, 403, 404, 409, 412, 413, 422]
CONFIG = schemathesis.Config.from_dict(
    {
        "generation": {
            "max-examples": EXAMPLES,
            "allow-x00": False,
            "codec": "utf-8",
            "database": "none",
        },
        "suppress-health-check": ["all"],
        "checks": {
            "positive_data_acceptance": {"expected-statuses": ANSWERS},
            "negative_data_rejection": {"expected-statuses": REFUSALS},
            "missing_required_header": {"expected-statuses": [401, 428]},
        },
        "phases": {"stateful": {"inference": {"algorithms": []}}},
    }
)
# The file, not what is published: there every operation has a `default` for any other status.
DOCUMENT = parsed(specification.path.read_bytes())
schema = schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG)


@schema.hook
def filter_query(_context: Any, query: Any) -> bool:
    """Leave out values that no URL can hold: without them an invalid query is a valid one."""
    return not query or all(value not in (None, [], {}) for value in query.values())


ENDS_ITS_SESSION = {"logout", "refresh"}
FOR_ADMINS = {
    operation["operationId"]
    for item in specification.document["paths"].values()
    for operation in item.values()
    if "x-required-role" in operation
}


@pytest.fixture(params=["user", "admin"])
def role(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def person(role: str, server: Any) -> Any:
    """The caller of one operation, which may well end up deleted."""
    person = server.sign_up(password="not one of the examples")
    return server.make_admin(person) if role == "admin" else person


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """On the stricter database only: it refuses what the other would store, and this takes a
    minute. With a token for the metrics, which are open on loopback otherwise."""
    settings = {"database_url": databases.postgresql(), "metrics_token": secrets.token_hex()}
    with serving(tmp_path_factory.mktemp("schema"), **settings) as running:
        yield running


@schema.parametrize()
def test_an_operation_does_what_the_specification_says(
    case: Any, server: Any, person: Any, role: str
) -> None:
    operation = case.operation.definition.raw["operationId"]
    if operation in ENDS_ITS_SESSION:
        person = server.sign_in(person.email, person.password)
    token = person.tokens["refresh_token" if operation == "refresh" else "access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    response = case.call_and_validate(base_url=server.url, headers=headers)
    if operation in FOR_ADMINS and role == "user":
        assert response.status_code not in {200, 201}


def test_links_lead_through_the_lives_of_users_and_posts(serve: Any) -> None:
    server = serve()  # of its own: the same requests have to end in the same way each time

    class Life(schema.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            for table in (User, RestingUsername):
                server.execute(sqlalchemy.delete(table))
            admin = server.make_admin(server.sign_up())
            self.headers = {"Authorization": f"Bearer {admin.tokens['access_token']}"}

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"base_url": server.url, "headers": self.headers}

    # Derandomised, or with a database of examples, runs now and then fail as flaky.
    Life.run(
        settings=hypothesis.settings(
            max_examples=EXAMPLES,
            stateful_step_count=8,
            database=None,
            derandomize=False,
            deadline=None,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
    )
