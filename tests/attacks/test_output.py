"""What comes out again: markup in snippets and pages, hosts and line breaks in headers."""

from __future__ import annotations

import html
import re
import secrets
from typing import Any

import pytest

from tests.kit.oracle import Attack, Expected, on, table
from tests.kit.raw import BODY, SECRET, get, post
from tests.kit.serving import PASSWORD, Person, Server

INVALID, BAD_HOST, BAD_REQUEST = (
    (400, "invalid-request"),
    (400, "host-not-allowed"),
    (400, "bad-request"),
)
LINK = re.compile(r'</api/posts\?[\w=&%.:-]+>; rel="next"')

pytestmark = on("sqlite")


@pytest.fixture(scope="module")
def author(server: Server) -> Person:
    return server.sign_up()


@pytest.fixture(scope="module")
def posts(author: Person) -> list[dict[str, Any]]:
    """More than there are on a page of one."""
    return [author.post() for _ in range(2)]


# Markup


@table(
    "content",
    {
        "a script": "<script>alert('{0}')</script>",
        "an image": '<img src=x onerror="alert({0})">',
        "a closed mark": "</mark><script>alert(1)</script><mark>{0}</mark>",
        "a mark of its own": "<mark>{0}</mark> <mark onclick=alert(1)>",
        "an attribute": '" onmouseover="alert(1)" {0} "',
        "entities": "&lt;script&gt;{0}&#60;/script&#x3e; &amp;lt;b&amp;gt;",
        "half an entity": "&lt{0}; &{0}; &#{0};",
        "half a tag": "{0} <scr <{0}",
        "wide brackets": "\uff1cscript\uff1e{0}\uff1c/script\uff1e",
        "brackets with marks": "<\u0338script>{0}<\u0338/script>",
        "what folds to a bracket": "\ufe64script\ufe65{0}\u226f\u226e",
        "a template": "{{{{7*7}}}} ${{7*7}} {0} <%= 7*7 %>",
        "a comment": "<!-- {0} --><![CDATA[{0}]]>",
        "control characters": "\x1b]0;x\x07 {0} \x00".replace("\x00", "\x01"),
        "a link": "[{0}](javascript:alert(1)) <a href=javascript:{0}>",
    },
)
def test_a_snippet_is_text_whatever_it_quotes(attack: Attack, author: Person, content: str) -> None:
    word = f"w{secrets.token_hex(8)}"
    written = content.format(word)
    attack("POST", "/api/posts", 201, token=author, json={"title": "x", "content": written})
    [result] = attack("GET", "/api/search", 200, params={"q": word}).json()["results"]
    plain = re.sub(r"</?mark>", "", result["snippet"])
    assert f"<mark>{word}</mark>" in result["snippet"]
    assert not re.search(r"[<>\"']", plain)
    assert html.unescape(plain) == written
    assert result["post"]["content"] == written


@pytest.mark.parametrize("page", ["/", "/docs"])
def test_a_page_shows_nothing_from_its_url(attack: Attack, page: str) -> None:
    whole = attack("GET", page, 200)
    assert "script-src 'self';" in whole.headers["content-security-policy"]
    for query in (
        *["url=https://evil.example/openapi.json", "configUrl=data:text/json;base64,e30=", "x"],
        *[
            "urls.primaryName=x",
            "q=%3Cscript%3E",
            "callback=alert",
            "oauth2RedirectUrl=//evil.example",
        ],
    ):
        assert attack("GET", f"{page}?{query}", 200).body == whole.body
    headers = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "/<x>", "Referer": "<x>"}
    assert attack("GET", page, 200, headers=headers).body == whole.body
    for path in (
        f"{page.rstrip('/')}/<script>alert(1)</script>",
        f"{page.rstrip('/')}/%22%3E%3Cx%3E",
    ):
        attack("GET", path, 404)


def test_no_json_answer_can_be_rendered_as_a_page(attack: Attack, author: Person) -> None:
    # JSON is JSON for every reader, whatever is asked for.
    markup = "<script>alert(1)</script>"
    attack("POST", "/api/posts", 201, token=author, json={"title": markup, "content": markup})
    for accept in ("text/html", "text/html;q=1, */*;q=0", "application/xml", "image/svg+xml", "x"):
        listed = attack("GET", "/api/posts", 200, headers={"Accept": accept})
        refused = attack("GET", f"/api/posts/{markup}", headers={"Accept": accept})
        assert listed.headers["content-type"] == "application/json"
        assert refused.headers["content-type"] == "application/problem+json"
    for query in ("callback=alert", "jsonp=alert", "format=html", "_format=xml", "pretty"):
        attack("GET", f"/api/posts?{query}", INVALID)


def test_a_refusal_repeats_only_the_shortened_name_of_a_field(
    attack: Attack, author: Person
) -> None:
    for name in ("<script>alert(1)</script>", "x" * 10_000, "\r\nX-Evil: 1", "a/b~c", "\U0001f9f6"):
        body = {"title": "x", "content": "x", name: SECRET}
        answer = attack("POST", "/api/posts", INVALID, token=author, json=body)
        [error] = answer.json()["errors"]
        assert len(error["pointer"]) < 80
        assert "x-evil" not in answer.headers
    many = {f"field-{number}": SECRET for number in range(5000)}
    answer = attack("POST", "/api/posts", INVALID, token=author, json=many)
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
def test_other_hosts_are_refused(attack: Attack, author: Person, host: str) -> None:
    for line in (get("/api/posts", host=None), post(BODY).replace(b"Host: localhost\r\n", b"")):
        first, _, rest = line.partition(b"\r\n")
        data = first + b"\r\nHost: " + host.encode() + b"\r\n" + rest
        attack.raw(data, BAD_HOST, author.tokens["access_token"])


FORWARDED = {
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Server": "evil.example",
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
    attack: Attack, author: Person, posts: list[dict[str, Any]]
) -> None:
    page = attack("GET", f"/api/posts?limit=1&author_id={author.id}", 200, headers=FORWARDED)
    assert LINK.fullmatch(page.headers["link"])
    body = {"title": "x", "content": "x"}
    made = attack("POST", "/api/posts", 201, token=author, json=body, headers=FORWARDED)
    assert made.headers["location"] == f"/api/posts/{made.json()['id']}"
    new = {"email": f"{secrets.token_hex(6)}@example.com", "password": PASSWORD}
    account = attack("POST", "/auth/register", 201, json=new, headers=FORWARDED)
    assert account.headers["location"] == f"/api/users/{account.json()['id']}"
    assert "evil" not in f"{page} {made} {account}"
    for path in ("/", "/docs", "/openapi.json", "/openapi.yaml"):
        assert b"evil" not in attack("GET", path, 200, headers=FORWARDED).body


@table(
    ("target", "expected"),
    {
        "ours": (b"http://localhost/api/posts", 200),
        "ours, with a port": (b"http://localhost:8000/api/posts", 200),
        "another's, and the header ours": (b"http://evil.example/api/posts", None),
        "another's, as user of ours": (b"http://evil.example@localhost/api/posts", None),
        "no path": (b"http://localhost", None),
        "no path but a query": (b"http://localhost?a=b", None),
        "another scheme": (b"ftp://localhost/api/posts", None),
        "a file": (b"file:///etc/passwd", None),
        "no scheme": (b"//evil.example/api/posts", 404),
        "an authority": (b"localhost:80", None),
        "an authority with no port": (b"localhost", None),
        "a star": (b"*", 404),
        "a back slash": (b"\\\\evil.example\\x", None),
        "spaces": (b"/api/posts /etc/passwd", None),
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
    attack: Attack, author: Person, posts: list[dict[str, Any]], gap: str
) -> None:
    evil = f"{gap}Set-Cookie:a=b{gap}X-Evil:1"
    for path in (
        f"/api/posts?limit=1&order=newest{evil}",
        f"/api/posts?limit=1&created_after=2026-01-01T00:00:00Z{evil}",
        f"/api/posts?limit=1&after={posts[0]['id']}{evil}",
        f"/api/posts?limit=1{evil}=1",
        f"/api/posts/{posts[0]['id']}{evil}",
        f"/{evil}",
    ):
        answer = attack.raw(get(path.encode()))
        assert answer.status in {400, 404}, path
        assert not {"x-evil", "set-cookie"} & answer.headers.keys()
    headers = {"X-Request-Id": f"x{evil}".encode(), "Idempotency-Key": f"x{evil}".encode()}
    answer = attack(
        "POST", "/api/posts", token=author, json={"title": "x", "content": "x"}, headers=headers
    )
    assert answer.status in {201, 400}
    assert "Evil" not in str(answer.headers)


def test_a_link_keeps_what_was_asked_for_in_percent_signs(
    attack: Attack, author: Person, posts: list[dict[str, Any]]
) -> None:
    query = f"created_after=2020-01-01T00:00:00%2b00%3A00&limit=1&author_id={author.id}"
    for path in (f"/api/posts?{query}", f"/%61pi/posts?{query.replace('limit', 'l%69mit')}"):
        page = attack.raw(get(path), 200)
        assert LINK.fullmatch(page.headers["link"])
        following = page.headers["link"].partition(">")[0][1:]
        assert len(attack("GET", following, 200).json()) == 1


def test_a_browser_is_remembered_without_its_control_characters(
    attack: Attack, author: Person
) -> None:
    credentials = {"email": author.email, "password": author.password}
    agent = b"<script>\x80\x9b31m\xe2\x80\xae " + b"'; DROP TABLE sessions; --" * 20
    answer = attack("POST", "/auth/login", 200, json=credentials, headers={"User-Agent": agent})
    [session, *_] = attack("GET", "/auth/sessions", 200, token=answer.json()["access_token"]).json()
    assert session["current"]
    assert session["user_agent"].isprintable()
    assert len(session["user_agent"]) == 255
