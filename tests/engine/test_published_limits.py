"""The published document says the limits of each operation, as the running service has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from service.engine.spec.limit_notes import note
from service.engine.spec.publication import Deployment
from tests.engine.planner.settings import Settings
from tests.kit.planning import Planner

Serve = Callable[..., Planner]
OF_ALL = "300 per minute for each client address (`client`), over all operations."


def described(planner: Planner, path: str, method: str) -> str:
    """The description of an operation in the document that a planner serves, on one line."""
    operation = planner.client().get("/openapi.json").json()["paths"][path][method]
    return " ".join(operation.get("description", "").split())


def test_a_description_says_the_limits_of_the_operation(serve: Serve) -> None:
    planner = serve(rate_limit_enabled=True)
    write = "Limits: 30 per minute for each user (`write`), "
    assert described(planner, "/projects", "post").endswith(write + OF_ALL)
    assert described(planner, "/projects", "get") == f"Limits: {OF_ALL}"
    assert "Limits:" not in described(planner, "/openapi.json", "get")


def test_it_says_the_limits_that_the_operator_has_set(serve: Serve) -> None:
    limits = {"write": "5 per 10 minutes"}
    planner = serve(rate_limit_enabled=True, rate_limits=limits, rate_limit_client="9 per day")
    assert described(planner, "/projects", "post").endswith(
        "Limits: 5 in 10 minutes for each user (`write`),"
        " 9 per day for each client address (`client`), over all operations."
    )


def test_without_limits_it_says_none(serve: Serve) -> None:
    planner = serve(rate_limit_enabled=False)
    assert "Limits:" not in described(planner, "/projects", "post")
    assert "Requires the scope" in described(planner, "/projects", "post")


def test_the_document_of_one_deployment_is_not_that_of_another() -> None:
    specification = Settings.specification
    plain = specification.public_json()
    unlimited = specification.public_json(Deployment(limits=None))
    assert specification.public_json(Deployment("/under")) != plain != unlimited
    assert specification.public_json() == plain
    assert specification.public_json_31(Deployment("/under")).count(b'"url":"/under"') == 1


@pytest.mark.parametrize(
    ("entries", "overrides", "said"),
    [
        (
            [{"policy": "a", "limit": "10 per hour", "per": "ip", "counts": "failures"}],
            {},
            "10 failures per hour for each client address (`a`)",
        ),
        (
            [
                {"policy": "a", "limit": "3 per hour", "per": "email"},
                {"policy": "b", "limit": "10 per hour", "per": "email"},
                {"policy": "b", "limit": "20 per day", "per": "email"},
                {"policy": "a", "limit": "10 per hour", "per": "ip"},
            ],
            {"a": "4 per hour; 40 per day"},
            (
                "4 per hour for each address (`a`), "
                "10 per hour and 20 per day for each address (`b`), "
                "40 per day for each client address (`a`)"
            ),
        ),
    ],
)
def test_limits_are_put_into_words(entries: Any, overrides: Any, said: str) -> None:
    assert note(entries, overrides, {"ip": "client address", "email": "address"}) == said
