"""Markup in posts stays text in the snippets of a search."""

from __future__ import annotations

import html
import re
import secrets

import pytest

from tests.kit.attack import Attack, on, table
from tests.kit.serving import Person, Server

pytestmark = on("sqlite")


@pytest.fixture(scope="module")
def author(server: Server) -> Person:
    return server.sign_up()


@pytest.fixture
def attack(server: Server) -> Attack:
    return Attack(server)


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
