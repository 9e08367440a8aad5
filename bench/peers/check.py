"""Whether a peer answers as Byline does, so that nobody is measured at less than the same work."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from typing import Any, NamedTuple

POSTS = "/api/posts"
ME = "/auth/me"
NEW_POST = {"title": "Notes on tea", "content": "Warm the pot first, then wait.\nDrink it hot."}
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?Z")
EXPECTED = {"id", "email", "username", "role"}  # of an account, at least


class Answer(NamedTuple):
    status: int
    data: Any


def check(
    name: str, url: str, reference: str, path_of_post: str, token: str, reference_token: str
) -> None:
    """Compare a peer with the Byline at `reference`, on copies of one database.

    Raises SystemExit with one line that names the first difference. Writes a post to both.
    """

    def both(path: str, body: dict[str, str] | None = None) -> tuple[Answer, Answer]:
        expected = asked(reference, path, reference_token, body)
        if expected.status >= 400:
            raise SystemExit(f"Byline itself refuses {path} with {expected.status}")
        return with_microseconds(asked(url, path, token, body)), with_microseconds(expected)

    # The newest posts may be of the measurements; those after an old one are the same for ever.
    after = path_of_post.rpartition("/")[2]
    for path in (path_of_post, f"{POSTS}?limit=20&after={after}"):
        _require(name, f"GET {path}", *both(path))

    newest, expected = both(f"{POSTS}?limit=20")
    _require(name, f"GET {POSTS}", _shape(newest), _shape(expected))

    me, expected = both(ME)
    fields = me.data.keys() | EXPECTED if isinstance(me.data, dict) else EXPECTED
    account = {field: value for field, value in expected.data.items() if field in fields}
    _require(name, f"GET {ME}", me, Answer(expected.status, account))
    _require(name, f"GET {ME} without a token", asked(url, ME).status, asked(reference, ME).status)

    post, expected = both(POSTS, NEW_POST)
    _require(name, f"POST {POSTS}", _shape(post), _shape(expected))
    for field in ("title", "content", "author"):
        _require(name, f"{field} of POST {POSTS}", post.data[field], expected.data[field])
    kept = with_microseconds(asked(url, f"{POSTS}/{post.data['id']}"))
    _require(name, f"GET of what POST {POSTS} has written", kept, Answer(200, post.data))


def asked(url: str, path: str, token: str = "", body: dict[str, str] | None = None) -> Answer:
    """Status and data of an answer: to a POST if there is a body."""
    headers = {"Content-Type": "application/json"} if body else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    content = json.dumps(body).encode() if body else None
    try:
        with urllib.request.urlopen(urllib.request.Request(url + path, content, headers)) as answer:
            return Answer(answer.status, _data(answer.read()))
    except urllib.error.HTTPError as refusal:
        with refusal:
            return Answer(refusal.code, _data(refusal.read()))


def _data(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content


def with_microseconds(value: Any) -> Any:
    """The value with every moment in one form: a peer may write more or fewer digits."""
    match value:
        case Answer(status, data):
            return Answer(status, with_microseconds(data))
        case dict():
            return {field: with_microseconds(each) for field, each in value.items()}
        case list():
            return [with_microseconds(each) for each in value]
        case str() if moment := _MOMENT.fullmatch(value):
            return f"{moment[1]}.{moment[2] or '':0<6}Z"
    return value


def _shape(value: Any) -> Any:
    """The value with the types of its leaves in their place."""
    match value:
        case Answer(status, data):
            return Answer(status, _shape(data))
        case dict():
            return {field: _shape(each) for field, each in value.items()}
        case list():
            return [_shape(each) for each in value]
    return type(value).__name__


def _require(name: str, what: str, given: Any, expected: Any) -> None:
    if given != expected:
        where = _difference(given, expected)
        raise SystemExit(f"{name} answers otherwise than Byline does: {what}, {where}")


def _difference(given: Any, expected: Any, at: str = "it") -> str:
    """The first place where two values are not the same."""
    match given, expected:
        case Answer(), Answer():
            given, expected = given._asdict(), expected._asdict()
        case list(), list():
            given, expected = dict(enumerate(given)), dict(enumerate(expected))
    if isinstance(given, dict) and isinstance(expected, dict):
        for place in expected | given:
            if place not in given:
                return f"{place} of {at} is missing"
            if place not in expected:
                return f"{place} of {at} is too much"
            if given[place] != expected[place]:
                return _difference(given[place], expected[place], f"{place} of {at}")
    return f"{at} is {_brief(given)} instead of {_brief(expected)}"


def _brief(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:80]}..."
