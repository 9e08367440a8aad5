"""The README keeps its word: its tour runs as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

from tests.kit import generated_clients as clients

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
API = "http://127.0.0.1:8000"


def block(language: str) -> str:
    """The lines of a language that a comment says are run."""
    pattern = rf"runs these lines\. -->\n```{language}\n(.*?)```"
    [found] = re.findall(pattern, README, re.DOTALL)
    assert found.count(API) == 1
    return found


def test_the_tour_with_curl_works_as_it_is_written(serve):
    server = serve(rate_limit_enabled=True)
    script = block("sh").replace(API, server.url)

    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("curl -sS", "curl -sS --fail-with-body")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    labels = re.findall(r"show '(.+)'", script)
    assert len(labels) == 5
    answers = re.split("|".join(rf"^{label}\n" for label in labels), run.stdout, flags=re.MULTILINE)
    assert all(answer.endswith("\n\n") for answer in answers[1:-1])
    assert "<mark>café</mark>" in answers[4]
    assert run.stdout.endswith("\nSigned out: 204\n")


def test_a_first_call_in_python_works_as_it_is_written(serve, tmp_path, tmp_path_factory):
    site = clients.generated(tmp_path_factory) / "site"
    (tmp_path / "first.py").write_text(block("python").replace(API, serve().url))

    printed = clients.run(sys.executable, tmp_path / "first.py", PYTHONPATH=str(site))

    assert re.fullmatch(r"By Ben by user-\w+\n", printed)
    assert len(block("python").splitlines()) <= 8


def test_a_first_call_in_typescript_works_as_it_is_written(serve, tmp_path_factory):
    folder = clients.generated(tmp_path_factory)
    (folder / "first.mts").write_text(block("ts").replace(API, serve().url))

    assert re.fullmatch(r"By Carl by user-\w+\n", clients.node(folder / "first.mts"))
    assert len(block("ts").splitlines()) <= 8


def test_the_commands_are_targets_of_the_makefile():
    commands = {"run", "test", "sdk"}
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert set(re.findall(r"^(?:PORT=\d+ )?make ([a-z]+)", README, re.MULTILINE)) == commands
    assert commands <= set(targets)


def test_the_quick_tests_are_where_the_makefile_looks_for_them():
    [listed] = re.findall(
        r"^QUICK.*?wildcard ([^)]+)", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    gone = {name for name in listed.replace("\\", "").split() if not (ROOT / name).exists()}

    assert gone <= {"tests/posts"}  # which an API without posts does not have
