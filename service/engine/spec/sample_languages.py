"""The languages of the generated clients, as code samples write them."""

from __future__ import annotations

import builtins
import json
import keyword
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

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


class Language(ABC):
    """How programs with a generated client are written, in lines of about `width` characters."""

    label: str
    indent: str
    words: Mapping[Any, str]
    let = ""  # before a new variable
    wait = ""  # before a call
    end = ""  # of a statement
    show: str  # the function that prints

    def __init__(self, width: int = WIDTH) -> None:
        self._width = width

    @abstractmethod
    def steps(self, name: ClientName) -> tuple[str, ...]:
        """From the client to the method."""

    @abstractmethod
    def program(self, client: Client, token: str, lines: list[str]) -> str:
        """The whole program; `token` is given to the client unless it is empty."""

    @abstractmethod
    def head(self, client: Client, noun: str, call: Expression, *, shape: str) -> str:
        """The head of a loop over what a method returns."""

    @abstractmethod
    def loop(self, head: str, statement: str) -> list[str]:
        """The lines of a loop."""

    @abstractmethod
    def text(self, value: str) -> str:
        """A string in code."""

    @abstractmethod
    def called(self, client: Client, call: Expression) -> str:
        """A call in code, without what waits for its result."""

    def spelled(self, name: str) -> str:
        """A name in snake_case, as the language spells it."""
        return name

    def variable(self, noun: str) -> str:
        """What a variable for a noun in snake_case is called."""
        return free(self.spelled(noun))

    def statement(self, client: Client, call: Expression) -> str:
        return f"{self.wait}{self.called(client, call)}{self.end}"

    def assignment(self, client: Client, noun: str, call: Expression) -> str:
        return f"{self.let}{self.variable(noun)} = {self.statement(client, call)}"

    def printed(self, expression: str) -> str:
        return f"{self.show}({expression}){self.end}"

    def shown(self, client: Client, noun: str, call: Expression, *, shape: str) -> list[str]:
        """The lines that call the method and print what it returns: one thing or many."""
        printed = self.printed(self.variable(noun))
        if shape == "one":
            return [self.assignment(client, noun, call), printed]
        return self.loop(self.head(client, noun, call, shape=shape), printed)

    def literal(self, value: Any, width: int) -> str:
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


class Python(Language):
    """Python, with the facade in `<name>_client`."""

    label = "Python"
    indent = "    "
    words: Mapping[Any, str] = MappingProxyType({True: "True", False: "False", None: "None"})
    show = "print"

    def steps(self, name: ClientName) -> tuple[str, ...]:
        return name.python_tag, name.python

    def program(self, client: Client, token: str, lines: list[str]) -> str:
        given = f", token={self.text(token)}" if token else ""
        made = f"{client.facade}({self.text(client.address)}{given})"
        imports = [f"from {client.name}_client import {client.facade}", ""]
        if any("datetime.fromisoformat(" in line for line in lines):
            imports = ["from datetime import datetime", "", *imports]
        return "\n".join([*imports, f"{client.facade.lower()} = {made}", *lines])

    def head(self, client: Client, noun: str, call: Expression, *, shape: str) -> str:
        return f"for {self.variable(noun)} in {self.called(client, call)}:"

    def loop(self, head: str, statement: str) -> list[str]:
        return [head, self.indent + statement]

    def text(self, value: str) -> str:
        quoted = json.dumps(value, ensure_ascii=False)
        is_plain = '\\"' not in quoted or "'" in value or "\\" in value or "\n" in value
        return quoted if is_plain else f"'{value}'"

    def called(self, client: Client, call: Expression) -> str:
        method = ".".join([client.facade.lower(), *call.steps])
        given = {**(call.members or {}), **(call.query or {})}
        members = [self._argument(name, value, call.formats or {}) for name, value in given.items()]
        compact = f"{method}({', '.join([*call.arguments, *members])})"
        if len(compact) < self._width - 12 and "\n" not in compact:
            return compact
        lines = [self._deeper(f"{one},") for one in (*call.arguments, *members)]
        return "\n".join([f"{method}(", *lines, ")"])

    def _argument(self, name: str, value: Any, formats: dict[str, str]) -> str:
        argument = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()
        argument += "_" if argument in _NO_ARGUMENTS else ""
        code = self.literal(value, self._width - len(argument) - 8)
        if formats.get(name) == "date-time":
            code = f"datetime.fromisoformat({code})"
        return f"{argument}={code}"


class TypeScript(Language):
    """TypeScript, with the facade in `<name>-client`."""

    label = "TypeScript"
    indent = "  "
    words: Mapping[Any, str] = MappingProxyType({True: "true", False: "false", None: "null"})
    let, wait, end = "const ", "await ", ";"
    show = "console.log"

    def steps(self, name: ClientName) -> tuple[str, ...]:
        return name.typescript_tag, name.typescript

    def program(self, client: Client, token: str, lines: list[str]) -> str:
        given = f", {{ token: {self.text(token)} }}" if token else ""
        package = f"{client.name.replace('_', '-')}-client"
        made = f"new {client.facade}({self.text(client.address)}{given})"
        imports = f"import {{ {client.facade} }} from '{package}';"
        return "\n".join([imports, "", f"const {_client(client)} = {made};", *lines])

    def head(self, client: Client, noun: str, call: Expression, *, shape: str) -> str:
        variable, called = self.variable(noun), self.called(client, call)
        if shape == "array":
            return f"for (const {variable} of await {called})"
        return f"for await (const {variable} of {called})"

    def loop(self, head: str, statement: str) -> list[str]:
        return [f"{head} {{", self.indent + statement, "}"]

    def text(self, value: str) -> str:
        quoted = json.dumps(value, ensure_ascii=False)
        plain = quoted[1:-1].replace('\\"', '"')
        return quoted if "'" in plain or "\\" in plain else f"'{plain}'"

    def called(self, client: Client, call: Expression) -> str:
        method = ".".join([_client(client), *call.steps])
        objects = [one for one in (call.members, call.query) if one]
        width = self._width - len(method) - sum(map(len, call.arguments)) - 18
        arguments = [*call.arguments, *(self.literal(one, width) for one in objects)]
        return f"{method}({', '.join(arguments)})"

    def spelled(self, name: str) -> str:
        return camel_case(name)

    def _key(self, name: str) -> str:
        return name if _IDENTIFIER.fullmatch(name) else self.text(name)

    def _object(self, pairs: list[str]) -> str:
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"


def _client(client: Client) -> str:
    """The variable for a client in TypeScript."""
    return client.facade[0].lower() + client.facade[1:]


def free(name: str) -> str:
    """The name, so that a variable may have it."""
    return f"{name}_" if name in _NO_NAMES else name
