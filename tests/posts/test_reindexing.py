"""Posts that an older version has indexed: found again once `byline db reindex` has run."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from service.domain import words
from service.models import PostDocument
from service.reindexing import renew_documents
from tests.kit.corpus import Corpus
from tests.kit.serving import Server


@pytest.fixture
def old(server: Server) -> Corpus:
    """Posts whose documents are as the first version made them: no pairs, no marks."""
    author = server.sign_up()
    word = f"w{secrets.token_hex(8)}"
    texts = {"tokyo": "昨日東京都に行きました", "tea": "Café"}
    posts = {title: author.post(f"{title} {word}", text)["id"] for title, text in texts.items()}
    for title, text in texts.items():
        made = f"{title} {word} ¶ {title} {word} ¶ {text.lower().replace('é', 'e')}"
        _document(server, posts[title], made)
    return Corpus(word, author, posts)


@pytest.fixture
def reindexing(server: Server) -> Iterator[Iterator[tuple[int, int]]]:
    with server.flask.app_context():
        yield renew_documents()


def test_old_posts_are_found_afterwards(old: Corpus, reindexing: Iterator[tuple[int, int]]) -> None:
    assert old.found("cafe") == {"tea"}
    assert old.found("東京") == set()
    assert sum(renewed for _, renewed in reindexing) >= 2
    assert old.found("東京") == {"tokyo"}
    assert old.found("cafe") == {"tea"}


def test_nothing_is_indexed_twice(old: Corpus, reindexing: Iterator[tuple[int, int]]) -> None:
    assert sum(renewed for _, renewed in reindexing) >= 2
    with old.author.server.flask.app_context():
        assert sum(renewed for _, renewed in renew_documents()) == 0


def test_the_service_reads_and_writes_during_a_reindex(
    old: Corpus, reindexing: Iterator[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.reindexing.DOCUMENTS_READ", 1)
    for number, _ in enumerate(reindexing):
        if number < 5:
            assert old.found("cafe") == {"tea"}
            old.posts[f"n{number}"] = old.author.post(f"n{number} {old.word}", "東京")["id"]
    assert old.found("東京") == {"tokyo", "n0", "n1", "n2", "n3", "n4"}


def test_a_post_that_is_changed_meanwhile_is_found_by_its_new_words(
    old: Corpus, reindexing: Iterator[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    make = words.document

    def change_first(title: str, content: list[str]) -> str:
        if title.startswith("tokyo"):
            monkeypatch.setattr(words, "document", make)
            path = f"/api/posts/{old.posts['tokyo']}"
            change = {"content": "大阪に行きました"}
            answer = old.author.http.patch(path, json=change, headers={"If-Match": "*"})
            assert answer.status_code == 200
        return make(title, content)

    monkeypatch.setattr(words, "document", change_first)
    assert list(reindexing)
    assert old.found("大阪") == {"tokyo"}
    assert old.found("東京") == set()


def test_deleting_a_post_during_a_search_does_no_harm(
    old: Corpus, reindexing: Iterator[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    make = words.document

    def delete_first(title: str, content: list[str]) -> str:
        if title.startswith("tokyo"):
            path = f"/api/posts/{old.posts['tokyo']}"
            assert old.author.http.delete(path).status_code == 204
        return make(title, content)

    monkeypatch.setattr(words, "document", delete_first)
    assert list(reindexing)
    assert old.found("tea") == {"tea"}


def test_a_document_says_which_version_made_it(old: Corpus) -> None:
    made = words.document("A title", words.words("東京"))
    assert re.fullmatch(r"¶[0-9]+ a title .*", made)


def _document(server: Server, post_id: str, made: str) -> None:
    server.execute(
        sa.update(PostDocument)
        .where(PostDocument.post_id == post_id)
        .values(words=made, lexemes=made)
    )
