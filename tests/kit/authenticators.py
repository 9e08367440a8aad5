"""Chromium's own authenticator, and a server at the name for which its passkeys are good."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import CDPSession, Page

from tests.kit.serving import Server

_OPTIONS = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@contextmanager
def at_localhost(server: Server) -> Iterator[Server]:
    """The server at `localhost`, whose pages may use passkeys meanwhile."""
    port = server.url.rpartition(":")[2]
    here = Server(f"http://localhost:{port}", server.flask, server.settings)
    before = server.flask.config["PASSKEY_ORIGINS"]
    server.flask.config["PASSKEY_ORIGINS"] = (here.url,)
    try:
        yield here
    finally:
        server.flask.config["PASSKEY_ORIGINS"] = before


def devtools(page: Page) -> CDPSession:
    """The page's DevTools, for `authenticator`."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    return session


def authenticator(device: CDPSession, **options: Any) -> str:
    """The id of a new authenticator of the page."""
    added = device.send("WebAuthn.addVirtualAuthenticator", {"options": _OPTIONS | options})
    return str(added["authenticatorId"])
