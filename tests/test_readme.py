"""The README keeps its word: its tour runs as it stands there."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.fixture
def tour() -> str:
    [block] = re.findall(r"runs these lines\. -->\n```sh\n(.*?)```", README, re.DOTALL)
    return block


def test_the_tour_with_curl_works_as_it_is_written(serve, tour):
    server = serve(rate_limit_enabled=True)
    script = tour.replace("http://127.0.0.1:8000", server.url)

    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("curl -sS", "curl -sS --fail-with-body")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert "<mark>" in run.stdout or "In the Café" in run.stdout
    assert run.stdout.rstrip().endswith("204")


def test_the_two_commands_are_targets_of_the_makefile():
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert set(re.findall(r"^(?:PORT=\d+ )?make ([a-z]+)", README, re.MULTILINE)) == {"run", "test"}
    assert {"run", "test"} <= set(targets)
