"""The units are valid and leave the service little beyond what it needs."""

from __future__ import annotations

import re
import subprocess

import pytest

from service.settings import Settings
from tests.kit.manifests import DEPLOY, FINISH, configured, environment, seconds
from tests.kit.programs import program

UNITS = sorted((DEPLOY / "systemd").glob("byline*.[st]*"))
SERVICE = (DEPLOY / "systemd" / "byline.service").read_text()


def analyze(*arguments):
    return subprocess.run(
        [program("systemd-analyze"), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("unit", UNITS, ids=[unit.name for unit in UNITS])
def test_systemd_has_nothing_to_say_against_a_unit(unit):
    complaints = analyze("verify", "--man=no", unit).stderr.splitlines()

    assert [line for line in complaints if "/opt/byline" not in line] == []


def test_the_service_is_confined():
    report = analyze("security", "--offline=true", DEPLOY / "systemd" / "byline.service").stdout
    exposure = re.search(r"exposure level for byline.service: ([0-9.]+)", report)

    assert float(exposure[1]) <= 1.5  # of 10; an ordinary service has 9.6


def test_a_server_has_enough_time_to_shut_down():
    given = seconds(re.search(r"^TimeoutStopSec=(\w+)$", SERVICE, re.MULTILINE)[1] + "s")

    assert given > Settings.model_fields["shutdown_delay"].default + FINISH


def test_the_example_of_its_environment_is_good():
    settings = configured(environment("systemd/byline.env.example"))

    assert not settings.embedded
    assert settings.workers > 1  # or a reload would end it
    state = re.search(r"^StateDirectory=(\w+)$", SERVICE, re.MULTILINE)[1]
    assert str(settings.jwt_keys_dir).startswith(f"/var/lib/{state}/")
