"""What the templates of the Python client need to know: methods, their arguments, their answers.

It joins two descriptions of an operation: that of openapi-python-client, which knows the types, and
the document, which has the rest.
"""

from __future__ import annotations

from dataclasses import replace

from openapi_python_client.parser.openapi import Endpoint, GeneratorData
from openapi_python_client.parser.properties import EnumProperty, ModelProperty, Property
from openapi_python_client.parser.properties.file import FileProperty
from openapi_python_client.parser.properties.list_property import ListProperty
from openapi_python_client.parser.properties.uuid import UuidProperty
from openapi_python_client.strings import pascal_case

from openapi.sdk.python_methods import Argument, Json, Method, Tag
from openapi.sdk.python_resources import add_changes, add_problems, add_resource
from service.engine.spec.client_names import ClientName, client_names
from service.engine.spec.documents import lines, operations, resolved
from service.specification import REFRESH

RUNTIME = "_rt"  # what generated modules call the runtime: no argument has such a name


def tags(document: Json, parsed: GeneratorData) -> list[Tag]:
    """All methods."""
    names = client_names(document)
    declared = {operation["operationId"]: operation for *_, operation in operations(document)}
    endpoints = {
        str(endpoint.name): endpoint
        for collection in parsed.endpoint_collections_by_tag.values()
        for endpoint in collection.endpoints
    }
    methods = {
        name: _method(client_name, declared[name], endpoints[name], document)
        for name, client_name in names.items()
    }
    for name, method in methods.items():
        method.lines = {
            line: pascal_case(one["$ref"].rpartition("/")[2])
            for line, one in lines(declared[name], document).items()
        }
        add_resource(method, methods.values())
    descriptions = {tag["name"]: tag.get("description", "") for tag in document.get("tags", [])}
    found: dict[str, Tag] = {}
    for name, client_name in names.items():
        tag = declared[name]["tags"][0]
        title = "".join(word.capitalize() for word in client_name.tag.split("_")) + "Api"
        found.setdefault(
            client_name.python_tag,
            Tag(client_name.python_tag, title, descriptions.get(tag, ""), []),
        ).methods.append(methods[name])
    add_problems(methods.values(), document)
    add_changes(found.values())
    return list(found.values())


def _method(name: ClientName, operation: Json, endpoint: Endpoint, document: Json) -> Method:
    method = Method(name.python, f"{name.python_tag}.{name.python}", operation, endpoint)
    method.bearer = _bearer(operation, document)
    method.path = [
        replace(_argument(one), expression=f"{RUNTIME}.identifier({one.python_name})")
        for one in endpoint.path_parameters
    ]
    method.others = [_argument(one, "None") for one in endpoint.query_parameters]
    for header in endpoint.header_parameters:
        match header.name.get_untrusted_value():
            case "If-Match":
                method.match = "tag" if header.required else "optional_tag"
            case "Idempotency-Key":
                method.has_key = True
            case "If-None-Match":
                pass  # a 304 helps only callers that keep the last answer
            case _:
                method.others.append(_argument(header, "None"))
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
        for *_, one in operations(document)
        if one["operationId"] == REFRESH
    ] or [set()]
    if not bearers:
        return "none"
    if bearers <= renewing:
        return "refresh"
    return "either" if bearers & renewing else "access"


def _argument(prop: Property, default: str = "UNSET") -> Argument:
    """An argument whose default stands for none. In a body that is not None, which is sent."""
    name = str(prop.python_name)
    kind, conversion = _loose(prop)
    expression = conversion.format(name)
    if not prop.required and default == "None":
        kind += " | None"
        expression = f"UNSET if {name} is None else {expression}"
    elif not prop.required:
        kind += " | Unset"
        if expression != name:
            expression = f"{name} if isinstance({name}, Unset) else {expression}"
    described = prop.description
    description = described.get_untrusted_value() if described else ""
    words = " ".join(description.split())
    return Argument(name, kind, expression, prop.required, words, default)


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
    """What a success has: its types, pages, a version, tokens."""
    kinds: dict[str, None] = {}
    for answer in method.successes:
        declared = resolved(method.operation["responses"][answer.status_code.pattern], document)
        prop, headers = answer.prop, declared.get("headers", {})
        method.media += declared.get("content", {})
        method.has_version |= "ETag" in headers
        if isinstance(prop, FileProperty):
            kinds["bytes"] = None
        elif answer.source["return_type"] == "None":
            kinds["None"] = None
        else:
            kinds[prop.get_type_string().as_unembedded_code()] = None
        if isinstance(prop, ListProperty) and "Link" in headers:
            method.items = prop.inner_property.get_type_string().as_unembedded_code()
        if isinstance(prop, ModelProperty):
            members = {one.name.get_untrusted_value() for one in prop.required_properties or []}
            method.gives_tokens |= {"access_token", "expires_in"} <= members
    method.returns = " | ".join(kinds) or "None"
