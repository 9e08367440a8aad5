"""docs/releasing.md, followed to the letter in a copy of the repository: a patch version, with the
packages of its clients. What needs a network is looked at only."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from openapi.gate import refused
from service.engine.spec.specification import parsed
from service.specification import specification
from tests.kit.copies import ROOT, copy_repository
from tests.kit.followed_page import Reader
from tests.kit.generated_clients import generated
from tests.kit.programs import npm_programs
from tests.repository.test_ci import GITLAB, SCHEMAS

PAGE = (ROOT / "docs" / "releasing.md").read_text()
RELEASE = ".github/workflows/release.yml"
NAME = specification.name


@pytest.fixture(scope="module")
def version() -> str:
    """The next one."""
    major, minor, patch = specification.version.split(".")
    return f"{major}.{minor}.{int(patch) + 1}"


def section(title: str) -> str:
    [found] = re.findall(
        rf"^## (?:\d\. )?{title}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE
    )
    return found


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, version: str) -> Reader:
    """Who has followed the page to the tag and the packages."""
    npm = npm_programs().parent
    folder = tmp_path_factory.mktemp("releasing")
    copy = copy_repository(folder / "copy")
    (copy / "openapi" / "node_modules").symlink_to(npm)
    reader = Reader(folder, NAME)
    reader.run("cd copy")
    reader.run("git init --quiet --initial-branch main; git add --all; git commit --quiet -m x")
    for step in ("Choose the version", "Publish the clients"):
        reader.follow(section(step))
    choose(copy, version)
    for step in ("Check", "Record and tag", "Build the clients and look at them"):
        reader.follow(section(step))
    return reader


def choose(copy: Path, version: str) -> None:
    """What the first step asks for in words."""
    for file, old, new in (
        ("openapi/openapi.yaml", r"^  version: .*", f"  version: {version}"),
        ("deploy/kubernetes/kustomization.yaml", r"^    newTag: .*", f"    newTag: {version}"),
        ("CHANGELOG.md", r"^## ", f"## {version} (2026-12-01)\n\n### Clients\n\n- New.\n\n## "),
    ):
        before = (copy / file).read_text()
        after, found = re.subn(old, new, before, count=1, flags=re.MULTILINE)
        assert found
        (copy / file).write_text(after)


def test_the_release_is_tagged_with_what_clients_get(reader: Reader, version: str) -> None:
    assert reader.run("git describe") == f"v{version}"
    assert reader.run("git status --porcelain") == ""
    released = parsed(reader.run("git show HEAD:openapi/released.yaml"))
    assert released["info"]["version"] == version
    changelog = reader.run("git show HEAD:CHANGELOG.md")
    assert refused([], specification.version, version, changelog) == []


def test_the_packages_have_the_version_and_link_to_the_repository(
    reader: Reader, version: str
) -> None:
    packages = {path.name for path in (reader.folder / "clients" / "dist").iterdir()}
    assert packages == {
        f"{NAME}-client-{version}.tgz",
        f"{NAME}_client-{version}.tar.gz",
        f"{NAME}_client-{version}-py3-none-any.whl",
    }
    [address] = re.findall(r"x-repository: (\S+)", PAGE)
    npm = json.loads((reader.folder / "clients" / "typescript" / "package.json").read_text())
    assert npm["repository"] == {"type": "git", "url": f"git+{address}.git"}
    python = (reader.folder / "clients" / "python" / "pyproject.toml").read_text()
    assert f'Source = "{address}"' in python
    changelog = (reader.folder / "clients" / "typescript" / "CHANGELOG.md").read_text()
    assert f"## {version} (2026-12-01)\n\n- New.\n\n## " in changelog
    sums = (reader.folder / "clients" / "sums").read_text()
    assert {line.split()[1] for line in sums.splitlines()} == packages


def test_the_code_of_the_clients_is_the_same_whenever_it_is_generated(
    reader: Reader, version: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = generated(tmp_path_factory) / "clients"
    after = reader.folder / "clients"
    code = [path.relative_to(before) for path in before.rglob("*.[pjt][ys]")]
    assert len(code) > 10
    for file in code:
        text = (after / file).read_text().replace(version, specification.version)
        assert text == (before / file).read_text(), file


def test_a_security_release_begins_at_the_last_release(reader: Reader, version: str) -> None:
    reader.follow(section("Security releases"))
    assert reader.run("git branch --show-current; git describe") == f"fix\nv{version}"


@pytest.mark.parametrize(
    ("file", "schema"), {**SCHEMAS, RELEASE: "vendor.github-workflows"}.items()
)
def test_the_workflows_fit_the_schemas_of_their_hosts(
    reader: Reader, file: str, schema: str
) -> None:
    check = pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed")
    with pytest.raises(SystemExit) as ended:
        check.main(["--builtin-schema", schema, str(reader.folder / file)])
    assert ended.value.code == 0


def test_only_the_job_that_publishes_has_an_identity(reader: Reader) -> None:
    github = yaml.safe_load((reader.folder / RELEASE).read_text())
    assert github["permissions"] == {"contents": "read"}
    build, publish = github["jobs"]["build"], github["jobs"]["publish"]
    assert "permissions" not in build
    assert publish["permissions"] == {"id-token": "write"}
    actions = [step["uses"] for step in build["steps"] + publish["steps"] if "uses" in step]
    assert [action for action in actions if not re.search(r"@v\d+(\.\d+)*$", action)] == []
    assert not [step for step in publish["steps"] if "checkout" in step.get("uses", "")]
    gitlab = yaml.safe_load((reader.folder / GITLAB).read_text())
    assert "id_tokens" not in gitlab["clients"]
    assert gitlab["publish"]["variables"] == {"GIT_STRATEGY": "none"}
    assert publish["environment"] == gitlab["publish"]["environment"] == "release"


def test_both_hosts_publish_the_same_packages(reader: Reader) -> None:
    github = yaml.safe_load((reader.folder / RELEASE).read_text())["jobs"]
    gitlab = yaml.safe_load((reader.folder / GITLAB).read_text())
    assert gitlab["clients"]["script"] == ["make sdk"]
    assert {"run": "make sdk"} in github["build"]["steps"]
    npm = [step.get("run", "") for step in github["publish"]["steps"]][-1]
    assert gitlab["publish"]["script"][-1] == npm.replace("./dist", "./clients/dist")
