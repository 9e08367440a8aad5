"""A passkey signs its user in, without an address, and nothing that only looks like one does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest
import sqlalchemy as sa

from service.domain.mails import SUBJECTS
from service.engine.ids import now
from service.models import Challenge, Passkey
from service.models.mails import PASSKEY_REFUSED
from tests.kit import mails
from tests.kit.accounts import ANY, patch, told
from tests.kit.authenticator import Authenticator, Json, decoded, encoded
from tests.kit.events import latest, written
from tests.kit.passkeys import added, authenticator, login, signed_in, start_login
from tests.kit.serving import Person, Server

WRONG = (401, "passkey-wrong")
UNKNOWN = (401, "passkey-unknown")
SPENT = (401, "challenge-invalid")


@pytest.fixture
def device(anna: Person) -> Authenticator:
    """Anna's, with a passkey, which counts its uses."""
    by = authenticator(anna.server, step=1)
    added(anna, by)
    return by


def test_a_passkey_signs_in_without_an_address(
    anna: Person, device: Authenticator, anonymous: httpx.Client
) -> None:
    begun = start_login(anonymous)
    options = begun["passkey_options"]
    assert (options["rpId"], options["allowCredentials"]) == ("localhost", [])
    assert options["userVerification"] == "required"
    before = latest(anna.server)
    answer = login(anonymous, begun, device.get(options))
    assert answer.status_code == 200, answer.text
    assert answer.json()["user"] == anna.http.get("/auth/me").json()
    assert written(anna.server, before) == [("login", anna.id, anna.id, "127.0.0.1")]
    with anna.server.client(answer.json()["access_token"]) as http:
        assert http.get("/auth/me").status_code == 200


@pytest.mark.parametrize(("is_backed_up", "method"), [(False, "hwk"), (True, "swk")])
def test_a_passkey_is_both_factors(
    is_backed_up: bool, method: str, device: Authenticator, anonymous: httpx.Client
) -> None:
    device.is_backed_up = is_backed_up
    token = signed_in(anonymous, device).json()["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["amr"], claims["acr"]) == ([method, "mfa"], "aal2")


def test_a_use_is_noted_to_the_hour_and_changes_the_tag(
    anna: Person, device: Authenticator, anonymous: httpx.Client
) -> None:
    [passkey] = anna.http.get("/auth/passkeys").json()
    address = f"/auth/passkeys/{passkey['id']}"
    tags = [anna.http.get(address).headers["ETag"]]
    for _ in range(2):
        assert signed_in(anonymous, device).status_code == 200
        used = anna.http.get(address)
        tags.append(used.headers["ETag"])
    assert used.json()["last_used_at"][:13] == now()[:13]
    assert used.json()["last_used_at"].endswith(":00:00.000Z")
    assert tags[0] != tags[1] == tags[2]


def _device(server: Server, device: Authenticator, **faults: Any) -> Authenticator:
    return authenticator(server, step=1, passkeys=device.passkeys, **faults)


FAULTS: dict[str, Json] = {
    "another origin": {"origin": "https://phishing.example.com"},
    "another port": {"origin": "http://localhost:1"},
    "an origin that begins alike": {"origin": "http://localhost:80001"},
    "another domain": {"domain": "phishing.example.com"},
    "no user verification": {"is_verified": False},
    "a registration": {"client_data": {"type": "webauthn.create"}},
    "a page in a page": {"client_data": {"crossOrigin": True}},
    "another challenge": {"client_data": {"challenge": encoded(b"x" * 43)}},
    "no challenge": {"client_data": {"challenge": ""}},
    "a challenge that is a number": {"client_data": {"challenge": 7}},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_passkey_does_not_sign_in(
    fault: str, anna: Person, device: Authenticator, anonymous: httpx.Client
) -> None:
    before = latest(anna.server)
    answer = signed_in(anonymous, _device(anna.server, device, **FAULTS[fault]))
    assert told(answer) == WRONG
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert written(anna.server, before) == [("login-failed", None, anna.id, "127.0.0.1")]
    assert signed_in(anonymous, device).status_code == 200


def _flip(text: str) -> str:
    data = bytearray(decoded(text))
    data[-1] ^= 1
    return encoded(bytes(data))


DAMAGES: dict[str, Callable[[Json], Any]] = {
    "another signature": lambda r: r.update(signature=_flip(r["signature"])),
    "no signature": lambda r: r.update(signature=""),
    "other data": lambda r: r.update(authenticatorData=_flip(r["authenticatorData"])),
    "less data": lambda r: r.update(authenticatorData=r["authenticatorData"][:-4]),
    "no data": lambda r: r.update(authenticatorData=""),
    "client data that is no JSON": lambda r: r.update(clientDataJSON="AAAA"),
    "client data that is no text": lambda r: r.update(clientDataJSON="____"),
    "somebody else's handle": lambda r: r.update(userHandle=_flip(r["userHandle"])),
    "a handle that is no base64": lambda r: r.update(userHandle="\u00e9"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_answer_does_not_sign_in(
    damage: str, device: Authenticator, anonymous: httpx.Client
) -> None:
    begun = start_login(anonymous)
    passkey = device.get(begun["passkey_options"])
    DAMAGES[damage](passkey["response"])
    assert told(login(anonymous, begun, passkey)) == WRONG


def test_a_passkey_does_not_sign_in_with_the_name_of_anothers(
    ben: Person, device: Authenticator, anonymous: httpx.Client
) -> None:
    other = authenticator(ben.server)
    added(ben, other)
    begun = start_login(anonymous)
    passkey = device.get(begun["passkey_options"])
    passkey["id"] = passkey["rawId"] = encoded(other.passkeys[0].id)
    assert told(login(anonymous, begun, passkey)) == WRONG


def test_a_passkey_that_nobody_has_is_unknown(
    device: Authenticator, anonymous: httpx.Client
) -> None:
    device.passkeys[0].id = b"never seen here "
    assert told(signed_in(anonymous, device)) == UNKNOWN


def test_a_challenge_is_used_up_by_the_first_request_that_answers_it(
    anna: Person, device: Authenticator, anonymous: httpx.Client
) -> None:
    begun = start_login(anonymous)
    passkey = device.get(begun["passkey_options"])
    assert login(anonymous, begun, passkey).status_code == 200
    assert told(login(anonymous, begun, passkey)) == SPENT
    begun = start_login(anonymous)
    wrong = _device(anna.server, device, is_verified=False).get(begun["passkey_options"])
    assert told(login(anonymous, begun, wrong)) == WRONG
    assert told(login(anonymous, begun, device.get(begun["passkey_options"]))) == SPENT


def test_an_answer_to_another_challenge_does_not_sign_in(
    device: Authenticator, anonymous: httpx.Client
) -> None:
    one, other = start_login(anonymous), start_login(anonymous)
    assert told(login(anonymous, one, device.get(other["passkey_options"]))) == WRONG


def test_a_challenge_ends(anna: Person, device: Authenticator, anonymous: httpx.Client) -> None:
    begun = start_login(anonymous)
    passkey = device.get(begun["passkey_options"])
    is_nobodys = Challenge.user_id.is_(None)
    anna.server.execute(sa.update(Challenge).where(is_nobodys).values(expires_at=now()))
    assert told(login(anonymous, begun, passkey)) == SPENT


def test_a_challenge_for_a_new_passkey_does_not_sign_in(
    anna: Person, device: Authenticator, anonymous: httpx.Client
) -> None:
    options = anna.http.post("/auth/passkeys/options").json()
    begun = {"challenge": decoded(options["challenge"]).decode()}
    passkey = device.get({"challenge": options["challenge"], "rpId": "localhost"})
    assert told(login(anonymous, begun, passkey)) == SPENT


@pytest.mark.parametrize("counter", [0, 4, 5])
def test_a_counter_that_does_not_go_forward_is_refused_recorded_and_told(
    counter: int, anna: Person, device: Authenticator, anonymous: httpx.Client
) -> None:
    mails.verify(anna)
    device.passkeys[0].counter = 4
    assert signed_in(anonymous, device).status_code == 200  # with 5
    device.step, device.passkeys[0].counter = 0, counter
    before = latest(anna.server)
    assert told(signed_in(anonymous, device)) == WRONG
    assert written(anna.server, before) == [
        ("passkey-refused", None, anna.id, "127.0.0.1"),
        ("login-failed", None, anna.id, "127.0.0.1"),
    ]
    assert anna.server.mailbox.wait(anna.email, SUBJECTS[PASSKEY_REFUSED])
    device.passkeys[0].counter = 6
    assert signed_in(anonymous, device).status_code == 200


def test_an_unsigned_counter_alarms_nobody(
    anna: Person, device: Authenticator, anonymous: httpx.Client
) -> None:
    assert signed_in(anonymous, device).status_code == 200
    device.step, device.passkeys[0].counter = 0, 0
    begun = start_login(anonymous)
    passkey = device.get(begun["passkey_options"])
    passkey["response"]["signature"] = _flip(passkey["response"]["signature"])
    before = latest(anna.server)
    assert told(login(anonymous, begun, passkey)) == WRONG
    assert [event[0] for event in written(anna.server, before)] == ["login-failed"]


def test_a_passkey_without_a_counter_signs_in_again_and_again(
    anna: Person, anonymous: httpx.Client
) -> None:
    by = authenticator(anna.server, is_backed_up=True)
    added(anna, by)
    assert [signed_in(anonymous, by).status_code for _ in range(3)] == [200] * 3


def test_whether_a_passkey_is_backed_up_follows_the_authenticator(
    anna: Person, device: Authenticator, anonymous: httpx.Client
) -> None:
    device.is_backed_up = True
    assert signed_in(anonymous, device).status_code == 200
    assert anna.http.get("/auth/passkeys").json()[0]["backed_up"] is True


def test_a_passkey_of_a_disabled_account_is_refused_after_it_was_right(
    anna: Person, admin: Person, device: Authenticator, anonymous: httpx.Client
) -> None:
    assert patch(admin.http, anna, disabled=True).status_code == 200
    assert told(signed_in(anonymous, device)) == (403, "account-disabled")
    wrong = _device(anna.server, device, is_verified=False)
    assert told(signed_in(anonymous, wrong)) == WRONG


def test_a_passkey_of_a_deleted_account_is_unknown(
    anna: Person, device: Authenticator, anonymous: httpx.Client
) -> None:
    assert anna.http.delete(f"/api/users/{anna.id}", headers=ANY).status_code == 204
    assert told(signed_in(anonymous, device)) == UNKNOWN


def test_a_passkey_needs_a_verified_address_where_a_password_does(
    serve: Callable[..., Server],
) -> None:
    server = serve()
    anna = server.sign_up()
    by = authenticator(server)
    added(anna, by)
    server.flask.config["REQUIRE_VERIFIED_EMAIL"] = True
    assert told(signed_in(anna.http, by)) == (403, "email-unverified")
    server.verify(anna)
    assert signed_in(anna.http, by).status_code == 200


def test_a_passkey_signs_in_while_passwords_are_blocked(serve: Callable[..., Server]) -> None:
    server = serve(rate_limit_enabled=True, rate_limits={"login": "100 per minute"})
    anna = server.sign_up()
    by = authenticator(server)
    added(anna, by)
    with server.client() as anonymous:
        guess = {"email": anna.email, "password": "wrong"}
        for _ in range(11):
            answer = anonymous.post("/auth/login", json=guess)
        assert told(answer) == (429, "rate-limited")
        assert signed_in(anonymous, by).status_code == 200
        right = {"email": anna.email, "password": anna.password}
        assert told(anonymous.post("/auth/login", json=right)) == (429, "rate-limited")


def test_no_answer_shows_a_key(anna: Person, device: Authenticator) -> None:
    mine = Passkey.user_id == anna.id
    [[key]] = anna.server.execute(sa.select(Passkey.public_key).where(mine))
    for path in ("/auth/passkeys", "/auth/me", "/auth/export"):
        assert key not in anna.http.get(path).text
