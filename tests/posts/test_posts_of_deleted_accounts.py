"""The posts of a deleted account are gone for everybody at once, and are removed later."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import func, insert, select

from service.accounts import erasure
from service.engine.database import listing
from service.models import Deletion, Post, PostDocument, User
from tests.kit.accounts import ANY, listed, told
from tests.kit.serving import Person, Server
from tests.kit.smtp import until


@pytest.fixture
def rows_stay(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Nothing is removed, until the test calls this."""
    monkeypatch.setattr(Deletion, "claim", classmethod(lambda _: None))
    return monkeypatch.undo


def delete_account(person: Person) -> None:
    assert person.http.delete(f"/api/users/{person.id}").status_code == 204


def rows(server: Server, person: Person) -> list[int]:
    """How many rows there are of an account: of the user, of posts and of their documents."""
    mine = Post.author_id == person.id
    counts = [
        select(func.count()).where(User.id == person.id),
        select(func.count()).where(mine),
        select(func.count()).select_from(PostDocument).join(Post).where(mine),
    ]
    return [server.execute(count)[0][0] for count in counts]


def write(person: Person, number: int = 1) -> list[str]:
    return [person.post(f"Number {n}")["id"] for n in range(number)]


def pages(http: httpx.Client, query: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """The pages of a list of posts, of which some end early."""
    answer = http.get("/api/posts", params=query)
    yield answer.json()
    while "next" in answer.links:
        answer = http.get(answer.links["next"]["url"])
        yield answer.json()


def test_the_posts_of_a_deleted_account_are_404_at_once(
    server: Server, anonymous: httpx.Client, anna: Person, ben: Person, rows_stay: Any
) -> None:
    word = f"w{secrets.token_hex(6)}"
    post = anna.post("A title", word)
    tag = anonymous.get(f"/api/posts/{post['id']}").headers["etag"]
    kept = ben.post("Another", f"{word} too")
    delete_account(anna)
    assert rows(server, anna) == [1, 1, 1]
    path = f"/api/posts/{post['id']}"
    assert told(anonymous.get(path, headers={"If-None-Match": tag})) == (404, "not-found")
    for order in ("newest", "oldest"):
        mine = listed(anonymous, "/api/posts", author_id=anna.id, order=order)
        assert mine == []
        all_ids = [post["id"] for post in listed(anonymous, "/api/posts", limit=100, order=order)]
        assert post["id"] not in all_ids
        assert kept["id"] in all_ids
    page = anonymous.get("/api/posts", params={"author_id": anna.id})
    assert "link" not in page.headers
    found = anonymous.get("/api/search", params={"q": word, "limit": 1}).json()["results"]
    assert [hit["post"]["id"] for hit in found] == [kept["id"]]


@pytest.mark.parametrize("is_first", [True, False])
def test_a_search_finds_the_posts_of_others_while_an_account_is_removed(
    serve: Callable[..., Server], rows_stay: Any, is_first: bool
) -> None:
    server = serve()
    gone, stays = server.sign_up(), server.sign_up()
    for person in (gone, stays) if is_first else (stays, gone):
        person.post("A word", "word " * (2 if person is gone else 1))  # the better match goes
    delete_account(gone)
    for limit in (1, 10):
        found = stays.http.get("/api/search", params={"q": "word", "limit": limit}).json()
        assert [hit["post"]["author"]["id"] for hit in found["results"]] == [stays.id]


def test_administrators_cannot_change_or_delete_a_hidden_post(
    anna: Person, admin: Person, rows_stay: Any
) -> None:
    [post_id] = write(anna)
    delete_account(anna)
    path = f"/api/posts/{post_id}"
    answer = admin.http.patch(path, json={"title": "x"}, headers=ANY)
    assert told(answer) == (404, "not-found")
    assert told(admin.http.delete(path)) == (404, "not-found")
    assert told(admin.http.delete(path, headers=ANY)) == (404, "not-found")


def test_pages_skip_a_long_run_of_hidden_posts(
    server: Server,
    anonymous: httpx.Client,
    anna: Person,
    ben: Person,
    rows_stay: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listing, "HIDDEN_ROWS_PER_STATEMENT", 3)
    monkeypatch.setattr(listing, "MAX_HIDDEN_STATEMENTS", 2)
    [first] = write(ben)
    mine = [first]
    for hidden in (30, 1, 2, 13):
        write(anna, hidden)
        mine += write(ben, 2)
    write(anna, 9)
    since = server.execute(select(Post.created_at).where(Post.id == first))[0][0]
    delete_account(anna)
    for order in ("newest", "oldest"):
        query = {"limit": 2, "order": order, "created_after": since}
        items = [post["id"] for page in pages(anonymous, query) for post in page]
        found = [id_ for id_ in items if id_ in mine]
        assert len(items) == len(set(items))
        assert set(found) >= set(mine[1:])
        assert found == sorted(found, reverse=order == "newest")


def test_the_posts_of_a_deleted_account_are_removed_in_small_batches(
    server: Server, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(anna, 12)
    assert rows(server, anna) == [1, 12, 12]
    sizes: list[int] = []
    remove = erasure.deletions.OwnedRows.remove

    def counted(owned: Any, keys: Any) -> None:
        sizes.append(len(keys))
        remove(owned, keys)

    monkeypatch.setattr(erasure, "MAX_ROWS_PER_BATCH", 5)
    monkeypatch.setattr(erasure.deletions.OwnedRows, "remove", counted)
    delete_account(anna)
    until(lambda: rows(server, anna) == [0] * 3)
    assert max(sizes) <= 5
    assert sum(sizes) >= 12
    left = server.execute(select(func.count()).where(Deletion.user_id == anna.id))
    assert left == [(0,)]


def test_a_post_written_to_a_hidden_account_is_removed_too(
    server: Server, anna: Person, rows_stay: Callable[[], None]
) -> None:
    [post_id] = write(anna)
    delete_account(anna)
    moment = server.execute(select(Post.created_at).where(Post.id == post_id))[0][0]
    late = {"id": "01a20411-99fb-7f52-8c1d-e9604b7a35d2", "author_id": anna.id, "version": 1}
    times = {"created_at": moment, "updated_at": moment}
    server.execute(insert(Post).values(**late, **times, title="Late", content="x"))
    rows_stay()
    server.flask.extensions["erasure"].wake()
    until(lambda: rows(server, anna) == [0] * 3)
