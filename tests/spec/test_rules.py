"""Every rule of openapi/spectral/contract.yaml, broken once or more, by one change to the real
specification: that rule complains and no other does. None complains about ordinary resources."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.specification import specification
from tests.kit.changed_specification import GONE, changed
from tests.kit.programs import npm_programs

ROOT = Path(__file__).parents[2]
RULES = ROOT / "openapi" / "spectral" / "contract.yaml"
OVERRIDES = yaml.safe_load((ROOT / "openapi" / "spectral.yaml").read_text())["overrides"]
DESCRIBED = {
    name: rule["description"] for name, rule in yaml.safe_load(RULES.read_text())["rules"].items()
}
SPEC = specification.document

# A part of it, with everything that rules are about, is linted in a third of the time.
PATHS = ["/api/accounts", "/api/audit-events", "/api/users", "/api/users/{user_id}"]
PATHS += ["/auth/email", "/auth/me", "/openapi.json"]
EXCERPT = {**SPEC, "paths": {path: SPEC["paths"][path] for path in PATHS}}

USER = "paths /api/users/{user_id}"
USERS, NEW_USER = "paths /api/users get", "paths /api/users post"
OK = "content application/json schema"
ANSWERS, PARAMETERS = "components responses", "components parameters"
SCHEMAS = "components schemas"
UNNAMED = {"properties": {}, "additionalProperties": True}
PLAIN = {"type": "string", "description": "Some text.", "example": ""}
REFERENCE = {"$ref": "#/components/schemas/User"}


def without(*items: Any) -> Any:
    """Turns a list or an object into one that lacks these items or keys."""
    return lambda all_: (
        {key: value for key, value in all_.items() if key not in items}
        if isinstance(all_, dict)
        else [item for item in all_ if item not in items]
    )


def parameter(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/parameters/{name}"}


def untagged(get: Any) -> Any:
    """A read without a trace of conditional requests."""
    parameters = without(parameter("IfNoneMatch"))(get["parameters"])
    responses = without("304")(get["responses"])
    responses["200"] = without("headers")(responses["200"])
    return {**get, "parameters": parameters, "responses": responses}


def endless(get: Any) -> Any:
    """A list without pages that may have any length."""
    parameters = without(parameter("Limit"), parameter("After"))(get["parameters"])
    responses = {**get["responses"], "200": without("headers")(get["responses"]["200"])}
    schema = get["responses"]["200"]["content"]["application/json"]["schema"]
    content = {"application/json": {"schema": without("maxItems")(schema)}}
    responses["200"] |= {"content": content}
    return {**get, "parameters": parameters, "responses": responses}


BROKEN = [
    ("openapi-version", "openapi", "3.0.2"),
    ("release-number", "info version", "1.0.0-rc1"),
    ("static-paths-first", "paths", lambda paths: {"/api/{kind_id}": {}, **paths}),
    ("operation-names", f"{USERS} operationId", "fetch_users"),
    ("operation-names", f"{NEW_USER} operationId", "put_user"),
    ("operation-names", f"{NEW_USER} operationId", "CreateUser"),
    ("operation-names", f"{USER} patch operationId", "updateUser"),
    ("operation-names", f"{USER} delete operationId", "destroy_user"),
    ("operation-names", "paths /auth/email put operationId", "email"),
    ("parameter-names", f"{PARAMETERS} UsernameFilter name", "userName"),
    ("path-parameter-names", f"{PARAMETERS} UserId name", "user"),
    ("path-parameter-names", f"{PARAMETERS} UserId name", "id"),
    ("property-names", f"{SCHEMAS} User properties wordCount", {"type": "integer"}),
    ("schema-names", f"{SCHEMAS} user_page", PLAIN),
    ("schema-names", f"{SCHEMAS} UserResponse", PLAIN),
    ("code-names", f"{SCHEMAS} ProblemCode enum 0", "invalid_request"),
    ("code-names", f"{SCHEMAS} AuditAction enum 0", "Register"),
    ("one-tag", f"{USERS} tags", []),
    ("one-tag", f"{USERS} tags", ["users", "auth"]),
    ("operation-summary", f"{USERS} summary", GONE),
    ("explicit-security", f"{USERS} security", GONE),
    ("explicit-security", "paths /auth/me get security", lambda some: [*some, {}]),
    ("declared-limits", f"{USERS} x-rate-limit", GONE),
    ("declared-limits", f"{USERS} x-rate-limit", "some"),
    ("limited-changes", f"{NEW_USER} x-rate-limit", "client"),
    ("limited-changes", f"{USER} delete x-rate-limit", "none"),
    ("operation-descriptions", f"{USERS} description", GONE),
    ("tag-descriptions", "tags 0 description", GONE),
    ("schema-descriptions", f"{SCHEMAS} User description", GONE),
    ("parameter-descriptions", f"{PARAMETERS} UserId description", GONE),
    ("document-links", "info contact", GONE),
    ("document-links", "externalDocs url", GONE),
    ("problem-documents", f"{ANSWERS} NotFound content", lambda c: {"text/plain": {}, **c}),
    ("problem-documents", f"{ANSWERS} NotFound content application/problem+json schema", REFERENCE),
    ("problem-documents", f"{USER} get responses 404", {"headers": {"X-Request-Id": {}}}),
    ("named-requests", f"{ANSWERS} Conflict headers", GONE),
    ("named-requests", f"{ANSWERS} Conflict headers X-Request-Id", GONE),
    ("challenges", f"{ANSWERS} Unauthorized headers WWW-Authenticate", GONE),
    ("waiting-times", f"{ANSWERS} TooManyRequests headers Retry-After", GONE),
    ("waiting-times", f"{ANSWERS} Unavailable headers Retry-After", GONE),
    ("limits-are-shown", f"{ANSWERS} TooManyRequests headers RateLimit", GONE),
    ("limits-are-shown", f"{ANSWERS} TooManyRequests headers RateLimit-Policy", GONE),
    ("errors-of-all", f"{USERS} responses", without("400")),
    ("errors-of-tokens", "paths /auth/me get responses", without("401")),
    ("errors-of-roles", "paths /api/accounts get responses", without("403")),
    ("errors-of-paths", f"{USER} get responses", without("404")),
    ("errors-of-bodies", f"{NEW_USER} responses", without("413")),
    ("errors-of-bodies", f"{NEW_USER} responses", without("415")),
    ("errors-of-limits", f"{USERS} responses", without("429")),
    ("errors-of-limits", f"{NEW_USER} responses", without("429")),
    ("lists-are-arrays", f"{USERS} responses 200 {OK}", REFERENCE),
    ("lists-are-arrays", f"{USERS} responses 200 content", without("application/json")),
    ("lists-have-pages", f"{USERS} parameters", without(parameter("Limit"))),
    ("lists-have-pages", f"{USERS} parameters", without(parameter("After"))),
    ("lists-have-pages", f"{USERS} responses 200 headers Link", GONE),
    ("lists-have-pages", USERS, endless),
    ("page-sizes", f"{PARAMETERS} Limit schema maximum", 200),
    ("page-sizes", f"{PARAMETERS} Limit schema default", GONE),
    ("resources-have-tags", f"{USER} get", untagged),
    ("resources-have-tags", "paths /auth/me get", untagged),
    ("conditional-reads", f"{USER} get parameters", without(parameter("IfNoneMatch"))),
    ("conditional-reads", f"{USER} get responses", without("304")),
    ("conditional-reads", "paths /openapi.json get responses 200 headers", GONE),
    ("conditional-changes", f"{USER} patch parameters", without(parameter("IfMatch"))),
    ("conditional-changes", f"{PARAMETERS} IfMatch required", GONE),
    ("conditional-changes", f"{USER} patch responses", without("412")),
    ("conditional-changes", f"{USER} patch responses", without("428")),
    ("conditional-deletes", f"{USER} delete parameters", without(parameter("OptionalIfMatch"))),
    ("conditional-deletes", f"{PARAMETERS} OptionalIfMatch required", True),
    ("conditional-deletes", f"{USER} delete responses", without("412")),
    ("creations", f"{NEW_USER} responses 201 headers", without("Location")),
    ("creations", f"{NEW_USER} responses 201 headers", without("ETag")),
    ("creations", f"{NEW_USER} responses 201 links", without("get")),
    ("creations", f"{NEW_USER} responses 201 links", without("update")),
    ("creations", f"{NEW_USER} responses 201 links", without("delete")),
    ("creations", "components links GetUser operationId", "delete_user"),
    ("safe-retries", f"{NEW_USER} responses", without("409")),
    ("safe-retries", f"{NEW_USER} responses", without("422")),
    ("safe-retries", f"{NEW_USER} responses 201 headers Idempotency-Replayed", GONE),
    ("safe-retries", f"{NEW_USER} parameters", []),
    ("objects-say-what-they-require", f"{SCHEMAS} User required", GONE),
    ("closed-bodies", f"{SCHEMAS} NewUser additionalProperties", GONE),
    ("closed-bodies", f"{SCHEMAS} NewUser additionalProperties", True),
    ("open-answers", f"{SCHEMAS} User additionalProperties", False),
    ("open-answers", f"{SCHEMAS} Account additionalProperties", GONE),
    ("named-objects", f"{SCHEMAS} Session properties user", SPEC["components"]["schemas"]["User"]),
    ("named-objects", f"{USER} get responses 200 {OK}", UNNAMED),
    ("named-objects", f"{USERS} responses 200 {OK} items", UNNAMED),
    ("named-enums", f"{SCHEMAS} Account properties role", SPEC["components"]["schemas"]["Role"]),
    ("named-enums", f"{PARAMETERS} RoleFilter schema", SPEC["components"]["schemas"]["Role"]),
    ("ids-and-times", f"{SCHEMAS} Id format", GONE),
    ("ids-and-times", f"{SCHEMAS} AuditEvent properties actor_id format", "email"),
    ("ids-and-times", f"{SCHEMAS} Timestamp format", "date"),
    ("ids-and-times-asked-for", f"{PARAMETERS} UserId schema format", GONE),
    ("ids-and-times-asked-for", f"{PARAMETERS} After schema format", GONE),
    ("ids-and-times-asked-for", f"{PARAMETERS} CreatedAfter schema format", "date"),
    ("schema-examples", f"{SCHEMAS} User example", GONE),
    ("body-examples", f"{NEW_USER} requestBody content application/json example", GONE),
    ("lonely-references", f"{SCHEMAS} Session properties user", {**REFERENCE, "nullable": True}),
    ("nullable-enums", f"{SCHEMAS} Role nullable", True),
    ("no-deep-objects", f"{PARAMETERS} UsernameFilter style", "deepObject"),
    ("plain-headers", f"{PARAMETERS} IfNoneMatch schema type", "integer"),
    ("plain-headers", f"{PARAMETERS} IfNoneMatch schema format", "uuid"),
]


def with_the_guides_paragraph() -> Any:
    """The specification after the first step of docs/adding-an-operation.md."""
    guide = (ROOT / "docs" / "adding-an-operation.md").read_text()
    paragraph = re.search(r"```yaml\n(.*?)```", guide, re.DOTALL)[1]
    paths = yaml.safe_load(paragraph)
    return {**SPEC, "paths": {**SPEC["paths"], **paths}}


def with_ordinary_resources() -> Any:
    """The specification with resources that are no users and no posts."""
    added = yaml.safe_load((Path(__file__).parent / "ordinary.yaml").read_text())
    components = {
        kind: {**SPEC["components"].get(kind, {}), **added["components"].get(kind, {})}
        for kind in SPEC["components"].keys() | added["components"].keys()
    }
    paths, tags = {**SPEC["paths"], **added["paths"]}, [*SPEC["tags"], *added["tags"]]
    return {**SPEC, "paths": paths, "components": components, "tags": tags}


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The rules that complain, for each document; linted in one run, since its start is slow."""
    lint = [Path(sys.prefix, "bin", "node"), npm_programs() / "spectral", "lint"]
    folder = tmp_path_factory.mktemp("documents")
    documents = {str(n): changed(EXCERPT, *row[1:]) for n, row in enumerate(BROKEN)}
    documents |= {"ours": SPEC, "guide": with_the_guides_paragraph()}
    documents["ordinary"] = with_ordinary_resources()
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document))
    arguments = ["--ruleset", RULES, "--format", "json", "--quiet", folder / "*.json"]
    run = subprocess.run([*lint, *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 1, run.stderr
    found: dict[str, set[str]] = {name: set() for name in documents}
    for complaint in json.loads(run.stdout):
        if not is_excepted(complaint):
            found[Path(complaint["source"]).stem].add(complaint["code"])
    return found


def is_excepted(complaint: dict[str, Any]) -> bool:
    """Whether openapi/spectral.yaml excepts this place of the specification from the rule."""
    for override in OVERRIDES:
        for file in override["files"] if complaint["code"] in override["rules"] else []:
            keys = file.partition("#/")[2].split("/")
            place = [key.replace("~1", "/").replace("~0", "~") for key in keys]
            if complaint["path"][: len(place)] == place:
                return True
    return False


@pytest.mark.parametrize(
    ("number", "rule"),
    list(enumerate(row[0] for row in BROKEN)),
    ids=[f"{rule} {number}" for number, (rule, *_) in enumerate(BROKEN)],
)
def test_only_the_broken_rule_complains(
    number: int, rule: str, complaints: dict[str, set[str]]
) -> None:
    assert complaints[str(number)] == {rule}


@pytest.mark.parametrize("document", ["ours", "guide", "ordinary"])
def test_no_rule_complains_when_none_is_broken(
    document: str, complaints: dict[str, set[str]]
) -> None:
    assert complaints[document] == set()


def test_redocly_has_nothing_to_say_about_ordinary_resources(tmp_path: Path) -> None:
    document = tmp_path / "ordinary.json"
    document.write_text(json.dumps(with_ordinary_resources()))
    config = ROOT / "openapi" / "redocly.yaml"
    lint = [Path(sys.prefix, "bin", "node"), npm_programs() / "redocly", "lint"]
    run = subprocess.run(
        [*lint, "--config", config, document], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_rule_is_broken_here() -> None:
    assert DESCRIBED.keys() == {rule for rule, _, _ in BROKEN}


def test_every_rule_says_why_it_exists_and_stands_in_the_list_of_house_rules() -> None:
    told = (ROOT / "openapi" / "README.md").read_text()
    for rule, described in DESCRIBED.items():
        assert f"`{rule}`" in told, rule
        assert re.search(r"because|so that|, or |, which", described), rule
