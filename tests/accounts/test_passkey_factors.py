"""An account with a passkey has a second factor: its password alone no longer signs in."""

from __future__ import annotations

from functools import partial

import httpx
import jwt
import pytest

from tests.kit.accounts import told
from tests.kit.at_once import at_once, codes, statuses
from tests.kit.authenticator import Authenticator, Json
from tests.kit.events import latest, written
from tests.kit.passkeys import add, added, authenticator, start, start_login
from tests.kit.serving import Person
from tests.kit.sessions import grow_old

WRONG = (401, "second-factor-wrong")


@pytest.fixture
def device(anna: Person) -> Authenticator:
    by = authenticator(anna.server, step=1)
    added(anna, by)
    return by


def sign_in(http: httpx.Client, person: Person) -> Json:
    """The problem that asks for the second factor."""
    body = {"email": person.email, "password": person.password}
    answer = http.post("/auth/login", json=body)
    assert told(answer) == (401, "second-factor-required")
    found: Json = answer.json()
    return found


def complete(http: httpx.Client, asked: Json, **proof: object) -> httpx.Response:
    return http.post("/auth/login/second-factor", json={"challenge": asked["challenge"], **proof})


def test_a_passkey_completes_a_sign_in_with_a_password(
    anna: Person, device: Authenticator, anonymous: httpx.Client
) -> None:
    asked = sign_in(anonymous, anna)
    assert set(asked["methods"]) == {"passkey", "recovery-code"}
    [allowed] = asked["passkey_options"]["allowCredentials"]
    answer = complete(anonymous, asked, passkey=device.get(asked["passkey_options"]))
    assert answer.status_code == 200, answer.text
    assert answer.json()["user"]["id"] == anna.id
    claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    assert (claims["amr"], claims["acr"]) == (["pwd", "hwk", "mfa"], "aal2")
    assert allowed["id"]


def test_a_new_passkey_ends_sign_ins_that_have_begun(
    anna: Person, device: Authenticator, anonymous: httpx.Client
) -> None:
    asked = sign_in(anonymous, anna)
    added(anna, authenticator(anna.server, step=1))
    answer = complete(anonymous, asked, passkey=device.get(asked["passkey_options"]))
    assert told(answer) == (401, "challenge-invalid")


def test_a_password_does_not_tell_of_passkeys_before_it_is_right(
    anna: Person, device: Authenticator, anonymous: httpx.Client
) -> None:
    wrong = anonymous.post("/auth/login", json={"email": anna.email, "password": "wrong"})
    assert told(wrong) == (401, "invalid-credentials")
    assert "methods" not in wrong.json()


@pytest.mark.parametrize(
    "fault", [{"is_verified": False}, {"origin": "https://phishing.example"}, {"domain": "x"}]
)
def test_a_wrong_passkey_does_not_complete_a_sign_in(
    fault: Json, anna: Person, device: Authenticator, anonymous: httpx.Client
) -> None:
    asked = sign_in(anonymous, anna)
    wrong = authenticator(anna.server, step=1, passkeys=device.passkeys, **fault)
    before = latest(anna.server)
    sent = wrong.get(asked["passkey_options"])
    assert told(complete(anonymous, asked, passkey=sent)) == WRONG
    assert written(anna.server, before) == [("second-factor-failed", None, anna.id, "127.0.0.1")]
    right = device.get(asked["passkey_options"])
    assert complete(anonymous, asked, passkey=right).status_code == 200


def test_a_passkey_of_somebody_else_does_not_complete_a_sign_in(
    anna: Person, ben: Person, device: Authenticator, anonymous: httpx.Client
) -> None:
    bens = authenticator(ben.server)
    added(ben, bens)
    asked = sign_in(anonymous, anna)
    sent = bens.get(asked["passkey_options"])
    assert told(complete(anonymous, asked, passkey=sent)) == WRONG


def test_a_challenge_has_five_tries(
    anna: Person, device: Authenticator, anonymous: httpx.Client
) -> None:
    asked = sign_in(anonymous, anna)
    wrong = authenticator(anna.server, step=1, passkeys=device.passkeys, is_verified=False)
    for _ in range(5):
        sent = wrong.get(asked["passkey_options"])
        assert told(complete(anonymous, asked, passkey=sent)) == WRONG
    right = device.get(asked["passkey_options"])
    assert told(complete(anonymous, asked, passkey=right)) == (401, "challenge-invalid")


def test_one_challenge_answered_many_times_at_once_signs_in_once(
    anna: Person, device: Authenticator, anonymous: httpx.Client
) -> None:
    asked = sign_in(anonymous, anna)
    device.step = 0  # it does not count
    device.passkeys[0].counter = 0
    calls = [
        partial(complete, anonymous, asked, passkey=device.get(asked["passkey_options"]))
        for _ in range(5)
    ]
    answers = at_once(*calls)
    assert statuses(answers) == {200: 1, 401: 4}
    assert codes(answers) == {"challenge-invalid"}


@pytest.mark.parametrize("proof", [{}, {"code": "123456", "passkey": "both"}])
def test_a_sign_in_is_completed_with_one_thing(
    proof: Json, anna: Person, device: Authenticator, anonymous: httpx.Client
) -> None:
    asked = sign_in(anonymous, anna)
    if proof:
        proof = {**proof, "passkey": device.get(asked["passkey_options"])}
    assert told(complete(anonymous, asked, **proof)) == (400, "invalid-request")


def test_the_first_passkey_comes_with_recovery_codes_for_a_lost_device(
    anna: Person, anonymous: httpx.Client
) -> None:
    first = add(anna, authenticator(anna.server).create(start(anna))).json()
    second = add(anna, authenticator(anna.server).create(start(anna))).json()
    assert len(first["recovery_codes"]) == 10
    assert "recovery_codes" not in second
    asked = sign_in(anonymous, anna)
    answer = complete(anonymous, asked, code=first["recovery_codes"][0])
    assert answer.status_code == 200, answer.text
    factors = anna.http.get("/auth/factors").json()
    assert (factors["passkeys"], factors["recovery_codes_left"]) == (2, 9)


def test_without_its_last_passkey_an_account_has_no_second_factor(
    anna: Person, anonymous: httpx.Client
) -> None:
    passkey = added(anna, authenticator(anna.server))
    assert anna.http.delete(f"/auth/passkeys/{passkey['id']}").status_code == 204
    assert anna.server.sign_in(anna.email).id == anna.id
    factors = anna.http.get("/auth/factors").json()
    assert (factors["passkeys"], factors["recovery_codes_left"]) == (0, 0)


def reauthenticate(person: Person, **proof: object) -> httpx.Response:
    return person.http.post("/auth/reauthenticate", json=proof)


def test_a_passkey_proves_again_who_the_user_is(anna: Person, device: Authenticator) -> None:
    old = grow_old(anna)
    assert told(reauthenticate(old, password=anna.password)) == (403, "second-factor-required")
    begun = start_login(old.http)
    answer = reauthenticate(old, passkey=device.get(begun["passkey_options"]))
    assert answer.status_code == 200, answer.text
    claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    assert (claims["amr"], claims["acr"]) == (["pwd", "hwk", "mfa"], "aal2")
    with anna.server.client(answer.json()["access_token"]) as http:
        assert http.post("/auth/passkeys/options").status_code == 200


def test_a_wrong_passkey_does_not_prove_it(
    anna: Person, ben: Person, device: Authenticator
) -> None:
    bens = authenticator(ben.server)
    added(ben, bens)
    begun = start_login(anna.http)
    wrong = (403, "second-factor-wrong")
    used = bens.get(begun["passkey_options"])
    assert told(reauthenticate(anna, passkey=used)) == wrong
    right = device.get(begun["passkey_options"])
    assert told(reauthenticate(anna, passkey=right)) == wrong  # the challenge is used
    begun = start_login(anna.http)
    assert reauthenticate(anna, passkey=device.get(begun["passkey_options"])).status_code == 200
