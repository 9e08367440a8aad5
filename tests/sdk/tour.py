"""The whole tour in the Python client, which mypy and pyright read as well (test_tours.py).

Arguments: the address of a server, and of one with the same database whose access tokens expire
after a second; the folder of their mails; and an access token of an administrator.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from uuid import UUID

from byline_client import (
    ApiError,
    AuthenticatedClient,
    Byline,
    InvalidCredentials,
    MemoryStore,
    NotFound,
    PreconditionFailed,
    SessionRevoked,
    TokenExpired,
)
from byline_client.api.auth import export_account
from byline_client.api.posts import create_post, get_post
from byline_client.models import Account, NewPost, Post
from byline_client.types import File

API, BRIEFLY, MAILS, ADMIN = sys.argv[1:]
EMAIL, PASSWORD = "tour-in-python@example.com", "correct horse battery staple"
NEW_PASSWORD = "seven purple herons at dawn"
POSTS = 250
PATIENCE = 60  # seconds

anonymous = Byline(API)


def raised(kind: type[ApiError], call: Callable[[], object]) -> ApiError:
    """The error of a call, which is of this kind."""
    try:
        answer = call()
    except kind as error:
        return error
    raise AssertionError(answer)


def signed_in(email: str = EMAIL, password: str = PASSWORD) -> Byline:
    byline = Byline(API)
    assert byline.sign_in(email, password).user.email == email
    return byline


def stayed() -> tuple[Byline, AuthenticatedClient]:
    """Signed in over the end of an access token, and a client for the functions in `api`."""
    events: list[str] = []
    store = MemoryStore()
    byline = Byline(BRIEFLY, store=store, on_auth_change=events.append)
    expiring = Byline(API, byline.sign_in(EMAIL, PASSWORD).access_token)
    deadline = time.monotonic() + PATIENCE
    while True:
        assert time.monotonic() < deadline
        try:
            expiring.auth.get_me()
        except TokenExpired:
            break
        time.sleep(0.05)
    assert byline.auth.get_me().email == EMAIL
    assert events == ["signed-in", "refreshed"]
    return signed_in(), AuthenticatedClient(API, token=signed_in().auth.refresh().access_token)


def retried(client: AuthenticatedClient) -> None:
    """A post that is sent twice and written once; these are functions of `api`."""
    body = NewPost(title="In the Café", content="Two at the Café.")
    first = create_post.sync_detailed(client=client, body=body, idempotency_key="one")
    again = create_post.sync_detailed(client=client, body=body, idempotency_key="one")
    assert first.status_code == again.status_code == HTTPStatus.CREATED
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert first.parsed == again.parsed
    assert isinstance(first.parsed, Post)
    assert first.headers["Location"] == f"/api/posts/{first.parsed.id}"
    tag = first.headers["ETag"]
    assert first.parsed.etag == tag
    read = get_post.sync_detailed(first.parsed.id, client=client, if_none_match=tag)
    assert read.status_code == HTTPStatus.NOT_MODIFIED


def changed(byline: Byline) -> Post:
    """A change is made from the version that was read, and from no other."""
    [post] = byline.posts.list()
    assert byline.posts.update(byline.posts.get(post), title="In a café").title == "In a café"
    stale = raised(PreconditionFailed, lambda: byline.posts.update(post, title="In the other café"))
    assert stale.current == byline.posts.get(post.id)
    assert stale.current.title == "In a café"
    return byline.posts.change(post, lambda seen: {"content": f"{seen.content} Twice."})


def paged(byline: Byline, author: UUID, written: list[UUID]) -> None:
    """Every post once, newest first, by the links."""
    posts = byline.posts.list(author_id=author, limit=40)
    assert [post.id for post in posts] == written[::-1]
    assert len(list(posts.pages())) == -(-len(written) // 40)


def searched(byline: Byline, post: Post) -> None:
    [result] = byline.posts.search(q="cafe").results
    assert result.post.id == post.id
    assert result.snippet == "Two at the <mark>Café</mark>. Twice."


def signed_out_elsewhere(byline: Byline) -> None:
    """Other sessions are seen and ended, and their tokens are no longer good."""
    elsewhere = signed_in()
    for session in byline.auth.list_sessions(limit=1):
        if not session.current:
            byline.auth.revoke_session(session)
    raised(SessionRevoked, elsewhere.auth.get_me)
    assert len(list(byline.auth.list_sessions())) == 1


def secured() -> Byline:
    """A new password ends every session, the caller's too, and starts the one that goes on."""
    byline, other = signed_in(), signed_in()
    byline.auth.change_password(current_password=PASSWORD, new_password=NEW_PASSWORD)
    raised(SessionRevoked, other.auth.get_me)
    assert byline.auth.get_me().email == EMAIL
    return byline


def exported(byline: Byline, posts: int) -> None:
    """Everything, in one piece and line by line."""
    client = AuthenticatedClient(API, token=byline.auth.refresh().access_token)
    whole = export_account.sync(client=client)
    assert isinstance(whole, File), whole
    lines = list(byline.auth.export())
    assert len(lines) == len(whole.payload.read().splitlines()) + 1  # the event of the first export
    assert isinstance(lines[0], Account)
    assert lines[0].email == EMAIL
    assert len([line for line in lines if isinstance(line, Post)]) == posts


def mailed(address: str, subject: str, number: int = 1) -> str:
    """The token in the mail of this number and subject to an address, once it has come."""
    deadline = time.monotonic() + PATIENCE
    while True:
        mails = [path.read_text() for path in sorted(Path(MAILS).glob("*.eml"))]
        to, about = f"\nTo: {address}\n", f"] {subject}\n"
        found = [mail for mail in mails if to in mail and about in mail]
        if len(found) >= number:
            return str(re.findall(r"\?token=([\w-]+)", found[number - 1])[0])
        assert time.monotonic() < deadline, subject
        time.sleep(0.05)


def confirmed(address: str, subject: str, number: int = 1) -> None:
    anonymous.auth.complete_email_verification(token=mailed(address, subject, number))


def disputed() -> None:
    """Somebody else has registered an address; its owner ends that account."""
    address = f"disputed-{EMAIL}"
    anonymous.auth.register(email=address, password=PASSWORD)
    token = mailed(address, "Confirm your e-mail address")
    anonymous.auth.dispute_email_verification(token=token)
    raised(InvalidCredentials, lambda: signed_in(address))


def taken_back() -> None:
    """An address is confirmed by a second mail, stolen, taken back, and its account recovered."""
    address, thief = f"owner-{EMAIL}", f"thief-{EMAIL}"
    account = anonymous.auth.register(email=address, password=PASSWORD)
    mailed(address, "Confirm your e-mail address")
    anonymous.auth.request_email_verification(email=address)
    confirmed(address, "Confirm your e-mail address", 2)

    byline = signed_in(address)
    byline.auth.change_email(email=thief, current_password=PASSWORD)
    confirmed(thief, "Confirm your new e-mail address")
    anonymous.auth.undo_email_change(token=mailed(address, "Your e-mail address was changed"))
    raised(SessionRevoked, byline.auth.get_me)

    mailed(address, "Choose a new password")
    Byline(API, ADMIN).users.recover_account(account)
    token = mailed(address, "Choose a new password", 2)
    anonymous.auth.complete_password_reset(token=token, new_password=NEW_PASSWORD)
    signed_in(address, NEW_PASSWORD)


def deleted(byline: Byline, post: Post) -> None:
    byline.posts.delete(post)
    raised(NotFound, lambda: anonymous.posts.get(post))
    author = anonymous.users.get(post.author.id)
    assert author.username == post.author.username
    byline.users.delete(author)
    raised(NotFound, lambda: anonymous.users.get(author))


def main() -> None:
    disputed()
    taken_back()
    account = anonymous.auth.register(email=EMAIL, password=PASSWORD)
    byline, client = stayed()
    retried(client)
    post = changed(byline)
    written = [post.id]
    new = (f"Number {number}" for number in range(1, POSTS))
    written += [byline.posts.create(title=title, content="Some words.").id for title in new]
    paged(byline, account.id, written)
    searched(byline, post)
    signed_out_elsewhere(byline)
    byline = secured()
    exported(byline, POSTS)
    deleted(byline, post)


main()
