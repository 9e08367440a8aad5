"""Posts in the export: everybody's own, and whole."""

from __future__ import annotations

from tests.kit.exports import PATH, lines
from tests.kit.serving import Person


def test_an_export_has_the_posts_of_who_asks_and_no_others(
    anna: Person, ben: Person, admin: Person
) -> None:
    written = {person.id: person.post()["id"] for person in (anna, ben, admin)}
    for person in (anna, ben, admin):
        exported = lines(person.http.get(PATH).content)
        assert [line["id"] for line in exported if line["type"] == "post"] == [written[person.id]]


def test_the_longest_posts_are_exported_whole(anna: Person) -> None:
    for number in range(20):
        anna.post(f"no. {number}", "x" * 100_000)
    exported = lines(anna.http.get(PATH).content)
    contents = [line["content"] for line in exported if line["type"] == "post"]
    assert contents == ["x" * 100_000] * 20
