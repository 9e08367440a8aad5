"""The whole tour in the generated Python client, which mypy reads as well (test_tours.py).

Arguments: the address of a server, and of one with the same database whose access tokens expire
after a second.
"""

from __future__ import annotations

import json
import sys
import time
from http import HTTPStatus
from typing import TypeVar
from uuid import UUID, uuid4

from byline_client import AuthenticatedClient, Client
from byline_client.api.auth import (
    change_password,
    export_account,
    get_me,
    list_sessions,
    login,
    refresh,
    register,
    revoke_session,
)
from byline_client.api.posts import (
    create_post,
    delete_post,
    get_post,
    list_posts,
    search_posts,
    update_post,
)
from byline_client.api.users import delete_user, get_user
from byline_client.models import (
    Account,
    Credentials,
    NewPost,
    PasswordChange,
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

API, BRIEFLY = sys.argv[1:]
EMAIL, PASSWORD = "tour-in-python@example.com", "correct horse battery staple"
POSTS = 250
PATIENCE = 60  # seconds

anonymous = Client(base_url=API)


def is_(kind: type[T], answer: object) -> T:
    """The answer, if it is what it should be."""
    assert isinstance(answer, kind), answer
    return answer


def signed_in(at: str = API) -> SignIn:
    credentials = Credentials(email=EMAIL, password=PASSWORD)
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
    body = PasswordChange(current_password=PASSWORD, new_password="seven purple herons at dawn")
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


def deleted(client: AuthenticatedClient, post: Post) -> None:
    assert delete_post.sync_detailed(post.id, client=client).status_code == 204
    assert is_(Problem, get_post.sync(post.id, client=anonymous)).code == ProblemCode.NOT_FOUND
    author = post.author.id
    assert is_(User, get_user.sync(author, client=anonymous)).username == post.author.username
    assert delete_user.sync_detailed(author, client=client).status_code == 204
    assert is_(Problem, get_user.sync(author, client=anonymous)).code == ProblemCode.NOT_FOUND


def main() -> None:
    body = Registration(email=EMAIL, password=PASSWORD)
    account = is_(Account, register.sync(client=anonymous, body=body))
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
