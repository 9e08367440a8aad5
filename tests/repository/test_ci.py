"""The workflows of GitHub and GitLab are valid, and run nothing but `.ci/run`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GITHUB = ".github/workflows/ci.yml"
GITLAB = ".gitlab-ci.yml"
SCHEMAS = {GITHUB: "vendor.github-workflows", GITLAB: "vendor.gitlab-ci"}


def job(file: str) -> dict[str, Any]:
    document = yaml.safe_load((ROOT / file).read_text())
    return document["jobs"]["check"] if file == GITHUB else document["check"]


@pytest.mark.parametrize(("file", "schema"), SCHEMAS.items())
def test_a_workflow_fits_the_schema_of_its_host(file: str, schema: str) -> None:
    check = pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed")
    with pytest.raises(SystemExit) as ended:
        check.main(["--builtin-schema", schema, str(ROOT / file)])
    assert ended.value.code == 0


def test_both_hosts_run_what_runs_anywhere() -> None:
    steps = [step["run"] for step in job(GITHUB)["steps"] if "run" in step]
    assert steps == job(GITLAB)["script"] == [".ci/run"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_both_hosts_run_it_in_the_same_image_with_a_python_that_will_do() -> None:
    image = job(GITHUB)["container"]
    assert image == job(GITLAB)["image"]
    [minor] = re.findall(r"^python:3\.(\d+)-", image)
    assert int(minor) >= 11
    # Debian by name: there apt-get installs a chromium, where Ubuntu's is a stub for snap.
    assert image.endswith("-bookworm")


def test_an_action_is_pinned_and_gets_no_more_than_the_code() -> None:
    workflow = yaml.safe_load((ROOT / GITHUB).read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for step in job(GITHUB)["steps"]:
        assert re.search(r"@(v\d+|[0-9a-f]{40})$", step.get("uses", "@v0"))
