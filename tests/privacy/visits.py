"""What people do with their accounts and posts, and each way in which it is refused."""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from uuid import uuid4

import httpx

from tests.kit.smtp import until
from tests.privacy import passkeys, programs
from tests.privacy.tour import Tour, Visitor

CONFIRM = "Confirm your e-mail address"
CONFIRM_NEW = "Confirm your new e-mail address"
RESET = "Choose a new password"
CHANGED = "Your e-mail address was changed"
ANY = {"If-Match": "*"}
STALE = {"If-Match": '"stale"'}


def signing_in(tour: Tour, anna: Visitor) -> None:
    """Registration, sessions and passwords."""
    stranger, guess = tour.visitor("stranger"), tour.marks.word("mailed", "stranger")
    squatted = tour.visitor("welcome")
    tour("register", squatted, json=squatted.credentials)
    for sent in (guess, tour.mailed(squatted, CONFIRM)):
        tour("dispute_email_verification", squatted, json={"token": sent})
    tour("register", anna, json=anna.credentials | {"username": "anna"})
    tour("register", stranger, json=anna.credentials)
    tour("register", stranger, json=stranger.credentials | {"username": "anna"})
    tour("register", stranger, json=stranger.credentials | {"password": stranger.address})
    tour("login", stranger, json=stranger.credentials)
    tour("login", stranger, json={"email": anna.address, "password": stranger.password})
    tour("login", stranger, json={"email": stranger.password, "password": anna.address})
    token = tour.mailed(anna, CONFIRM)
    for sent in (guess, token[:-4], f"{token} ", token, token):
        tour("complete_email_verification", anna, json={"token": sent})
    left = tour.sign_in(anna).tokens["access_token"]
    for _ in range(2):
        tour.sign_in(anna)
    [_, older, *_] = tour("list_sessions", anna).json()
    for _ in range(2):
        tour("revoke_session", anna, session_id=older["id"])
    for guessed in (stranger.password, anna.password):
        tour("reauthenticate", anna, json={"password": guessed})
    tour("revoke_other_sessions", anna)
    tour("get_me", anna, bearer=left)
    used = anna.tokens["refresh_token"]
    for bearer in (used, anna.tokens["refresh_token"]):
        tour("refresh", anna, bearer=bearer)
    tour("refresh", anna)
    tour("refresh", anna, bearer=used)
    tour.sign_in(anna)
    new = tour.marks.password(anna.name)
    for current, chosen in (
        (stranger.password, new),
        (anna.password, anna.address),
        (anna.password, new),
    ):
        body = {"current_password": current, "new_password": chosen}
        tour("change_password", anna, json=body)
    anna.password = new
    for _ in range(2):
        tour("logout", anna)
    tour.sign_in(anna)
    _in_a_browser(tour, anna)


def _in_a_browser(tour: Tour, anna: Visitor) -> None:
    """The refresh token in a cookie, sent by a page of this origin and by another one."""
    here, body = {"Sec-Fetch-Site": "same-origin"}, anna.credentials | {"transport": "cookie"}
    for headers in ({}, here):
        tour("login", anna, json=body, headers=headers)
    for operation in ("refresh", "logout"):
        for headers in ({}, here):
            cookie = {"Cookie": f"__Host-refresh={anna.tokens['refresh_token']}"}
            tour(operation, anna, bearer=None, headers=headers | cookie)
    tour.sign_in(anna)


def reading_mails(tour: Tour, anna: Visitor, ben: Visitor) -> None:
    """What is done with a token from a mail, and without."""
    stranger, guess = tour.visitor("stranger"), tour.marks.word("mailed", "stranger")
    for visitor in (ben, stranger):
        tour("request_email_verification", visitor, json={"email": visitor.address})
    tour.mailed(ben, CONFIRM, 2)
    for visitor in (anna, stranger):
        tour("request_password_reset", visitor, json={"email": visitor.address})
    token, new = tour.mailed(anna, RESET), tour.marks.password(anna.name)
    for sent, chosen in ((guess, new), (token[1:], new), (token, anna.address), (token, new)):
        tour("complete_password_reset", stranger, json={"token": sent, "new_password": chosen})
    anna.password = new
    tour.sign_in(anna)
    moved = tour.visitor("anna", "bücher.example")
    for address, password in (
        (moved.address, stranger.password),
        (ben.address, anna.password),
        (moved.address, anna.password),
    ):
        body = {"email": address, "current_password": password}
        tour("change_email", anna, json=body)
        if address == ben.address:
            taken = tour.mailed(ben, CONFIRM_NEW)
            tour("complete_email_verification", anna, json={"token": taken})
    anna.address = moved.address.replace("bücher", "xn--bcher-kva")  # as mail servers write it
    tour("complete_email_verification", anna, json={"token": tour.mailed(anna, CONFIRM_NEW)})
    anna.address = moved.address
    _undoing(tour)


def _undoing(tour: Tour) -> None:
    """A change of address that its owner takes back."""
    mover, moved = tour.sign_up("welcome"), tour.visitor("welcome")
    tour("complete_email_verification", mover, json={"token": tour.mailed(mover, CONFIRM)})
    body = {"email": moved.address, "current_password": mover.password}
    tour("change_email", mover, json=body)
    tour("complete_email_verification", moved, json={"token": tour.mailed(moved, CONFIRM_NEW)})
    tour("undo_email_change", mover, json={"token": tour.mailed(mover, CHANGED)})


def meeting(tour: Tour, anna: Visitor, ben: Visitor, ada: Visitor) -> None:
    """Profiles and accounts."""
    bio, nobody = tour.marks.words("text", "anna"), str(uuid4())
    tour("list_users", anna, params={"username": "anna"})
    tag = {"If-None-Match": tour("get_user", ben, user_id=anna.id).headers["ETag"]}
    tour("get_user", ben, user_id=anna.id, headers=tag)
    tag = {"If-None-Match": tour("get_me", anna).headers["ETag"]}
    tour("get_me", anna, headers=tag)
    tour("get_user", ben, user_id=nobody)
    for by, of, change, headers in (
        (anna, anna.id, {"bio": bio}, ANY),
        (ada, anna.id, {"bio": bio}, ANY),
        (ben, anna.id, {"bio": bio}, ANY),
        (ada, nobody, {"bio": bio}, ANY),
        (anna, anna.id, {"bio": bio}, {}),
        (anna, anna.id, {"bio": bio}, STALE),
        (ben, ben.id, {"username": "anna"}, ANY),
        (ben, ben.id, {"role": "admin"}, ANY),
        (ada, ada.id, {"role": "user"}, ANY),
    ):
        tour("update_user", by, user_id=of, json=change, headers=headers)
    tour("list_accounts", ada, params={"email": anna.address.upper(), "role": "user"})
    tour("list_accounts", ada, params={"limit": "1", "disabled": "false"})
    tour("list_accounts", ben, params={"email": anna.address})
    tour("list_audit_events", anna, params={"action": "login"})
    tour("list_audit_events", ada, params={"actor_id": anna.id})
    tour("export_account", anna)


def writing(tour: Tour, anna: Visitor, ben: Visitor) -> None:  # posts
    """Posts."""
    post, key = a_post(tour, anna), {"Idempotency-Key": f"post-{anna.address.encode().hex()}"}
    made = tour("create_post", anna, json=post, headers=key)
    for title in (post["title"], "Another"):
        tour("create_post", anna, json=post | {"title": title}, headers=key)
    for length in (100_000, 100_001):
        tour("create_post", ben, json=post | {"content": post["content"].ljust(length, "Ü")})
    id_, nobodys = made.json()["id"], str(uuid4())
    for of, headers in ((id_, {}), (id_, {"If-None-Match": made.headers["ETag"]}), (nobodys, {})):
        tour("get_post", ben, post_id=of, headers=headers)
    tour("list_posts", ben, params={"author_id": anna.id, "limit": "1"})
    tour("search_posts", ben, params={"q": post["title"]})
    tour("update_post", anna, post_id=id_, json=post)
    for operation, body in (("update_post", {"json": post}), ("delete_post", {})):
        for by, of, headers in (
            (ben, id_, ANY),
            (anna, nobodys, ANY),
            (anna, id_, STALE),
            (anna, id_, ANY),
        ):
            tour(operation, by, post_id=of, headers=headers, **body)


def coming(tour: Tour, ben: Visitor, ada: Visitor, cora: Visitor) -> None:
    """An account that an administrator makes, with all that can belong to one."""
    key = {"Idempotency-Key": f"create-{cora.address}"}
    for visitor in (ben, ada, ada):
        tour("create_user", visitor, json=cora.credentials, headers=key)
    tour("create_user", ada, json=cora.credentials | {"password": ben.password}, headers=key)
    tour("create_user", ada, json=cora.credentials)
    tour.sign_in(tour.sign_in(cora))
    for visitor, id_ in ((ada, cora.id), (ben, cora.id), (ada, str(uuid4()))):
        tour("recover_account", visitor, user_id=id_)
    tour("login", cora, json=cora.credentials | {"password": ben.password})
    tour("complete_email_verification", cora, json={"token": tour.mailed(cora, CONFIRM)})
    bio = {"bio": tour.marks.words("text", "cora")}
    tour("update_user", cora, user_id=cora.id, json=bio, headers=ANY)
    for _ in range(2):
        name = {"username": tour.marks.word("text", "cora").lower()}
        tour("update_user", cora, user_id=cora.id, json=name, headers=ANY)
    post, own_key = a_post(tour, cora), {"Idempotency-Key": "cora"}  # posts
    tour("create_post", cora, json=post, headers=own_key)  # posts
    programs.given_a_token(tour, cora)
    tour("request_password_reset", cora, json={"email": cora.address})
    tour.mailed(cora, RESET)
    moved = tour.visitor("cora")
    change = {"email": moved.address, "current_password": cora.password}
    tour("change_email", cora, json=change)
    tour.mailed(moved, CONFIRM_NEW)


def going(tour: Tour, ben: Visitor, ada: Visitor, cora: Visitor) -> None:
    """Accounts that are disabled or deleted."""
    dora = tour.sign_up("dora")
    passkeys.disabled(tour, dora, ada)
    tour("login", dora, json=dora.credentials)
    for by, of, headers in (
        (ben, cora.id, {}),
        (ada, str(uuid4()), {}),
        (ada, ada.id, {}),
        (cora, cora.id, STALE),
        (cora, cora.id, {}),
    ):
        tour("delete_user", by, user_id=of, headers=headers)
    tour("get_me", cora)
    tour("login", cora, json=cora.credentials)


def looking_around(tour: Tour, anna: Visitor, metrics_token: str) -> None:
    """Pages, documents and probes."""
    for operation in (
        "get_home",
        "get_account_page",
        "get_docs",
        "get_jwks",
        "get_liveness",
        "get_readiness",
    ):
        tour(operation, anna)
    for operation in ("get_openapi_yaml", "get_openapi_json"):
        tag = {"If-None-Match": tour(operation, anna).headers["ETag"]}
        tour(operation, anna, headers=tag)
    for bearer in (metrics_token[:-1], anna.tokens["access_token"], metrics_token):
        tour("get_metrics", anna, bearer=bearer)


def a_day(tour: Tour, anna: Visitor, ada: Visitor) -> None:
    """A bit of everything, whatever becomes of it."""
    new, newer = tour.visitor("newcomer"), tour.visitor("newcomer")
    post = a_post(tour, anna)  # posts
    key, bio = {"Idempotency-Key": new.address}, {"bio": tour.marks.words("text", "anna")}
    for operation, by, request in (
        ("register", new, {"json": new.credentials}),
        ("register", new, {"json": anna.credentials}),
        ("login", anna, {"json": anna.credentials}),
        ("login", anna, {"json": anna.credentials}),
        ("login", new, {"json": anna.credentials | {"password": new.password}}),
        ("refresh", anna, {}),
        ("get_me", anna, {}),
        ("list_sessions", anna, {}),
        ("create_post", anna, {"json": post, "headers": key}),  # posts
        ("create_post", anna, {"json": post}),  # posts
        ("search_posts", anna, {"params": {"q": bio["bio"]}}),  # posts
        ("update_user", anna, {"user_id": anna.id, "json": bio, "headers": ANY}),
        ("request_password_reset", anna, {"json": {"email": anna.address}}),
        ("change_email", anna, {"json": {"email": new.address, "current_password": anna.password}}),
        ("complete_email_verification", new, {"json": {"token": tour.marks.word("mailed", "new")}}),
        ("undo_email_change", new, {"json": {"token": tour.marks.word("mailed", "new")}}),
        ("dispute_email_verification", new, {"json": {"token": tour.marks.word("mailed", "new")}}),
        ("list_audit_events", anna, {}),
        ("export_account", anna, {}),
        ("list_accounts", ada, {"params": {"email": anna.address}}),
        ("create_user", ada, {"json": newer.credentials, "headers": key}),
        ("get_readiness", anna, {}),
    ):
        with suppress(httpx.RemoteProtocolError):  # an export that ends too early
            tour(operation, by, **request)


def while_not_ready(tour: Tour, by: Visitor, fault: AbstractContextManager[None]) -> None:
    """A probe notices the fault at its next look, and that it is over."""
    with fault:
        until(lambda: tour("get_readiness", by).status_code == 503)
    until(lambda: tour("get_readiness", by).status_code == 200)


def a_post(tour: Tour, by: Visitor) -> dict[str, str]:  # posts
    return {name: tour.marks.words("text", by.name) for name in ("title", "content")}


def filling_the_quota(tour: Tour, anna: Visitor) -> None:  # posts
    """Posts for which there is no room any more."""
    [post, *_] = tour("list_posts", anna, params={"author_id": anna.id}).json()
    longer = {"content": post["content"] + tour.marks.words("text", "anna")}
    tour("update_post", anna, post_id=post["id"], json=longer, headers=ANY)
    tour("create_post", anna, json={"title": "One more", **longer})
