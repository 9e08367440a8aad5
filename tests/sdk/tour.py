"""The whole tour in the generated Python client, which mypy reads as well (test_tours.py).

Arguments: the address of a server, and of one with the same database whose access tokens expire
after a second; the folder of their mails; and an access token of an administrator.
"""

from __future__ import annotations

import json
import re
import sys
import time
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar
from uuid import UUID, uuid4

from byline_client import AuthenticatedClient, Client
from byline_client.api.auth import (
    change_email,
    change_password,
    complete_email_verification,
    complete_password_reset,
    dispute_email_verification,
    export_account,
    get_me,
    list_sessions,
    login,
    refresh,
    register,
    request_email_verification,
    revoke_session,
    undo_email_change,
)
from byline_client.api.posts import (
    create_post,
    delete_post,
    get_post,
    list_posts,
    search_posts,
    update_post,
)
from byline_client.api.users import delete_user, get_user, recover_account
from byline_client.models import (
    Account,
    Credentials,
    EmailChange,
    EmailVerification,
    EmailVerificationRequest,
    NewPost,
    PasswordChange,
    PasswordReset,
    Post,
    PostChanges,
    Problem,
    ProblemCode,
    Registration,
    SearchResults,
    SignIn,
    TokenPair,
    User,
)
from byline_client.types import UNSET, File, Response, Unset

T = TypeVar("T")

API, BRIEFLY, MAILS, ADMIN = sys.argv[1:]
EMAIL, PASSWORD = "tour-in-python@example.com", "correct horse battery staple"
NEW_PASSWORD = "seven purple herons at dawn"
POSTS = 250
PATIENCE = 60  # seconds

anonymous = Client(base_url=API)


def is_(kind: type[T], answer: object) -> T:
    """The answer, if it is what it should be."""
    assert isinstance(answer, kind), answer
    return answer


def registered(email: str) -> Account:
    body = Registration(email=email, password=PASSWORD)
    return is_(Account, register.sync(client=anonymous, body=body))


def signed_in(at: str = API, *, email: str = EMAIL, password: str = PASSWORD) -> SignIn:
    credentials = Credentials(email=email, password=password)
    return is_(SignIn, login.sync(client=Client(base_url=at), body=credentials))


def bearing(token: str) -> AuthenticatedClient:
    return AuthenticatedClient(base_url=API, token=token)


def refreshed(tokens: SignIn | TokenPair) -> TokenPair:
    """A new pair, once the access token has expired."""
    deadline = time.monotonic() + PATIENCE
    while isinstance(answer := get_me.sync(client=bearing(tokens.access_token)), Account):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert is_(Problem, answer).code == ProblemCode.TOKEN_EXPIRED
    return is_(TokenPair, refresh.sync(client=bearing(tokens.refresh_token)))


def retried(client: AuthenticatedClient) -> Post:
    """A post that is sent twice and written once."""
    body, key = NewPost(title="In the Café", content="Two at the Café."), str(uuid4())
    first = create_post.sync_detailed(client=client, body=body, idempotency_key=key)
    again = create_post.sync_detailed(client=client, body=body, idempotency_key=key)
    assert first.status_code == again.status_code == HTTPStatus.CREATED
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert first.parsed == again.parsed
    assert first.headers["Location"] == f"/api/posts/{is_(Post, first.parsed).id}"
    return is_(Post, first.parsed)


def changed(client: AuthenticatedClient, post: Post) -> None:
    """A change is made from the version that was read, and from no other."""
    etag = get_post.sync_detailed(post.id, client=client).headers["ETag"]
    unchanged = get_post.sync_detailed(post.id, client=client, if_none_match=etag)
    assert unchanged.status_code == HTTPStatus.NOT_MODIFIED

    def change(title: str) -> Response[Post | Problem]:
        body = PostChanges(title=title)
        return update_post.sync_detailed(post.id, client=client, body=body, if_match=etag)

    assert is_(Post, change("In a café").parsed).title == "In a café"
    stale = change("In the other café")
    assert stale.status_code == HTTPStatus.PRECONDITION_FAILED
    assert is_(Problem, stale.parsed).code == ProblemCode.PRECONDITION_FAILED
    assert is_(Post, get_post.sync(post.id, client=client)).title == "In a café"


def paged(client: AuthenticatedClient, author: UUID, written: list[UUID]) -> None:
    """Every post once, newest first, by the links."""
    found: list[UUID] = []
    after: UUID | Unset = UNSET
    pages = 0
    while True:
        page = list_posts.sync_detailed(client=client, author_id=author, limit=40, after=after)
        assert isinstance(page.parsed, list), page.parsed
        found += [post.id for post in page.parsed]
        pages += 1
        if "Link" not in page.headers:
            break
        after = found[-1]
        assert f"after={after}" in page.headers["Link"]
    assert found == written[::-1]
    assert pages == -(-len(written) // 40)


def searched(client: AuthenticatedClient, post: Post) -> None:
    [result] = is_(SearchResults, search_posts.sync(client=client, q="cafe")).results
    assert (result.post.id, result.snippet) == (post.id, "Two at the <mark>Café</mark>.")


def signed_out_elsewhere(client: AuthenticatedClient) -> None:
    """Another session is seen, ended, and its token no longer good."""
    elsewhere = bearing(signed_in().access_token)
    sessions = list_sessions.sync(client=client)
    assert isinstance(sessions, list), sessions
    [other] = [session for session in sessions if not session.current]
    assert revoke_session.sync_detailed(other.id, client=client).status_code == 204
    assert is_(Problem, get_me.sync(client=elsewhere)).code == ProblemCode.SESSION_REVOKED


def secured() -> AuthenticatedClient:
    """A new password ends every session, the caller's too, and starts the one that goes on."""
    before = bearing(signed_in().access_token)
    body = PasswordChange(current_password=PASSWORD, new_password=NEW_PASSWORD)
    pair = is_(TokenPair, change_password.sync(client=before, body=body))
    assert is_(Problem, get_me.sync(client=before)).code == ProblemCode.SESSION_REVOKED
    after = bearing(pair.access_token)
    assert is_(Account, get_me.sync(client=after)).email == EMAIL
    return after


def exported(client: AuthenticatedClient, posts: int) -> None:
    """Everything, in one piece and line by line."""
    whole = is_(File, export_account.sync(client=client)).payload.read().splitlines()
    with client.get_httpx_client().stream("GET", "/auth/export") as export:
        lines = [json.loads(line) for line in export.iter_lines()]
    assert len(lines) == len(whole) + 1  # the event of the first export
    assert Account.from_dict(lines[0]).email == EMAIL
    assert len([Post.from_dict(line) for line in lines if line["type"] == "post"]) == posts


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
    body = EmailVerification(token=mailed(address, subject, number))
    answer = complete_email_verification.sync_detailed(client=anonymous, body=body)
    assert answer.status_code == HTTPStatus.NO_CONTENT


def disputed() -> None:
    """Somebody else has registered an address; its owner ends that account."""
    address = f"disputed-{EMAIL}"
    registered(address)
    body = EmailVerification(token=mailed(address, "Confirm your e-mail address"))
    answer = dispute_email_verification.sync_detailed(client=anonymous, body=body)
    assert answer.status_code == HTTPStatus.NO_CONTENT
    refused = login.sync(client=anonymous, body=Credentials(email=address, password=PASSWORD))
    assert is_(Problem, refused).code == ProblemCode.INVALID_CREDENTIALS


def taken_back() -> None:
    """An address is confirmed by a second mail, stolen, taken back, and its account recovered."""
    address, thief = f"owner-{EMAIL}", f"thief-{EMAIL}"
    account = registered(address)
    mailed(address, "Confirm your e-mail address")
    ask = EmailVerificationRequest(email=address)
    asked = request_email_verification.sync_detailed(client=anonymous, body=ask)
    assert asked.status_code == HTTPStatus.ACCEPTED
    confirmed(address, "Confirm your e-mail address", 2)

    client = bearing(signed_in(email=address).access_token)
    change = EmailChange(email=thief, current_password=PASSWORD)
    assert change_email.sync_detailed(client=client, body=change).status_code == 202
    confirmed(thief, "Confirm your new e-mail address")
    body = EmailVerification(token=mailed(address, "Your e-mail address was changed"))
    undone = undo_email_change.sync_detailed(client=anonymous, body=body)
    assert undone.status_code == HTTPStatus.NO_CONTENT
    assert is_(Problem, get_me.sync(client=client)).code == ProblemCode.SESSION_REVOKED

    mailed(address, "Choose a new password")
    recovery = recover_account.sync_detailed(account.id, client=bearing(ADMIN))
    assert recovery.status_code == HTTPStatus.ACCEPTED
    token = mailed(address, "Choose a new password", 2)
    reset = PasswordReset(token=token, new_password=NEW_PASSWORD)
    done = complete_password_reset.sync_detailed(client=anonymous, body=reset)
    assert done.status_code == HTTPStatus.NO_CONTENT
    assert signed_in(email=address, password=NEW_PASSWORD).user.email == address


def deleted(client: AuthenticatedClient, post: Post) -> None:
    assert delete_post.sync_detailed(post.id, client=client).status_code == 204
    assert is_(Problem, get_post.sync(post.id, client=anonymous)).code == ProblemCode.NOT_FOUND
    author = post.author.id
    assert is_(User, get_user.sync(author, client=anonymous)).username == post.author.username
    assert delete_user.sync_detailed(author, client=client).status_code == 204
    assert is_(Problem, get_user.sync(author, client=anonymous)).code == ProblemCode.NOT_FOUND


def main() -> None:
    disputed()
    taken_back()
    account = registered(EMAIL)
    client = bearing(refreshed(signed_in(at=BRIEFLY)).access_token)
    post = retried(client)
    changed(client, post)
    written = [post.id]
    for number in range(1, POSTS):
        new = NewPost(title=f"Number {number}", content="Some words.")
        written.append(is_(Post, create_post.sync(client=client, body=new)).id)
    paged(client, account.id, written)
    searched(client, post)
    signed_out_elsewhere(client)
    client = secured()
    exported(client, POSTS)
    deleted(client, post)


main()
