"""Every API on the engine explains its problems: `type` leads to a page."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from service.engine.problems import Problem
from service.engine.spec.problem_pages import ProblemPages
from service.engine.spec.specification import Specification
from tests.kit.attack import on
from tests.kit.planning import Planner

on_sqlite = on("sqlite")  # the same on each database

POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "


@pytest.fixture
def http(server: Planner) -> httpx.Client:
    return server.client()


@on_sqlite
def test_the_type_of_a_problem_is_the_address_of_its_page(http: httpx.Client) -> None:
    refused = http.get("/me").json()
    page = http.get(refused["type"])
    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    for part in ("A bearer token is required", "authentication-required", "401 Unauthorized"):
        assert part in page.text
    for operation in ("<code>GET /me</code>", "<code>POST /projects</code>"):
        assert operation in page.text
    assert "<code>POST /tokens</code>" not in page.text


@on_sqlite
def test_a_page_has_a_strict_policy_and_is_cached_by_its_tag(http: httpx.Client) -> None:
    for path in ("/problems", "/problems/not-found"):
        page = http.get(path)
        assert page.headers["Content-Security-Policy"].startswith(POLICY)
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=", page.text)
        for address in re.findall(r'(?:src|href)="([^"]*)"', page.text):
            assert not address.startswith(("/", "http:")), "proxies may add a prefix"
        known = http.get(path, headers={"If-None-Match": page.headers["ETag"]})
        assert (known.status_code, known.content) == (304, b"")
        assert http.head(path).headers["Content-Length"] == str(len(page.content))
        assert http.post(path).headers["Allow"] == "GET, HEAD, OPTIONS"


@on_sqlite
def test_a_problem_of_any_address_says_so(http: httpx.Client) -> None:
    page = http.get(http.put("/projects").json()["type"]).text
    assert "405 Method Not Allowed" in page
    assert "Any address of the service can answer with it." in page
    assert "The header Allow lists those that are." in page


@on_sqlite
def test_a_page_says_what_only_one_operation_answers(http: httpx.Client) -> None:
    page = http.get("/problems/not-found").text
    [row] = re.findall(r"<tr>(?:(?!<tr>).)*get_project<.*?</tr>", page, re.DOTALL)
    assert "There is no such project." in row
    usual = http.get("/problems/precondition-failed").text
    assert usual.count("Read it again, and send its new ETag in If-Match.") == 2  # and the example


@on_sqlite
def test_the_list_has_every_problem_and_leads_to_its_page(http: httpx.Client) -> None:
    listed = re.findall(r'href="(problems/[a-z-]+)"', http.get("/problems").text)
    assert len(listed) > 20
    assert all(http.get(f"/{path}").status_code == 200 for path in listed)


def test_pages_of_problems_are_outside_all_limits(serve: Any) -> None:
    http = serve(rate_limit_enabled=True, rate_limit_client="2 per minute").client()
    for path in ("/problems", "/problems/rate-limited", "/docs/problems.css"):
        assert [http.get(path).status_code for _ in range(3)] == [200] * 3


PARAGRAPH = """
info: {title: Odd}
paths:
  /docs:
    get:
      {tags: [lost], operationId: find_things, responses: {'409': {}}, x-problems: {'409': [odd]}}
"""


def test_what_a_problem_says_is_text_with_links_to_operations(tmp_path: Path) -> None:
    class Odd(Problem):
        status, code, title = 409, "odd", "<b>Odd</b> & ends"
        advice = "Call find_things & not <script>."

    class OddSpecification(Specification):
        problems: Any = (SimpleNamespace(Odd=Odd),)

    file = tmp_path / "openapi.yaml"
    file.write_text(PARAGRAPH)
    asset: Any = ProblemPages(OddSpecification(file)).assets()["/problems/odd"]
    page = asset().body.decode()
    assert "<h1>&lt;b&gt;Odd&lt;/b&gt; &amp; ends</h1>" in page
    assert '<a href="../docs#/lost/find_things">find_things</a> &amp; not &lt;script&gt;' in page
