"""Behind a proxy that adds a path prefix, every reference of the API leads back under it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
import yaml
from playwright.sync_api import expect

from tests.kit.proxy import nginx
from tests.kit.serving import PASSWORD, Person, Server
from tests.kit.swagger import Docs

LOCATION = "location /byline/ { proxy_pass http://byline/; }\n"


@pytest.fixture
def site(serve: Callable[..., Server], tmp_path: Path) -> Iterator[Server]:
    """The server as clients see it: under `/byline`, through nginx."""
    server = serve(public_url="https://www.example.com/byline/")
    with nginx(tmp_path, urlsplit(server.url).port or 0, more=LOCATION) as proxy:
        site = Server(f"{proxy.url}/byline", server.flask, server.settings)
        yield site
        site.transport.end()


def followed(answer: httpx.Response, reference: str, person: Person) -> httpx.Response:
    """What is at a reference of an answer, as clients resolve it (RFC 3986, section 5)."""
    return person.http.get(urljoin(str(answer.url), reference))


def test_the_location_of_a_new_post_leads_to_it(site: Server) -> None:
    account = {"email": "anna@example.com", "password": PASSWORD}
    registered = site.client().post("auth/register", json=account)
    anna = site.sign_in(**account)
    key = {"Idempotency-Key": "one"}
    post = {"title": "A title", "content": "Some words."}
    made, again = (anna.http.post("api/posts", json=post, headers=key) for _ in range(2))

    assert followed(registered, registered.headers["Location"], anna).json()["id"] == anna.id
    for answer in (made, again):
        assert followed(answer, answer.headers["Location"], anna).json() == made.json()


def test_the_link_leads_to_the_next_page(site: Server) -> None:
    anna = site.sign_up()
    posts = [anna.post(f"Number {number}") for number in range(3)]
    page = anna.http.get("api/posts", params={"limit": 1, "author_id": anna.id})
    found = page.json()
    while "next" in page.links:
        page = followed(page, page.links["next"]["url"], anna)
        found += page.json()
    assert found == posts[::-1]


@pytest.mark.parametrize(
    ("guessed", "there"),
    [("docs/", "docs"), ("problems/", "problems"), ("favicon.ico", "docs/favicon.svg")],
)
def test_a_redirect_leads_to_a_page_under_the_prefix(
    site: Server, guessed: str, there: str
) -> None:
    found = site.client().get(guessed, follow_redirects=True)
    assert (found.status_code, str(found.url)) == (200, f"{site.url}/{there}")


@pytest.mark.parametrize(
    ("document", "read"), [("openapi.json", httpx.Response.json), ("openapi.yaml", None)]
)
def test_the_specification_names_the_server_under_the_prefix(
    site: Server, document: str, read: Any
) -> None:
    answer = site.client().get(document)
    specification = read(answer) if read else yaml.safe_load(answer.text)
    assert specification["servers"] == [{"url": "/byline"}]


def test_swagger_ui_tries_operations_under_the_prefix(
    site: Server, open_tab: Callable[..., Any]
) -> None:
    docs = Docs(open_tab(site), f"{site.url}/docs")
    account = {"email": "anna@example.com", "password": PASSWORD}

    assert docs.try_out("auth/register", account).status == 201
    signed_in = docs.try_out("auth/login", account | {"transport": "cookie"})
    assert signed_in.status == 200
    written = docs.try_out("posts/create_post")

    assert written.request.url == f"{site.url}/api/posts"
    assert written.status == 201
    docs = Docs(docs.page, f"{site.url}/docs")  # goes on with the session of the page
    expect(docs.page.locator("#session")).to_contain_text("Signed in as anna@example.com")


def test_the_landing_page_works_under_the_prefix(
    site: Server, open_tab: Callable[..., Any]
) -> None:
    page = open_tab(site)
    page.goto(f"{site.url}/")
    page.get_by_role("link", name="Documentation").click()
    page.wait_for_url(f"{site.url}/docs")


def test_the_page_of_the_account_works_under_the_prefix(
    site: Server, open_tab: Callable[..., Any]
) -> None:
    anna, page = site.sign_up(), open_tab(site)
    page.goto(f"{site.url}/account")
    form = page.locator("#sign-in")
    form.get_by_label("E-mail address").fill(anna.email)
    form.get_by_label("Password").fill(PASSWORD)
    form.get_by_role("button").click()
    for _ in range(2):  # the cookie is for all paths of the host, as its name demands
        expect(page.locator("#who")).to_have_text(anna.email)
        page.reload()
