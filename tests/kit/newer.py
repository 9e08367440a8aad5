"""A service that answers as a later version of it may: more of everything that clients read.

Every object has one more member, every list of words one more word and every word is a new one,
refusals have new codes, the export has a new type of line, and answers link to a new operation.
"""

from __future__ import annotations

from typing import Any

import orjson

from service.specification import specification

WORD = "of-tomorrow"
FIELD = {"of_tomorrow": {"is": ["anything", {"deep": None}]}}
LINK = b'</api/tomorrow>; rel="tomorrow"'
_LINE = {"type": WORD, "data": {"id": 1}}
_REFUSALS = {403, 404, 409}  # whose codes no client has to know
_SCHEMAS = specification.document["components"]["schemas"]


class Newer:
    """An ASGI application around the service's."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(("/api/", "/auth/")):
            await self.app(scope, receive, send)
            return
        head: dict[str, Any] = {}
        body = bytearray()

        async def tell(message: Any) -> None:
            if message["type"] == "http.response.start":
                head.update(message)
                return
            body.extend(message.get("body", b""))
            if not message.get("more_body", False):
                answer = _newer(bytes(body), head["status"])
                head["headers"] = list(_headers(head["headers"], len(answer)))
                await send(head)
                await send({"type": "http.response.body", "body": answer})

        await self.app(scope, receive, tell)


def _newer(body: bytes, status: int) -> bytes:
    documents = [_value(orjson.loads(line), status) for line in body.splitlines()]
    if len(documents) > 1:  # the export
        documents.insert(1, _LINE)
    return b"\n".join(map(orjson.dumps, documents))


def _headers(headers: Any, size: int) -> Any:
    linked = False
    for name, value in headers:
        if name == b"content-length":
            yield name, b"%d" % size
        elif name == b"link":
            linked = True
            yield name, LINK + b", " + value
        else:
            yield name, value
    if not linked:
        yield b"link", LINK


def _value(value: Any, status: int, name: str = "") -> Any:
    if isinstance(value, dict):
        members = {name: _value(member, status, name) for name, member in value.items()}
        return members | FIELD
    if isinstance(value, list):
        words = [WORD] if value and name in WORDS else []
        return [_value(item, status) for item in value] + words
    if isinstance(value, str) and name in WORDS and (name != "code" or status in _REFUSALS):
        return WORD
    return value


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    for inner in (schema, *schema.get("allOf", []), schema.get("items", {})):
        if "$ref" in inner:
            return _SCHEMAS[inner["$ref"].rpartition("/")[2]]
    return schema


# The members of answers that have one of several words, or a list of them.
WORDS = {
    name
    for schema in _SCHEMAS.values()
    for name, member in schema.get("properties", {}).items()
    if len(_resolved(member).get("enum", [])) > 1
}
