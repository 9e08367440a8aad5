"""Passkeys are added, listed, renamed and removed by their owner alone."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from service.domain.mails import SUBJECTS
from service.engine.ids import now
from service.models import Challenge, Passkey, User
from service.models.mails import PASSKEY_ADDED, PASSKEY_REMOVED
from service.models.passkeys import MAX_PASSKEYS_PER_USER
from tests.kit import mails
from tests.kit.accounts import ANY, told
from tests.kit.authenticator import Authenticator, Json, decoded, encoded
from tests.kit.events import latest, written
from tests.kit.exports import lines
from tests.kit.passkeys import add, added, authenticator, signed_in, start
from tests.kit.serving import Person, Server

PATH = "/auth/passkeys"
INVALID = (400, "passkey-invalid")
UUID_BYTES = 16


def listed(person: Person) -> list[Json]:
    answer = person.http.get(PATH)
    assert answer.status_code == 200, answer.text
    found: list[Json] = answer.json()
    return found


def without_password(person: Person) -> None:
    person.server.execute(sa.update(User).where(User.id == person.id).values(password_hash=""))


def test_the_options_ask_for_a_discoverable_passkey_that_verifies_its_user(anna: Person) -> None:
    options = start(anna)
    assert options["rp"] == {"id": "localhost", "name": "Byline"}
    assert options["authenticatorSelection"] == {
        "residentKey": "required",
        "requireResidentKey": True,
        "userVerification": "required",
    }
    assert options["attestation"] == "none"
    assert options["timeout"] == 300_000
    assert {one["alg"] for one in options["pubKeyCredParams"]} == {-7, -8, -257}
    assert len(decoded(options["challenge"])) >= 16
    assert options["challenge"] != start(anna)["challenge"]


def test_the_user_handle_is_the_users_id_and_not_the_address(anna: Person) -> None:
    user = start(anna)["user"]
    handle = urlsafe_b64decode(user["id"] + "==")
    assert (len(handle), str(UUID(bytes=handle))) == (UUID_BYTES, anna.id)
    assert (user["name"], user["displayName"]) == (anna.email, anna.username)


@pytest.mark.parametrize("algorithm", [-7, -8, -257], ids=["ES256", "EdDSA", "RS256"])
@pytest.mark.parametrize("attestation", ["none", "packed"])
def test_a_passkey_is_added_whatever_its_algorithm(
    anna: Person, algorithm: int, attestation: str
) -> None:
    by = authenticator(anna.server, algorithm=algorithm, attestation=attestation)
    answer = add(anna, by.create(start(anna)), "Laptop ✨")
    assert answer.status_code == 201, answer.text
    passkey = answer.json()
    assert len(passkey.pop("recovery_codes")) == 10  # it is the first factor
    assert passkey.keys() == {"id", "name", "backed_up", "created_at", "last_used_at"}
    assert (passkey["name"], passkey["backed_up"]) == ("Laptop ✨", False)
    assert passkey["last_used_at"] is None
    assert answer.headers["Location"] == f"{PATH}/{passkey['id']}"
    read = anna.http.get(answer.headers["Location"])
    assert (read.json(), read.headers["ETag"]) == (passkey, answer.headers["ETag"])
    assert signed_in(anna.http, by).status_code == 200


def test_a_list_has_the_newest_passkey_first_and_none_of_others(anna: Person, ben: Person) -> None:
    assert listed(anna) == []
    first = added(anna, authenticator(anna.server), "One")
    second = added(anna, authenticator(anna.server, is_backed_up=True), "Two")
    assert listed(anna) == [second, first]
    assert (first["backed_up"], second["backed_up"]) == (False, True)
    assert listed(ben) == []


def test_an_authenticator_is_told_which_passkeys_there_are(anna: Person) -> None:
    by = authenticator(anna.server)
    credential = by.create(start(anna))
    credential["response"]["transports"] = ["usb", "hybrid", "internal", "cable", "", "telepathy"]
    assert add(anna, credential).status_code == 201
    [excluded] = start(anna)["excludeCredentials"]
    assert excluded["id"] == encoded(by.passkeys[0].id)
    assert set(excluded["transports"]) == {"usb", "hybrid", "internal", "cable"}


def _at(origin: str) -> Callable[[Server], Authenticator]:
    return lambda server: authenticator(server, origin=origin)


WRONG: dict[str, Callable[[Server], Authenticator]] = {
    "another origin": _at("http://localhost.example.com"),
    "another port": _at("http://localhost:1"),
    "another scheme": _at("https://localhost:8000"),
    "a page of no origin": _at("null"),
    "another domain": lambda server: authenticator(server, domain="example.com"),
    "no user verification": lambda server: authenticator(server, is_verified=False),
    "a forged attestation": lambda server: authenticator(server, attestation="forged"),
    "a sign-in": lambda server: authenticator(server, client_data={"type": "webauthn.get"}),
    "a page in a page": lambda server: authenticator(server, client_data={"crossOrigin": True}),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_passkey_is_not_added(wrong: str, anna: Person) -> None:
    answer = add(anna, WRONG[wrong](anna.server).create(start(anna)))
    assert told(answer) == INVALID
    assert listed(anna) == []


DAMAGES: dict[str, Callable[[Json], Any]] = {
    "another id": lambda c: c.update(id=c["id"][::-1], rawId=c["rawId"][::-1]),
    "an id that is not the raw one": lambda c: c.update(rawId=c["rawId"][::-1]),
    "client data that is no JSON": lambda c: c["response"].update(clientDataJSON="AAAA"),
    "client data that is a list": lambda c: c["response"].update(clientDataJSON="W10"),
    "an attestation of nothing": lambda c: c["response"].update(attestationObject=""),
    "an attestation that is no CBOR": lambda c: c["response"].update(attestationObject="____"),
    "an attestation that is a number": lambda c: c["response"].update(attestationObject="AA"),
    "half an attestation": lambda c: c["response"].update(
        attestationObject=c["response"]["attestationObject"][:120]
    ),
    "a single character of base64": lambda c: c["response"].update(attestationObject="A"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_passkey_is_not_added(damage: str, anna: Person) -> None:
    credential = authenticator(anna.server).create(start(anna))
    DAMAGES[damage](credential)
    assert told(add(anna, credential)) == INVALID


def test_a_key_that_lies_on_no_curve_is_not_added(
    anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    off = {1: 2, 3: -7, -1: 1, -2: b"\1" * 32, -3: b"\1" * 32}
    monkeypatch.setattr("tests.kit.authenticator._cose", lambda key: off)
    assert told(add(anna, authenticator(anna.server).create(start(anna)))) == INVALID


@pytest.mark.parametrize("bits", [512, 1024])
def test_a_short_rsa_key_is_not_added(
    bits: int, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = {1: 3, 3: -257, -1: b"\xfb" * (bits // 8), -2: b"\1\0\1"}
    monkeypatch.setattr("tests.kit.authenticator._cose", lambda key: short)
    assert told(add(anna, authenticator(anna.server).create(start(anna)))) == INVALID


def test_a_challenge_adds_one_passkey(anna: Person) -> None:
    options, by = start(anna), authenticator(anna.server)
    assert add(anna, by.create(options)).status_code == 201
    assert told(add(anna, by.create(options))) == INVALID
    assert len(listed(anna)) == 1


def test_a_refused_passkey_uses_its_challenge_up(anna: Person) -> None:
    options = start(anna)
    for by in (authenticator(anna.server, is_verified=False), authenticator(anna.server)):
        assert told(add(anna, by.create(options))) == INVALID
    assert listed(anna) == []


def test_a_challenge_is_good_for_its_user_only(anna: Person, ben: Person) -> None:
    credential = authenticator(anna.server).create(start(anna))
    assert told(add(ben, credential)) == INVALID


def test_a_challenge_of_a_sign_in_adds_nothing(anna: Person) -> None:
    login = anna.http.post("/auth/login/passkey-options").json()["passkey_options"]
    options = start(anna) | {"challenge": login["challenge"]}
    assert told(add(anna, authenticator(anna.server).create(options))) == INVALID


def test_a_challenge_ends(anna: Person) -> None:
    credential = authenticator(anna.server).create(start(anna))
    mine = Challenge.user_id == anna.id
    anna.server.execute(sa.update(Challenge).where(mine).values(expires_at=now()))
    assert told(add(anna, credential)) == INVALID


def test_a_passkey_is_registered_once_whoever_tries_again(anna: Person, ben: Person) -> None:
    by = authenticator(anna.server)
    added(anna, by)
    for person in (anna, ben):
        credential = authenticator(anna.server).create(start(person), by.passkeys[0].id)
        assert told(add(person, credential)) == (409, "passkey-taken")
    assert signed_in(anna.http, by).json()["user"]["id"] == anna.id


def test_a_user_has_no_more_than_twenty_passkeys(anna: Person) -> None:
    for _ in range(MAX_PASSKEYS_PER_USER):
        added(anna, authenticator(anna.server))
    assert len(listed(anna)) == MAX_PASSKEYS_PER_USER
    answer = add(anna, authenticator(anna.server).create(start(anna)))
    assert told(answer) == (409, "too-many-passkeys")


def test_a_passkey_is_renamed_by_whoever_has_seen_its_present_name(anna: Person) -> None:
    passkey = added(anna, authenticator(anna.server))
    address = f"{PATH}/{passkey['id']}"
    tag = {"If-Match": anna.http.get(address).headers["ETag"]}
    assert told(anna.http.patch(address, json={"name": "Phone"})) == (428, "precondition-required")
    renamed = anna.http.patch(address, json={"name": "Phone"}, headers=tag)
    assert (renamed.status_code, renamed.json()) == (200, {**passkey, "name": "Phone"})
    assert renamed.headers["ETag"] != tag["If-Match"]
    again = anna.http.patch(address, json={"name": "Tablet"}, headers=tag)
    assert told(again) == (412, "precondition-failed")
    assert told(anna.http.delete(address, headers=tag)) == (412, "precondition-failed")
    assert listed(anna) == [renamed.json()]


@pytest.mark.parametrize("name", ["", " ", "\u200b", "a\nb", "x" * 61])
def test_a_name_is_a_visible_line(name: str, anna: Person) -> None:
    passkey = added(anna, authenticator(anna.server))
    answer = anna.http.patch(f"{PATH}/{passkey['id']}", json={"name": name}, headers=ANY)
    assert told(answer) == (400, "invalid-request")


def test_a_removed_passkey_signs_nobody_in(anna: Person) -> None:
    by = authenticator(anna.server)
    address = f"{PATH}/{added(anna, by)['id']}"
    assert anna.http.delete(address).status_code == 204
    assert told(signed_in(anna.http, by)) == (401, "passkey-unknown")
    assert told(anna.http.delete(address)) == (404, "not-found")
    assert listed(anna) == []


def test_an_account_without_a_password_keeps_a_passkey(anna: Person) -> None:
    first, last = (added(anna, authenticator(anna.server)) for _ in range(2))
    without_password(anna)
    assert anna.http.delete(f"{PATH}/{first['id']}").status_code == 204
    assert told(anna.http.delete(f"{PATH}/{last['id']}")) == (409, "last-passkey")
    assert listed(anna) == [last]


def test_nobody_else_reads_renames_or_removes_a_passkey(
    anna: Person, ben: Person, admin: Person
) -> None:
    passkey = added(anna, authenticator(anna.server))
    address = f"{PATH}/{passkey['id']}"
    for other in (ben, admin):
        assert told(other.http.get(address)) == (404, "not-found")
        changed = other.http.patch(address, json={"name": "Mine"}, headers=ANY)
        assert told(changed) == (404, "not-found")
        assert told(other.http.delete(address)) == (404, "not-found")
    assert listed(anna) == [passkey]


def test_the_owner_is_told_of_new_and_of_removed_passkeys(anna: Person) -> None:
    mails.verify(anna)
    before = latest(anna.server)
    passkey = added(anna, authenticator(anna.server))
    [mail] = anna.server.mailbox.wait(anna.email, SUBJECTS[PASSKEY_ADDED])
    assert "127.0.0.1" in mail.get_body(("plain",)).get_content()
    assert anna.http.delete(f"{PATH}/{passkey['id']}").status_code == 204
    assert anna.server.mailbox.wait(anna.email, SUBJECTS[PASSKEY_REMOVED])
    actions = ("passkey-added", "passkey-removed")
    by_anna = [(action, anna.id, anna.id, "127.0.0.1") for action in actions]
    assert written(anna.server, before) == by_anna


def test_an_export_names_passkeys_without_their_keys(anna: Person) -> None:
    by = authenticator(anna.server)
    passkey = added(anna, by)
    answer = anna.http.get("/auth/export")
    assert {"type": "passkey", **passkey} in lines(answer.content)
    for row in anna.server.execute(sa.select(Passkey.credential_id, Passkey.public_key)):
        assert not any(secret in answer.text for secret in row)
