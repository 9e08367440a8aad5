"""The compose file is valid, and its numbers and names fit the service's."""

from __future__ import annotations

import re

import pytest

from tests.kit.manifests import (
    DEPLOY,
    FINISH,
    configured,
    connections,
    documents,
    environment,
    seconds,
)

[COMPOSE] = documents("compose.yaml")
SERVICES = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service["image"].startswith("byline")]
FILLED_IN = {"POSTGRES_PASSWORD": "0123abcd", "METRICS_TOKEN": "4567cdef"}
GIVEN = environment("env.example") | FILLED_IN


def filled(value):
    """What compose makes of a value when deploy/.env is the example, filled in."""

    def variable(match):
        name, default = match[1], (match[2] or "").removeprefix(":-").removeprefix(":?")
        assert name in GIVEN or match[2], f"{name} is not in env.example"
        if (match[2] or "").startswith(":?"):
            assert GIVEN[name], name
        return GIVEN.get(name) or default

    return re.sub(r"\$\{(\w+)(:[-?][^}]*)?\}", variable, str(value))


def test_the_compose_file_fits_the_compose_specification():
    schema = pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed")
    with pytest.raises(SystemExit) as ended:
        schema.main(["--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml")])

    assert ended.value.code == 0


@pytest.mark.parametrize("name", OURS)
def test_services_of_the_image_write_only_to_tmp_and_have_valid_settings(name):
    service = SERVICES[name]
    settings = configured({k: filled(v) for k, v in service["environment"].items()})

    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert not settings.embedded


def test_only_nginx_is_believed_about_client_addresses():
    [network] = COMPOSE["networks"]["front"]["ipam"]["config"]
    app = SERVICES["app"]

    assert app["environment"]["TRUSTED_PROXIES"] == network["subnet"]
    assert {n for n, service in SERVICES.items() if "front" in service.get("networks", [])} == {
        "app",
        "nginx",
    }
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["nginx"]


def test_the_processes_leave_postgresql_some_connections():
    app = SERVICES["app"]
    settings = configured({k: filled(v) for k, v in app["environment"].items()})

    assert app["deploy"]["replicas"] * settings.workers * connections(settings) <= 90


def test_a_server_has_enough_time_to_shut_down():
    settings = configured({k: filled(v) for k, v in SERVICES["app"]["environment"].items()})

    assert seconds(SERVICES["app"]["stop_grace_period"]) > settings.shutdown_delay + FINISH
    assert seconds(SERVICES["nginx"]["stop_grace_period"]) > seconds(
        re.search(r"worker_shutdown_timeout (\w+);", _nginx())[1]
    )


def test_nginx_ends_its_idle_connections_before_the_service_does():
    upstream = _nginx().partition("upstream byline {")[2].partition("}")[0]
    idle = re.search(r"keepalive_timeout (\w+);", upstream)[1]

    assert seconds(idle) < configured({}).shutdown_delay


def test_no_manifest_contains_a_secret():
    secret = {"POSTGRES_PASSWORD", "METRICS_TOKEN"}

    assert {name: environment("env.example")[name] for name in secret} == dict.fromkeys(secret, "")
    assert re.search(r"^\.env$", (DEPLOY.parent / ".gitignore").read_text(), re.MULTILINE)


def _nginx():
    return (DEPLOY / "nginx" / "nginx.conf").read_text()
