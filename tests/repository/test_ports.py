"""Two servers of the tests never get the same port, be their processes the same or not."""

from __future__ import annotations

import random
import secrets
import subprocess
import sys

import pytest

from tests.kit.commands import ROOT
from tests.kit.ports import PORTS, free_port

DRAWING = """
import secrets, sys
from tests.kit.ports import free_port
draws = iter(map(int, sys.argv[1:]))
secrets.choice = lambda ports: next(draws)
print(free_port())
"""


def test_a_port_is_given_once_though_its_server_has_not_bound_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = free_port()
    draws = iter([given, *random.sample(PORTS, 50)])
    monkeypatch.setattr(secrets, "choice", lambda ports: next(draws))
    assert free_port() != given


def test_another_process_gets_a_different_port() -> None:
    given = free_port()
    draws = map(str, [given, *random.sample(PORTS, 50)])
    elsewhere = subprocess.run(
        [sys.executable, "-c", DRAWING, *draws], cwd=ROOT, capture_output=True, check=True
    )
    assert int(elsewhere.stdout) != given
