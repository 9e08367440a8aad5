"""One reading of a path and of a query, whatever their spelling, and of who sends them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.kit import raw
from tests.kit.raw import BODY, SECRET, get, post, request, table

OK, CREATED, INVALID = (200, None), (201, None), (400, "invalid-request")
NOT_FOUND, BAD_REQUEST = (404, "not-found"), (400, "bad-request")
NO_TOKEN, BAD_TOKEN = (401, "authentication-required"), (401, "invalid-token")
PASSWORD = "correct horse battery staple"

PATHS = {
    "as it is": ("/api/posts", OK),
    "letters encoded": ("/%61pi/%70%6fst%73", OK),
    "a slash encoded": ("/api%2Fposts", NOT_FOUND),
    "two slashes in front": ("//api/posts", NOT_FOUND),
    "two slashes": ("/api//posts", NOT_FOUND),
    "two slashes, one encoded": ("/api/%2Fposts", NOT_FOUND),
    "a slash behind": ("/api/posts/", NOT_FOUND),
    "another case": ("/API/posts", NOT_FOUND),
    "encoded twice": ("/api/%2570osts", NOT_FOUND),
    "a percent sign alone": ("/api/posts%", NOT_FOUND),
    "a line feed": ("/api/posts%0A", BAD_REQUEST),
    "a line break in front": ("/%0D%0Aapi/posts", BAD_REQUEST),
    "NUL": ("/api/posts%00", BAD_REQUEST),
    "DEL": ("/api/posts%7F", BAD_REQUEST),
    "a dot": ("/./api/posts", NOT_FOUND),
    "a dot inside": ("/api/./posts", NOT_FOUND),
    "dots": ("/docs/../api/posts", NOT_FOUND),
    "dots encoded": ("/docs/%2e%2e/api/posts", NOT_FOUND),
    "dots and slashes encoded": ("/docs/..%2f..%2fetc%2fpasswd", NOT_FOUND),
    "a parameter": ("/api/posts;a=b", NOT_FOUND),
    "a backslash": ("/api%5Cposts", NOT_FOUND),
    "a suffix": ("/api/posts.json", NOT_FOUND),
    "a space behind": ("/api/posts%20", NOT_FOUND),
    "no UTF-8": ("/api/posts%ff", NOT_FOUND),
    "a letter that looks alike": ("/api/p%D0%BEsts", NOT_FOUND),
    "Flask's static folder": ("/static/app.js", NOT_FOUND),
    "no path": ("*", NOT_FOUND),
    "a parameter that is no UUID": (f"/api/posts/{SECRET}", INVALID),
    "5000 digits": (f"/api/posts/{'9' * 5000}", INVALID),
    "a parameter that is no UTF-8": ("/api/posts/%ff", INVALID),
    "an empty parameter": ("/api/posts/", NOT_FOUND),
    "a UUID in braces": (f"/api/posts/%7B{uuid4()}%7D", INVALID),
    "a UUID as URN": (f"/api/posts/urn:uuid:{uuid4()}", INVALID),
    "a UUID without hyphens": (f"/api/posts/{uuid4().hex}", INVALID),
    "a UUID and a line feed": (f"/api/posts/{uuid4()}%0A", BAD_REQUEST),
    "a UUID in upper case": (f"/api/posts/{str(uuid4()).upper()}", NOT_FOUND),
}


@table(PATHS)
def test_a_path_is_one_of_the_specification_or_nothing(
    data: str, expected: Any, server: Any
) -> None:
    raw.expect(server, get(data), expected)


@pytest.mark.parametrize("path", [path for path, _ in PATHS.values()], ids=PATHS)
@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_no_spelling_of_a_path_gets_past_the_token(method: str, path: str, server: Any) -> None:
    data = request(method, path, "Content-Type: application/json", "If-Match: *", body=BODY)
    answer = raw.exchange(server.url, data)
    raw.check(answer)
    assert answer.status in {400, 401, 404, 405}


@table(
    {
        "nothing behind the question mark": ("/api/posts?", OK),
        "a fragment": ("/api/posts?limit=5#limit=6", OK),
        "a name encoded": ("/api/posts?l%69mit=5", OK),
        "a value encoded": ("/api/posts?limit=%35", OK),
        "an unknown parameter": (f"/api/posts?nobody={SECRET}", INVALID),
        "a known one of another operation": ("/api/posts?q=tea", INVALID),
        "a known one in another case": ("/api/posts?Limit=5", INVALID),
        "a parameter twice": ("/api/posts?limit=5&limit=6", INVALID),
        "a parameter twice, the same": ("/api/posts?limit=5&limit=5", INVALID),
        "a parameter in brackets": ("/api/posts?limit[]=5", INVALID),
        "a semicolon between": ("/api/posts?limit=5;order=oldest", INVALID),
        "a required one missing": ("/api/search", INVALID),
        "100 parameters": ("/api/posts?" + "&".join(f"a{i}=1" for i in range(100)), INVALID),
        "no UTF-8": ("/api/search?q=%ff%fe", INVALID),
        "no UTF-8 in a name": ("/api/search?%ff=a", INVALID),
        "NUL": ("/api/search?q=a%00b", INVALID),
        "a surrogate": ("/api/search?q=%ED%A0%80ab", INVALID),
        "an underscore": ("/api/posts?limit=1_0", INVALID),
        "spaces": ("/api/posts?limit=%205%20", INVALID),
        "a line feed": ("/api/posts?limit=5%0A", INVALID),
        "Arabic digits": ("/api/posts?limit=%D9%A5", INVALID),
        "a plus sign": ("/api/posts?limit=%2B5", INVALID),
        "a leading zero": ("/api/posts?limit=05", INVALID),
        "another base": ("/api/posts?limit=0x5", INVALID),
        "a fraction": ("/api/posts?limit=5.0", INVALID),
        "an exponent": ("/api/posts?limit=5e0", INVALID),
        "NaN": ("/api/posts?limit=NaN", INVALID),
        "nothing": ("/api/posts?limit=", INVALID),
        "no equals sign": ("/api/posts?limit", INVALID),
        "zero": ("/api/posts?limit=0", INVALID),
        "minus one": ("/api/posts?limit=-1", INVALID),
        "one": ("/api/posts?limit=1", OK),
        "one hundred": ("/api/posts?limit=100", OK),
        "one hundred and one": ("/api/posts?limit=101", INVALID),
        "5000 digits": (f"/api/posts?limit={'9' * 5000}", INVALID),
        "no UUID": (f"/api/posts?after={SECRET}", INVALID),
        "a UUID of no post": (f"/api/posts?after={uuid4()}", OK),
        "no choice": ("/api/posts?order=best", INVALID),
        "a name with a line feed": ("/api/users?username=bob%0A", INVALID),
        "a date": ("/api/posts?created_after=2026-11-01", INVALID),
        "no time zone": ("/api/posts?created_after=2026-11-01T00:00:00", INVALID),
        "a thirteenth month": ("/api/posts?created_after=2026-13-01T00:00:00Z", INVALID),
        "29 February of no leap year": ("/api/posts?created_after=2026-02-29T00:00:00Z", INVALID),
        "24 o'clock": ("/api/posts?created_after=2026-11-01T24:00:00Z", INVALID),
        "before the year 1": ("/api/posts?created_after=0001-01-01T00:00:00%2B14:00", OK),
        "before the first id": ("/api/posts?created_before=1969-12-31T23:59:59Z", OK),
        "after the year 9999": ("/api/posts?created_after=9999-12-31T23:59:59-14:00", OK),
        "nanoseconds": ("/api/posts?created_after=2026-11-01T00:00:00.123456789Z", OK),
        "lower case": ("/api/posts?created_after=2026-11-01t00:00:00z", OK),
    }
)
def test_a_query_is_read_as_the_specification_says(data: str, expected: Any, server: Any) -> None:
    raw.expect(server, get(data), expected)


NAMES = ["bob\n", "Bob", "bo", "b" * 31, "_bob", "bob!", "bób", "bob ", "", "bob\u200b", "b\u0131b"]
ADDRESSES = [
    *["bob", "@", "a@", "@b", "a@b@c.de", "a b@c.de", "a@b c.de", " a@b.de", "a@b.de ", "a@b.de\n"],
    *["a@[127.0.0.1]", '"a b"@c.de', "a..b@c.de", ".a@b.de", "a@-b.de", "a@b..de", "<a@b.de>"],
    *["A <a@b.de>", "a@b.de,c@d.de", "a@b.de\r\nBcc: c@d.de", f"{'a' * 250}@b.de", "a\u0000@b.de"],
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_user_name_has_the_documented_form(name: str, anonymous: Any) -> None:
    body = {"email": "new@example.com", "password": PASSWORD, "username": name}
    answer = anonymous.post("/auth/register", json=body)
    assert answer.status_code == 400
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/username"}


@pytest.mark.parametrize("address", ADDRESSES, ids=ascii)
def test_an_address_is_one_that_mail_can_go_to(address: str, anonymous: Any) -> None:
    body = {"email": address, "password": PASSWORD}
    answer = anonymous.post("/auth/register", json=body)
    assert answer.status_code == 400
    assert answer.json()["code"] in {"invalid-request", "malformed-body"}
    assert PASSWORD not in answer.text


@table(
    {
        "as the standard writes it": ("Authorization: Bearer {token}", OK),
        "in lower case": ("authorization: bearer {token}", OK),
        "none": ("X-None: here", NO_TOKEN),
        "empty": ("Authorization:", NO_TOKEN),
        "the scheme alone": ("Authorization: Bearer", NO_TOKEN),
        "the token alone": ("Authorization: {token}", NO_TOKEN),
        "another scheme": ("Authorization: Basic Ym9iOmJvYg==", NO_TOKEN),
        "the token in another scheme": ("Authorization: Token {token}", NO_TOKEN),
        "garbage": (f"Authorization: Bearer {SECRET}", BAD_TOKEN),
        "three parts of garbage": ("Authorization: Bearer a.b.c", BAD_TOKEN),
        "no ASCII": (b"Authorization: Bearer \xff\xfe", BAD_TOKEN),
        "20 KB": (f"Authorization: Bearer {'a' * 20_000}", BAD_TOKEN),
        "padding behind": ("Authorization: Bearer {token}=", BAD_TOKEN),
        "two tokens": ("Authorization: Bearer {token}, Bearer {token}", BAD_TOKEN),
        "twice": ("Authorization: Bearer {token}\r\nAuthorization: Bearer {token}", BAD_REQUEST),
    }
)
def test_a_token_is_accepted_once_and_as_bearer_only(
    data: Any, expected: Any, server: Any, anna: Any
) -> None:
    answer = raw.expect(server, get("/auth/me", data), expected, anna.tokens["access_token"])
    if answer.status == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("path", ["/auth/me?access_token={token}", "/auth/me"])
def test_a_token_outside_the_authorization_header_is_ignored(
    path: str, server: Any, anna: Any
) -> None:
    cookie, form = "Cookie: access_token={token}", "X-Authorization: Bearer {token}"
    raw.expect(server, get(path, cookie, form), NO_TOKEN, anna.tokens["access_token"])


@pytest.mark.parametrize("value", ["Bearer a.b.c", f"Bearer {SECRET}", "Basic YTpi", "", "\xff"])
@pytest.mark.parametrize("path", ["/api/posts", "/api/users", "/health/ready", "/openapi.json"])
def test_a_public_operation_does_not_look_at_authorization(
    path: str, value: str, server: Any
) -> None:
    raw.expect(server, get(path, f"Authorization: {value}"), OK)


def test_signing_in_does_not_look_at_authorization(server: Any, anna: Any) -> None:
    body = b'{"email": "%b", "password": "%b"}' % (anna.email.encode(), anna.password.encode())
    raw.expect(server, post(body, target="/auth/login"), OK, token="a.b.c")


def test_no_line_of_the_log_repeats_what_was_sent(
    serve: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    server = serve(log_level="DEBUG")
    sent = [
        get(f"/{SECRET}?q={SECRET}", f"X-Secret: {SECRET}", f"Cookie: {SECRET}"),
        get(f"/api/posts/{SECRET}"),
        get("/auth/me", f"Authorization: Bearer {SECRET}"),
        get("/", host=SECRET),
        post(b'{"email": "%b", "password": "%b"}' % ((SECRET.encode(),) * 2), target="/auth/login"),
        f"{SECRET} / HTTP/1.1\r\n\r\n".encode(),
    ]
    for data in sent:
        raw.check(raw.exchange(server.url, data))
    log = "".join(capfd.readouterr())
    assert log.count('"event":"request"') == len(sent) - 1  # the last is no request
    assert "Invalid HTTP request" in log
    assert SECRET not in log
