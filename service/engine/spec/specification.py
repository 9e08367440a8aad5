"""The specification, a hand-written file that is parsed once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import orjson
import yaml

from service.engine import problems
from service.engine.spec import openapi_31, refusals
from service.engine.spec.client_names import client_names
from service.engine.spec.documents import operations
from service.engine.spec.limit_notes import PER
from service.engine.spec.publication import FILE, NOTES, Deployment, Edition, Note, published


class Specification:
    """The OpenAPI document in a YAML file, and what its `x-` keys declare.

    `notes` say what a key adds to the published description of an operation, and `per` what the
    words in `per` of a limit mean. `problems` are the modules whose problems the service raises,
    and `own_methods` are as in `samples.Samples`.
    """

    notes: Mapping[str, Note] = NOTES
    per: Mapping[str, str] = PER
    problems: tuple[ModuleType, ...] = (problems,)
    own_methods: Mapping[str, str] = MappingProxyType({})

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def document(self) -> dict[str, Any]:
        """The whole document with its `x-` keys and references; shared, so do not change it."""
        return parsed(self.path.read_bytes())

    @property
    def title(self) -> str:
        """The name of the service, for people: `Planner`."""
        return str(self.document["info"]["title"])

    @property
    def name(self) -> str:
        """The title in the spelling of the command, the prefix of the metrics and the realm."""
        return re.sub("[^a-z0-9]+", "_", self.title.lower()).strip("_")

    @cached_property
    def catalogue(self) -> refusals.Catalogue:
        """The problems that the service raises, by status and code."""
        return refusals.catalogue(*self.problems)

    @property
    def version(self) -> str:
        return str(self.document["info"]["version"])

    @cached_property
    def policies(self) -> dict[str, int]:
        """Every policy that `x-rate-limit` declares, and its number of limits."""
        counts: dict[str, int] = {}
        for declared in self.declarations():
            names = [entry["policy"] for entry in limits(declared)]
            counts |= {name: max(names.count(name), counts.get(name, 0)) for name in names}
        return counts

    @cached_property
    def token_prefix(self) -> str | None:
        """The prefix of personal tokens, None if there are none."""
        schemes = self.document["components"].get("securitySchemes", {}).values()
        [scheme] = [one for one in schemes if one.get("x-token-type") == "personal"] or [{}]
        prefix = scheme.get("x-token-prefix")
        if scheme and not re.fullmatch(r"[a-z][a-z0-9]{0,14}_", prefix or ""):
            raise ValueError(f"x-token-prefix {prefix} is not a short word and an underscore")
        return prefix

    @cached_property
    def key_set_max_age(self) -> int:
        """Seconds for which clients may cache the public keys, from the answer's Cache-Control."""
        paths = self.document["paths"]
        [item] = [item for path, item in paths.items() if path.endswith("/jwks.json")]
        [age] = re.findall(r"max-age=(\d+)", item["get"]["x-cache"])
        return int(age)

    @cached_property
    def routes(self) -> dict[str, str]:
        """The path template of each operation, by operationId."""
        return {operation["operationId"]: path for path, _, operation in operations(self.document)}

    @cache  # noqa: B019 # a specification lives as long as its process
    def public_yaml(self, deployment: Deployment = FILE) -> bytes:
        """The document as everybody may read it: with the comments and the layout that it has in
        git, without the `x-` keys that configure the server, and with what `published` adds.
        """
        edition = Edition(self.document, deployment, self.per, self.catalogue, self.own_methods)
        return published(self.path.read_text("utf-8"), edition, self.notes).encode()

    @cache  # noqa: B019 # a specification lives as long as its process
    def public_json(self, deployment: Deployment = FILE) -> bytes:
        """The document of `public_yaml` as JSON."""
        return orjson.dumps(parsed(self.public_yaml(deployment)))

    @cache  # noqa: B019 # a specification lives as long as its process
    def public_json_31(self, deployment: Deployment = FILE) -> bytes:
        """The document of `public_yaml` as JSON in OpenAPI 3.1."""
        return orjson.dumps(openapi_31.upgraded(orjson.loads(self.public_json(deployment))))

    def check(self) -> None:
        """Raise ValueError for what would not be published as it should be: a name that no client
        can use, or a code in `x-problems` that no problem has."""
        client_names(self.document)
        for path, _, operation in operations(self.document):
            refusals.examples(operation, path, self.document, self.catalogue)

    def declarations(self) -> Iterator[dict[str, Any]]:
        """The document itself, and every operation."""
        yield self.document
        yield from (operation for *_, operation in operations(self.document))


def limits(declared: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The entries of an operation's `x-rate-limit`. There are none for `none`, nor for `client`,
    which means the limit that the document declares for all operations."""
    entries = declared.get("x-rate-limit", [])
    if isinstance(entries, dict):
        yield entries
    elif isinstance(entries, list):
        yield from entries


def parsed(text: bytes | str) -> dict[str, Any]:
    """The document in YAML text."""
    # libyaml's loader is ten times as fast; not every PyYAML is built with it.
    fast = yaml.__with_libyaml__
    read: dict[str, Any] = yaml.load(text, yaml.CSafeLoader) if fast else yaml.safe_load(text)
    return read
