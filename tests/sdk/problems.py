"""Every problem that a call of the generated Python client can come to, typed and by its code.

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
from functools import partial
from typing import cast
from uuid import UUID, uuid4

import httpx
from byline_client import AuthenticatedClient, Client
from byline_client.api.auth import (
    change_password,
    complete_email_verification,
    get_me,
    login,
    logout,
    refresh,
    register,
    revoke_other_sessions,
)
from byline_client.api.factors import complete_login, renew_recovery_codes
from byline_client.api.passkeys import (
    add_passkey,
    delete_passkey,
    login_with_passkey,
    start_passkey,
    start_passkey_login,
)
from byline_client.api.posts import create_post, get_post, search_posts, update_post
from byline_client.api.tokens import create_personal_token
from byline_client.api.users import list_accounts, update_user
from byline_client.models import (
    Account,
    AuthenticationResponseJSON,
    Credentials,
    EmailVerification,
    LoginCompletion,
    NewPasskey,
    NewPersonalToken,
    NewPost,
    PasskeyCredentials,
    PasskeyLogin,
    PasswordChange,
    Post,
    PostChanges,
    Problem,
    PublicKeyCredentialCreationOptionsJSON,
    Registration,
    RegistrationResponseJSON,
    Role,
    Scope,
    SignIn,
    TokenPair,
    UserChanges,
)

API, STRICT, STUCK, ADMIN = sys.argv[1:5]
PASSKEYS = json.loads(sys.argv[5])
PASSWORD = "correct horse battery staple"
PATIENCE = 60  # seconds
NEW = NewPost(title="A title", content="Some words.")
anonymous = Client(base_url=API)
elsewhere = Client(base_url=API.replace("127.0.0.1", "localhost"))  # a name it does not answer to


def signed_in(email: str, at: str = API) -> SignIn:
    credentials = Credentials(email=email, password=PASSWORD)
    tokens = login.sync(client=Client(base_url=at), body=credentials)
    assert isinstance(tokens, SignIn), tokens
    return tokens


def signed_up(at: str = API) -> SignIn:
    email = f"{uuid4()}@example.com"
    register.sync(client=Client(base_url=at), body=Registration(email=email, password=PASSWORD))
    return signed_in(email, at)


def bearing(token: str, at: str = API) -> AuthenticatedClient:
    return AuthenticatedClient(base_url=at, token=token)


def changing(request: Callable[[httpx.Request], object]) -> AuthenticatedClient:
    """Anna's client with a change to what it sends."""
    hooks = {"event_hooks": {"request": [request]}}
    return AuthenticatedClient(base_url=API, token=anna.access_token, httpx_args=hooks)


anna, ben, carl = signed_up(), signed_up(), signed_up()
admin = signed_in(ADMIN)
hers, his, admins = (bearing(tokens.access_token) for tokens in (anna, ben, admin))
written = create_post.sync(client=hers, body=NEW)
assert isinstance(written, Post), written
post = written


def signing_in(email: str, password: str = PASSWORD, at: str = API) -> object:
    credentials = Credentials(email=email, password=password)
    return login.sync(client=Client(base_url=at), body=credentials)


def completing(code: str) -> object:
    """Sign in to the account with an authenticator app, with this code as the second step."""
    required = signing_in(PASSKEYS["email"])
    assert isinstance(required, Problem), required
    body = LoginCompletion(challenge=str(required.challenge), code=code)
    return complete_login.sync(client=anonymous, body=body)


def registering(email: str = "", password: str = PASSWORD, username: str = "somebody") -> object:
    body = Registration(email=email or f"{uuid4()}@example.com", password=password)
    body.username = username
    return register.sync(client=anonymous, body=body)


def editing(client: AuthenticatedClient, if_match: str = "*") -> object:
    changes = PostChanges(title="Another title")
    return update_post.sync(post.id, client=client, body=changes, if_match=if_match)


def being_disabled() -> object:
    changes = UserChanges(disabled=True)
    update_user.sync(carl.user.id, client=admins, body=changes, if_match="*")
    return signing_in(carl.user.email)


def expiring() -> object:
    pair = refresh.sync(client=bearing(ben.refresh_token, STRICT))
    assert isinstance(pair, TokenPair), pair
    deadline = time.monotonic() + PATIENCE
    while isinstance(answer := get_me.sync(client=bearing(pair.access_token)), Account):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return answer


def reusing() -> object:
    oldest = token = signed_in(anna.user.email).refresh_token
    for _ in range(2):
        pair = refresh.sync(client=bearing(token))
        assert isinstance(pair, TokenPair), pair
        token = pair.refresh_token
    return refresh.sync(client=bearing(oldest))


def leaving() -> object:
    client = bearing(signed_in(anna.user.email).access_token)
    logout.sync(client=client)
    return get_me.sync(client=client)


def keyed(title: str) -> object:
    body = NewPost(title=title, content="Some words.")
    return create_post.sync(client=hers, body=body, idempotency_key="one")


def at_once() -> list[Problem]:
    """Two posts with one key: one waits in vain, and the other does not wait for it."""

    async def both() -> list[Problem]:
        async with bearing(signed_up(STUCK).access_token, STUCK) as client:
            call = partial(create_post.asyncio, client=client, body=NEW, idempotency_key="one")
            return [a for a in await asyncio.gather(call(), call()) if isinstance(a, Problem)]

    for _ in range(5):  # unless the second came only when the first had given up
        answers = sorted(asyncio.run(both()), key=lambda answer: answer.status)
        if len({answer.status for answer in answers}) > 1:
            break
    return answers


def searching() -> object:
    return [search_posts.sync(client=anonymous, q="words") for _ in range(2)][1]


def without_tag(request: httpx.Request) -> None:
    del request.headers["If-Match"]


def as_text(request: httpx.Request) -> None:
    request.headers["Content-Type"] = "text/plain"


def with_a_cookie(request: httpx.Request) -> None:
    del request.headers["Authorization"]
    request.headers["Cookie"] = "__Host-refresh=x"


def posting(client: AuthenticatedClient = hers, title: str = "A title", text: str = "x") -> object:
    return create_post.sync(client=client, body=NewPost(title=title, content=text))


def client_data(kind: str, challenge: str) -> str:
    origin = "http://localhost:8000"
    said = {"type": f"webauthn.{kind}", "challenge": challenge, "origin": origin}
    return urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode()


def adding(client: AuthenticatedClient = hers, challenge: str = "") -> object:
    """Add the passkey that is taken: without attestation, nothing in it is signed."""
    options = start_passkey.sync(client=client)
    assert isinstance(options, PublicKeyCredentialCreationOptionsJSON), options
    credential = RegistrationResponseJSON.from_dict(PASSKEYS["credential"])
    credential.response.client_data_json = client_data("create", challenge or options.challenge)
    return add_passkey.sync(client=client, body=NewPasskey("Laptop", credential))


def using(id_: str, challenge: str = "") -> object:
    """Sign in with a passkey whose signature is wrong."""
    begun = start_passkey_login.sync(client=anonymous)
    assert isinstance(begun, PasskeyLogin), begun
    said = client_data("get", begun.passkey_options.challenge)
    response = {"clientDataJSON": said, "authenticatorData": "AAAA", "signature": "AAAA"}
    passkey = {"id": id_, "rawId": id_, "type": "public-key", "response": response}
    answer = AuthenticationResponseJSON.from_dict(passkey)
    body = PasskeyCredentials(challenge or begun.challenge, answer)
    return login_with_passkey.sync(client=anonymous, body=body)


taken: str = PASSKEYS["credential"]["id"]
in_use, unavailable = at_once()
CALLS: dict[str, Callable[[], object]] = {
    "invalid-request": lambda: posting(title=""),
    "malformed-body": lambda: posting(text="\x00"),
    "bad-request": lambda: get_post.sync(cast(UUID, "\n"), client=anonymous),
    "host-not-allowed": lambda: get_post.sync(post.id, client=elsewhere),
    "weak-password": lambda: registering(password="password123"),
    "token-invalid": lambda: complete_email_verification.sync(
        client=anonymous, body=EmailVerification(token="x")
    ),
    "passkey-invalid": lambda: adding(challenge="AAAA"),
    "passkey-taken": adding,
    "too-many-passkeys": lambda: adding(bearing(PASSKEYS["full"])),
    "last-passkey": lambda: delete_passkey.sync(PASSKEYS["id"], client=bearing(PASSKEYS["lonely"])),
    "passkey-wrong": lambda: using(taken),
    "passkey-unknown": lambda: using(taken[::-1]),
    "challenge-invalid": lambda: using(taken, "x"),
    "authentication-required": lambda: get_me.sync(
        client=AuthenticatedClient(base_url=API, token="x", prefix="Basic")
    ),
    "invalid-token": lambda: get_me.sync(client=bearing("x")),
    "token-expired": expiring,
    "token-reused": reusing,
    "session-revoked": leaving,
    "second-factor-required": lambda: signing_in(PASSKEYS["email"]),
    "second-factor-wrong": lambda: completing("000000"),
    "second-factor-missing": lambda: renew_recovery_codes.sync(client=hers),
    "invalid-credentials": lambda: signing_in(anna.user.email, "wrong"),
    "authentication-too-old": lambda: revoke_other_sessions.sync(client=bearing(PASSKEYS["stale"])),
    "forbidden": lambda: editing(his),
    "scope-missing": lambda: editing(bearing(PASSKEYS["scoped"])),
    "too-many-tokens": lambda: create_personal_token.sync(
        client=bearing(PASSKEYS["crowded"]),
        body=NewPersonalToken(name="One more", scopes=[Scope.ACCOUNTREAD]),
    ),
    "origin-not-allowed": lambda: refresh.sync(client=changing(with_a_cookie)),
    "admin-required": lambda: list_accounts.sync(client=hers),
    "admin-only-field": lambda: update_user.sync(
        anna.user.id, client=hers, body=UserChanges(role=Role.ADMIN), if_match="*"
    ),
    "account-disabled": being_disabled,
    "email-unverified": lambda: signing_in(anna.user.email, at=STRICT),
    "current-password-wrong": lambda: change_password.sync(
        client=hers, body=PasswordChange(current_password="wrong", new_password=PASSWORD)
    ),
    "not-found": lambda: get_post.sync(uuid4(), client=anonymous),
    "quota-exceeded": lambda: posting(text="x" * 60_000),
    "email-taken": lambda: registering(email=anna.user.email),
    "username-taken": lambda: registering(username=anna.user.username),
    "last-admin": lambda: update_user.sync(
        admin.user.id, client=admins, body=UserChanges(role=Role.USER), if_match="*"
    ),
    "idempotency-key-in-use": lambda: in_use,
    "precondition-failed": lambda: editing(hers, if_match='"stale"'),
    "body-too-large": lambda: posting(text="x" * 2**20),
    "unsupported-media-type": lambda: posting(changing(as_text)),
    "idempotency-key-reused": lambda: (keyed("One"), keyed("Another"))[1],
    "precondition-required": lambda: editing(changing(without_tag)),
    "rate-limited": searching,
    "headers-too-large": lambda: get_post.sync(
        post.id, client=anonymous, if_none_match="x" * 40_000
    ),
    "unavailable": lambda: unavailable,
}

assert isinstance(completing(PASSKEYS["codes"][0]), SignIn)
for code, call in CALLS.items():
    answer = call()
    assert (type(answer), getattr(answer, "code", "")) == (Problem, code), answer
    print(code)
