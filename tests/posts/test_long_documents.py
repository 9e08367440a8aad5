"""SQLite forgets the long posts of a deleted account in steps that hold its lock for a moment."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.accounts import erasure
from service.models import PostDocument
from service.models.long_documents import CUT_CHARACTERS
from tests.kit.serving import Person, Server
from tests.kit.smtp import until

CHARACTERS = "".join(map(chr, range(0x4E00, 0x5E00)))
LONG = "".join(random.Random(1).choices(CHARACTERS, k=20_000))
FIRST, LAST = LONG[:2], LONG[-2:]


@pytest.fixture
def server(serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Server:
    """On SQLite; removes one row after the other, and notes what each step has the index forget."""
    monkeypatch.setattr(erasure, "FIRST_BATCH_ROWS", 1)
    monkeypatch.setattr(erasure, "MAX_ROWS_PER_BATCH", 1)
    server = serve(database_url=f"sqlite:///{tmp_path}/byline.db")
    server.execute(sa.text("CREATE TABLE forgotten (characters INTEGER)"))
    for event, left in (("UPDATE", "length(new.words)"), ("DELETE", "0")):
        server.execute(
            sa.text(
                f"CREATE TRIGGER note_{event} AFTER {event} ON post_documents BEGIN"
                f" INSERT INTO forgotten VALUES (length(old.words) - {left}); END"
            )
        )
    return server


def delete_account(person: Person) -> None:
    assert person.http.delete(f"/api/users/{person.id}").status_code == 204
    statement = sa.text("SELECT count(*) FROM users WHERE id = :id")
    until(lambda: person.server.execute(statement, {"id": person.id}) == [(0,)])


def found(person: Person, query: str) -> list[str]:
    results = person.http.get("/api/search", params={"q": query}).json()["results"]
    return [result["post"]["id"] for result in results]


def check_index(server: Server) -> None:
    """Raises if the index has other words than the documents."""
    statement = "INSERT INTO post_search (post_search, rank) VALUES ('integrity-check', 1)"
    server.execute(sa.text(statement))


def test_a_long_document_leaves_the_index_piece_by_piece(server: Server) -> None:
    anna = server.sign_up()
    anna.post("Long", LONG)
    [[length]] = server.execute(sa.select(sa.func.length(PostDocument.words)))
    delete_account(anna)
    pieces = [size for [size] in server.execute(sa.text("SELECT characters FROM forgotten"))]
    assert max(pieces) < CUT_CHARACTERS + 100
    assert sum(pieces) == length
    check_index(server)


def test_the_same_words_are_found_in_the_posts_of_others_and_in_no_others(server: Server) -> None:
    anna, ben = server.sign_up(), server.sign_up()
    kept = ben.post("Ben's", LONG)["id"]
    anna.post("Anna's", f"{LONG} {LONG}")  # each word twice, in what is cut off and in what is left
    delete_account(anna)
    later = ben.post("Later", "has the number in the index that Anna's had")["id"]
    assert [found(ben, word) for word in (FIRST, LAST)] == [[kept], [kept]]
    assert found(ben, "Anna's number") == [later]
    check_index(server)


def test_a_post_that_its_author_shortens_is_found_by_what_is_left(server: Server) -> None:
    anna = server.sign_up()
    post = anna.post("Long", f"{LONG}。tea tea tea")
    change = {"content": f"{LONG}。tea"}
    path, any_version = f"/api/posts/{post['id']}", {"If-Match": "*"}
    assert anna.http.patch(path, json=change, headers=any_version).status_code == 200
    assert found(anna, "tea") == found(anna, LAST) == [post["id"]]
    assert found(anna, '"tea tea"') == []
    check_index(server)
