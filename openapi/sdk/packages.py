"""What a package has beside its code: names, metadata, README, license and changelog.

All of it comes from the specification, from LICENSE and from CHANGELOG.md, so that a service of
another name has packages of that name.
"""

from __future__ import annotations

import copy
import json
import re
import shutil
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from openapi.sdk import examples
from service.engine.spec.client_names import class_name
from service.engine.spec.documents import LINES, lines, operations
from service.engine.spec.specification import Specification
from service.specification import specification

PACKAGE = f"{specification.name.replace('_', '-')}-client"
MODULE = f"{specification.name}_client"
# The class whose methods are the operations: Byline.
FACADE = class_name(specification.title)
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LANGUAGES = {"python": "Python", "typescript": "TypeScript"}
# Where the specification says what its packages link to.
LINKS = {
    "Homepage": ("info", "contact", "url"),
    "Documentation": ("externalDocs", "url"),
    "Source": ("info", "x-repository"),
}
CHANGES = """# Changelog

What changed in this package. Its version is that of the {title} API that it was made from.

"""


class Project(NamedTuple):
    """What a package says of itself.

    `license` is an SPDX expression, None if the specification has none; `author` has `name`,
    `email` or both, or is empty; `urls` has labels that PyPI knows.
    """

    title: str
    version: str
    summary: str
    license: str | None
    author: dict[str, str]
    urls: dict[str, str]


def project(document: dict[str, Any]) -> Project:
    """What the packages for the service of a specification say of themselves."""
    info = document["info"]
    sentence = re.split(r"(?<=\.)\s|\n\n", info.get("description", "").strip(), maxsplit=1)[0]
    summary = " ".join(f"A typed client for the {info['title']} API. {sentence}".split())
    contact = info.get("contact", {})
    links = {label: _found(document, path) for label, path in LINKS.items()}
    return Project(
        title=info["title"],
        version=info["version"],
        summary=summary,
        license=_spdx(info.get("license", {}).get("name", "")),
        author={key: contact[key] for key in ("name", "email") if key in contact},
        # Those of a running service are relative, and lead nowhere from a package.
        urls={label: url for label, url in links.items() if re.match("https?://", url)},
    )


def with_lines(source: Specification) -> dict[str, Any]:
    """The document as published, and with it what the lines of its streamed answers are."""
    document: dict[str, Any] = json.loads(source.public_json())
    for path, method, operation in operations(source.document):
        if found := lines(operation, source.document):
            content = document["paths"][path][method]["responses"]["200"]["content"]
            content[LINES]["x-lines"] = copy.deepcopy(found)
    return document


def describe(language: str, folder: Path) -> None:
    """Write what the package of a language has beside its code."""
    document = specification.document
    told = project(document)
    if language == "python":
        fill_in(HERE / language / "pyproject.toml.template", folder, more=_toml(told))
        example = examples.python(document, specification.name, FACADE)
    else:
        file = fill_in(HERE / language / "package.json.template", folder)
        metadata = json.loads(file.read_text("utf-8")) | _npm(told)
        file.write_text(json.dumps(metadata, indent=2, ensure_ascii=False) + "\n", "utf-8")
        example = examples.typescript(document, specification.name, FACADE)
    guide = _guide(told.urls)
    fill_in(HERE / language / "README.md.template", folder, example=example, guide=guide)
    shutil.copy(ROOT / "LICENSE", folder)
    history = changes((ROOT / "CHANGELOG.md").read_text("utf-8"), language)
    # A wheel has nothing but the module and the license.
    beside = folder / MODULE if language == "python" else folder
    (beside / "CHANGELOG.md").write_text(CHANGES.format(title=told.title) + history, "utf-8")


def fill_in(template: Path, folder: Path, **more: str) -> Path:
    """The file in the folder that the template makes; `$name` stands for a name of the package."""
    filled = folder / template.stem
    told = project(specification.document)
    names = {
        "title": told.title,
        "name": specification.name,
        "package": PACKAGE,
        "module": MODULE,
        "facade": FACADE,
        "version": told.version,
        "summary": _quoted(told.summary),
    }
    text = Template(template.read_text("utf-8")).substitute(names, **more)
    filled.write_text(text, "utf-8")
    return filled


def changes(changelog: str, language: str) -> str:
    """What changed in the client of a language: the sections of the versions; of one with a heading
    `### Clients...`, only what is there. Items that begin with the client of another language
    (`The Python client`) are left out."""
    sections = re.findall(r"^## .*?(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    others = "|".join(name for key, name in LANGUAGES.items() if key != language)
    item = rf"^- The (?:{others}) client\b.*\n(?:  .*\n)*"
    text = "\n\n".join(map(_for_clients, sections)) + "\n"
    return re.sub(item, "", text, flags=re.MULTILINE)


def _for_clients(section: str) -> str:
    heading, _, text = section.partition("\n")
    found = re.search(r"^### Clients.*?\n(.*?)(?=^### |\Z)", text, re.MULTILINE | re.DOTALL)
    return f"{heading}\n\n{(found[1] if found else text).strip()}"


def _guide(urls: dict[str, str]) -> str:
    """Where to read on."""
    if "Documentation" in urls:
        return f"[The documentation]({urls['Documentation']}) goes on from here."
    place = f"its [repository]({urls['Source']})" if "Source" in urls else "its repository"
    return (
        f"`docs/guide.md` in {place} goes on from here, and a running service has the documentation"
        " of all operations at `/docs`."
    )


def _found(document: dict[str, Any], path: tuple[str, ...]) -> str:
    found: Any = document
    for key in path:
        found = found.get(key, {})
    return found or ""


def _spdx(name: str) -> str | None:
    try:
        return canonicalize_license_expression(name)
    except InvalidLicenseExpression:  # a name for people, such as Apache 2.0
        return None


def _toml(told: Project) -> str:
    """Keys of the table `project` in pyproject.toml, and the tables in it."""
    lines = [f"license = {json.dumps(told.license)}"] if told.license else []
    if told.author:
        author = ", ".join(f"{key} = {_quoted(value)}" for key, value in told.author.items())
        lines.append(f"authors = [{{ {author} }}]")
    if told.urls:
        lines.append("\n[project.urls]")
        lines += [f"{label} = {_quoted(url)}" for label, url in told.urls.items()]
    return "\n".join(lines)


def _npm(told: Project) -> dict[str, Any]:
    """Members of package.json."""
    source = told.urls.get("Source")
    members = {
        "license": told.license or "SEE LICENSE IN LICENSE",
        "author": told.author,
        "homepage": told.urls.get("Homepage") or told.urls.get("Documentation") or source,
        # npm compares it with where a package with provenance was built.
        "repository": source and {"type": "git", "url": f"git+{source.removesuffix('.git')}.git"},
    }
    return {name: value for name, value in members.items() if value}


def _quoted(text: str) -> str:
    """A string in JSON, which is one in TOML as well."""
    return json.dumps(text, ensure_ascii=False)
