"""What the generated modules say about an operation, and how they prepare its arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar, cast
from uuid import UUID, uuid4

import httpx

from ..types import UNSET, Unset

A = TypeVar("A")
T = TypeVar("T")
Request = dict[str, Any]  # arguments of `httpx.Client.build_request`

UNKNOWN = ""  # the tag of an object from a list, which comes without one
ANY = "*"
NO_VERSION = '"-"'  # no version has it


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """An operation of the service.

    `name` is that of its method (`posts.create`), `bearer` the token to send, `media` the media
    types of a success, none if it has no body, and `read` what makes a value of a success.
    `repeatable` operations may be sent again when it is not known whether the first was received.
    """

    name: str
    bearer: Literal["none", "access", "refresh", "either"]
    media: tuple[str, ...]
    read: Callable[[httpx.Response], T]
    repeatable: bool = False
    gives_tokens: bool = False
    ends_session: bool = False


@dataclass(frozen=True, slots=True)
class Current(Generic[T]):
    """How to read what a request changes, and the object that the caller has of it, if any."""

    operation: Operation[T]
    request: Request
    seen: Any = None


class Model(Protocol):
    def to_dict(self) -> dict[str, Any]: ...


def identifier(value: object) -> UUID:
    """The id of an object, or a value that is one already. Not every text is good in a path: some
    would change which resource it is."""
    found = getattr(value, "id", value)
    if found is None or str(found) in {"", ".", ".."}:
        raise ValueError(f"{found!r} is not an id")
    return cast(UUID, found)  # the service says whether it is one


def model(read: Callable[[Mapping[str, Any]], T], value: T | Mapping[str, Any]) -> T:
    """A model, which may be given as its JSON."""
    return read(cast(Mapping[str, Any], value)) if isinstance(value, Mapping) else value


def unless_empty(body: A) -> A | Unset:
    """An optional body of which nothing was given is left out."""
    return body if cast(Model, body).to_dict() else UNSET


def key(given_key: str | None) -> str:
    """The key that makes a request safe to repeat."""
    return given_key or str(uuid4())


def tag(value: object, if_match: str | None) -> str:
    """The version that a change is based on: that of the object that was read. Any, if only the
    id was given; UNKNOWN, if the object came in a list."""
    if if_match is not None:
        return if_match
    return (getattr(value, "etag", None) or UNKNOWN) if hasattr(value, "to_dict") else ANY


def optional_tag(value: object, if_match: str | None) -> str | Unset:
    """The same for operations that demand none."""
    return if_match or getattr(value, "etag", None) or UNSET


def same(fresh: Model, seen: Model) -> bool:
    """Whether two objects say the same about what they have in common."""
    one, other = fresh.to_dict(), seen.to_dict()
    return all(one[name] == other[name] for name in one.keys() & other.keys())
