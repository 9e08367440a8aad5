"""Posts in the export: everybody's own, and whole."""

from __future__ import annotations

from service.engine.spec import schemas
from service.specification import specification
from tests.kit.accounts import listed
from tests.kit.corpus import give_posts
from tests.kit.exports import PATH, lines
from tests.kit.references import resolved
from tests.kit.serving import Person

POST = specification.document["components"]["schemas"]["Post"]
# What JSON escapes, what lines end with elsewhere, what has four bytes or more than one character.
ODD = (
    '"\\/\t\r\n\x01\x7f\x85\u00a0\u2028\u2029\ufeff\u202e{}<&>caf\u00e9 cafe\u0301 \u4e2d\U0001f600'
)
CONTENTS = [f"{n} {ODD * (n % 97 + 1)}" for n in range(330)] + ["\U0001f600" * 100_000]


def exported(person: Person) -> list[dict[str, object]]:
    """The posts in an export, without their type."""
    found = lines(person.http.get(PATH).content)
    assert [line["type"] for line in found] == sorted(
        (line["type"] for line in found), key=specification.export_lines.index
    )
    return [line for line in found if line.pop("type") == "post"]


def test_an_export_has_the_posts_of_who_asks_and_no_others(
    anna: Person, ben: Person, admin: Person
) -> None:
    written = {person.id: person.post()["id"] for person in (anna, ben, admin)}
    for person in (anna, ben, admin):
        assert [post["id"] for post in exported(person)] == [written[person.id]]


def test_exported_posts_are_those_of_the_list_and_fit_the_specification(anna: Person) -> None:
    give_posts(anna, CONTENTS)
    anna.post("By way of the API", ODD)
    posts = exported(anna)
    assert posts == listed(anna.http, "/api/posts", author_id=anna.id, limit=100)
    assert [post["content"] for post in posts] == [ODD, *CONTENTS[::-1]]
    validator = schemas.compiled(resolved(POST))
    assert [str(error) for post in posts for error in validator.iter_errors(post)] == []


def test_the_longest_posts_are_exported_whole(anna: Person) -> None:
    for number in range(20):
        anna.post(f"no. {number}", "x" * 100_000)
    assert [post["content"] for post in exported(anna)] == ["x" * 100_000] * 20
