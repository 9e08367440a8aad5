"""The languages of the generated clients, as code samples write them."""

from __future__ import annotations

import builtins
import json
import keyword
import re
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

from service.engine.spec.client_names import ClientName, camel_case

WIDTH = 88
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)
_JAVASCRIPT = "case catch const default delete do enum export extends function in instanceof"
_JAVASCRIPT += " interface new package private super switch this throw typeof var void"
# Names that no variable can have in one of the languages.
_NO_NAMES = {*keyword.kwlist, *_JAVASCRIPT.split()}
# Arguments to whose names openapi-python-client adds an underscore.
_NO_ARGUMENTS = ({*dir(builtins), "self", "datetime"} - {"id"}) | {*keyword.kwlist}


class Client(NamedTuple):
    """What the generated clients of a service are called: packages, class, and its address."""

    name: str  # in snake_case: `tea_house`
    facade: str  # `TeaHouse`
    address: str


class Expression(NamedTuple):
    """A call of a method of a client, `steps` from the client, with `arguments` in code.

    `members` are the values in the body, and `query` those in the query. `formats` are the formats
    of the members in the specification: Python has a type for `date-time`.
    """

    steps: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    members: dict[str, Any] | None = None
    query: dict[str, Any] | None = None
    formats: dict[str, str] | None = None


class Python:
    """Python, with the facade in `<name>_client`."""

    label: ClassVar[str] = "Python"
    indent: ClassVar[str] = "    "
    words: ClassVar[dict[Any, str]] = {True: "True", False: "False", None: "None"}

    def steps(self, name: ClientName) -> tuple[str, ...]:
        return name.python_tag, name.python

    def spelled(self, name: str) -> str:
        return name

    def program(self, client: Client, token: str, lines: list[str]) -> str:
        """The whole program; `token` is given to the client unless it is empty."""
        given = f", token={self.text(token)}" if token else ""
        variable = self.variable(client)
        opening = f"{variable} = {client.facade}({self.text(client.address)}{given})"
        imports = [f"from {client.name}_client import {client.facade}", ""]
        if any("datetime.fromisoformat(" in line for line in lines):
            imports = ["from datetime import datetime", "", *imports]
        return "\n".join([*imports, opening, *lines])

    def variable(self, client: Client) -> str:
        return client.facade.lower()

    def statement(self, client: Client, call: Expression) -> str:
        return self._call(client, call)

    def assignment(self, client: Client, noun: str, call: Expression) -> str:
        return f"{free(noun)} = {self._call(client, call)}"

    def shown(self, client: Client, noun: str, call: Expression, *, shape: str) -> Iterator[str]:
        """The lines that call the method and print what it returns: one thing or many."""
        if shape == "one":
            yield self.assignment(client, noun, call)
            yield f"print({free(noun)})"
        else:
            yield f"for {free(noun)} in {self._call(client, call)}:"
            yield f"    print({free(noun)})"

    def text(self, value: str) -> str:
        quoted = json.dumps(value, ensure_ascii=False)
        is_plain = '\\"' not in quoted or "'" in value or "\\" in value or "\n" in value
        return quoted if is_plain else f"'{value}'"

    def literal(self, value: Any, width: int = WIDTH) -> str:
        """The value in code, on one line if that has room in the width."""
        compact = self._compact(value)
        if len(compact) < width or not isinstance(value, dict | list) or not value:
            return compact
        values = value.values() if isinstance(value, dict) else value
        inner = [self.literal(item, width - len(self.indent)) for item in values]
        if isinstance(value, dict):
            inner = [f"{self._key(name)}: {item}" for name, item in zip(value, inner, strict=True)]
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        return "\n".join([opening, *(self._deeper(f"{item},") for item in inner), closing])

    def _call(self, client: Client, call: Expression) -> str:
        method = ".".join([self.variable(client), *call.steps])
        given = {**(call.members or {}), **(call.query or {})}
        members = [self._argument(name, value, call.formats or {}) for name, value in given.items()]
        compact = f"{method}({', '.join([*call.arguments, *members])})"
        if len(compact) < WIDTH - 12 and "\n" not in compact:
            return compact
        lines = [self._deeper(f"{one},") for one in (*call.arguments, *members)]
        return "\n".join([f"{method}(", *lines, ")"])

    def _argument(self, name: str, value: Any, formats: dict[str, str]) -> str:
        argument = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()
        argument += "_" if argument in _NO_ARGUMENTS else ""
        code = self.literal(value, WIDTH - len(argument) - 8)
        if formats.get(name) == "date-time":
            code = f"datetime.fromisoformat({code})"
        return f"{argument}={code}"

    def _compact(self, value: Any) -> str:
        if isinstance(value, dict):
            return self._object([f"{self._key(k)}: {self._compact(v)}" for k, v in value.items()])
        if isinstance(value, list):
            return f"[{', '.join(map(self._compact, value))}]"
        if value is None or isinstance(value, bool):
            return self.words[value]
        return self.text(value) if isinstance(value, str) else json.dumps(value)

    def _key(self, name: str) -> str:
        return self.text(name)

    def _object(self, pairs: list[str]) -> str:
        return f"{{{', '.join(pairs)}}}"

    def _deeper(self, text: str) -> str:
        return "\n".join(self.indent + line for line in text.split("\n"))


class TypeScript(Python):
    """TypeScript, with the facade in `<name>-client`."""

    label = "TypeScript"
    indent = "  "
    words: ClassVar[dict[Any, str]] = {True: "true", False: "false", None: "null"}

    def steps(self, name: ClientName) -> tuple[str, ...]:
        return name.typescript_tag, name.typescript

    def spelled(self, name: str) -> str:
        return camel_case(name)

    def program(self, client: Client, token: str, lines: list[str]) -> str:
        given = f", {{ token: {self.text(token)} }}" if token else ""
        package = f"{client.name.replace('_', '-')}-client"
        made = f"new {client.facade}({self.text(client.address)}{given})"
        imports = f"import {{ {client.facade} }} from '{package}';"
        opening = f"const {self.variable(client)} = {made};"
        return "\n".join([imports, "", opening, *lines])

    def variable(self, client: Client) -> str:
        return client.facade[0].lower() + client.facade[1:]

    def statement(self, client: Client, call: Expression) -> str:
        return f"await {self._call(client, call)};"

    def assignment(self, client: Client, noun: str, call: Expression) -> str:
        return f"const {free(camel_case(noun))} = await {self._call(client, call)};"

    def shown(self, client: Client, noun: str, call: Expression, *, shape: str) -> Iterator[str]:
        name = free(camel_case(noun))
        if shape == "one":
            yield self.assignment(client, noun, call)
            yield f"console.log({name});"
            return
        called = self._call(client, call)
        head = f"for (const {name} of await {called})"
        yield f"{head if shape == 'array' else f'for await (const {name} of {called})'} {{"
        yield f"  console.log({name});"
        yield "}"

    def text(self, value: str) -> str:
        quoted = json.dumps(value, ensure_ascii=False)
        plain = quoted[1:-1].replace('\\"', '"')
        return quoted if "'" in plain or "\\" in plain else f"'{plain}'"

    def _call(self, client: Client, call: Expression) -> str:
        method = ".".join([self.variable(client), *call.steps])
        objects = [one for one in (call.members, call.query) if one]
        width = WIDTH - len(method) - sum(map(len, call.arguments)) - 18
        arguments = [*call.arguments, *(self.literal(one, width) for one in objects)]
        return f"{method}({', '.join(arguments)})"

    def _key(self, name: str) -> str:
        return name if _IDENTIFIER.fullmatch(name) else self.text(name)

    def _object(self, pairs: list[str]) -> str:
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"


def free(name: str) -> str:
    """The name, so that a variable may have it."""
    return f"{name}_" if name in _NO_NAMES else name
