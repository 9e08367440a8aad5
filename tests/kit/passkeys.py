"""What the tests of passkeys ask for again and again."""

from __future__ import annotations

from typing import Any

import httpx

from tests.kit.authenticator import Authenticator, Json
from tests.kit.serving import Person, Server


def authenticator(server: Server, **faults: Any) -> Authenticator:
    """One that is used on the page at which the server expects it."""
    return Authenticator(**{"origin": server.settings.passkey_origins[0]} | faults)


def start(person: Person) -> Json:
    answer = person.http.post("/auth/passkeys/options")
    assert answer.status_code == 200, answer.text
    return answer.json()


def add(person: Person, credential: Json, name: str = "Laptop") -> httpx.Response:
    return person.http.post("/auth/passkeys", json={"name": name, "credential": credential})


def added(person: Person, by: Authenticator, name: str = "Laptop") -> Json:
    """A new passkey of a user, without the recovery codes that come with the first one."""
    answer = add(person, by.create(start(person)), name)
    assert answer.status_code == 201, answer.text
    return {key: value for key, value in answer.json().items() if key != "recovery_codes"}


def start_login(http: httpx.Client) -> Json:
    answer = http.post("/auth/login/passkey-options")
    assert answer.status_code == 200, answer.text
    return answer.json()


def login(http: httpx.Client, begun: Json, passkey: Json) -> httpx.Response:
    body = {"challenge": begun["challenge"], "passkey": passkey}
    return http.post("/auth/login/passkey", json=body)


def signed_in(http: httpx.Client, by: Authenticator, passkey: int = -1) -> httpx.Response:
    """The answer to signing in with one of the passkeys."""
    begun = start_login(http)
    return login(http, begun, by.get(begun["passkey_options"], passkey))
