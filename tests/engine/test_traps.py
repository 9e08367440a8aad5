"""Requests that break naive services on this stack, sent as bytes: each gets a correct answer, and
the service goes on."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.kit import raw
from tests.kit.raw import BODY, SECRET, chunked, get, post, request, table

MIB = 1024 * 1024
BAD_JSON, INVALID = (400, "malformed-body"), (400, "invalid-request")
BAD_REQUEST, NOT_ALLOWED = (400, "bad-request"), (405, "method-not-allowed")
BAD_HOST, BAD_TYPE = (400, "host-not-allowed"), (415, "unsupported-media-type")
OK, CREATED = (200, None), (201, None)


@pytest.fixture(scope="module")
def author(server: Any) -> Any:
    return server.sign_up()


@pytest.fixture
def expect(server: Any, author: Any) -> Any:
    """`raw.expect` of the shared server, with the author's token for `{token}`."""
    return partial(raw.expect, server, token=author.tokens["access_token"])


def name(value: bytes | str) -> bytes:
    """A new project whose name is this JSON; what is refused must not come back."""
    value = value if isinstance(value, bytes) else value.encode()
    return b'{"name": %b, "notes": "%b"}' % (value, SECRET.encode())


def nested(depth: int) -> bytes:
    return name(b"[" * (depth - 1) + b"]" * (depth - 1))


@table(
    {
        "nothing": (b"", BAD_JSON),
        "a space": (b" ", BAD_JSON),
        "NaN": (name("NaN"), BAD_JSON),
        "Infinity": (name("Infinity"), BAD_JSON),
        "minus Infinity": (name("-Infinity"), BAD_JSON),
        "1e999": (name("1e999"), BAD_JSON),
        "Latin-1": (name(b'"\xe9"'), BAD_JSON),
        "UTF-16": (BODY.decode().encode("utf-16"), BAD_JSON),
        "overlong UTF-8": (name(b'"\xc0\xaf"'), BAD_JSON),
        "a byte order mark": (b"\xef\xbb\xbf" + BODY, BAD_JSON),
        "a lone surrogate, escaped": (name(r'"\ud800"'), BAD_JSON),
        "a lone surrogate, encoded": (name(b'"\xed\xa0\x80"'), BAD_JSON),
        "a lone surrogate as name": (rb'{"\udfff": 1}', BAD_JSON),
        "surrogates in the wrong order": (name(r'"\udd00\ud83e"'), BAD_JSON),
        "NUL, escaped": (name(r'"a\u0000b"'), BAD_JSON),
        "NUL, raw": (name(b'"a\0b"'), BAD_JSON),
        "NUL in a name": (rb'{"\u0000": 1}', BAD_JSON),
        "a raw line feed in a string": (name(b'"a\nb"'), BAD_JSON),
        "a name twice": (b'{"name": "a", "name": "b", "notes": "c"}', BAD_JSON),
        "a name twice, escaped": (rb'{"name": "a", "\u006eame": "b", "notes": "c"}', BAD_JSON),
        "a name twice, further in": (name('{"a": 1, "a": 1}'), BAD_JSON),
        "depth 64": (nested(64), INVALID),
        "depth 65": (nested(65), BAD_JSON),
        "depth 5000": (nested(5000), BAD_JSON),
        "depth 500 000": (nested(500_000), BAD_JSON),
        "2^63": (name(str(2**63)), INVALID),
        "2^63 + 1": (name(str(2**63 + 1)), BAD_JSON),
        "an integer of 5000 digits": (name("9" * 5000), BAD_JSON),
        "a negative one": (name("-" + "9" * 5000), BAD_JSON),
        "a fraction of 5000 digits": (name("0." + "9" * 5000), INVALID),
        "something behind": (BODY + b"x", BAD_JSON),
        "a comma too many": (b'{"name": "a", "notes": "c",}', BAD_JSON),
        "a comment": (b"/**/" + BODY, BAD_JSON),
        "an array": (b"[]", INVALID),
        "null": (b"null", INVALID),
        "null as name": (name("null"), INVALID),
        "an unknown field": (BODY[:-1] + b', "author": "%b"}' % SECRET.encode(), INVALID),
        "a field missing": (b'{"notes": "a"}', INVALID),
        "an empty name": (name('""'), INVALID),
        "201 characters": (name(f'"{"x" * 201}"'), INVALID),
        "200 characters beyond the BMP": (name(f'"{"🦭" * 200}"'), CREATED),
        "a pair of surrogates": (name(r'"\ud83e\uddad"'), CREATED),
        "a backslash before u0000": (name(r'"a\\u0000b"'), CREATED),
        "a line feed at the end": (name(r'"bob\n"'), INVALID),
        "1 MiB": (BODY.ljust(MIB), CREATED),
        "1 MiB and a byte": (BODY.ljust(MIB + 1), (413, "body-too-large")),
    }
)
def test_a_body_is_strict_json_that_fits_the_schema(
    data: bytes, expected: Any, expect: Any
) -> None:
    expect(post(data), expected)


@table(
    {
        "the plain one": ("Content-Type: application/json", CREATED),
        "in upper case": ("Content-Type: APPLICATION/JSON", CREATED),
        "with its charset": ("Content-Type: application/json; charset=utf-8", CREATED),
        "with its charset in upper case": ("Content-Type: Application/Json;CHARSET=UTF-8", CREATED),
        "with its charset in quotes": ('Content-Type: application/json; charset="utf-8"', CREATED),
        "with a semicolon behind": ("Content-Type: application/json;", CREATED),
        "with one behind its charset": ("Content-Type: application/json;charset=utf-8;", CREATED),
        "with empty parameters": ("Content-Type: application/json; ;;charset=utf-8 ; ", CREATED),
        "with many of them": (f"Content-Type: application/json{';' * 20_000}", CREATED),
        "with half a quote": ('Content-Type: application/json; charset="utf-8', BAD_TYPE),
        "its charset twice": ("Content-Type: application/json;charset=utf8;charset=utf8", BAD_TYPE),
        "as it is": ("Content-Type: application/json\r\nContent-Encoding: Identity", CREATED),
        "as it is, twice": (
            "Content-Type: application/json" + "\r\nContent-Encoding: identity" * 2,
            CREATED,
        ),
        "in no encoding": ("Content-Type: application/json\r\nContent-Encoding:", CREATED),
        "compressed": ("Content-Type: application/json\r\nContent-Encoding: GZIP", BAD_TYPE),
        "as it is, and compressed": (
            "Content-Type: application/json\r\nContent-Encoding: identity, gzip",
            BAD_TYPE,
        ),
        "hz": ("Content-Type: application/json;charset=hz", BAD_TYPE),
        "utf-7": ("Content-Type: application/json; charset=utf-7", BAD_TYPE),
        "latin-1": ("Content-Type: application/json; charset=latin-1", BAD_TYPE),
        "utf-16": ("Content-Type: application/json; charset=utf-16", BAD_TYPE),
        "an unknown charset": (f"Content-Type: application/json; charset={SECRET}", BAD_TYPE),
        "an empty charset": ("Content-Type: application/json; charset=", BAD_TYPE),
        "two charsets": ("Content-Type: application/json;charset=utf-8;charset=hz", BAD_TYPE),
        "another parameter": ("Content-Type: application/json;boundary=x", BAD_TYPE),
        "none": ("X-None: here", BAD_TYPE),
        "empty": ("Content-Type:", BAD_TYPE),
        "text": ("Content-Type: text/plain", BAD_TYPE),
        "a form": ("Content-Type: application/x-www-form-urlencoded", BAD_TYPE),
        "a longer name": ("Content-Type: application/jsonx", BAD_TYPE),
        "a suffix": ("Content-Type: application/problem+json", BAD_TYPE),
        "a list": ("Content-Type: application/json, text/plain", BAD_TYPE),
        "any": ("Content-Type: */*", BAD_TYPE),
        "twice": ("Content-Type: application/json\r\nContent-Type: text/plain", BAD_REQUEST),
    }
)
def test_a_body_is_of_the_declared_media_type(data: str, expected: Any, expect: Any) -> None:
    token = "Authorization: Bearer {token}"
    expect(request("POST", "/projects", token, data, body=BODY), expected)


# In hz, `~{` to `~}` is Chinese: to a reader of hz there is no "is_admin", and "name" is short.
SMUGGLED = b'{"name": "~{A", "is_admin": true, "notes": "a~}"}'


@table(
    {
        "in a charset": ("Content-Type: application/json;charset=hz", BAD_TYPE),
        "in upper case": ("Content-Type: APPLICATION/JSON", INVALID),
    }
)
def test_the_handler_gets_the_object_that_was_validated(
    data: str, expected: Any, expect: Any
) -> None:
    token = "Authorization: Bearer {token}"
    expect(request("POST", "/projects", token, data, body=SMUGGLED), expected)


@table(
    {
        "in one chunk": (chunked(BODY), CREATED),
        "in single bytes": (chunked(*(BODY[i : i + 1] for i in range(len(BODY)))), CREATED),
        "without any": (chunked(), BAD_JSON),
        "1 MiB": (chunked(BODY, *[b" " * 65536] * 15), CREATED),
        "over 1 MiB": (chunked(BODY, *[b" " * 65536] * 16), (413, "body-too-large")),
        "with a trailer": (chunked(BODY, trailer=b"X-Checksum: 1\r\n"), CREATED),
        "with a trailer that is a credential": (
            chunked(BODY, trailer=b"Authorization: Bearer {token}\r\n").replace(b"{token}", b"", 1),
            (401, "authentication-required"),
        ),
        "with a trailer that frames": (chunked(BODY, trailer=b"Host: evil.example\r\n"), CREATED),
    }
)
def test_a_chunked_body_is_read_like_any_other(data: bytes, expected: Any, expect: Any) -> None:
    expect(data, expected)


def test_a_body_announced_as_too_large_is_refused_unread(expect: Any) -> None:
    expect(post(None, f"Content-Length: {MIB + 1}"), (413, "body-too-large"))


@table(
    {
        "no host": (get("/projects", host=None), BAD_HOST),
        "an empty host": (get("/projects", host=""), BAD_HOST),
        "a foreign host": (get("/projects", host=f"{SECRET}.example"), BAD_HOST),
        "a host that ends like ours": (get("/projects", host="evil-localhost"), BAD_HOST),
        "a host that starts like ours": (
            get("/projects", host="localhost.evil.example"),
            BAD_HOST,
        ),
        "user information": (get("/projects", host="evil@localhost"), BAD_HOST),
        "a port of six digits": (get("/projects", host="localhost:123456"), BAD_HOST),
        "our host, with a port": (get("/projects", host="LOCALHOST:8000"), OK),
        "our host as an IPv6 address": (get("/projects", host="[::1]:8000"), OK),
        "two hosts": (get("/projects", "Host: evil.example"), BAD_REQUEST),
        "the same host twice": (get("/projects", "Host: localhost"), BAD_REQUEST),
        "a name with an underscore": (get("/projects", "X_Forwarded_For: 1.2.3.4"), BAD_REQUEST),
        "If-None-Match twice": (get("/openapi.json", *['If-None-Match: "a"'] * 2), OK),
        "no entity tag": (get("/openapi.json", f"If-None-Match: {SECRET}"), INVALID),
        "a byte that is no ASCII": (get("/projects", b"X-Name: \xff"), OK),
        "32 KB": (get("/projects", f"X-Padding: {'x' * 32_000}"), OK),
        "33 KB in one": (get("/projects", f"X-P: {'x' * 33_000}"), (431, "headers-too-large")),
        "33 KB in 3000": (get("/projects", *["X-P: xxxxxxxx"] * 3000), (431, "headers-too-large")),
        "a wish to upgrade": (
            get("/projects", "Connection: Upgrade", "Upgrade: websocket"),
            OK,
        ),
    }
)
def test_headers_are_checked_at_the_front_door(data: bytes, expected: Any, expect: Any) -> None:
    expect(data, expected)


@table(
    {
        "HEAD": ("HEAD", OK),
        "OPTIONS": ("OPTIONS", (204, None)),
        "TRACE": ("TRACE", NOT_ALLOWED),
        "CONNECT": ("CONNECT", NOT_ALLOWED),
        "PUT": ("PUT", NOT_ALLOWED),
        "DELETE": ("DELETE", NOT_ALLOWED),
        "PROPFIND": ("PROPFIND", NOT_ALLOWED),
    }
)
def test_a_method_is_served_or_the_ones_that_are_get_listed(
    data: str, expected: Any, expect: Any
) -> None:
    answer = expect(request(data, "/projects", f"X-Secret: {SECRET}"), expected)
    assert answer.headers.get("allow") == (None if data == "HEAD" else "GET, HEAD, OPTIONS, POST")
    if data in {"HEAD", "OPTIONS"}:
        assert answer.body == b""


def test_a_query_of_too_many_parameters_is_refused_for_that(expect: Any) -> None:
    for query, why in [("a=1&" * 51, "at most 50 parameters"), ("a=%FF", "UTF-8")]:
        assert why in expect(get(f"/projects?{query}"), INVALID).json()["detail"]


def test_head_has_the_headers_of_get(server: Any) -> None:
    head, got = (
        raw.exchange(server.url, request(method, "/openapi.json")) for method in ("HEAD", "GET")
    )
    assert head.body == b""
    for name in ("etag", "content-type", "content-length", "cache-control"):
        assert head.headers[name] == got.headers[name]


GET = b"GET /projects HTTP/1.1\r\nHost: localhost\r\n"
NOT_HTTP = {
    "a TLS handshake": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/9.9": b"GET /projects HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "a bare line feed": b"GET /projects HTTP/1.1\nHost: localhost\n\n",
    "a method in lower case": b"get /projects HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an unknown method": b"YODEL /projects HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a tunnel": b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a target without a slash": b"GET ?a=b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a raw byte in the path": b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a raw byte in the query": b"GET /projects?\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a raw NUL in the path": b"GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "NUL in a header": GET + b"X-A: b\0c\r\n\r\n",
    "a space in a header's name": GET + b"X A: b\r\n\r\n",
    "a space before the colon": GET + b"X-A : b\r\n\r\n",
    "a folded header": GET + b"X-A: b\r\n c\r\n\r\n",
    "a header without a name": GET + b": b\r\n\r\n",
    "two lengths": GET + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
    "one length twice": GET + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
    "a length and chunks": GET + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "chunks and a length": GET + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
    "an unknown transfer encoding": GET + b"Transfer-Encoding: xchunked\r\n\r\n",
    "a length of letters": GET + b"Content-Length: five\r\n\r\n",
    "a length with a sign": GET + b"Content-Length: +5\r\n\r\n",
    "a negative length": GET + b"Content-Length: -5\r\n\r\n",
    "a length of 30 digits": GET + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n",
    "a chunk without its length": post(None, "Transfer-Encoding: chunked") + b"five\r\n",
}


@pytest.mark.parametrize("data", NOT_HTTP.values(), ids=NOT_HTTP)
def test_input_that_is_not_http_is_a_problem_and_ends_the_connection(
    data: bytes, expect: Any
) -> None:
    assert expect(data, BAD_REQUEST).closed
