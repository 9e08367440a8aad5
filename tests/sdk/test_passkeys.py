"""A passkey that a program makes signs in through the generated Python client."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kit.passkeys import authenticator
from tests.kit.serving import Server


def test_a_passkey_is_added_and_used_in_python(
    clients: Path, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(clients / "site")
    client, models = (importlib.import_module(f"byline_client{m}") for m in ("", ".models"))
    calls = {
        name: importlib.import_module(f"byline_client.api.passkeys.{name}").sync
        for name in ("start_passkey", "add_passkey", "start_passkey_login", "login_with_passkey")
    }
    server = serve()
    anna, device = server.sign_up(), authenticator(server)
    token = anna.tokens["access_token"]
    with client.AuthenticatedClient(base_url=server.url, token=token) as hers:
        made = device.create(calls["start_passkey"](client=hers).to_dict())
        credential = models.RegistrationResponseJSON.from_dict(made)
        new = models.NewPasskey(name="Program", credential=credential)
        added = calls["add_passkey"](client=hers, body=new)
        assert isinstance(added, models.AddedPasskey), added

    with client.Client(base_url=server.url) as anonymous:
        begun = calls["start_passkey_login"](client=anonymous)
        passkey = device.get(begun.passkey_options.to_dict())
        answer = models.PasskeyCredentials(
            challenge=begun.challenge,
            passkey=models.AuthenticationResponseJSON.from_dict(passkey),
        )
        signed_in = calls["login_with_passkey"](client=anonymous, body=answer)
    assert isinstance(signed_in, models.SignIn), signed_in
    assert signed_in.user.email == anna.email
