"""What `make sdk` makes is a package with a name, a version and a README, in both languages."""

from __future__ import annotations

import json
from importlib.metadata import Distribution
from pathlib import Path

from service.specification import specification

SPEC = specification.document
VERSION = SPEC["info"]["version"]
OPERATIONS = {
    operation["operationId"]: operation["tags"][0]
    for item in SPEC["paths"].values()
    for operation in item.values()
}


def test_the_python_client_is_a_package_to_install(clients: Path) -> None:
    [info] = (clients / "site").glob("*.dist-info")
    package = Distribution.at(info)
    assert (package.name, package.version) == ("byline-client", VERSION)
    assert "import AuthenticatedClient, Client" in package.read_text("METADATA")
    assert (clients / "site" / "byline_client" / "py.typed").exists()


def test_the_typescript_client_is_a_package_to_install(clients: Path) -> None:
    folder = clients / "node_modules" / "byline-client"
    package = json.loads((folder / "package.json").read_text())
    assert (package["name"], package["version"]) == ("byline-client", VERSION)
    assert "dependencies" not in package
    assert "from 'byline-client'" in (folder / "README.md").read_text()
    assert {path.name for path in folder.iterdir()} == {"README.md", "dist", "package.json"}


def test_every_operation_is_a_function_of_its_name(clients: Path) -> None:
    api = clients / "site" / "byline_client" / "api"
    functions = {path.stem: path.parent.name for path in api.glob("*/[a-z]*.py")}
    assert functions == OPERATIONS
    sdk = (clients / "node_modules/byline-client/dist/generated/sdk.gen.d.ts").read_text()
    for name in OPERATIONS:
        first, *others = name.split("_")
        assert f"export declare const {first}{''.join(map(str.capitalize, others))}: " in sdk


def test_a_type_is_called_as_its_schema_is(clients: Path) -> None:
    names = {path.stem for path in (clients / "site/byline_client/models").glob("[a-z]*.py")}
    schemas = {name.lower() for name in SPEC["components"]["schemas"]}
    others = {name for name in names if name.replace("_", "") not in schemas}
    assert others == {"health_status", "readiness_status", "specification"}
