"""A specification as its service reads it: one hand-written file, parsed once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import orjson
import yaml

# A wiring key and what belongs to it: deeper lines, and list items that stand at its own depth.
_WIRING = re.compile(r"^( *)x-[\w-]+:.*\n(?:\n*\1[ -].*\n)*", re.MULTILINE)


class Specification:
    """The OpenAPI document in a file of YAML, and what its `x-` keys declare."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def document(self) -> dict[str, Any]:
        """The whole document, wiring keys and references included; shared, not to be changed."""
        return parsed(self.path.read_bytes())

    @property
    def title(self) -> str:
        """The name of the service, for people: `Planner`."""
        return str(self.document["info"]["title"])

    @property
    def name(self) -> str:
        """The title as programs spell it: its command, the prefix of its metrics, its realm."""
        return re.sub("[^a-z0-9]+", "_", self.title.lower()).strip("_")

    @property
    def version(self) -> str:
        return str(self.document["info"]["version"])

    @cached_property
    def policies(self) -> dict[str, int]:
        """Every policy that `x-rate-limit` declares, and how many limits it takes."""
        counts: dict[str, int] = {}
        for declared in self.declarations():
            names = [entry["policy"] for entry in limits(declared)]
            counts |= {name: max(names.count(name), counts.get(name, 0)) for name in names}
        return counts

    @cached_property
    def key_set_max_age(self) -> int:
        """Seconds for which others may keep the public keys, as the answer's Cache-Control says."""
        paths = self.document["paths"]
        [item] = [item for path, item in paths.items() if path.endswith("/jwks.json")]
        [age] = re.findall(r"max-age=(\d+)", item["get"]["x-cache"])
        return int(age)

    @cached_property
    def routes(self) -> dict[str, str]:
        """The template of the path of each operation, by operationId."""
        return {
            operation["operationId"]: path
            for path, item in self.document["paths"].items()
            for operation in item.values()
            if isinstance(operation, dict)
        }

    @cache  # noqa: B019 # a specification lives as long as its process
    def public_yaml(self, root: str = "/") -> bytes:
        """The document as it is in git, comments and components too, without its `x-` keys.

        `root` is the path under which a proxy serves the API, such as `/planner`.
        """
        public = _WIRING.sub("", self.path.read_text("utf-8")).encode()
        if root == "/":
            return public
        return public.replace(
            b"servers:\n  - url: /\n", b"servers:\n  - url: %b\n" % orjson.dumps(root)
        )

    @cache  # noqa: B019 # a specification lives as long as its process
    def public_json(self, root: str = "/") -> bytes:
        """What `public_yaml` says, as JSON."""
        return orjson.dumps(parsed(self.public_yaml(root)))

    def declarations(self) -> Iterator[dict[str, Any]]:
        """The document itself, and every operation."""
        yield self.document
        for item in self.document["paths"].values():
            yield from (operation for operation in item.values() if isinstance(operation, dict))


def limits(declared: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The entries of an operation's `x-rate-limit`: none for `none` and for `client`, which stands
    for the limit that the document declares for all."""
    entries = declared.get("x-rate-limit", [])
    if isinstance(entries, dict):
        yield entries
    elif isinstance(entries, list):
        yield from entries


def parsed(text: bytes) -> dict[str, Any]:
    """The document in YAML text."""
    # libyaml's loader is ten times as fast, where PyYAML was built with it.
    fast = yaml.__with_libyaml__
    read: dict[str, Any] = yaml.load(text, yaml.CSafeLoader) if fast else yaml.safe_load(text)
    return read
