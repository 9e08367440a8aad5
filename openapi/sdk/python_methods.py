"""A method of the Python client, as the templates render it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from openapi_python_client.parser.openapi import Endpoint
from openapi_python_client.parser.responses import Response
from openapi_python_client.strings import snake_case

from service.specification import LOGOUT, REFRESH

SENT_AGAIN = {"get", "head", "put", "delete"}
Json = dict[str, Any]


@dataclass(frozen=True)
class Argument:
    """An argument of a method, and the expression that makes of it what the operation takes."""

    name: str
    type: str
    expression: str
    required: bool
    description: str
    default: str  # unless it is required


@dataclass
class Method:
    """A method of a client; `read` is the one that reads what this one changes."""

    name: str
    qualified_name: str  # with the tag
    operation: Json
    endpoint: Endpoint
    path: list[Argument] = field(default_factory=list)
    members: list[Argument] = field(default_factory=list)  # of the body
    others: list[Argument] = field(default_factory=list)  # in the query and in headers
    body: str = ""
    media: list[str] = field(default_factory=list)
    returns: str = "None"
    items: str = ""  # the type of the items, if the answer has pages
    lines: dict[str, str] = field(default_factory=dict)  # models, by the type of a line
    bearer: str = "none"
    has_key: bool = False
    match: str = ""  # what determines the version, a function of the runtime
    has_version: bool = False
    gives_tokens: bool = False
    read: Method | None = None
    models: set[str] = field(default_factory=set)  # that the path takes
    problems: list[str] = field(default_factory=list)  # codes that few other methods have
    change: str = ""  # the name of the method that reads, changes and tries again

    @property
    def imports(self) -> set[str]:
        found = {one for one in self.endpoint.relative_imports if "..." in one}
        found |= self.read.endpoint.relative_imports if self.read else set()
        modules = {snake_case(model): model for model in {*self.models, *self.lines.values()}}
        found |= {f"from ...models.{module} import {name}" for module, name in modules.items()}
        return {one.replace("from ...", "from ..") for one in found if "types import" not in one}

    @property
    def id(self) -> str:
        return str(self.endpoint.name)

    @property
    def successes(self) -> list[Response]:
        """The answers whose status is a success."""
        answers = self.endpoint.responses.patterns
        return [one for one in answers if one.status_code.pattern.startswith("2")]

    @property
    def subject(self) -> str:
        """The argument that may be the object which this changes."""
        return self.path[-1].name if self.path else "None"

    @property
    def ends_session(self) -> bool:
        return self.id == LOGOUT

    @property
    def sent_again(self) -> bool:
        if self.gives_tokens:  # a new password, for example, ends the session that would ask again
            return self.id == REFRESH
        return self.endpoint.method in SENT_AGAIN or self.has_key


@dataclass
class Tag:
    """The methods of a tag."""

    name: str
    class_name: str
    description: str
    methods: list[Method]

    @property
    def imports(self) -> list[str]:
        """The statements that import what the signatures name, and more."""
        return sorted({one for method in self.methods for one in method.imports})
