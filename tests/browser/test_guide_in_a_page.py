"""A page uses the TypeScript client as docs/guide.md shows it: with a cookie, and with passkeys of
chromium's own authenticator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import CDPSession, Page, Route

from tests.kit.authenticators import at_localhost, authenticator, devtools
from tests.kit.generated_clients import generated
from tests.kit.guide import program_of
from tests.kit.serving import Server

SHOWN = program_of("tests/browser/test_guide_in_a_page.py", "js")
IMPORTS = '{"imports": {"byline-client": "/client/index.js"}}'
# The guide's program, as functions of the page.
PAGE = f"""<!doctype html>
<script type="importmap">{IMPORTS}</script>
<script type="module">
{SHOWN}
Object.assign(window, {{ Byline, byline, addThisDevice, secondFactor, signInWithPasskey }});
</script>
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the client as browsers load it."""
    return generated(tmp_path_factory) / "clients" / "typescript" / "dist"


@pytest.fixture
def tab(server: Server, open_tab: Callable[..., Page], client: Path) -> Iterator[Page]:
    """A page at the origin for which passkeys are good."""
    with at_localhost(server) as here:
        page = open_tab(here)

        def serve(route: Route) -> None:
            path = route.request.url.removeprefix(f"{here.url}/client/")
            route.fulfill(path=client / path, content_type="text/javascript")

        def show(route: Route) -> None:
            route.fulfill(body=PAGE, content_type="text/html")

        page.route(f"{here.url}/client/**", serve)
        page.route(f"{here.url}/page", show)
        page.goto("/page")
        page.wait_for_function("() => Boolean(window.signInWithPasskey)")
        yield page


@pytest.fixture
def device(tab: Page) -> CDPSession:
    """What the tab has for an authenticator."""
    return devtools(tab)


def run(tab: Page, script: str, **values: Any) -> Any:
    """What a script of the page returns; `values` are its variables."""
    names = ", ".join(values)
    return tab.evaluate(f"async ({{ {names} }}) => {{ {script} }}", values)


SIGN_IN = "const client = new Byline(location.origin, { token });"


def test_a_page_with_a_cookie_is_signed_in_after_a_reload(server: Server, tab: Page) -> None:
    anna = server.sign_up()
    sign_in = "await byline.signIn(email, password);"
    run(tab, sign_in, email=anna.email, password=anna.password)
    tab.reload()
    tab.wait_for_function("() => Boolean(window.byline)")
    assert run(tab, "return (await byline.auth.getMe()).id;") == anna.id
    assert run(tab, "return JSON.stringify(localStorage) + document.cookie;") == "{}"


@pytest.mark.parametrize("protocol", ["internal", "usb"])
def test_a_passkey_of_the_browser_signs_in_without_an_address(
    protocol: str, server: Server, tab: Page, device: CDPSession
) -> None:
    anna = server.sign_up()
    id_ = authenticator(device, transport=protocol)
    token = anna.tokens["access_token"]
    added = run(tab, f"{SIGN_IN} return addThisDevice(client, 'Chromium');", token=token)
    assert (added["name"], added["last_used_at"]) == ("Chromium", None)
    [kept] = device.send("WebAuthn.getCredentials", {"authenticatorId": id_})["credentials"]
    assert (kept["rpId"], kept["isResidentCredential"]) == ("localhost", True)
    for _ in range(2):
        sign_in = f"{SIGN_IN} const {{ user, access_token }} = await signInWithPasskey(client);"
        id_, token = run(tab, f"{sign_in} return [user.id, access_token];", token="")
        assert id_ == anna.id
    with server.client(token) as http:
        [passkey] = http.get("/auth/passkeys").json()
    assert passkey["last_used_at"]


def test_a_passkey_of_the_browser_completes_a_sign_in_with_a_password(
    server: Server, tab: Page, device: CDPSession
) -> None:
    anna = server.sign_up()
    authenticator(device)
    token = anna.tokens["access_token"]
    run(tab, f"{SIGN_IN} return addThisDevice(client, 'Chromium');", token=token)
    body = {"email": anna.email, "password": anna.password}
    complete = """
        let asked;
        const factor = (error) => secondFactor((asked = error));
        const client = new Byline(location.origin, { secondFactor: factor });
        const { user } = await client.signIn(email, password);
        return [asked.code, asked.problem.methods, user.id, (await client.auth.getMe()).id];
    """
    code, methods, *ids = run(tab, complete, **body)
    assert (code, methods) == ("second-factor-required", ["recovery-code", "passkey"])
    assert ids == [anna.id, anna.id]


def test_the_browser_refuses_a_second_passkey_for_the_same_account(
    server: Server, tab: Page, device: CDPSession
) -> None:
    anna = server.sign_up()
    authenticator(device)
    add = (
        f"{SIGN_IN} return addThisDevice(client, 'Chromium').then(() => '', (error) => error.name);"
    )
    names = [run(tab, add, token=anna.tokens["access_token"]) for _ in range(2)]
    assert names == ["", "InvalidStateError"]


def test_a_removed_passkey_no_longer_signs_in(
    server: Server, tab: Page, device: CDPSession
) -> None:
    anna = server.sign_up()
    authenticator(device)
    token = anna.tokens["access_token"]
    added = run(tab, f"{SIGN_IN} return addThisDevice(client, 'Chromium');", token=token)
    assert anna.http.delete(f"/auth/passkeys/{added['id']}").status_code == 204
    sign_in = f"{SIGN_IN} return signInWithPasskey(client).catch((error) => error.code);"
    assert run(tab, sign_in, token="") == "passkey-unknown"


def test_an_authenticator_that_does_not_verify_its_user_is_of_no_use(
    server: Server, tab: Page, device: CDPSession
) -> None:
    anna = server.sign_up()
    authenticator(device, isUserVerified=False)
    add = f"{SIGN_IN} return addThisDevice(client, 'x').then(() => '', (error) => error.name);"
    assert run(tab, add, token=anna.tokens["access_token"]) == "NotAllowedError"
