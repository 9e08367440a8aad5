"""The size limit of a body is the largest that the schema of its operation allows."""

from __future__ import annotations

import math
from typing import Any

import httpx
import pytest

from service.engine.spec import body as bodies
from service.engine.spec import schemas, validation
from tests.kit.serving import Person

MIB = 1024 * 1024


def escaped(value: Any) -> str:
    """JSON in its longest form: each character of a name or a text is an escape."""
    if isinstance(value, dict):
        pairs = (f"{escaped(name)}:{escaped(each)}" for name, each in value.items())
        return f"{{{','.join(pairs)}}}"
    units = value.encode("utf-16-be")
    escapes = [f"{chr(92)}u{units[i : i + 2].hex()}" for i in range(0, len(units), 2)]
    return f'"{"".join(escapes)}"'


@pytest.mark.parametrize(
    ("schema", "largest"),
    [
        ({"type": "string", "maxLength": 10}, 122),
        ({"type": "string"}, math.inf),
        ({"type": "string", "pattern": "^a$"}, math.inf),
        ({"type": "string", "format": "uuid"}, 434),
        ({"type": "string", "enum": ["a", "bcd"]}, 38),
        ({"type": "boolean"}, 32),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 3}, 101),
        ({"type": "array", "items": {"type": "integer"}}, math.inf),
        ({"type": "object", "properties": {"a": {"type": "integer"}}}, math.inf),
        ({}, math.inf),
        (
            {
                "type": "object",
                "additionalProperties": False,
                "properties": {"ab": {"type": "string", "maxLength": 1}},
            },
            2 + 4 + 24 + 14,
        ),
    ],
)
def test_the_largest_json_of_a_schema(schema: dict[str, Any], largest: float) -> None:
    assert schemas.largest_json(schema) == largest


def test_the_longest_encoding_of_the_longest_values_is_accepted(anna: Person) -> None:
    change = {"bio": "\U0001f9f6" * 500, "username": anna.username}
    body = escaped(change) + " " * 4000
    headers = {"If-Match": "*", "Content-Type": "application/json"}
    answer = anna.http.patch(f"/api/users/{anna.id}", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["bio"] == change["bio"]


@pytest.mark.parametrize("size", [12_000, MIB])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_larger_body_is_not_parsed(
    anonymous: httpx.Client, monkeypatch: pytest.MonkeyPatch, size: int, is_chunked: bool
) -> None:
    parsed: list[bytes] = []
    monkeypatch.setattr(bodies, "parse", parsed.append)
    content = b'{"email": "a@example.com", "password": "x"}'.ljust(size)
    sent: Any = iter([content[:6000], content[6000:]]) if is_chunked else content
    headers = {"Content-Type": "application/json"}
    answer = anonymous.post("/auth/login", content=sent, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")
    assert (
        answer.json()["detail"] == "The body of this operation may have at most 10572 bytes here."
    )
    assert parsed == []


def test_the_limit_is_that_of_the_schema_to_the_byte(anonymous: httpx.Client) -> None:
    content = b'{"email": "a@example.com"}'
    largest = 3116 + validation.MAX_WHITE_SPACE_BYTES
    for size, status in ((largest, 202), (largest + 1, 413)):
        answer = anonymous.post(
            "/auth/password-resets",
            content=content.ljust(size),
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code == status
