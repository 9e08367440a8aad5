"""What is logged beside the requests has the form that LOG_FORMAT names."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import logging, sys
from service.web.telemetry import set_up_logging
set_up_logging("WARNING", sys.argv[1])
logging.getLogger("uvicorn.error").warning("hot")
logging.getLogger("uvicorn.error").info("cold")
try:
    {}["what"]
except KeyError:
    logging.getLogger("byline").exception("request %s failed", "abc")
"""


def logged(style: str) -> list[str]:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, style]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    return run.stderr.splitlines()


def test_a_crash_is_one_json_line_with_its_traceback() -> None:
    hot, crash = map(json.loads, logged("json"))
    assert (hot["level"], hot["message"]) == ("warning", "hot")
    assert (crash["level"], crash["message"]) == ("error", "request abc failed")
    assert crash["traceback"].endswith("KeyError: 'what'")


def test_text_is_for_people() -> None:
    lines = logged("text")
    assert lines[:2] == ["WARNING: hot", "ERROR: request abc failed"]
    assert lines[-1] == "KeyError: 'what'"
