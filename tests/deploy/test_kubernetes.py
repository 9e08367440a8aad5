"""The manifests are valid, and their numbers and names fit the service's."""

from __future__ import annotations

import subprocess
from ipaddress import ip_network

import kubernetes_validate
import pytest
import yaml

from service.specification import specification
from tests.kit.manifests import (
    DEPLOY,
    FINISH,
    configured,
    connections,
    documents,
    environment,
)
from tests.kit.programs import program

FOLDER = DEPLOY / "kubernetes"
FILES = documents("kubernetes/kustomization.yaml")[0]["resources"]
ALL = [document for name in FILES for document in documents(f"kubernetes/{name}")]
BY_KIND = {document["kind"]: document for document in ALL}
DEPLOYMENT = BY_KIND["Deployment"]["spec"]
TEMPLATES = {
    "Deployment": DEPLOYMENT["template"],
    "Job": BY_KIND["Job"]["spec"]["template"],
    "CronJob": BY_KIND["CronJob"]["spec"]["jobTemplate"]["spec"]["template"],
}
PUBLIC = environment("kubernetes/byline.env")
SECRET = environment("kubernetes/secret.example.env")
SETTINGS = configured(PUBLIC | SECRET)


@pytest.mark.parametrize("document", ALL, ids=[each["kind"] for each in ALL])
def test_every_manifest_fits_the_newest_schema(document):
    newest = kubernetes_validate.latest_version()

    assert kubernetes_validate.validate(document, newest, strict=True)


def test_every_file_is_applied():
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}

    assert files == set(FILES)


def test_the_image_is_that_of_this_version():
    [image] = documents("kubernetes/kustomization.yaml")[0]["images"]
    version = specification.version
    assert image["newTag"] == version, f"set newTag in kustomization.yaml to {version}, too"


def test_kustomize_puts_them_together():
    kubectl = program("kubectl")
    made = subprocess.run(
        [kubectl, "kustomize", FOLDER], capture_output=True, text=True, timeout=60, check=False
    )
    assert made.returncode == 0, made.stderr
    together = list(yaml.safe_load_all(made.stdout))

    assert {each["kind"] for each in together} == {*BY_KIND, "ConfigMap"}
    images = [
        container["image"]
        for each in together
        if each["kind"] in {"Deployment", "Job"}
        for container in each["spec"]["template"]["spec"]["containers"]
    ]
    assert len(set(images)) == 1
    for each in together:
        assert kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_the_pods_are_restricted_and_write_nothing_but_tmp(template):
    spec = template["spec"]
    [container] = spec["containers"]

    assert BY_KIND["Namespace"]["metadata"]["labels"] == {
        "pod-security.kubernetes.io/enforce": "restricted"
    }
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False  # they would set variables called BYLINE_...
    assert "memory" in container["resources"]["limits"]


def test_the_probes_ask_for_what_answers_any_host():
    [container] = DEPLOYMENT["template"]["spec"]["containers"]
    env = {each["name"]: each.get("value") for each in container["env"]}
    configured({"TRUSTED_HOSTS": env["TRUSTED_HOSTS"].replace("$(POD_IP)", "10.0.0.1")})
    paths = {}
    for probe in ("livenessProbe", "startupProbe", "readinessProbe"):
        asked = container[probe]["httpGet"]
        paths[probe] = asked["path"]
        assert specification.document["paths"][asked["path"]]["get"]["x-any-host"]

    assert paths["readinessProbe"] == "/health/ready"
    assert paths["livenessProbe"] == paths["startupProbe"] == "/health/live"
    assert container["ports"] == [{"name": "http", "containerPort": SETTINGS.port}]


def test_a_pod_has_enough_time_to_shut_down():
    grace = DEPLOYMENT["template"]["spec"]["terminationGracePeriodSeconds"]

    assert grace > SETTINGS.shutdown_delay + FINISH


def test_all_pods_leave_postgresql_some_connections():
    most = BY_KIND["HorizontalPodAutoscaler"]["spec"]["maxReplicas"]
    surge = DEPLOYMENT["strategy"]["rollingUpdate"]["maxSurge"]
    stopping = surge  # a pod keeps its connections after the rollout has gone on to the next

    assert (most + surge + stopping) * SETTINGS.workers * connections(SETTINGS) <= 90


def test_every_selector_finds_the_pods_it_is_for():
    labels = {kind: template["metadata"]["labels"] for kind, template in TEMPLATES.items()}
    api = labels["Deployment"]

    assert DEPLOYMENT["selector"]["matchLabels"] == api
    assert BY_KIND["Service"]["spec"]["selector"] == api
    assert BY_KIND["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == api
    everybody = BY_KIND["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"].items()
    assert all(everybody <= each.items() for each in labels.values())


def test_the_public_sees_every_operation_and_page_but_those_for_operators():
    [rule] = BY_KIND["Ingress"]["spec"]["rules"]
    routes = [(route["path"], route["pathType"]) for route in rule["http"]["paths"]]

    def is_public(path):
        return any(
            path == prefix or (kind == "Prefix" and path.startswith(f"{prefix}/"))
            for prefix, kind in routes
        )

    hidden = {path for path in specification.document["paths"] if not is_public(path)}
    assert hidden == {"/metrics", "/health/live", "/health/ready"}
    for page in ("/problems", "/problems/rate-limited", "/docs/", "/favicon.ico"):
        assert is_public(page)


def test_the_pods_may_connect_to_the_hosts_in_the_settings():
    egress = BY_KIND["NetworkPolicy"]["spec"]["egress"]
    ports = {port["port"] for rule in egress for port in rule["ports"]}

    assert {5432, 6379, 587, 53, 4318} <= ports
    assert all(ip_network(proxy) for proxy in SETTINGS.trusted_proxies)
