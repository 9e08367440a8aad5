"""What browsers and password managers really send is taken, with all that they may leave out.

The forms are those that users of SimpleWebAuthn, py_webauthn, Bitwarden, 1Password and Keycloak
report.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from service.accounts import passkeys
from tests.kit.accounts import told
from tests.kit.authenticator import Authenticator, Json, encoded
from tests.kit.passkeys import add, added, authenticator, login, start, start_login
from tests.kit.serving import Person

INVALID = (400, "invalid-request")
# By what it is that sends them: members of the credential, and of its `response`.
NEW: dict[str, tuple[Json, Json]] = {
    "Chrome": (
        {
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {"credProps": {"rk": True}, "prf": {"enabled": True}},
        },
        {
            "authenticatorData": "SZYN5YgOjGh0NBcPZHZgW4_krrmihjLHmVzzuoMdl2NdAAAAAA",
            "publicKey": "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE",
            "publicKeyAlgorithm": -7,
            "transports": ["hybrid", "internal"],
        },
    ),
    "a security key without transports": ({"authenticatorAttachment": "cross-platform"}, {}),
    "a browser that knows no transports": ({}, {"transports": []}),
    "Android and Firefox": ({}, {"transports": ["cable", "internal"]}),
    "iCloud": ({}, {"transports": [""]}),
    "Bitwarden without a public key": ({}, {"publicKey": "", "publicKeyAlgorithm": -7}),
    "an algorithm without SPKI": ({}, {"publicKey": None, "publicKeyAlgorithm": -7}),
    "a library that writes null": (
        {"authenticatorAttachment": None},
        {
            "authenticatorData": None,
            "transports": None,
            "publicKey": None,
            "publicKeyAlgorithm": None,
        },
    ),
    "an attachment of the future": ({"authenticatorAttachment": "implanted"}, {}),
}
USED: dict[str, tuple[Json, Json]] = {
    "Chrome": ({"authenticatorAttachment": "platform", "clientExtensionResults": {}}, {}),
    "a security key without a handle": ({}, {"userHandle": None}),
    "Safari with an empty handle": ({}, {"userHandle": ""}),
    "a draft of the standard": ({}, {"attestationObject": None}),
    "an attachment of the future": ({"authenticatorAttachment": "implanted"}, {}),
    "extensions": (
        {"clientExtensionResults": {"appid": False, "largeBlob": {"blob": "AAAA"}, "uvm": [[2]]}},
        {},
    ),
}


def changed(credential: Json, of: Json, response: Json, *left_out: str) -> Json:
    credential = {**credential, **of, "response": {**credential["response"], **response}}
    return {name: value for name, value in credential.items() if name not in left_out}


@pytest.fixture
def device(anna: Person) -> Authenticator:
    by = authenticator(anna.server)
    added(anna, by)
    return by


@pytest.mark.parametrize("sender", NEW)
def test_a_new_passkey_may_come_in_each_form(sender: str, anna: Person) -> None:
    credential = changed(authenticator(anna.server).create(start(anna)), *NEW[sender])
    assert add(anna, credential).status_code == 201
    [excluded] = start(anna)["excludeCredentials"]
    assert set(excluded.get("transports", [])) == {
        one for one in NEW[sender][1].get("transports") or [] if one
    }


@pytest.mark.parametrize("sender", USED)
def test_a_passkey_may_be_used_in_each_form(
    sender: str, device: Authenticator, anonymous: httpx.Client
) -> None:
    begun = start_login(anonymous)
    passkey = changed(device.get(begun["passkey_options"]), *USED[sender])
    assert login(anonymous, begun, passkey).status_code == 200


def test_extension_results_may_be_left_out(
    anna: Person, device: Authenticator, anonymous: httpx.Client
) -> None:
    left_out = "clientExtensionResults"
    new = changed(authenticator(anna.server).create(start(anna)), {}, {}, left_out)
    assert add(anna, new).status_code == 201
    begun = start_login(anonymous)
    used = changed(device.get(begun["passkey_options"]), {}, {}, left_out)
    assert login(anonymous, begun, used).status_code == 200


def test_client_data_may_have_members_that_nobody_knows(anna: Person) -> None:
    said = {"other_keys_can_be_added_here": "do not compare clientDataJSON against a template"}
    said |= {"androidPackageName": "com.android.chrome", "topOrigin": "https://example.com"}
    by = authenticator(anna.server, client_data=said)
    assert add(anna, by.create(start(anna))).status_code == 201


def test_a_security_key_may_sign_extensions_that_nobody_asked_for(
    anna: Person, anonymous: httpx.Client
) -> None:
    by = authenticator(anna.server, extensions={"credProtect": 2})  # YubiKeys do
    added(anna, by)
    begun = start_login(anonymous)
    assert login(anonymous, begun, by.get(begun["passkey_options"])).status_code == 200


def test_an_app_of_the_site_adds_and_uses_passkeys(anna: Person, anonymous: httpx.Client) -> None:
    app = f"android:apk-key-hash:{encoded(b'x' * 32)}"
    config = anna.server.flask.config
    before = config["PASSKEY_ORIGINS"]
    config["PASSKEY_ORIGINS"] = (*before, app)
    try:
        by = authenticator(anna.server, origin=app)
        added(anna, by)
        begun = start_login(anonymous)
        assert login(anonymous, begun, by.get(begun["passkey_options"])).status_code == 200
    finally:
        config["PASSKEY_ORIGINS"] = before


@pytest.mark.parametrize(
    "change",
    [
        {"type": "password"},
        {"id": None},
        {"id": "not/base64url"},
        {"id": "A" * 1365},
        {"response": {}},
        {"response": None},
        {"isAdmin": True},
    ],
)
def test_what_is_no_credential_is_refused_by_the_specification(
    change: dict[str, Any], anna: Person, anonymous: httpx.Client
) -> None:
    credential = authenticator(anna.server).create(start(anna))
    assert told(add(anna, {**credential, **change})) == INVALID
    assert told(login(anonymous, start_login(anonymous), {**credential, **change})) == INVALID


def test_a_foreign_origin_is_named_in_the_log(
    anna: Person, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passkeys._FOREIGN, "_warned", -60.0)  # it says so once a minute
    by = authenticator(anna.server, origin="https://other.example")
    assert told(add(anna, by.create(start(anna)))) == (400, "passkey-invalid")
    [line] = caplog.messages
    assert line.startswith("Refused a passkey from the origin 'https://other.example', which")
