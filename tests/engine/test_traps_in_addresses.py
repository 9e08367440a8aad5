"""A path, a query and a token have only one interpretation, however they are spelled."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.kit import raw
from tests.kit.authorizations import AUTHORIZATIONS
from tests.kit.raw import BODY, SECRET, get, post, request, table

OK, INVALID = (200, None), (400, "invalid-request")
NOT_FOUND, BAD_REQUEST = (404, "not-found"), (400, "bad-request")
NO_TOKEN = (401, "authentication-required")

PATHS = {
    "as it is": ("/projects", OK),
    "letters encoded": ("/%70%72oject%73", OK),
    "a slash encoded": ("/health%2Flive", NOT_FOUND),
    "two slashes in front": ("//projects", NOT_FOUND),
    "two slashes": ("/health//live", NOT_FOUND),
    "two slashes, one encoded": ("/health/%2Flive", NOT_FOUND),
    "a slash behind": ("/projects/", NOT_FOUND),
    "another case": ("/PROJECTS", NOT_FOUND),
    "encoded twice": ("/%2570rojects", NOT_FOUND),
    "a percent sign alone": ("/projects%", NOT_FOUND),
    "a line feed": ("/projects%0A", BAD_REQUEST),
    "a line break in front": ("/%0D%0Aprojects", BAD_REQUEST),
    "NUL": ("/projects%00", BAD_REQUEST),
    "DEL": ("/projects%7F", BAD_REQUEST),
    "a dot": ("/./projects", NOT_FOUND),
    "a dot inside": ("/health/./live", NOT_FOUND),
    "dots": ("/docs/../projects", NOT_FOUND),
    "dots encoded": ("/docs/%2e%2e/projects", NOT_FOUND),
    "dots and slashes encoded": ("/docs/..%2f..%2fetc%2fpasswd", NOT_FOUND),
    "a parameter": ("/projects;a=b", NOT_FOUND),
    "a backslash": ("/health%5Clive", NOT_FOUND),
    "a suffix": ("/projects.json", NOT_FOUND),
    "a space behind": ("/projects%20", NOT_FOUND),
    "no UTF-8": ("/projects%ff", NOT_FOUND),
    "a letter that looks alike": ("/pr%D0%BEjects", NOT_FOUND),
    "Flask's static folder": ("/static/app.js", NOT_FOUND),
    "no path": ("*", NOT_FOUND),
    "a parameter that is no UUID": (f"/projects/{SECRET}", INVALID),
    "5000 digits": (f"/projects/{'9' * 5000}", INVALID),
    "a parameter that is no UTF-8": ("/projects/%ff", INVALID),
    "an empty parameter": ("/projects/", NOT_FOUND),
    "a UUID in braces": (f"/projects/%7B{uuid4()}%7D", INVALID),
    "a UUID as URN": (f"/projects/urn:uuid:{uuid4()}", INVALID),
    "a UUID without hyphens": (f"/projects/{uuid4().hex}", INVALID),
    "a UUID and a line feed": (f"/projects/{uuid4()}%0A", BAD_REQUEST),
    "a UUID in upper case": (f"/projects/{str(uuid4()).upper()}", NOT_FOUND),
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
        "nothing behind the question mark": ("/projects?", OK),
        "a fragment": ("/projects?limit=5#limit=6", OK),
        "a name encoded": ("/projects?l%69mit=5", OK),
        "a value encoded": ("/projects?limit=%35", OK),
        "an unknown parameter": (f"/projects?nobody={SECRET}", INVALID),
        "a known one of another operation": ("/projects?q=tea", INVALID),
        "a known one in another case": ("/projects?Limit=5", INVALID),
        "a parameter twice": ("/projects?limit=5&limit=6", INVALID),
        "a parameter twice, the same": ("/projects?limit=5&limit=5", INVALID),
        "a parameter in brackets": ("/projects?limit[]=5", INVALID),
        "a semicolon between": ("/projects?limit=5;order=oldest", INVALID),
        "a required one missing": ("/tasks", INVALID),
        "100 parameters": ("/projects?" + "&".join(f"a{i}=1" for i in range(100)), INVALID),
        "no UTF-8": ("/tasks?q=%ff%fe", INVALID),
        "no UTF-8 in a name": ("/tasks?%ff=a", INVALID),
        "NUL": ("/tasks?q=a%00b", INVALID),
        "a surrogate": ("/tasks?q=%ED%A0%80ab", INVALID),
        "an underscore": ("/projects?limit=1_0", INVALID),
        "spaces": ("/projects?limit=%205%20", INVALID),
        "a line feed": ("/projects?limit=5%0A", INVALID),
        "Arabic digits": ("/projects?limit=%D9%A5", INVALID),
        "a plus sign": ("/projects?limit=%2B5", INVALID),
        "a leading zero": ("/projects?limit=05", INVALID),
        "another base": ("/projects?limit=0x5", INVALID),
        "a fraction": ("/projects?limit=5.0", INVALID),
        "an exponent": ("/projects?limit=5e0", INVALID),
        "NaN": ("/projects?limit=NaN", INVALID),
        "nothing": ("/projects?limit=", INVALID),
        "no equals sign": ("/projects?limit", INVALID),
        "zero": ("/projects?limit=0", INVALID),
        "minus one": ("/projects?limit=-1", INVALID),
        "one": ("/projects?limit=1", OK),
        "one hundred": ("/projects?limit=100", OK),
        "one hundred and one": ("/projects?limit=101", INVALID),
        "5000 digits": (f"/projects?limit={'9' * 5000}", INVALID),
        "no UUID": (f"/projects?after={SECRET}", INVALID),
        "a UUID of no project": (f"/projects?after={uuid4()}", OK),
        "no choice": ("/projects?order=best", INVALID),
        "a date": ("/projects?created_after=2026-11-01", INVALID),
        "no time zone": ("/projects?created_after=2026-11-01T00:00:00", INVALID),
        "a thirteenth month": ("/projects?created_after=2026-13-01T00:00:00Z", INVALID),
        "29 February of no leap year": ("/projects?created_after=2026-02-29T00:00:00Z", INVALID),
        "24 o'clock": ("/projects?created_after=2026-11-01T24:00:00Z", INVALID),
        "before the year 1": ("/projects?created_after=0001-01-01T00:00:00%2B14:00", OK),
        "before the first id": ("/projects?created_before=1969-12-31T23:59:59Z", OK),
        "after the year 9999": ("/projects?created_after=9999-12-31T23:59:59-14:00", OK),
        "nanoseconds": ("/projects?created_after=2026-11-01T00:00:00.123456789Z", OK),
        "lower case": ("/projects?created_after=2026-11-01t00:00:00z", OK),
    }
)
def test_a_query_is_read_as_the_specification_says(data: str, expected: Any, server: Any) -> None:
    raw.expect(server, get(data), expected)


@table(AUTHORIZATIONS)
def test_a_token_is_accepted_once_and_as_bearer_only(
    data: Any, expected: Any, server: Any, anna: Any
) -> None:
    answer = raw.expect(server, get("/me", data), expected, anna.tokens["access_token"])
    if answer.status == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("path", ["/me?access_token={token}", "/me"])
def test_a_token_outside_the_authorization_header_is_ignored(
    path: str, server: Any, anna: Any
) -> None:
    cookie, form = "Cookie: access_token={token}", "X-Authorization: Bearer {token}"
    raw.expect(server, get(path, cookie, form), NO_TOKEN, anna.tokens["access_token"])


@pytest.mark.parametrize("value", ["Bearer a.b.c", f"Bearer {SECRET}", "Basic YTpi", "", "\xff"])
@pytest.mark.parametrize("path", ["/projects", "/health/ready", "/openapi.json"])
def test_a_public_operation_does_not_look_at_authorization(
    path: str, value: str, server: Any
) -> None:
    raw.expect(server, get(path, f"Authorization: {value}"), OK)


def test_no_line_of_the_log_repeats_what_was_sent(
    serve: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    server = serve(log_level="DEBUG")
    sent = [
        get(f"/{SECRET}?q={SECRET}", f"X-Secret: {SECRET}", f"Cookie: {SECRET}"),
        get(f"/projects/{SECRET}"),
        get("/me", f"Authorization: Bearer {SECRET}"),
        get("/", host=SECRET),
        post(b'{"unknown": "%b"}' % SECRET.encode(), target="/tokens"),
        f"{SECRET} / HTTP/1.1\r\n\r\n".encode(),
    ]
    for data in sent:
        raw.check(raw.exchange(server.url, data))
    log = "".join(capfd.readouterr())
    assert log.count('"event":"request"') == len(sent) - 1  # the last is no request
    assert "Invalid HTTP request" in log
    assert SECRET not in log
