"""Input that comes back in output: markup in answers, hosts and line breaks in headers."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.kit.attack import Attack, Expected, on, table
from tests.kit.planning import Owner, Planner
from tests.kit.raw import BODY, SECRET, get, post

INVALID, BAD_HOST, BAD_REQUEST = (
    (400, "invalid-request"),
    (400, "host-not-allowed"),
    (400, "bad-request"),
)
LINK = re.compile(r'</projects\?[\w=&%.:-]+>; rel="next"')

pytestmark = on("sqlite")


@pytest.fixture(scope="module")
def author(server: Planner) -> Owner:
    return server.sign_up()


@pytest.fixture(scope="module")
def projects(author: Owner) -> list[dict[str, Any]]:
    """More than there are on a page of one."""
    return [author.project() for _ in range(2)]


def test_no_json_answer_can_be_rendered_as_a_page(attack: Attack, author: Owner) -> None:
    # JSON is JSON for every reader, whatever is asked for.
    markup = "<script>alert(1)</script>"
    attack("POST", "/projects", 201, token=author, json={"name": markup, "notes": markup})
    for accept in ("text/html", "text/html;q=1, */*;q=0", "application/xml", "image/svg+xml", "x"):
        listed = attack("GET", "/projects", 200, headers={"Accept": accept})
        refused = attack("GET", f"/projects/{markup}", headers={"Accept": accept})
        assert listed.headers["content-type"] == "application/json"
        assert refused.headers["content-type"] == "application/problem+json"
    for query in ("callback=alert", "jsonp=alert", "format=html", "_format=xml", "pretty"):
        attack("GET", f"/projects?{query}", INVALID)


def test_a_refusal_repeats_only_the_shortened_name_of_a_field(
    attack: Attack, author: Owner
) -> None:
    for field in (
        "<script>alert(1)</script>",
        "x" * 10_000,
        "\r\nX-Evil: 1",
        "a/b~c",
        "\U0001f9f6",
    ):
        body = {"name": "x", field: SECRET}
        answer = attack("POST", "/projects", INVALID, token=author, json=body)
        [error] = answer.json()["errors"]
        assert len(error["pointer"]) < 80
        assert "x-evil" not in answer.headers
    many = {f"field-{number}": SECRET for number in range(5000)}
    answer = attack("POST", "/projects", INVALID, token=author, json=many)
    assert len(answer.json()["errors"]) <= 20


# Hosts


HOSTS = {
    "another": "evil.example",
    "ours in front": "localhost.evil.example",
    "ours behind": "evil.example#localhost",
    "ours as user": "localhost:80@evil.example",
    "ours as path": "evil.example/localhost",
    "with a query": "localhost?evil.example",
    "two": "localhost, evil.example",
    "two, with a space": "localhost evil.example",
    "two dots behind": "localhost..",
    "a port of letters": "localhost:evil",
    "a port that is negative": "localhost:-1",
    "ports": "localhost:80:80",
    "an address that is all": "0.0.0.0",
    "an address in decimal": "2130706433",
    "an address in short": "127.1",
    "another address in brackets": "[::ffff:127.0.0.2]",
    "a zone": "[::1%25eth0]",
    "wide letters": "\uff4cocalhost",
    "a metadata service": "169.254.169.254",
}


@table("host", HOSTS)
def test_other_hosts_are_refused(attack: Attack, author: Owner, host: str) -> None:
    for line in (get("/projects", host=None), post(BODY).replace(b"Host: localhost\r\n", b"")):
        first, _, rest = line.partition(b"\r\n")
        data = first + b"\r\nHost: " + host.encode() + b"\r\n" + rest
        attack.raw(data, BAD_HOST, author.tokens["access_token"])


FORWARDED = {
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Planner": "evil.example",
    "X-Forwarded-Proto": "javascript",
    "X-Forwarded-Port": "1",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Scheme": "http",
    "X-Original-Host": "evil.example",
    "X-Host": "evil.example",
    "Forwarded": "for=evil;host=evil.example;proto=https",
    "X-HTTP-Host-Override": "evil.example",
    "Origin": "https://evil.example",
    "Referer": "https://evil.example/",
}


def test_no_header_chooses_where_links_lead(
    attack: Attack, author: Owner, projects: list[dict[str, Any]]
) -> None:
    page = attack("GET", f"/projects?limit=1&owner_id={author.id}", 200, headers=FORWARDED)
    assert LINK.fullmatch(page.headers["link"])
    body = {"name": "x", "notes": "x"}
    made = attack("POST", "/projects", 201, token=author, json=body, headers=FORWARDED)
    assert made.headers["location"] == f"/projects/{made.json()['id']}"
    assert "evil" not in f"{page} {made}"
    assert b"evil" not in attack("GET", "/openapi.json", 200, headers=FORWARDED).body


@table(
    ("target", "expected"),
    {
        "ours": (b"http://localhost/projects", 200),
        "ours, with a port": (b"http://localhost:8000/projects", 200),
        "another's, and the header ours": (b"http://evil.example/projects", None),
        "another's, as user of ours": (b"http://evil.example@localhost/projects", None),
        "no path": (b"http://localhost", None),
        "no path but a query": (b"http://localhost?a=b", None),
        "another scheme": (b"ftp://localhost/projects", None),
        "a file": (b"file:///etc/passwd", None),
        "no scheme": (b"//evil.example/projects", 404),
        "an authority": (b"localhost:80", None),
        "an authority with no port": (b"localhost", None),
        "a star": (b"*", 404),
        "a back slash": (b"\\\\evil.example\\x", None),
        "spaces": (b"/projects /etc/passwd", None),
    },
)
def test_an_absolute_target_leads_to_no_other_host(
    attack: Attack, target: bytes, expected: Expected | None
) -> None:
    answer = attack.raw(get(target), expected)
    assert answer.status in {200, 400, 404}
    assert "evil" not in str(answer)
    assert "location" not in answer.headers


# Line breaks


@pytest.mark.parametrize(
    "gap", ["%0d%0a", "%0a", "%0d", "%E5%98%8A%E5%98%8D", "\u560a\u560d", "%23%0a"]
)
def test_no_line_break_gets_into_a_header(
    attack: Attack, author: Owner, projects: list[dict[str, Any]], gap: str
) -> None:
    evil = f"{gap}Set-Cookie:a=b{gap}X-Evil:1"
    for path in (
        f"/projects?limit=1&order=newest{evil}",
        f"/projects?limit=1&created_after=2026-01-01T00:00:00Z{evil}",
        f"/projects?limit=1&after={projects[0]['id']}{evil}",
        f"/projects?limit=1{evil}=1",
        f"/projects/{projects[0]['id']}{evil}",
        f"/{evil}",
    ):
        answer = attack.raw(get(path.encode()))
        assert answer.status in {400, 404}, path
        assert not {"x-evil", "set-cookie"} & answer.headers.keys()
    headers = {"X-Request-Id": f"x{evil}".encode(), "Idempotency-Key": f"x{evil}".encode()}
    answer = attack(
        "POST", "/projects", token=author, json={"name": "x", "notes": "x"}, headers=headers
    )
    assert answer.status in {201, 400}
    assert "Evil" not in str(answer.headers)


def test_a_link_keeps_what_was_asked_for_in_percent_signs(
    attack: Attack, author: Owner, projects: list[dict[str, Any]]
) -> None:
    query = f"created_after=2020-01-01T00:00:00%2b00%3A00&limit=1&owner_id={author.id}"
    for path in (f"/projects?{query}", f"/%70rojects?{query.replace('limit', 'l%69mit')}"):
        page = attack.raw(get(path), 200)
        assert LINK.fullmatch(page.headers["link"])
        following = page.headers["link"].partition(">")[0][1:]
        assert len(attack("GET", following, 200).json()) == 1
