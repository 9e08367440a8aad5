"""A passkey that a program makes signs in through the Python client, and proves who one is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.kit.authenticator import Authenticator
from tests.kit.passkeys import authenticator
from tests.kit.serving import PASSWORD, Person, Server
from tests.kit.sessions import make_old


@pytest.fixture
def anna(service: Server) -> Person:
    return service.sign_up()


@pytest.fixture
def device(anna: Person, client: Callable[..., Any]) -> Authenticator:
    """An authenticator with a passkey of Anna's."""
    device, byline = authenticator(anna.server), client(anna.server.url)
    byline.sign_in(anna.email, PASSWORD)
    created = device.create(byline.passkeys.start().to_dict())
    added = byline.passkeys.add(name="Program", credential=created)
    assert (added.name, len(added.recovery_codes)) == ("Program", 10)
    assert byline.passkeys.update(added, name="Laptop").name == "Laptop"
    assert [one.name for one in byline.passkeys.list()] == ["Laptop"]
    return device


def test_a_passkey_signs_in(
    anna: Person, device: Authenticator, client: Callable[..., Any]
) -> None:
    byline = client(anna.server.url)
    begun = byline.passkeys.start_passkey_login()
    passkey = device.get(begun.passkey_options.to_dict())
    byline.passkeys.login_with_passkey(challenge=begun.challenge, passkey=passkey)
    assert byline.auth.get_me().email == anna.email


def test_a_passkey_is_a_second_factor_and_a_fresh_proof(
    anna: Person, device: Authenticator, sdk: Any, client: Callable[..., Any]
) -> None:
    def sign(error: Any) -> dict[str, Any]:
        """What answers the options of a challenge: a model, or its JSON, is as good."""
        if error.code == "second-factor-required":
            options = error.problem.passkey_options
            return {"passkey": device.get(options.to_dict())}
        options = byline.passkeys.start_passkey_login().passkey_options
        passkey = sdk.models.AuthenticationResponseJSON.from_dict(device.get(options.to_dict()))
        return {"passkey": passkey}

    byline = client(anna.server.url, second_factor=sign, reauthenticate=sign)
    assert byline.sign_in(anna.email, PASSWORD).user.email == anna.email
    make_old(anna)
    byline.auth.refresh()
    [passkey] = byline.passkeys.list()
    byline.passkeys.delete(passkey)
    assert byline.passkeys.list() == []
