"""Makes the Python and TypeScript clients from the public specification, as packages to install.

The generators produce the code, and packages.py what else a package has.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from openapi.sdk import python_client, typescript_client
from openapi.sdk.distributions import build
from openapi.sdk.packages import describe
from service.specification import specification


def main(clients: Path) -> None:
    """Write `python`, `typescript` and, ready to publish, `dist` into the folder, replacing what
    is there."""
    for language, generate in (("python", python), ("typescript", typescript_client.generate)):
        folder = clients / language
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        generate(folder)
        describe(language, folder)
    build(clients)


def documented() -> dict[str, Any]:
    """The public specification as the generator for Python needs it.

    Answers in YAML become files, because clients have no parser for YAML. Objects do not
    declare additional properties: these clients accept new fields anyway. Security schemes in a
    cookie are left out, because only browsers have them.
    """
    document: dict[str, Any] = json.loads(specification.public_json())
    schemes = document["components"]["securitySchemes"].items()
    in_cookies = {name for name, scheme in schemes if scheme.get("in") == "cookie"}
    for methods in document["paths"].values():
        for operation in methods.values():
            operation["security"] = [
                scheme for scheme in operation["security"] if not scheme.keys() & in_cookies
            ]
    for schema in document["components"]["schemas"].values():
        if schema.get("additionalProperties") is True:
            del schema["additionalProperties"]
    for methods in document["paths"].values():
        for operation in methods.values():
            for response in operation["responses"].values():
                if yaml := response.get("content", {}).get("application/yaml"):
                    yaml["schema"] = {"type": "string", "format": "binary"}
    return document


def without_cookies(document: dict[str, Any]) -> dict[str, Any]:
    """The same for programs, which no browser runs: they cannot ask for the refresh token in a
    cookie, and so they always have it."""
    document["components"]["schemas"].pop("TokenTransport", None)
    for schema in document["components"]["schemas"].values():
        properties = schema.get("properties", {})
        properties.pop("transport", None)
        required = schema.get("required", [])
        if "refresh_token" in properties and "refresh_token" not in required:
            schema["required"] = [*required, "refresh_token"]
    return document


def python(folder: Path) -> None:
    """The package for pip, imported as MODULE."""
    python_client.generate(folder, without_cookies(documented()))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
