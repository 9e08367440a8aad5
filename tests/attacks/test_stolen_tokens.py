"""Valid tokens used by the wrong client, or in wrong places (RFC 6750, chapter 5; RFC 9700,
section 2.2)."""

from __future__ import annotations

import string
from typing import Any

import pytest
from sqlalchemy import delete

from service.models import RestingUsername
from tests.kit.attack import Attack, Expected, on, table
from tests.kit.forger import ORDER, Forger, with_halves
from tests.kit.raw import get, request
from tests.kit.serving import PASSWORD, Person, Server

pytestmark = on("sqlite")

OK, NO_TOKEN, BAD_TOKEN = 200, (401, "authentication-required"), (401, "invalid-token")
ENDED, BAD_REQUEST = (401, "session-revoked"), (400, "bad-request")


@pytest.fixture(scope="module")
def holder(server: Server) -> Person:
    return server.sign_up()


def test_a_session_ends_for_every_spelling_of_its_token(attack: Attack, anna: Person) -> None:
    forger = Forger(anna)
    r, s = forger.halves()
    letters = string.ascii_letters + string.digits + "-_"
    # (r, -s) is as good a signature as (r, s): what is told apart by its text can be taken twice.
    spelled = [forger.resigned(with_halves(r, ORDER - s)), forger.forged()]
    spelled += [forger.token[:-1] + letter for letter in letters]
    assert attack("GET", "/auth/me", token=spelled[0]).status == OK
    attack("POST", "/auth/logout", 204, token=anna)
    for token in spelled:
        answer = attack("GET", "/auth/me", token=token)
        assert (answer.status, answer.code) in {ENDED, BAD_TOKEN}


def test_a_new_owner_of_an_address_gets_nothing_of_the_old_account(
    attack: Attack, server: Server, anna: Person
) -> None:
    again = server.sign_in(anna.email)
    attack("DELETE", f"/api/users/{anna.id}", 204, token=anna)
    name_rests = RestingUsername.username == anna.username
    server.execute(delete(RestingUsername).where(name_rests))  # as after 90 days
    namesake = server.sign_up(email=anna.email, username=anna.username)
    assert namesake.id != anna.id
    for person in (anna, again):
        attack("GET", "/auth/me", ENDED, token=person)
        attack("POST", "/auth/refresh", ENDED, token=person.tokens["refresh_token"])
    attack("DELETE", f"/api/users/{anna.id}", 404, token=namesake)
    assert attack("GET", "/auth/sessions", OK, token=namesake).json()[0]["current"]


def test_a_thief_who_refreshes_first_loses_every_token(attack: Attack, anna: Person) -> None:
    stolen = anna.tokens["refresh_token"]
    thief = attack("POST", "/auth/refresh", OK, token=stolen).json()
    deeper = attack("POST", "/auth/refresh", OK, token=thief["refresh_token"]).json()
    attack("POST", "/auth/refresh", (401, "token-reused"), token=stolen)
    for pair in (anna.tokens, thief, deeper):
        attack("GET", "/auth/me", ENDED, token=pair["access_token"])
        attack("POST", "/auth/refresh", ENDED, token=pair["refresh_token"])
        attack("POST", "/auth/logout", ENDED, token=pair["refresh_token"])


@pytest.mark.parametrize("generation", [1, 2, 2**31, 2**53 - 1])
def test_a_generation_that_is_still_to_come_is_taken_for_theft(
    attack: Attack, anna: Person, generation: int
) -> None:
    early = Forger(anna, "refresh_token").forged(claims={"gen": generation})
    attack("POST", "/auth/refresh", (401, "token-reused"), token=early)
    attack("GET", "/auth/me", ENDED, token=anna)


def test_a_refresh_token_is_refused_as_an_access_token(attack: Attack, holder: Person) -> None:
    refresh = holder.tokens["refresh_token"]
    for method, path in (("GET", "/api/accounts"), ("PUT", "/auth/password"), ("GET", "/auth/me")):
        attack(method, path, BAD_TOKEN, token=refresh)
    for method in ("HEAD", "GET"):
        attack(method, "/auth/sessions", 401, token=refresh)
    attack("POST", "/auth/refresh", BAD_TOKEN, token=holder.tokens["access_token"])


@table(
    ("header", "expected"),
    {
        "in capitals": (b"BEARER {token}", OK),
        "in small letters": (b"bearer {token}", OK),
        "behind two spaces": (b"Bearer  {token}", OK),
        "behind many spaces": (b"Bearer" + b" " * 200 + b"{token}", OK),
        "in front of spaces and a tab": (b"Bearer {token} \t ", OK),
        "behind a tab": (b"Bearer\t{token}", NO_TOKEN),
        "behind a space and a tab": (b"Bearer \t{token}", BAD_TOKEN),
        "in front of a space and another": (b"Bearer {token} {token}", BAD_TOKEN),
        "in front of a comma": (b"Bearer {token},", BAD_TOKEN),
        "in quotes": (b'Bearer "{token}"', BAD_TOKEN),
        "without it": (b"Bearer", NO_TOKEN),
        "without it, but with spaces": (b"Bearer    ", NO_TOKEN),
        "with no space at all": (b"Bearer{token}", NO_TOKEN),
        "behind a colon": (b"Bearer: {token}", NO_TOKEN),
        "as a parameter": (b"Bearer token={token}", BAD_TOKEN),
        "with its realm": (b'Bearer realm="byline", {token}', BAD_TOKEN),
        "behind another": (b"Basic YTpi, Bearer {token}", NO_TOKEN),
        "in front of another": (b"Bearer {token}, Basic YTpi", BAD_TOKEN),
        "as a password": (b"Basic {token}", NO_TOKEN),
        "bound to a key": (b"DPoP {token}", NO_TOKEN),
        "as an API key": (b"ApiKey {token}", NO_TOKEN),
        "behind a space of Unicode": ("Bearer\u00a0{token}".encode(), NO_TOKEN),
        "behind two words": (b"Bearer Bearer {token}", BAD_TOKEN),
        "in percent signs": (b"Bearer %20{token}", BAD_TOKEN),
        "with a NUL": (b"Bearer {token}\0", BAD_REQUEST),
        "with a control character": (b"Bearer {token}\x01", BAD_REQUEST),
        "on a line of its own": (b"Bearer\r\n {token}", BAD_REQUEST),
    },
)
def test_a_token_has_one_place_in_its_header(
    attack: Attack, holder: Person, header: bytes, expected: Expected
) -> None:
    data = get("/auth/me", b"Authorization: " + header)
    attack.raw(data, expected, holder.tokens["access_token"])


CARRIERS = [
    *["Proxy-Authorization", "X-Access-Token", "X-Auth-Token", "X-Api-Key", "X-Amzn-Oidc-Data"],
    *["Sec-WebSocket-Protocol", "X-Forwarded-Access-Token", "Access-Token", "Token", "X-Original"],
]


def test_no_other_header_carries_a_token(attack: Attack, holder: Person) -> None:
    token = holder.tokens["access_token"]
    for name in CARRIERS:
        for value in (token, f"Bearer {token}", f"bearer, {token}"):
            attack("GET", "/auth/me", NO_TOKEN, headers={name: value})
    for cookie in ("token", "access_token", "session", "sb-access-token", "Authorization"):
        attack("GET", "/auth/me", NO_TOKEN, headers={"Cookie": f"{cookie}={token}"})


@table(
    "body",
    {
        # RFC 6750, section 2.2, which RFC 9700 advises against.
        "a form": (b"application/x-www-form-urlencoded", b"access_token={token}&bio=a"),
        "JSON": (
            b"application/json",
            b'{"access_token": "{token}", "bio": "a"}',
        ),
        "several parts": (
            b"multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="access_token"\r\n\r\n{token}\r\n--x--',
        ),
    },
)
def test_no_body_carries_a_token(attack: Attack, holder: Person, body: tuple[bytes, bytes]) -> None:
    token = holder.tokens["access_token"].encode()
    filled = body[1].replace(b"{token}", token)
    path = f"/api/users/{holder.id}"
    data = request("PATCH", path, b"Content-Type: " + body[0], body=filled)
    attack.raw(data, NO_TOKEN)


@pytest.mark.parametrize(
    "query", ["access_token", "token", "jwt", "Authorization", "bearer", "api_key", "auth"]
)
def test_no_address_carries_a_token(attack: Attack, holder: Person, query: str) -> None:
    params: dict[str, Any] = {query: holder.tokens["access_token"]}
    for path in ("/auth/me", "/auth/sessions", "/api/accounts"):
        attack("GET", path, NO_TOKEN, params=params)
    attack("GET", "/api/users", (400, "invalid-request"), params=params)


def test_a_stolen_session_cannot_outlast_the_password(
    attack: Attack, server: Server, anna: Person
) -> None:
    thief = server.sign_in(anna.email)
    kept = attack("POST", "/auth/refresh", OK, token=thief.tokens["refresh_token"]).json()
    new = {"current_password": PASSWORD, "new_password": "seven purple herons at dawn"}
    mine = attack("PUT", "/auth/password", OK, token=anna, json=new).json()
    for pair in (thief.tokens, kept, anna.tokens):
        attack("GET", "/auth/me", ENDED, token=pair["access_token"])
        attack("POST", "/auth/refresh", ENDED, token=pair["refresh_token"])
        attack("PUT", "/auth/password", ENDED, token=pair["access_token"], json=new)
    assert attack("GET", "/auth/me", OK, token=mine["access_token"]).json()["id"] == anna.id


def test_a_thief_in_the_same_session_cannot_outlast_the_password(
    attack: Attack, anna: Person
) -> None:
    stolen = anna.tokens
    new = {"current_password": PASSWORD, "new_password": "seven purple herons at dawn"}
    mine = attack("PUT", "/auth/password", OK, token=anna, json=new).json()
    attack("GET", "/auth/me", ENDED, token=stolen["access_token"])
    attack("POST", "/auth/refresh", ENDED, token=stolen["refresh_token"])
    attack("POST", "/auth/logout", ENDED, token=stolen["refresh_token"])
    next_pair = attack("POST", "/auth/refresh", OK, token=mine["refresh_token"]).json()
    attack("GET", "/auth/me", OK, token=next_pair["access_token"])


def test_another_users_session_cannot_be_read_or_ended(
    attack: Attack, holder: Person, ben: Person
) -> None:
    # Session fixation: nothing that a client sends chooses its session.
    session = Forger(holder).claims["sid"]
    credentials = {"email": ben.email, "password": PASSWORD}
    for name in ("session_id", "sid", "session", "id", "refresh_token"):
        body = {**credentials, name: session}
        attack("POST", "/auth/login", (400, "invalid-request"), json=body)
    headers = {"X-Session-Id": session, "Cookie": f"session={session}; sid={session}"}
    answer = attack("POST", "/auth/login", OK, json=credentials, headers=headers, token=holder)
    assert answer.json()["user"]["id"] == ben.id
    mine = attack("GET", "/auth/sessions", OK, token=answer.json()["access_token"]).json()
    assert session not in [one["id"] for one in mine]
