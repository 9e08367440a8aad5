"""Makes the Python client: what openapi-python-client makes with our templates, the methods of
python_facade.py, and the runtime."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from openapi_python_client import Project
from openapi_python_client.config import Config, ConfigFile, MetaType
from openapi_python_client.parser.openapi import GeneratorData
from openapi_python_client.parser.properties import ModelProperty, Property
from openapi_python_client.strings import pascal_case

from openapi.sdk.packages import FACADE, MODULE, PACKAGE, fill_in, with_lines
from openapi.sdk.programs import BIN, run
from openapi.sdk.python_facade import tags
from openapi.sdk.python_methods import Json, Method, Tag
from service.engine.spec.documents import operations, resolved
from service.specification import COMPLETE, LOGIN, LOGOUT, PROVE, REFRESH, specification

PYTHON = Path(__file__).parent / "python"
RUFF = ("--no-cache", "--isolated", "--quiet", "--line-length", "100")
SECRET = re.compile(r"(?:.+_)?(?:password|secret|token|challenge|recovery_codes)")
# What is made of a secret, beside it.
DERIVED = {"uri", "qr_code"}


@dataclass(frozen=True)
class Problem:
    """A kind of problem, which is an exception."""

    code: str
    class_name: str
    summary: str


# What each of these operations is to the runtime.
PARTS = {
    "sign_in": LOGIN,
    "complete": COMPLETE,
    "refresh": REFRESH,
    "prove": PROVE,
    "sign_out": LOGOUT,
}


def generate(folder: Path) -> None:
    """Write the package MODULE into the folder."""
    write(folder, for_programs(with_lines(specification)))


def write(folder: Path, document: Json) -> None:
    """The same for any document of the engine."""
    package = folder / MODULE
    project = _project(document, package)
    found = tags(document, project.openapi)
    methods = {method.id: method for tag in found for method in tag.methods}
    project.env.globals.update(
        methods=methods,
        name=FACADE,
        title=specification.title,
        problems=_problems(document),
        exceptions=_exceptions,
        field_error=_field_error(document),
        tags=found,
        sessions={part: methods[one] for part, one in PARTS.items() if one in methods},
        user_agent=f"{PACKAGE}-python/{specification.version}",
        is_secret=_is_secret,
        has_version=_versioned(methods.values(), document),
    )
    with redirect_stdout(StringIO()):  # it prints only where it writes
        errors = project.build()
    if errors:
        sys.exit("\n".join(f"{error.header}: {error.detail}" for error in errors))
    _add_resources(project, found, package)
    shutil.copytree(PYTHON / "runtime", package / "runtime", ignore=_not_source)
    (package / "py.typed").touch()  # marks the package as typed (PEP 561)
    run(package, BIN / "ruff", "check", *RUFF, "--fix-only", "--select", "F,I,UP", ".")
    run(package, BIN / "ruff", "format", *RUFF, ".")


def for_programs(document: Json) -> Json:
    """The document as the generator needs it, for clients that no browser runs.

    Answers in YAML become files, because clients have no parser for YAML. Objects do not declare
    additional properties: these clients accept new fields anyway. Only browsers have cookies: there
    are no security schemes in one, and since nobody can ask for the refresh token in a cookie, it
    is always in the answer.
    """
    schemes = document["components"].get("securitySchemes", {}).items()
    in_cookies = {name for name, scheme in schemes if scheme.get("in") == "cookie"}
    for *_, operation in operations(document):
        operation["security"] = [
            scheme for scheme in operation["security"] if not scheme.keys() & in_cookies
        ]
        for response in operation["responses"].values():
            if yaml := response.get("content", {}).get("application/yaml"):
                yaml["schema"] = {"type": "string", "format": "binary"}
    schemas = document["components"]["schemas"]
    schemas.pop("TokenTransport", None)
    for schema in schemas.values():
        if schema.get("additionalProperties") is True:
            del schema["additionalProperties"]
        properties, required = schema.get("properties", {}), schema.get("required", [])
        properties.pop("transport", None)
        if "refresh_token" in properties and "refresh_token" not in required:
            schema["required"] = [*required, "refresh_token"]
    return document


def _project(document: Json, package: Path) -> Project:
    config_file = fill_in(PYTHON / "config.yaml.template", package.parent)
    read = ConfigFile.load_from_path(config_file)
    config_file.unlink()
    config = Config.from_sources(
        read, MetaType.NONE, config_file, "utf-8", overwrite=False, output_path=package
    )
    parsed = GeneratorData.from_dict(document, config=config)
    if not isinstance(parsed, GeneratorData):
        sys.exit(f"{parsed.header}: {parsed.detail}")
    return Project(openapi=parsed, config=config, custom_template_path=PYTHON / "templates")


def _add_resources(project: Project, found: list[Tag], package: Path) -> None:
    resources = package / "resources"
    resources.mkdir()
    (resources / "__init__.py").write_text('"""The methods of each tag."""\n')
    template = project.env.get_template("resource.py.jinja")
    for tag in found:
        (resources / f"{tag.name}.py").write_text(template.render(tag=tag))
    facade = project.env.get_template("facade.py.jinja")
    (package / "facade.py").write_text(facade.render())


def _problems(document: Json) -> list[Problem]:
    problem = document["components"]["schemas"]["Problem"]["properties"]
    codes = resolved(problem["code"], document).get("enum", [])
    found = [Problem(code, pascal_case(code), _summary(code, document)) for code in codes]
    names = {problem.class_name for problem in found} | {"ApiError", "UnexpectedAnswer"}
    if len(names) < len(codes) + 2:
        raise ValueError("two codes of problems would be exceptions of the same name")
    return found


def _field_error(document: Json) -> str:
    """The model of what is to be corrected in a request; empty if problems have no such list."""
    problem = document["components"]["schemas"]["Problem"]["properties"]
    items = problem.get("errors", {}).get("items", {})
    return pascal_case(items["$ref"].rpartition("/")[2]) if "$ref" in items else ""


def _summary(code: str, document: Json) -> str:
    """What a problem is, and the statuses that it comes with, as the examples say."""
    examples = document["components"].get("examples", {}).values()
    values = [one["value"] for one in examples if isinstance(one.get("value"), dict)]
    problems = [value for value in values if value.get("code") == code and "title" in value]
    statuses = " or ".join(sorted({str(problem["status"]) for problem in problems}))
    title = f": {problems[0]['title']}" if problems else ""
    return f"{statuses} `{code}`{title}".lstrip()


def _exceptions(codes: list[str]) -> str:
    return ", ".join(map(pascal_case, codes)) + ", and what all methods raise."


def _versioned(methods: Iterable[Method], document: Json) -> set[str]:
    """The models that know their version."""
    found = {method.returns for method in methods if method.has_version}
    for name, schema in document["components"]["schemas"].items():
        if pascal_case(name) in found and "etag" in schema.get("properties", {}):
            raise ValueError(f"{name} has a property etag, which is the name of its version")
    return found


def _is_secret(model: ModelProperty, prop: Property) -> bool:
    """Whether the value may not be shown."""
    name = prop.name.get_untrusted_value()
    members = [*(model.required_properties or []), *(model.optional_properties or [])]
    beside_secret = any(one.name.get_untrusted_value() == "secret" for one in members)
    in_body = not model.additional_properties
    derived = (name in DERIVED and beside_secret) or (name == "code" and in_body)
    return bool(SECRET.fullmatch(name)) or derived


def _not_source(_: Any, names: list[str]) -> list[str]:
    return [name for name in names if name.startswith((".", "__pycache__"))]
