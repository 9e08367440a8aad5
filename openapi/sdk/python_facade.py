"""What the templates of the Python client need to know: methods, their arguments, their answers.

It joins two descriptions of an operation: that of openapi-python-client, which knows the types, and
the document, which has the rest. Nothing here is about a certain operation, but for the names in
`SESSIONS`, which operations have by convention.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from openapi_python_client.parser.openapi import Endpoint, GeneratorData
from openapi_python_client.parser.properties import EnumProperty, ModelProperty, Property
from openapi_python_client.parser.properties.file import FileProperty
from openapi_python_client.parser.properties.list_property import ListProperty
from openapi_python_client.parser.properties.uuid import UuidProperty
from openapi_python_client.strings import snake_case

from service.engine.spec.client_names import ClientName, client_names

NDJSON = "application/x-ndjson"
# The operations that sessions are made of, by what they are to the runtime.
SESSIONS = {"refresh": "refresh", "complete": "complete_login", "prove": "reauthenticate"}
SIGN_IN, SIGN_OUT = "login", "logout"
IF_MATCH, IF_NONE_MATCH, KEY = "If-Match", "If-None-Match", "Idempotency-Key"
SENT_AGAIN = {"get", "head", "put", "delete"}
RUNTIME = "_rt"  # what generated modules call the runtime: no argument has such a name
Json = dict[str, Any]


@dataclass(frozen=True)
class Argument:
    """An argument of a method, and the expression that makes of it what the operation takes."""

    name: str
    type: str
    expression: str
    required: bool
    description: str


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
    def ends_session(self) -> bool:
        return self.id == SIGN_OUT

    @property
    def sent_again(self) -> bool:
        again = self.endpoint.method in SENT_AGAIN or self.has_key
        return again or self.id == SESSIONS["refresh"]


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


def tags(document: Json, parsed: GeneratorData, lines: dict[str, dict[str, str]]) -> list[Tag]:
    """All methods. `lines` has the models in streamed answers, by operation and type of line."""
    names = client_names(document)
    operations = {operation["operationId"]: operation for operation in _operations(document)}
    endpoints = {
        str(endpoint.name): endpoint
        for collection in parsed.endpoint_collections_by_tag.values()
        for endpoint in collection.endpoints
    }
    methods = {
        name: _method(client_name, operations[name], endpoints[name], document)
        for name, client_name in names.items()
    }
    for name, method in methods.items():
        method.lines = lines.get(name, {})
        _add_resource(method, list(methods.values()))
    descriptions = {tag["name"]: tag.get("description", "") for tag in document.get("tags", [])}
    found: dict[str, Tag] = {}
    for name, client_name in names.items():
        tag = operations[name]["tags"][0]
        title = "".join(word.capitalize() for word in client_name.tag.split("_")) + "Api"
        found.setdefault(
            client_name.python_tag,
            Tag(client_name.python_tag, title, descriptions.get(tag, ""), []),
        ).methods.append(methods[name])
    _add_changes(found.values())
    return list(found.values())


def resolved(document: Json, value: Json) -> Json:
    """The object that a reference within the document refers to."""
    while "$ref" in value:
        found: Any = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        value = found
    return value


def _operations(document: Json) -> Iterator[Json]:
    for item in document["paths"].values():
        yield from (one for one in item.values() if isinstance(one, dict) and "operationId" in one)


def _method(name: ClientName, operation: Json, endpoint: Endpoint, document: Json) -> Method:
    method = Method(name.python, f"{name.python_tag}.{name.python}", operation, endpoint)
    method.bearer = _bearer(operation, document)
    method.path = [
        replace(_argument(one), expression=f"{RUNTIME}.identifier({one.python_name})")
        for one in endpoint.path_parameters
    ]
    method.others = [_argument(one) for one in endpoint.query_parameters]
    for header in endpoint.header_parameters:
        match header.name.get_untrusted_value():
            case "If-Match":
                method.match = "tag" if header.required else "optional_tag"
            case "Idempotency-Key":
                method.has_key = True
            case "If-None-Match":
                pass  # an answer without a body is of use only to who keeps the last one
            case _:
                method.others.append(_argument(header))
    _add_body(method)
    _add_answer(method, document)
    given = [one.name for one in (*method.path, *method.members, *method.others)]
    given += ["idempotency_key"] * method.has_key + ["if_match"] * bool(method.match)
    if len(set(given)) < len(given):
        raise ValueError(f"{method.id}: two arguments of {name.tag}.{name.python} have one name")
    return method


def _bearer(operation: Json, document: Json) -> str:
    """Which token the operation takes. That of `refresh` alone is a refresh token."""
    schemes = document["components"].get("securitySchemes", {})
    bearers = {
        name
        for requirement in operation.get("security", document.get("security", []))
        for name in requirement
        if schemes[name].get("scheme") == "bearer"
    }
    [renewing] = [
        {name for requirement in one["security"] for name in requirement}
        for one in _operations(document)
        if one["operationId"] == SESSIONS["refresh"]
    ] or [set()]
    if not bearers:
        return "none"
    if bearers <= renewing:
        return "refresh"
    return "either" if bearers & renewing else "access"


def _argument(prop: Property) -> Argument:
    name = str(prop.python_name)
    kind, conversion = _loose(prop)
    expression = conversion.format(name)
    if not prop.required:
        kind += " | Unset"
        if expression != name:
            expression = f"{name} if isinstance({name}, Unset) else {expression}"
    described = prop.description
    description = described.get_untrusted_value() if described else ""
    return Argument(name, kind, expression, prop.required, " ".join(description.split()))


def _loose(prop: Property) -> tuple[str, str]:
    """The type that a method takes, which is wider than the generator's, and what converts it."""
    kind = prop.get_type_string(no_optional=True).as_unembedded_code()
    match prop:
        case UuidProperty():
            return f"{kind} | str", f"{RUNTIME}.identifier({{}})"
        case EnumProperty():
            return f"{kind} | {prop.value_type.__name__}", f"{kind}({{}})"
        case ModelProperty():
            return f"{kind} | Mapping[str, Any]", f"{RUNTIME}.model({kind}.from_dict, {{}})"
        case ListProperty():
            inner, conversion = _loose(prop.inner_property)
            return f"Iterable[{inner}]", f"[{conversion.format('one')} for one in {{}}]"
        case _:
            return kind, "{}"


def _add_body(method: Method) -> None:
    if not method.endpoint.bodies:
        return
    body = method.endpoint.bodies[0].prop
    if not isinstance(body, ModelProperty) or len(method.endpoint.bodies) > 1:
        method.members, method.body = [_argument(body)], "body"
        return
    props = [*(body.required_properties or []), *(body.optional_properties or [])]
    method.members = [_argument(prop) for prop in props]
    made = ", ".join(f"{one.name}={one.expression}" for one in method.members)
    method.body = f"{body.class_info.name}({made})"
    if not body.required:
        method.body = f"{RUNTIME}.unless_empty({method.body})"
    for prop in props:
        method.endpoint.relative_imports.update(prop.get_imports(prefix="..."))
        method.endpoint.relative_imports.update(prop.get_lazy_imports(prefix="..."))


def _add_answer(method: Method, document: Json) -> None:
    kinds: list[str] = []
    for status, declared in method.operation["responses"].items():
        answer = resolved(document, declared)
        if status.startswith("2"):
            method.media += answer.get("content", {})
            headers = answer.get("headers", {})
            method.has_version = method.has_version or "ETag" in headers
    for answer in method.endpoint.responses.patterns:
        if answer.status_code.range[0] // 100 != 2:
            continue
        prop = answer.prop
        if isinstance(prop, FileProperty):
            kinds.append("bytes")
        elif answer.source["return_type"] == "None":
            kinds.append("None")
        else:
            kinds.append(prop.get_type_string().as_unembedded_code())
        if isinstance(prop, ListProperty) and "Link" in headers:
            method.items = prop.inner_property.get_type_string().as_unembedded_code()
        if isinstance(prop, ModelProperty):
            members = {one.name.get_untrusted_value() for one in prop.required_properties or []}
            method.gives_tokens |= {"access_token", "expires_in"} <= members
    method.returns = " | ".join(dict.fromkeys(kinds)) or "None"


def _add_resource(method: Method, others: list[Method]) -> None:
    """Let the arguments in the path be objects that were read, and find what reads the object."""
    for number, prop in enumerate(method.endpoint.path_parameters):
        whole = method.endpoint.path.get_untrusted_value()
        item = whole[: whole.index(f"{{{prop.python_name}}}")]
        models = dict.fromkeys(
            model.class_info.name
            for other in others
            for model in _models(other, item.rstrip("/"), f"{item}{{{prop.python_name}}}")
            if any(_is_id(one, prop) for one in model.required_properties or [])
        )
        argument = method.path[number]
        kinds = " | ".join([*models, argument.type])
        method.path[number] = replace(argument, type=kinds)
        method.models |= set(models)
    if method.match:
        method.read = next((one for one in others if _reads(one, method)), None)


def _models(method: Method, collection: str, item: str) -> Iterator[ModelProperty]:
    """What an operation on a collection or on one of its items answers."""
    if method.endpoint.path.get_untrusted_value() in {collection, item}:
        for answer in method.endpoint.responses.patterns:
            prop = (
                answer.prop.inner_property if isinstance(answer.prop, ListProperty) else answer.prop
            )
            if isinstance(prop, ModelProperty) and answer.status_code.range[0] // 100 == 2:
                yield prop


def _is_id(prop: Property, parameter: Property) -> bool:
    kinds = {one.get_type_string().as_unembedded_code() for one in (prop, parameter)}
    return prop.name.get_untrusted_value() == "id" and len(kinds) == 1


def _reads(one: Method, method: Method) -> bool:
    paths = {str(each.endpoint.path.get_untrusted_value()) for each in (one, method)}
    return one.endpoint.method == "get" and one.has_version and len(paths) == 1


def _add_changes(tags: Iterable[Tag]) -> None:
    """A method that reads, changes and tries again, for each that updates what can be read."""
    for tag in tags:
        names = {method.name for method in tag.methods}
        for method in tag.methods:
            updates = method.name == "update" or method.name.startswith("update_")
            if updates and method.read and method.members and not method.others:
                method.change = method.name.replace("update", "change", 1)
                if method.change in names:
                    raise ValueError(f"{tag.name}.{method.change} cannot be added for {method.id}")
