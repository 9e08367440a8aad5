"""Which module may import which, and where things live (docs/architecture.md)."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from itertools import groupby
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICE = ROOT / "service"
MODULES = {
    str(path.relative_to(ROOT)): path
    for path in sorted(SERVICE.rglob("*.py"))
    if path.read_text().strip()
}
HANDLERS = {name: path for name, path in MODULES.items() if "/handlers/" in name}

# From a folder or module of service/ to those of ours that it may import; its own are free.
MAY_IMPORT = {
    "engine": set(),
    "problems": {"engine"},
    "settings": {"engine", "specification", "domain"},
    "domain": {"engine", "problems"},
    "caller": set(),
    "models": {"engine", "problems", "caller"},
    "email_keys": {"engine", "domain"},
    "stored_bytes": {"engine", "models"},
    "migrations": {"engine", "email_keys", "models", "stored_bytes"},
    "mail": {"engine", "problems", "settings", "domain", "models"},
    "measures": {"engine"},
    "application": {
        "accounts",
        "engine",
        "mail",
        "measures",
        "models",
        "flask_app",
        "pages",
        "settings",
    },
    "flask_app": {"engine", "places", "settings"},
    "accounts": {
        "engine",
        "problems",
        "caller",
        "specification",
        "settings",
        "domain",
        "models",
        "mail",
    },
    "places": set(),
    "packaging": set(),
    "specification": {"engine", "places", "problems"},
    "pages": {"specification"},
    "handlers": {
        "engine",
        "caller",
        "problems",
        "specification",
        "pages",
        "domain",
        "models",
        "mail",
        "accounts",
    },
}
# The libraries that a folder does without, and the only folder that a library is for.
NEVER = {
    "problems": {"connexion", "flask", "sqlalchemy", "werkzeug"},
    "domain": {"connexion", "flask", "sqlalchemy", "uvicorn", "werkzeug"},
    "models": {"connexion", "flask", "uvicorn", "werkzeug"},
    "handlers": {"connexion", "sqlalchemy", "uvicorn", "werkzeug"},
}
# What can be used without the rest: importing it loads no framework.
LEAVES = [
    "service.caller",
    "service.engine.ids",
    "service.engine.problems",
    "service.problems",
    *(f"service.domain.{path.stem}" for name, path in MODULES.items() if "/domain/" in name),
]
# What only the example knows. A user, a session and a role are the engine's words too.
EXAMPLES = re.compile(
    r"byline|posts\b|post_id|_post\b|authors?\b|usernames?|e-?mail|mail(s|ed|box|er)?\b|smtp|sign-in|sign-up"
    r"|\blog-?in\b|accounts?\b|x-guard|/api\b|/auth\b",
    re.IGNORECASE,
)
NOT_THE_EXAMPLES = {
    "service/engine/limits/addresses.py": ['get("username")', '["username"]'],  # of redis-py
    "service/engine/spec/schemas.py": ['"email": "idn-email"'],  # a format of JSON Schema
}


def each(modules: dict[str, Path]) -> Callable[[Callable[[Path], None]], Callable[[], None]]:
    """Tries a rule on each of these modules; as cases, they would take longer than the rule."""

    def decorate(rule: Callable[[Path], None]) -> Callable[[], None]:
        def test() -> None:
            broken: dict[str, str] = {}
            for name, path in modules.items():
                try:
                    rule(path)
                except AssertionError as error:
                    broken[name] = str(error)
            assert broken == {}

        return test

    return decorate


each_module = each(MODULES)
each_handler_module = each(HANDLERS)
each_module_of_the_engine = each(
    {name: path for name, path in MODULES.items() if name.startswith("service/engine/")}
)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def part(path: Path) -> str:
    """The folder of service/ that a module is in, or its own name when it is in none."""
    return path.relative_to(SERVICE).with_suffix("").parts[0]


def imports(path: Path) -> Iterator[str]:
    """The dotted names that a module imports."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(path: Path) -> set[str]:
    """The folders and modules of service/ that a module imports from."""
    names = {name.split(".")[1] for name in imports(path) if name.startswith("service.")}
    return {name for name in names if (SERVICE / name).is_dir() or f"service/{name}.py" in MODULES}


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [
        n for n in ast.walk(tree(path)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


@each_module
def test_a_module_imports_only_what_stands_below_it(path: Path) -> None:
    own = part(path)
    if own in MAY_IMPORT:
        wrong = ours(path) - MAY_IMPORT[own] - {own}
        assert not wrong, f"{own} stands below {sorted(wrong)}, or belongs in MAY_IMPORT"


@pytest.mark.parametrize("leaf", LEAVES)
def test_importing_a_leaf_loads_no_framework(leaf: str) -> None:
    code = f"import sys, {leaf}; print(*{{name.split('.')[0] for name in sys.modules}})"
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not {"connexion", "flask", "sqlalchemy", "starlette", "uvicorn"} & {*loaded.split()}


@each_module
def test_no_module_imports_a_handler(path: Path) -> None:
    assert "handlers" not in ours(path)


@each_module
def test_a_library_stays_where_it_belongs(path: Path) -> None:
    libraries = {name.split(".")[0] for name in imports(path)}
    assert not libraries & NEVER.get(part(path), set())
    assert "connexion" not in libraries or path.parent == SERVICE / "engine" / "spec"


@each_module_of_the_engine
def test_the_engine_has_no_word_of_the_example(path: Path) -> None:
    text = path.read_text()
    for allowed in NOT_THE_EXAMPLES.get(str(path.relative_to(ROOT)), []):
        assert allowed in text
        text = text.replace(allowed, "")
    assert [found[0] for found in EXAMPLES.finditer(text)] == []


@each_module
def test_only_the_settings_read_the_environment(path: Path) -> None:
    # Handing settings on to worker processes is `os.environ.update`, and no reading.
    reading = r"\bos\.(getenv|environb?\b(?!\.update\())|from os import .*(environ|getenv)|dotenv"
    assert path.name == "settings.py" or not re.search(reading, path.read_text())


def test_every_name_in_the_rules_exists() -> None:
    there = {part(path) for path in MODULES.values()}
    assert there >= MAY_IMPORT.keys() | NEVER.keys()


@each_handler_module
def test_a_handler_is_a_plain_function_of_at_most_15_lines(path: Path) -> None:
    for function in functions(path):
        assert function.decorator_list == [], function.name
        assert function.args.kwarg is None, function.name
        assert function.args.vararg is None, function.name
        assert function.end_lineno is not None
        # Longer, it has a rule or a statement in it that belongs in domain/, accounts/ or models/.
        assert function.end_lineno - function.lineno < 15, f"{function.name} has over 15 lines"
        assert ast.get_docstring(function) is None, "the specification's summary is it"


@each_handler_module
def test_a_handler_is_given_its_arguments_and_reads_no_request(path: Path) -> None:
    from_flask = {name for name in imports(path) if name.startswith("flask")}
    assert from_flask <= {"flask", "flask.current_app"}
    assert not re.search(r"^import flask", path.read_text(), re.MULTILINE)


@each_module
def test_a_module_has_300_lines_at_most_and_says_why_it_exists(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 300, "more than can be read at once: split it by subject"
    assert ast.get_docstring(tree(path)), "one sentence on what it is for"


@each_module
def test_a_comment_has_two_lines_at_most(path: Path) -> None:
    long = re.search(r"(?:^ *#.*\n){3}", path.read_text(), re.MULTILINE)
    assert long is None, f"put what takes longer into a docstring or docs/: {long[0]}"


@each_module
def test_no_module_is_a_drawer_for_everything(path: Path) -> None:
    names = {"utils", "helpers", "common", "base", "misc", "core"}
    assert path.stem not in names, "nobody can guess what is in there: name it after its subject"


def test_a_test_file_has_300_lines_at_most() -> None:
    long = [p.name for p in (ROOT / "tests").rglob("*.py") if len(p.read_text().splitlines()) > 300]
    assert long == []


def test_the_alembic_folder_is_no_package() -> None:
    assert (ROOT / "alembic" / "env.py").exists()
    assert not (ROOT / "alembic" / "__init__.py").exists(), "it would shadow the library"


def test_a_migration_has_the_number_that_is_next_in_its_branch() -> None:
    names = [path.stem for path in sorted((ROOT / "alembic" / "versions").glob("*.py"))]
    assert names
    for branch, its in groupby(names, key=lambda name: name.partition("_")[0]):
        for number, name in enumerate(its, 1):
            assert re.fullmatch(rf"{branch}_{number:04}_[a-z]+(_[a-z]+)+", name)


def test_a_migration_needs_nothing_of_the_service() -> None:
    for path in (ROOT / "alembic" / "versions").glob("*.py"):
        assert not ours(path)


def test_nothing_in_the_repository_names_a_package_index() -> None:
    # Spelled in halves, so that this file does not name one either.
    hosts = "|".join(["py" + r"pi\.org", "python" + "hosted", "npm" + r"js\.(org|com)"])
    option = "(?<!emit-)index" + "-url"
    named = re.compile(f"{hosts}|{option}|find-" + "links", re.IGNORECASE)
    for path in _kept(ROOT):
        assert not named.search(path.read_text(errors="replace")), path


def _kept(folder: Path) -> Iterator[Path]:
    """The files below a folder that git keeps, as .gitignore has it."""
    lines = (ROOT / ".gitignore").read_text().splitlines()
    patterns = [".git", *(line.strip("/") for line in lines if line and not line.startswith("#"))]
    for path in folder.iterdir():
        if any(path.match(pattern) for pattern in patterns):
            continue
        if path.is_dir():
            yield from _kept(path)
        else:
            yield path
