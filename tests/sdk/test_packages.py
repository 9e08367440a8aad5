"""What `make sdk` puts into `dist` is ready to publish: complete, described, the same whenever it
is built, and usable where nothing else is installed."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tarfile
from collections.abc import Callable
from importlib.metadata import Distribution, distribution
from pathlib import Path, PurePath
from zipfile import ZipFile

import httpx
import pytest
from packaging.metadata import Metadata
from packaging.requirements import Requirement

from openapi.sdk.distributions import build
from openapi.sdk.examples import EMAIL, PASSWORD
from openapi.sdk.packages import FACADE, MODULE, PACKAGE
from service.specification import specification
from tests.kit.generated_clients import BIN, NPM_INSTALL, PIP, ROOT, STRICT, node, run
from tests.kit.programs import NPM
from tests.kit.serving import Server

VERSION = specification.version
WHEEL = f"{MODULE}-{VERSION}-py3-none-any.whl"
SDIST = f"{MODULE}-{VERSION}.tar.gz"
TARBALL = f"{PACKAGE}-{VERSION}.tgz"
OPERATIONS = {
    operation["operationId"]: operation["tags"][0]
    for item in specification.document["paths"].values()
    for operation in item.values()
}
IN_WHEEL = (
    rf"{MODULE}/([a-z_]+/)*(\w+\.py|py\.typed|CHANGELOG\.md)|{MODULE}-{VERSION}\.dist-info/.+"
)
IN_SDIST = (
    rf"{MODULE}/([a-z_]+/)*(\w+\.py|py\.typed|CHANGELOG\.md)|{MODULE}\.egg-info/[\w-]+(\.txt)?"
    r"|LICENSE|PKG-INFO|README\.md|pyproject\.toml|setup\.cfg"
)
IN_TARBALL = r"dist/([\w.-]+/)*[\w.-]+\.(js|d\.ts)|LICENSE|README\.md|CHANGELOG\.md|package\.json"


@pytest.fixture
def dist(clients: Path) -> Path:
    return clients / "clients" / "dist"


def contents(archive: Path) -> dict[str, bytes]:
    """The files of a package, without the folder that holds them all."""
    if archive.suffix == ".whl":
        with ZipFile(archive) as zipped:
            return {name: zipped.read(name) for name in zipped.namelist()}
    with tarfile.open(archive) as tar:
        files = [entry for entry in tar if entry.isfile()]
        return {entry.name.split("/", 1)[1]: tar.extractfile(entry).read() for entry in files}


def metadata(dist: Path) -> Metadata:
    """That of the wheel, as strictly read as by the index that takes it."""
    text = contents(dist / WHEEL)[f"{MODULE}-{VERSION}.dist-info/METADATA"]
    return Metadata.from_email(text, validate=True)


def npm_metadata(dist: Path) -> dict[str, object]:
    return json.loads(contents(dist / TARBALL)["package.json"])


def test_there_is_a_wheel_a_source_distribution_and_a_tarball(dist: Path) -> None:
    assert {path.name for path in dist.iterdir()} == {WHEEL, SDIST, TARBALL}


@pytest.mark.parametrize(
    ("name", "files"), [(WHEEL, IN_WHEEL), (SDIST, IN_SDIST), (TARBALL, IN_TARBALL)]
)
def test_a_package_has_what_its_users_need_and_nothing_else(
    dist: Path, name: str, files: str
) -> None:
    inside = contents(dist / name)
    assert [file for file in inside if not re.fullmatch(files, file)] == []
    parts = {PurePath(file).name for file in inside}
    typed = "index.d.ts" if name == TARBALL else "py.typed"
    assert {"LICENSE", "CHANGELOG.md", typed} <= parts
    [license_] = {data for file, data in inside.items() if file.endswith("LICENSE")}
    assert license_ == (ROOT / "LICENSE").read_bytes()
    [changelog] = {data for file, data in inside.items() if file.endswith("CHANGELOG.md")}
    assert f"\n## {VERSION}".encode() in changelog
    assert [file for file, data in inside.items() if str(ROOT).encode() in data] == []


def test_the_tarball_is_small(dist: Path) -> None:
    # What every client needs, and what an operation adds; less than 20 kB with the 62 of today.
    assert (dist / TARBALL).stat().st_size < 8200 + 190 * len(OPERATIONS)


def test_the_wheel_is_described(dist: Path) -> None:
    told = metadata(dist)
    assert (told.name, str(told.version)) == (PACKAGE, VERSION)
    assert f"the {specification.title} API" in told.summary
    assert told.license_expression == specification.document["info"]["license"]["name"]
    assert told.license_files == ["LICENSE"]
    assert {"Typing :: Typed", "Programming Language :: Python :: 3.11"} <= set(told.classifiers)
    assert specification.name in told.keywords
    assert str(told.requires_python) == ">=3.11"
    assert told.author == specification.document["info"]["contact"]["name"]
    assert contents(dist / SDIST)["PKG-INFO"].startswith(b"Metadata-Version: 2.4\n")


def test_the_tarball_is_described(dist: Path) -> None:
    told = npm_metadata(dist)
    assert (told["name"], told["version"]) == (PACKAGE, VERSION)
    assert told["license"] == specification.document["info"]["license"]["name"]
    assert told["description"] == metadata(dist).summary
    assert specification.name in told["keywords"]
    assert told["author"]["name"] == specification.document["info"]["contact"]["name"]
    named = [told["main"], told["types"], *told["exports"]["."].values()]
    assert {str(PurePath(file)) for file in named} <= contents(dist / TARBALL).keys()
    assert next(iter(told["exports"]["."])) == "types"  # the first that fits is taken
    assert told["type"] == "module"
    assert not {name for name in told if "ependencies" in name or name == "scripts"}


def test_the_packages_link_to_the_same_places(dist: Path) -> None:
    urls = metadata(dist).project_urls or {}
    told = npm_metadata(dist)
    homes = [urls.get("Homepage"), urls.get("Documentation"), urls.get("Source")]
    assert told.get("homepage") == next(filter(None, homes), None)
    assert ("repository" in told) == ("Source" in urls)


def test_a_readme_is_for_those_who_install_the_package(dist: Path) -> None:
    told = metadata(dist)
    assert told.description_content_type == "text/markdown"
    python = told.description
    typescript = contents(dist / TARBALL)["README.md"].decode()
    assert f"pip install {PACKAGE}\n" in python
    assert f"from {MODULE} import {FACADE}\n" in python
    assert f"npm install {PACKAGE}\n" in typescript
    assert f"import {{ {FACADE} }} from '{PACKAGE}';\n" in typescript
    for readme in (python, typescript):
        assert readme.startswith(f"# {PACKAGE}\n")
        assert len(readme.splitlines()) < 40
        assert not re.search(r"127\.0\.0\.1|localhost|\bmake |\$\w", readme)
        links = re.findall(r"\]\(([^)]+)\)", readme)
        assert [link for link in links if not link.startswith("https://")] == []


def test_building_again_makes_the_same_bytes(
    dist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for language in ("python", "typescript"):
        shutil.copytree(dist.parent / language, tmp_path / language, copy_function=shutil.copyfile)
    for path in tmp_path.rglob("*.*"):
        path.chmod(0o600)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    build(tmp_path)
    for package in dist.iterdir():
        assert (tmp_path / "dist" / package.name).read_bytes() == package.read_bytes()


def test_the_source_distribution_builds_the_same_wheel(dist: Path, tmp_path: Path) -> None:
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--quiet", "-w", tmp_path]
    run(sys.executable, "-m", "pip", "wheel", *options, dist / SDIST)
    assert contents(tmp_path / WHEEL) == contents(dist / WHEEL)


def test_the_wheel_works_with_its_dependencies_alone(
    dist: Path, tmp_path: Path, serve: Callable[..., Server]
) -> None:
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    python = venv / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python]
    run(*pip, *PIP[2:], dist / WHEEL)
    [site] = venv.glob("lib/python*/site-packages")
    _link(metadata(dist).requires_dist, site)
    assert "No broken requirements found" in run(*pip, "check")
    url = registered(serve)
    (tmp_path / "sync.py").write_text(example(metadata(dist).description, url))
    (tmp_path / "async.py").write_text(ASYNC.format(module=MODULE, facade=FACADE))
    isolated = [python, "-I", "-W", "error"]
    printed = run(*isolated, "sync.py", cwd=tmp_path)
    assert re.match(r"\w+\(id=", printed)
    assert run(*isolated, "async.py", url, cwd=tmp_path) == "ok\nok\n"


def test_the_tarball_works_in_an_empty_folder(
    dist: Path, tmp_path: Path, serve: Callable[..., Server]
) -> None:
    run(BIN / "npm", *NPM_INSTALL, dist / TARBALL, cwd=tmp_path)
    assert [path.name for path in (tmp_path / "node_modules").glob("[a-z]*")] == [PACKAGE]
    url = registered(serve)
    readme = tmp_path / "node_modules" / PACKAGE / "README.md"
    (tmp_path / "first.mts").write_text(example(readme.read_text(), url))
    (tmp_path / "required.cjs").write_text(REQUIRED.format(package=PACKAGE, facade=FACADE))
    assert "  id: '" in node(tmp_path / "first.mts")
    assert node(tmp_path / "required.cjs", url) == "ok\n"
    # test_types.py compiles as Node.js resolves modules.
    options = ["--module", "esnext", "--moduleResolution", "bundler"]
    node(NPM / "tsc", *STRICT, *options, "first.mts", cwd=tmp_path)


def test_every_operation_is_a_function_of_its_name(clients: Path) -> None:
    api = clients / "site" / MODULE / "api"
    functions = {path.stem: path.parent.name for path in api.glob("*/[a-z]*.py")}
    assert functions == OPERATIONS


def test_a_type_is_called_as_its_schema_is(clients: Path) -> None:
    names = {path.stem for path in (clients / "site" / MODULE / "models").glob("[a-z]*.py")}
    schemas = {name.lower() for name in specification.document["components"]["schemas"]}
    assert {name for name in names if name.replace("_", "") not in schemas} == set()


# With the methods and with the functions of operations.
ASYNC = """
import asyncio, sys
from {module} import Async{facade}, Client
from {module}.api.ops import get_liveness

async def main():
    async with Async{facade}(sys.argv[1]) as client:
        print((await client.ops.get_liveness()).status)
    async with Client(sys.argv[1]) as client:
        print((await get_liveness.asyncio(client=client)).status)

asyncio.run(main())
"""
REQUIRED = """
const {{ {facade} }} = require('{package}');

const client = new {facade}(process.argv[2]);
client.ops.getLiveness().then(({{ status }}) => console.log(status));
"""


def example(readme: str, url: str) -> str:
    """The program in a README, for the service at this address."""
    [program] = re.findall(r"```(?:python|ts)\n(.*?)```", readme, re.DOTALL)
    changed, found = re.subn(r"https://[\w.-]+", url, program)
    assert found == 1
    return changed


def registered(serve: Callable[..., Server]) -> str:
    """The address of a service that knows the user of the examples."""
    url = serve().url
    account = {"email": EMAIL, "password": PASSWORD}
    httpx.post(f"{url}/auth/register", json=account).raise_for_status()
    return url


def _link(requirements: list[Requirement], site: Path) -> None:
    """Put what is required, and what that requires, into an environment: links to what the tests
    have."""
    for requirement in requirements:
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        found: Distribution = distribution(requirement.name)
        assert requirement.specifier.contains(found.version)
        for top in {file.parts[0] for file in found.files or []} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(found.locate_file(top))
        _link([Requirement(text) for text in found.requires or []], site)
