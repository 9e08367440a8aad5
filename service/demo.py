"""Creates plausible users in bulk, to try the service at a realistic size."""

from __future__ import annotations

import random
import re
import secrets
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from service.domain import passwords
from service.engine.database.transaction import connection, db
from service.engine.ids import created_at, first_id_from
from service.models import User

PASSWORD = "demo-password"  # noqa: S105 # nosec B105 # no secret: the documentation tells it
ROWS_PER_TRANSACTION = 5000
SPAN = timedelta(days=365)

# Python's own generator is fast, and demo data need not be unpredictable.
dice = random.Random()  # noqa: S311 # nosec B311 # invents sentences, no secrets
_ADDRESS = re.compile(r"user([1-9][0-9]{0,14})@example\.com")

_words = ConfigParser(interpolation=None)
_words.read(Path(__file__).with_name("demo_words.txt"), encoding="utf-8")
WORDS = {}
for _kind, _line in _words["words"].items():
    WORDS[_kind] = WORDS[f"{_kind}2"] = [" ".join(word.split()) for word in _line.split("|")]
    WORDS[_kind.capitalize()] = [word[0].upper() + word[1:] for word in WORDS[_kind]]


def fill(users: int) -> Iterator[int]:
    """Add this many users, numbered from the highest existing one; yields the number of rows of
    each committed batch.

    Needs an application context.
    """
    number = max(present().values(), default=0)
    moment = datetime.now(UTC)
    ids = ids_from(users, moment - SPAN, moment)
    hashed = passwords.hashed(PASSWORD)
    people = (_user(id_, number + n, hashed) for n, id_ in enumerate(ids, 1))
    yield from insert(people, lambda batch: [(User, batch)])


def present() -> dict[str, int]:
    """The number of each existing demo user, by id."""
    with db.transaction(writes=False):
        statement = sa.select(User.id, User.email_key).where(
            User.email_key.like("user%@example.com")
        )
        found = connection().execute(statement).all()
    return {row.id: int(match[1]) for row in found if (match := _ADDRESS.fullmatch(row.email_key))}


def ids_from(count: int, start: datetime, end: datetime) -> list[UUID]:
    """UUIDv7s with times spread from `start` to `end`, in order."""
    width = (end - start).total_seconds()
    moments = (start + timedelta(seconds=dice.random() * width) for _ in range(count))
    chance = ((secrets.randbits(12) << 64) | secrets.randbits(62) for _ in range(count))
    return sorted(
        UUID(int=first_id_from(moment).int | bits)
        for moment, bits in zip(moments, chance, strict=True)
    )


def insert(
    rows: Iterator[dict[str, Any]],
    tables: Callable[[list[dict[str, Any]]], list[tuple[Any, list[dict[str, Any]]]]],
) -> Iterator[int]:
    """Insert rows batch by batch, as those of the tables given; yields the sizes of the batches."""
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
        "username": f"{text('{given}-{family}')}-{number}",
        "bio": text("{bio}"),
        "password_hash": hashed,
        "role": "user",
        "disabled": False,
        "version": 1,
        "created_at": moment,
        "updated_at": moment,
    }


def text(template: str) -> str:
    """The template with each name in braces replaced by a word, recursively."""
    while "{" in template:
        template = template.format_map(_lexicon)
    return template


class _Lexicon:
    def __getitem__(self, name: str) -> str:
        words = WORDS[name]
        return words[int(dice.random() * len(words))]


_lexicon = _Lexicon()
