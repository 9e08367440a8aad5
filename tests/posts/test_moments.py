"""Moments that RFC 3339 allows and that many programs do not know."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.kit.serving import Server
from tests.kit.traffic import Traffic


@pytest.mark.parametrize(
    ("moment", "is_past"),
    [
        ("2016-12-31T23:59:60Z", True),  # a leap second
        ("2017-01-01T05:29:60.25+05:30", True),
        ("0000-02-29T00:00:00Z", True),
        ("9999-12-31T23:59:60Z", False),
        ("9999-12-31T23:59:59-23:59", False),
    ],
)
def test_every_moment_of_rfc_3339_is_a_bound_in_time(
    serve: Callable[..., Server], moment: str, is_past: bool
) -> None:
    server = serve(traffic=Traffic())  # openapi-core knows no leap seconds
    anna = server.sign_up()
    post = [anna.post()["id"]]
    for bound, found in (("created_after", is_past), ("created_before", not is_past)):
        answer = anna.http.get("/api/posts", params={bound: moment})
        assert [each["id"] for each in answer.json()] == post * found
    events = anna.http.get("/api/audit-events", params={"created_after": moment})
    assert len(events.json()) == 2 * is_past
