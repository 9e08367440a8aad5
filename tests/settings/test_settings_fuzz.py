"""Whatever a setting is given, a start goes on or is one line that shows nothing of the value.

SETTINGS_SEED repeats a run; a failure prints it.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, note, seed
from hypothesis import settings as how
from hypothesis import strategies as st

from service.advice import warnings
from service.application import create_app
from service.engine.serve import listeners
from service.engine.settings import BadConfiguration
from service.engine.tokens.keys import generate_key
from service.settings import Settings, load
from tests.kit.commands import run
from tests.kit.values import PEM, REFUSED, UNDERSTOOD

SEED = int(os.environ.get("SETTINGS_SEED") or secrets.randbits(32))
SECRET = "hunter2-xyzzy"
NAMES = [name.upper() for name in Settings.model_fields]
# What is special in an address, a list, a number, a file of settings or a terminal.
SPECIAL = "@:/#%?&=,;[]{}\\'\"`$()<>|*+-_.~! \t\r\n\x00\x01\x1b\x7f\x85"
SPECIAL += "\u00a0\u2028\ufeff\u00e9\u96ea\U0001f511"
NOT_UTF8 = "\udc80\udcff"  # as Python has bytes of the environment that are none

# What a line says a setting should be, the longest first, for some are in others.
SAID_ANYWAY = sorted(
    (text for f in Settings.model_fields.values() for text in (f.description, f.examples[0])),
    key=len,
    reverse=True,
)

known = {name: [Settings.model_fields[name.lower()].examples[0]] for name in NAMES}
for _name, _value, *_ in (*UNDERSTOOD, *REFUSED):
    known[_name].append(_value)
known["JWT_PRIVATE_KEY"].append(PEM)

WORDS = [SECRET, "0", "-1", "65536", "1e9", "inf", "nan", "true", "null", "::1", "%00", "://", ".."]
pieces = st.text(st.sampled_from(SPECIAL + NOT_UTF8 + "09azAZ"), max_size=8) | st.sampled_from(
    WORDS
)


@st.composite
def near(draw: Any, name: str) -> str:
    """A known value of a setting, good or bad, with something cut out of it or put into it."""
    value = str(draw(st.sampled_from(known[name])))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(value)))
        end = draw(st.integers(start, min(len(value), start + 6)))
        value = value[:start] + draw(pieces) + value[end:]
    return value


anything = st.lists(pieces | st.text(max_size=10), max_size=6).map("".join)
numbers = st.integers(-(10**20), 10**20).map(str) | st.floats().map(str)


def values_of(name: str) -> st.SearchStrategy[str]:
    return near(name) | near(name) | anything | numbers


in_process = how(
    max_examples=int(os.environ.get("SETTINGS_EXAMPLES", "40")),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=False,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("settings")
    generate_key(folder / "instance" / "keys")
    with chdir(folder):
        yield folder


@contextmanager
def environment(**given: str) -> Iterator[None]:
    """An environment with these settings and no others."""
    kept = {name: value for name, value in os.environ.items() if name.upper() not in NAMES}
    # The environment can hold no NUL.
    clean = {name: value.replace("\x00", "") for name, value in given.items()}
    with patch.dict(os.environ, {**kept, **clean}, clear=True):
        yield


def outcome(given: dict[str, str], *, whole: bool = False) -> str | None:
    """The line that these settings are refused with, or None when they start: nothing else may
    happen, and no line may show a value."""
    note(f"SETTINGS_SEED={SEED} {given!r}")
    line = None
    try:
        settings = load()
        for warning in warnings(settings):
            check(warning, given)
        if whole:
            with patch.object(socket, "getaddrinfo", numeric):
                for listener in listeners.bound(settings.host, 0):
                    listener.close()
            create_app(settings)
    except BadConfiguration as refused:
        line = str(refused)
        check(line, given)
    return line


def check(line: str, given: dict[str, str]) -> None:
    assert line.isprintable()
    assert 0 < len(line) < 500
    assert SECRET not in line
    assert any(name in line for name in [*NAMES, ".env"])
    own = line
    for text in SAID_ANYWAY:
        own = own.replace(text, "")
    for value in given.values():
        assert len(value.strip()) < 8 or value.strip() not in own


def numeric(host: str, *arguments: Any, **options: Any) -> Any:
    """No name is looked up, which may take seconds."""
    options["flags"] = options.get("flags", 0) | socket.AI_NUMERICHOST
    return getaddrinfo(host, *arguments, **options)


getaddrinfo = socket.getaddrinfo


@pytest.mark.parametrize("name", NAMES)
def test_any_value_in_the_environment_starts_or_is_one_line(place: Path, name: str) -> None:
    @seed(SEED)
    @in_process
    @given(values_of(name))
    def try_out(value: str) -> None:
        with environment(**{name: value}):
            outcome({name: value})

    try_out()


@pytest.mark.parametrize("name", NAMES)
def test_any_value_in_the_env_file_starts_or_is_one_line(place: Path, name: str) -> None:
    file = place / ".env"

    @seed(SEED)
    @in_process
    @given(values_of(name), st.sampled_from(["{}", "'{}'", '"{}"', "{}\n{}", "export {}"]))
    def try_out(value: str, form: str) -> None:
        text = f"{name}={form.format(value, value)}\n"
        file.write_bytes(text.encode("utf-8", "surrogateescape"))
        with environment():
            outcome({name: value})

    try:
        try_out()
    finally:
        file.unlink(missing_ok=True)


@pytest.mark.parametrize("name", NAMES)
def test_settings_that_load_make_an_application_or_one_line(place: Path, name: str) -> None:
    """An application is made of good values too, or refused as bad ones are."""

    @seed(SEED)
    @how(in_process, max_examples=max(3, in_process.max_examples // 10))
    @given(near(name))
    def try_out(value: str) -> None:
        with environment(**{"PUBLIC_URL": "http://localhost", name: value}):
            outcome({name: value}, whole=True)

    try_out()


def test_several_random_values_start_or_are_one_line(place: Path) -> None:
    @st.composite
    def some(draw: Any) -> dict[str, str]:
        chosen = draw(st.lists(st.sampled_from(NAMES), min_size=2, max_size=6, unique=True))
        return {name: draw(values_of(name)) for name in chosen}

    @seed(SEED)
    @how(in_process, max_examples=300)
    @given(some())
    def try_out(given: dict[str, str]) -> None:
        with environment(**given):
            line = outcome(given)
        if line:
            first = line.split()[0]
            assert first in {*given, ".env", "PUBLIC_URL"}

    try_out()


@pytest.mark.parametrize("number", range(4))
def test_the_command_ends_with_one_line_and_2(tmp_path: Path, number: int) -> None:
    name, value = Random(SEED + number).choice(REFUSED)
    ended = run(tmp_path, "serve", **{name: value})
    assert (ended.returncode, ended.stdout) == (2, ""), f"SETTINGS_SEED={SEED} {name}"
    assert ended.stderr.startswith(f"Error: {name} ")
    assert ended.stderr.count("\n") == 1
    assert "hunter2" not in ended.stderr
