"""Reads and strictly parses a body, once: the handler gets the same value that was validated."""

from __future__ import annotations

import asyncio
import json
import math
import re
from typing import Any, NoReturn

from service.engine.http.front_door import MAX_BODY_BYTES
from service.engine.problems import BadRequest, BodyTooLarge, InvalidRequest, MalformedBody
from service.engine.request import Request

BODY_TIMEOUT_SECONDS = 25.0  # time to send a body; shorter than a shutdown waits
MAX_DEPTH = 64
MAX_VALUES = 10_000  # more values would take longer to refuse than to send
MAX_INTEGER = 2**63

_TOO_DEEP = f"The body is nested more than {MAX_DEPTH} levels deep."
_TOO_LARGE = "A number in the body is too large."
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


def is_sent(request: Request) -> bool:
    """Whether a body follows the head of a request (RFC 9112, section 6)."""
    length = request.header(b"content-length")
    return request.header(b"transfer-encoding") is not None or length not in {None, "0"}


async def read(receive: Any, largest: float = MAX_BODY_BYTES) -> bytes:
    """The whole body, chunked or not, of at most `largest` bytes.

    Raises `BodyTooLarge` as soon as it is too large, `BadRequest` if it is not sent to its end.
    """
    try:
        async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
            return await read_now(receive, largest)
    except TimeoutError:
        raise BadRequest("The body took too long.") from None


async def read_now(receive: Any, largest: float) -> bytes:
    """The same without a time limit, for a body that has come."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("The body ended too early.")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > largest:
            raise too_large(largest)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def too_large(largest: float) -> BodyTooLarge:
    return BodyTooLarge(f"The body of this operation may have at most {largest:.0f} bytes here.")


def parse(raw: bytes) -> Any:
    """The JSON value (RFC 8259, and I-JSON of RFC 7493: UTF-8, unique names, no lone surrogates).

    Raises `MalformedBody`, also for NaN and infinities, NUL, duplicate names, a depth over 64 and
    integers beyond 2^63, and `InvalidRequest` for more than `MAX_VALUES` values. The detail says
    where the body is malformed, but repeats nothing of it.
    """
    if raw.count(b",") >= MAX_VALUES and _commas(raw) >= MAX_VALUES:
        detail = f"must have at most {MAX_VALUES} values"
        raise InvalidRequest(errors=[{"pointer": "", "code": "max-values", "detail": detail}])
    try:
        value = _DECODER.decode(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MalformedBody(f"The body is not UTF-8: see byte {error.start + 1}.") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise MalformedBody(f"The body is not valid JSON: see {place}.") from None
    except RecursionError:
        raise MalformedBody(_TOO_DEEP) from None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise MalformedBody(_TOO_DEEP)
    if _SUSPECT.search(raw) and not _is_clean(value):
        raise MalformedBody("The body has characters that are not allowed in text.")
    return value


def _commas(raw: bytes) -> int:
    """The number of commas outside strings."""
    unescaped = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    return sum(part.count(b",") for part in unescaped.split(b'"')[::2])


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise MalformedBody("An object in the body has the same name twice.")
    return value


def _integer(digits: str) -> int:
    if len(digits) > 20 or abs(number := int(digits)) > MAX_INTEGER:
        raise MalformedBody(_TOO_LARGE)
    return number


def _float(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise MalformedBody(_TOO_LARGE)
    return number


def _refuse(constant: str) -> NoReturn:
    raise MalformedBody(f"{constant} is not JSON.")  # NaN, Infinity or -Infinity


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_float, parse_constant=_refuse
)


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while containers := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [
            child
            for item in containers
            for child in (item.values() if isinstance(item, dict) else item)
        ]
    return depth


def _is_clean(value: Any) -> bool:
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\\u0000" not in text.replace("\\\\", "")
