"""Every problem that a call of the Python client can come to, as the exception of its name.

Arguments: the addresses of a server, of a strict one with the same database (test_problems.py), and
of one whose posts cannot be written; the only admin's e-mail address; passkeys and an app.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from uuid import uuid4

import httpx
from byline_client import ApiError, AsyncByline, Byline, MemoryStore, SecondFactorRequired, Tokens
from byline_client.errors import PROBLEMS

API, STRICT, STUCK, ADMIN = sys.argv[1:5]
PASSKEYS = json.loads(sys.argv[5])
PASSWORD = "correct horse battery staple"
PATIENCE = 60  # seconds
anonymous = Byline(API)
elsewhere = Byline(API.replace("127.0.0.1", "localhost"))  # a name that it does not answer to


def signed_in(email: str, at: str = API, password: str = PASSWORD) -> Byline:
    byline = Byline(at, retries=0)
    byline.sign_in(email, password)
    return byline


def signed_up(at: str = API) -> tuple[Byline, str]:
    email = f"{uuid4()}@example.com"
    Byline(at).auth.register(email=email, password=PASSWORD)
    return signed_in(email, at), email


def changing(change: Callable[[httpx.Request], object]) -> Byline:
    """Anna's client with a change to what it sends."""
    http = httpx.Client(event_hooks={"request": [change]})
    return Byline(API, hers.auth.refresh().access_token, http=http)


hers, anna = signed_up()
his, carl = signed_up()[0], signed_up()[1]
admins = signed_in(ADMIN)
admin, account = admins.auth.get_me(), hers.auth.get_me()
post = hers.posts.create(title="A title", content="Some words.")


def completing(code: str) -> object:
    """Sign in to the account with an authenticator app, with this code as the second step."""
    byline = Byline(API, second_factor=lambda error: code)
    return byline.sign_in(PASSKEYS["email"], PASSWORD)


def registering(email: str = "", password: str = PASSWORD, username: str = "somebody") -> object:
    email = email or f"{uuid4()}@example.com"
    return anonymous.auth.register(email=email, password=password, username=username)


def editing(byline: Byline, if_match: str = "*") -> object:
    return byline.posts.update(post.id, title="Another title", if_match=if_match)


def being_disabled() -> object:
    [user] = admins.users.list_accounts(email=carl)
    admins.users.update(user, disabled=True)
    return signed_in(carl)


def expiring() -> None:
    """With a token that cannot be renewed, because nothing but itself is known."""
    byline = Byline(STRICT, Byline(STRICT, store=his_store()).auth.refresh().access_token)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        byline.auth.get_me()
        time.sleep(0.05)


def his_store() -> MemoryStore:
    """Ben's session, as another server of the same database may go on with it."""
    return storing(his.auth.refresh().refresh_token, at=STRICT)


def storing(refresh_token: str, at: str = API) -> MemoryStore:
    store = MemoryStore()
    store.save(Tokens("", refresh_token, renew_at=0, expires_at=0, origin=at))
    return store


def reusing() -> object:
    byline = Byline(API)
    oldest = byline.sign_in(anna, PASSWORD).refresh_token
    for _ in range(2):
        byline.auth.refresh()
    return Byline(API, store=storing(oldest)).auth.get_me()


def leaving() -> object:
    byline = Byline(API)
    token = byline.sign_in(anna, PASSWORD).access_token
    byline.sign_out()
    return Byline(API, token).auth.get_me()


def keyed(title: str) -> object:
    return hers.posts.create(title=title, content="Some words.", idempotency_key="one")


def at_once() -> list[ApiError]:
    """Two posts with one key: one waits in vain, and the other does not wait for it."""
    email = signed_up(STUCK)[1]

    async def both() -> list[ApiError]:
        async with AsyncByline(STUCK, timeout=None, retries=0) as byline:
            await byline.sign_in(email, PASSWORD)
            calls = (
                byline.posts.create(title="A title", content="x", idempotency_key="one")
                for _ in range(2)
            )
            answers = await asyncio.gather(*calls, return_exceptions=True)
            return [answer for answer in answers if isinstance(answer, ApiError)]

    answers: list[ApiError] = []
    for _ in range(5):  # unless the second came only when the first had given up
        answers = sorted(asyncio.run(both()), key=lambda answer: answer.status)
        if len({answer.status for answer in answers}) > 1:
            break
    return answers


def searching() -> None:
    for _ in range(2):
        anonymous.posts.search(q="words")


def without_tag(request: httpx.Request) -> None:
    del request.headers["If-Match"]


def as_text(request: httpx.Request) -> None:
    request.headers["Content-Type"] = "text/plain"


def with_a_cookie(request: httpx.Request) -> None:
    del request.headers["Authorization"]
    request.headers["Cookie"] = "__Host-refresh=x"


def with_basic(request: httpx.Request) -> None:
    request.headers["Authorization"] = "Basic x"


def with_long_headers(request: httpx.Request) -> None:
    request.headers["X-Long"] = "x" * 40_000


def with_another_path(request: httpx.Request) -> None:
    request.url = request.url.copy_with(raw_path=b"/api/posts/%0A")


def posting(byline: Byline = hers, title: str = "A title", text: str = "x") -> object:
    return byline.posts.create(title=title, content=text)


def raising(error: ApiError) -> None:
    raise error


def client_data(kind: str, challenge: str) -> str:
    origin = "http://localhost:8000"
    said = {"type": f"webauthn.{kind}", "challenge": challenge, "origin": origin}
    return urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode()


def adding(byline: Byline = hers, challenge: str = "") -> object:
    """Add the passkey that is taken: without attestation, nothing in it is signed."""
    data = client_data("create", challenge or byline.passkeys.start().challenge)
    credential = PASSKEYS["credential"]
    response = {**credential["response"], "clientDataJSON": data}
    return byline.passkeys.add(name="Laptop", credential={**credential, "response": response})


def using(id_: str, challenge: str = "") -> object:
    """Sign in with a passkey whose signature is wrong."""
    begun = anonymous.passkeys.start_passkey_login()
    said = client_data("get", begun.passkey_options.challenge)
    response = {"clientDataJSON": said, "authenticatorData": "AAAA", "signature": "AAAA"}
    passkey = {"id": id_, "rawId": id_, "type": "public-key", "response": response}
    return anonymous.passkeys.login_with_passkey(
        challenge=challenge or begun.challenge, passkey=passkey
    )


taken: str = PASSKEYS["credential"]["id"]
in_use, unavailable = at_once()
CALLS: dict[str, Callable[[], object]] = {
    "invalid-request": lambda: posting(title=""),
    "malformed-body": lambda: posting(text="\x00"),
    "bad-request": lambda: changing(with_another_path).posts.get(post),
    "host-not-allowed": lambda: elsewhere.posts.get(post),
    "weak-password": lambda: registering(password="password123"),
    "token-invalid": lambda: anonymous.auth.complete_email_verification(token="x"),
    "passkey-invalid": lambda: adding(challenge="AAAA"),
    "passkey-taken": adding,
    "too-many-passkeys": lambda: adding(Byline(API, PASSKEYS["full"])),
    "last-passkey": lambda: Byline(API, PASSKEYS["lonely"]).passkeys.delete(PASSKEYS["id"]),
    "passkey-wrong": lambda: using(taken),
    "passkey-unknown": lambda: using(taken[::-1]),
    "challenge-invalid": lambda: using(taken, "x"),
    "authentication-required": changing(with_basic).auth.get_me,
    "invalid-token": Byline(API, "x").auth.get_me,
    "token-expired": expiring,
    "token-reused": reusing,
    "session-revoked": leaving,
    "second-factor-required": lambda: signed_in(PASSKEYS["email"]),
    "second-factor-wrong": lambda: completing("000000"),
    "second-factor-missing": hers.factors.renew_recovery_codes,
    "invalid-credentials": lambda: signed_in(anna, password="wrong"),
    "authentication-too-old": Byline(API, PASSKEYS["stale"]).auth.revoke_other_sessions,
    "forbidden": lambda: editing(his),
    "scope-missing": lambda: editing(Byline(API, PASSKEYS["scoped"])),
    "too-many-tokens": lambda: Byline(API, PASSKEYS["crowded"]).tokens.create(
        name="One more", scopes=["account:read"]
    ),
    "origin-not-allowed": changing(with_a_cookie).auth.logout,
    "admin-required": lambda: list(hers.users.list_accounts()),
    "admin-only-field": lambda: hers.users.update(account, role="admin"),
    "account-disabled": being_disabled,
    "email-unverified": lambda: signed_in(anna, STRICT),
    "current-password-wrong": lambda: hers.auth.change_password(
        current_password="wrong", new_password=PASSWORD
    ),
    "not-found": lambda: anonymous.posts.get(uuid4()),
    "quota-exceeded": lambda: posting(text="x" * 60_000),
    "email-taken": lambda: registering(email=anna),
    "username-taken": lambda: registering(username=account.username),
    "last-admin": lambda: admins.users.update(admin, role="user"),
    "idempotency-key-in-use": lambda: raising(in_use),
    "precondition-failed": lambda: editing(hers, if_match='"stale"'),
    "body-too-large": lambda: posting(text="x" * 2**20),
    "unsupported-media-type": lambda: posting(changing(as_text)),
    "idempotency-key-reused": lambda: (keyed("One"), keyed("Another")),
    "precondition-required": lambda: editing(changing(without_tag)),
    "rate-limited": searching,
    "headers-too-large": lambda: changing(with_long_headers).posts.get(post),
    "unavailable": lambda: raising(unavailable),
}


def met(call: Callable[[], object]) -> ApiError:
    try:
        answer = call()
    except ApiError as error:
        return error
    raise AssertionError(answer)


completing(PASSKEYS["codes"][0])
for code, call in CALLS.items():
    error = met(call)
    assert (type(error), error.code) == (PROBLEMS[code], code), (code, error)
    if isinstance(error, SecondFactorRequired):
        assert error.problem.challenge
    print(code)
