"""Plausible people and posts in bulk, to try the service out at a size that matters."""

from __future__ import annotations

import random
import re
import secrets
from bisect import bisect
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from service.domain import passwords
from service.domain.words import document
from service.domain.words import words as words_of
from service.engine.database.transaction import connection, db
from service.engine.ids import created_at, first_id_from
from service.engine.problems import InvalidRequest
from service.models import Post, PostDocument, User
from service.models.storage import add_all, text_bytes

PASSWORD = "demo-password"  # noqa: S105 # nosec B105 # no secret: the documentation tells it
ROWS_PER_TRANSACTION = 5000
SPAN = timedelta(days=365)

# Python's own generator is quick, and nobody gains by guessing a demo post.
_random = random.Random()  # noqa: S311 # nosec B311 # invents sentences, no secrets
_ADDRESS = re.compile(r"user([1-9][0-9]{0,14})@example\.com")

_words = ConfigParser(interpolation=None)
_words.read(Path(__file__).with_name("demo_words.txt"), encoding="utf-8")
_WORDS = {}
for _kind, _line in _words["words"].items():
    _WORDS[_kind] = _WORDS[f"{_kind}2"] = [" ".join(word.split()) for word in _line.split("|")]
    _WORDS[_kind.capitalize()] = [word[0].upper() + word[1:] for word in _WORDS[_kind]]


def fill(users: int, posts: int) -> Iterator[int]:
    """Add so many users and posts, yielding how many rows each committed batch had.

    Numbers the users on from the highest there is. Needs an application context; raises
    `InvalidRequest` when there is nobody to write the posts.
    """
    number, authors = _present()
    moment = datetime.now(UTC)
    ids = _ids(users, moment - SPAN, moment)
    hashed = passwords.hashed(PASSWORD)
    people = (_user(id_, number + n, hashed) for n, id_ in enumerate(ids, 1))
    yield from _insert(people, lambda batch: [(User, batch)])

    authors = sorted([*authors, *map(str, ids)])
    if not posts:
        return
    if not authors:
        raise InvalidRequest("Posts need authors: ask for users too.")
    # Nobody writes before the first of them is there.
    first = datetime.fromisoformat(created_at(UUID(authors[0])))
    texts = (_post(id_, authors) for id_ in _ids(posts, max(first, moment - SPAN), moment))
    sizes: list[tuple[str, int]] = []

    def tables(batch: list[dict[str, Any]]) -> list[tuple[Any, list[dict[str, Any]]]]:
        sizes.extend((p["author_id"], text_bytes(p["title"], p["content"])) for p in batch)
        return [(Post, batch), (PostDocument, _documents(batch))]

    yield from _insert(texts, tables)
    with db.transaction() as transaction:
        add_all(sizes)
        transaction.commit()


def _present() -> tuple[int, list[str]]:
    """The highest number of a demo user, and the ids of all of them."""
    with db.transaction(writes=False):
        statement = sa.select(User.id, User.email_key).where(
            User.email_key.like("user%@example.com")
        )
        found = connection().execute(statement).all()
    numbers = {
        row.id: int(match[1]) for row in found if (match := _ADDRESS.fullmatch(row.email_key))
    }
    return max(numbers.values(), default=0), list(numbers)


def _ids(count: int, start: datetime, end: datetime) -> list[UUID]:
    """UUIDv7s of moments spread from `start` to `end`, in order."""
    width = (end - start).total_seconds()
    moments = (start + timedelta(seconds=_random.random() * width) for _ in range(count))
    chance = ((secrets.randbits(12) << 64) | secrets.randbits(62) for _ in range(count))
    return sorted(
        UUID(int=first_id_from(moment).int | bits)
        for moment, bits in zip(moments, chance, strict=True)
    )


def _insert(
    rows: Iterator[dict[str, Any]],
    tables: Callable[[list[dict[str, Any]]], list[tuple[Any, list[dict[str, Any]]]]],
) -> Iterator[int]:
    while batch := list(islice(rows, ROWS_PER_TRANSACTION)):
        with db.transaction() as transaction:
            for model, values in tables(batch):
                connection().execute(sa.insert(model), values)
            transaction.commit()
        yield len(batch)


def _user(id_: UUID, number: int, hashed: str) -> dict[str, Any]:
    moment = created_at(id_)
    return {
        "id": str(id_),
        "email": f"user{number}@example.com",
        "email_key": f"user{number}@example.com",
        "email_verified": True,
        "username": f"{_text('{given}-{family}')}-{number}",
        "bio": _text("{bio}"),
        "password_hash": hashed,
        "role": "user",
        "disabled": False,
        "version": 1,
        "created_at": moment,
        "updated_at": moment,
    }


def _post(id_: UUID, authors: list[str]) -> dict[str, Any]:
    text = str(id_)
    moment = created_at(id_)
    known = max(bisect(authors, text), 1)
    return {
        "id": text,
        "author_id": authors[_random.randrange(known)],
        "title": _text("{title}"),
        "content": _content(),
        "version": 1,
        "created_at": moment,
        "updated_at": moment,
    }


def _content() -> str:
    sentences = _random.choices(_WORDS["sentence"], k=_random.randrange(2, 9))
    breaks = _random.choices([" ", " ", "\n\n"], k=len(sentences))
    return _text("".join(map("".join, zip(breaks, sentences, strict=True))).lstrip())


def _text(template: str) -> str:
    """The template with a word for each name in braces, and for each name in that word."""
    while "{" in template:
        template = template.format_map(_lexicon)
    return template


class _Lexicon:
    def __getitem__(self, name: str) -> str:
        words = _WORDS[name]
        return words[int(_random.random() * len(words))]


_lexicon = _Lexicon()


def _documents(posts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"post_id": post["id"], "words": words, "lexemes": words}
        for post in posts
        for words in [document(post["title"], words_of(post["content"]))]
    ]
