"""Passkeys of chromium's own authenticator, used by a page through the generated TypeScript client,
as docs/guide.md shows it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import CDPSession, Page, Route

from tests.kit.authenticators import at_localhost, authenticator, devtools
from tests.kit.generated_clients import ROOT, generated
from tests.kit.serving import Server

GUIDE = (ROOT / "docs" / "guide.md").read_text()
[SHOWN] = re.findall(r"```js\n(.*?)```", GUIDE, re.DOTALL)
IMPORTS = '{"imports": {"byline-client": "/client/index.js"}}'
# The guide's program, as functions of the page.
PAGE = f"""<!doctype html>
<script type="importmap">{IMPORTS}</script>
<script type="module">
import * as byline from 'byline-client';
{SHOWN}
Object.assign(window, {{ byline, addThisDevice, completeWithPasskey, signInWithPasskey }});
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


SIGN_IN = "const client = byline.createClient({ baseUrl: location.origin, auth: token });"


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
        signed_in = run(tab, f"{SIGN_IN} return signInWithPasskey(client);", token="")
        assert signed_in["user"]["id"] == anna.id
    with server.client(signed_in["access_token"]) as http:
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
        const { error } = await byline.login({ client, body });
        return [error.code, error.methods, await completeWithPasskey(client, error)];
    """
    code, methods, signed_in = run(tab, SIGN_IN + complete, token="", body=body)
    assert (code, methods) == ("second-factor-required", ["recovery-code", "passkey"])
    assert signed_in["user"]["id"] == anna.id


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
    sign_in = f"{SIGN_IN} return signInWithPasskey(client).catch((error) => error.message);"
    assert run(tab, sign_in, token="") == "Nobody has this passkey."


def test_an_authenticator_that_does_not_verify_its_user_is_of_no_use(
    server: Server, tab: Page, device: CDPSession
) -> None:
    anna = server.sign_up()
    authenticator(device, isUserVerified=False)
    add = f"{SIGN_IN} return addThisDevice(client, 'x').then(() => '', (error) => error.name);"
    assert run(tab, add, token=anna.tokens["access_token"]) == "NotAllowedError"
