"""What methods have to do with each other: which reads what another one changes, and the like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from openapi_python_client.parser.properties import ModelProperty, Property
from openapi_python_client.parser.properties.list_property import ListProperty

from openapi.sdk.python_methods import Json, Method, Tag
from service.engine.spec.documents import resolved


def add_resource(method: Method, others: Collection[Method]) -> None:
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
        for answer in method.successes:
            prop = answer.prop
            one = prop.inner_property if isinstance(prop, ListProperty) else prop
            if isinstance(one, ModelProperty):
                yield one


def _is_id(prop: Property, parameter: Property) -> bool:
    kinds = {one.get_type_string().as_unembedded_code() for one in (prop, parameter)}
    return prop.name.get_untrusted_value() == "id" and len(kinds) == 1


def _reads(one: Method, method: Method) -> bool:
    paths = {str(each.endpoint.path.get_untrusted_value()) for each in (one, method)}
    return one.endpoint.method == "get" and one.has_version and len(paths) == 1


def add_changes(tags: Iterable[Tag]) -> None:
    """A method that reads, changes and tries again, for each that updates what can be read."""
    for tag in tags:
        names = {method.name for method in tag.methods}
        for method in tag.methods:
            updates = method.name == "update" or method.name.startswith("update_")
            if updates and method.read and method.members and not method.others:
                method.change = method.name.replace("update", "change", 1)
                if method.change in names:
                    raise ValueError(f"{tag.name}.{method.change} cannot be added for {method.id}")


def add_problems(methods: Collection[Method], document: Json) -> None:
    """What the examples of the answers say that a method may raise, but for what most raise."""
    codes = {method.id: list(_codes(method.operation, document)) for method in methods}
    known = Counter(code for found in codes.values() for code in set(found))
    for method in methods:
        found = dict.fromkeys(codes[method.id])
        method.problems = [code for code in found if known[code] <= len(methods) / 4]


def _codes(operation: Json, document: Json) -> Iterator[str]:
    for status, declared in operation["responses"].items():
        content = resolved(declared, document).get("content", {})
        for media in content.values() if status >= "4" else ():
            for example in media.get("examples", {}).values():
                value = resolved(example, document).get("value")
                yield from [value["code"]] if isinstance(value, dict) and "code" in value else []
