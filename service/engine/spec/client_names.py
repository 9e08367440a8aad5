"""What clients call the operations: `create_task` of the tag `tasks` is `tasks.create`.

The generated clients and the code samples in the published document both read the names here.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from service.engine.spec.documents import operations

# A page is for people, not for programs.
_PAGE = "text/html"
# In JavaScript, what these mean is not ours to change: `await` calls a method `then`, for example.
_TAKEN = frozenset({"constructor", "then", "to_string", "to_json", "value_of"})
# Methods that clients have of their own, if there are operations for them.
SIGN_IN, SIGN_OUT = "sign_in", "sign_out"
# Members that clients have beside the tags.
_MEMBERS = frozenset({"aclose", "close", "request", SIGN_IN, SIGN_OUT})
# After these, the noun is needed: `sort_by_task` is not `sort_by`.
_PREPOSITIONS = frozenset(
    {"as", "at", "by", "for", "from", "in", "of", "on", "to", "with", "without"}
)
_NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*", re.ASCII)


class ClientName(NamedTuple):
    """The tag and the method of an operation, in snake_case as in the document.

    `python_tag` and `python` are the names of the attributes in Python, `typescript_tag` and
    `typescript` those of the members in TypeScript.
    """

    tag: str
    method: str

    @property
    def python_tag(self) -> str:
        return _python(self.tag)

    @property
    def python(self) -> str:
        return _python(self.method)

    @property
    def typescript_tag(self) -> str:
        return camel_case(self.tag)

    @property
    def typescript(self) -> str:
        return camel_case(self.method)


def client_names(document: dict[str, Any]) -> dict[str, ClientName]:
    """The name of each operation by operationId, in the document's order; without pages.

    A method is called like the operation, without the noun of its tag as the last words. The noun
    is the tag itself, in the singular or plural, or the `x-noun` of the tag: `create_task` of
    `tasks` is `create`; `add_task_reminder` and `sort_by_task` stay as they are.

    Raises ValueError if two operations would have the same name, or one a name that no client can
    use.
    """
    nouns = {tag["name"]: tag["x-noun"] for tag in document.get("tags", []) if "x-noun" in tag}
    names: dict[str, ClientName] = {}
    owners: dict[ClientName, str] = {}
    for operation in _for_programs(document):
        identifier, tag = operation["operationId"], operation["tags"][0]
        method = _without_noun(identifier, [tag, *([nouns[tag]] if tag in nouns else [])])
        name = ClientName(snake_case(tag), method)
        for part, taken in ((name.tag, _TAKEN | _MEMBERS), (name.method, _TAKEN)):
            if not _NAME.fullmatch(part) or part in taken:
                raise ValueError(
                    f"{identifier}: clients cannot have {part} in a name; rename the operation or"
                    " its tag"
                )
        spelled = ClientName(name.typescript_tag, name.typescript)  # the coarser of the spellings
        if spelled in owners:
            raise ValueError(
                f"clients would have {name.tag}.{method} for both {owners[spelled]} and"
                f" {identifier}; rename one of them"
            )
        owners[spelled] = identifier
        names[identifier] = name
    return names


def snake_case(tag: str) -> str:
    """The name of a tag, as one of the language: `Tea & cake` is `tea_cake`."""
    return re.sub("[^a-z0-9]+", "_", tag.lower()).strip("_")


def camel_case(name: str) -> str:
    """A name in snake_case, as TypeScript spells it: `get_me` is `getMe`."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def class_name(title: str) -> str:
    """What the class of a client is called: `TeaHouse` for the title `Tea House`."""
    return "".join(word[0].upper() + word[1:] for word in re.findall("[A-Za-z0-9]+", title))


def _for_programs(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Those that have no page as their answer."""
    for _, _, operation in operations(document):
        answers = operation["responses"].items()
        kinds = {kind for code, answer in answers for kind in _kinds(str(code), answer)}
        if _PAGE not in kinds:
            yield operation


def _kinds(code: str, answer: dict[str, Any]) -> list[str]:
    return list(answer.get("content", {})) if code.startswith("2") else []


def _without_noun(identifier: str, nouns: list[str]) -> str:
    """The name without its last words, if they are one of the nouns; the longest counts."""
    words = identifier.split("_")
    for count in range(len(words) - 1, 0, -1):
        last = "_".join(words[-count:])
        is_noun = any(_singulars(last) & _singulars(snake_case(noun)) for noun in nouns)
        if is_noun and words[-count - 1] not in _PREPOSITIONS:
            return "_".join(words[:-count])
    return identifier


def _singulars(noun: str) -> set[str]:
    """What the noun may be in the singular; spelling alone does not tell."""
    endings = {"s": "", "es": "", "ies": "y"}
    return {noun} | {
        noun.removesuffix(ending) + singular
        for ending, singular in endings.items()
        if noun.endswith(ending)
    }


def _python(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name
